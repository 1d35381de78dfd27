"""Collects what is known of a pixel before its alpha is predicted: rows of numbers, one column per
pixel.

Every number has a counterpart when subject and background are exchanged: the numbers of ODD change
their sign, those of PAIRS their positions, those of EVEN stay. So whatever is made of them can
treat both sides alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vfx_matte.backend import Array, box_mean, xp
from vfx_matte.matting.local_colors import FAR, dot, luma
from vfx_matte.matting.problem import UNKNOWN, AlphaProblem
from vfx_matte.matting.sizes import BAND_PX, LEAST_BAND_PX

ODD = (
    "alpha",
    "clipped",
    "rough",
    "own",
    "near distance",
    "far distance",
    "mean 5",
    "mean 15",
    "mean 45",
    "luma",
    "detail",
)
"""Alpha as the colours nearby say it (also clipped to 0..1), and those farther away; the mask's own
edge; signed distance to it in units of half a band, and of three bands; means of alpha around, in
windows of 5, 15 and 45 px at 1080 lines; alpha as luma alone says it, which is sharp where colours
were subsampled, and how far that is from its mean in the small window.
"""

PAIRS = ("front", "back", "rough front", "rough back")
"""Logarithms of the variances that alpha has where it is 1 and where it is 0, nearby and from
farther away.
"""

EVEN = ("trust", "sure", "spread")
"""How far colours are trusted, how sure the model is, and the standard deviation of alpha
around.
"""

NAMES = (*ODD, *PAIRS, *EVEN)

VARIANCE = 2e-4
"""Variance of alpha that every pixel has at least."""

WINDOWS_PX = 5, 15
"""Sides of the windows at 1080 lines; scaled with the frame."""

FAINT = 1e-3
"""Squared difference of luma below which luma says little."""


def swapped(rows: Array) -> Array:
    """The same numbers as seen when subject and background are exchanged: (len(NAMES), …) to the
    same.
    """
    odd, pairs = len(ODD), len(PAIRS)
    order = [*range(odd), odd + 1, odd, odd + 3, odd + 2, *range(odd + pairs, len(NAMES))]
    result: Array = rows[order].copy()
    result[:odd] *= -1
    return result


@dataclass(frozen=True, slots=True)
class Reading:
    """What the colours nearby alone say."""

    alpha: Array
    """Float32 (h, w), not limited to 0..1."""

    model: Array
    """The model that it was read with, for every pixel: see `LocalColors.model`."""


def half_bands(scale: float) -> float:
    """How many halves of the usual band a px is, in a frame of this size against 1080 lines."""
    return 2 / max(LEAST_BAND_PX, BAND_PX * scale)


def read(problem: AlphaProblem) -> Reading:
    """Read alpha off the linear model of the colours nearby."""
    near = problem.colors.sample(problem.region)
    return Reading(dot(problem.image, near) + near[..., 3], near)


def evidence(problem: AlphaProblem, reading: Reading) -> Array:
    """What is seen of the unknown pixels, in the order of the array: float32 (len(NAMES), n)."""
    module, image = xp(problem.picture), problem.image
    alpha, near, rough = (
        reading.alpha,
        reading.model,
        problem.rough.sample(problem.region, numbers=6),
    )
    unknown = module.flatnonzero(problem.trimap == UNKNOWN)

    def of_unknown(values: Array) -> Array:
        taken: Array = values.reshape(-1, *values.shape[2:]).take(unknown, axis=0)
        return taken

    # in half bands, as sizes follow the frame: one fit serves all
    distance = problem.distance * np.float32(half_bands(problem.scale))
    # far from the edge the mask decides, so that means around a pixel are not misled there
    likely = module.where(
        module.abs(distance) < 2 * FAR, module.clip(alpha, 0, 1), distance > 0
    ).astype(np.float32)
    small, large = (max(3, round(window * problem.scale)) | 1 for window in WINDOWS_PX)
    # alpha as luma says it: its distance from the middle of both sides, in units of their contrast,
    # little where that is small
    contrast, level = near[..., 8], near[..., 9]
    of_luma = module.clip(
        (luma(image) - level) * contrast / (contrast * contrast + np.float32(FAINT)), -1, 1
    )
    mean = box_mean(likely, large)
    spread = box_mean(likely * likely, large) - mean * mean
    # the rows in the order of NAMES, of unknown pixels only; around 0, so that a change of sides is
    # a change of sign
    rows: Array = module.empty((len(NAMES), len(unknown)), np.float32)
    picture, near, rough, distance = map(of_unknown, (image, near[..., 4:8], rough, distance))
    half = np.float32(0.5)
    rows[0] = module.clip(of_unknown(alpha), -0.5, 1.5) - half
    rows[1] = module.clip(rows[0], -0.5, 0.5)
    rows[2] = module.clip(dot(picture, rough) + rough[..., 3], -0.5, 1.5) - half
    rows[3] = of_unknown(problem.own_edge) - half
    rows[4] = module.clip(distance, -2, 2)
    rows[5] = module.clip(distance * np.float32(0.5 / FAR), -1, 1)
    for at, values in (
        (6, of_unknown(box_mean(likely, small))),
        (7, of_unknown(mean)),
        (8, near[..., 2]),
    ):
        rows[at] = values - half
    rows[9] = of_unknown(of_luma)
    rows[10] = rows[9] - of_unknown(box_mean(of_luma, small))
    # logarithms: variances span many powers of ten
    for at, values in enumerate((near[..., 0], near[..., 1], rough[..., 4], rough[..., 5])):
        rows[len(ODD) + at] = module.log(values + np.float32(VARIANCE))
    rows[-3] = of_unknown(problem.trusted)
    rows[-2] = near[..., 3]
    rows[-1] = module.sqrt(module.maximum(of_unknown(spread), 0))
    return rows
