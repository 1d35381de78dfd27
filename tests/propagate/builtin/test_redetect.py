"""An object that left is found again, nothing else is taken for it, and what covers it is not
followed.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vfx_matte.masks import Image, Mask
from vfx_matte.propagate.builtin.propagator import BuiltinPropagator
from vfx_matte.propagate.builtin.redetect import Descriptor, Redetector, regions, similarity

SHAPE = (96, 160)
DOG, BALL, BAR = (190, 110, 60), (60, 90, 200), (90, 40, 110)


def texture(color: tuple[int, int, int], shape: tuple[int, int], seed: int) -> Image:
    return np.clip(
        np.array(color) + np.random.default_rng(seed).integers(-25, 25, (*shape, 3)), 0, 255
    ).astype(np.uint8)


def draw(
    left: int | None, *, ball: int | None = None, bar: int | None = None
) -> tuple[Image, Mask]:
    """A two-coloured thing at `left` on a striped ground, with perhaps a ball elsewhere and a bar
    before everything.
    """
    image = texture((90, 130, 90), SHAPE, 1)
    image[:, ::16] = (120, 150, 110)
    mask = np.zeros(SHAPE, np.uint8)
    if ball is not None:
        image[8:32, ball : ball + 24] = texture(BALL, (24, 24), 2)
    if left is not None:
        image[50:80, left : left + 24] = texture(DOG, (30, 24), 3)
        image[50:62, left : left + 24] = texture((235, 230, 220), (12, 24), 4)
        mask[50:80, left : left + 24] = 1
    if bar is not None:
        columns = slice(max(bar, 0), max(bar + 40, 0))
        image[:, columns] = texture(BAR, (SHAPE[0], 40), 5)[:, max(-bar, 0) :][
            :, : image[:, columns].shape[1]
        ]
        mask[:, columns] = 0
    return image, mask


def overlap(found: Mask, mask: Mask) -> float:
    return np.count_nonzero((found > 0) & (mask > 0)) / max(
        np.count_nonzero((found > 0) | (mask > 0)), 1
    )


def follow(frames: list[tuple[Image, Mask]]) -> list[Mask]:
    """Masks of all frames, given the first."""
    propagator = BuiltinPropagator(num_objects=1)
    propagator.remember(*frames[0])
    steps = (
        propagator.step(image, mask if index == 0 else None)
        for index, (image, mask) in enumerate(frames)
    )
    return [(probabilities[1] > 0.5).astype(np.uint8) for probabilities in steps]


def test_an_object_that_comes_back_elsewhere_is_followed_again() -> None:
    frames = (
        [draw(60) for _ in range(4)]
        + [draw(None) for _ in range(6)]
        + [draw(110 - 2 * i) for i in range(6)]
    )
    found = follow(frames)
    assert not any(mask.any() for mask in found[5:10])
    assert not found[10].any()  # seen on one frame only
    assert all(
        overlap(mask, truth) > 0.8 for mask, (_, truth) in zip(found[11:], frames[11:], strict=True)
    )


def test_another_thing_is_not_taken_for_it() -> None:
    frames = [draw(60)] + [draw(None, ball=20 + 3 * i) for i in range(12)]
    assert not any(mask.any() for mask in follow(frames)[2:])


def test_a_bar_that_covers_it_for_a_while_is_let_go() -> None:
    frames = [draw(70, bar=None if i < 3 else -40 + 8 * (i - 3)) for i in range(32)]
    found = follow(frames)
    # the object is behind the bar, or hardly shows
    assert not any(mask.any() for mask in found[15:18])
    assert all(
        overlap(mask, truth) > 0.8 for mask, (_, truth) in zip(found[-4:], frames[-4:], strict=True)
    )


def test_a_walk_that_begins_without_the_object_finds_it() -> None:
    propagator = BuiltinPropagator(num_objects=1)
    propagator.remember(*draw(60))
    image, mask = draw(None)
    assert not (propagator.step(image, mask)[1] > 0.5).any()
    for left in (100, 98, 96):
        image, mask = draw(left)
        probabilities = propagator.step(image)
    assert overlap((probabilities[1] > 0.5).astype(np.uint8), mask) > 0.8


def test_attending_to_one_reference_is_knowing_no_other() -> None:
    selective, single = BuiltinPropagator(num_objects=1), BuiltinPropagator(num_objects=1)
    for reference in (draw(10), draw(60), draw(120, ball=20)):
        selective.remember(*reference)
    selective.attend({1: 0})
    single.remember(*draw(60))
    for propagator in (selective, single):
        propagator.step(*draw(60))
    assert np.array_equal(selective.step(draw(63)[0]), single.step(draw(63)[0]))


def descriptor() -> Descriptor:
    """Words 0 and 1 are the object's, half and half; 2 and 3 the rest's."""
    counts = np.array([[50, 50, 0, 0], [0, 0, 500, 500]], np.float32)
    return Descriptor.of(counts, counts, 100.0)


def words(*places: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Squares of words 0 and 1 side by side, (top, left, side) each, on word 2."""
    color = np.full((48, 64), 2, np.int32)
    for top, left, side in places:
        color[top : top + side, left : left + side // 2] = 0
        color[top : top + side, left + side // 2 : left + side] = 1
    return color, color[::2, ::2].copy()


@pytest.mark.parametrize(
    ("word", "expected"), [((0, 1), 1.0), ((0, 0), 0.5**0.5), ((2, 3), 0.0), ((0, 2), 0.5)]
)
def test_likeness_by_hand(word: tuple[int, int], expected: float) -> None:
    color = np.repeat(np.array([word], np.int32), 4, axis=1).repeat(4, axis=0)
    assert similarity(
        descriptor(), color, color[::2, ::2], np.ones(color.shape, bool)
    ) == pytest.approx(expected, abs=1e-6)


@given(arrays(np.int32, (8, 8), elements=st.integers(0, 3)), arrays(bool, (8, 8)))
def test_likeness_is_between_none_and_all(color: np.ndarray, region: np.ndarray) -> None:
    assert 0 <= similarity(descriptor(), color, color[::2, ::2], region) <= 1 + 1e-6


def test_regions_are_of_the_objects_size() -> None:
    found = regions(descriptor(), *words((4, 4, 10), (30, 30, 2), (22, 4, 24)))
    assert len(found) == 1
    assert found[0].region[9, 9]
    assert not found[0].region[31, 31]


def test_two_frames_in_a_row_at_one_place() -> None:
    redetector, nothing = Redetector([descriptor()]), np.zeros((1, 48, 64), np.float32)
    assert not redetector.observe(*words((4, 4, 10)), nothing).back
    assert not redetector.observe(*words((30, 40, 10)), nothing).back
    assert redetector.observe(*words((30, 42, 10)), nothing).back[0][35, 46]


def test_a_place_that_another_object_has_is_not_offered() -> None:
    redetector = Redetector([descriptor(), None])
    objects = np.zeros((2, 48, 64), np.float32)
    objects[1, 4:14, 4:14] = 1
    for _ in range(3):
        assert not redetector.observe(*words((4, 4, 10)), objects).back


def test_a_twin_beside_the_object_raises_the_bar() -> None:
    objects = np.zeros((1, 48, 64), np.float32)
    objects[0, 4:14, 4:14] = 1
    wary, naive = Redetector([descriptor()]), Redetector([descriptor()])
    wary.calibrate(*words((4, 4, 10), (30, 40, 10)), objects, known=[0])
    naive.calibrate(*words((4, 4, 10)), objects, known=[0])
    color, half = words((30, 40, 10))
    color[36:40, 40:50] = half[18:20, 20:25] = 3  # not quite the twin
    for _ in range(2):
        seen = [
            redetector.observe(color, half, np.zeros_like(objects)).back
            for redetector in (wary, naive)
        ]
    assert not seen[0]
    assert seen[1]


def test_what_turns_into_another_thing_is_doubtful_at_once_and_lost_later() -> None:
    redetector, objects = Redetector([descriptor()]), np.zeros((1, 48, 64), np.float32)
    objects[0, 4:14, 4:14] = 1
    seen = [
        redetector.observe(*words((4, 4, 10)), objects),
        *(redetector.observe(*words(), objects) for _ in range(3)),
    ]
    assert [bool(one.doubtful) for one in seen] == [False, True, True, True]
    assert [bool(one.lost) for one in seen] == [False, False, False, True]
