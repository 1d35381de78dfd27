"""Measures of one mask and its picture, such as holes and the edge's width.

Masks of one object are bool (H, W). Areas and widths are in pixels of what is given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.backend import vector_length
from vfx_matte.masks import Image, Mask

Bools = npt.NDArray[np.bool_]
Gray = npt.NDArray[np.uint8]
"""uint8 (H, W): brightness."""
Floats = npt.NDArray[np.float32]

EDGE_LINES = 540
"""The picture's height for edges, at most."""

SPECK_SHARE = 0.02
"""A piece of less than this share of the object's largest piece is a speck."""

# a hole that is smaller, in the picture at EDGE_LINES, is too small to show a colour of its own
_LEAST_HOLE_PX = 9
# steepness of the picture along a hole (`slopes`), above which it has an edge there: a step of
# about 19 code values. True gaps are above it but for one in twenty (docs/qc.md)
_EDGE_SLOPE = 60.0
# a hole's colours are seen beside the object, too, where so many of its pixels have a neighbour
# among the background's colours that is so near (code values); sampled
_BESIDE, _MOST_BESIDE, _HOLE_SAMPLES, _BACK_SAMPLES = 6.0, 0.5, 200, 400
# how far around a hole the object's colour is taken, and the background's, as a share of its size
_RING_PX, _AROUND = 6, 2.0
# distances of mean colours, in code values: of the object and the background to be told apart, and
# of a hole in a flat object; beside that, deviations of the object's own colours
_APART, _ALIKE, _DEVIATIONS = 16.0, 12.0, 2.0

# from the edge: where the picture is compared with the edge itself
_NEAR_PX, _FAR_PX = 4, 9
# what a margin of a pixel adds to a rectangle's place: left, top, width, height, area
_MARGIN = np.array([1, 1, 0, 0, 0], np.int32)
# a shorter edge is as much noise as edge
_LEAST_EDGE_PX = 24
# a picture that differs by less in every channel, in code values after a slight blur, is the same;
# brightness alone would not see a red ball before a green wall
_SAME = 10
# a piece that changes sides is at least so wide, as a part of the square root of the object's area,
# and so large: edges tremble
_PIECE_WIDTH, _LEAST_PIECE_PX = 0.04, 16
# of the picture's width: so near to the border an object touches it
_BORDER_SHARE = 0.004
# OpenCV's DIS refuses smaller pictures
_LEAST_FLOW_PX = 16


class Sight(NamedTuple):
    """What a frame shows of one object."""

    area_px: int
    at_border: bool
    """Whether it touches the picture's border."""


class Pieces(NamedTuple):
    """Holes and specks of one object."""

    holes: int
    """How many."""
    holes_px: int
    """Their area."""
    specks: int
    """How many."""
    specks_px: int
    """Their area."""
    speck_px: int
    """The area of the largest speck; 0 = none."""


class ChangedPiece(NamedTuple):
    """The largest piece that joins or leaves an object, see `changed_sides`."""

    area_px: int
    """Above 0 = it joins, below 0 = it leaves; 0 = there is none."""
    in_specks: float
    """The part of it, 0 … 1, that is loose from the object where it belongs to it."""
    in_holes: float
    """The part of it, 0 … 1, that the object encloses where it does not belong to it."""


class Filling(NamedTuple):
    """Which holes of one object may be faults of its mask, and what filling them would do."""

    edgeless: int
    """How many holes have no edge of the picture along them."""
    edgeless_px: int
    """Their area."""
    faults_px: int
    """Area of those of them in which the picture shows the object: faults of the mask."""
    fault_px: int
    """Area of the largest one; 0 = none."""
    open_px: int
    """Area of the smallest hole in which background may be seen; 0 = none."""


def pieces(mask: Mask, object_id: int) -> Pieces:
    """Count the holes and the specks of an object.

    A hole is background that the object encloses on all sides (4-connected; the picture's border
    encloses nothing, and what is mostly another object is none). A speck is an 8-connected piece of
    less than SPECK_SHARE of the largest one.

    Args:
        mask: uint8 (H, W), object ids.
        object_id: the object.
    """
    inside = (mask == object_id).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(inside)
    if not width:
        return Pieces(0, 0, 0, 0, 0)
    own = inside[y : y + height, x : x + width]
    # specks: the object's own pieces
    count, _, found, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
    areas = found[1:count, cv2.CC_STAT_AREA]
    specks = areas[areas < SPECK_SHARE * areas.max()]
    holes = [int(np.count_nonzero(shape)) for _, shape in _enclosed(mask, object_id)]
    return Pieces(
        len(holes), sum(holes), len(specks), int(specks.sum()), int(specks.max(initial=0))
    )


def touches_border(inside: Bools) -> bool:
    """Whether an object touches the picture's border.

    Args:
        inside: bool (H, W), the object.
    """
    return any(strip.any() for strip in _border(inside))


def sights(mask: Mask) -> dict[int, Sight]:
    """What a mask shows of each object that is on it, by object id.

    Args:
        mask: uint8 (H, W), object ids.
    """
    counts = cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel()
    found = (np.flatnonzero(counts[1:]) + 1).tolist()
    # one look at the border for all objects, and mostly none is there
    strips = [strip for strip in _border(mask) if strip.any()]
    at_border = {one for strip in strips for one in np.flatnonzero(np.bincount(strip.ravel()))}
    return {one: Sight(int(counts[one]), one in at_border) for one in found}


def _border(picture: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """The strips along the four sides of (H, W) in which an object touches the border."""
    reach = max(1, round(_BORDER_SHARE * picture.shape[1]))
    return picture[:reach], picture[-reach:], picture[:, :reach], picture[:, -reach:]


def filling(mask: Mask, object_id: int, image: Image) -> Filling:
    """Tell holes that are faults of a mask from those through which background is seen.

    Where the picture has an edge along a hole, that is the edge of what is seen through it. A hole
    without one is a fault where its mean colour is like that of the object around it, and nearer to
    that than to the background's nearby, and its colours are not seen beside the object, too. Where
    object and background look alike nothing can be told, and it may be background. Holes that are
    too small to show a colour are neither.

    Args:
        mask: uint8 (H, W), object ids.
        object_id: the object.
        image: uint8 (H, W, 3) R'G'B'.
    """
    edgeless: list[int] = []
    faults: list[int] = []
    opened: list[int] = []
    scale = min(1.0, EDGE_LINES / len(mask))
    for place, shape in _enclosed(mask, object_id):
        area = int(np.count_nonzero(shape))
        if area * scale**2 < _LEAST_HOLE_PX:
            continue
        window, hole = _around(mask, place, shape, _RING_PX)
        slope = _slope_along(hole, np.ascontiguousarray(image[window]), scale)
        has_edge = slope > _EDGE_SLOPE
        if not has_edge:
            edgeless.append(area)
        is_fault = not has_edge and _shows_object(mask, object_id, image, place, shape)
        (faults if is_fault else opened).append(area)
    return Filling(
        len(edgeless), sum(edgeless), sum(faults), max(faults, default=0), min(opened, default=0)
    )


def _around(
    mask: Mask, place: tuple[int, int], shape: Bools, reach: int
) -> tuple[tuple[slice, slice], Bools]:
    """The window around a hole, and the hole in it.

    Args:
        mask: uint8 (H, W).
        place: top and left of the hole's rectangle.
        shape: bool (h, w), the hole in it.
        reach: how far the window goes beyond the rectangle, px.
    """
    (top, left), (height, width) = place, shape.shape
    up, aside = max(0, top - reach), max(0, left - reach)
    window = slice(up, top + height + reach), slice(aside, left + width + reach)
    hole = np.zeros(mask[window].shape, np.bool_)
    hole[top - up : top - up + height, left - aside : left - aside + width] = shape
    return window, hole


def _shows_object(
    mask: Mask, object_id: int, image: Image, place: tuple[int, int], shape: Bools
) -> bool:
    """Whether the colours in a hole are the object's, see `filling`; place, shape: as for
    `_around`.
    """
    window, hole = _around(mask, place, shape, _RING_PX + int(_AROUND * max(shape.shape)))
    colors, ids = image[window].astype(np.float32), mask[window]
    near = cv2.dilate(hole.astype(np.uint8), np.ones((2 * _RING_PX + 1,) * 2, np.uint8)) > 0
    front, inside = colors[near & (ids == object_id)], colors[hole]
    back = colors[~hole & (ids == 0)]
    own, seen = front.mean(axis=0), inside.mean(axis=0)
    away = float(np.linalg.norm(seen - own))
    if away >= _ALIKE + _DEVIATIONS * float(np.sqrt(front.var(axis=0).sum())):
        return False
    if not len(back):
        return True
    behind = back.mean(axis=0)
    is_apart = float(np.linalg.norm(behind - own)) > _APART
    if not is_apart or 2 * away >= float(np.linalg.norm(seen - behind)):
        return False
    # what is seen beside the object as well may be seen through it
    few, many = _sampled(inside, _HOLE_SAMPLES), _sampled(back, _BACK_SAMPLES)
    nearest = np.linalg.norm(few[:, None] - many[None], axis=2).min(axis=1)
    return float((nearest < _BESIDE).mean()) < _MOST_BESIDE


def _slope_along(hole: Bools, colors: Image, scale: float) -> float:
    """How steep the picture is along a hole, on average, at EDGE_LINES; infinite where it has no
    pixel there.
    """
    gray = np.asarray(cv2.cvtColor(colors, cv2.COLOR_RGB2GRAY), np.uint8)
    inside = hole.astype(np.uint8) * 255
    if scale < 1:
        height, width = (max(1, round(scale * side)) for side in hole.shape)
        gray, inside = (
            np.asarray(cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            for one in (gray, inside)
        )
    inside = (inside > 127).astype(np.uint8)
    border = (cv2.dilate(inside, np.ones((3, 3), np.uint8)) - inside).astype(bool)
    return float(slopes(gray)[border].mean()) if border.any() else math.inf


def _sampled(colors: Floats, most: int) -> Floats:
    """Evenly spaced rows, at most so many."""
    return colors[:: -(-len(colors) // most)]


def _enclosed(mask: Mask, object_id: int) -> Iterator[tuple[tuple[int, int], Bools]]:
    """The holes of an object: (top, left), and bool (h, w), the hole in its rectangle."""
    outside = (mask != object_id).astype(np.uint8)
    # all holes lie within the object's own rectangle, a small part of most pictures
    left, top, width, height = cv2.boundingRect(1 - outside)
    ids = mask[top : top + height, left : left + width]
    # what is not enclosed belongs to a margin all around
    around = cv2.copyMakeBorder(
        outside[top : top + height, left : left + width], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1
    )
    count, labels, facts, _ = cv2.connectedComponentsWithStats(around, connectivity=4)
    outer = labels[0, 0]
    for label in range(1, count):
        if label == outer:
            continue
        # counted from the object's corner, as the margin is left out
        x, y, wide, high, area = (int(fact) for fact in facts[label] - _MARGIN)
        shape = labels[1 + y : 1 + y + high, 1 + x : 1 + x + wide] == label
        if 2 * np.count_nonzero(shape & (ids[y : y + high, x : x + wide] == 0)) > area:
            yield (top + y, left + x), shape


def find_flicker(before: Bools, now: Bools, after: Bools) -> Bools:
    """Which pixels change on this frame alone: A-B-A.

    Args:
        before: bool (H, W), the object on the frame before, warped to this one.
        now: the object on this frame.
        after: the object on the next frame, warped to this one.

    Returns:
        bool (H, W).
    """
    return np.asarray((now != before) & (before == after), np.bool_)


def in_specks_and_holes(changed: Bools, now: Bools, before: Bools) -> tuple[float, float]:
    """How much of what changes is loose from the object, and how much the object encloses.

    Args:
        changed: bool (H, W), pixels that belong to the object on one of both frames alone.
        now: bool (H, W), the object.
        before: bool (H, W), the object on the frame before, warped to this one.

    Returns:
        (part in specks, part in holes), each 0 … 1: of the pixels that join, in the specks of this
        frame and the holes of the frame before; of those that leave the other way round.
    """
    area = int(np.count_nonzero(changed))
    if not area:
        return 0.0, 0.0
    # where a frame lacks the pixel, it can be in a hole of that frame; where not, in a speck
    specks, holes = (
        sum(int(np.count_nonzero(changed & find(one))) for one in (now, before))
        for find in (_speck_pixels, _hole_pixels)
    )
    return specks / area, holes / area


def _speck_pixels(inside: Bools) -> Bools:
    """Where an object is loose and small, see `pieces`: bool (H, W)."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(
        inside.astype(np.uint8), connectivity=8
    )
    areas = facts[:count, cv2.CC_STAT_AREA]
    is_speck = areas < SPECK_SHARE * areas[1:].max(initial=0)
    is_speck[0] = False
    return np.asarray(is_speck[labels], np.bool_)


def _hole_pixels(inside: Bools) -> Bools:
    """What an object encloses, see `pieces`: bool (H, W)."""
    around = cv2.copyMakeBorder(
        (~inside).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1
    )
    _, labels = cv2.connectedComponents(around, connectivity=4)
    return np.asarray((labels != labels[0, 0])[1:-1, 1:-1] & ~inside, np.bool_)


def motion(now: Gray, before: Gray) -> Floats:
    """Optical flow to the frame before, by dense inverse search (Kroeger et al., Fast Optical Flow
    using Dense Inverse Search, ECCV 2016), its fastest preset.

    Args:
        now: uint8 (H, W), brightness.
        before: the same.

    Returns:
        float32 (H, W, 2): how far to the right and down each pixel was on the frame before, px.
    """
    height, width = now.shape
    missing = (0, max(0, _LEAST_FLOW_PX - height), 0, max(0, _LEAST_FLOW_PX - width))
    first, second = (
        cv2.copyMakeBorder(gray, *missing, cv2.BORDER_REPLICATE) for gray in (now, before)
    )
    # a new estimator each time: one that was used keeps buffers, and the same clip would then
    # measure slightly differently
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow = estimator.calc(first, second, np.zeros((*first.shape, 2), np.float32))
    return np.asarray(flow[:height, :width], np.float32)


def warped(mask: Mask, flow: Floats) -> Mask:
    """Warp a mask of the frame before to this one.

    Args:
        mask: uint8 (H, W), object ids.
        flow: float32 (H, W, 2), as `motion` gives it.

    Returns:
        uint8 (H, W); what comes from outside of the picture is background.
    """
    x, y = _sources(flow)
    moved = cv2.remap(mask, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(moved, np.uint8)


def _sources(flow: Floats) -> tuple[Floats, Floats]:
    """Where each pixel was on the frame before: columns and rows, float32 (H, W)."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x + flow[..., 0], y + flow[..., 1]


def unchanged(now: Image, before: Image, flow: Floats) -> Bools:
    """Where the picture shows what the flow brings from the frame before.

    Args:
        now: uint8 (H, W, 3) R'G'B'.
        before: the same.
        flow: float32 (H, W, 2), as `motion` gives it.

    Returns:
        bool (H, W); what comes from outside of the picture is new.
    """
    height, width = flow.shape[:2]
    x, y = _sources(flow)
    soft, past = (cv2.GaussianBlur(colors, (0, 0), 1.0) for colors in (now, before))
    brought = cv2.remap(past, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    known = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    return np.asarray((cv2.absdiff(soft, brought).max(axis=2) < _SAME) & known, np.bool_)


def changed_sides(now: Bools, expected: Bools, same: Bools) -> ChangedPiece:
    """How large a piece joins or leaves an object although the picture there stays the same: before
    it or after it, its mask is wrong.

    Args:
        now: bool (H, W), the object.
        expected: bool (H, W), the object on the frame before, warped to this one.
        same: bool (H, W), see `unchanged`.
    """
    area = int(np.count_nonzero(now))
    joined, left = (
        largest_piece(one & ~other & same, area)
        for one, other in ((now, expected), (expected, now))
    )
    gained, lost = int(np.count_nonzero(joined)), int(np.count_nonzero(left))
    if max(gained, lost) < _LEAST_PIECE_PX:
        return ChangedPiece(0, 0.0, 0.0)
    piece = joined if gained >= lost else left
    return ChangedPiece(
        gained if gained >= lost else -lost, *in_specks_and_holes(piece, now, expected)
    )


def largest_piece(inside: Bools, object_px: int) -> Bools:
    """The largest connected piece, without what is thin beside the object that it belongs to.

    Args:
        inside: bool (H, W).
        object_px: area of the object.

    Returns:
        bool (H, W); False everywhere where there is none.
    """
    radius = max(1, round(_PIECE_WIDTH / 2 * math.sqrt(object_px)))
    size = (2 * radius + 1,) * 2
    kernel = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size), np.uint8)
    found = np.zeros(inside.shape, np.bool_)
    x, y, width, height = cv2.boundingRect(inside.astype(np.uint8))
    if not width:
        return found
    own = np.ascontiguousarray(inside[y : y + height, x : x + width].astype(np.uint8))
    core = cv2.erode(own, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    if not core.any():
        return found
    opened = np.asarray(cv2.dilate(core, kernel), np.uint8) & own
    count, labels, facts, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    largest = 1 + int(facts[1:count, cv2.CC_STAT_AREA].argmax())
    found[y : y + height, x : x + width] = labels == largest
    return found


def slopes(gray: Gray) -> Floats:
    """How steep the picture is: the gradient's length after a slight blur, the largest of each
    3 × 3 pixels.

    Returns:
        float32 (H, W).
    """
    soft = cv2.GaussianBlur(gray, (0, 0), 1.0)
    right, down = (cv2.Sobel(soft, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    return np.asarray(cv2.dilate(vector_length(right, down), np.ones((3, 3), np.uint8)), np.float32)


def edge_agreement(inside: Bools, gray: Gray) -> float:
    """How well an object's edge lies on edges of the picture.

    Args:
        inside: bool (H, W), the object.
        gray: uint8 (H, W), the picture.

    Returns:
        e / (e + n), 0 … 1, where e is the mean of `slopes` on the mask's edge, the picture's border
        left out, and n the mean 5 to 8 pixels away from it on both sides: 0.5 when the picture is
        no steeper there than around it. NaN for an edge that is too short.
    """
    own = inside.astype(np.uint8)
    x, y, width, height = cv2.boundingRect(own)
    if not width:
        return float("nan")
    # only around the object
    top, left = max(0, y - _FAR_PX), max(0, x - _FAR_PX)
    window = slice(top, y + height + _FAR_PX), slice(left, x + width + _FAR_PX)
    own, slope = own[window], slopes(np.ascontiguousarray(gray[window]))
    edge = own - cv2.erode(own, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    on_edge = edge.astype(bool)
    if np.count_nonzero(on_edge) < _LEAST_EDGE_PX:
        return float("nan")
    distance = cv2.distanceTransform(1 - edge, cv2.DIST_L2, cv2.DIST_MASK_3)
    near = (distance > _NEAR_PX) & (distance < _FAR_PX)
    steepness = float(slope[on_edge].mean())
    around = float(slope[near].mean()) if near.any() else 0.0
    return steepness / (steepness + around) if steepness + around > 0 else float("nan")


def edge_width(soft: Gray) -> float:
    """How wide an object's soft edge is.

    Args:
        soft: uint8 (H, W), the object's probability, 255 = certain.

    Returns:
        Σ 4 p (1 - p) over the length of the line p = ½, px: ⅔ w for an edge that falls evenly over
        w pixels. NaN where there is no edge.
    """
    x, y, width, height = cv2.boundingRect(soft)
    if not width:
        return float("nan")
    window = soft[max(0, y - 1) : y + height + 1, max(0, x - 1) : x + width + 1]
    inside = (window > 127).astype(np.uint8)
    length = int(
        np.count_nonzero(inside[:, 1:] != inside[:, :-1])
        + np.count_nonzero(inside[1:] != inside[:-1])
    )
    if not length:
        return float("nan")
    counts = cv2.calcHist([np.ascontiguousarray(window)], [0], None, [256], [0, 256]).ravel()
    chance = np.arange(256) / 255
    # a slanted line of length l crosses |l cos| + |l sin| pixel borders, 4 / π times its length on
    # average
    return float((counts * 4 * chance * (1 - chance)).sum() / (length * np.pi / 4))
