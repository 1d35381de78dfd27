"""A first mask from a box. Takes an image, a box and a few points, gives a binary mask; the same input gives the same mask.

GrabCut (Rother, Kolmogorov, Blake: "GrabCut", ACM SIGGRAPH 2004): colour models of both sides and a graph cut, in turns.
Large pictures are cut small first; only a band along the edge is cut again at full size, with the colour models kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.errors import MaskError, UsageError
from vfx_matte.first_mask.marks import Box, Point, mark_radius_px
from vfx_matte.masks import Image, Mask

_WORKING_PIXELS = 500_000
_WINDOW_SHARE = 0.8  # of the short side: the window round a point
_ALIKE = 30.0  # distance in 8-bit L*a*b* within which colours are taken for the point's
_TILE_PX = 256
_TILE_MARGIN_PX = 16
_SEED = 2004  # cv2.grabCut starts its colour models with random numbers

_Models = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def grab_cut(
    image: Image,
    *,
    box: Box,
    foreground: Sequence[Point] = (),
    background: Sequence[Point] = (),
    iterations: int = 5,
) -> Mask:
    """Cut out what is in a box.

    image: uint8 (H, W, 3) R'G'B'. box: (x, y, width, height), inside the picture; everything outside it is background.
    foreground, background: points (x, y) that certainly are, drawn as small discs; foreground points lie in the box.
    iterations: how often models and cut take turns, at least 1. Returns uint8 (H, W): 1 = object, 0 = background.
    Raises UsageError for a box or point outside, or a box that leaves no background to learn from; MaskError when nothing
    is found.
    """
    height, width = image.shape[:2]
    _check_request(box, foreground, background, width=width, height=height)
    if iterations < 1:
        raise UsageError(f"iterations {iterations} is below 1")
    x, y, box_width, box_height = box
    # the surroundings of the box are enough to learn the background from
    margin_x, margin_y = max(16, box_width // 2), max(16, box_height // 2)
    left, top = max(0, x - margin_x), max(0, y - margin_y)
    right, bottom = min(width, x + box_width + margin_x), min(height, y + box_height + margin_y)
    crop = np.ascontiguousarray(image[top:bottom, left:right, ::-1])
    hints = np.full(crop.shape[:2], cv2.GC_BGD, np.uint8)
    hints[y - top : y - top + box_height, x - left : x - left + box_width] = cv2.GC_PR_FGD
    radius = mark_radius_px(image.shape)
    for points, value in ((foreground, cv2.GC_FGD), (background, cv2.GC_BGD)):
        for point_x, point_y in points:
            cv2.circle(hints, (point_x - left, point_y - top), radius, value, cv2.FILLED)
    # without a probable or certain pixel on each side there is nothing to learn from, and OpenCV refuses
    two_sided = (hints == cv2.GC_BGD).any() and (hints != cv2.GC_BGD).any()
    cut = _cut(crop, hints, iterations) if two_sided else np.zeros(hints.shape, np.uint8)
    if not cut.any():
        raise MaskError(
            f"nothing was found in the box {x},{y},{box_width},{box_height}",
            hint="draw the box closely around the whole object, or mark the object with --fg x,y",
        )
    mask: Mask = np.zeros((height, width), np.uint8)
    mask[top:bottom, left:right] = cut
    return mask


def cut_near(image: Image, x: int, y: int) -> Mask:
    """Cut out what is at a point, from its colours.

    image: uint8 (H, W, 3) R'G'B'. Returns uint8 (H, W): 1 = object, 0 = background; only a window round the point is looked at.
    """
    height, width = image.shape[:2]
    reach = max(16, round(_WINDOW_SHARE * min(height, width) / 2))
    left, top = max(0, x - reach), max(0, y - reach)
    window = np.ascontiguousarray(image[top : y + reach, left : x + reach, ::-1])
    lab = cv2.cvtColor(window, cv2.COLOR_BGR2LAB).astype(np.float32)
    radius = mark_radius_px(image.shape)
    at = np.zeros(window.shape[:2], np.uint8)
    cv2.circle(at, (x - left, y - top), radius, 1, cv2.FILLED)
    is_alike = np.linalg.norm(lab - lab[at > 0].mean(0), axis=-1) < _ALIKE
    hints = np.where(is_alike, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    # the window's edge is background, but for the picture's own edge
    hints[:2, :] = cv2.GC_BGD if top > 0 else hints[:2, :]
    hints[:, :2] = cv2.GC_BGD if left > 0 else hints[:, :2]
    hints[-2:, :] = cv2.GC_BGD if y + reach < height else hints[-2:, :]
    hints[:, -2:] = cv2.GC_BGD if x + reach < width else hints[:, -2:]
    hints[at > 0] = cv2.GC_FGD
    two_sided = (hints & 1 == 0).any()
    mask: Mask = np.zeros((height, width), np.uint8)
    mask[top : y + reach, left : x + reach] = _cut(window, hints, 5) if two_sided else 1
    return mask


def _check_request(box: Box, foreground: Sequence[Point], background: Sequence[Point], *, width: int, height: int) -> None:
    x, y, box_width, box_height = box
    shown = f"box {x},{y},{box_width},{box_height}"
    if x < 0 or y < 0 or box_width < 2 or box_height < 2 or x + box_width > width or y + box_height > height:
        raise UsageError(f"{shown} does not lie inside the picture, {width}×{height}", hint="give --box x,y,width,height")
    if box_width * box_height > 0.995 * width * height and not background:
        hint = "draw the box closer to the object, or mark some background with --bg x,y"
        raise UsageError(f"{shown} covers the whole picture, {width}×{height}: no background is left to learn from", hint=hint)
    for point_x, point_y in (*foreground, *background):
        if not (0 <= point_x < width and 0 <= point_y < height):
            raise UsageError(
                f"point {point_x},{point_y} does not lie inside the picture, {width}×{height}", hint="points are x,y in pixels"
            )
    for point_x, point_y in foreground:
        if not (x <= point_x < x + box_width and y <= point_y < y + box_height):
            raise UsageError(f"foreground point {point_x},{point_y} lies outside the {shown}", hint="make the box larger")


def _cut(image: npt.NDArray[np.uint8], hints: npt.NDArray[np.uint8], iterations: int) -> Mask:
    """GrabCut of a whole picture (H, W, 3) from hints of GC_* values (H, W): uint8 0 or 1."""
    height, width = hints.shape
    scale = math.sqrt(_WORKING_PIXELS / (height * width))
    if scale >= 1:
        return _grab(image, hints, cv2.GC_INIT_WITH_MASK, iterations)[0]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small_image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small_hints = cv2.resize(hints, size, interpolation=cv2.INTER_NEAREST)
    small, models = _grab(small_image.astype(np.uint8), small_hints.astype(np.uint8), cv2.GC_INIT_WITH_MASK, iterations)
    rough = cv2.resize(small * 255, (width, height), interpolation=cv2.INTER_LINEAR) >= 128
    reach = 2 * math.ceil(2 / scale) + 1
    kernel = np.ones((reach, reach), np.uint8)
    inside = rough.astype(np.uint8)
    band = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, kernel).astype(bool)
    asked = np.where(rough, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
    asked[band] = np.where(rough[band], cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    certain = (hints == cv2.GC_FGD) | (hints == cv2.GC_BGD)
    asked[certain] = hints[certain]
    return _cut_tiles(image, asked, models)


def _cut_tiles(image: npt.NDArray[np.uint8], asked: npt.NDArray[np.uint8], models: _Models) -> Mask:
    """Cut the probable pixels again, tile by tile with overlap, without learning anew."""
    cut = (asked & 1).astype(np.uint8)  # GC_FGD = 1 and GC_PR_FGD = 3
    height, width = asked.shape
    for top in range(0, height, _TILE_PX):
        for left in range(0, width, _TILE_PX):
            inner = np.s_[top : top + _TILE_PX, left : left + _TILE_PX]
            if not (asked[inner] >= cv2.GC_PR_BGD).any():
                continue
            above, before = min(top, _TILE_MARGIN_PX), min(left, _TILE_MARGIN_PX)
            outer = np.s_[top - above : top + _TILE_PX + _TILE_MARGIN_PX, left - before : left + _TILE_PX + _TILE_MARGIN_PX]
            tile, _ = _grab(np.ascontiguousarray(image[outer]), asked[outer].copy(), cv2.GC_EVAL_FREEZE_MODEL, 1, models)
            cut[inner] = tile[above : above + _TILE_PX, before : before + _TILE_PX][: height - top, : width - left]
    return cut


def _grab(
    image: npt.NDArray[np.uint8], hints: npt.NDArray[np.uint8], mode: int, iterations: int, models: _Models | None = None
) -> tuple[Mask, _Models]:
    """One call of cv2.grabCut: uint8 0 or 1, and the colour models it ended with."""
    background, foreground = (np.zeros((1, 65)), np.zeros((1, 65))) if models is None else (models[0].copy(), models[1].copy())
    cv2.setRNGSeed(_SEED)
    cv2.grabCut(image, hints, (0, 0, 1, 1), background, foreground, iterations, mode)
    return (hints & 1).astype(np.uint8), (background, foreground)
