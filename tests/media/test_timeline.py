from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.errors import UsageError
from vfx_matte.timeline import FrameTime, Repairs, Timeline, parse_position, repair

MS = Fraction(1, 1000)
T90K = Fraction(1, 90000)

raw_pts = st.lists(
    st.one_of(st.none(), st.integers(-50, 50), st.integers(-(10**12), 10**12)), max_size=40
)
nominal = st.integers(1, 5000)
rising_pts = st.sets(st.integers(-(10**12), 10**12), max_size=40).map(
    lambda values: tuple(sorted(values))
)


def timeline_of(pts: Sequence[int], time_base: Fraction = MS) -> Timeline:
    return Timeline(tuple(pts), (1,) * len(pts), time_base)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    pts = draw(rising_pts)
    durations = draw(st.lists(st.integers(0, 10**9), min_size=len(pts), max_size=len(pts)))
    return Timeline(
        pts, tuple(durations), Fraction(draw(st.integers(1, 2000)), draw(st.integers(1, 10**6)))
    )


def longest_rising(values: Sequence[int | None]) -> int:
    """Length of a longest strictly increasing subsequence, the slow and plain way."""
    best: list[int] = []
    for index, value in enumerate(values):
        before = [
            best[i]
            for i in range(index)
            if value is not None and values[i] is not None and values[i] < value
        ]
        best.append(0 if value is None else 1 + max(before, default=0))
    return max(best, default=0)


@given(rising_pts, nominal)
def test_repair_leaves_good_timestamps_alone(pts: tuple[int, ...], ticks: int) -> None:
    timeline, repairs = repair(pts, time_base=T90K, nominal_ticks=ticks)
    assert timeline.pts == pts
    assert timeline.time_base == T90K
    assert timeline.durations == (*timeline.intervals, ticks)[: len(pts)]
    assert not repairs
    assert str(repairs) == ""


@examples(300)
@given(raw_pts, nominal)
@example([5, 5, 5, 6, None, 6], 3)
@example([None, None], 40)
@example([0, None, None, None, 2, 10], 1)
def test_repair_always_gives_rising_timestamps_for_every_frame(
    pts: list[int | None], ticks: int
) -> None:
    timeline, repairs = repair(pts, time_base=MS, nominal_ticks=ticks)
    assert len(timeline) == len(pts)
    assert all(a < b for a, b in itertools.pairwise(timeline.pts))
    good = len(pts) - repairs.missing - repairs.duplicate - repairs.backwards
    assert repairs.missing == pts.count(None)
    assert good == longest_rising(pts), "too few timestamps were taken as good"
    assert bool(repairs) == (good < len(pts))


@given(
    st.lists(st.tuples(st.integers(8, 5000), st.booleans()), min_size=2, max_size=40),
    st.integers(-(10**6), 10**6),
)
def test_lost_timestamps_lie_evenly_between_their_neighbours_and_the_others_are_kept(
    steps: list[tuple[int, bool]], first: int
) -> None:
    whole = list(itertools.accumulate((step for step, _ in steps), initial=first))
    lost = [False, *(gone for _, gone in steps[:-1]), False]
    pts = [None if gone else value for value, gone in zip(whole, lost, strict=True)]
    timeline, repairs = repair(pts, time_base=MS, nominal_ticks=7)
    assert repairs == Repairs(missing=sum(lost))
    known = [index for index, value in enumerate(pts) if value is not None]
    for index in known:
        assert timeline.pts[index] == whole[index]
    for before, after in itertools.pairwise(known):
        share = Fraction(whole[after] - whole[before], after - before)
        for index in range(before, after):
            assert 0 <= whole[before] + share * (index - before) - timeline.pts[index] < 1


def test_repair_by_example() -> None:
    def repaired(pts: list[int | None], ticks: int = 10) -> tuple[tuple[int, ...], str]:
        timeline, repairs = repair(pts, time_base=MS, nominal_ticks=ticks)
        return timeline.pts, str(repairs)

    assert repaired([0, 10, 10, 30]) == ((0, 10, 20, 30), "1 duplicate")
    # 0 5 30 and 0 10 30 are equally long
    assert repaired([0, 10, 5, 30]) == (
        (0, 2, 5, 30),
        "1 backwards",
    )
    assert repaired([0, 10, 999999, 30, 40]) == ((0, 10, 20, 30, 40), "1 backwards")
    assert repaired([None, None, 5, None]) == ((-15, -5, 5, 15), "3 missing")
    assert repaired([None, None, None]) == ((0, 10, 20), "3 missing")
    assert repaired([0, None, None, 2, 20]) == ((0, 1, 2, 3, 20), "2 missing"), (
        "no room: pushed only as far as needed"
    )
    assert repaired([]) == ((), "")
    with pytest.raises(ValueError, match="nominal_ticks 0"):
        repair([0], time_base=MS, nominal_ticks=0)


RATES = [
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "120", "240")
]


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("rounding", [round, int], ids=["rounded", "cut"])
@pytest.mark.parametrize("base", [MS, Fraction(1, 600), T90K], ids=str)
def test_rounding_to_the_time_base_is_still_a_constant_rate(
    rate: Fraction, rounding: type[int], base: Fraction
) -> None:
    pts = [rounding(Fraction(index) / rate / base) + 77 for index in range(500)]
    timeline = timeline_of(pts, base)
    assert timeline.is_constant_rate
    assert abs(timeline.average_fps / rate - 1) < Fraction(1, 500)


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("base", [MS, T90K, None], ids=["ms", "90k", "one tick a frame"])
@pytest.mark.parametrize("gone", [1, 40, 98])
def test_one_missing_frame_is_not_a_constant_rate(
    rate: Fraction, base: Fraction | None, gone: int
) -> None:
    base = base or 1 / rate
    pts = [round(Fraction(index) / rate / base) for index in range(100) if index != gone]
    assert not timeline_of(pts, base).is_constant_rate


def test_constant_rate_by_example() -> None:
    assert timeline_of([]).is_constant_rate
    assert timeline_of([5]).is_constant_rate
    assert timeline_of([0, 33, 67, 100, 133, 167, 200]).is_constant_rate
    assert not timeline_of(
        [0, 33, 67, 100, 142, 183, 225]
    ).is_constant_rate  # 30 then 24 frames per second
    assert not timeline_of([0, 30, 67, 97, 134, 164]).is_constant_rate  # jitter
    assert timeline_of([0, 33, 67, 133]).interval_histogram() == {33: 1, 34: 1, 66: 1}


def test_average_rate() -> None:
    assert timeline_of([0, 40, 80]).average_fps == 25
    assert Timeline((7,), (1001,), Fraction(1, 30000)).average_fps == Fraction(30000, 1001)
    assert timeline_of([0, 20, 100, 120]).average_fps == 25
    assert Timeline((7,), (0,), MS).average_fps > 0
    assert timeline_of([]).average_fps > 0


@given(timelines().filter(len), st.fractions())
def test_index_at_is_the_last_frame_that_has_begun(timeline: Timeline, seconds: Fraction) -> None:
    index = timeline.index_at(seconds)
    assert index == 0 or timeline[index].start <= seconds
    assert index == len(timeline) - 1 or seconds < timeline[index + 1].start


@given(timelines())
def test_every_frame_is_found_by_its_own_time(timeline: Timeline) -> None:
    assert list(timeline) == [timeline[index] for index in range(len(timeline))]
    for index, time in enumerate(timeline):
        assert time == FrameTime(timeline.pts[index], timeline.durations[index], timeline.time_base)
        assert timeline.index_at(time.start) == index
        assert timeline.index_of_pts(time.pts) == index
        assert time.end - time.start == time.duration * timeline.time_base
    assert timeline.index_of_pts(10**12 + 1) is None
    if timeline:
        assert (timeline.start, timeline.end) == (timeline[0].start, timeline[-1].end)
        assert timeline.index_at(timeline[0].start - 1) == 0
        assert timeline.index_at(timeline.end + 1) == len(timeline) - 1


@given(timelines())
def test_json_round_trip_is_exact(timeline: Timeline) -> None:
    assert Timeline.from_json(json.loads(json.dumps(timeline.to_json()))) == timeline


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"pts": [0, 1.5]}, TypeError),
        ({"pts": ["0", "1"]}, TypeError),
        ({"durations": [True, 1]}, TypeError),
        ({"pts": "01"}, TypeError),
        ({"pts": [1, 0]}, ValueError),
        ({"pts": [0]}, ValueError),
        ({"durations": [1, -1]}, ValueError),
        ({"time_base": "1/0"}, ValueError),
        ({"time_base": "0"}, ValueError),
        ({"time_base": "fast"}, ValueError),
        ({"time_base": None}, ValueError),
    ],
)
def test_json_of_something_else_is_refused(
    change: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Timeline.from_json({"pts": [0, 1], "durations": [1, 1], "time_base": "1/25"} | change)
    with pytest.raises(KeyError):
        Timeline.from_json({})


@given(timelines(), st.integers(0, 45), st.integers(0, 45), st.integers(-(10**6), 10**6))
def test_slices_and_shifts(timeline: Timeline, start: int, stop: int, ticks: int) -> None:
    part = timeline[start:stop]
    assert isinstance(part, Timeline)
    assert list(part) == list(timeline)[start:stop]
    moved = timeline.shifted(ticks)
    assert moved.intervals == timeline.intervals
    assert all(
        b.start - a.start == ticks * timeline.time_base
        for a, b in zip(timeline, moved, strict=True)
    )


def test_what_is_not_a_timeline_is_refused() -> None:
    for pts, durations, base, message in (
        ((0, 0), (1, 1), MS, "timestamp 0 of frame 1"),
        ((0,), (1, 1), MS, "1 timestamps but 2 durations"),
        ((0,), (-1,), MS, "duration -1"),
        ((), (), Fraction(0), "time_base 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Timeline(pts, durations, base)
    with pytest.raises(ValueError, match="duration -1"):
        FrameTime(0, -1, MS)
    with pytest.raises(ValueError, match="time_base 0"):
        FrameTime(0, 1, Fraction(0))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("0", 0),
        ("120", 120),
        ("4.5s", Fraction(9, 2)),
        ("3s", Fraction(3)),
        ("1:02.5", Fraction(125, 2)),
        ("0:01:02.5", Fraction(125, 2)),
        ("10:00:00", Fraction(36000)),
    ],
)
def test_positions_are_frames_or_exact_seconds(text: str, position: int | Fraction) -> None:
    found = parse_position(text)
    assert (found, type(found)) == (position, type(position))


@pytest.mark.parametrize(
    "text", ["", "--1", "1.5", "s", "1:60", "1:2:3:4", "12f", "٣", "1/2s", "nan", "infs"]
)
def test_other_positions_are_refused_with_a_hint(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_position(text)
    assert caught.value.hint


def test_a_position_in_seconds_counts_from_the_first_frame() -> None:
    timeline = Timeline((900, 1000, 1100), (100, 100, 100), Fraction(1, 100))
    assert timeline.index_of(2) == 2
    assert timeline.index_of(Fraction(0)) == 0
    assert timeline.index_of(Fraction(199, 100)) == 1
