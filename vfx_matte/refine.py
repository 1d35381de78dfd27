"""Mask to matte: smooth, clean, grow and feather edges. Takes object ids, gives alpha or ids again; knows no file and no time.

Every step works inside the bounding box of the objects only, because whole frames are what costs at 1080p and above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vfx_matte.backend import Array, bounding_box, box_sum, components, squared_distance, xp
from vfx_matte.errors import UsageError
from vfx_matte.masks import Mask, Matte, object_ids

LARGEST_EDGE_PX = 500
"""Upper bound of feather and grow, so that distances are exact (see backend.squared_distance)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeOptions:
    """How a mask's edge is treated; all sizes in pixels of the source.

    The order is fixed: specks, holes, median, grow or shrink, feather. Specks and holes go first so that they have no vote
    in the median; growing comes after it so that the distance is measured from the edge the eye sees.

    remove_specks_area_px: a piece (8-connected) of at most this area, in pixels, is dropped; 0 = off.
    fill_holes_area_px: a hole (4-connected, not touching the frame's edge) of at most this area is filled; 0 = off.
    median_px: odd side of the median's window, at most 255; 0 or 1 = off; None = 21 at 1080 lines, scaled with the frame.
    grow_px: radius by which the edge moves outwards with a round brush; negative shrinks. Frame borders do not move.
    feather_px: width of the soft edge, half inside and half outside; alpha is 0.5 on the hard edge. 0 = hard.

    Raises UsageError for values outside these ranges.
    """

    median_px: int | None = None
    feather_px: float = 0.0
    grow_px: int = 0
    fill_holes_area_px: int = 0
    remove_specks_area_px: int = 0

    def __post_init__(self) -> None:
        median = self.median_px
        if median is not None and median != 0 and (median % 2 == 0 or not 1 <= median <= 255):
            raise UsageError(f"median is {median} px, expected 0 (off) or an odd number from 1 to 255")
        if not 0 <= self.feather_px <= LARGEST_EDGE_PX:
            raise UsageError(f"feather is {self.feather_px} px, expected 0 to {LARGEST_EDGE_PX}")
        if abs(self.grow_px) > LARGEST_EDGE_PX:
            raise UsageError(f"grow is {self.grow_px} px, expected -{LARGEST_EDGE_PX} to {LARGEST_EDGE_PX}")
        for name, area in (("holes", self.fill_holes_area_px), ("specks", self.remove_specks_area_px)):
            if area < 0:
                raise UsageError(f"area of {name} is {area} px, expected 0 (off) or more")

    def window_px(self, shape: tuple[int, int]) -> int:
        """The odd side of the median's window for a frame of this (H, W); 1 = off.

        The automatic size follows the shorter side, so that a portrait clip is treated as the same clip lying down.
        """
        if self.median_px is None:
            return int(21 * min(shape) / 1080) | 1
        return max(1, self.median_px)

    @property
    def reach_px(self) -> int:
        """How far the result can lie outside the bounding box of the mask; at least 1, a frame of background."""
        return 1 + max(0, self.grow_px) + math.ceil(self.feather_px / 2)


def refine(mask: Mask, *, objects: tuple[int, ...] | None = None, options: EdgeOptions) -> Matte:
    """Make one matte of the chosen objects taken together.

    mask: uint8 (H, W) of object ids, NumPy or CuPy; objects: the ids to keep, None = every id. Ids that are not in this
    mask are simply not there. Returns a Matte on the same device: uint8 with 0 and 255 only when `feather_px` is 0, else
    uint16 0..65535, whatever the mask holds, so that the type never changes within a clip.
    Raises ValueError when the mask is not uint8 (H, W).
    """
    _check(mask)
    feathered = options.feather_px > 0
    alpha = xp(mask).zeros(mask.shape, np.uint16 if feathered else np.uint8)
    region = bounding_box(mask, margin_px=options.reach_px)
    if region is None:
        return Matte(alpha)
    binary = _without_holes(_without_specks(_chosen(mask[region], objects), options), options)
    binary = _resized(_median(binary, options.window_px(mask.shape)), options.grow_px)
    alpha[region] = _feathered(binary, options.feather_px) if feathered else binary * 255
    return Matte(alpha)


def refine_objects(mask: Mask, *, options: EdgeOptions) -> Mask:
    """Smooth the edges of every object and give ids again; ids are voted for, never mixed.

    mask: uint8 (H, W), NumPy or CuPy. Each pixel takes the id (background included) that fills most of its median window;
    among equals its own id wins, then the lowest. With one object this is the median. Only background pixels are taken by
    filled holes and by growing (towards the nearest object; the lowest id among equals), and shrinking moves only edges
    against the background. `feather_px` has no meaning for ids and is not used.
    Returns uint8 (H, W) with ids from `mask` only. Raises ValueError when the mask is not uint8 (H, W).
    """
    _check(mask)
    result: Mask = xp(mask).zeros(mask.shape, np.uint8)
    region = bounding_box(mask, margin_px=1 + max(0, options.grow_px))
    if region is None:
        return result
    ids = mask[region].copy()
    present = object_ids(ids)
    for object_id in present:
        own = _ones(ids == object_id)
        kept = _without_specks(own, options)
        ids[(own != 0) & (kept == 0)] = 0
        ids[(_without_holes(kept, options) != 0) & (ids == 0)] = object_id
    ids = _voted(ids, present, options.window_px(mask.shape))
    result[region] = _resized_objects(ids, present, options.grow_px)
    return result


def _check(mask: Mask) -> None:
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected uint8 (H, W)")


def _ones(condition: Array) -> Array:
    """Bool to uint8 0 and 1."""
    ones: Array = condition.view(np.uint8)
    return ones


def _chosen(ids: Array, objects: tuple[int, ...] | None) -> Array:
    """1 where an id is chosen: uint8 (H, W)."""
    if objects is None:
        return _ones(ids != 0)
    chosen = xp(ids).zeros(ids.shape, bool)
    for object_id in objects:
        chosen |= ids == object_id
    return _ones(chosen)


def _median(binary: Array, window_px: int) -> Array:
    """Exact median with repeated borders: the median of zeros and ones is 1 where ones fill more than half the window."""
    if window_px == 1:
        return binary
    return _ones(box_sum(binary, window_px) > window_px * window_px // 2)


def _without_specks(binary: Array, options: EdgeOptions) -> Array:
    if not options.remove_specks_area_px:
        return binary
    labels, count = components(binary, diagonal=True)
    keep = xp(binary).bincount(labels.reshape(-1), minlength=count + 1) > options.remove_specks_area_px
    keep[0] = False
    return _ones(keep[labels])


def _without_holes(binary: Array, options: EdgeOptions) -> Array:
    """Fill holes. A hole that meets the crop's border meets either the outer background or the frame's edge: no hole."""
    if not options.fill_holes_area_px:
        return binary
    labels, count = components(1 - binary, diagonal=False)
    fill = xp(binary).bincount(labels.reshape(-1), minlength=count + 1) <= options.fill_holes_area_px
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        fill[border] = False
    fill[0] = False
    return binary | _ones(fill[labels])


def _resized(binary: Array, grow_px: int) -> Array:
    """Dilate by a disk of this radius, or erode by one when it is negative."""
    if grow_px > 0:
        return _ones(squared_distance(1 - binary) <= grow_px * grow_px)
    if grow_px < 0:
        return _ones(squared_distance(binary) > grow_px * grow_px)
    return binary


def _feathered(binary: Array, feather_px: float) -> Array:
    """Soften a hard edge: uint8 0/1 → uint16 0..65535, the complement of the mask giving the complement of alpha.

    With s the signed distance to the edge, which lies half a pixel before the nearest pixel of the other side,
    t = ½ + s / feather clipped to [0, 1] and alpha = 3t² − 2t³, whose slope is zero at both ends (no visible line there).
    """
    reach = math.ceil(feather_px / 2 + 0.5)
    distance = np.sqrt(np.arange(reach * reach + 1, dtype=np.float64))
    t = np.clip(0.5 + (distance - 0.5) / feather_px, 0.5, 1.0)
    table = np.rint(65535 * (3 * t**2 - 2 * t**3)).astype(np.uint16)
    module = xp(binary)
    both_sides = module.where(binary != 0, squared_distance(binary), squared_distance(1 - binary))
    strength = module.asarray(table)[module.minimum(both_sides, reach * reach)]
    softened: Array = module.where(binary != 0, strength, 65535 - strength)
    return softened


def _voted(ids: Array, present: tuple[int, ...], window_px: int) -> Array:
    """Give every pixel the id with the most pixels in its window. Doubled counts leave room for the tie rule."""
    if window_px == 1:
        return ids
    module = xp(ids)
    winner: Array = module.zeros_like(ids)
    best = module.full(ids.shape, -1, np.int32)
    for object_id in (0, *present):
        own = _ones(ids == object_id)
        score = 2 * box_sum(own, window_px) + own
        better = score > best
        winner[better] = object_id
        best = module.maximum(best, score)
    return winner


def _resized_objects(ids: Array, present: tuple[int, ...], grow_px: int) -> Array:
    if grow_px < 0:
        return ids * _resized(_ones(ids != 0), grow_px)
    if grow_px == 0:
        return ids
    module = xp(ids)
    grown: Array = ids.copy()
    nearest = module.full(ids.shape, grow_px * grow_px + 1, np.int32)
    for object_id in present:
        distance = squared_distance(_ones(ids != object_id))
        grown[distance < nearest] = object_id  # its own pixels are at distance 0, so no other object takes them
        nearest = module.minimum(nearest, distance)
    return grown
