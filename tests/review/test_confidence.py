"""Which frames are named for another look."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.command_line import CommandLine, paint

from vfx_matte.masks import Image, Mask, Probabilities
from vfx_matte.pipeline.confidence import (
    LOW_CONFIDENCE,
    ObjectsInSight,
    Stretch,
    doubts,
    path_confidence,
    uncertain_stretches,
)
from vfx_matte.propagate.fake import FakePropagator
from vfx_matte.workspace import UNKNOWN


def test_stretches_bridge_gaps_and_leave_out_single_frames() -> None:
    values = [99] * 40
    values[4] = 10  # alone
    values[10:14] = [70, 60, 65, 70]
    values[16:18] = [50, 74]  # three frames later: the same stretch
    values[30:33] = [UNKNOWN, 20, UNKNOWN]
    # six frames below the limit, the worst 28 per cent
    (one,) = uncertain_stretches(values, first_frame=100)
    assert one == Stretch(110, 118, 116, pytest.approx((1 + 28 / 25) * 6**0.5))


@given(st.lists(st.integers(UNKNOWN, 100), max_size=60))
def test_stretches_are_apart_in_order_and_worst_where_they_say(values: list[int]) -> None:
    found = uncertain_stretches(values, [0])
    assert all(one.stop < two.start for one, two in itertools.pairwise(found))
    for one in found:
        low = [value for value in values[one.start : one.stop] if value != UNKNOWN]
        assert values[one.worst] == min(low)
        carried = path_confidence(values, [0])[one.start : one.stop]
        assert UNKNOWN < carried[0] < LOW_CONFIDENCE
        assert one.start <= one.worst < one.stop


def test_what_went_wrong_on_the_way_is_carried_on_and_fades() -> None:
    values = [100, 90, 60, 90, 90, 100, 95, 95]
    assert path_confidence(values, [100, 105], first_frame=100) == [
        100,
        90,
        60,
        90,
        90,
        100,
        95,
        95,
    ]
    carried = path_confidence(values, [100], first_frame=100)
    assert carried[:3] == [100, 90, 60]
    assert carried[3:5] == pytest.approx([61.2, 62.364])
    backwards = path_confidence(values, [110], first_frame=100)
    assert backwards[2:] == pytest.approx([60, 90, 90, 95.0, 95, 95], abs=0.3)
    assert backwards[1] == pytest.approx(61.2)


@given(
    st.lists(st.integers(UNKNOWN, 100), min_size=1, max_size=40),
    st.sets(st.integers(0, 60), max_size=3),
)
def test_a_frame_is_never_surer_than_by_itself_and_the_unknown_stays(
    values: list[int], references: set[int]
) -> None:
    carried = path_confidence(values, references, first_frame=10)
    for at, (value, own) in enumerate(zip(carried, values, strict=True)):
        assert value <= own
        assert (value == UNKNOWN) == (own == UNKNOWN)
        if at + 10 in references or not references:
            assert value == own


@example([0] * 13 + [4], {1, 32}, {1, 33}, 4)  # the nearer reference lies behind the last frame
@given(
    st.lists(st.integers(UNKNOWN, 100), min_size=1, max_size=40),
    st.sets(st.integers(0, 50), max_size=4),
    st.sets(st.integers(1, 45), max_size=3),
    st.integers(0, 8),
)
def test_nothing_is_carried_over_a_cut(
    values: list[int], references: set[int], cuts: set[int], first: int
) -> None:
    """Each shot is as sure as if there were no other."""
    found = path_confidence(values, references, first_frame=first, cuts=cuts)
    for low, high in itertools.pairwise([0, *sorted(cuts), 1000]):
        start, stop = max(low, first), min(high, first + len(values))
        if start < stop:
            inside = {one for one in references if low <= one < high}
            alone = path_confidence(values[start - first : stop - first], inside, first_frame=start)
            assert found[start - first : stop - first] == alone


def test_lines_name_at_most_three_stretches_an_object() -> None:
    values = ([50] * 4 + [99] * 10) * 5
    lines = list(doubts({1: values, 2: [99] * 70}, {1: [], 2: [3, 4, 5, 9]}, {}, first_frame=0))
    assert len(lines) == 5
    assert "qc" in lines[4]
    assert "object 2 is not seen on 4 frames, 3 to 5" in lines[0]
    (line,) = doubts({}, {1: [14]}, {}, first_frame=0, number=lambda index: index + 1000)
    # how an option is spelled is each door's own
    assert line.startswith("object 1 is not seen on frame 1014; if it is there, give a mask of it")
    assert "1014=mask.png" in line


def test_what_matters_most_comes_first_and_frames_without_the_object_are_no_doubt() -> None:
    one, other = [99] * 60, [99] * 60
    one[10:20] = [70] * 10
    other[40:50] = [30] * 10
    other[0:8] = [1] * 8
    lines = list(doubts({1: one, 2: other}, {1: [], 2: list(range(8))}, {}, first_frame=0))
    assert [re.findall("frame (\\d+)", line) for line in lines[1:3]] == [["40"], ["10"]]
    assert lines[1].startswith("object 2 is uncertain on frames 40 to 49")
    assert len(lines) == 4


def test_only_a_mask_of_an_object_makes_it_sure_on_the_way() -> None:
    values = [99] * 10 + [40] + [99] * 29
    lines = list(doubts({1: values, 2: values}, {}, {1: [0], 2: [0, 13]}, first_frame=0))
    # what object 1 was is carried on over frame 13, which shows object 2 alone
    assert lines[0].startswith("object 1 is uncertain on frames 10 to 39")
    assert lines[1].startswith("object 2 is uncertain on frames 7 to 10")


def walking_out(index: int) -> Mask:
    """A square that leaves to the right: whole until frame 40, gone from 50 on."""
    mask = np.zeros((120, 200), np.uint8)
    mask[40:80, 160 + max(0, 4 * (index - 40)) :] = 1
    return mask if index < 50 else np.zeros_like(mask)


def test_nobody_is_sent_to_paint_where_the_object_leaves() -> None:
    seen = ObjectsInSight(range(60), walking_out)
    assert [at for at in range(60) if seen.is_passing(1, at)] == [*range(45, 50)]
    assert [at for at in range(60) if seen.is_leaving(1, at)] == [48, 49]
    values = [99] * 34 + [70] * 6 + [60] * 6 + [40, 30, 20, 10] + [99] * 10
    unseen = {1: list(range(50, 60))}
    lines = list(doubts({1: values}, unseen, {}, first_frame=0, in_sight=seen))
    assert lines[0] == (
        "object 1 is not seen on frames 50 to 59: it leaves the picture or enters it there"
    )
    assert "add a mask near frame 40" in lines[1], "the least sure one that shows all of it"
    # without the masks nothing is known of that
    plain = list(doubts({1: values}, unseen, {}, first_frame=0))
    assert "if it is there, give a mask of one of them" in plain[0]
    assert "add a mask near frame 49" in plain[1]
    # over a cut nothing leaves
    cut = list(doubts({1: values}, unseen, {}, first_frame=0, cuts=(50,), in_sight=seen))
    assert "if it is there, give a mask of one of them" in cut[0]
    # where it is small all along there is nothing to paint
    assert uncertain_stretches([99] * 4 + [30] * 5)
    assert uncertain_stretches([99] * 4 + [30] * 5, is_leaving=lambda at: at > 3) == []


def test_a_lost_object_is_named_beside_one_that_left() -> None:
    def lost_too(index: int) -> Mask:
        return walking_out(index) if index not in (9, 20, 21) else 0 * walking_out(index)

    unseen = {1: [9, 20, 21, *range(50, 60)]}
    seen = ObjectsInSight(range(60), lost_too)
    lines = list(doubts({}, unseen, {}, first_frame=0, in_sight=seen))
    assert len(lines) == 2
    assert "not seen on 3 frames, 20 to 21 the longest stretch; if it is there" in lines[1]
    (one,) = doubts({}, {1: [50]}, {}, first_frame=0, in_sight=seen)
    assert one == "object 1 is not seen on frame 50: it leaves the picture or enters it there"


def test_a_mask_is_read_once_and_only_where_it_has_to_be_known() -> None:
    read: list[int] = []

    def load(index: int) -> Mask:
        read.append(index)
        return walking_out(index)

    seen = ObjectsInSight(range(1000), load)
    seen.note(3, walking_out(3))
    for _ in range(2):
        assert not seen.is_small(1, 3)
        assert not seen.is_small(2, 3)
    assert 3 not in read
    assert len(read) == len(set(read)) == 120


@pytest.fixture
def twenty_frames(make_clip: Callable[..., Path], take: Callable[..., Path]) -> None:
    take(make_clip("clip.mp4", pts=tuple(range(0, 20 * 512, 512)), time_base=Fraction(1, 15360)))


@pytest.mark.usefixtures("twenty_frames")
def test_a_run_says_of_what_leaves_that_it_leaves(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[16:48, 48:] = 1
    paint(Path("m.png"), mask)
    plain, count = FakePropagator.step, iter(range(100))

    def leaving(
        self: FakePropagator, image: Image, given: Mask | None = None, *, last: bool = False
    ) -> Probabilities:
        result = plain(self, image, given, last=last).copy()
        result[1][:, : 48 + 4 * next(count)] = 0
        result[0] = 1 - result[1]
        return result

    monkeypatch.setattr(FakePropagator, "step", leaving)
    ran = cli("segment", "clip.mp4", "--first-mask", "m.png", "--propagator", "fake")
    (note,) = [line for line in ran.notes if "not seen" in line]
    assert re.fullmatch(
        r"object 1 is not seen on frames 1\d to 19: it leaves the picture or enters it there", note
    )


@pytest.mark.usefixtures("twenty_frames")
def test_a_run_keeps_confidence_and_names_the_doubtful_frames(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[16:48, 8:32] = 1
    paint(Path("m.png"), mask)
    plain, count = FakePropagator.step, iter(range(100))

    def doubtful(
        self: FakePropagator, image: Image, given: Mask | None = None, *, last: bool = False
    ) -> Probabilities:
        result = plain(self, image, given, last=last)
        return result * np.float32(0.6) + np.float32(0.2) if 8 <= next(count) < 14 else result

    monkeypatch.setattr(FakePropagator, "step", doubtful)
    ran = cli("segment", "clip.mp4", "--first-mask", "m.png", "--propagator", "fake")
    # what was carried on from 13 stays doubtful
    assert "object 1 is uncertain on frames 8 to 19" in ran.stderr
    kept = json.loads(Path("workspace/clip/manifest.json").read_text(encoding="utf-8"))[
        "confidence"
    ]["1"]
    assert kept[:2] == [100, 8]
    assert kept[3] == 6
    assert kept[4:] == [100, 6]
