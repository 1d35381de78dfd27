"""SMPTE timecode: text of a frame's number, read and written at a rate.

Takes text, gives a count of frames and back.

Drop frame is a way to number frames, not a rate: numbers are left out wherever 30, 60 or 120 frames
are counted a second, and nowhere else. Final Cut Pro counts so too at a true 30 frames a second,
where iPhones mark their timecode with ";".
Source: SMPTE ST 12-1:2014, 5.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TIMECODE = re.compile(r"(\d{1,3}):(\d\d?):(\d\d?)([:;.,])(\d{1,3})")
_HOURS = 24
_MINUTES = _SECONDS = 60


@dataclass(frozen=True, slots=True)
class FrameCode:
    """A timecode as a frame count from 00:00:00:00.

    drop_frame: numbers were left out to follow the clock.

    said: what was changed to make sense of its text, for people; "" for nothing.
    """

    frame: int
    drop_frame: bool
    said: str = ""


def has_drop_frame(timebase: int) -> bool:
    """Whether a rate of so many frames a second (30 for 29.97) has drop frame at all."""
    return timebase % 30 == 0


def read_timecode(text: str, timebase: int) -> FrameCode:
    """Read "01:00:00:00", or "01:00:00;02" for drop frame.

    timebase: whole frames a second that are counted, 30 for 29.97.

    A ";" at a rate without drop frame counts as ":"; hours beyond a day count from midnight; a
    number that drop frame leaves out is the next one. `said` tells of each. Raises ValueError for
    anything that is no timecode at this rate.
    """
    match = _TIMECODE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"timecode {text!r} is not hh:mm:ss:ff")
    hours, minutes, seconds, frames = (int(match[group]) for group in (1, 2, 3, 5))
    if minutes >= _MINUTES or seconds >= _SECONDS or frames >= timebase:
        raise ValueError(f"timecode {text!r} is not hh:mm:ss:ff at {timebase} frames a second")
    marked, said = match[4] != ":", []
    drop = marked and has_drop_frame(timebase)
    if marked and not drop:
        said.append(f"{timebase} frames a second have no drop frame, so it counts every number")
    if hours >= _HOURS:
        hours %= _HOURS
        said.append(f"a day has 24 hours, so it counts as {hours:02d} hours")
    count = ((hours * _MINUTES + minutes) * _SECONDS + seconds) * timebase + frames
    if drop:
        dropped = timebase // 15
        if seconds == 0 and minutes % 10 and frames < dropped:
            count += dropped - frames
            said.append("drop frame has no such number, so it counts as the next one")
        passed = hours * _MINUTES + minutes
        count -= dropped * (passed - passed // 10)
    return FrameCode(count, drop, "; ".join(said))


def timecode_text(frame: int, timebase: int, *, drop_frame: bool) -> str:
    """hh:mm:ss:ff of a frame count, with ";" before the frames for drop frame; after 24 hours it
    begins again.
    """
    count = frame
    if drop_frame:
        dropped = timebase // 15
        tens, rest = divmod(count, timebase * 600 - dropped * 9)
        count += dropped * (tens * 9 + max(0, (rest - dropped) // (timebase * 60 - dropped)))
    seconds, frames = divmod(count, timebase)
    separator = ";" if drop_frame else ":"
    hours = seconds // (_MINUTES * _SECONDS) % _HOURS
    minutes = seconds // _SECONDS % _MINUTES
    return f"{hours:02d}:{minutes:02d}:{seconds % _SECONDS:02d}{separator}{frames:02d}"
