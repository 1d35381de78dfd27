"""What a studio project is: objects, reference masks, a range, and marks that are being set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from vfx_matte.first_mask import Click, Marks, Stroke
from vfx_matte.masks import Palette, hex_color

_DIGEST = re.compile("[0-9a-f]{64}")

COLORS = (
    "#00e5ff", "#ff4081", "#ffd600", "#76ff03", "#ff9100", "#b388ff", "#ff5252", "#1de9b6",
    "#448aff",
)  # fmt: skip
"""Of the first objects, for looking at: bright, and rare in pictures. The palette of masks begins
with a dark red, which is not seen on dark trousers and brown ground.
"""


@dataclass(frozen=True, slots=True)
class ProjectObject:
    """Something that is cut out."""

    id: int
    """1 to 255; its value in masks."""
    name: str
    color: str
    """ "#rrggbb", for looking at."""
    hidden: bool = False
    """Whether the page leaves it out."""
    locked: bool = False
    """Whether its masks must not change."""

    @classmethod
    def usual(cls, object_id: int) -> Self:
        """An object nobody has named yet."""
        r, g, b = (int(value) for value in Palette.davis().colors[object_id])
        color = COLORS[object_id - 1] if object_id <= len(COLORS) else hex_color((r, g, b))
        return cls(object_id, f"Object {object_id}", color)


@dataclass(frozen=True, slots=True)
class Reference:
    """A mask that was given for a frame."""

    digest: str
    """Of its pixels (`workspace.mask_archive`)."""
    objects: tuple[int, ...]
    """The ids that it shows."""
    enabled: bool = True
    """Whether it counts."""


@dataclass(frozen=True, slots=True)
class OpenMarks:
    """Marks of one object on one frame, to which a further one is added."""

    index: int
    """The frame."""
    object_id: int
    marks: Marks
    base: str
    """Digest of the mask before the first of them."""


@dataclass(frozen=True, slots=True)
class ProjectState:
    """All that an action can change, and undo brings back."""

    objects: tuple[ProjectObject, ...] = (ProjectObject.usual(1),)
    references: Mapping[int, Reference] = field(default_factory=dict)
    """By frame index."""
    first: int | None = None
    """The first frame of the range that is worked on; None is the clip's."""
    last: int | None = None
    """The last frame of it."""
    marks: OpenMarks | None = None
    propagated: str | None = None
    """The set of propagated masks (`workspace.mask_archive`); None: there are none."""

    def object(self, object_id: int) -> ProjectObject | None:
        """The object with this id."""
        return next((one for one in self.objects if one.id == object_id), None)

    def with_reference(self, index: int, reference: Reference | None) -> Self:
        """With another reference for a frame, or none; objects that it shows exist from now on."""
        # an imported picture may show objects that nobody has added
        known = {one.id for one in self.objects}
        new = () if reference is None else sorted(set(reference.objects) - known)
        references = {at: one for at, one in self.references.items() if at != index}
        if reference is not None:
            references[index] = reference
        return replace(
            self,
            references=dict(sorted(references.items())),
            objects=tuple(
                sorted((*self.objects, *map(ProjectObject.usual, new)), key=lambda one: one.id)
            ),
        )

    def span(self, frames: int) -> tuple[int, int]:
        """The half-open range that is worked on, of a clip with so many frames."""
        first = 0 if self.first is None else self.first
        return first, frames if self.last is None else self.last + 1

    def enabled_references(self) -> dict[int, Reference]:
        """Those that count, by frame index."""
        return {index: one for index, one in self.references.items() if one.enabled}

    def to_plain(self) -> dict[str, Any]:
        """What JSON can hold."""
        # short, as a line of the history holds all of it
        return {
            "objects": [
                [one.id, one.name, one.color, one.hidden, one.locked] for one in self.objects
            ],
            "references": {
                str(index): [one.digest, list(one.objects), one.enabled]
                for index, one in self.references.items()
            },
            "range": [self.first, self.last],
            "marks": None
            if self.marks is None
            else [
                self.marks.index,
                self.marks.object_id,
                marks_to_plain(self.marks.marks),
                self.marks.base,
            ],
            "propagated": self.propagated,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` gave.

        Raises:
            ValueError, KeyError or TypeError: it is something else.
        """
        # a digest becomes a file's name
        for digest, _, _ in plain["references"].values():
            if not _DIGEST.fullmatch(digest):
                raise ValueError(digest)
        marks = plain["marks"]
        first, last = plain["range"]
        return cls(
            tuple(ProjectObject(*one) for one in plain["objects"]),
            {
                int(index): Reference(digest, tuple(objects), enabled)
                for index, (digest, objects, enabled) in plain["references"].items()
            },
            first,
            last,
            None
            if marks is None
            else OpenMarks(marks[0], marks[1], marks_from_plain(marks[2]), marks[3]),
            plain["propagated"],
        )


def marks_to_plain(marks: Marks) -> dict[str, Any]:
    """Marks as JSON can hold them: `box` [x, y, w, h] or None, `clicks` [{x, y, object}], `strokes`
    [{points, object}].
    """
    return {
        "box": None if marks.box is None else list(marks.box),
        "clicks": [
            {"x": click.x, "y": click.y, "object": click.is_object} for click in marks.clicks
        ],
        "strokes": [
            {"points": [list(point) for point in stroke.points], "object": stroke.is_object}
            for stroke in marks.strokes
        ],
    }


def marks_from_plain(plain: Mapping[str, Any]) -> Marks:
    """Read what `marks_to_plain` gave.

    Raises:
        ValueError, KeyError or TypeError: it is something else.
    """
    box = plain.get("box")
    if box is not None:
        x, y, width, height = map(int, box)
        box = (x, y, width, height)
    return Marks(
        box,
        tuple(
            Click(int(one["x"]), int(one["y"]), bool(one["object"]))
            for one in plain.get("clicks", ())
        ),
        tuple(
            Stroke(tuple((int(x), int(y)) for x, y in one["points"]), bool(one["object"]))
            for one in plain.get("strokes", ())
        ),
    )
