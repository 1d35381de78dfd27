"""The reference masks of a run: from files or memory to object ids.

What a painted picture means is decided in `vfx_matte.references`; here it is brought onto the
frames of a clip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from vfx_matte.errors import MaskError
from vfx_matte.masks import RGB, hex_color
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.frame_numbers import ambiguity_notice, named_after, outside_hint
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.references.files import (
    collect_references,
    load_mask_picture,
    parse_color_argument,
    parse_mask_argument,
)
from vfx_matte.references.reading import MaskPicture, MaskReading, read_references
from vfx_matte.wording import option
from vfx_matte.workspace import ReferenceRecord, clip_name

Sources = dict[int, Path | MaskPicture]
"""Where masks are from, by frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFiles:
    """Masks as a user gives them; frames go by their numbers, see `Timeline.number`."""

    first_mask: Path | None = None
    """For the first frame of the range."""

    pairs: tuple[str, ...] = ()
    """"FRAME=path" texts."""

    folder: Path | None = None
    """Files whose last number is the frame's."""

    files: Mapping[int, Path] = field(default_factory=dict)
    """Files by frame number, for programs."""

    pictures: Mapping[int, MaskPicture] = field(default_factory=dict)
    """Masks in memory by frame number, for programs."""

    colors: tuple[str, ...] = ()
    """"COLOUR=ID" texts: which object a painted colour is, 0 = background."""


@dataclass(frozen=True, slots=True)
class References:
    """The reference masks of a clip by frame index, ascending."""

    sources: Sources
    """Where each is from: a file, or a picture in memory."""

    readings: dict[int, MaskReading]
    """How each was understood."""

    def record(self, frame_index: int) -> ReferenceRecord:
        """The manifest's entry of one."""
        source, colors = self.sources[frame_index], self.readings[frame_index].colors
        if isinstance(source, Path):
            return ReferenceRecord.of(source, colors)
        # type and shape belong to the digest: equal bytes of another shape are another mask
        pixels = np.ascontiguousarray(source.pixels)
        digest = hashlib.sha256(
            f"{pixels.dtype} {pixels.shape} ".encode() + pixels.tobytes()
        ).hexdigest()
        return ReferenceRecord("", digest, dict(colors))

    @property
    def objects(self) -> dict[int, RGB]:
        """Every object with its colour on the first reference that shows it; ids ascending."""
        # the first reference decides: references may paint one object in several colours, and a
        # manifest has room for one
        colors: dict[int, RGB] = {}
        for reading in self.readings.values():
            for object_id, color in reading.colors.items():
                colors.setdefault(object_id, color)
        return dict(sorted(colors.items()))


@dataclass(frozen=True, slots=True)
class ReferenceObject:
    """An object on a reference mask, as it was understood."""

    frame: int
    """The frame's number."""

    file: str
    """The mask file's name; "" for a picture in memory."""

    kind: str
    """What sort of picture the mask is."""

    object_id: int
    color: str
    """The painted colour, "#rrggbb"."""

    pixels: int
    """How many pixels the object has."""


def load_references(
    clip: SourceClip,
    files: ReferenceFiles,
    *,
    first: int,
    expected: Collection[int] = (),
    reporter: Reporter,
) -> References:
    """Read the reference masks of a clip.

    Args:
        clip: whose frames they are for.
        files: the masks as given.
        first: index of the frame that `files.first_mask` is for.
        expected: the objects that masks are known to show, where a program made them: their frame
            numbers are not doubted either.
        reporter: receives notices about how masks were understood.

    Raises:
        MaskError: a mask cannot be used, a frame has two, or is not in the clip.
        UsageError: a text cannot be read.
    """
    timeline = clip.info.timeline
    sources = _sources(clip, files, first=first, reporter=reporter)
    for line in () if expected else _notices(clip, files, sources, first=first):
        reporter.notify(line)
    # read_references wants the numbers that people know, for its messages
    pictures = (
        (
            timeline.number(at),
            _loaded(source, clip, timeline.number(at)) if isinstance(source, Path) else source,
        )
        for at, source in sources.items()
    )
    # colours that were given come first, so that they hold on every reference alike
    given = dict(parse_color_argument(text) for text in files.colors)
    understood = read_references(pictures, shape=clip.info.shape, given=given, expected=expected)
    readings = {timeline.index_of(number): reading for number, reading in understood}
    for at, reading in readings.items():
        for notice in reading.notices:
            reporter.notify(f"mask of frame {timeline.number(at)}: {notice}")
    return References(sources, readings)


def _loaded(file: Path, clip: SourceClip, number: int) -> MaskPicture:
    """A mask file. Raises MaskError, naming the frame: of a folder of masks it is one of many."""
    try:
        return load_mask_picture(file, shape=clip.info.shape)
    except MaskError as error:
        raise MaskError(f"mask of frame {number}: {error.message}", hint=error.hint) from error


def reference_objects(
    clip: SourceClip,
    files: ReferenceFiles,
    *,
    start: int | Fraction | None = None,
    reporter: Reporter,
) -> list[ReferenceObject]:
    """How mask files are understood: every object of every reference, without segmenting.

    Args:
        clip: whose frames they are for.
        files: the masks as given.
        start: the frame that `files.first_mask` is for, a number or seconds; None is the first.
        reporter: receives notices.

    Raises:
        MaskError: as `load_references`.
    """
    first, _ = clip.frame_range(start, None)
    # the very reading that a run would use, so that what is shown is what would be propagated
    references = load_references(clip, files, first=first, reporter=reporter)
    return [
        ReferenceObject(
            frame=clip.info.timeline.number(at),
            file=getattr(references.sources[at], "name", ""),
            kind=reading.kind,
            object_id=object_id,
            color=hex_color(reading.colors[object_id]),
            pixels=pixels,
        )
        for at, reading in references.readings.items()
        for object_id, pixels in reading.coverage.items()
    ]


def _sources(clip: SourceClip, files: ReferenceFiles, *, first: int, reporter: Reporter) -> Sources:
    """Where the mask of each frame is from, by frame index, ascending."""
    timeline = clip.info.timeline
    numbered: Sources = {}
    pairs = [*files.files.items(), *(parse_mask_argument(text) for text in files.pairs)]
    # pictures in memory need no file; without them collect_references says what is lacking
    if not files.pictures or files.first_mask or pairs or files.folder:
        numbered.update(
            collect_references(
                first_mask=files.first_mask,
                first_frame=timeline.number(first),
                masks=pairs,
                folder=files.folder,
                clip_name=clip_name(clip.path),
                frame_count=len(timeline),
                first_number=timeline.first_number,
                outside_hint=partial(outside_hint, clip.info),
                notify=reporter.notify,
            )
        )
    # pictures have no file name to say in an error, so the number does
    for number, picture in files.pictures.items():
        if number in numbered or not 0 <= timeline.index_of(number) < len(timeline):
            problem = (
                "has two masks"
                if number in numbered
                else f"does not exist: the clip has {len(timeline)} frames"
            )
            raise MaskError(
                f"frame {number} {problem}",
                hint=f"{outside_hint(clip.info, number)}; give one mask for each",
            )
        numbered[number] = picture
    return {timeline.index_of(number): source for number, source in sorted(numbered.items())}


def _notices(
    clip: SourceClip, files: ReferenceFiles, sources: Sources, *, first: int
) -> Iterator[str]:
    """What people may have meant otherwise: a first mask that is named after another frame, and
    numbers of a sequence that could be counts.
    """
    number = clip.info.timeline.number
    named = named_after(clip.info, files.first_mask.name) if files.first_mask else None
    if files.first_mask and named not in (None, number(first)):
        yield (
            f"{files.first_mask.name} is on frame {number(first)} ({option('first_mask')}); it is"
            f" named after frame {named}: give it as {option('mask', f'{named}=PNG')} to put it"
            " there"
        )
    # a first mask was not given by a number, so its number cannot have been meant otherwise
    typed = {number(at) for at, source in sources.items() if source != files.first_mask}
    if line := ambiguity_notice(clip.info, typed, "mask"):
        yield line
