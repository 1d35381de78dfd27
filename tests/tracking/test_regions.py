"""Regions that are tracked one by one: what they share, what is kept of them, and for how long."""

from __future__ import annotations

import gc
import weakref

import cv2
import numpy as np
import pytest
from support.drifting_squares import draw

from vfx_matte.errors import MaskError, UsageError
from vfx_matte.masks import Image, Mask
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.tracking import (
    Picture,
    RegionTracker,
    SteppedTrack,
    outline_of,
    region_in,
    regions,
)

FAKE = PropagatorOptions(name="fake")
BUILTIN = PropagatorOptions(name="builtin", values={"network": False})
LENGTH = 6


def picture(index: int) -> Picture:
    """A new object for a frame, as a labelling tool sends one with every request."""
    return Picture(draw(index)[0])


def masks_of(mask: Mask) -> list[Mask]:
    """What one propagator makes of the first frame's mask on every further frame."""
    track = SteppedTrack(draw(0)[0], mask, propagator=BUILTIN)
    return [track.step(draw(index)[0]).mask for index in range(1, LENGTH)]


@pytest.fixture
def tracks(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[SteppedTrack]]:
    """Every propagator that is opened for regions."""
    opened: list[weakref.ref[SteppedTrack]] = []

    class Noted(SteppedTrack):
        def __init__(self, image: Image, mask: Mask, *, propagator: PropagatorOptions) -> None:
            super().__init__(image, mask, propagator=propagator)
            opened.append(weakref.ref(self))

    monkeypatch.setattr(regions, "SteppedTrack", Noted)
    return opened


def alive(tracks: list[weakref.ref[SteppedTrack]]) -> int:
    gc.collect()
    return sum(track() is not None for track in tracks)


def test_regions_of_one_picture_share_a_propagator(
    tracks: list[weakref.ref[SteppedTrack]],
) -> None:
    tracker = RegionTracker(propagator=BUILTIN)
    mask = draw(0)[1]
    first = picture(0)
    both = [tracker.begin(first, mask == object_id) for object_id in (1, 2)]
    expected = masks_of(mask)
    for index in range(1, LENGTH):
        shown = picture(index)
        for object_id, tracked in enumerate(both, start=1):
            np.testing.assert_array_equal(
                tracker.follow(shown, tracked), expected[index - 1] == object_id
            )
    assert len(tracks) == 1


def test_regions_that_lie_over_each_other_keep_all_of_their_pixels(
    tracks: list[weakref.ref[SteppedTrack]],
) -> None:
    mask = draw(0)[1]
    square = mask == 1
    part = square & (np.arange(mask.shape[1]) < 14)
    tracker = RegionTracker(propagator=BUILTIN)
    first = picture(0)
    shown = {name: tracker.begin(first, region) for name, region in (("a", square), ("b", part))}
    expected = {"a": masks_of(square.astype(np.uint8)), "b": masks_of(part.astype(np.uint8))}
    for index in range(1, LENGTH):
        for name, tracked in shown.items():
            found = tracker.follow(picture(index), tracked)
            np.testing.assert_array_equal(found, expected[name][index - 1] > 0)
    assert len(tracks) == 2


def test_a_border_that_neighbours_share_is_the_smaller_ones() -> None:
    left, right = np.zeros((2, 40, 60), bool)
    left[:, :31] = True
    right[10:30, 30:50] = True
    layers, places = regions._layers([left, right])
    assert places == [(0, 1), (0, 2)]
    assert (layers[0][right] == 2).all()
    # of many that lie in a large one each takes little, all together too much
    inside = [np.zeros((40, 60), bool) for _ in range(20)]
    for at, region in enumerate(inside):
        region[2 * at : 2 * at + 2, :60] = True
    _, places = regions._layers([np.ones((40, 60), bool), *inside])
    assert places[0] == (0, 1)
    assert {layer for layer, _ in places[1:]} == {1}


def test_more_regions_than_ids_are_tracked() -> None:
    every = [np.zeros((20, 30), bool) for _ in range(300)]
    for at, region in enumerate(every):
        region.flat[2 * at] = True
    tracker = RegionTracker(propagator=FAKE)
    first = Picture(np.zeros((20, 30, 3), np.uint8))
    states = [tracker.begin(first, region) for region in every]
    shown = Picture(np.ones((20, 30, 3), np.uint8))
    for region, state in zip(every, states, strict=True):
        np.testing.assert_array_equal(tracker.follow(shown, state), region)


def test_a_frame_that_was_seen_is_answered_as_it_was() -> None:
    """A tool tries again, or asks for one shape after the other over the whole clip."""
    tracker = RegionTracker(propagator=BUILTIN)
    mask, first = draw(0)[1], picture(0)
    one, other = (tracker.begin(first, mask == object_id) for object_id in (1, 2))
    expected = masks_of(mask)
    for object_id, tracked in ((1, one), (2, other), (1, one)):
        for index in range(1, LENGTH):
            found = tracker.follow(picture(index), tracked)
            np.testing.assert_array_equal(found, expected[index - 1] == object_id)
    np.testing.assert_array_equal(tracker.follow(picture(0), one), mask == 1)


def test_what_was_longest_not_asked_for_is_forgotten(
    tracks: list[weakref.ref[SteppedTrack]],
) -> None:
    tracker = RegionTracker(propagator=FAKE, most_tracks=2)
    states = []
    for index in range(3):
        states.append(tracker.begin(picture(index), draw(index)[1] == 1))
        tracker.follow(picture(index + 1), states[-1])
        # still in use
        tracker.follow(picture(index + 2), states[0])
    assert alive(tracks) == 2
    tracker.follow(picture(9), states[0])
    tracker.follow(picture(9), states[2])
    with pytest.raises(UsageError, match="forgotten, as more than 2") as refusal:
        tracker.follow(picture(9), states[1])
    assert "max_tracks" in refusal.value.hint


def test_pictures_that_wait_count_too() -> None:
    tracker = RegionTracker(propagator=FAKE, most_tracks=2)
    first = picture(0)
    kept = weakref.ref(first)
    state = tracker.begin(first, draw(0)[1] == 1)
    del first
    others = [tracker.begin(picture(index), draw(index)[1] == 1) for index in (1, 2)]
    gc.collect()
    assert kept() is None
    with pytest.raises(UsageError, match="forgotten"):
        tracker.follow(picture(3), state)
    assert tracker.follow(picture(3), others[0]).any()


def test_what_its_caller_drops_is_free_at_once(tracks: list[weakref.ref[SteppedTrack]]) -> None:
    tracker = RegionTracker(propagator=FAKE)
    first = picture(0)
    kept = weakref.ref(first)
    state = tracker.begin(first, draw(0)[1] == 1)
    del first
    tracker.follow(picture(1), state)
    gc.collect()
    # the first picture is not needed once tracking goes on
    assert kept() is None
    assert alive(tracks) == 1
    del state
    assert alive(tracks) == 0


def test_what_cannot_be_tracked_is_said() -> None:
    tracker = RegionTracker(propagator=FAKE, most_tracks=2)
    with pytest.raises(MaskError, match="nothing to track"):
        tracker.begin(picture(0), np.zeros((48, 64), bool))
    with pytest.raises(MaskError, match="64x47, its frame 64x48"):
        tracker.begin(picture(0), np.ones((47, 64), bool))
    state = tracker.begin(picture(0), draw(0)[1] == 1)
    with pytest.raises(MaskError, match="64x47, the one that tracking began on 64x48"):
        tracker.follow(Picture(draw(1)[0][1:]), state)
    first = picture(0)
    layers = [tracker.begin(first, draw(0)[1] == 1) for _ in range(3)]
    with pytest.raises(UsageError, match="in 3 layers, and 2 tracks"):
        tracker.follow(picture(1), layers[0])
    with pytest.raises(UsageError, match="expected 1 or more"):
        RegionTracker(propagator=FAKE, most_tracks=0)
    with pytest.raises(UsageError, match="propagator"):
        RegionTracker(propagator=PropagatorOptions(name="nonesuch"))


def test_polygons_and_back() -> None:
    drawn = np.zeros((72, 96), np.uint8)
    cv2.circle(drawn, (40, 30), 20, 1, -1)
    cv2.circle(drawn, (85, 60), 5, 1, -1)
    outline = outline_of(drawn > 0)
    assert outline is not None
    back = region_in(outline, (72, 96))
    # a polygon holds the largest part alone
    drawn[50:, 75:] = 0
    assert (back & (drawn > 0)).sum() / (back | (drawn > 0)).sum() > 0.96
    assert outline_of(np.zeros((4, 4), bool)) is None
    with pytest.raises(MaskError, match=r"polygon \[1, 2, 3, 4\] is none"):
        region_in([1, 2, 3, 4], (72, 96))
