"""Compares frames as the built-in propagator sees them.

Frames are described by small arrays, between which distances are taken.

XMem++'s rule (see `suggest`) on hand-made features instead of a network's. As there, two frames
are compared by how differently each one's positions are explained by the other's, and objects count
more than the rest. Three things are adapted:

- A key is the colour and detail of a cell, as in `codebook`, and not learned. With one
  shrinkage and one selection for all, S(c → j) and S(j → c) are transposes of each other, and all
  that is left of their difference is
  2 (m_p − m_q)·(u_p + u_q), where u is the change from frame to frame at a position and m the mean
  of both frames: a change of hue that keeps the length of the key, such as red to yellow on grey,
  is invisible to it. So the selection is one feature at a time: each position is listed once per
  feature, and selects only that. Then every change of an object shows, because its keys are
  positive and the empty cells around it are 0.
- An object's cells lie in its own coordinates (its centre and spread), so that only moving is not a
  change of look. In return the composite key α·key·mask + (1 − α)·key falls into two lists of
  positions: α·key·mask over the object, (1 − α)·key over the picture. In one list, a ball that
  crossed the picture beat one that turned from red to green.
- The grids are coarse and the same for any clip: a frame of any size takes 5.8 kB.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.masks import Image, Mask
from vfx_matte.propagate.builtin.codebook import SmallFrame
from vfx_matte.propagate.builtin.propagator import working_shape

PICTURE_CELLS, OBJECT_CELLS = 144, 12
"""About how many cells the picture has, and how many the object's window has in each direction."""

REACH = 2.5
"""Half the window's side, in standard deviations of the mask: a rectangle ends at 1.7, so empty
cells always lie around.
"""

# of the eight of `SmallFrame.texture`: L, a, b, horizontal and vertical detail; the rest repeats
# colour
_TEXTURE = [
    0,
    1,
    2,
    6,
    7,
]
_GREY = np.array([0, 128 * 1.3, 128 * 1.3, 0, 0], np.float32)  # a and b count from grey
# the least b that a screen can show is −0.55
_FLOOR, _SCALE = (
    np.float32(0.55),
    np.float32(1 / 256),
)
_FINER = 4  # samples across a cell of the window


class BuiltinKeys(NamedTuple):
    """One frame in cells.

    Keys are positive; C is 5: lightness, two hues, horizontal and vertical detail.

    picture: float32 (P, C), a key per cell of the picture. objects: float32 (144, C), key times how
    much of the cell is an object, in the window around all objects; 0 when there is none.
    """

    picture: Array
    objects: Array

    def composite(self, alpha: float) -> Array:
        """All positions with the share `alpha` on the objects: float32 (P + 144, C)."""
        return np.concatenate(
            [np.float32(1 - alpha) * self.picture, np.float32(alpha) * self.objects]
        )


class BuiltinDescriber:
    """Describes frames by colour and detail; see the module.

    No torch, no weights, the same result every time.
    """

    usual_candidates = 200

    def describe(self, image: Image, mask: Mask) -> BuiltinKeys:
        """Describe a frame; see `suggest.Describer.describe`."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
        if mask.dtype != np.uint8 or mask.shape != image.shape[:2]:
            raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected uint8 {image.shape[:2]}")
        height, width = working_shape((image.shape[0], image.shape[1]))
        small = SmallFrame(
            np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        )
        keys = _FLOOR + (small.texture[..., _TEXTURE] - _GREY) * _SCALE
        some: Array = np.asarray(mask > 0, np.float32)
        cover = cv2.resize(some, (keys.shape[1], keys.shape[0]), interpolation=cv2.INTER_AREA)
        stretch = math.sqrt(image.shape[1] / image.shape[0])
        across, down = (
            max(1, round(math.sqrt(PICTURE_CELLS) * side)) for side in (stretch, 1 / stretch)
        )
        return BuiltinKeys(
            _cells(keys, (down, across)), _cells(_window(keys, cover), (OBJECT_CELLS, OBJECT_CELLS))
        )

    def distance(self, frame: BuiltinKeys, known: BuiltinKeys, *, alpha: float) -> float:
        """D, XMem++ section 3.3, with one feature selected at a time: mean relu(S(known → frame) −
        S(frame → known)).

        With j the frame and c the known one, S(c → j) of query q and memory p is −(c_p − j_q)², and
        the difference of both similarities is (u_p + u_q)·(t_p − t_q), with u = j − c and t = j +
        c. (1/√C is left out.)
        """
        now, then = frame.composite(alpha), known.composite(alpha)
        total = 0.0
        for change, both in zip((now - then).T, (now + then).T, strict=True):
            gain = np.add.outer(change, change)
            gain *= np.subtract.outer(both, both)
            total += float(np.maximum(gain, 0, out=gain).sum(dtype=np.float64))
        return total / (now.size * len(now))


def _window(keys: Array, cover: Array) -> Array:
    """Keys times cover around the object, sampled finer than its cells: float32 (h, w, C) → (48,
    48, C); 0 without object.
    """
    side = OBJECT_CELLS * _FINER
    found = np.zeros((side, side, keys.shape[2]), np.float32)
    area = float(cover.sum())
    if area <= 0:
        return found
    (x, spread_x), (y, spread_y) = (_centre(cover.sum(axis=axis), area) for axis in (0, 1))
    step_x, step_y = (2 * REACH * spread / side for spread in (spread_x, spread_y))
    left, top = x - (side - 1) / 2 * step_x, y - (side - 1) / 2 * step_y
    placed = np.array([[step_x, 0, left], [0, step_y, top]], np.float32)
    for channel in range(keys.shape[2]):
        found[..., channel] = cv2.warpAffine(
            keys[..., channel] * cover,
            placed,
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
    return found


def _centre(profile: Array, area: float) -> tuple[float, float]:
    """Mean and standard deviation of a mask along one axis, in pixels; half a pixel more, which a
    single pixel needs.
    """
    positions = np.arange(profile.size, dtype=np.float64)
    mean = float(profile @ positions) / area
    return mean, math.sqrt(max(0.0, float(profile @ (positions - mean) ** 2) / area)) + 0.5


def _cells(planes: Array, cells: tuple[int, int]) -> Array:
    """Means over a grid of (rows, columns) cells: float32 (h, w, C) → (rows · columns, C)."""
    size = cells[::-1]
    # plane by plane: OpenCV averages at most four at once when the sizes do not divide
    means = [
        cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA)
        for plane in np.moveaxis(planes, 2, 0)
    ]
    return np.stack(means, axis=-1).reshape(-1, planes.shape[2])
