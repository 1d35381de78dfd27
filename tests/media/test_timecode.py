"""Timecode as text and as a count of frames: what is none, what is told about the odd ones."""

from __future__ import annotations

from fractions import Fraction

import pytest

from vfx_matte.media.stated import resolve_timecode
from vfx_matte.timecode import read_timecode, timecode_text
from vfx_matte.timeline import Timeline


def timeline(fps: Fraction, frames: int = 12) -> Timeline:
    ticks = 1001 if fps.denominator == 1001 else 1000
    return Timeline(tuple(n * ticks for n in range(frames)), (ticks,) * frames, 1 / (fps * ticks))


@pytest.mark.parametrize(
    ("text", "timebase", "frame", "note"),
    [
        ("01:00:00:00", 25, 90_000, ""),
        ("16:37:10;02", 30, 1_793_106, ""),
        ("00:01:00.04", 60, 3600, ""),
        ("00:10:00;00", 24, 14_400, "no drop frame"),
        ("00:10:00;00", 25, 15_000, "no drop frame"),
        ("00:10:00;00", 50, 30_000, "no drop frame"),
        ("25:00:00:00", 25, 90_000, "24 hours"),
        ("00:01:00;00", 30, 1800, "no such number"),
        ("00:00:00:119", 120, 119, ""),
    ],
)
def test_odd_timecodes_are_read_and_told(text: str, timebase: int, frame: int, note: str) -> None:
    found = read_timecode(text, timebase)
    assert found.frame == frame
    assert note in found.note
    assert bool(found.note) == bool(note)


@pytest.mark.parametrize(
    "text", ["hello", "99:99:99:99", "00:00:00:25", "-1:00:00:00", "00:00:00", "1e9:00:00:00"]
)
def test_nonsense_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not hh:mm:ss:ff"):
        read_timecode(text, 25)


@pytest.mark.parametrize(
    ("timebase", "drop"),
    [(24, False), (25, False), (30, False), (30, True), (60, True), (120, True)],
)
def test_every_frame_of_an_hour_comes_back_and_a_day_begins_again(
    timebase: int, drop: bool
) -> None:
    for frame in range(0, timebase * 3500, 7):
        assert (
            read_timecode(timecode_text(frame, timebase, drop_frame=drop), timebase).frame == frame
        )
    dropped = 24 * 54 * (timebase // 15) if drop else 0
    day = timebase * 86_400 - dropped
    assert timecode_text(day, timebase, drop_frame=drop).startswith("00:00:00")
    assert timecode_text(day - 1, timebase, drop_frame=drop).startswith("23:59:59")


def test_a_clips_timecode_is_settled_once() -> None:
    assert resolve_timecode(None, timeline(Fraction(25))) == (None, "")
    assert resolve_timecode("01:00:00;02", timeline(Fraction(30000, 1001))) == ("01:00:00;02", "")
    text, note = resolve_timecode("01:00:00;02", timeline(Fraction(24000, 1001)))
    assert text == "01:00:00:02"
    assert "no drop frame" in note
    text, note = resolve_timecode("hello", timeline(Fraction(25)))
    assert text is None
    assert "'hello'" in note
    text, note = resolve_timecode(86_410, timeline(Fraction(24)))
    assert text == "01:00:00:10"
    assert "drop frame" in note


def test_a_variable_rate_counts_at_its_usual_one() -> None:
    """A phone that drops frames still counts 30 a second."""
    clip = Timeline((0, 1, 2, 3, 5, 6, 9, 10, 11, 12), (1,) * 10, Fraction(1, 30))
    assert resolve_timecode("01:00:00;29", clip) == ("01:00:00;29", "")


def test_a_clip_without_a_usual_rate_has_its_average() -> None:
    """Intervals of 1 and 4 ticks: no interval is near their median."""
    clip = Timeline((0, 1, 5), (1, 4, 1), Fraction(1, 50))
    assert clip.typical_fps == clip.average_fps == 20
    assert resolve_timecode("01:00:00:19", clip) == ("01:00:00:19", "")
