"""Reads timecode, chapters and other streams of a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from vfx_matte.timecode import read_timecode, timecode_text
from vfx_matte.timeline import Timeline

# how QuickTime and others name such a track
_HANDLERS = ("timecode", "time code")
# the one sample of a timecode track is a 32-bit number (QuickTime File Format, tmcd)
_FRAME_NUMBER_BYTES = 4


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named range of a clip."""

    start: Fraction
    """Exact seconds on the file's clock."""

    end: Fraction
    """Exact seconds on the file's clock."""

    title: str
    """"" when it has none."""


def chapters_of(container: av.container.InputContainer) -> tuple[Chapter, ...]:
    """The chapters of a file, in order."""
    found = []
    for chapter in container.chapters():
        base = Fraction(chapter["time_base"] or 1)
        title = {key.lower(): value for key, value in chapter["metadata"].items()}.get("title", "")
        found.append(Chapter(chapter["start"] * base, chapter["end"] * base, title))
    return tuple(sorted(found, key=lambda chapter: (chapter.start, chapter.end)))


def put_chapters(
    output: av.container.OutputContainer, chapters: Sequence[Chapter], *, shift: Fraction
) -> None:
    """Give an output the chapters of its source; what lies before time zero is cut off.

    Times are exact in thousandths of a second at least. Call before the first packet is muxed.

    Args:
        output: the file.
        chapters: of the source.
        shift: seconds by which every time becomes earlier.
    """
    entries: Any = []
    # microseconds, as the muxers round to milliseconds themselves
    for number, chapter in enumerate(chapters, start=1):
        start, end = max(Fraction(0), chapter.start - shift), chapter.end - shift
        if end < start:
            continue
        base = Fraction(1, 1_000_000)
        entries.append(
            {
                "id": number,
                "start": round(start / base),
                "end": round(end / base),
                "time_base": base,
                "metadata": {"title": chapter.title} if chapter.title else {},
            }
        )
    output.set_chapters(entries)


def other_streams(container: av.container.InputContainer, video: int) -> tuple[str, ...]:
    """Kinds of the streams that are neither the picture, sound, a timecode nor the titles of
    chapters.

    Args:
        container: the file.
        video: index of the picture's stream.
    """
    kinds = []
    for stream in container.streams:
        if stream.index == video or stream.type == "audio":
            continue
        # QuickTime keeps the titles of chapters in a text track that FFmpeg marks as not to be read
        if stream.type == "data" and (
            _is_timecode(stream) or stream.discard == av.stream.Discard.all
        ):
            continue
        kinds.append(str(stream.type))
    return tuple(kinds)


def stated_timecode(container: av.container.InputContainer) -> str | int | None:
    """The timecode of a file's first frame as it is written somewhere, in a stream or the file
    itself.

    Demuxes a timecode track; call before any other demuxing, and seek after it.

    Returns:
        Text; an int is the frame number of a QuickTime track that FFmpeg reads no text from,
        because it is marked drop frame at a rate that has none, as iPhones write at 24. None where
        there is none.
    """
    # what a stream says of itself counts before what the file says
    for metadata in (*(stream.metadata for stream in container.streams), container.metadata):
        for key, value in metadata.items():
            if key.lower() == "timecode" and value.strip():
                return str(value)
    for stream in container.streams:
        if stream.type == "data" and _is_timecode(stream):
            for packet in _packets(container, stream):
                if packet.size == _FRAME_NUMBER_BYTES:
                    return int.from_bytes(bytes(packet), "big")
    return None


def resolve_timecode(stated: str | int | None, timeline: Timeline) -> tuple[str | None, str]:
    """The timecode of a clip in its usual form.

    Frames are counted at the whole rate nearest to the clip's own: 30 for 29.97, also where frames
    are missing.

    Args:
        stated: what stands in its file, see `stated_timecode`.
        timeline: of the clip.

    Returns:
        The timecode, None for none; and what to tell people about it, "" for nothing.
    """
    if stated is None:
        return None, ""
    timebase = timebase_of(timeline)
    # a count of frames needs no reading, only the form that people know
    if isinstance(stated, int):
        text = timecode_text(stated, timebase, drop_frame=False)
        why = f"{timebase} frames per second have no drop frame, so it counts every number"
        return text, f"its timecode is marked drop frame; {why}: {text}"
    try:
        found = read_timecode(stated, timebase)
    except ValueError as error:
        return None, f"its {error}; it is left out, and frames count from 0"
    text = timecode_text(found.frame, timebase, drop_frame=found.drop_frame)
    return text, f"timecode {stated}: {found.note}: {text}" if found.note else ""


def timebase_of(timeline: Timeline) -> int:
    """Whole frames per second that a clip's timecode counts."""
    # where frames were dropped the average is too low
    fps = timeline.average_fps if timeline.is_constant_rate else timeline.typical_fps
    return max(1, round(fps))


def _is_timecode(stream: Any) -> bool:  # noqa: ANN401 - PyAV's data streams have no type of their own
    metadata = {key.lower(): value.lower() for key, value in stream.metadata.items()}
    return "timecode" in metadata or any(
        name in metadata.get("handler_name", "") for name in _HANDLERS
    )


def _packets(container: av.container.InputContainer, stream: Any) -> Iterator[Any]:  # noqa: ANN401
    with contextlib.suppress(av.FFmpegError):
        yield from container.demux(stream)
