"""Finds alpha by the colours of both sides nearby, with box filters and arithmetic only.

From what is known of a pixel (`evidence`) a small fitted function (`perceptron`) predicts its
alpha. Where the colours leave little doubt, pixels that are all but certain, by their own colour
and by those around, become exactly 0 or 1. Where the colours fail on pixels whose side is
known, the mask keeps its own edge: what they say of the others is worth no more. And what differs
from that edge counts as far as it stands out from the noise of the colours, which weighs more the
farther from the edge a pixel is, but little along hair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vfx_matte.backend import Array, box_mean, xp
from vfx_matte.matting import compiled
from vfx_matte.matting.evidence import (
    FAINT,
    VARIANCE,
    WINDOWS_PX,
    Reading,
    evidence,
    half_bands,
    read,
)
from vfx_matte.matting.local_colors import FAR
from vfx_matte.matting.perceptron import predict, units
from vfx_matte.matting.problem import BACKGROUND, SUBJECT, UNKNOWN, AlphaProblem

DOUBT = 0.002
"""Variance of alpha at which a pixel's colour leaves as much doubt as not."""

COMMON = 0.01
"""How common each hypothesis is at least."""

DECAY_PX = 20.0
"""Distance from the edge at which pixels of the other side and mixed ones have become rare, at 1080
lines.
"""

NEAR_PX = 12.0
"""Distance from the mask's edge at which noise counts as it is, at 1080 lines; its variance grows
as the distance squared.
"""

FARTHEST = 2.0
"""How many times that distance it grows up to."""

HAIR = 0.03
"""Hairiness from which on noise does not count: single hairs are as faint as noise."""

GAIN_WINDOW_PX = 31
"""Side of the window in which the power of the differences is measured, at 1080 lines.

In a small one the gain itself is noisy: 11 px cost 0.4 % of hair's SAD and of flicker.
"""


@dataclass(frozen=True, slots=True)
class GuidedAlpha:
    """The estimator described above."""

    # one window is looked at in the other: what is settled around a pixel, then its differences
    margin_px: int = GAIN_WINDOW_PX // 2 + WINDOWS_PX[-1] // 2 + 1
    tile_px: int = 384
    in_threads: bool = True

    def __call__(self, problem: AlphaProblem) -> Array:
        """Alpha as float32 (h, w) in 0..1."""
        if compiled.usable(problem.picture):
            return _compiled_alpha(problem)
        return self.by_arrays(problem)

    @staticmethod
    def by_arrays(problem: AlphaProblem) -> Array:
        """The same on every device, in as many steps as there are ideas."""
        # alpha as the colours say it, then as the fitted function says it with all that is known
        module, unknown = xp(problem.picture), problem.trimap == UNKNOWN
        reading = read(problem)
        alpha = module.clip(reading.alpha, 0, 1)
        alpha[unknown] = module.clip(predict(evidence(problem, reading)), 0, 1)
        # where colours leave little doubt, what is all but certain becomes exactly 0 or 1
        settled, variance = _posterior_mean(problem, reading, alpha)
        alpha += (settled - alpha) / (1 + (variance * np.float32(1 / DOUBT)) ** 2)
        # the mask's own edge, and what differs from it: as far as colours can be trusted there, and
        # as far as it is no noise
        difference = alpha - problem.own_edge
        result: Array = (
            problem.own_edge
            + problem.trusted * _wiener_gain(problem, reading, difference) * difference
        )
        return result


def _compiled_alpha(problem: AlphaProblem) -> Array:
    """What `GuidedAlpha.by_arrays` finds, in fewer steps."""
    from vfx_matte.matting.compiled.pixels import Sizes, Tile, alpha_of

    scale = problem.scale
    small, large, gain = (
        max(3, round(window * scale)) | 1 for window in (*WINDOWS_PX, GAIN_WINDOW_PX)
    )
    rows, columns = problem.region
    tile = Tile(
        picture=problem.picture,
        trimap=problem.trimap,
        own_edge=problem.own_edge,
        distance=problem.distance,
        trusted=problem.trusted,
        hairy=problem.hairy,
        top=rows.start,
        left=columns.start,
        near=problem.colors.model,
        near_px=problem.colors.block_px,
        rough=problem.rough.model,
        rough_px=problem.rough.block_px,
    )
    sizes = Sizes(
        small=small,
        large=large,
        gain=gain,
        unit=half_bands(scale),
        far=FAR,
        variance=VARIANCE,
        faint=FAINT,
        per_decay=1 / (DECAY_PX * scale),
        common=COMMON,
        per_doubt=1 / DOUBT,
        per_near=1 / (NEAR_PX * scale),
        farthest=FARTHEST,
        per_hair=1 / HAIR,
    )
    return alpha_of(tile, sizes, units())


def _wiener_gain(problem: AlphaProblem, reading: Reading, difference: Array) -> Array:
    """How much of a difference from the mask's own edge is no noise: Wiener's gain, float32 (h, w)
    in 0..1.

    (E − n) / E, with E the mean square of the differences around, and n the variance that a reading
    has on the side where the mask has the pixel.
    """
    # the farther from the edge, the more a difference has to stand out; not along hair, which is as
    # faint as noise. Tried without asking how large a difference is: smudges stay (docs/matting.md)
    module, size = xp(difference), max(3, round(GAIN_WINDOW_PX * problem.scale)) | 1
    away = module.clip(
        problem.distance * np.float32(1 / (NEAR_PX * problem.scale)), -FARTHEST, FARTHEST
    )
    variance = module.where(away > 0, reading.model[..., 4], reading.model[..., 5]) + np.float32(
        VARIANCE
    )
    noise = variance * away * away * (1 - module.minimum(problem.hairy * np.float32(1 / HAIR), 1))
    power = box_mean(difference * difference, size) + np.float32(1e-6)
    gain: Array = module.maximum(1 - noise / power, 0)
    return gain


def _posterior_mean(problem: AlphaProblem, reading: Reading, mixed: Array) -> tuple[Array, Array]:
    """The mean of three hypotheses, background, subject and mixed, each by its likelihood and by
    how common it is nearby.

    And the variance of a reading, whichever side the pixel may be on.
    """
    module, size = xp(mixed), max(3, round(WINDOWS_PX[-1] * problem.scale)) | 1
    # how common each hypothesis is: on the edge about a third each, from DECAY_PX on nearly all
    # pixels are of their own side
    far = module.minimum(
        module.abs(problem.distance) * np.float32(1 / (DECAY_PX * problem.scale)), 1
    )
    own, other = 0.35 + 0.6 * far, 0.36 - 0.35 * far
    inside = problem.distance > 0
    front, back = module.where(inside, own, other), module.where(inside, other, own)
    rest = 1 - own - other
    # how likely the reading is for a pixel of either side; beyond 0 and 1 it is as likely as there
    variances = [reading.model[..., at] + np.float32(VARIANCE) for at in (4, 5)]
    like_front = _likelihood(module.maximum(1 - reading.alpha, 0), variances[0])
    like_back = _likelihood(module.maximum(reading.alpha, 0), variances[1])
    is_front, is_back = front * like_front, back * like_back
    total = is_front + is_back + rest
    # what the neighbours are likely to be, known pixels among them, weigh in the second round
    unknown = problem.trimap == UNKNOWN
    is_front = is_front / total * unknown + (problem.trimap == SUBJECT)
    is_back = is_back / total * unknown + (problem.trimap == BACKGROUND)
    near_front, near_back, floor = (
        box_mean(is_front, size),
        box_mean(is_back, size),
        np.float32(COMMON),
    )
    rest = (rest + floor) * (1 - near_front - near_back + floor)
    is_front = (front + floor) * (near_front + floor) * like_front
    is_back = (back + floor) * (near_back + floor) * like_back
    settled: Array = (is_front + rest * mixed) / (is_front + is_back + rest)
    return settled, module.maximum(*variances)


def _likelihood(distance: Array, variance: Array) -> Array:
    """Density of a normal distribution at a distance from its mean."""
    module = xp(distance)
    density: Array = module.exp(distance * distance * np.float32(-0.5) / variance) / module.sqrt(
        variance * np.float32(2 * np.pi)
    )
    return density
