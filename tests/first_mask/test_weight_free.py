"""A first mask from a box or a point without trained weights."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vfx_matte.errors import UsageError
from vfx_matte.first_mask import Click, Marks, open_first_mask
from vfx_matte.first_mask.barrier import barrier_distance
from vfx_matte.first_mask.graph_cut import cut_near, object_at, object_in_box

Pixels = npt.NDArray[Any]


def scene(height: int, width: int) -> tuple[Pixels, Pixels]:
    """A reddish, textured, star-like subject on green and grey texture, and its true mask."""
    random = np.random.default_rng(5)
    coarse = random.normal(0, 25, (height // 8 + 1, width // 8 + 1, 1)).astype(np.float32)
    texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[
        ..., None
    ] + random.normal(0, 6, (height, width, 3))
    y, x = np.mgrid[:height, :width]
    angle = np.arctan2(y - height / 2, x - width / 2)
    subject = np.hypot(y - height / 2, x - width / 2) < height * (0.3 + 0.05 * np.sin(7 * angle))
    background = np.where((x // (width // 6) % 2 == 0)[..., None], (60, 110, 60), (120, 125, 130))
    colors = np.where(subject[..., None], (190, 70, 50), background)
    return np.clip(colors + texture, 0, 255).astype(np.uint8), subject


def iou(mask: Pixels, truth: Pixels) -> float:
    return float(((mask > 0.5) & truth).sum() / ((mask > 0.5) | truth).sum())


@pytest.mark.parametrize(("height", "width"), [(121, 183), (420, 640)])
def test_finds_the_subject_in_the_box(height: int, width: int) -> None:
    image, truth = scene(height, width)
    side = int(height * 0.76)
    box = ((width - side) // 2, (height - side) // 2, side, side)
    found = object_in_box(image, box)
    assert found.dtype == np.float32
    assert found.shape == (height, width)
    assert 0 <= found.min() <= found.max() <= 1
    assert iou(found, truth) > 0.95
    np.testing.assert_array_equal(found, object_in_box(image, box))


def test_small_things_are_found() -> None:
    image, _ = scene(240, 360)
    subject = np.zeros((240, 360), bool)
    subject[50:60, 40:54] = True
    image[subject] = (190, 70, 50)
    assert iou(object_in_box(image, (39, 49, 16, 12)), subject) > 0.8


def test_what_the_surroundings_reach_is_background_though_the_box_holds_most_of_it() -> None:
    """A wall behind the subject, of a colour of its own, that goes on a little beside the box."""
    image, subject = scene(240, 360)
    image[:, 70:290][~subject[:, 70:290]] = (60, 60, 160)
    noise = np.random.default_rng(3).normal(0, 4, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    assert iou(object_in_box(image, (88, 28, 184, 184)), subject) > 0.9


def test_nothing_outside_the_box() -> None:
    image, truth = scene(120, 180)
    image[2:14, 2:30] = (190, 70, 50)
    found = object_in_box(image, (44, 16, 92, 92))
    assert iou(found, truth) > 0.95
    found[16:108, 44:136] = 0
    assert not found.any()


def test_a_box_at_the_edges_of_the_picture() -> None:
    image, truth = scene(120, 180)
    assert iou(object_in_box(image[16:, 44:], (0, 0, 92, 92)), truth[16:, 44:]) > 0.9


def test_a_box_needs_surroundings() -> None:
    image, _ = scene(120, 180)
    with pytest.raises(UsageError, match="box 0,0,180,120 covers the whole picture, 180×120"):
        object_in_box(image, (0, 0, 180, 120))


@pytest.mark.parametrize("box", [(20, 20, 4, 4), (0, 0, 2, 60), (78, 58, 2, 2)])
def test_nothing_is_found_where_nothing_differs(box: tuple[int, int, int, int]) -> None:
    flat = np.full((60, 80, 3), 90, np.uint8)
    assert not (object_in_box(flat, box) > 0.5).any()
    answer = open_first_mask(flat, network=None).answer(Marks(box=box))
    assert not answer.mask.any()
    assert answer.confidence == 0


def two_colours() -> tuple[Pixels, Pixels, Pixels]:
    """A subject whose lower half is darker than the upper one, though not unlike it; the subject
    and its lower half.
    """
    image, truth = scene(240, 360)
    lower = truth.copy()
    lower[:120] = False
    image[lower] //= 2
    return image, truth, lower


def test_a_point_finds_the_whole_that_it_is_on_and_as_a_part_what_has_its_colour() -> None:
    image, truth = scene(240, 360)
    found = object_at(image, 180, 120)
    assert found.dtype == np.float32
    assert iou(found, truth) > 0.9
    image, truth, lower = two_colours()
    click = Marks(clicks=(Click(180, 160),))
    assert iou(open_first_mask(image, network=None).answer(click).mask, truth) > 0.9
    assert iou(open_first_mask(image, network=None, is_part=True).answer(click).mask, lower) > 0.9
    assert iou(cut_near(image, 180, 160), lower) > 0.9


@pytest.mark.parametrize("point", [(0, 0), (79, 59), (40, 30)])
def test_a_point_where_nothing_differs_is_in_its_answer(point: tuple[int, int]) -> None:
    flat = np.full((60, 80, 3), 90, np.uint8)
    assert object_at(flat, *point)[point[1], point[0]] > 0.5


def test_a_barrier_is_the_range_of_the_best_path() -> None:
    values = np.zeros((20, 30, 2), np.float32)
    values[5:15, 8, 0] = values[5:15, 20, 0] = values[5, 8:21, 0] = values[14, 8:21, 0] = (
        7  # a fence
    )
    values[..., 1] = np.linspace(0, 3, 30)  # a slope that cannot be gone round
    seeds = np.zeros((20, 30), bool)
    seeds[:, 0] = True
    found = barrier_distance(values, seeds)
    assert found.dtype == np.float32
    assert not found[:, 0].any()
    np.testing.assert_allclose(found[2], np.linspace(0, 3, 30), atol=1e-5)
    np.testing.assert_allclose(found[10, 12], 7 + values[10, 12, 1], atol=1e-5)
    values[9, 8, 0] = 2  # a gate: the path through it has less to climb
    np.testing.assert_allclose(
        barrier_distance(values, seeds)[10, 12], 2 + values[10, 12, 1], atol=1e-5
    )


def test_without_seeds_everything_is_infinitely_far() -> None:
    assert np.isinf(barrier_distance(np.zeros((5, 6, 3), np.float32), np.zeros((5, 6), bool))).all()


@pytest.mark.parametrize("is_object", [True, False])
def test_a_correction_of_a_given_mask_ends_at_the_pictures_edge(is_object: bool) -> None:
    """A grey shirt before a window nearly as grey: the mask has a piece of the window, or lacks one
    of the shirt, and one click mends it and takes no bite.
    """
    random = np.random.default_rng(3)
    image = np.full((240, 320, 3), (90, 140, 90), np.float32)
    shirt, window = np.zeros((2, 240, 320), bool)
    shirt[80:240, 100:220] = True
    window[60:200, 30:100] = True
    image[shirt], image[window] = (96, 98, 110), (116, 120, 126)
    image = (image + random.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8)
    wrong = np.zeros_like(shirt)
    if is_object:
        wrong[90:140, 100:130] = True
    else:
        wrong[90:140, 70:100] = True
    made = open_first_mask(image, network=None)
    click = Click(115 if is_object else 85, 115, is_object)
    answer = made.answer(Marks(clicks=(click,)), (shirt ^ wrong).astype(np.float32))
    # nearly all of what was wrong is mended, and hardly anything else has changed
    found = answer.probability > 0.5
    assert np.count_nonzero((found != shirt) & wrong) < 0.1 * np.count_nonzero(wrong)
    assert np.count_nonzero((found != shirt) & ~wrong) < 0.1 * np.count_nonzero(wrong)
