"""Segments the object in a box, or at a point, by colour alone.

Of a box: its surroundings are background, and so is what they reach without crossing an edge
(`barrier`). From that GrabCut begins (Rother, Kolmogorov, Blake: "GrabCut", ACM SIGGRAPH 2004),
with surroundings of several widths: what most of the cuts show counts. The same input gives the
same answer.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.errors import UsageError
from vfx_matte.first_mask.barrier import barrier_distance
from vfx_matte.first_mask.crop_maps import Crop, box_of, piece_at
from vfx_matte.first_mask.marks import Box, Probability, mark_radius_px
from vfx_matte.first_mask.upscale import upscaled
from vfx_matte.masks import Image, Mask

# √area that a box is scaled to: GrabCut shrinks small objects to nothing, and is slow with large
# ones
_SIDE_PX = 112
# the surroundings of each cut, as shares of the box
_GROWTHS = (0.3, 1.0, 2.0)
_LEAST_MARGIN_PX = 10
_BLUR_PX = 0.8
# where a cut begins: this share of the distance that splits a box best (Otsu) is object
_SPLIT_SHARE = 0.75
# distance in L*a*b* that is noise
_NOISE = 2.0
_LEAST_COVER = 0.05
# beside the cuts' vote, −1 … 1
_BARRIER_WEIGHT = 0.3
# further ones also learn what was cut wrongly
_ROUNDS = 1

# of the picture, by a box: the rest is its surroundings
_MOST_COVERED = 0.995

# √area that a picture is scaled to, for a point
_PICTURE_SIDE_PX = 180
# radius of the point there
_POINT_PX = 2
# the box round the rough object is larger by this share
_POINT_GROWTH = 0.3

# of the short side: the window round a point
_WINDOW_SHARE = 0.8
# distance in 8-bit L*a*b* within which colours are taken for the point's
_ALIKE = 30.0
_POINT_ROUNDS = 5
# cv2.grabCut starts its colour models with random numbers
_SEED = 2004

Region = npt.NDArray[np.bool_]


def object_in_box(image: Image, box: Box) -> Probability:
    """How surely each pixel is the object that a box holds.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        box: round the whole object and close to it, inside the picture.

    Returns:
        float32 (H, W), 0 … 1; 0 outside the box, and everywhere where nothing differs from the
        surroundings.

    Raises:
        UsageError: the box covers the whole picture.
    """
    height, width = image.shape[:2]
    x, y, box_width, box_height = box
    if box_width * box_height > _MOST_COVERED * width * height:
        shown = f"box {x},{y},{box_width},{box_height} covers the whole picture, {width}×{height}"
        raise UsageError(
            f"{shown}: no background is left to learn from",
            hint="draw the box closer to the object",
        )
    # 1. the box and its widest surroundings, at the size of the cuts
    scale = _SIDE_PX / math.sqrt(box_width * box_height)
    wide = _surroundings(box, max(_GROWTHS), scale, width=width, height=height)
    full = np.ascontiguousarray(image[wide.slices])
    size = max(1, round(wide.width * scale)), max(1, round(wide.height * scale))
    small = np.asarray(
        cv2.resize(full, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR),
        np.uint8,
    )
    inside = _inside(Crop(x, y, x + box_width, y + box_height), wide, small.shape)
    # 2. a cut with surroundings of each width, begun from what the surroundings do not reach
    enclosure = _enclosure(small, inside)
    votes = np.zeros(small.shape[:2], np.float32)
    weights = 0.0
    for growth in _GROWTHS:
        near = _inside(
            _surroundings(box, growth, scale, width=width, height=height), wide, small.shape
        )
        hints = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
        hints[inside.slices] = np.where(enclosure > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
        cut = np.zeros(small.shape[:2], bool)
        cut[near.slices] = (
            _grab_cut(np.ascontiguousarray(small[near.slices]), hints[near.slices].copy(), _ROUNDS)
            > 0
        )
        # a box is drawn close: what fills less of it misses a part
        cover = math.prod(box_of(cut)[2:]) / (inside.width * inside.height) if cut.any() else 0.0
        weight = max(cover, _LEAST_COVER) ** 2
        votes += weight * cut
        weights += weight
    # 3. their votes, moved a little by the enclosure: it knows edges that the cuts' colours do not
    probability = np.zeros(small.shape[:2], np.float32)
    probability[inside.slices] = votes[inside.slices] / weights + (
        _BARRIER_WEIGHT / 2 * np.tanh(enclosure / 2)
    )
    probability = np.clip(probability, 0, 1)
    # 4. at the picture's size, nothing outside the box
    whole = np.zeros((height, width), np.float32)
    whole[wide.slices] = (
        upscaled(probability, small, full)
        if scale < 1
        else cv2.resize(probability, (wide.width, wide.height))
    )
    outside = np.ones((height, width), bool)
    outside[y : y + box_height, x : x + box_width] = False
    whole[outside] = 0
    return whole


def object_at(image: Image, x: int, y: int) -> Probability:
    """How surely each pixel is the object that a point lies on.

    What is nearer to the point than to the edges of the picture, by barrier distance, is a rough
    object; the object is found in a box round it.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        x: of the point, px from the left.
        y: of the point, px from the top.

    Returns:
        float32 (H, W), 0 … 1; one piece, with the point in it.
    """
    height, width = image.shape[:2]
    scale = min(1.0, _PICTURE_SIDE_PX / math.sqrt(height * width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # 1. distances from the picture's edges and from the point, in a small picture
    lab = _smooth_lab(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))
    edges = np.ones(lab.shape[:2], bool)
    edges[1:-1, 1:-1] = False
    point = np.zeros(lab.shape[:2], np.uint8)
    cv2.circle(point, (x * size[0] // width, y * size[1] // height), _POINT_PX, 1, cv2.FILLED)
    from_edges, from_point = barrier_distance(lab, edges), barrier_distance(lab, point > 0)
    # 2. the rough object, and a box round it
    share = cv2.resize(
        from_edges / (from_edges + from_point + 1e-3),
        (width, height),
        interpolation=cv2.INTER_LINEAR,
    )
    spot = np.zeros((height, width), np.uint8)
    cv2.circle(spot, (x, y), mark_radius_px(image.shape), 1, cv2.FILLED)
    rough = piece_at((share > 0.5) | (spot > 0), x, y)
    box = Crop.around(box_of(rough), _POINT_GROWTH, width=width, height=height)
    if box.width * box.height > _MOST_COVERED * width * height:
        return rough.astype(np.float32)
    # 3. the object in that box; the rough one where the cut loses the point
    found = object_in_box(image, (box.left, box.top, box.width, box.height))
    piece = piece_at(found > 0.5, x, y)
    return np.where(piece, found, 0).astype(np.float32) if piece.any() else rough.astype(np.float32)


def cut_near(image: Image, x: int, y: int) -> Mask:
    """Cut out what is at a point by its colours, within a window round the point: a part of
    something, too.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        x: of the point, px from the left.
        y: of the point, px from the top.

    Returns:
        uint8 (H, W): 1 = object, 0 = background.
    """
    height, width = image.shape[:2]
    reach = max(16, round(_WINDOW_SHARE * min(height, width) / 2))
    left, top = max(0, x - reach), max(0, y - reach)
    window = np.ascontiguousarray(image[top : y + reach, left : x + reach])
    lab = cv2.cvtColor(window, cv2.COLOR_RGB2LAB).astype(np.float32)
    radius = mark_radius_px(image.shape)
    spot = np.zeros(window.shape[:2], np.uint8)
    cv2.circle(spot, (x - left, y - top), radius, 1, cv2.FILLED)
    is_alike = np.linalg.norm(lab - lab[spot > 0].mean(0), axis=-1) < _ALIKE
    hints = np.where(is_alike, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    # the window's edge is background, but for the picture's own edge
    hints[:2, :] = cv2.GC_BGD if top > 0 else hints[:2, :]
    hints[:, :2] = cv2.GC_BGD if left > 0 else hints[:, :2]
    hints[-2:, :] = cv2.GC_BGD if y + reach < height else hints[-2:, :]
    hints[:, -2:] = cv2.GC_BGD if x + reach < width else hints[:, -2:]
    hints[spot > 0] = cv2.GC_FGD
    mask: Mask = np.zeros((height, width), np.uint8)
    mask[top : y + reach, left : x + reach] = _grab_cut(window, hints, _POINT_ROUNDS)
    return mask


def _surroundings(box: Box, growth: float, scale: float, *, width: int, height: int) -> Crop:
    """A box and its surroundings, of which at least some pixels are left after scaling."""
    x, y, box_width, box_height = box
    least = math.ceil(_LEAST_MARGIN_PX / scale)
    across, down = (
        max(least, round(box_width * growth / 2)),
        max(least, round(box_height * growth / 2)),
    )
    return Crop(
        max(0, x - across),
        max(0, y - down),
        min(width, x + box_width + across),
        min(height, y + box_height + down),
    )


def _inside(crop: Crop, wide: Crop, shape: tuple[int, ...]) -> Crop:
    """A crop in the coordinates of the scaled picture of a wider one, of shape (h, w, …); pixels
    that its edges cut are in it.
    """
    down, across = shape[0] / wide.height, shape[1] / wide.width
    return Crop(
        math.floor((crop.left - wide.left) * across),
        math.floor((crop.top - wide.top) * down),
        min(shape[1], math.ceil((crop.right - wide.left) * across)),
        min(shape[0], math.ceil((crop.bottom - wide.top) * down)),
    )


def _enclosure(small: Image, inside: Crop) -> npt.NDArray[np.float32]:
    """Log odds of the object in a box, of the box's shape: high where its surroundings do not reach
    without crossing an edge.
    """
    margin = Crop(
        max(0, inside.left - 1),
        max(0, inside.top - 1),
        min(small.shape[1], inside.right + 1),
        min(small.shape[0], inside.bottom + 1),
    )
    lab = _smooth_lab(small)
    seeds = np.ones(small.shape[:2], bool)
    seeds[inside.slices] = False
    top, left = inside.top - margin.top, inside.left - margin.left
    distance = barrier_distance(lab[margin.slices], seeds[margin.slices])
    distance = distance[top : top + inside.height, left : left + inside.width]
    return np.asarray(
        2 * np.log((distance + _NOISE) / (_SPLIT_SHARE * _split(distance) + _NOISE)), np.float32
    )


def _smooth_lab(image: Image) -> npt.NDArray[np.float32]:
    """float32 (H, W, 3), L*a*b*."""
    lab = cv2.cvtColor((image / np.float32(255)).astype(np.float32), cv2.COLOR_RGB2LAB)
    return np.asarray(cv2.GaussianBlur(lab, (0, 0), _BLUR_PX), np.float32)


def _split(distance: npt.NDArray[np.float32]) -> float:
    """The value that splits distances into two groups best (Otsu 1979); the largest per cent is cut
    to its least value, as a few pixels would widen the histogram's bins.
    """
    most = max(float(np.percentile(distance, 99)), 1e-6)
    levels = np.clip(distance / most * 255, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels.reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
    return float(threshold) * most / 255


def _grab_cut(image: npt.NDArray[np.uint8], hints: npt.NDArray[np.uint8], rounds: int) -> Mask:
    """GrabCut of a picture (H, W, 3) from hints of GC_* values (H, W): uint8 0 or 1."""
    is_object = hints & 1 > 0  # GC_FGD = 1 and GC_PR_FGD = 3
    # of one kind alone there is nothing to learn from, and OpenCV raises an error
    if is_object.any() and not is_object.all():
        cv2.setRNGSeed(_SEED)
        cv2.grabCut(
            image,
            hints,
            (0, 0, 1, 1),
            np.zeros((1, 65)),
            np.zeros((1, 65)),
            rounds,
            cv2.GC_INIT_WITH_MASK,
        )
    return (hints & 1).astype(np.uint8)
