"""Makes edges from masks and probabilities alone: smooths, cleans, grows, feathers.

Every step works inside the bounding box of the objects only, because whole frames are what costs at
1080p and above.

Edges come from the mask alone (`refine`), or from the propagator's probabilities as well
(`refine_soft`). In both the mask says where the subject is; probabilities only shape its edge, so
no haze is left over the background and no hole inside.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vfx_matte.backend import Array, Region, bounding_box, box_sum, squared_distance, xp
from vfx_matte.masks import Mask, Matte, object_ids
from vfx_matte.matting import sizes
from vfx_matte.matting.pieces import without_holes, without_loose_pieces, without_specks
from vfx_matte.settings.options import MatteSettings

SOFT_REACH_PX, LEAST_SOFT_REACH_PX = 16, 4
"""How far a soft edge reaches to each side of the hard one: at 1080 lines, scaled with the frame;
and at least.
"""

SOFT_LEVELS = (0.1, 0.9)
"""Probabilities up to the first are background, from the second on the subject.

They lie evenly around 0.5.
"""

_ONE = 65535  # alpha 1.0 in 16 bits
_TAPS_SHIFT = 15  # weights of the feather are multiples of 2^-15


def refine(mask: Mask, *, objects: tuple[int, ...] | None = None, settings: MatteSettings) -> Matte:
    """Make one matte of the chosen objects taken together.

    Args:
        mask: object ids, uint8 (H, W), NumPy or CuPy.
        objects: the ids to keep; None is every id. Ids that are not in this mask are simply not
            there.
        settings: how the mask's edge is treated.

    Returns:
        A matte on the same device: uint8 with 0 and 255 only when there is no feather, else uint16
        0..65535, whatever the mask holds, so that the type never changes within a clip.

    Raises:
        ValueError: the mask is not uint8 (H, W).
    """
    feather_px = sizes.blur_px(settings, frame_shape(mask))
    feathered = feather_px > 0
    alpha = xp(mask).zeros(mask.shape, np.uint16 if feathered else np.uint8)
    region = bounding_box(mask, margin_px=sizes.reach_px(settings) + math.ceil(feather_px / 2))
    if region is None:
        return Matte(alpha)
    binary = _grow(clean_mask(mask, region, objects, settings), settings.grow)
    alpha[region] = _feather(binary, feather_px) if feathered else binary * 255
    return Matte(alpha)


def refine_soft(
    mask: Mask,
    soft: Mapping[int, Array],
    *,
    objects: tuple[int, ...] | None = None,
    settings: MatteSettings,
) -> Matte:
    """Make one matte of the chosen objects taken together, with the edges that their probabilities
    have.

    The order is that of MatteSettings. Specks, holes and median treat the mask, as in `refine`.
    Then, with b the mask's edge, s the signed distance to it (positive inside, 0 half a pixel
    before the nearest pixel of the other side), W the reach of soft edges (`soft_reach_px`) and q
    the objects' probabilities added up and averaged over `mean_px`:

        r = S((q - low) / (high - low)),  S(t) = 3t² - 2t³ of t clipped to [0, 1],
        alpha = r, but at most 1 + s/W and at least s/W,  (low, high) = SOFT_LEVELS

    So alpha is ½ where the probability is, exactly 0 and 1 from W px on, and never jumps. Averaging
    turns the steps of a mask that was given (its probabilities are 0 and 1) into an edge about as
    wide as those around it. Growing and shrinking then dilate and erode alpha by the same round
    brush, and the feather is a weighted mean that makes of a straight hard edge what it makes of it
    in `refine`.

    Args:
        mask: object ids, uint8 (H, W), NumPy or CuPy.
        soft: object id → probabilities, uint8 (H, W), 255 = certain, on the mask's device; of the
            chosen objects at least, others are not looked at.
        objects: the ids to keep; None is every id.
        settings: how the mask's edge is treated.

    Returns:
        A matte on the same device, uint16 0..65535, whatever the arguments hold.

    Raises:
        ValueError: an array is not uint8 of the mask's (H, W), or an object's probabilities are not
            there.
    """
    # how far the result may lie outside of the mask decides what part of the frame is looked at
    shape = frame_shape(mask)
    check_soft(mask, soft, objects)
    alpha = xp(mask).zeros(shape, np.uint16)
    feather_px = sizes.blur_px(settings, shape)
    margin_px = (
        sizes.reach_px(settings)
        + math.ceil(soft_reach_px(shape) + feather_px / 2)
        + sizes.mean_px(settings, shape)
    )
    region = bounding_box(mask, margin_px=margin_px)
    if region is None:
        return Matte(alpha)
    binary = clean_mask(mask, region, objects, settings)
    shaped = soften_edges(binary, region, soft, objects, shape=shape, settings=settings)
    alpha[region] = finish_alpha(shaped, binary, settings, feather_px, shape=shape)
    return Matte(alpha)


def frame_shape(mask: Mask) -> tuple[int, int]:
    """(H, W) of a mask.

    Raises:
        ValueError: it is not uint8 (H, W).
    """
    _check(mask)
    height, width = mask.shape
    return int(height), int(width)


def check_soft(mask: Mask, soft: Mapping[int, Array], objects: tuple[int, ...] | None) -> None:
    """Check probabilities.

    Raises:
        ValueError: those of a chosen object are not there, or not uint8 of the mask's (H, W).
    """
    for object_id in soft if objects is None else objects:
        if (
            object_id not in soft
            or soft[object_id].shape != mask.shape
            or soft[object_id].dtype != np.uint8
        ):
            raise ValueError(
                f"soft result of object {object_id} is not there, or not uint8 {mask.shape}"
            )


def clean_mask(
    mask: Mask, region: Region, objects: tuple[int, ...] | None, settings: MatteSettings
) -> Array:
    """The chosen objects inside a region of the frame without specks and holes, and smoothed: uint8
    0 and 1.

    The median may leave smaller pieces and holes than it was given; these go too.
    """
    # specks and holes first, so that they have no vote in the median
    specks_px, holes_px = settings.remove_specks or 0, settings.fill_holes or 0
    window_px = sizes.window_px(settings, frame_shape(mask))
    binary = without_holes(without_specks(_select(mask[region], objects), specks_px), holes_px)
    if window_px == 1:
        return binary
    return without_holes(without_specks(_median(binary, window_px), specks_px), holes_px)


def soften_edges(
    binary: Array,
    region: Region,
    soft: Mapping[int, Array],
    objects: tuple[int, ...] | None,
    *,
    shape: tuple[int, int],
    settings: MatteSettings,
) -> Array:
    """Alpha of what `clean_mask` gave, with the edges of the objects' probabilities (see
    `refine_soft`): uint16 0..65535.

    Args:
        binary: what `clean_mask` gave for the region.
        region: the part of the frame.
        soft: probabilities of whole frames, as in `refine_soft`.
        objects: the ids to keep; None is every id.
        shape: (H, W) of the frame.
        settings: how wide probabilities are averaged.
    """
    chosen = tuple(soft) if objects is None else objects
    probability = _sum_probabilities([soft[object_id][region] for object_id in chosen], like=binary)
    return _soften(
        binary, probability, reach_px=soft_reach_px(shape), mean_px=sizes.mean_px(settings, shape)
    )


def finish_alpha(
    alpha: Array,
    binary: Array,
    settings: MatteSettings,
    feather_px: float,
    *,
    shape: tuple[int, int],
) -> Array:
    """Drop loose pieces and fill holes, grow or shrink, then feather.

    Args:
        alpha: of a region, uint16 0..65535; so is the result.
        binary: what `clean_mask` gave for the region.
        settings: how the edge is treated.
        feather_px: width of the feather.
        shape: (H, W) of the frame.
    """
    # pieces go before growing, which would join them to the subject
    tidy = without_loose_pieces(
        alpha,
        binary,
        specks_px=sizes.specks_px(settings, shape),
        holes_px=sizes.holes_px(settings, shape),
        anchored=settings.method.from_picture,
    )
    return _weighted_mean(_grow_alpha(tidy, settings.grow), feather_px)


def soft_reach_px(shape: tuple[int, int]) -> float:
    """How far soft edges reach to each side of the hard one, in a frame of this (H, W)."""
    return max(LEAST_SOFT_REACH_PX, SOFT_REACH_PX * min(shape) / 1080)


def refine_objects(mask: Mask, *, settings: MatteSettings) -> Mask:
    """Smooth the edges of every object and give ids again; ids are voted for, never mixed.

    Each pixel takes the id (background included) that fills most of its median window; among equals
    its own id wins, then the lowest. With one object this is the median. Only background pixels are
    taken by filled holes and by growing (towards the nearest object; the lowest id among equals),
    and shrinking moves only edges against the background. A feather has no meaning for ids.

    Args:
        mask: object ids, uint8 (H, W), NumPy or CuPy.
        settings: how edges are treated.

    Returns:
        uint8 (H, W) with ids from `mask` only.

    Raises:
        ValueError: the mask is not uint8 (H, W).
    """
    _check(mask)
    result: Mask = xp(mask).zeros(mask.shape, np.uint8)
    region = bounding_box(mask, margin_px=1 + max(0, settings.grow))
    if region is None:
        return result
    ids = mask[region].copy()
    present = object_ids(ids)
    ids = _tidy_ids(ids, present, settings)
    window_px = sizes.window_px(settings, frame_shape(mask))
    if window_px > 1:
        ids = _tidy_ids(_majority_ids(ids, present, window_px), present, settings)
    result[region] = _grow_objects(ids, present, settings.grow)
    return result


def _check(mask: Mask) -> None:
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected uint8 (H, W)")


def _ones(condition: Array) -> Array:
    """Bool to uint8 0 and 1."""
    ones: Array = condition.view(np.uint8)
    return ones


def _select(ids: Array, objects: tuple[int, ...] | None) -> Array:
    """1 where an id is chosen: uint8 (H, W)."""
    if objects is None:
        return _ones(ids != 0)
    chosen = xp(ids).zeros(ids.shape, bool)
    for object_id in objects:
        chosen |= ids == object_id
    return _ones(chosen)


def _tidy_ids(ids: Array, present: tuple[int, ...], settings: MatteSettings) -> Array:
    """Drop the specks of every object, then fill its holes where they are background; in place."""
    # a hole that another object fills is that object
    for object_id in present:
        own = _ones(ids == object_id)
        kept = without_specks(own, settings.remove_specks or 0)
        ids[(own != 0) & (kept == 0)] = 0
        ids[(without_holes(kept, settings.fill_holes or 0) != 0) & (ids == 0)] = object_id
    return ids


def _median(binary: Array, window_px: int) -> Array:
    """Exact median with repeated borders: the median of zeros and ones is 1 where ones fill more
    than half the window.
    """
    if window_px == 1:
        return binary
    # a count by running sums costs the same for every window, where sorting would not
    return _ones(box_sum(binary, window_px) > window_px * window_px // 2)


def _grow(binary: Array, grow_px: int) -> Array:
    """Dilate by a disk of this radius, or erode by one when it is negative."""
    if grow_px > 0:
        return _ones(squared_distance(1 - binary) <= grow_px * grow_px)
    if grow_px < 0:
        return _ones(squared_distance(binary) > grow_px * grow_px)
    return binary


def _feather(binary: Array, feather_px: float) -> Array:
    """Soften a hard edge: uint8 0/1 → uint16 0..65535, the complement of the mask giving the
    complement of alpha.

    With s the signed distance to the edge, which lies half a pixel before the nearest pixel of the
    other side, t = ½ + s / feather clipped to [0, 1] and alpha = 3t² − 2t³, whose slope is zero at
    both ends (no visible line there).
    """
    # squared distances are whole numbers, so a table holds every value there is; only the upper
    # half is computed, and the other side is its mirror image to the last bit
    reach = math.ceil(feather_px / 2 + 0.5)
    distance = np.sqrt(np.arange(reach * reach + 1, dtype=np.float64))
    t = np.clip(0.5 + (distance - 0.5) / feather_px, 0.5, 1.0)
    table = np.rint(65535 * (3 * t**2 - 2 * t**3)).astype(np.uint16)
    module = xp(binary)
    both_sides = module.where(binary != 0, squared_distance(binary), squared_distance(1 - binary))
    strength = module.asarray(table)[module.minimum(both_sides, reach * reach)]
    softened: Array = module.where(binary != 0, strength, 65535 - strength)
    return softened


def _majority_ids(ids: Array, present: tuple[int, ...], window_px: int) -> Array:
    """Give every pixel the id with the most pixels in its window.

    Doubled counts leave room for the tie rule.
    """
    if window_px == 1:
        return ids
    # background first: among equals a later id does not beat an earlier one
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


def _grow_objects(ids: Array, present: tuple[int, ...], grow_px: int) -> Array:
    # shrinking: the outline of all objects together, so that no gap opens between two that touch
    if grow_px < 0:
        return ids * _grow(_ones(ids != 0), grow_px)
    if grow_px == 0:
        return ids
    # growing: each pixel in reach goes to the nearest object
    module = xp(ids)
    grown: Array = ids.copy()
    nearest = module.full(ids.shape, grow_px * grow_px + 1, np.int32)
    for object_id in present:
        distance = squared_distance(_ones(ids != object_id))
        # its own pixels are at distance 0, so no other object takes them
        grown[distance < nearest] = object_id
        nearest = module.minimum(nearest, distance)
    return grown


def _sum_probabilities(probabilities: list[Array], *, like: Array) -> Array:
    """Add up objects' probabilities: uint8 (H, W) each → uint8 (H, W), at most 255; 0 when there is
    none.
    """
    if len(probabilities) == 1:
        return probabilities[0]
    module = xp(like)
    total = module.zeros(like.shape, np.uint16)
    for probability in probabilities:
        total += probability
    added: Array = module.minimum(total, 255).astype(np.uint8)
    return added


def _soften(binary: Array, probability: Array, *, reach_px: float, mean_px: int) -> Array:
    """Give a hard edge the softness of its probabilities, as `refine_soft` says: uint8 0/1 and
    0..255 → uint16 0..65535.

    Everything is rounded so that the complements of both arguments give the complement of alpha.
    """
    # the probability around every pixel, in 16 bits, and the alpha that it asks for
    module = xp(binary)
    area = mean_px * mean_px
    mean = (
        (box_sum(probability, mean_px) * 257 + area // 2) // area
        if mean_px > 1
        else probability.astype(np.int32) * 257
    )
    wanted = module.asarray(_remap_table())[mean]
    # how much alpha may differ from the hard edge, by the distance to it: nothing beyond the reach,
    # so that probabilities leave no haze far outside
    reach = math.ceil(reach_px + 0.5)
    outwards = np.sqrt(np.arange(reach * reach + 1, dtype=np.float64)) - 0.5
    room = np.rint(_ONE * np.clip(1 - outwards / reach_px, 0, 1)).astype(np.uint16)
    nearest = module.where(binary != 0, squared_distance(binary), squared_distance(1 - binary))
    allowed = module.asarray(room)[module.minimum(nearest, reach * reach)]
    edged: Array = module.where(
        binary != 0, module.maximum(wanted, _ONE - allowed), module.minimum(wanted, allowed)
    )
    return edged


@functools.cache
def _remap_table() -> npt.NDArray[np.uint16]:
    """Alpha of every probability in 16 bits: smoothstep between SOFT_LEVELS, its upper half
    mirrored into the lower.
    """
    # half of the table is computed and mirrored, so that complements stay exact
    low, high = SOFT_LEVELS
    t = np.clip((np.arange(_ONE // 2 + 1, _ONE + 1) / _ONE - low) / (high - low), 0, 1)
    upper = np.rint(_ONE * (3 * t**2 - 2 * t**3)).astype(np.uint16)
    return np.concatenate([_ONE - upper[::-1], upper])


def _grow_alpha(alpha: Array, grow_px: int) -> Array:
    """Dilate alpha by a disk of this radius, or erode by one when it is negative: what `_grow`
    is at every threshold.
    """
    if grow_px < 0:
        return _ONE - _dilate(_ONE - alpha, -grow_px)
    return _dilate(alpha, grow_px) if grow_px else alpha


def _dilate(alpha: Array, radius_px: int) -> Array:
    """The largest value within a disk; beyond the border there is nothing.

    The disk is taken row by row. The maximum of a row's run comes from two overlapping ones whose
    length is a power of two (van Herk's idea in its doubling form), so a row costs the same
    whatever its length.
    """
    # `longest` is the maximum of `length` pixels to the right; rows come from the disk's top to its
    # middle, so runs only grow and each doubling is made once
    module = xp(alpha)
    height, width = alpha.shape
    result: Array = alpha.copy()
    longest = module.pad(alpha, ((0, 0), (radius_px, radius_px)))
    length = 1
    for row in range(radius_px, -1, -1):
        half = math.isqrt(radius_px * radius_px - row * row)
        while 2 * length <= 2 * half + 1:
            longest = module.maximum(longest[:, :-length], longest[:, length:])
            length *= 2
        first, last = radius_px - half, radius_px + half + 1 - length
        across = module.maximum(longest[:, first : first + width], longest[:, last : last + width])
        # the row serves above and below the middle, as a disk is symmetric
        below, above = result[row:], result[: max(0, height - row)]
        below[:] = module.maximum(below, across[: max(0, height - row)])
        above[:] = module.maximum(above, across[row:])
    return result


def _weighted_mean(alpha: Array, feather_px: float) -> Array:
    """Average uint16 alpha so that a straight edge of 0 and 65535 becomes the feather of
    `_feather`; borders repeat.

    A weight is the rise of the feather's smoothstep across one pixel; both axes, one after the
    other.
    """
    if feather_px == 0:
        return alpha
    # weights are whole numbers that add up to 2^15: sums are exact on every device
    module = xp(alpha)
    reach = math.ceil(feather_px / 2 + 0.5)
    t = np.clip(0.5 + (np.arange(reach + 1) + 0.5) / feather_px, 0.5, 1)
    upper = np.rint((3 * t**2 - 2 * t**3) * (1 << _TAPS_SHIFT)).astype(np.int64)
    weights = np.diff(
        np.concatenate([(1 << _TAPS_SHIFT) - upper[::-1], upper])
    ).tolist()  # of -reach … reach
    for axis in (0, 1):
        size = alpha.shape[axis]
        sides = ((reach, reach), (0, 0)) if axis == 0 else ((0, 0), (reach, reach))
        padded = module.pad(alpha, sides, mode="edge").astype(np.uint32)
        # half of the divisor to begin with, so that the shift rounds
        total = module.full(alpha.shape, 1 << (_TAPS_SHIFT - 1), np.uint32)
        for offset, weight in enumerate(weights):
            if weight:
                part = (
                    padded[offset : offset + size]
                    if axis == 0
                    else padded[:, offset : offset + size]
                )
                total += part * np.uint32(weight)
        alpha = (total >> np.uint32(_TAPS_SHIFT)).astype(np.uint16)
    return alpha
