"""Estimates the subject's own colours along its edge.

Where a sample's alpha is full it stays as it is, bit for bit. Where it is soft it becomes the
estimated foreground, and so do samples just outside, so that a program which scales or blurs
straight alpha meets no background there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from vfx_matte.backend import (
    Array,
    Region,
    bounding_box,
    box_mean,
    enlarged,
    shrunk,
    widened_span,
    xp,
)
from vfx_matte.compiling import is_loaded
from vfx_matte.masks import Matte
from vfx_matte.matting import compiled
from vfx_matte.matting.planes import alpha_in, block_scale, footprint_means, with_color_planes
from vfx_matte.picture import Picture, require_same_size, subsampled

REACH_PX = 64
"""How far around the soft edge colours are looked for, at 1080 lines; scaled with the frame."""

OUTWARDS_PX = 4
"""How far outside the soft edge samples are replaced, at 1080 lines."""

TIGHTNESS = 1e-2
"""How strongly the colours of a window keep to those of the next coarser level, against one opaque
pixel of evidence.
"""

WINDOW = 5
"""Side of the windows, in samples of their level."""

DAMPING = 2.0
"""How little of what the windows' colours do not explain is given to a soft sample; it is noise as
often as texture.
"""

LEVELS = 8
"""Each level is half the size of the one before."""


@dataclass(slots=True)
class FoundBefore:
    """What was found of one frame's matte, for pictures of that frame in other layouts: the levels
    of alpha, and planes that these may have, too (luma, whose samples no chroma changes).
    """

    matte: Matte
    """Whose edges it is about: other mattes need another one of these."""

    levels: dict[int, Any] = field(default_factory=dict)
    """`Levels` by the side of their blocks."""

    planes: list[tuple[object, Array, Array]] = field(default_factory=list)
    """What a plane was cleaned with, its samples before, and after."""


def estimate_foreground(
    picture: Picture, matte: Matte, before: FoundBefore | None = None
) -> Picture:
    """Take the background out of the pixels of a soft edge.

    With α the mean of alpha over the pixels a sample covers, colours F and B are sought with I = αF
    + (1 − α)B. In windows around every sample F and B are taken as constant and found by least
    squares, each level leaning on the next coarser one (the multi-level idea of Germer et al., ICPR
    2020, with windows instead of neighbours); then the remainder e is given to both: F += α·e / (α²
    + (1 − α)² + DAMPING·(1 − α)), where without DAMPING the equation would hold exactly.

    Args:
        picture: any layout; an alpha plane stays.
        matte: of the picture's (H, W), on its device.
        before: what other pictures of the frame have brought, and this one adds to; the result is
            the same. None where there are no others.

    Returns:
        A picture of the same layout; the arrays given are not changed, and a plane may be one that
        another picture has got.

    Raises:
        ValueError: sizes differ, or `before` is about another matte.
    """
    require_same_size(picture, matte.alpha)
    if before is not None and before.matte is not matte:
        raise ValueError("what was found before is about another matte")
    # sizes are powers of two, as levels are: larger frames begin with larger blocks
    scale = block_scale(picture)
    block_px = max(2 * scale, 1 << max(picture.layout.chroma_shift))
    region = _around_soft(matte, REACH_PX * scale, 8 * scale)
    if region is None:
        return picture
    reach = OUTWARDS_PX * scale // block_px
    if compiled.usable(matte.alpha):
        return _compiled_foreground(picture, before or FoundBefore(matte), region, block_px, reach)
    alpha = alpha_in(matte, region)
    # alpha's levels are found once for all planes; `near` says where samples are replaced
    levels = _levels(shrunk(alpha, block_px))
    soft = ((matte.alpha[region] != 0) & (matte.alpha[region] != matte.full)).astype(np.float32)
    near = box_mean(shrunk(soft, block_px), 2 * reach + 1) > 0

    # each plane at its own size: chroma that is subsampled is not guessed at more places
    def clean_plane(index: int) -> Array:
        plane, shift = picture.planes[index], picture.layout.plane_shift(index)
        part = subsampled(region, shift)
        image, weight = _unit(plane[part], picture.layout.full), footprint_means(alpha, shift)
        sides = _colors(_to_blocks(image, shift, block_px, levels[0].alpha.shape), levels)
        colors = [_at_samples(side, shift, block_px, weight.shape) for side in sides]
        wanted = (_at_samples(near.astype(np.float32), shift, block_px, weight.shape) > 0) & (
            weight < 1
        )
        # the remainder belongs to few samples, so that it is computed for these alone
        soft_samples = xp(image).nonzero(wanted)
        found = _add_remainder(
            image[soft_samples], weight[soft_samples], *(side[soft_samples] for side in colors)
        )
        result: Array = plane.copy()
        result[part][soft_samples] = _codes(found, picture)
        return result

    return with_color_planes(picture, clean_plane, on=matte.alpha)


def _around_soft(matte: Matte, margin_px: int, step: int) -> Region | None:
    """The part of a frame where colours are looked for: as `bounding_box` of what is soft."""
    # edges of the mask alone have nothing soft, and Numba is not loaded to find that
    if not (compiled.usable(matte.alpha) and is_loaded()):
        soft = ((matte.alpha != 0) & (matte.alpha != matte.full)).view(np.uint8)
        return bounding_box(soft, margin_px=margin_px, step=(step, step))
    from vfx_matte.matting.compiled.subject import soft_box

    found = soft_box(matte.alpha, matte.full)
    if found is None:
        return None
    rows, columns = (
        widened_span(*span, size, margin_px=margin_px, step=step)
        for span, size in zip((found[:2], found[2:]), matte.alpha.shape, strict=True)
    )
    return rows, columns


def _compiled_foreground(
    picture: Picture,
    before: FoundBefore,
    region: Region,
    block_px: int,
    reach: int,
) -> Picture:
    """What `estimate_foreground` gives, in fewer steps; samples are replaced `reach` blocks around
    a soft one.
    """
    from vfx_matte.matting.compiled.subject import clean, find_levels

    # region and reach follow from the matte and the side of blocks
    matte, levels = before.matte, before.levels.get(block_px)
    if levels is None:
        levels = before.levels[block_px] = find_levels(
            matte.alpha, matte.full, region, block_px=block_px, reach=reach, most=LEVELS
        )

    def clean_plane(index: int) -> Array:
        plane, shift = picture.planes[index], picture.layout.plane_shift(index)
        peak = picture.layout.full
        how = block_px, shift, peak
        # comparing takes a tenth of what cleaning does
        for other, samples, cleaned in before.planes:
            if other == how and np.array_equal(samples, plane):
                return cleaned
        found = clean(plane, levels, shift=shift, peak=peak, tight=TIGHTNESS, damping=DAMPING)
        # of subsampled chroma another layout has other samples
        if index == 0:
            before.planes.append((how, plane, found))
        return found

    return with_color_planes(picture, clean_plane, on=matte.alpha)


def _unit(plane: Array, peak: int) -> Array:
    """Code values as float32 in 0..1."""
    scaled: Array = plane.astype(np.float32) * np.float32(1 / peak)
    return scaled


def _to_blocks(
    image: Array, shift: tuple[int, int], block_px: int, shape: tuple[int, ...]
) -> Array:
    """A plane's means over blocks of `block_px` of the full plane: `shape` (h, w)."""
    x, y = shift
    factor = min(block_px >> x, block_px >> y)
    small = shrunk(image, max(1, factor))
    across, down = (block_px >> x) // max(1, factor), (block_px >> y) // max(1, factor)
    # 4:2:2 and 4:4:0 have samples that are not square
    if down > 1 or across > 1:
        small = footprint_means(small, (across.bit_length() - 1, down.bit_length() - 1))
    return small[: shape[0], : shape[1]]


def _at_samples(
    values: Array, shift: tuple[int, int], block_px: int, shape: tuple[int, ...]
) -> Array:
    """Block values at every sample of a plane of `shape` (h, w)."""
    x, y = shift
    factor = max(1, min(block_px >> x, block_px >> y))
    across, down = (block_px >> x) // factor, (block_px >> y) // factor
    if down > 1 or across > 1:
        values = values.repeat(down, axis=0).repeat(across, axis=1)
    return enlarged(values, factor, (int(shape[0]), int(shape[1])))


def _add_remainder(image: Array, alpha: Array, front: Array, back: Array) -> Array:
    """F with its share of what the windows' colours do not explain; exactly I where alpha is 1."""
    error = image - alpha * front - (1 - alpha) * back
    result: Array = front + alpha * error / (
        alpha * alpha + (1 - alpha) ** 2 + DAMPING * (1 - alpha)
    )
    return result


def _codes(values: Array, picture: Picture) -> Array:
    """0..1 as code values of the picture's planes."""
    module = xp(values)
    codes: Array = module.rint(module.clip(values, 0, 1) * picture.layout.full).astype(
        picture.planes[0].dtype
    )
    return codes


class _Level(NamedTuple):
    """Alpha of one level, and the means of α and α² in its windows: float32 (h, w)."""

    alpha: Array
    mean: Array
    squared: Array


def _levels(alpha: Array) -> list[_Level]:
    """The levels of alpha, which all planes share; the first is the finest."""
    # α² is averaged by itself: the square of a mean is not the mean of squares
    moments = [(alpha, alpha * alpha)]
    while max(moments[-1][0].shape) > 2 and len(moments) < LEVELS:
        moments.append((shrunk(moments[-1][0], 2), shrunk(moments[-1][1], 2)))
    return [
        _Level(mean, box_mean(mean, WINDOW), box_mean(squared, WINDOW)) for mean, squared in moments
    ]


def _colors(image: Array, levels: list[_Level]) -> tuple[Array, Array]:
    """F and B of every block of a plane: two float32 (h, w) from its means and those of alpha."""
    moments = [(image, levels[0].alpha * image)]
    for _ in levels[1:]:
        moments.append((shrunk(moments[-1][0], 2), shrunk(moments[-1][1], 2)))
    # coarse to fine: the coarsest level leans on grey, each other one on the level before
    front = back = xp(image).full(moments[-1][0].shape, 0.5, np.float32)
    for number, (level, (colors, weighted)) in enumerate(
        zip(reversed(levels), reversed(moments), strict=True)
    ):
        if number:
            front, back = (enlarged(side, 2, colors.shape) for side in (front, back))
        front, back = _windows(
            level, box_mean(colors, WINDOW), box_mean(weighted, WINDOW), front, back
        )
    return front, back


def _windows(
    level: _Level, image: Array, weighted: Array, front: Array, back: Array
) -> tuple[Array, Array]:
    """F and B of every window by least squares, leaning on coarser ones: the 2 × 2 normal
    equations, by Cramer's rule.
    """
    # the sums of α², α(1 − α) and (1 − α)² in a window, and TIGHTNESS on the diagonal, so that the
    # determinant is never 0: a window that is all subject keeps the coarser background
    both, tight = level.mean - level.squared, np.float32(TIGHTNESS)
    a = level.squared + tight
    d = 1 + tight - level.mean - both
    right_front, right_back = weighted + tight * front, image - weighted + tight * back
    factor = 1 / (a * d - both * both)
    return (d * right_front - both * right_back) * factor, (
        a * right_back - both * right_front
    ) * factor
