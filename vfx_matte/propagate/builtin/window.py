"""Windows of a picture: most work is done only where an object is, and around it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from vfx_matte.backend import Array


class Box(NamedTuple):
    """A window of a picture: half-open ranges of rows and columns."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def around(cls, inside: Array) -> Box | None:
        """The smallest window that holds all that is set in bool or uint8 (H, W), or None."""
        if not inside.size:
            return None
        left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
        return cls(top, top + height, left, left + width) if width else None

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Box:
        """All of a picture of (H, W, …)."""
        return cls(0, shape[0], 0, shape[1])

    @classmethod
    def hull(cls, boxes: Iterable[Box]) -> Box:
        """The smallest window that holds all others; `NOWHERE` when they hold no pixel."""
        some = [box for box in boxes if box.bottom > box.top and box.right > box.left]
        if not some:
            return NOWHERE
        tops, bottoms, lefts, rights = zip(*some, strict=True)
        return cls(min(tops), max(bottoms), min(lefts), max(rights))

    def grown(self, margin: int, shape: tuple[int, ...]) -> Box:
        """The window with a margin, cut off at the picture's edge."""
        return Box(
            max(self.top - margin, 0),
            min(self.bottom + margin, shape[0]),
            max(self.left - margin, 0),
            min(self.right + margin, shape[1]),
        )

    def begun_at(self, step: int) -> Box:
        """The window, grown to begin at multiples of `step`: every `step`-th pixel of the picture
        is every `step`-th of the window.
        """
        return self._replace(top=self.top // step * step, left=self.left // step * step)

    def scaled(self, shape: tuple[int, ...], to: tuple[int, ...]) -> Box:
        """All pixels of a smaller picture (h, w) of the same view that are read when the window is
        interpolated from it. shape: (H, W).
        """
        down, right = to[0] / shape[0], to[1] / shape[1]
        # a pixel's centre lies between those of two smaller ones
        return Box(
            max(int((self.top + 0.5) * down - 0.5), 0),
            min(int((self.bottom - 0.5) * down - 0.5) + 2, to[0]),
            max(int((self.left + 0.5) * right - 0.5), 0),
            min(int((self.right - 0.5) * right - 0.5) + 2, to[1]),
        )

    def moved(self, down: int, right: int) -> Box:
        """The window so many pixels farther down and to the right."""
        return Box(self.top + down, self.bottom + down, self.left + right, self.right + right)

    def cut(self, other: Box) -> Box:
        """What of the window lies in another one."""
        part = Box(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )
        return part if part.top < part.bottom and part.left < part.right else NOWHERE

    def within(self, other: Box) -> Box:
        """The same window of a picture that is the window `other`, which holds it."""
        return Box(
            self.top - other.top,
            self.bottom - other.top,
            self.left - other.left,
            self.right - other.left,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def window(self) -> tuple[slice, slice]:
        """For indexing."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


NOWHERE = Box(0, 0, 0, 0)
"""A window without a pixel."""


@dataclass(frozen=True)
class HalfMask:
    """A soft mask at half size, where pixels are described: float32 (h/2, w/2)."""

    inside: Array

    @classmethod
    def of(cls, layer: Array, shape: tuple[int, ...]) -> HalfMask:
        """Of float32 (h, w), at `shape` (h/2, w/2, …)."""
        return cls(cv2.resize(layer, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))

    @cached_property
    def shown(self) -> Array:
        """Bool (h/2, w/2), the pixels that are the object rather than not."""
        shown: Array = self.inside >= 0.5
        return shown

    @cached_property
    def _box(self) -> Box | None:
        """The window around them, None where there are none."""
        return Box.around(self.shown)

    def around(self, reach: float) -> Box:
        """A window that holds every pixel within `reach` of the object, and some around these."""
        if self._box is None:
            return NOWHERE
        # distances are measured along sides and diagonals, and a side counts 0.955
        return self._box.grown(math.ceil(reach / 0.95) + 4, self.inside.shape)

    def outside(self, box: Box) -> Array:
        """How far the pixels of a window of `around` are from the object: float32, in pixels."""
        return self._distance(~self.shown[box.window])

    def within(self, box: Box) -> Array:
        """How far they are from what is not the object."""
        return self._distance(self.shown[box.window].copy())

    @staticmethod
    def _distance(region: Array) -> Array:
        """How far each pixel of bool (H, W) is from what is not set."""
        if not region.size:
            return np.zeros(region.shape, np.float32)
        return cv2.distanceTransform(region.view(np.uint8), cv2.DIST_L2, 3)

    def flat(self, some: Array, box: Box) -> Array:
        """The flat indices, in the half-size picture, of what is set in bool, a window of it."""
        rows, columns = np.nonzero(some)
        indices: Array = (rows + box.top) * self.inside.shape[1] + (columns + box.left)
        return indices


def enlarged(half: Array, shape: tuple[int, ...]) -> Array:
    """A picture of half size, float32, at (h, w)."""
    return cv2.resize(half, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
