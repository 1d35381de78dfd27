"""Answers clicks and boxes on single pictures with masks."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.errors import UsageError
from vfx_matte.masks import Image, Mask
from vfx_matte.pipeline.first_mask import Box, Click, Marking, Marks, marking_of
from vfx_matte.pipeline.first_mask.salient_network import salient_network
from vfx_matte.pipeline.progress import Reporter

# as `Marks.check` has it
_LEAST_BOX = 2
# pictures that stay open: each further click on one is answered sooner, and one of 4K takes 300 MB
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Prompted:
    """What marks came to."""

    mask: Mask
    """uint8 (H, W): 1 where the object is."""

    confidence: float
    """0 … 1."""


class Prompter:
    """Opens pictures for marks; the last ones stay open. Safe to call from any thread.

    Args:
        model: the folder of network weights.
        fetch: whether the salient network may be fetched.
        reporter: receives a notice where it cannot be used.
    """

    def __init__(self, *, model: Path, fetch: bool, reporter: Reporter) -> None:
        self._model, self._fetch, self._reporter = model, fetch, reporter
        # one at a time: all cores work for one answer
        self._lock = threading.Lock()
        self._open: OrderedDict[Hashable, Marking] = OrderedDict()
        self._network: tuple[SalientNetwork | None] | None = None

    def answer(self, key: Hashable, picture: Callable[[], Image], marks: Marks) -> Prompted:
        """The mask of one object.

        Args:
            key: tells the picture from others.
            picture: gives it: uint8 (H, W, 3) R'G'B'.
            marks: on the object, and beside it.

        Raises:
            UsageError: the marks do not fit the picture (NothingFoundError: nothing is found).
        """
        with self._lock:
            marking = self._open.get(key)
            if marking is None:
                # the network is opened with the first picture: most tools send masks and need none
                if self._network is None:
                    self._network = (
                        salient_network(self._model, reporter=self._reporter, fetch=self._fetch),
                    )
                marking = self._open[key] = marking_of(picture(), self._network[0])
            self._open.move_to_end(key)
            while len(self._open) > _KEPT:
                self._open.popitem(last=False)
            nothing = np.zeros(marking.image.shape[:2], np.uint8)
            mask, answers, _ = marking.placed(nothing, marks, object_id=1)
            return Prompted(mask, answers[1].confidence)

    def forget(self, keys: Callable[[Hashable], bool]) -> None:
        """Close the pictures whose keys fit."""
        with self._lock:
            for key in [key for key in self._open if keys(key)]:
                del self._open[key]


def click_at(x: float, y: float, *, is_object: bool, width: int, height: int) -> Click:
    """The click at a place between pixels, as tools measure it from the picture's corner.

    Args:
        x: px from the left edge, 0 … width; the right edge belongs to the last pixel.
        y: px from the upper edge, 0 … height.
        is_object: whether it is on the object.
        width: of the picture, px.
        height: of the picture, px.

    Raises:
        UsageError: it lies outside of the picture, or is no place (NaN).
    """
    # an edge pixel in its place would be another click than the one that was made
    if not (0 <= x <= width and 0 <= y <= height):
        raise UsageError(
            f"the point {x:g},{y:g} lies outside of the picture, which is {width}×{height}",
            hint="click inside of the picture",
        )
    return Click(min(math.floor(x), width - 1), min(math.floor(y), height - 1), is_object)


def box_between(
    one: tuple[float, float], other: tuple[float, float], *, width: int, height: int
) -> Box:
    """The box between two corners, as far as it lies inside of a picture.

    Args:
        one: x and y of a corner, px.
        other: those of the opposite one.
        width: of the picture, px.
        height: of the picture, px.

    Raises:
        UsageError: no 2×2 pixels of it lie inside, or a corner is no place (NaN, infinite).
    """
    shown = f"the box from {one[0]:g},{one[1]:g} to {other[0]:g},{other[1]:g}"
    hint = f"draw it around the object; the picture is {width}×{height}"
    if not all(map(math.isfinite, (*one, *other))):
        raise UsageError(f"{shown} has no corners", hint=hint)
    (left, right), (top, bottom) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    x, y = max(math.floor(left), 0), max(math.floor(top), 0)
    inside = min(math.ceil(right), width) - x, min(math.ceil(bottom), height) - y
    if min(inside) < _LEAST_BOX:
        raise UsageError(f"{shown} has less than 2×2 pixels inside of the picture", hint=hint)
    return x, y, *inside
