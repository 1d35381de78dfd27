"""Puts one object into a mask beside others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vfx_matte.first_mask.crop_maps import touching_points
from vfx_matte.first_mask.marks import Marks, Point
from vfx_matte.masks import Mask

# of the marks: a stroke may leave other objects a little, as hands and masks are not exact
_MOSTLY = 0.9


class Placed(NamedTuple):
    """A mask with an object in it."""

    mask: Mask
    """uint8 (H, W), object ids."""
    taken_from: tuple[int, ...]
    """The objects that gave pixels, because the user marked them."""
    left_to: tuple[int, ...]
    """The objects that kept pixels that were found for this one too."""


def place_object(
    before: Mask, found: npt.NDArray[np.bool_], object_id: int, marks: Marks
) -> Placed:
    """Replace an object by what was found for it.

    It gets pixels that were background or its own. Another object keeps its pixels, but for a piece
    of what was found that an object mark of the user lies in. If a part of other objects becomes an
    object (`is_part`), it is the marked piece of these, and nothing beside them.

    Args:
        before: uint8 (H, W), object ids.
        found: bool (H, W).
        object_id: 1 … 255.
        marks: of the user, inside the picture.
    """
    # 1. background, and what was the object's own
    after = np.where(before == object_id, 0, before).astype(np.uint8)
    if is_part(before, object_id, marks):
        points = marked_points(marks)
        found = touching_points(
            found & np.isin(before, [before[y, x] or object_id for x, y in points]), points
        )
    after[found & (after == 0)] = object_id
    # 2. pixels of other objects: connected pieces of each, where a mark lies in one
    contested = found & (after != object_id)
    others = tuple(int(other) for other in np.unique(after[contested]))
    points = [(x, y) for x, y in marked_points(marks) if contested[y, x]]
    taken_from: list[int] = []
    for other in others if points else ():
        marked = touching_points(contested & (before == other), points)
        if marked.any():
            after[marked] = object_id
            taken_from.append(other)
    left_to = tuple(int(other) for other in np.unique(after[contested]) if other != object_id)
    return Placed(after, tuple(taken_from), left_to)


def is_part(before: Mask, object_id: int, marks: Marks) -> bool:
    """Whether a part of other objects becomes an object: one that the mask does not have, marked by
    clicks or strokes within others.
    """
    points = marked_points(marks)
    if marks.box is not None or not points or (before == object_id).any():
        return False
    return float(np.mean([before[y, x] > 0 for x, y in points])) >= _MOSTLY


def marked_points(marks: Marks, *, is_object: bool = True) -> list[Point]:
    """Every pixel that the user marked as the object, or as background: clicks, and all along
    strokes.
    """
    points = [(click.x, click.y) for click in marks.clicks if click.is_object == is_object]
    for stroke in marks.strokes:
        if stroke.is_object == is_object:
            points += stroke.points[:1]
            for (x, y), (to_x, to_y) in zip(stroke.points, stroke.points[1:], strict=False):
                # one pixel further on the longer side with each step
                steps = max(abs(to_x - x), abs(to_y - y), 1)
                points += [
                    (x + round((to_x - x) * step / steps), y + round((to_y - y) * step / steps))
                    for step in range(1, steps + 1)
                ]
    return points
