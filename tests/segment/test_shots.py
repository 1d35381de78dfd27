"""Shot cuts: found to the frame, and nothing else taken for one."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.masks import Image
from vfx_matte.shots import AROUND_FRAMES, ShotDetector

SIZE = WIDTH, HEIGHT = 160, 90


def find_cuts(images: Iterable[Image]) -> list[int]:
    """The cuts that a detector finds in pictures in order, and at their end."""
    detector = ShotDetector()
    cuts = [cut for image in images for cut in detector.add(image)]
    return [*cuts, *detector.finish()]


def view(scene: int, shift_px: float = 0.0) -> Image:
    """A picture of soft shapes, another one for each number, seen `shift_px` farther to the right;
    with sensor noise.
    """
    rng = np.random.default_rng(scene)
    coarse = rng.integers(20, 236, (7, 60, 3)).astype(np.uint8)
    wide = cv2.resize(coarse, (WIDTH * 8, HEIGHT), interpolation=cv2.INTER_CUBIC)
    moved = np.float32([[1, 0, -(shift_px % (WIDTH * 6))], [0, 1, 0]])  # type: ignore[arg-type]
    seen = cv2.warpAffine(wide, moved, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    noise = np.random.default_rng(int(shift_px * 7) + 1).normal(0, 2, seen.shape)
    return np.asarray(np.clip(seen + noise, 0, 255), np.uint8)


def still(scene: int, count: int) -> list[Image]:
    return [view(scene) for _ in range(count)]


def pan(scene: int, count: int, px_per_frame: float) -> list[Image]:
    return [view(scene, 40 + at * px_per_frame) for at in range(count)]


@pytest.mark.slow
@examples(30)
@given(
    st.lists(
        st.tuples(st.integers(AROUND_FRAMES + 1, 24), st.sampled_from([0.0, 0.5, 2.0])),
        min_size=1,
        max_size=5,
    )
)
def test_every_cut_is_found_to_the_frame(lengths: list[tuple[int, float]]) -> None:
    images = [
        image for scene, (count, speed) in enumerate(lengths) for image in pan(scene, count, speed)
    ]
    assert find_cuts(images) == np.cumsum([count for count, _ in lengths])[:-1].tolist()


def test_cuts_near_both_ends() -> None:
    for count in (1, 2, 3, 28, 29):
        assert find_cuts([*still(1, count), *still(2, 30 - count)]) == [count]


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["white", "bright", "another picture"])
def test_a_flash_is_no_cut(frames: int, kind: str) -> None:
    flash = {
        "white": np.full((HEIGHT, WIDTH, 3), 250, np.uint8),
        "bright": np.clip(view(1).astype(int) + 120, 0, 255).astype(np.uint8),
        "another picture": view(9),
    }[kind]
    images = [
        *pan(1, 20, 1),
        *[flash] * frames,
        *[view(1, 40 + at) for at in range(20 + frames, 40)],
    ]
    assert find_cuts(images) == []


@pytest.mark.parametrize("speed", [4, 10, 18, 30])
def test_a_fast_pan_is_no_cut_and_one_that_sets_in_suddenly_neither(speed: int) -> None:
    assert find_cuts(pan(3, 40, speed)) == []
    assert (
        find_cuts([*still(3, 1), *[view(3, 0)] * 15, *[view(3, at * speed) for at in range(1, 25)]])
        == []
    )


def test_animation_that_stands_still_and_jumps_in_turns_has_no_cuts() -> None:
    for held in (2, 3, 4):
        assert find_cuts([view(4, 40 + (at // held) * 25) for at in range(48)]) == []


def test_a_cut_from_one_fast_pan_to_another() -> None:
    assert find_cuts([*pan(5, 20, 5), *pan(6, 20, 5)]) == [20]


def test_a_title_that_appears_is_no_cut() -> None:
    titled = view(7)
    titled[55:85, 10:150] = 255
    assert find_cuts([*still(7, 15), *[titled] * 15]) == []


def test_darkness_and_a_clip_of_one_frame() -> None:
    assert find_cuts([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 20) == []
    assert find_cuts(still(1, 1)) == []
    assert find_cuts([]) == []


@pytest.mark.parametrize("size", [(4, 2), (33, 99), (1920, 1080)])
def test_any_size(size: tuple[int, int]) -> None:
    shots = [cv2.resize(view(scene), size, interpolation=cv2.INTER_AREA) for scene in (1, 2)]
    assert find_cuts([np.asarray(shots[at >= 9], np.uint8) for at in range(18)]) == [9]


def test_cuts_are_told_soon_and_little_is_kept() -> None:
    detector = ShotDetector()
    for at, image in enumerate([*still(1, 30), *still(2, 30)]):
        found = detector.add(image)
        assert found == ([30] if at == 30 + AROUND_FRAMES - 1 else [])
        # the one thing that could grow with the clip
        assert len(detector._tiny) <= 2 * AROUND_FRAMES + 1
    assert detector.finish() == []
