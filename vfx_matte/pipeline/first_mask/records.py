"""What a first mask is asked for with, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

from vfx_matte.errors import UsageError
from vfx_matte.first_mask import (
    Marks,
)
from vfx_matte.masks import Mask
from vfx_matte.pipeline.records import INTERNAL
from vfx_matte.wording import option

PROPAGATED: Final = "propagated"
"""Typed instead of a mask file: the frame's mask in the workspace."""

MOST_OBJECTS = 255
"""Object ids go to 255."""

LEAST_CONFIDENCE = 0.1
"""Below it nothing was found: in a picture of one colour the network sees subjects with 0 to 0.02.
Of 280 masks of the development sequences (boxes, clicks, corrections), those that overlap the truth
by half have 0.15 and more.
"""

# a confidence below which a mask should be looked at
_UNSURE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRequest:
    """What a user asks for.

    Raises:
        UsageError: nothing is marked, or the object is out of range.
    """

    at: int | Fraction | None = None
    """Frame number, or seconds from the clip's start; None is the first frame."""
    marks: Marks = field(default_factory=Marks)
    """Box, clicks and strokes."""
    auto: bool = False
    """Begin with what stands out."""
    object_id: int | None = None
    """The object that is marked, 1 to 255; None is the only one there is, or 1."""
    start: Path | None = None
    """A mask file to begin with."""
    from_propagated: bool = False
    """Begin with the frame's mask in the workspace."""
    alone: bool = False
    """Leave all other objects out of the mask: where it is a reference, they go on as predicted."""

    def __post_init__(self) -> None:
        # refused here and not by a door, so that Python, too, hears what could be marked
        if self.marks.is_empty and not self.auto:
            begins = self.start is not None or self.from_propagated
            raise UsageError(
                (
                    "nothing is marked, so there is nothing to correct"
                    if begins
                    else "nothing is marked"
                ),
                hint=(
                    f"give {option('fg', 'x,y')} (a click on the subject), {option('bg', 'x,y')},"
                    f" {option('box', 'x,y,w,h')}, {option('fg_stroke')} or"
                    f" {option('bg_stroke')} (points x,y), or {option('auto', True)} for what"
                    " stands out"
                ),
            )
        if self.object_id is not None and not 1 <= self.object_id <= MOST_OBJECTS:
            raise UsageError(
                f"object {self.object_id} is out of range", hint=f"objects are 1 to {MOST_OBJECTS}"
            )


@dataclass(frozen=True, slots=True)
class MaskedObject:
    """An object that was found."""

    object_id: int
    """1 to 255."""
    pixels: int
    """Its area."""
    share: float
    """Of the picture, 0 … 1."""
    confidence: float
    """0 … 1; below 0.5 it should be looked at."""
    advice: str
    """What would help, in a sentence; "" where nothing is in doubt."""
    gained: int = 0
    """Pixels that it has and had not in the mask to begin with; 0 where it is new."""
    lost: int = 0
    """Pixels that it had there and has no more."""

    @property
    def is_unsure(self) -> bool:
        """Whether it should be looked at."""
        # advice is given for masks that look right and rest on little, such as a click that may
        # mean two things
        return self.confidence < _UNSURE or bool(self.advice)


@dataclass(frozen=True, slots=True)
class FirstMaskResult:
    """A mask of one frame, in memory."""

    frame: int
    """The number of the frame."""
    mask: Mask
    """uint8 (H, W), object ids, 0 = background."""
    objects: tuple[MaskedObject, ...]
    """Those that were found by this call, in order."""
    notices: tuple[str, ...]
    """Lines for people."""


@dataclass(frozen=True, slots=True)
class MaskResult:
    """A mask that was saved."""

    path: Path
    """The mask's file."""
    preview: Path | None
    """The preview's file; None where none was saved."""
    mask: Mask = field(metadata=INTERNAL)
    """uint8 (H, W), object ids."""
    objects: tuple[MaskedObject, ...]
    """Those that were found by this call, in order."""
    next_command: str
    """The command that propagates the mask, and others that wait; "" where none is of use."""
