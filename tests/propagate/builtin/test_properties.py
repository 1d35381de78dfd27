"""What must hold of the built-in propagator whatever it is made of: symmetries, stillness, and
every size of frame and object.

The clip is hard on purpose: objects as textured as their ground, some twenty code values away from
it, under noise that is new on each frame. Thresholds leave room for cues to change: a part of the
contour may move by a pixel (of an object of 28 pixels across that costs about 0.07), no object may
be lost, bleed, or take another's place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import TypeVar

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.blas_threads import one_blas_thread
from vfx_matte.masks import Image, Mask, Probabilities, overlap
from vfx_matte.propagate import open_propagator
from vfx_matte.propagate.builtin import propagator as builtin
from vfx_matte.propagate.driver import harden
from vfx_matte.propagate.walk_state import ResumableWalk

pytestmark = pytest.mark.slow

T = TypeVar("T")
Picture = tuple[Image, Mask]

SHAPE = (96, 128)
COLORS = ((110, 95, 70), (70, 95, 110), (100, 110, 60))
ALIKE = 0.93


def textured(shape: tuple[int, int], seed: int, color: Sequence[int]) -> Image:
    noise = np.random.default_rng(seed).integers(-25, 26, (shape[0] // 4 + 2, shape[1] // 4 + 2, 3))
    blocks = (
        np.clip(noise + np.array(color), 0, 255)
        .astype(np.uint8)
        .repeat(4, axis=0)
        .repeat(4, axis=1)
    )
    return np.asarray(cv2.GaussianBlur(blocks[: shape[0], : shape[1]], (0, 0), 0.8), np.uint8)


def view(
    index: int, *, num_objects: int = 2, top: int = 0, left: int = 0, shape: tuple[int, int] = SHAPE
) -> Picture:
    """Frame `index` of a camera at (top, left) of a world in which disks wander, as noisy as a real
    camera.
    """
    world, mask = textured((240, 280), 0, (60, 90, 60)), np.zeros((240, 280), np.uint8)
    paths = ((70, 70, 0, 2, 30), (110, 130, 1, -1, 26), (116, 84, -1, 1, 22))
    for object_id, (y, x, down, right, size) in enumerate(paths[:num_objects], start=1):
        place = np.s_[
            y + down * index : y + down * index + size, x + right * index : x + right * index + size
        ]
        rows, columns = np.ogrid[:size, :size]
        disk = (rows - (size - 1) / 2) ** 2 + (columns - (size - 1) / 2) ** 2 <= (size / 2) ** 2
        world[place][disk] = textured((size, size), object_id, COLORS[object_id - 1])[disk]
        mask[place][disk] = object_id
    noise = np.random.default_rng(100 + index).normal(0, 5, world.shape)
    seen = np.s_[60 + top : 60 + top + shape[0], 56 + left : 56 + left + shape[1]]
    return np.clip(world + noise, 0, 255).astype(np.uint8)[seen], mask[seen]


def follow(frames: Sequence[Picture], *, num_objects: int = 2) -> list[Probabilities]:
    """Segment frames of which only the first one's mask is shown."""
    propagator = open_propagator("builtin", num_objects=num_objects)
    # as every run has it: shared out over threads, products differ in their last bits from time to
    # time
    with one_blas_thread():
        propagator.remember(*frames[0])
        return [propagator.step(*frames[0]), *(propagator.step(image) for image, _ in frames[1:])]


def least_alike(masks: Sequence[Mask], others: Sequence[Mask], *, num_objects: int = 2) -> float:
    """The smallest IoU of any object on any frame."""
    pairs = zip(masks, others, strict=True)
    return min(
        overlap(one == k, other == k) for one, other in pairs for k in range(1, num_objects + 1)
    )


@pytest.fixture(scope="module")
def clip() -> list[Picture]:
    return [view(index) for index in range(9)]


@pytest.fixture(scope="module")
def masks(clip: list[Picture]) -> list[Mask]:
    return [harden(result) for result in follow(clip)]


def test_the_clip_can_be_followed(clip: list[Picture], masks: list[Mask]) -> None:
    assert least_alike(masks, [truth for _, truth in clip]) > ALIKE


@settings(max_examples=6)
@given(down=st.integers(-10, 6), right=st.integers(-20, 8))
def test_a_shifted_clip_has_shifted_masks(masks: list[Mask], down: int, right: int) -> None:
    shifted = follow([view(index, top=down, left=right) for index in range(5)])
    # no disk comes to the border
    back = [np.roll(harden(result), (down, right), axis=(0, 1)) for result in shifted]
    assert least_alike(back, masks[:5]) > ALIKE


@pytest.mark.parametrize(
    "axes", [(1, 0), (0, -1), (-1, 0)], ids=["transposed", "left-right", "upside down"]
)
def test_a_mirrored_clip_has_mirrored_masks(
    clip: list[Picture], masks: list[Mask], axes: tuple[int, int]
) -> None:
    def mirrored(picture: Image) -> Image:
        if axes == (1, 0):
            return np.ascontiguousarray(picture.swapaxes(0, 1))
        return np.ascontiguousarray(np.flip(picture, 1 if axes == (0, -1) else 0))

    found = [
        harden(result)
        for result in follow([(mirrored(image), mirrored(mask)) for image, mask in clip])
    ]
    assert least_alike([mirrored(mask) for mask in found], masks) > ALIKE


def test_a_still_clip_keeps_its_masks_for_long(clip: list[Picture]) -> None:
    image, mask = clip[0]
    found = [harden(result) for result in follow([(image, mask)] * 60)]
    assert least_alike(found, [mask] * 60) > 0.97


def test_a_still_scene_under_noise_keeps_its_masks(clip: list[Picture]) -> None:
    image, mask = clip[0]
    random = np.random.default_rng(3)
    noisy = [
        np.clip(image + random.normal(0, 5, image.shape), 0, 255).astype(np.uint8)
        for _ in range(40)
    ]
    found = [harden(result) for result in follow([(frame, mask) for frame in [image, *noisy]])]
    assert least_alike(found, [mask] * 41) > ALIKE


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (0, 3, 2, 1)])
def test_permuted_ids_permute_the_result(order: tuple[int, ...]) -> None:
    frames = [view(index, num_objects=3) for index in range(6)]
    ids = np.array(order, np.uint8)
    permuted = follow([(image, ids[mask]) for image, mask in frames], num_objects=3)
    for one, other in zip(follow(frames, num_objects=3), permuted, strict=True):
        # sums of objects are rounded in their order, and an edge may stand near a threshold
        apart = np.abs(one - other[ids])
        assert np.mean(apart > 1e-4) < 0.003
        assert apart.max() < 0.05


def test_an_object_that_is_never_shown_changes_nothing(clip: list[Picture]) -> None:
    for one, other in zip(follow(clip), follow(clip, num_objects=4), strict=True):
        assert np.array_equal(one, other[:3])
        assert not other[3:].any()


@pytest.mark.parametrize("offset", [-8, 8])
def test_a_change_of_light_is_no_change_of_shape(
    clip: list[Picture], masks: list[Mask], offset: int
) -> None:
    darker = [
        (np.clip(image.astype(np.int16) + offset, 0, 255).astype(np.uint8), mask)
        for image, mask in clip
    ]
    assert least_alike([harden(result) for result in follow(darker)], masks) > ALIKE
    suddenly = [harden(result) for result in follow([clip[0], *darker[1:]])]
    # it is nearly half of what tells the objects from the ground
    assert least_alike(suddenly, masks) > 0.85


def test_the_same_clip_gives_the_same_result(clip: list[Picture]) -> None:
    for one, other in zip(follow(clip), follow(clip), strict=True):
        assert np.array_equal(one, other)


class AtOnce(Executor):
    """Does everything when it is asked to, in the same thread."""

    def submit(self, work: Callable[..., T], /, *arguments: object, **options: object) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(work(*arguments, **options))
        return done


def test_the_second_thread_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [view(index, num_objects=3) for index in range(6)]
    results = follow(frames, num_objects=3)
    monkeypatch.setattr(builtin, "ThreadPoolExecutor", lambda **_: AtOnce())
    for one, other in zip(results, follow(frames, num_objects=3), strict=True):
        assert np.array_equal(one, other)


def test_an_object_may_leave_through_the_border_and_fill_the_frame() -> None:
    # the camera climbs; the lower disk goes out below
    leaving = [view(index, top=-2 * index) for index in range(12)]
    assert 0 < np.count_nonzero(leaving[-1][1] == 2) < 0.6 * np.count_nonzero(leaving[0][1] == 2)
    found = [harden(result) for result in follow(leaving)]
    assert least_alike(found, [truth for _, truth in leaving]) > 0.85
    close = [view(0, top=22, left=26, shape=(16, 16))[0] for _ in range(5)]
    assert all(
        harden(result).all()
        for result in follow(
            [(image, np.ones((16, 16), np.uint8)) for image in close], num_objects=1
        )
    )


@pytest.mark.parametrize("num_objects", [5, 31])
def test_many_objects_stay_apart(num_objects: int) -> None:
    image, mask = textured((120, 160), 0, (90, 90, 90)), np.zeros((120, 160), np.uint8)
    colors = np.random.default_rng(5).permutation(
        np.stack(np.meshgrid(*[(30, 90, 160, 230)] * 3), axis=-1).reshape(-1, 3)
    )
    for index in range(num_objects):
        place = np.s_[
            index // 8 * 30 + 4 : index // 8 * 30 + 26, index % 8 * 20 + 2 : index % 8 * 20 + 18
        ]
        image[place], mask[place] = colors[index], index + 1
    found = [harden(result) for result in follow([(image, mask)] * 4, num_objects=num_objects)]
    assert least_alike(found, [mask] * 4, num_objects=num_objects) > ALIKE


@pytest.mark.parametrize("size", [3, 4, 8])
def test_small_objects_of_a_colour_of_their_own_are_kept(size: int) -> None:
    image, mask = textured(SHAPE, 0, (60, 90, 60)), np.zeros(SHAPE, np.uint8)
    image[40 : 40 + size, 60 : 60 + size], mask[40 : 40 + size, 60 : 60 + size] = (220, 40, 40), 1
    found = [harden(result) for result in follow([(image, mask)] * 8, num_objects=1)]
    assert least_alike(found, [mask] * 8, num_objects=1) > 0.6  # a corner pixel of nine may go


@examples(60)
@given(st.data())
def test_any_frame_and_any_object_give_probabilities(data: st.DataObject) -> None:
    shape = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 70))
    image = textured(shape, data.draw(st.integers(0, 9)), (90, 90, 90))
    mask = np.zeros(shape, np.uint8)
    for object_id in (1, 2):
        top, left = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
        height, width = data.draw(st.integers(1, shape[0])), data.draw(st.integers(1, shape[1]))
        mask[top : top + height, left : left + width] = object_id
        image[mask == object_id] //= object_id
    results = follow([(image, mask), (np.roll(image, 1, axis=1), mask), (image, mask)])
    assert np.array_equal(harden(results[0]), mask)
    for result in results:
        assert (result.shape, result.dtype) == ((3, *shape), np.float32)
        assert result.min() >= 0
        np.testing.assert_allclose(result.sum(axis=0), 1, atol=1e-5)


def test_what_was_seen_once_is_forgotten_and_does_not_fade_for_ever() -> None:
    frames = [view(index) for index in range(3)]
    propagator = open_propagator("builtin", num_objects=2)
    assert isinstance(propagator, ResumableWalk)
    propagator.remember(*frames[0])
    propagator.step(*frames[0])
    propagator.step(frames[1][0])
    state = propagator.walk_state()
    assert state is not None
    # four hundred frames later at 0.8 each, all that was not seen again
    faded = {
        name: state["walk"][name] * np.float32(0.8**400)
        for name in ("color_local", "texture_local")
    }
    propagator.restore_walk({**state, "walk": {**state["walk"], **faded}})
    propagator.step(frames[2][0])
    after = propagator.walk_state()
    assert after is not None
    for name in faded:
        counted = after["walk"][name]
        assert counted[counted > 0].min() > 1e-8
