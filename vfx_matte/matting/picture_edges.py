"""Alpha from the picture, in the band along a mask's edge.

Takes ids, a picture and an estimator, gives a Matte.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from vfx_matte.backend import Array, Region, both, bounding_box, box_mean, side_by_side, xp
from vfx_matte.masks import Image, Mask, Matte
from vfx_matte.matting import sizes
from vfx_matte.matting.estimators import open_estimator
from vfx_matte.matting.local_colors import LocalColors, block_size, learn_colors
from vfx_matte.matting.mask_edges import (
    check_soft,
    cleaned,
    finished,
    frame_shape,
    refine,
    refine_soft,
    softened,
)
from vfx_matte.matting.pieces import joined
from vfx_matte.matting.problem import SUBJECT, UNKNOWN, AlphaEstimator, AlphaProblem
from vfx_matte.matting.trimap import (
    TRUST_SCALE,
    band_px,
    hairiness,
    signed_distance,
    trimap_of,
    trust,
    widest_px,
)
from vfx_matte.settings.options import MatteSettings

FAR_PX = 48
"""How far beyond the widest band the picture is looked at, at 1080 lines."""

RAMP_PX = 4.0
"""Width of the edge that is taken for likely where the colours of the picture tell nothing, at 1080
lines.
"""

SMOOTHING_PX, STEEPNESS = 21, 5.0
"""Side of the window in which a mask's own edge is smoothed, at 1080 lines, and how steep it is
made again. It is smoothed twice: after once the steps of a propagated mask still flicker
(bench/edges.py, the dog: 5.11 % after once, 4.96 % then).
"""

_ONE = 65535


@dataclass(frozen=True, slots=True)
class Edge:
    """All that is known of an edge before alpha is estimated: arrays of one region of the frame, on
    one device.

    region: the region. binary: the mask as it is treated, uint8 (h, w) of 0 and 1. picture: uint8
    (h, w, 3). The others are those of AlphaProblem, for the whole region.
    """

    region: Region
    binary: Array
    picture: Image
    trimap: Array
    prior: Array
    own_edge: Array
    distance: Array
    colors: LocalColors
    rough: LocalColors
    trusted: Array
    hairy: Array
    scale: float

    def part(self, place: Region) -> AlphaProblem:
        """What an estimator is given for a part of the region."""
        return AlphaProblem(
            image=self.picture[place].astype(np.float32) * np.float32(1 / 255),
            trimap=self.trimap[place],
            prior=self.prior[place],
            own_edge=self.own_edge[place],
            distance=self.distance[place],
            colors=self.colors,
            rough=self.rough,
            trusted=self.trusted[place],
            hairy=self.hairy[place],
            place=place,
            scale=self.scale,
        )


class _Tile(NamedTuple):
    """The unknown part of a tile, the same with a margin, and the part inside that margin."""

    tile: Region
    place: Region
    inner: Region


def make_matte(
    mask: Mask,
    *,
    image: Image | None = None,
    soft: Mapping[int, Array] | None = None,
    objects: tuple[int, ...] | None = None,
    options: MatteSettings,
    estimator: AlphaEstimator | None = None,
) -> Matte:
    """One matte of the chosen objects taken together, by the method that the options name.

    mask: uint8 (H, W) of object ids; objects: the ids to keep, None = every id. image: uint8 (H, W,
    3) R'G'B', needed by the methods that look at the picture (`options.method.from_picture`). soft:
    probabilities as in `refine_soft`; not used by "hard". estimator: opened before, for speed; None
    opens the one of the options. All arrays on one device. Returns a Matte on the same device as
    `refine`, `refine_soft` or `refine_picture` does.
    Raises ValueError for arrays of other shapes or types, UsageError when the estimator cannot be
    opened.
    """
    if options.method.from_picture:
        if image is None:
            raise ValueError(f"edges {options.edges!r} need the picture")
        chosen = estimator or open_estimator(options.edges)
        return refine_picture(
            mask, image, soft=soft, objects=objects, options=options, estimator=chosen
        )
    if soft is None or not options.method.uses_probabilities:
        return refine(mask, objects=objects, options=options)
    return refine_soft(mask, soft, objects=objects, options=options)


def tidied(
    matte: Matte, mask: Mask, *, objects: tuple[int, ...] | None = None, options: MatteSettings
) -> Matte:
    """A matte without loose pieces and holes, as `make_matte` leaves it: for what was changed after
    that (`Stabilizer`).

    Arguments are those of `make_matte`, whose matte it is; a matte of uint8 or uint16 gives one of
    the same dtype.
    """
    shape = frame_shape(mask)
    specks_px, holes_px = sizes.specks_px(options, shape), sizes.holes_px(options, shape)
    region = bounding_box(matte.alpha, margin_px=1)
    if region is None or not (specks_px or holes_px):
        return matte
    binary, step = cleaned(mask, region, objects, options), _ONE // matte.full
    alpha = matte.alpha[region].astype(np.uint16) * np.uint16(step)
    part = joined(
        alpha, binary, specks_px=specks_px, holes_px=holes_px, anchored=options.method.from_picture
    )
    tidy = matte.alpha.copy()
    tidy[region] = (part // step).astype(matte.alpha.dtype)
    return Matte(tidy)


def refine_picture(
    mask: Mask,
    image: Image,
    *,
    soft: Mapping[int, Array] | None = None,
    objects: tuple[int, ...] | None = None,
    options: MatteSettings,
    estimator: AlphaEstimator,
) -> Matte:
    """Make one matte whose edge is estimated from the picture, as `make_matte` says.

    Alpha is exactly 0 and 1 outside the band (before growing and feathering). Returns uint16
    0..65535.
    """
    shape = frame_shape(mask)
    if image.shape != (*shape, 3) or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 {(*shape, 3)}")
    if soft is not None:
        check_soft(mask, soft, objects)
    module = xp(mask)
    alpha = module.zeros(shape, np.uint16)
    edge = find_edge(mask, image, soft=soft, objects=objects, options=options)
    if edge is None:
        return Matte(alpha)
    trimap, found = edge.trimap, (edge.trimap == SUBJECT) * np.uint16(_ONE)

    def fill(part: _Tile) -> None:
        values = module.clip(estimator(edge.part(part.place))[part.inner], 0, 1)
        codes = module.rint(values * _ONE).astype(np.uint16)
        found[part.tile] = module.where(trimap[part.tile] == UNKNOWN, codes, found[part.tile])

    tiles = list(
        _tiles(trimap, math.ceil(estimator.margin_px * max(1.0, edge.scale)), estimator.tile_px)
    )
    if estimator.in_threads:
        # so that all threads end together
        largest_first = sorted(tiles, key=lambda part: found[part.place].size, reverse=True)
        side_by_side(fill, largest_first, on=mask)
    else:
        for part in tiles:
            fill(part)
    alpha[edge.region] = finished(found, edge.binary, options, options.feather, shape=shape)
    return Matte(alpha)


def find_edge(
    mask: Mask,
    image: Image,
    *,
    soft: Mapping[int, Array] | None = None,
    objects: tuple[int, ...] | None = None,
    options: MatteSettings,
) -> Edge | None:
    """What is known of a mask's edge before alpha is estimated; None when nothing is there.

    Arguments are `make_matte`'s.
    """
    shape = frame_shape(mask)
    width_px, scale, reach_px = (
        band_px(options, shape),
        min(shape) / 1080,
        widest_px(options, shape),
    )
    # the same blocks on every frame, wherever it is
    block_px = math.lcm(block_size(scale), block_size(TRUST_SCALE * scale))
    margin_px = (
        sizes.reach_px(options)
        + math.ceil(reach_px + width_px + FAR_PX * scale)
        + sizes.window_px(options, shape)
    )
    region = bounding_box(mask, margin_px=margin_px, step=(block_px, block_px))
    if region is None:
        return None
    binary, picture = cleaned(mask, region, objects, options), image[region]
    distance = signed_distance(binary)

    def rest() -> tuple[LocalColors, Array, Array, Array]:
        rough = learn_colors(picture, distance, band_px=width_px, scale=TRUST_SCALE * scale)
        trusted = trust(distance, rough, half_px=width_px / 2)
        if soft is not None:
            edged = softened(binary, region, soft, objects, shape=shape, options=options).astype(
                np.float32
            )
            edged *= np.float32(1 / _ONE)
            return rough, trusted, edged, edged
        ramp = xp(mask).clip(0.5 + distance / np.float32(RAMP_PX * max(scale, 0.25)), 0, 1)
        return rough, trusted, ramp, _smoothed(binary, max(3, round(SMOOTHING_PX * scale)) | 1)

    learn = partial(learn_colors, picture, distance, band_px=width_px, scale=scale)
    colors, (rough, trusted, prior, own_edge) = both(learn, rest, on=mask)
    usual = MatteSettings(edges=options.edges)  # hair is hair, whatever band was chosen
    hairy = hairiness(
        distance,
        colors,
        trusted,
        half_px=band_px(usual, shape) / 2,
        widest_px=widest_px(usual, shape),
    )
    trimap = trimap_of(
        distance,
        half_px=width_px / 2,
        hairy=hairy if options.band is None else None,
        widest_px=reach_px,
    )
    return Edge(
        region,
        binary,
        picture,
        trimap,
        prior,
        own_edge,
        distance,
        colors,
        rough,
        trusted,
        hairy,
        scale,
    )


def _smoothed(binary: Array, window_px: int) -> Array:
    """A mask's own edge without its steps, soft over a fifth of the window: uint8 0 and 1 to
    float32 in 0..1.
    """
    module = xp(binary)
    share = box_mean(box_mean(binary.astype(np.float32), window_px), window_px)
    smoothed: Array = module.clip(0.5 + np.float32(STEEPNESS) * (share - 0.5), 0, 1)
    return smoothed


def _tiles(trimap: Array, margin_px: int, tile_px: int) -> Iterator[_Tile]:
    """Tiles with something unknown. They bound the memory, and empty parts cost nothing."""
    height, width = trimap.shape
    for top in range(0, height, tile_px):
        for left in range(0, width, tile_px):
            unknown = (trimap[top : top + tile_px, left : left + tile_px] == UNKNOWN).view(np.uint8)
            box = bounding_box(unknown)
            if box is None:
                continue
            rows, columns = (
                slice(part.start + at, part.stop + at)
                for part, at in zip(box, (top, left), strict=True)
            )
            outer_rows = slice(max(0, rows.start - margin_px), min(height, rows.stop + margin_px))
            outer_columns = slice(
                max(0, columns.start - margin_px), min(width, columns.stop + margin_px)
            )
            inner = (
                slice(rows.start - outer_rows.start, rows.stop - outer_rows.start),
                slice(columns.start - outer_columns.start, columns.stop - outer_columns.start),
            )
            yield _Tile((rows, columns), (outer_rows, outer_columns), inner)
