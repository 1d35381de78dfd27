"""What a user marks in a picture, and the answer to it.

Takes numbers, checks them; never looks at a picture's pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

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

_MARK_SHARE = 200  # a click is a disc of radius short side / this

Probability = npt.NDArray[np.float32]
"""float32 (H, W), 0 … 1: how likely each pixel is the object."""


@dataclass(frozen=True, slots=True)
class Click:
    """A point that certainly is the object, or certainly is not."""

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
    """Everything that was marked for one object in one picture, in the order in which it was
    marked.
    """

    box: Box | None = None
    """Everything outside it is background."""
    clicks: tuple[Click, ...] = ()
    strokes: tuple[Stroke, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is marked."""
        return self.box is None and not self.clicks and not self.strokes

    def require_inside(self, *, width: int, height: int) -> None:
        """Check that every mark fits a picture.

        Args:
            width: of the picture, px.
            height: of the picture, px.

        Raises:
            UsageError: a box or point lies outside, a stroke has no points, an object mark lies
                outside the box, a point is marked as both, or background is all that is marked.
        """
        if self.box is not None:
            x, y, box_width, box_height = self.box
            if (
                x < 0
                or y < 0
                or box_width < 2
                or box_height < 2
                or x + box_width > width
                or y + box_height > height
            ):
                shown = f"box {x},{y},{box_width},{box_height}"
                raise UsageError(
                    f"{shown} does not lie inside the picture, {width}×{height}",
                    hint=f"give {option('box', 'x,y,width,height')}",
                )
        for what, (x, y), is_object in self._points():
            if not (0 <= x < width and 0 <= y < height):
                hint = "points are x,y in pixels"
                raise UsageError(
                    f"{what} {x},{y} does not lie inside the picture, {width}×{height}", hint=hint
                )
            if is_object and self.box is not None and not _is_in(self.box, x, y):
                shown = ",".join(map(str, self.box))
                raise UsageError(
                    f"foreground {what} {x},{y} lies outside the box {shown}",
                    hint="make the box larger",
                )

        kinds: dict[Point, bool] = {}
        for click in self.clicks:
            if kinds.setdefault((click.x, click.y), click.is_object) != click.is_object:
                shown = f"point {click.x},{click.y}"
                raise UsageError(
                    f"{shown} is marked both as the object and as background",
                    hint="leave one of them out",
                )

    def said(self, shape: tuple[int, int]) -> npt.NDArray[np.int8]:
        """What the marks say of every pixel: clicks and strokes as discs and lines of
        `mark_radius_px`.

        Where marks of both kinds are near, each pixel is what the nearest one says, and a click
        counts on a stroke.

        Args:
            shape: (H, W) of the picture.

        Returns:
            int8 (H, W): 1 = object, -1 = background, 0 = not marked.
        """
        radius = mark_radius_px(shape)
        far = [_distance(self._drawn(shape, is_object=kind), radius) for kind in (True, False)]
        is_object = (far[0] <= radius) & (far[0] < far[1])
        is_background = (far[1] <= radius) & (far[1] <= far[0])
        return is_object.astype(np.int8) - is_background.astype(np.int8)

    def _drawn(self, shape: tuple[int, int], *, is_object: bool) -> npt.NDArray[np.uint8]:
        """The marks of one kind as thin lines and single pixels: uint8 (H, W), 1 = marked."""
        drawn = np.zeros(shape, np.uint8)
        for stroke in self.strokes:
            if stroke.is_object == is_object:
                corners = np.array(stroke.points, np.int32).reshape(-1, 1, 2)
                cv2.polylines(drawn, [corners], isClosed=False, color=1)
        for click in self.clicks:
            drawn[click.y, click.x] = click.is_object == is_object
        return drawn

    def _points(self) -> list[tuple[str, Point, bool]]:
        """("point" or "stroke point", where, whether it is the object) of everything marked."""
        found = [("point", (click.x, click.y), click.is_object) for click in self.clicks]
        for stroke in self.strokes:
            if not stroke.points:
                raise UsageError("a stroke has no points", hint='give "x,y x,y …" in pixels')
            found += [("stroke point", point, stroke.is_object) for point in stroke.points]
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """A mask that was found."""

    probability: Probability
    """float32 (H, W), 0 … 1. Where a click or stroke is, exactly what it says."""
    confidence: float
    """0 … 1: how well the witnesses agree; below 0.5 the mask should be looked at."""
    advice: str = ""
    """What would help, in a sentence; "" where nothing is in doubt."""

    @property
    def mask(self) -> Mask:
        """uint8 (H, W): 1 = object, 0 = background."""
        return np.asarray(self.probability > 0.5, np.uint8)


def mark_radius_px(shape: tuple[int, ...]) -> int:
    """The radius of the disc that a click certainly says, in a picture of this (H, W, …)."""
    return max(2, round(min(shape[:2]) / _MARK_SHARE))


def _distance(drawn: npt.NDArray[np.uint8], radius: int) -> npt.NDArray[np.float32]:
    """How far each pixel is from what is drawn, px; more than a mark reaches where it is not near
    or nothing is drawn.
    """
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
