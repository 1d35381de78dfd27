"""SMPTE timecode: reads and writes the text of a frame's number at a rate.

Drop frame is a way to number frames, not a rate: numbers are left out wherever 30, 60 or 120 frames
per second are counted, and nowhere else. Final Cut Pro counts so too at a true 30 frames per
second, where iPhones mark their timecode with ";". Source: SMPTE ST 12-1:2014, 5.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TIMECODE = re.compile(r"(\d{1,3}):(\d\d?):(\d\d?)([:;.,])(\d{1,3})")
_HOURS = 24
_MINUTES = _SECONDS = 60


@dataclass(frozen=True, slots=True)
class FrameCode:
    """A timecode as a frame count."""

    frame: int
    """Frames from 00:00:00:00."""

    drop_frame: bool
    """Whether numbers were left out to follow the clock."""

    note: str = ""
    """What was changed to make sense of its text, for people; "" for nothing."""


def has_drop_frame(timebase: int) -> bool:
    """Whether a rate of so many frames per second (30 for 29.97) has drop frame at all."""
    return timebase % 30 == 0


def read_timecode(text: str, timebase: int) -> FrameCode:
    """Read "01:00:00:00", or "01:00:00;02" for drop frame.

    A ";" at a rate without drop frame counts as ":"; hours beyond a day count from midnight; a
    number that drop frame leaves out is the next one. The result's `note` tells of each.

    Args:
        text: the timecode; "." and "," mark drop frame too, as some programs write it.
        timebase: whole frames per second that are counted, 30 for 29.97.

    Raises:
        ValueError: for anything that is no timecode at this rate.
    """
    # the text has to be a time of day at this rate
    match = _TIMECODE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"timecode {text!r} is not hh:mm:ss:ff")
    hours, minutes, seconds, frames = (int(match[group]) for group in (1, 2, 3, 5))
    if minutes >= _MINUTES or seconds >= _SECONDS or frames >= timebase:
        raise ValueError(f"timecode {text!r} is not hh:mm:ss:ff at {timebase} frames per second")
    # mend what other programs write though there is no such timecode, and say so
    marked, notes = match[4] != ":", []
    drop = marked and has_drop_frame(timebase)
    if marked and not drop:
        notes.append(f"{timebase} frames per second have no drop frame, so it counts every number")
    if hours >= _HOURS:
        hours %= _HOURS
        notes.append(f"a day has 24 hours, so it counts as {hours:02d} hours")
    # count as if no number were left out, then take off those that are
    count = ((hours * _MINUTES + minutes) * _SECONDS + seconds) * timebase + frames
    if drop:
        dropped = timebase // 15
        if seconds == 0 and minutes % 10 and frames < dropped:
            count += dropped - frames
            notes.append("drop frame has no such number, so it counts as the next one")
        # two numbers (four at 60) are left out each minute, but not in every tenth
        passed = hours * _MINUTES + minutes
        count -= dropped * (passed - passed // 10)
    return FrameCode(count, drop, "; ".join(notes))


def timecode_text(frame: int, timebase: int, *, drop_frame: bool) -> str:
    """The timecode of a frame count, hh:mm:ss:ff, which begins again after 24 hours.

    Args:
        frame: counted from 00:00:00:00.
        timebase: whole frames per second that are counted, 30 for 29.97.
        drop_frame: leave numbers out, and write ";" before the frames.
    """
    count = frame
    if drop_frame:
        dropped = timebase // 15
        # the inverse: put the numbers back that were left out in whole tens of minutes, and since
        tens, rest = divmod(count, timebase * 600 - dropped * 9)
        count += dropped * (tens * 9 + max(0, (rest - dropped) // (timebase * 60 - dropped)))
    seconds, frames = divmod(count, timebase)
    separator = ";" if drop_frame else ":"
    hours = seconds // (_MINUTES * _SECONDS) % _HOURS
    minutes = seconds // _SECONDS % _MINUTES
    return f"{hours:02d}:{minutes:02d}:{seconds % _SECONDS:02d}{separator}{frames:02d}"
