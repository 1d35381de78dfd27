"""Detections of several pictures become tracks: who is who, what is one thing, what is trusted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfx_matte.detect.base import Detection, Region
from vfx_matte.detect.tracks import Sighting, Tracker, distinct

SHAPE = (40, 60)


def box(left: int, top: int, width: int, height: int) -> Region:
    region = np.zeros(SHAPE, bool)
    region[top : top + height, left : left + width] = True
    return region


def found(region: Region, name: str = "dog", score: float = 0.9) -> tuple[Detection, Region]:
    return Detection(name, score, region), region


class Walk:
    """A tracker whose regions stand still between pictures."""

    def __init__(self, *, has_classes: bool = True) -> None:
        self.tracker = Tracker(has_classes=has_classes)
        self.tracker.begin_shot()
        self.carried: dict[int, Region] = {}
        self.frame = 0

    def look(self, *detections: tuple[Detection, Region]) -> list[int]:
        self.carried = self.tracker.observe(self.frame, detections, self.carried)
        self.frame += 10
        return list(self.carried)

    def cut(self) -> None:
        self.tracker.begin_shot()
        self.carried = {}


def test_a_thing_that_hardly_moves_stays_one_track() -> None:
    walk = Walk()
    walk.look(found(box(5, 5, 20, 20)))
    walk.look(found(box(7, 5, 20, 20)))
    (track,) = walk.tracker.tracks
    assert [one.frame for one in track.sightings] == [0, 10]
    assert track.sightings[1].agreement == pytest.approx(18 / 22)


def test_two_things_that_are_listed_in_another_order_keep_their_tracks() -> None:
    walk = Walk()
    left, right = box(0, 5, 20, 20), box(30, 5, 20, 20)
    names = walk.look(found(left, score=0.9), found(right, score=0.8))
    walk.look(found(right, score=0.95), found(left, score=0.7))
    by_name = dict(zip(names, walk.tracker.tracks, strict=True))
    for track, region in zip(by_name.values(), (left, right), strict=True):
        assert all((one.mask == region).all() for one in track.sightings)


def test_the_assignment_serves_all_and_not_the_first_best() -> None:
    # the surer detection overlaps both instances; only if it takes the one that it overlaps less
    # can the other detection be matched, too
    walk = Walk()
    walk.look(found(box(0, 0, 20, 20)), found(box(20, 0, 20, 20)))
    walk.look(found(box(8, 0, 23, 20), score=0.99), found(box(0, 0, 14, 20), score=0.6))
    assert [len(track.sightings) for track in walk.tracker.tracks] == [2, 2]


def test_a_thing_that_appears_begins_a_track_of_its_own() -> None:
    walk = Walk()
    walk.look(found(box(0, 0, 10, 10)))
    walk.look(found(box(0, 0, 10, 10)), found(box(40, 20, 10, 10)))
    assert [track.sightings[0].frame for track in walk.tracker.tracks] == [0, 10]


def test_a_thing_that_is_missed_for_a_while_is_the_same_when_it_is_seen_again() -> None:
    walk = Walk()
    walk.look(found(box(0, 0, 10, 10)))
    for _ in range(3):
        walk.look()
    walk.look(found(box(0, 0, 10, 10)))
    assert len(walk.tracker.tracks) == 1
    # and after a longer time it is not looked for any more
    for _ in range(4):
        walk.look()
    walk.look(found(box(0, 0, 10, 10)))
    assert len(walk.tracker.tracks) == 2


def test_after_a_cut_the_same_place_is_another_thing() -> None:
    walk = Walk()
    walk.look(found(box(0, 0, 10, 10)))
    walk.cut()
    walk.look(found(box(0, 0, 10, 10)))
    assert [track.shot for track in walk.tracker.tracks] == [0, 1]


def test_the_class_is_what_most_sightings_speak_for() -> None:
    walk = Walk()
    for name, score in (("cat", 0.9), ("dog", 0.5), ("dog", 0.6)):
        walk.look(found(box(0, 0, 10, 10), name, score))
    (track,) = walk.tracker.tracks
    assert track.class_name == "dog"
    assert track.score == pytest.approx(2 / 3)


def test_of_two_names_for_one_thing_the_surer_one_counts() -> None:
    kept = distinct([found(box(0, 0, 10, 10), "cat", 0.6), found(box(0, 0, 10, 9), "dog", 0.8)])
    assert [one.class_name for one, _ in kept] == ["dog"]


def test_without_classes_a_part_joins_the_whole_that_holds_it() -> None:
    # behind a pole a dog is two things, later it is one
    left, right = box(0, 5, 10, 20), box(14, 5, 8, 20)
    whole = box(0, 5, 22, 20)
    joined, apart = Walk(has_classes=False), Walk(has_classes=True)
    for walk in (joined, apart):
        walk.look(found(left, "subject"), found(right, "subject"))
        walk.look(found(whole, "subject"))
    (track,) = joined.tracker.tracks
    assert (track.sightings[0].mask == (left | right)).all()
    assert len(apart.tracker.tracks) == 2


def test_a_sighting_that_contradicts_its_neighbours_is_not_trusted() -> None:
    walk = Walk()
    dog, with_bystander = box(0, 0, 20, 20), box(0, 0, 45, 20)
    for region in (dog, dog, with_bystander, dog, dog):
        walk.look(found(region))
    (track,) = walk.tracker.tracks
    assert [one.frame for one in track.trusted] == [0, 10, 30, 40]


def test_where_none_agree_the_surest_is_trusted() -> None:
    walk = Walk()
    walk.look(found(box(0, 0, 20, 20), score=0.4))
    walk.look(found(box(9, 0, 20, 20), score=0.8))
    (track,) = walk.tracker.tracks
    assert [one.score for one in track.trusted] == [0.8]


def test_the_first_sighting_is_trusted_unless_it_is_unsure() -> None:
    for score, frames in ((0.7, [0, 20]), (0.3, [20])):
        walk = Walk()
        walk.look(found(box(0, 0, 20, 20), score=score))
        walk.look(found(box(9, 0, 20, 20), score=0.7))
        walk.look(found(box(18, 0, 20, 20), score=0.9))
        (track,) = walk.tracker.tracks
        assert [one.frame for one in track.trusted][: len(frames)] == frames, score


def test_specks_and_what_is_not_there_are_no_detections() -> None:
    empty = np.zeros(SHAPE, bool)
    assert distinct([found(empty), (Detection("dog", 0.9, box(0, 0, 1, 1)), empty)]) == []


@given(st.integers(1, 30), st.integers(1, 30), st.randoms(use_true_random=False))
def test_a_sighting_keeps_its_mask_to_the_pixel(height: int, width: int, random: object) -> None:
    seed = random.randrange(2**32)  # type: ignore[attr-defined]
    mask = np.random.default_rng(seed).random((height, width)) > 0.5
    kept = Sighting.of(3, Detection("dog", 0.5, mask), 0.0).mask
    assert kept.dtype == bool
    np.testing.assert_array_equal(kept, mask)
