"""Follows ropes, rails and antennas, for which the working picture is too small.

What is thinner than two or three working pixels is lost when a mask is shrunk, and nothing finds it
again. So such parts are kept as outlines at the source's size and move with the rest of their
object: its shift and its growth, from one affine motion fitted to the flow on it, frame by frame.
Turning is left out: a posture that changes turns the fit, but hardly ever the ropes. Then all parts
of an object are shifted together onto the lines that the picture shows there, when they fit better.
(Parts that hang together, placed by motion and by look: pictorial structures, Fischler &
Elschlager, IEEE Trans. Computers 22,
1973. Lines are ridges: Lindeberg, IJCV 30, 1998.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.masks import Image, Probabilities
from vfx_matte.propagate.builtin.cues import SURELY_OBJECT, affine_fit
from vfx_matte.propagate.builtin.upsample import shrunk
from vfx_matte.propagate.walk_state import State

# from 2.4 times as long as wide on, horsejump-high lost 1.0 of J&F and libby 0.5 (docs/builtin.md)
THIN_PX, SLENDER = 2.5, 8.0
"""Thin parts are narrower than this, in working pixels, and at least so many times as long."""

# 13 × 13 shifts: the ropes' distance from the truth fell from 4.8 to 1.8 px (docs/builtin.md)
LINES_AT, REACH_PX = 2.0, 6
"""Lines are looked for at so many times the working size, so far from where the parts are expected,
in pixels of that size.
"""

_RIDGE_SIGMA, _AROUND_SIGMA, _RIDGE_FLOOR, _CLEAREST = 1.2, 10.0, 2.0, 3.0
# what a shift costs for each squared pixel, and what it has to bring at least: without either,
# parts jump between lines that are nearly as clear
_FARNESS, _LEAST_GAIN = 0.002, 0.03
_MOST_GROWTH = 4.0
_FRACTION_BITS = 4  # of a pixel, that OpenCV draws polygons to


@dataclass(frozen=True)
class ThinParts:
    """The thin parts of one object, as one given mask shows them, and where they are by now.

    A point p of an outline is at growth·p + (x, y).
    """

    outlines: tuple[Array, ...]
    """int32 (N, 1, 2) each, (x, y) at the source's size, holes' too."""

    shape: tuple[int, int]
    """(H, W) of the source."""

    working: tuple[int, int]
    """(h, w) of the working picture."""

    growth: float = 1.0
    x: float = 0.0
    y: float = 0.0

    @classmethod
    def from_state(cls, state: State) -> ThinParts:
        """What `state` gave."""
        (height, width), (h, w) = state["shape"], state["working"]
        growth, x, y = map(float, state["place"])
        return cls(tuple(state["outlines"]), (height, width), (h, w), growth, x, y)

    @property
    def state(self) -> State:
        """The parts as plain data."""
        return {
            "outlines": list(self.outlines),
            "shape": list(self.shape),
            "working": list(self.working),
            "place": [self.growth, self.x, self.y],
        }

    def follow(self, flow: Array, layer: Array) -> ThinParts | None:
        """Follow the object into the next frame; None when there is too little of it, or it is
        another size altogether.

        flow: float32 (h, w, 2), where each pixel was in the frame before; layer: float32 (h, w),
        the object's soft mask.
        """
        # the fit reads every fourth pixel: without one of them there is nothing to fit to
        sure = (layer > SURELY_OBJECT).astype(np.float32)
        if not sure[::4, ::4].any():
            return None
        fit = affine_fit(flow, sure)
        stretch = np.array([self.shape[1] / self.working[1], self.shape[0] / self.working[0]])
        now = (fit.middle + 0.5) * stretch - 0.5
        before = (fit.middle + fit.shift + 0.5) * stretch - 0.5
        # the flow points back, so its determinant is how much the object shrinks on the way there
        (xx, xy), (yx, yy) = fit.gradient
        shrinkage = math.sqrt(max((1 + xx) * (1 + yy) - xy * yx, 1e-6))
        # growth and shift alone: with the whole affine motion the ropes lost 5 of J&F
        growth = self.growth / shrinkage
        if not 1 / _MOST_GROWTH <= growth <= _MOST_GROWTH:
            return None
        x, y = now + (np.array([self.x, self.y]) - before) / shrinkage
        return replace(self, growth=growth, x=float(x), y=float(y))

    def align(self, image: Image) -> ThinParts:
        """The parts on the lines of a frame, uint8 (H, W, 3), that lie where they are expected, or
        else where they were.
        """
        # 1. the parts as they are expected, and the lines of the picture around them
        scale = min(
            1.0,
            LINES_AT * self.working[0] / self.shape[0],
            LINES_AT * self.working[1] / self.shape[1],
        )
        size = round(scale * self.shape[0]), round(scale * self.shape[1])
        if (drawn := self.draw(size)) is None:
            return self
        (rows, columns), shown = drawn
        seen = np.pad(
            shrunk(image, size), ((REACH_PX, REACH_PX), (REACH_PX, REACH_PX), (0, 0)), mode="edge"
        )
        lines = _lines(
            seen[rows.start : rows.stop + 2 * REACH_PX, columns.start : columns.stop + 2 * REACH_PX]
        )
        # 2. the shift under which the parts lie on the clearest lines, near ones first
        agreement = cv2.matchTemplate(lines, shown.astype(np.float32), cv2.TM_CCORR) / np.float32(
            np.count_nonzero(shown)
        )
        away = np.arange(-REACH_PX, REACH_PX + 1)
        worth = agreement - np.float32(_FARNESS) * (away[:, None] ** 2 + away**2)
        down, right = np.unravel_index(int(worth.argmax()), worth.shape)
        if worth[down, right] - agreement[REACH_PX, REACH_PX] < _LEAST_GAIN:
            return self
        return replace(
            self,
            x=self.x + away[right] * self.shape[1] / size[1],
            y=self.y + away[down] * self.shape[0] / size[0],
        )

    def draw(self, size: tuple[int, int] | None = None) -> tuple[tuple[slice, slice], Array] | None:
        """Where they are: a window of the source, or of a smaller picture of `size` (h, w), and
        bool (rows, columns) of it.

        None when they have left the picture.
        """
        height, width = size or self.shape
        stretch = np.array([width / self.shape[1], height / self.shape[0]])
        outlines = [
            (outline * self.growth + (self.x, self.y) + 0.5) * stretch - 0.5
            for outline in self.outlines
        ]
        every = np.concatenate(outlines)[:, 0]
        left, top = np.maximum(np.floor(every.min(axis=0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(every.max(axis=0)).astype(int) + 1, (width, height))
        if left >= right or top >= bottom:
            return None
        canvas = np.zeros((bottom - top, right - left), np.uint8)
        # in fractions of a pixel, so that ropes thinner than one keep their position
        fixed = [
            np.rint((outline - (left, top)) * 2**_FRACTION_BITS).astype(np.int32)
            for outline in outlines
        ]
        cv2.fillPoly(canvas, fixed, 1, shift=_FRACTION_BITS)
        return ((slice(top, bottom), slice(left, right)), canvas > 0) if canvas.any() else None


def _lines(rgb: Image) -> Array:
    """How much every pixel lies on a thin line, against its surroundings: uint8 (h, w, 3) → float32
    (h, w), 0 to _CLEAREST.

    The ridge strength |λ1| - |λ2| of the Hessian's eigenvalues, λ1 the larger one, summed over the
    channels of Lab.
    """
    lab = cv2.GaussianBlur(
        cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32), (0, 0), _RIDGE_SIGMA
    )
    across, down, mixed = (cv2.Sobel(lab, -1, *order) for order in ((2, 0), (0, 2), (1, 1)))
    apart = np.sqrt(((across - down) / 2) ** 2 + mixed**2)
    strength = (2 * np.minimum(apart, np.abs(across + down) / 2)).sum(axis=2)
    usual = cv2.GaussianBlur(strength, (0, 0), _AROUND_SIGMA) + np.float32(_RIDGE_FLOOR)
    clear: Array = np.minimum(strength / usual, np.float32(_CLEAREST))
    return clear


def thin_parts(inside: Array, working: tuple[int, int]) -> ThinParts | None:
    """Find what is long and thin: bool (H, W), an object of a given mask, that is shrunk to (h, w).

    None: nothing is.

    The mask less its opening with a disc (Serra, Image Analysis and Mathematical Morphology, 1982),
    of which pieces are kept that are `SLENDER` times as long as the disc is wide.
    """
    # 1. the disc: as wide as what is still lost, in source pixels, and odd
    shape = (inside.shape[0], inside.shape[1])
    wide = 2 * round((THIN_PX * min(shape[0] / working[0], shape[1] / working[1]) - 1) / 2) + 1
    left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
    if max(width, height) < SLENDER * wide:
        return None
    part = cv2.copyMakeBorder(
        inside[top : top + height, left : left + width].view(np.uint8),
        *(wide,) * 4,
        cv2.BORDER_CONSTANT,
        value=0,
    )
    disc, little = (
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        for side in (wide, wide // 4 * 2 + 1)
    )
    # and what is only a corner of it
    thick = cv2.dilate(cv2.morphologyEx(part, cv2.MORPH_OPEN, disc), little)
    thin = cv2.subtract(part, thick)
    # 2. of what is left the long pieces
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(thin, connectivity=8)
    long = np.zeros(count, np.uint8)
    long[1:] = boxes[1:, cv2.CC_STAT_WIDTH : cv2.CC_STAT_HEIGHT + 1].max(axis=1) >= SLENDER * wide
    if not long.any():
        return None
    outlines, _ = cv2.findContours(
        long[labels],
        cv2.RETR_CCOMP,
        cv2.CHAIN_APPROX_SIMPLE,
        offset=(int(left) - wide, int(top) - wide),
    )
    return ThinParts(tuple(outlines), shape, working)


def add_thin(
    probabilities: Probabilities, parts: Mapping[int, ThinParts], taken: Array | None
) -> None:
    """Draw the thin parts of objects, by id, into float32 (K+1, H, W), in place, as certain; the
    layers still sum to 1.

    They stay behind other objects, and off the pixels that are `taken`: bool (H, W).
    """
    for object_id, part in parts.items():
        if (drawn := part.draw()) is None:
            continue
        window, shown = drawn
        layers = probabilities[:, window[0], window[1]]
        others = layers[1:].sum(axis=0) - layers[object_id]
        free = shown & (others < 0.5)
        if taken is not None:
            free &= ~taken[window]
        layers[:, free] = 0
        layers[object_id, free] = 1
