"""The facts of a part of a clip: its own times, the timecode of its first frame, what is heard and
told in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from support.clips import VFR_PTS, sound
from support.notices import Notices

from vfx_matte.media.probe import ClipInfo, Part, probe
from vfx_matte.media.readers.part import parse_part_note, part_of
from vfx_matte.media.sound.cut import FLICK, SoundCut, shift_earlier
from vfx_matte.media.stated import Chapter

Make = Callable[..., Path]
STEP = Fraction(1001, 30000)


@pytest.fixture
def clip(make_clip: Make, notices: Notices) -> Callable[..., ClipInfo]:
    def made(name: str = "clip.mkv", **facts: Any) -> ClipInfo:  # noqa: ANN401
        return probe(make_clip(name, **facts), notify=notices)

    return made


def test_times_and_numbers_stay_the_sources(
    clip: Callable[..., ClipInfo], notices: Notices
) -> None:
    whole = clip("clip.mp4", pts=VFR_PTS)
    part = part_of(whole, 3, 7, notify=notices)
    assert part.timeline.pts == VFR_PTS[3:7]
    assert part.timeline.durations == whole.timeline.durations[3:7]
    assert [part.timeline.number(index) for index in (0, 3)] == [3, 6]
    assert part.origin == VFR_PTS[3] * Fraction(1, 30000)
    assert part.part == Part(3, 6, part.origin, VFR_PTS[7] * Fraction(1, 30000))
    assert part_of(whole, 0, len(VFR_PTS), notify=notices) is whole
    assert part_of(whole, 0, 5, notify=notices).origin == whole.origin
    assert notices == []


@pytest.mark.parametrize(
    ("timecode", "start", "wanted"),
    [
        ("01:00:00:10", 5, "01:00:00:15"),
        ("00:00:59;28", 2, "00:01:00;02"),  # drop frame leaves out two numbers
        ("23:59:59:28", 5, "00:00:00:03"),
        ("01:00:00:10", 0, "01:00:00:10"),
    ],
)
def test_the_timecode_is_that_of_the_first_frame(
    timecode: str, start: int, wanted: str, clip: Callable[..., ClipInfo], notices: Notices
) -> None:
    whole = replace(clip("clip.mp4"), timecode=timecode)
    assert part_of(whole, start, 12, notify=notices).timecode == wanted
    assert notices == []


def test_a_timecode_at_a_variable_rate_goes_by_the_time_that_has_passed(
    clip: Callable[..., ClipInfo], notices: Notices
) -> None:
    pts = (*range(0, 8 * 1001, 1001), *range(12 * 1001, 20 * 1001, 1001))  # four frames are missing
    whole = replace(clip("clip.mp4", pts=pts), timecode="01:00:00:00")
    assert part_of(whole, 10, 16, notify=notices).timecode == "01:00:00:14"


def test_a_timecode_that_counts_at_another_rate_is_left_out_and_told(
    clip: Callable[..., ClipInfo], notices: Notices
) -> None:
    pts = (*range(0, 9 * 1001, 1001), 12 * 1001, 16 * 1001, 20 * 1001)
    whole = replace(clip("clip.mp4", pts=pts), timecode="01:00:00:00")
    assert part_of(whole, 9, 12, notify=notices).timecode is None
    assert any("01:00:00:00" in notice for notice in notices)


def test_chapters_and_tracks_outside_are_left_out(
    clip: Callable[..., ClipInfo], notices: Notices
) -> None:
    late = clip("clip.mp4", sounds=[sound(start=Fraction(3, 10), seconds=Fraction(1, 10))])
    chapters = tuple(
        Chapter(4 * index * STEP, 4 * (index + 1) * STEP, f"c{index}") for index in range(3)
    )
    part = part_of(replace(late, chapters=chapters), 4, 6, notify=notices)
    assert part.chapters == (Chapter(4 * STEP, 6 * STEP, "c1"),)
    assert part.audio == ()
    assert part_of(late, 4, 12, notify=notices).audio == late.audio


def test_a_note_is_read_back() -> None:
    note = Part(-3, 1006, None, None).note
    assert parse_part_note(f"vfx-matte: {note}") == (-3, 1006)
    assert parse_part_note(f"vfx-matte: {note}; without sound stream 1 of the source") == (-3, 1006)
    assert parse_part_note("vfx-matte: without sound stream 1 of the source") is None
    assert parse_part_note(note) is None


def test_a_packet_of_unknown_length_may_reach_into_the_part() -> None:
    """WavPack in Matroska: what begins long before may still be heard, and is not measured by
    decoding it twice.
    """
    packet: Any = av.Packet(b"x")
    packet.time_base = Fraction(1, 1000)
    cut = SoundCut(Fraction(1), None)
    assert not cut.is_long_before(packet, Fraction(0))
    assert cut.is_long_before(packet, Fraction(-1))
    packet.duration = 500
    assert cut.is_long_before(packet, Fraction(1, 2))
    assert not cut.is_long_before(packet, Fraction(501, 1000))
    assert not SoundCut().is_long_before(packet, Fraction(-9))


@pytest.mark.parametrize(
    ("base", "unit"), [(Fraction(3, 125), FLICK), (Fraction(1, 30000), Fraction(1, 30000))]
)
def test_a_packet_is_placed_exactly_earlier(base: Fraction, unit: Fraction) -> None:
    packet: Any = av.Packet(b"x")
    packet.time_base, packet.pts, packet.dts, packet.duration = base, 50, 49, 1
    assert shift_earlier(packet, STEP) == 50 * base - STEP
    assert packet.time_base == unit
    assert (packet.dts * unit, packet.duration * unit) == (49 * base - STEP, base)
