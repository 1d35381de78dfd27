"""The frame map of a constant rate: pure arithmetic, against the rule said in words and computed
the slow way.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.timeline import (
    STANDARD_RATES,
    Timeline,
    conform,
    constant_ticks,
    nearest_standard_rate,
)

BASES = (
    Fraction(1, 1000),
    Fraction(1, 90000),
    Fraction(1, 30000),
    Fraction(1, 12288),
    Fraction(1001, 30000),
    Fraction(1, 600),
)
rates = st.one_of(st.sampled_from(STANDARD_RATES), st.fractions(5, 250, max_denominator=1001))


@st.composite
def clips(draw: st.DrawFn) -> Timeline:
    """Up to 30 frames with distances of 1 ms to 0.3 s, starting anywhere."""
    base = draw(st.sampled_from(BASES))
    most = max(2, int(Fraction(3, 10) / base))
    steps = draw(st.lists(st.integers(1, most), max_size=29))
    start = draw(st.integers(-5 * most, 50 * most))
    pts = tuple(itertools.accumulate(steps, initial=start))
    return Timeline(pts, (*steps, draw(st.integers(1, most))), base)


def shown_by_the_rule(timeline: Timeline, now: Fraction, rate: Fraction) -> int:
    """The frame a grid time shows: the nearest timestamp within half a step, the earlier of two;
    else the one on screen.
    """
    half = 1 / (2 * rate)
    near = [
        (abs(time.start - now), index)
        for index, time in enumerate(timeline)
        if -half <= time.start - now < half
    ]
    if near:
        return min(near)[1]
    return max((index for index, time in enumerate(timeline) if time.start <= now), default=0)


@examples(200)
@given(clips(), rates)
def test_every_grid_time_shows_what_the_rule_says(timeline: Timeline, rate: Fraction) -> None:
    found = conform(timeline, rate)
    assert list(found.indices) == [
        shown_by_the_rule(timeline, time.start, rate) for time in found.timeline
    ]


@examples(200)
@given(clips(), rates, st.one_of(st.none(), st.fractions(-6, 60, max_denominator=48000)))
def test_the_map_is_monotone_and_bounded(
    timeline: Timeline, rate: Fraction, sound_start: Fraction | None
) -> None:
    found = conform(timeline, rate, sound_start=sound_start)
    grid, step = found.timeline, 1 / rate
    assert len(grid) == len(found.indices) == len(found.errors)
    assert all(a <= b for a, b in itertools.pairwise(found.indices))
    assert found.indices[0] >= 0
    assert found.indices[-1] < len(timeline)
    assert set(found.indices[: found.lead]) <= {0}
    assert 0 <= found.largest_error <= step / 2
    # every picture is on screen when it is shown, or begins within half a step
    for number in range(found.lead, len(grid)):
        now, index = grid[number].start, found.indices[number]
        assert found.errors[number] == max(Fraction(0), timeline[index].start - now)
        assert index + 1 == len(timeline) or timeline[index + 1].start > now
    # whole ticks, no gap, and the grid ends with the clip
    assert len(set(grid.durations)) == 1
    assert grid.intervals == grid.durations[1:]
    assert grid.durations[0] * grid.time_base == step
    assert abs(grid.end - max(timeline.end, timeline.start + step)) <= step
    assert found.dropped == len(timeline) - len(set(found.indices))
    assert found.duplicated == sum(a == b for a, b in itertools.pairwise(found.indices))
    if sound_start is not None:
        assert grid.start <= max(sound_start, timeline.start)
        assert grid.start > min(sound_start, timeline.start) - step - grid.time_base


@examples(100)
@given(
    st.sampled_from(STANDARD_RATES),
    st.integers(1, 60),
    st.sampled_from([Fraction(1, 1000), Fraction(1, 90000), None]),
    st.integers(0, 10**6),
)
@example(Fraction(30000, 1001), 60, Fraction(1, 1000), 0)
def test_a_clip_of_that_very_rate_comes_out_as_it_is(
    rate: Fraction, count: int, base: Fraction | None, start: int
) -> None:
    """Also where its time base has rounded every timestamp."""
    base = base or Fraction(1, constant_ticks(rate)[0])
    pts = tuple(start + round(index / rate / base) for index in range(count + 1))
    timeline = Timeline(pts[:-1], tuple(b - a for a, b in itertools.pairwise(pts)), base)
    found = conform(timeline, rate)
    assert found.indices == tuple(range(count))
    assert (found.duplicated, found.dropped, found.lead) == (0, 0, 0)
    guessed = nearest_standard_rate(timeline)
    # rounding cannot tell 29.97 from 30 in a short clip
    ends_known_to = 2 * base / max(timeline.end - timeline.start, base)
    assert guessed == rate or abs(guessed / rate - 1) <= ends_known_to


@examples(100)
@given(clips(), rates)
def test_frames_at_least_a_step_apart_are_all_shown(timeline: Timeline, rate: Fraction) -> None:
    # steps of the shortest frame
    slow = min(*timeline.durations, 10**9) * timeline.time_base * rate
    faster = rate / min(Fraction(1), slow) if slow else rate
    if faster <= 2000:
        assert conform(timeline, faster).dropped == 0


def test_halving_and_doubling() -> None:
    sixty = Timeline(tuple(range(100, 112)), (1,) * 12, Fraction(1, 60))
    assert conform(sixty, Fraction(30)).indices == (0, 2, 4, 6, 8, 10)
    assert conform(sixty, Fraction(120)).indices == tuple(index // 2 for index in range(24))


def test_a_long_still_is_held_to_its_end() -> None:
    """A screen recording: nothing moves for two seconds.

    The next picture must not come a second early.
    """
    recording = Timeline((0, 2000, 2040), (2000, 40, 40), Fraction(1, 1000))
    found = conform(recording, Fraction(25))
    assert found.indices == (0,) * 50 + (1, 2)
    assert found.largest_error == 0


def test_sound_that_begins_before_the_picture_keeps_its_place() -> None:
    timeline = Timeline((3003, 4004, 5005), (1001,) * 3, Fraction(1, 30000))
    early = conform(timeline, Fraction(30000, 1001), sound_start=Fraction(0))
    assert (early.indices, early.lead, early.timeline.pts[0]) == ((0, 0, 0, 0, 1, 2), 3, 0)
    between = conform(timeline, Fraction(30000, 1001), sound_start=Fraction(1, 100))
    assert (between.lead, between.timeline.pts[0]) == (3, 0)
    hardly = conform(timeline, Fraction(30000, 1001), sound_start=Fraction(3000, 30000))
    assert (hardly.indices, hardly.lead, hardly.timeline.pts[0]) == ((0, 1, 2), 0, 3000)
    late = conform(timeline, Fraction(30000, 1001), sound_start=Fraction(9))
    assert (late.lead, late.timeline.pts[0]) == (0, 3003)


def test_a_last_frame_of_unknown_length_is_shown() -> None:
    assert conform(Timeline((0, 40, 80), (40, 40, 0), Fraction(1, 1000)), Fraction(25)).indices == (
        0,
        1,
        2,
    )


@pytest.mark.parametrize(
    ("rate", "ticks"),
    [
        ("24000/1001", (24000, 1001)), ("24", (24000, 1000)), ("25", (25000, 1000)), ("30000/1001",
        (30000, 1001)),
        ("30", (30000, 1000)), ("60000/1001", (60000, 1001)), ("60", (60000, 1000)), ("25/2",
        (25000, 2000)),
    ],
)  # fmt: skip
def test_every_frame_lasts_a_whole_number_of_ticks(rate: str, ticks: tuple[int, int]) -> None:
    assert constant_ticks(Fraction(rate)) == ticks


@pytest.mark.parametrize(
    ("pts", "base", "rate"),
    [
        (range(0, 33 * 60, 33), Fraction(1, 1000), "30"),  # 30.3 fps is no standard
        (
            [*range(0, 3000 * 50, 3000), *range(3000 * 80, 3000 * 120, 3000)],
            Fraction(1, 90000),
            "30",
        ),  # a gap of one second
        (
            [index * 3003 + (0, 200, -150)[index % 3] for index in range(91)],
            Fraction(1, 90000),
            "30000/1001",
        ),  # jitter
        ([0, 40], Fraction(1, 1000), "25"),
        (range(100 * 40), Fraction(1, 960), "240"),  # faster than any
    ],
)
def test_auto_is_the_standard_rate_nearest_to_the_clips_own(
    pts: list[int], base: Fraction, rate: str
) -> None:
    durations = tuple(b - a for a, b in itertools.pairwise(pts))
    assert nearest_standard_rate(
        Timeline(tuple(pts), (*durations, durations[-1]), base)
    ) == Fraction(rate)


def test_nothing_cannot_be_conformed() -> None:
    with pytest.raises(ValueError, match="0 frames"):
        conform(Timeline((), (), Fraction(1, 25)), Fraction(25))
    with pytest.raises(ValueError, match="rate of 0"):
        conform(Timeline((0,), (1,), Fraction(1, 25)), Fraction(0))
