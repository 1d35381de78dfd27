"""Reads a part of a clip as a clip of its own: frames [start, stop) with their times and sound.

Its time zero is the first of these frames, so that a file of it can be laid on a timeline at that
frame, in any program. A part that begins with the clip begins as the clip does, with sound before
the picture and all.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import av

from vfx_matte.backend import Notify
from vfx_matte.media.probe import AudioInfo, ClipInfo, Part
from vfx_matte.media.stated import Chapter, timebase_of
from vfx_matte.timecode import read_timecode, timecode_text
from vfx_matte.timeline import Timeline

# what `Part.note` says, in the comment of a file, with other notes around it
NOTE = re.compile(r"vfx-matte: (?:.*; )?frames (-?\d+) to (-?\d+) of the source(?:;.*)?")


def part_of(info: ClipInfo, start: int, stop: int, *, notify: Notify) -> ClipInfo:
    """The facts of frames [start, stop); those of the whole clip itself when that is all of it.

    Times stay the source's, and so do frame numbers; `origin` is taken off of them.

    Args:
        info: of the whole clip.
        start: its first frame.
        stop: the frame behind its last one.
        notify: is told of a timecode that is left out.
    """
    timeline = info.timeline
    if (start, stop) == (0, len(timeline)):
        return info
    # at the clip's own ends nothing is cut
    begin = None if start == 0 else timeline[start].start
    end = None if stop == len(timeline) else timeline[stop].start
    frames = Timeline(
        timeline.pts[start:stop],
        timeline.durations[start:stop],
        timeline.time_base,
        timeline.number(start),
    )
    return replace(
        info,
        timeline=frames,
        origin=info.origin if begin is None else begin,
        audio=tuple(track for track in info.audio if _is_heard(track, begin, end)),
        chapters=tuple(
            _cut(chapter, end)
            for chapter in info.chapters
            if _reaches(chapter.start, chapter.end, begin, end)
        ),
        timecode=_timecode_at(info, start, frames, notify),
        keyframes=tuple(key - start for key in info.keyframes if start <= key < stop) or (0,),
        part=Part(frames.number(0), frames.number(len(frames) - 1), begin, end),
    )


def part_in_metadata(container: av.container.InputContainer) -> tuple[int, int] | None:
    """The numbers of the first and the last frame of its source that a file says it holds; None
    when it says nothing.
    """
    texts = (text for key, text in container.metadata.items() if key.lower() == "comment")
    return next((found for text in texts if (found := parse_part_note(text)) is not None), None)


def parse_part_note(note: str) -> tuple[int, int] | None:
    """The numbers of the first and the last frame in a note of `Part.note`'s kind; None for
    anything else.
    """
    # nothing else may stand there: other programs write comments too
    match = NOTE.fullmatch(note)
    return None if match is None else (int(match[1]), int(match[2]))


def _reaches(start: Fraction, stop: Fraction, begin: Fraction | None, end: Fraction | None) -> bool:
    return (begin is None or stop > begin) and (end is None or start < end)


def _is_heard(track: AudioInfo, begin: Fraction | None, end: Fraction | None) -> bool:
    """Whether a track may be heard between two times; an empty one is left for others to judge."""
    return track.start is None or _reaches(
        track.start, track.start if track.end is None else track.end, begin, end
    )


def _cut(chapter: Chapter, end: Fraction | None) -> Chapter:
    return chapter if end is None else replace(chapter, end=min(chapter.end, end))


def _timecode_at(info: ClipInfo, start: int, frames: Timeline, notify: Notify) -> str | None:
    """The timecode of frame `start`: at a variable rate, of the time that has passed until then."""
    timeline, text = info.timeline, info.timecode
    if text is None or start == 0:
        return text
    timebase = timebase_of(timeline)
    if timebase_of(frames) != timebase:
        notify(
            f"{info.path.name}: its timecode {text} counts at another rate than these frames have,"
            " and is left out"
        )
        return None
    # frames are counted at the timecode's own rate, which a variable one has only on average
    passed = start
    if not timeline.is_constant_rate:
        passed = round((timeline[start].start - timeline.start) * timeline.typical_fps)
    # counted on from the clip's own timecode, drop frame as it has it
    first = read_timecode(text, timebase)
    return timecode_text(first.frame + passed, timebase, drop_frame=first.drop_frame)
