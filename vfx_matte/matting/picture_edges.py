"""Finds alpha in the picture, in the band along a mask's edge."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from vfx_matte.backend import Array, Region, both, bounding_box, box_mean, side_by_side, xp
from vfx_matte.masks import Image, Mask, Matte
from vfx_matte.matting import compiled, sizes
from vfx_matte.matting.estimators import open_estimator
from vfx_matte.matting.local_colors import LocalColors, block_size, learn_colors
from vfx_matte.matting.mask_edges import (
    check_soft,
    clean_mask,
    finish_alpha,
    frame_shape,
    refine,
    refine_soft,
    soften_edges,
)
from vfx_matte.matting.pieces import without_loose_pieces
from vfx_matte.matting.problem import SUBJECT, UNKNOWN, AlphaEstimator, AlphaProblem
from vfx_matte.matting.trimap import (
    TRUST_SCALE,
    band_px,
    hairiness,
    signed_distance,
    trimap_of,
    trust,
    trust_nearby,
    widest_px,
)
from vfx_matte.settings.options import MatteSettings

# the colours of both sides are learned from what is known there
FAR_PX = 48
"""How far beyond the widest band the picture is looked at, at 1080 lines."""

SMOOTHING_PX, STEEPNESS = 21, 5.0
"""Side of the window in which a mask's own edge is smoothed, at 1080 lines, and how steep it is
made again. It is smoothed twice: after once the steps of a propagated mask still flicker
(bench/edges.py, the dog: 5.11 % after once, 4.96 % then).
"""

THIN_SHARE, THIN = 0.6, (0.04, 0.12)
"""Share of the window in which thin parts are smoothed instead, and the mean difference between
both edges around a pixel up to which the wide one counts, and from which on the narrow one does.

The wide window wipes out paws and fingers, as more than half of it is background there. Two
straight edges differ by up to 0.04, as one is steeper. The narrow window alone flickers more than
the median (docs/matting.md).
"""

_ONE = 65535


@dataclass(frozen=True, slots=True)
class Edge:
    """All that is known of an edge before alpha is estimated: arrays of one region of the frame, on
    one device. Those without a description are those of AlphaProblem, for the whole region.
    """

    region: Region
    """Where they lie in the frame."""

    binary: Array
    """The mask as it is treated, uint8 (h, w) of 0 and 1."""

    picture: Image
    """R'G'B', uint8 (h, w, 3)."""

    trimap: Array
    likely: Array | None
    own_edge: Array
    distance: Array
    colors: LocalColors
    rough: LocalColors
    trusted: Array
    hairy: Array
    scale: float

    def part(self, region: Region) -> AlphaProblem:
        """What an estimator is given for a part of the region."""
        return AlphaProblem(
            picture=self.picture[region],
            trimap=self.trimap[region],
            likely=None if self.likely is None else self.likely[region],
            own_edge=self.own_edge[region],
            distance=self.distance[region],
            colors=self.colors,
            rough=self.rough,
            trusted=self.trusted[region],
            hairy=self.hairy[region],
            region=region,
            scale=self.scale,
        )


class _Tile(NamedTuple):
    """A part of the region that is estimated by itself."""

    tile: Region
    """The bounding box of what is unknown in the tile."""

    outer: Region
    """The same with a margin: what the estimator sees."""

    inner: Region
    """Where the tile lies in that."""


def make_matte(
    mask: Mask,
    *,
    image: Image | None = None,
    soft: Mapping[int, Array] | None = None,
    objects: tuple[int, ...] | None = None,
    settings: MatteSettings,
    estimator: AlphaEstimator | None = None,
) -> Matte:
    """One matte of the chosen objects taken together, by the method that the settings name.

    Args:
        mask: object ids, uint8 (H, W).
        image: R'G'B', uint8 (H, W, 3), on the mask's device; needed by the methods that look at the
            picture (`settings.method.from_picture`).
        soft: probabilities as in `refine_soft`; not used by "hard".
        objects: the ids to keep; None is every id.
        settings: the method, and how its edges are treated.
        estimator: opened before, for speed; None opens the one of the settings.

    Returns:
        A matte on the same device, as `refine`, `refine_soft` or `refine_picture` gives it.

    Raises:
        ValueError: arrays of other shapes or types.
        UsageError: the estimator cannot be opened.
    """
    if settings.method.from_picture:
        if image is None:
            raise ValueError(f"edges {settings.edges!r} need the picture")
        chosen = estimator or open_estimator(settings.edges)
        return refine_picture(
            mask, image, soft=soft, objects=objects, settings=settings, estimator=chosen
        )
    if soft is None or not settings.method.uses_probabilities:
        return refine(mask, objects=objects, settings=settings)
    return refine_soft(mask, soft, objects=objects, settings=settings)


def tidied(
    matte: Matte, mask: Mask, *, objects: tuple[int, ...] | None = None, settings: MatteSettings
) -> Matte:
    """A matte without loose pieces and holes, as `make_matte` leaves it: for what was changed after
    that (`Stabilizer`).

    Args:
        matte: of uint8 or uint16; the result has the same dtype.
        mask: as it was given to `make_matte`, whose matte it is.
        objects: likewise.
        settings: likewise.
    """
    shape = frame_shape(mask)
    specks_px, holes_px = sizes.specks_px(settings, shape), sizes.holes_px(settings, shape)
    region = bounding_box(matte.alpha, margin_px=1)
    if region is None or not (specks_px or holes_px):
        return matte
    # pieces are measured in 16 bits; 257 times an 8-bit code is exact in both directions
    binary, step = clean_mask(mask, region, objects, settings), _ONE // matte.full
    alpha = matte.alpha[region].astype(np.uint16) * np.uint16(step)
    part = without_loose_pieces(
        alpha, binary, specks_px=specks_px, holes_px=holes_px, anchored=settings.method.from_picture
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
    settings: MatteSettings,
    estimator: AlphaEstimator,
) -> Matte:
    """Make one matte whose edge is estimated from the picture, as `make_matte` says.

    Returns:
        A matte of uint16, 0..65535; alpha is exactly 0 and 1 outside the band (before growing and
        feathering).
    """
    shape = frame_shape(mask)
    if image.shape != (*shape, 3) or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 {(*shape, 3)}")
    if soft is not None:
        check_soft(mask, soft, objects)
    module = xp(mask)
    alpha = module.zeros(shape, np.uint16)
    edge = find_edge(mask, image, soft=soft, objects=objects, settings=settings)
    if edge is None:
        return Matte(alpha)
    # what is known needs no estimate; tiles fill in the rest
    trimap, found = edge.trimap, (edge.trimap == SUBJECT) * np.uint16(_ONE)

    def fill(part: _Tile) -> None:
        values = estimator(edge.part(part.outer))[part.inner]
        if compiled.usable(values):
            from vfx_matte.matting.compiled.codes import fill_codes

            fill_codes(values, trimap[part.tile], UNKNOWN, found[part.tile])
            return
        values = module.clip(values, 0, 1)
        codes = module.rint(values * _ONE).astype(np.uint16)
        found[part.tile] = module.where(trimap[part.tile] == UNKNOWN, codes, found[part.tile])

    tiles = list(
        _tiles(trimap, math.ceil(estimator.margin_px * max(1.0, edge.scale)), estimator.tile_px)
    )
    if estimator.in_threads:
        # the largest tiles first, so that all threads end together
        largest_first = sorted(tiles, key=lambda part: found[part.outer].size, reverse=True)
        side_by_side(fill, largest_first, on=mask)
    else:
        for part in tiles:
            fill(part)
    alpha[edge.region] = finish_alpha(found, edge.binary, settings, settings.feather, shape=shape)
    return Matte(alpha)


def find_edge(
    mask: Mask,
    image: Image,
    *,
    soft: Mapping[int, Array] | None = None,
    objects: tuple[int, ...] | None = None,
    settings: MatteSettings,
) -> Edge | None:
    """What is known of a mask's edge before alpha is estimated; None when nothing is there.

    Arguments are `make_matte`'s.
    """
    # sizes of this frame: the band, and how far it may widen along hair
    shape = frame_shape(mask)
    width_px, scale, reach_px = (
        band_px(settings, shape),
        min(shape) / 1080,
        widest_px(settings, shape),
    )
    # blocks of colours begin at multiples of their side, on every frame the same, wherever the
    # subject is: otherwise the edge would flicker as the region moves
    block_px = math.lcm(block_size(scale), block_size(TRUST_SCALE * scale))
    margin_px = (
        sizes.reach_px(settings)
        + math.ceil(reach_px + width_px + FAR_PX * scale)
        + sizes.window_px(settings, shape)
    )
    region = bounding_box(mask, margin_px=margin_px, step=(block_px, block_px))
    if region is None:
        return None
    # without gaps between its rows, as what is compiled takes it
    picture = xp(mask).ascontiguousarray(image[region])
    binary = clean_mask(mask, region, objects, settings)
    distance = signed_distance(binary)

    # everything that needs no colours nearby is found in a second thread meanwhile
    def learn_rough() -> tuple[LocalColors, Array, Array | None, Array]:
        rough = learn_colors(picture, distance, band_px=width_px, scale=TRUST_SCALE * scale)
        trusted = trust(distance, rough, half_px=width_px / 2)
        if soft is not None:
            edged = soften_edges(
                binary, region, soft, objects, shape=shape, settings=settings
            ).astype(np.float32)
            edged *= np.float32(1 / _ONE)
            return rough, trusted, edged, edged
        # without probabilities: the mask's edge without its steps
        window_px = max(3, round(SMOOTHING_PX * scale)) | 1
        return rough, trusted, None, smoothed_edge(binary, distance, window_px)

    learn = partial(learn_colors, picture, distance, band_px=width_px, scale=scale)
    colors, (rough, trusted, likely, own_edge) = both(learn, learn_rough, on=mask)
    trusted = trusted * trust_nearby(picture, distance, colors, rough, scale=scale)
    # hair is hair, whatever band was chosen
    usual = MatteSettings(edges=settings.edges)
    hairy = hairiness(
        distance,
        colors,
        trusted,
        half_px=band_px(usual, shape) / 2,
        widest_px=widest_px(usual, shape),
    )
    # a band that was chosen is kept; the automatic one is wider along hair
    trimap = trimap_of(
        distance,
        half_px=width_px / 2,
        hairy=hairy if settings.band is None else None,
        widest_px=reach_px,
    )
    return Edge(
        region,
        binary,
        picture,
        trimap,
        likely,
        own_edge,
        distance,
        colors,
        rough,
        trusted,
        hairy,
        scale,
    )


def smoothed_edge(binary: Array, distance: Array, window_px: int) -> Array:
    """A mask's own edge without its steps, soft over a fifth of the window, thin parts over less.

    Args:
        binary: uint8 (h, w) of 0 and 1.
        distance: from `signed_distance`.
        window_px: odd side of the window.

    Returns:
        Float32 (h, w) in 0..1.
    """
    narrow_px = max(3, round(window_px * THIN_SHARE)) | 1
    if not compiled.usable(binary):
        return _smoothed(binary, window_px, narrow_px)
    from vfx_matte.matting.compiled.own_edge import smoothed

    return smoothed(
        binary, distance, wide_px=window_px, narrow_px=narrow_px, thin=THIN, steepness=STEEPNESS
    )


def _smoothed(binary: Array, window_px: int, narrow_px: int) -> Array:
    """What `smoothed_edge` says, on every device."""
    module, values = xp(binary), binary.astype(np.float32)
    wide, narrow = _softened(values, window_px), _softened(values, narrow_px)
    # a slope and no step, so that a part does not jump from frame to frame as it grows thinner
    difference, (low, high) = narrow - wide, THIN
    thin = module.clip((box_mean(module.abs(difference), window_px) - low) / (high - low), 0, 1)
    smoothed: Array = wide + thin.astype(np.float32) * difference
    return smoothed


def _softened(values: Array, window_px: int) -> Array:
    """Smooth float32 0 and 1 twice in a window, and make the edge steep again."""
    # a window alone makes a ramp as wide as itself; STEEPNESS leaves a fifth of that
    share = box_mean(box_mean(values, window_px), window_px)
    softened: Array = xp(values).clip(0.5 + np.float32(STEEPNESS) * (share - 0.5), 0, 1)
    return softened


def _tiles(trimap: Array, margin_px: int, tile_px: int) -> Iterator[_Tile]:
    """Tiles with something unknown. They bound the memory, and empty parts cost nothing.

    Args:
        trimap: of the region.
        margin_px: how far around a tile the estimator looks.
        tile_px: side of a tile.
    """
    height, width = trimap.shape
    for top in range(0, height, tile_px):
        for left in range(0, width, tile_px):
            # only the bounding box of what is unknown: a band fills a small part of its tile
            unknown = (trimap[top : top + tile_px, left : left + tile_px] == UNKNOWN).view(np.uint8)
            box = bounding_box(unknown)
            if box is None:
                continue
            rows, columns = (
                slice(part.start + at, part.stop + at)
                for part, at in zip(box, (top, left), strict=True)
            )
            # with the margin, as far as the region goes
            outer_rows = slice(max(0, rows.start - margin_px), min(height, rows.stop + margin_px))
            outer_columns = slice(
                max(0, columns.start - margin_px), min(width, columns.stop + margin_px)
            )
            inner = (
                slice(rows.start - outer_rows.start, rows.stop - outer_rows.start),
                slice(columns.start - outer_columns.start, columns.stop - outer_columns.start),
            )
            yield _Tile((rows, columns), (outer_rows, outer_columns), inner)
