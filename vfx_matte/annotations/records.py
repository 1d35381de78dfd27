"""What is written of a clip's masks, and what is read of somebody's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vfx_matte.annotations.rle import RLE, require_shape
from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask, ObjectLabel, Palette
from vfx_matte.numbering import MOST_DIGITS, padded, split_name
from vfx_matte.printable import shortened

MOST_OBJECTS = 255
"""Masks have one byte per pixel, and 0 is the background."""

NumbersFrom = Literal["file", "names", "order"]
"""Where frame numbers come from: the file says them, pictures are named by them, or they are
counted from 0.
"""


@dataclass(frozen=True, slots=True)
class FrameName:
    """One frame of a clip, as files about it name it."""

    index: int
    """From 0 in the clip."""

    number: int
    """As people count it: the number of the picture in a sequence, else the index."""

    file_name: str
    """Of its picture, without a folder: "00012.jpg"."""


@dataclass(frozen=True, slots=True)
class AnnotatedClip:
    """The clip whose masks are written."""

    name: str
    shape: tuple[int, int]
    """(H, W) of every mask."""

    labels: Mapping[int, ObjectLabel] = field(default_factory=dict)
    """By id, 1 … 255; an object that is not here is "object 3". JSON files are written when all
    frames are known, so that a mapping that is filled until then will do for them.
    """

    palette: Palette = field(default_factory=Palette.davis)

    def label(self, object_id: int) -> ObjectLabel:
        """What an object is."""
        return self.labels.get(object_id) or ObjectLabel(f"object {object_id}")

    def require_mask(self, mask: Mask) -> None:
        """Raise ValueError for an array that is no mask of this clip."""
        if mask.dtype != np.uint8 or mask.shape != self.shape:
            raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected uint8 {self.shape}")


AddFrame = Callable[[FrameName, Mask], None]
"""What a writer lends: takes one frame with its mask, uint8 (H, W) of object ids. Frames come once
each, in their order.
"""


@dataclass(frozen=True, slots=True)
class FrameAnnotation:
    """One frame of somebody's file."""

    number: int
    """Of the frame; see `Annotations.numbers_from`."""

    file_name: str
    """Of its picture, as the file has it; "" where it has none."""

    shape: tuple[int, int]
    """(H, W) of its mask."""

    read: Callable[[], Mask]
    """Decodes the mask: uint8 (H, W), object ids. Raises MaskError."""

    object_ids: tuple[int, ...] | None = None
    """The objects that the file names on it, ascending; None where only its picture shows them."""

    shows_void: Callable[[Mask], bool] | None = None
    """Of the mask as read: whether its value 255 means "undecided" instead of an object. None where
    all values are objects.
    """


@dataclass(frozen=True, slots=True)
class Annotations:
    """What a file says about the masks of one clip."""

    clip_name: str
    """"" where the file says none."""

    labels: Mapping[int, ObjectLabel]
    """By id, 1 … 255."""

    frames: tuple[FrameAnnotation, ...]
    """Ascending by number."""

    numbers_from: NumbersFrom

    notices: tuple[str, ...] = ()
    """What was not as expected, for people."""

    lists_unseen: bool = False
    """Whether the file names every picture, those that nobody has looked at too. One without a
    region may then show objects all the same.
    """


def frame_numbers(
    file_names: Sequence[str], stated: Sequence[int] | None = None
) -> tuple[list[int], NumbersFrom]:
    """The numbers of frames in a file.

    Args:
        file_names: of their pictures, "" where there is none.
        stated: the numbers that the file itself gives, None = it gives none.

    Raises:
        MaskError: two frames have one number.
    """
    # 1. our own files say it
    if stated is not None:
        _require_distinct(stated, file_names)
        return list(stated), "file"
    # 2. pictures are named by it; a name such as frame_000012.PNG counts as its picture does
    cut = [split_name(name.replace("\\", "/").rpartition("/")[2]) for name in file_names]
    numbers = [name.number for name in cut if name is not None]
    if numbers and len(numbers) == len(file_names):
        _require_distinct(numbers, file_names)
        return numbers, "names"
    # 3. all that is left is their order
    return list(range(len(file_names))), "order"


def _require_distinct(numbers: Sequence[int], file_names: Sequence[str]) -> None:
    seen: dict[int, str] = {}
    for number, name in zip(numbers, file_names, strict=True):
        if abs(number) >= 10**MOST_DIGITS:
            raise MaskError(f"frame number {shortened(number)} is too large", hint="check the file")
        if number in seen:
            raise MaskError(
                f"frame {number} is there twice: {seen[number]!r} and {name!r}",
                hint="the last number in a name is its frame; a file has the frames of one clip",
            )
        seen[number] = name


def file_stem(number: int) -> str:
    """How masks of a frame are named: 12 is "00012"."""
    return padded(number, 5)


def compose(shape: tuple[int, int], regions: Sequence[tuple[int, RLE]]) -> Mask:
    """A mask of regions, of which later ones cover earlier ones.

    Args:
        shape: (H, W).
        regions: (object id, region of that shape), bottom first.

    Raises:
        MaskError: it is no size of a mask.
    """
    require_shape(shape)
    height, width = shape
    # run lengths follow the columns, so the mask is filled lying down
    down = np.zeros(height * width, np.uint8)
    for object_id, region in regions:
        for start, stop in region.spans():
            down[start:stop] = object_id
    return np.ascontiguousarray(down.reshape(width, height).T)
