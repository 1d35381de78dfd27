"""Makes trimaps: a band of unknown alpha along an edge, known subject inside, background outside.

The band is wider where the subject is like hair: where, outside its usual width, there still are
colours of the other side.
"""

from __future__ import annotations

import math

import numpy as np

from vfx_matte.backend import Array, box_mean, distance_to_zero, enlarged, shrunk, xp
from vfx_matte.matting import compiled
from vfx_matte.matting.local_colors import BLOCK_PX, WINDOWS, LocalColors, dot
from vfx_matte.matting.problem import SUBJECT, UNKNOWN
from vfx_matte.matting.sizes import BAND_PX, LEAST_BAND_PX
from vfx_matte.settings.options import MatteSettings

HAIR_PX = 96
"""How far the band may reach to each side of the edge along hair, at 1080 lines; scaled with the
frame.
"""

HAIR_WINDOW_PX = 48
"""Side of the window in which hair is looked for, at 1080 lines."""

CLUTTER_WINDOW_PX, CLUTTER = 240, 1.0
"""Side of the window in which clutter is looked for, at 1080 lines, and how much of it is expected
at the edge.
"""

TRUST_SCALE = 3
"""How many times larger than usual the blocks are in which it is seen whether colours can be
trusted.
"""

TRUST_WINDOW_PX = 960
"""Side of the window in which that is seen, at 1080 lines: colours that mislead may be far off, and
there must be enough known pixels on both sides of every edge.
"""

MISREAD = (0.064, 0.084)
"""Share of known pixels read as the other side, of both sides added up, up to which colours are
trusted, and from which on they are not. On average drawn clips have 0.01 to 0.05, real ones where
colours tore or flickered (bench/edges.py) 0.08 to 0.23.
"""

NEARBY_WINDOW_PX, DEEP_PX = 48, (6, 12)
"""Side of the window in which colours are tried once more, around every pixel, and the distance
from the edge at which pixels begin to count there, and from which on they count fully: all at 1080
lines. A shoe has hardly a pixel that is deeper inside; from 4 px on, hair lost trust where a mask
is 3 px too large (docs/matting.md).
"""

MISREAD_NEARBY = (0.4, 0.6)
"""Share of that window's pixels of one side read as the other, up to which colours are trusted, and
from which on they are not. So high that single hairs beside an edge, which rightly are read so,
cost little trust.
"""

SURE_ENOUGH = 2
"""How many times less sure than usual a model may be to tell hair."""

TEXTURE = 0.15
"""Alpha up to which a side's own texture is read."""

HAIR_SHARES = (0.012, 0.04)
"""Share of the other side's colours in that window up to which the band is as usual, and from which
on it is widest.
"""


def band_px(settings: MatteSettings, shape: tuple[int, int]) -> float:
    """Width of the band in a frame of this (H, W), before it widens along hair."""
    # 24 px instead of 32 were tried: less harm, but glass is lost (docs/matting.md)
    if settings.band is not None:
        return settings.band
    return max(LEAST_BAND_PX, BAND_PX * min(shape) / 1080)


def widest_px(settings: MatteSettings, shape: tuple[int, int]) -> float:
    """How far the band reaches outwards at most: half of `band_px` when the user chose it, else as
    far as hair may.
    """
    return (
        settings.band / 2
        if settings.band is not None
        else max(LEAST_BAND_PX, HAIR_PX * min(shape) / 1080)
    )


def signed_distance(binary: Array) -> Array:
    """Distance of every pixel to the edge of uint8 0 and 1 in px, positive inside: float32 (h, w).

    Measured to the nearest pixel that touches the other side, half a pixel before the edge; far
    away where there is none.
    """
    if compiled.usable(binary):
        from vfx_matte.matting.compiled import distance as compiled_distance

        return compiled_distance.signed_distance(binary)
    # 0 where a pixel touches the other side: the distance to these is the same for both sides
    module = xp(binary)
    apart = module.ones_like(binary)
    beside, below = (
        (binary[:, 1:] == binary[:, :-1]).view(np.uint8),
        (binary[1:] == binary[:-1]).view(np.uint8),
    )
    for part, alike in (
        (apart[:, 1:], beside),
        (apart[:, :-1], beside),
        (apart[1:], below),
        (apart[:-1], below),
    ):
        module.multiply(part, alike, out=part)
    distance = distance_to_zero(apart)
    distance += np.float32(0.5)
    distance *= binary * np.float32(2) - np.float32(1)
    return distance


def trimap_of(
    distance: Array, *, half_px: float, hairy: Array | None = None, widest_px: float = 0.0
) -> Array:
    """A band along the edge: uint8 (h, w) of a trimap's values.

    Args:
        distance: from `signed_distance`.
        half_px: how far the band reaches to each side.
        hairy: from `hairiness`, float32 (h, w) in 0..1; the more of it, the wider the band; None
            keeps it as it is.
        widest_px: how far it reaches where all is hair.
    """
    if hairy is not None and compiled.usable(distance):
        from vfx_matte.matting.compiled.band import fill_band

        filled = np.empty(distance.shape, np.uint8)
        least, wider = np.float32(half_px), np.float32(widest_px - half_px)
        fill_band(distance, least, wider, hairy, np.uint8(SUBJECT), np.uint8(UNKNOWN), filled)
        return filled
    reach: Array | float = half_px if hairy is None else half_px + (widest_px - half_px) * hairy
    trimap: Array = (distance > 0) * np.uint8(SUBJECT)
    trimap[xp(distance).abs(distance) < reach] = UNKNOWN
    return trimap


def hairiness(
    distance: Array, colors: LocalColors, trusted: Array, *, half_px: float, widest_px: float
) -> Array:
    """How hair-like the edge is around every pixel, as far as colours are trusted there.

    Args:
        distance: from `signed_distance`.
        colors: of both sides nearby.
        trusted: from `trust`.
        half_px: half the usual band.
        widest_px: how far hair may reach.

    Returns:
        Float32 (h, w) in 0..1.
    """
    likely: Array = (
        enlarged(hair(distance, colors, half_px, widest_px), colors.block_px, distance.shape)
        * trusted
    )
    return likely


def trust(distance: Array, colors: LocalColors, *, half_px: float) -> Array:
    """How far colours tell the sides apart around every pixel: float32 (h, w) in 0..1.

    They are tried where the side is known, beyond the usual band: full trust where hardly anything
    there is read as the other side, none where the subject's colours are all over the background,
    or the other way round. Hair may reach farther, but so little of it that it does not count, and
    many a subject (a dog, a leg) has no pixel that is deeper inside. That is looked at from farther
    away than an edge: colors is a model of blocks TRUST_SCALE times larger than usual.
    """
    # how much of every block is read as the side where it is not
    module = xp(distance)
    side = _sides(distance, colors.block_px, colors.alpha.shape)
    wrong_side = module.where(side > 0, 1 - colors.alpha, colors.alpha)
    # farther away the other side's colours are not known
    farthest_px = WINDOWS[-1][0] // 2 * colors.block_px
    # blocks are TRUST_SCALE times larger, and windows are counted in usual ones
    window_px = TRUST_WINDOW_PX / TRUST_SCALE
    # the shares of both sides are added up: an edge may be torn by either
    misread = module.zeros_like(wrong_side)
    for known in (
        (side > half_px) & (side < farthest_px),
        (side < -half_px) & (side > -farthest_px),
    ):
        misread += _window_sum(wrong_side * known, window_px) / (
            _window_sum(known, window_px) + np.float32(1e-3)
        )
    # a slope and no step between trust and none, so that an edge does not jump from frame to frame
    low, high = MISREAD
    return enlarged(
        module.clip((high - misread) / (high - low), 0, 1).astype(np.float32),
        colors.block_px,
        distance.shape,
    )


def trust_nearby(
    image: Array, distance: Array, near: LocalColors, rough: LocalColors, *, scale: float
) -> Array:
    """How far colours tell the sides apart in the near surroundings of every pixel.

    A small part with colours of its own (a shoe, a strap) may be like the background where all else
    is told apart so well that `trust` does not notice. It is read as the other side from its edge
    to its middle, where it surely is no background.

    Args:
        image: R'G'B', uint8 (h, w, 3).
        distance: from `signed_distance`.
        near: colours of both sides in blocks of the usual size.
        rough: the same in blocks TRUST_SCALE times larger.
        scale: of the frame against 1080 lines.

    Returns:
        Float32 (h, w) in 0..1.
    """
    # blocks of both sizes consist of whole ones of this size
    block_px = math.gcd(near.block_px, rough.block_px)
    means = near.means if block_px == near.block_px else shrunk(image, block_px)
    shape = int(means.shape[0]), int(means.shape[1])
    model = enlarged(rough.model[..., :4], rough.block_px // block_px, shape)
    alpha, side = (
        enlarged(near.alpha, near.block_px // block_px, shape),
        _sides(distance, block_px, shape),
    )
    window_px = NEARBY_WINDOW_PX * scale * BLOCK_PX / block_px
    start, full = (px * scale for px in DEEP_PX)
    if compiled.usable(distance):
        from vfx_matte.matting.compiled import band

        trusted = band.trust_nearby(
            means, model, alpha, side,
            deep_px=(start, full), window=_window(window_px), misread=MISREAD_NEARBY,
        )  # fmt: skip
        return enlarged(trusted, block_px, distance.shape)
    # both readings count half: the near one knows the colours of thin parts that it has learned
    # rightly, the rough one tells better what it has not learned from the part itself
    module, colors = xp(distance), means.astype(np.float32) * np.float32(1 / 255)
    read_far = module.clip(dot(colors, model) + model[..., 3], 0, 1)
    alpha = (alpha + read_far) * np.float32(0.5)
    wrong_side = module.where(side > 0, 1 - alpha, alpha)
    # the deeper a pixel is, the surer its side
    deep = module.clip((module.abs(side) - start) / (full - start), 0, 1)
    misread = module.zeros_like(wrong_side)
    for known in (deep * (side > 0), deep * (side <= 0)):
        # where hardly a pixel is deep enough, nothing is held against the colours
        share = _window_sum(wrong_side * known, window_px) / (
            _window_sum(known, window_px) + np.float32(1e-2)
        )
        misread = module.maximum(misread, share)
    low, high = MISREAD_NEARBY
    return enlarged(
        module.clip((high - misread) / (high - low), 0, 1).astype(np.float32),
        block_px,
        distance.shape,
    )


def hair(distance: Array, colors: LocalColors, half_px: float, widest_px: float) -> Array:
    """How hair-like the edge is around every block: float32 (blocks down, across) in 0..1.

    The share of the other side's colours among the pixels between `half_px` and `widest_px` from
    the edge, less what is to be expected there: such colours are part of a side's own clutter when
    they are as common still farther away.
    """
    # the other side's colours in every block, where the model is sure enough to tell
    module, side = xp(distance), _sides(distance, colors.block_px, colors.alpha.shape)
    if compiled.usable(distance):
        from vfx_matte.matting.compiled import band

        return band.hair(
            colors.alpha, colors.sure, side,
            reaches_px=(half_px, widest_px), sure_enough=SURE_ENOUGH, texture=TEXTURE,
            windows=(_window(HAIR_WINDOW_PX), _window(CLUTTER_WINDOW_PX)), clutter=CLUTTER,
            shares=HAIR_SHARES,
        )  # fmt: skip
    foreign = module.where(side > 0, 1 - colors.alpha, colors.alpha) * module.minimum(
        colors.sure * np.float32(SURE_ENOUGH), 1
    )
    away = module.abs(side)
    foreign = module.maximum(foreign - TEXTURE, 0)
    # where hair may be, and beyond
    near, far = (
        (away > start) & (away < stop)
        for start, stop in ((half_px, widest_px), (widest_px, math.inf))
    )
    sides = (side > 0, side <= 0)
    excess = module.zeros_like(foreign)
    # each side by itself: hair before a calm background is hair, whatever the subject's inside is
    for inside in sides:
        clutter = _window_sum(foreign * (far & inside), CLUTTER_WINDOW_PX) / (
            _window_sum(far & inside, CLUTTER_WINDOW_PX) + 1e-3
        )
        excess += _window_sum(
            foreign * (near & inside), HAIR_WINDOW_PX
        ) - CLUTTER * clutter * _window_sum(near & inside, HAIR_WINDOW_PX)
    low, high = HAIR_SHARES
    likely: Array = module.clip((excess - low) / (high - low), 0, 1).astype(np.float32)
    return likely


def _sides(distance: Array, block_px: int, shape: tuple[int, int]) -> Array:
    """The signed distance in the middle of every block; shape: (blocks down, across)."""
    # the last block may reach beyond the region, and its middle with it
    side: Array = xp(distance).ascontiguousarray(
        distance[block_px // 2 :: block_px, block_px // 2 :: block_px]
    )
    missing = [(0, want - have) for want, have in zip(shape, side.shape, strict=True)]
    return (
        xp(distance).pad(side, missing, mode="edge") if any(sum(pair) for pair in missing) else side
    )


def _window_sum(values: Array, window_px: float) -> Array:
    """Mean around each block in a window of this side, in px of which a block has BLOCK_PX."""
    return box_mean(values.astype(np.float32), _window(window_px))


def _window(window_px: float) -> int:
    """The odd side of a window in blocks, from px of which a block has BLOCK_PX."""
    return max(3, round(window_px / BLOCK_PX)) | 1
