"""Alpha by the colours of both sides nearby. Takes a picture and a trimap, gives alpha; box filters and arithmetic only.

Each pixel's alpha is read off the local linear model of local_colors, with the noise that the model says it has. It is then
freed of that noise in two ways, both in small windows: towards what the distance from the edge explains (a guided filter,
He, Sun and Tang, TPAMI 35, 2013, with the distance as the guide), and towards exactly 0 and 1 where the pixels around are.
Where the colours fail on pixels whose side is known, the mask keeps its own edge: what they say of the others is worth no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vfx_matte.backend import Array, box_mean, xp
from vfx_matte.refine.estimators import BACKGROUND, SUBJECT, AlphaProblem
from vfx_matte.refine.local_colors import dot

WINDOW_PX = 15
"""Side of the windows at 1080 lines; scaled with the frame."""

VARIANCE = 2e-4
"""Variance of alpha that every pixel has at least."""

PRIOR_WEIGHT = 40.0
"""Inverse variance of the prior. With less, subjects lose parts on real footage, whose colours are alike on both sides."""

COMMON = 0.01
"""How common each belief is at least."""

DECAY_PX = 20.0
"""Distance from the edge at which pixels of the other side and mixed ones have become rare, at 1080 lines."""


@dataclass(frozen=True, slots=True)
class GuidedAlpha:
    """The estimator described above."""

    margin_px: int = 3 * (WINDOW_PX // 2)
    tile_px: int = 256

    def __call__(self, problem: AlphaProblem) -> Array:
        """Alpha as float32 (h, w) in 0..1."""
        module = xp(problem.image)
        model = problem.colors.at(problem.place)
        read = _Reading(
            dot(problem.image, model) + model[..., 3],
            model[..., 4] + np.float32(VARIANCE),
            model[..., 5] + np.float32(VARIANCE),
        )
        size = max(3, round(WINDOW_PX * problem.scale)) | 1
        alpha = module.clip(read.alpha, 0, 1)
        variance = alpha * alpha * read.front_variance + (1 - alpha) ** 2 * read.back_variance
        mixed = (alpha + PRIOR_WEIGHT * variance * problem.prior) / (1 + PRIOR_WEIGHT * variance)
        mixed[problem.trimap == SUBJECT] = 1
        mixed[problem.trimap == BACKGROUND] = 0
        mixed = _explained(mixed, variance, problem.distance / np.float32(problem.half_px), size)
        alpha = _settled(problem, read, mixed, size)
        believed: Array = problem.own_edge + problem.trusted * (alpha - problem.own_edge)
        return believed


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the colours alone say: alpha, float32 (h, w), and its variance where it is 1 and where it is 0."""

    alpha: Array
    front_variance: Array
    back_variance: Array


def _explained(alpha: Array, variance: Array, guide: Array, size: int) -> Array:
    """Draw alpha towards its local linear fit in the guide, as far as its noise explains the remainder (Wiener's filter)."""
    module = xp(alpha)
    guide = module.clip(guide, -2, 2)
    weight = 1 / (variance + np.float32(0.01))
    of_guide, of_alpha = guide * weight, alpha * weight
    total, mean_guide, mean, squared, product = (
        box_mean(values, size) for values in (weight, of_guide, of_alpha, guide * of_guide, guide * of_alpha)
    )
    mean_guide, mean = mean_guide / total, mean / total
    slope = (product / total - mean_guide * mean) / (squared / total - mean_guide * mean_guide + np.float32(1e-4))
    fit = mean + slope * (guide - mean_guide)
    remainder = alpha - fit
    real = module.maximum(box_mean(remainder * remainder, size) - box_mean(variance, size), 0)
    drawn: Array = module.clip(fit + real / (real + variance) * remainder, 0, 1)
    return drawn


def _settled(problem: AlphaProblem, read: _Reading, mixed: Array, size: int) -> Array:
    """The mean of three beliefs, background, subject and mixed, each by its likelihood and by how common it is nearby."""
    module = xp(mixed)
    far = module.minimum(module.abs(problem.distance) * np.float32(1 / (DECAY_PX * problem.scale)), 1)
    own, other = 0.35 + 0.6 * far, 0.36 - 0.35 * far
    inside = problem.distance > 0
    front, back = module.where(inside, own, other), module.where(inside, other, own)
    rest = 1 - own - other
    like_front = _likelihood(module.maximum(1 - read.alpha, 0), read.front_variance)
    like_back = _likelihood(module.maximum(read.alpha, 0), read.back_variance)
    is_front, is_back = front * like_front, back * like_back
    total = is_front + is_back + rest
    is_front, is_back = is_front / total, is_back / total
    for value, ours, theirs in ((SUBJECT, is_front, is_back), (BACKGROUND, is_back, is_front)):
        known = problem.trimap == value
        ours[known], theirs[known] = 1, 0
    near_front, near_back, floor = box_mean(is_front, size), box_mean(is_back, size), np.float32(COMMON)
    rest = (rest + floor) * (1 - near_front - near_back + floor)
    is_front = (front + floor) * (near_front + floor) * like_front
    is_back = (back + floor) * (near_back + floor) * like_back
    settled: Array = (is_front + rest * mixed) / (is_front + is_back + rest)
    return settled


def _likelihood(distance: Array, variance: Array) -> Array:
    """Density of a normal distribution at a distance from its mean."""
    module = xp(distance)
    density: Array = module.exp(distance * distance * np.float32(-0.5) / variance) / module.sqrt(
        variance * np.float32(2 * np.pi)
    )
    return density
