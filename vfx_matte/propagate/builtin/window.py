"""Windows of a picture: most work is done only where an object is, and around it."""

from __future__ import annotations

from collections.abc import Iterable
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
        """The smallest window that holds all that is set in bool (H, W), or None."""
        left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
        return cls(top, top + height, left, left + width) if width else None

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Box:
        """All of a picture of (H, W, …)."""
        return cls(0, shape[0], 0, shape[1])

    @classmethod
    def hull(cls, boxes: Iterable[Box]) -> Box:
        """The smallest window that holds at least one other."""
        tops, bottoms, lefts, rights = zip(*boxes, strict=True)
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
