"""Sessions of tracking: every frame of a range once, with the ids that were given, and the same
masks whether frames are there at once or come one by one.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfx_matte import blas_threads
from vfx_matte.errors import MaskError, UsageError
from vfx_matte.masks import Image, Mask
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.tracking import SteppedTrack, TrackSession

SHAPE = (72, 96)
FAKE = PropagatorOptions(name="fake")
BUILTIN = PropagatorOptions(name="builtin", values={"network": False})
LENGTH = 12


class Discs:
    """Frames with two discs that move, and how often each was asked for."""

    def __init__(self) -> None:
        noise = np.random.default_rng(5).integers(60, 200, (18, 24, 3), np.uint8)
        self._ground = cv2.resize(noise, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)

    def image(self, index: int) -> Image:
        """The frame."""
        image = self._ground.copy()
        cv2.circle(image, (20 + 3 * index, 24), 11, (230, 40, 40), -1)
        cv2.circle(image, (70 - 2 * index, 52), 9, (30, 60, 240), -1)
        return image

    def mask(self, index: int, first: int = 1, second: int = 2) -> Mask:
        """The true mask."""
        mask = np.zeros(SHAPE, np.uint8)
        cv2.circle(mask, (20 + 3 * index, 24), 11, first, -1)
        cv2.circle(mask, (70 - 2 * index, 52), 9, second, -1)
        return mask

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """Ascending."""
        return ((index, self.image(index)) for index in range(start, stop))

    def backward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """Descending."""
        return ((index, self.image(index)) for index in reversed(range(start, stop)))


def iou(one: Mask, other: Mask, object_id: int) -> float:
    both = (one == object_id) & (other == object_id)
    return float(both.sum() / ((one == object_id) | (other == object_id)).sum())


@given(start=st.integers(0, 10), length=st.integers(1, 12), at=st.integers(0, 15))
def test_every_frame_of_the_range_once(start: int, length: int, at: int) -> None:
    session = TrackSession(
        Discs(), {at: Discs().mask(at)}, start=start, stop=start + length, propagator=FAKE
    )
    frames = [frame.frame_index for frame in session.frames()]
    assert sorted(frames) == list(range(start, start + length))
    before = [index for index in frames if index < at]
    assert before == sorted(before, reverse=True)


def test_masks_follow_in_both_directions_with_the_ids_given() -> None:
    clip = Discs()
    session = TrackSession(
        clip, {5: clip.mask(5, 7, 200)}, start=0, stop=LENGTH, propagator=BUILTIN
    )
    frames = {frame.frame_index: frame for frame in session.frames()}
    for index, frame in frames.items():
        truth = clip.mask(index, 7, 200)
        assert iou(frame.mask, truth, 7) > 0.85
        assert iou(frame.mask, truth, 200) > 0.85
        assert set(frame.confidence) == {7, 200}
        assert all(0 <= value <= 1 for value in frame.confidence.values())


def test_a_frame_at_a_time_gives_the_same_masks() -> None:
    clip = Discs()
    session = TrackSession(clip, {0: clip.mask(0, 3, 9)}, start=0, stop=LENGTH, propagator=BUILTIN)
    at_once = {frame.frame_index: frame for frame in session.frames()}
    track = SteppedTrack(clip.image(0), clip.mask(0, 3, 9), propagator=BUILTIN)
    for index in range(1, LENGTH):
        stepped = track.step(clip.image(index))
        assert stepped.frame_index == index
        assert np.array_equal(stepped.mask, at_once[index].mask)
        assert stepped.confidence == at_once[index].confidence


def test_matrix_products_use_one_thread_between_frames_too() -> None:
    """Propagators learn in the background while the next frame is fetched: with several threads a
    pixel of frame 54 of DAVIS' "dog" was another one than a session gives.
    """
    clip = Discs()
    before = blas_threads._Blocks.count
    track = SteppedTrack(clip.image(0), clip.mask(0), propagator=FAKE)
    track.step(clip.image(1))
    assert blas_threads._Blocks.count == before + 1
    del track
    gc.collect()
    assert blas_threads._Blocks.count == before
    with pytest.raises(MaskError):
        SteppedTrack(clip.image(0), clip.mask(0)[1:], propagator=FAKE)
    assert blas_threads._Blocks.count == before


def test_closing_stops_the_work() -> None:
    asked: list[int] = []

    class Counted(Discs):
        def image(self, index: int) -> Image:
            asked.append(index)
            return super().image(index)

    clip = Counted()
    frames = TrackSession(clip, {0: clip.mask(0)}, start=0, stop=10**6, propagator=FAKE).frames()
    next(frames)
    frames.close()
    assert max(asked) < 5


def test_what_is_wrong_is_said() -> None:
    clip = Discs()
    with pytest.raises(MaskError, match="shows an object"):
        TrackSession(clip, {0: np.zeros(SHAPE, np.uint8)}, start=0, stop=3)
    with pytest.raises(MaskError, match="several sizes"):
        TrackSession(clip, {0: clip.mask(0), 1: clip.mask(1)[1:]}, start=0, stop=3)
    with pytest.raises(MaskError, match="expected uint8"):
        TrackSession(clip, {0: clip.mask(0).astype(np.int32)}, start=0, stop=3)  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="not a range"):
        TrackSession(clip, {0: clip.mask(0)}, start=3, stop=3)
    small = TrackSession(clip, {0: clip.mask(0)[1:]}, start=0, stop=3, propagator=FAKE)
    with pytest.raises(MaskError, match="96x71, its frame 96x72"):
        next(small.frames())
    with pytest.raises(MaskError, match="96x71"):
        SteppedTrack(clip.image(0), clip.mask(0)[1:], propagator=FAKE)
