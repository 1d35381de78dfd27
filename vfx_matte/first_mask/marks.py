"""Marks in a picture, such as a box and clicks, and the mask that answers them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.errors import UsageError
from vfx_matte.masks import Mask
from vfx_matte.wording import option

Point = tuple[int, int]
"""(x, y) in pixels from the upper left corner."""

Box = tuple[int, int, int, int]
"""(x, y, width, height) in pixels."""

# a click is a disc of radius short side / this
_MARK_SHARE = 200

Probability = npt.NDArray[np.float32]
"""float32 (H, W), 0 … 1: how likely each pixel is the object."""


@dataclass(frozen=True, slots=True)
class Click:
    """A point that certainly is in the object, or certainly is not."""

    x: int
    """Pixels from the left."""
    y: int
    """Pixels from the top."""
    is_object: bool = True
    """False: it is background."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line drawn with the mouse over the object, or over background."""

    points: tuple[Point, ...]
    """Its corners in order, joined by straight lines; one point is a dot."""
    is_object: bool = True
    """False: it is background."""


@dataclass(frozen=True, slots=True)
class Marks:
    """All marks for one object in one picture."""

    box: Box | None = None
    """Everything outside it is background."""
    clicks: tuple[Click, ...] = ()
    """In the order in which they were made."""
    strokes: tuple[Stroke, ...] = ()
    """In the order in which they were made; all before the clicks."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is marked."""
        return self.box is None and not self.clicks and not self.strokes

    def check(self, *, width: int, height: int) -> None:
        """Check that the marks fit a picture and do not contradict each other.

        Args:
            width: of the picture, px.
            height: of the picture, px.

        Raises:
            UsageError: a box is smaller than 2×2 pixels, a box or point lies outside of the
                picture, a stroke has no points, an object mark lies outside the box, or a point
                or stroke is marked as both.
        """
        self._check_box(width, height)
        self._check_points(width, height)
        self._check_contradictions()

    def _check_box(self, width: int, height: int) -> None:
        if self.box is None:
            return
        x, y, box_width, box_height = self.box
        shown = f"box {x},{y},{box_width},{box_height}"
        hint = f"give {option('box', 'x,y,width,height')}"
        if box_width < 2 or box_height < 2:
            raise UsageError(f"{shown} is smaller than 2×2 pixels", hint=hint)
        if x < 0 or y < 0 or x + box_width > width or y + box_height > height:
            raise UsageError(
                f"{shown} does not lie inside the picture, {width}×{height}", hint=hint
            )

    def _check_points(self, width: int, height: int) -> None:
        for stroke in self.strokes:
            if not stroke.points:
                raise UsageError("a stroke has no points", hint='give "x,y x,y …" in pixels')
        for what, (x, y), is_object in self._points():
            if not (0 <= x < width and 0 <= y < height):
                raise UsageError(
                    f"{what} {x},{y} does not lie inside the picture, {width}×{height}",
                    hint="points are x,y in pixels",
                )
            if is_object and self.box is not None and not _is_in(self.box, x, y):
                shown = ",".join(map(str, self.box))
                raise UsageError(
                    f"foreground {what} {x},{y} lies outside the box {shown}",
                    hint="make the box larger",
                )

    def _check_contradictions(self) -> None:
        # strokes of both kinds may cross, and a click may lie on a stroke; the same mark as both
        # says nothing
        kinds: dict[tuple[Point, ...], bool] = {}
        for points, is_object in self._lines():
            # drawn from its other end it is the same line
            if kinds.setdefault(min(points, points[::-1]), is_object) != is_object:
                (x, y), (to_x, to_y) = points[0], points[-1]
                raise UsageError(
                    f"point {x},{y} is marked both as the object and as background"
                    if len(points) == 1
                    else f"the stroke from {x},{y} to {to_x},{to_y} is marked both as the object"
                    " and as background",
                    hint="leave one of them out",
                )

    def _lines(self) -> Iterator[tuple[tuple[Point, ...], bool]]:
        """(the corners, each once in a row, is object) of all clicks and strokes."""
        for click in self.clicks:
            yield ((click.x, click.y),), click.is_object
        for stroke in self.strokes:
            yield tuple(point for point, _ in groupby(stroke.points)), stroke.is_object

    def labels(self, shape: tuple[int, int]) -> npt.NDArray[np.int8]:
        """The pixels that the marks cover: clicks and strokes as discs and lines of
        `mark_radius_px`.

        Where marks of both kinds are near, the nearest one counts for each pixel, and a click on a
        stroke counts more than the stroke.

        Args:
            shape: (H, W) of the picture.

        Returns:
            int8 (H, W): 1 = object, -1 = background, 0 = not marked.
        """
        # by distances to both kinds, not by drawing discs one over the other, which would let the
        # last one win
        radius = mark_radius_px(shape)
        to_object, to_background = (
            _distance(self._draw(shape, is_object=kind), radius) for kind in (True, False)
        )
        is_object = (to_object <= radius) & (to_object < to_background)
        is_background = (to_background <= radius) & (to_background <= to_object)
        return is_object.astype(np.int8) - is_background.astype(np.int8)

    def _draw(self, shape: tuple[int, int], *, is_object: bool) -> npt.NDArray[np.uint8]:
        """The marks of one kind as thin lines and single pixels: uint8 (H, W), 1 = marked."""
        drawn = np.zeros(shape, np.uint8)
        for stroke in self.strokes:
            if stroke.is_object == is_object:
                corners = np.array(stroke.points, np.int32).reshape(-1, 1, 2)
                cv2.polylines(drawn, [corners], isClosed=False, color=1)
        # over strokes of either kind, so that a click takes its pixel out of one
        for click in self.clicks:
            drawn[click.y, click.x] = click.is_object == is_object
        return drawn

    def _points(self) -> Iterator[tuple[str, Point, bool]]:
        """("point" or "stroke point", (x, y), is object) of all clicks and strokes."""
        for click in self.clicks:
            yield "point", (click.x, click.y), click.is_object
        for stroke in self.strokes:
            for point in stroke.points:
                yield "stroke point", point, stroke.is_object


@dataclass(frozen=True, slots=True)
class Answer:
    """A mask that was found."""

    probability: Probability
    """float32 (H, W), 0 … 1; exactly 0 or 1 where a click or stroke is."""
    confidence: float
    """0 … 1: how well what the mask is made from agrees; below 0.5 it should be looked at."""
    advice: str = ""
    """What would help, in a sentence; "" where nothing is in doubt."""

    @property
    def mask(self) -> Mask:
        """uint8 (H, W): 1 = object, 0 = background."""
        return np.asarray(self.probability > 0.5, np.uint8)


def mark_radius_px(shape: tuple[int, ...]) -> int:
    """The radius of the disc that a click covers, in a picture of this shape (H, W, …)."""
    return max(2, round(min(shape[:2]) / _MARK_SHARE))


def _distance(drawn: npt.NDArray[np.uint8], radius: int) -> npt.NDArray[np.float32]:
    """How far each pixel is from what is drawn, px: exact up to the reach of a mark, and just more
    than that beyond.
    """
    # only around what is drawn: a click in an 8K picture needs no transform of all of it
    left, top, width, height = cv2.boundingRect(drawn)
    distance = np.full(drawn.shape, 2 * radius + 1, np.float32)
    if width:
        rows = slice(max(0, top - 2 * radius), top + height + 2 * radius)
        columns = slice(max(0, left - 2 * radius), left + width + 2 * radius)
        distance[rows, columns] = cv2.distanceTransform(
            1 - drawn[rows, columns], cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
    return distance


def _is_in(box: Box, x: int, y: int) -> bool:
    left, top, width, height = box
    return left <= x < left + width and top <= y < top + height
