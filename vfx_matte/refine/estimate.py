"""Alpha from the picture, in the band along a mask's edge. Takes ids, a picture and an estimator, gives a Matte."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from vfx_matte.backend import Array, Region, bounding_box, box_mean, xp
from vfx_matte.masks import Image, Mask, Matte
from vfx_matte.refine.estimators import SUBJECT, UNKNOWN, AlphaEstimator, AlphaProblem, open_estimator
from vfx_matte.refine.local_colors import block_size, learn_colors
from vfx_matte.refine.mask_edges import check_soft, cleaned, finished, frame_shape, refine, refine_soft, softened
from vfx_matte.refine.options import EdgeOptions
from vfx_matte.refine.trimap import TRUST_SCALE, band_px, signed_distance, trimap_of, trust, widest_px

FAR_PX = 48
"""How far beyond the widest band the picture is looked at, at 1080 lines."""

RAMP_PX = 4.0
"""Width of the edge that is taken for likely where the colours of the picture tell nothing, at 1080 lines."""

SMOOTHING_PX, STEEPNESS = 21, 5.0
"""Side of the window in which a mask's own edge is smoothed, at 1080 lines, and how steep it is made again."""

_ONE = 65535


def make_matte(
    mask: Mask,
    *,
    image: Image | None = None,
    soft: Mapping[int, Array] | None = None,
    objects: tuple[int, ...] | None = None,
    options: EdgeOptions,
    estimator: AlphaEstimator | None = None,
) -> Matte:
    """One matte of the chosen objects taken together, by the method that the options name.

    mask: uint8 (H, W) of object ids; objects: the ids to keep, None = every id. image: uint8 (H, W, 3) R'G'B', needed by
    the methods that look at the picture (`options.needs_picture`). soft: probabilities as in `refine_soft`; not used by
    "hard". estimator: opened before, for speed; None opens the one of the options. All arrays on one device.
    Returns a Matte on the same device as `refine`, `refine_soft` or `refine_picture` does.
    Raises ValueError for arrays of other shapes or types, UsageError when the estimator cannot be opened.
    """
    if options.needs_picture:
        if image is None:
            raise ValueError(f"edges {options.method!r} need the picture")
        chosen = estimator or open_estimator(options.method)
        return refine_picture(mask, image, soft=soft, objects=objects, options=options, estimator=chosen)
    if soft is None or options.method == "hard":
        return refine(mask, objects=objects, options=options)
    return refine_soft(mask, soft, objects=objects, options=options)


def refine_picture(
    mask: Mask,
    image: Image,
    *,
    soft: Mapping[int, Array] | None = None,
    objects: tuple[int, ...] | None = None,
    options: EdgeOptions,
    estimator: AlphaEstimator,
) -> Matte:
    """Make one matte whose edge is estimated from the picture, as `make_matte` says.

    Alpha is exactly 0 and 1 outside the band (before growing and feathering). Returns uint16 0..65535.
    """
    shape = frame_shape(mask)
    if image.shape != (*shape, 3) or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 {(*shape, 3)}")
    if soft is not None:
        check_soft(mask, soft, objects)
    module = xp(mask)
    alpha = module.zeros(shape, np.uint16)
    width_px, scale = band_px(options, shape), min(shape) / 1080
    reach_px = widest_px(options, shape)
    block_px = math.lcm(block_size(scale), block_size(TRUST_SCALE * scale))  # the same blocks on every frame, wherever it is
    margin_px = options.reach_px + math.ceil(reach_px + width_px + FAR_PX * scale) + options.window_px(shape)
    region = bounding_box(mask, margin_px=margin_px, step=(block_px, block_px))
    if region is None:
        return Matte(alpha)
    binary = cleaned(mask, region, objects, options)
    distance = signed_distance(binary)
    if soft is None:
        prior = module.clip(0.5 + distance / np.float32(RAMP_PX * max(scale, 0.25)), 0, 1)
        own_edge = _smoothed(binary, max(3, round(SMOOTHING_PX * scale)) | 1)
    else:
        edged = softened(binary, region, soft, objects, shape=shape, options=options)
        prior = own_edge = edged.astype(np.float32) * np.float32(1 / _ONE)
    picture = image[region]
    colors = learn_colors(picture, distance, band_px=width_px, scale=scale)
    trusted = trust(picture, distance, band_px=width_px, widest_px=reach_px, scale=scale)
    adapting = colors if options.band_px is None else None
    trimap = trimap_of(distance, half_px=width_px / 2, colors=adapting, trusted=trusted, widest_px=reach_px)
    found: Array = (trimap == SUBJECT) * np.uint16(_ONE)
    for tile, place, inner in _tiles(trimap, math.ceil(estimator.margin_px * max(1.0, scale)), estimator.tile_px):
        part = AlphaProblem(
            image=picture[place].astype(np.float32) * np.float32(1 / 255),
            trimap=trimap[place],
            prior=prior[place],
            own_edge=own_edge[place],
            distance=distance[place],
            colors=colors,
            trusted=trusted[place],
            place=place,
            half_px=width_px / 2,
            scale=scale,
        )
        values = module.rint(module.clip(estimator(part)[inner], 0, 1) * _ONE).astype(np.uint16)
        found[tile] = module.where(trimap[tile] == UNKNOWN, values, found[tile])
    alpha[region] = finished(found, options, options.feather_px)
    return Matte(alpha)


def _smoothed(binary: Array, window_px: int) -> Array:
    """A mask's own edge without its steps, soft over a fifth of the window: uint8 0 and 1 to float32 in 0..1."""
    module = xp(binary)
    share = box_mean(binary.astype(np.float32), window_px)
    smoothed: Array = module.clip(0.5 + np.float32(STEEPNESS) * (share - 0.5), 0, 1)
    return smoothed


def _tiles(trimap: Array, margin_px: int, tile_px: int) -> Iterator[tuple[Region, Region, Region]]:
    """Tiles with something unknown: the unknown part, the same with a margin, and the part inside that margin.

    Tiles bound the memory, and empty parts cost nothing.
    """
    height, width = trimap.shape
    for top in range(0, height, tile_px):
        for left in range(0, width, tile_px):
            unknown = (trimap[top : top + tile_px, left : left + tile_px] == UNKNOWN).view(np.uint8)
            box = bounding_box(unknown)
            if box is None:
                continue
            rows, columns = (slice(part.start + at, part.stop + at) for part, at in zip(box, (top, left), strict=True))
            outer_rows = slice(max(0, rows.start - margin_px), min(height, rows.stop + margin_px))
            outer_columns = slice(max(0, columns.start - margin_px), min(width, columns.stop + margin_px))
            inner = (
                slice(rows.start - outer_rows.start, rows.stop - outer_rows.start),
                slice(columns.start - outer_columns.start, columns.stop - outer_columns.start),
            )
            yield (rows, columns), (outer_rows, outer_columns), inner
