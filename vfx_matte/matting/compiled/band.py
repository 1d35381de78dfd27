"""Finds what `trimap` says of blocks and of the band, with all arithmetic in one go."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array, box_mean
from vfx_matte.compiling.jit import compiled

F = np.float32


def hair(
    alpha: Array,
    sure: Array,
    side: Array,
    *,
    reaches_px: tuple[float, float],
    sure_enough: float,
    texture: float,
    windows: tuple[int, int],
    clutter: float,
    shares: tuple[float, float],
) -> Array:
    """What `trimap.hair` gives: float32 (h, w) of blocks, 0..1.

    Args:
        alpha: of the blocks.
        sure: likewise.
        side: the signed distance in the middle of every block, float32 (h, w).
        reaches_px: where hair may be, from and to, in px from the edge.
        sure_enough: how many times less sure than usual a model may be.
        texture: alpha up to which a side's own texture is read.
        windows: sides in blocks of the windows in which hair and clutter are looked for.
        clutter: how much of it is expected at the edge.
        shares: where hair begins, and where all is hair.
    """
    start, stop = reaches_px
    planes = np.empty((8, *alpha.shape), np.float32)
    _part_sides(alpha, sure, side, F(start), F(stop), F(sure_enough), F(texture), planes)
    means = np.stack([box_mean(plane, windows[at >= 4]) for at, plane in enumerate(planes)])
    low, high = shares
    return _exceed(means, F(clutter), F(low), F(1 / (high - low)))


@compiled
def _part_sides(
    alpha: Array, sure: Array, side: Array, start: np.float32, stop: np.float32,
    sure_enough: np.float32, texture: np.float32, planes: Array,
) -> None:  # fmt: skip
    """The other side's colours where hair may be, inside, outside, and how many blocks lie there;
    then the same beyond: float32 (8, h, w).
    """
    one, zero = F(1), F(0)
    for i in range(alpha.shape[0]):
        for j in range(alpha.shape[1]):
            inside, away = side[i, j] > 0, abs(side[i, j])
            foreign = (one - alpha[i, j] if inside else alpha[i, j]) * min(
                sure[i, j] * sure_enough, one
            )
            foreign = max(foreign - texture, zero)
            near = one if (away > start) & (away < stop) else zero
            far = one if away > stop else zero
            front, back = (one, zero) if inside else (zero, one)
            planes[0, i, j] = foreign * near * front
            planes[1, i, j] = foreign * near * back
            planes[2, i, j] = near * front
            planes[3, i, j] = near * back
            planes[4, i, j] = foreign * far * front
            planes[5, i, j] = foreign * far * back
            planes[6, i, j] = far * front
            planes[7, i, j] = far * back


@compiled
def _exceed(means: Array, clutter: np.float32, low: np.float32, per: np.float32) -> Array:
    """How much more of the other side's colours there is than clutter explains, of both sides
    together, as a share of what all hair has.
    """
    found: Array = np.empty_like(means[0])
    least = F(1e-3)
    for i in range(found.shape[0]):
        for j in range(found.shape[1]):
            excess = F(0)
            for which in range(2):
                expected = means[4 + which, i, j] / (means[6 + which, i, j] + least) * clutter
                excess += means[which, i, j] - expected * means[2 + which, i, j]
            found[i, j] = min(max((excess - low) * per, F(0)), F(1))
    return found


def trust_nearby(
    colors: Array,
    model: Array,
    alpha: Array,
    side: Array,
    *,
    deep_px: tuple[float, float],
    window: int,
    misread: tuple[float, float],
) -> Array:
    """What `trimap.trust_nearby` gives, of blocks: float32 (h, w), 0..1.

    Args:
        colors: means of the blocks, R'G'B', uint8 (h, w, 3).
        model: d and its constant from farther away, float32 (h, w, 4).
        alpha: what the near model says of the blocks.
        side: the signed distance in the middle of every block, float32 (h, w).
        deep_px: the distance at which blocks begin to count, and from which on they count fully.
        window: side in blocks of the window in which colours are tried.
        misread: the share read as the other side up to which colours are trusted, and from which on
            they are not.
    """
    start, full = deep_px
    planes = np.empty((4, *side.shape), np.float32)
    _read_deep(colors, model, alpha, side, F(start), F(1 / (full - start)), planes)
    means = np.stack([box_mean(plane, window) for plane in planes])
    low, high = misread
    return _trust_read(means, F(high), F(1 / (high - low)))


@compiled
def _read_deep(
    colors: Array, model: Array, alpha: Array, side: Array, start: np.float32, per: np.float32,
    planes: Array,
) -> None:  # fmt: skip
    """How much is read as the other side, inside, outside, where blocks count, and how much they
    count: float32 (4, h, w).
    """
    one, zero, half, unit = F(1), F(0), F(0.5), F(1 / 255)
    for i in range(side.shape[0]):
        for j in range(side.shape[1]):
            far = (
                colors[i, j, 0] * unit * model[i, j, 0]
                + colors[i, j, 1] * unit * model[i, j, 1]
                + colors[i, j, 2] * unit * model[i, j, 2]
                + model[i, j, 3]
            )
            read = (alpha[i, j] + min(max(far, zero), one)) * half
            inside = side[i, j] > 0
            deep = min(max((abs(side[i, j]) - start) * per, zero), one)
            front, back = (deep, zero) if inside else (zero, deep)
            planes[0, i, j] = (one - read) * front
            planes[1, i, j] = read * back
            planes[2, i, j] = front
            planes[3, i, j] = back


@compiled
def _trust_read(means: Array, high: np.float32, per: np.float32) -> Array:
    """Trust by the larger share of both sides that is read as the other."""
    found: Array = np.empty_like(means[0])
    least = F(1e-2)
    for i in range(found.shape[0]):
        for j in range(found.shape[1]):
            one = means[0, i, j] / (means[2, i, j] + least)
            other = means[1, i, j] / (means[3, i, j] + least)
            misread = max(one, other, F(0))
            found[i, j] = min(max((high - misread) * per, F(0)), F(1))
    return found


@compiled
def fill_band(
    distance: Array, reach: np.float32, wider: np.float32, hairy: Array, subject: np.uint8,
    unknown: np.uint8, trimap: Array,
) -> None:  # fmt: skip
    """What `trimap.trimap_of` gives, into uint8 (h, w): the band reaches `wider` farther than
    `reach` where all is hair.
    """
    for y in range(distance.shape[0]):
        for x in range(distance.shape[1]):
            side = subject if distance[y, x] > 0 else np.uint8(0)
            is_unknown = abs(distance[y, x]) < reach + wider * hairy[y, x]
            trimap[y, x] = unknown if is_unknown else side
