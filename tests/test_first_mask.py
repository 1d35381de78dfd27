"""A first mask from a box, by GrabCut."""

from __future__ import annotations

from typing import Any, TypedDict

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vfx_matte.errors import MaskError, UsageError
from vfx_matte.first_mask.graph_cut import Box, Point, grab_cut

Pixels = npt.NDArray[Any]


class Options(TypedDict, total=False):
    foreground: list[Point]
    background: list[Point]
    iterations: int


def scene(height: int, width: int) -> tuple[Pixels, Pixels]:
    """A reddish, textured, star-like subject on green and grey texture, and its true mask."""
    random = np.random.default_rng(5)
    coarse = random.normal(0, 25, (height // 8 + 1, width // 8 + 1, 1)).astype(np.float32)
    texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None] + random.normal(
        0, 6, (height, width, 3)
    )
    y, x = np.mgrid[:height, :width]
    angle = np.arctan2(y - height / 2, x - width / 2)
    subject = np.hypot(y - height / 2, x - width / 2) < height * (0.3 + 0.05 * np.sin(7 * angle))
    background = np.where((x // (width // 6) % 2 == 0)[..., None], (60, 110, 60), (120, 125, 130))
    colors = np.where(subject[..., None], (190, 70, 50), background)
    return np.clip(colors + texture, 0, 255).astype(np.uint8), subject


def iou(mask: Pixels, truth: Pixels) -> float:
    return float(((mask == 1) & truth).sum() / ((mask == 1) | truth).sum())


@pytest.mark.parametrize(("height", "width"), [(121, 183), (900, 1400)])
def test_finds_the_subject_in_the_box(height: int, width: int) -> None:
    image, truth = scene(height, width)
    side = int(height * 0.76)
    box = ((width - side) // 2, (height - side) // 2, side, side)
    mask = grab_cut(image, box=box)
    assert mask.dtype == np.uint8
    assert mask.shape == (height, width)
    assert set(np.unique(mask)) == {0, 1}
    assert iou(mask, truth) > (0.97 if height < 500 else 0.99)
    np.testing.assert_array_equal(mask, grab_cut(image, box=box))


def test_the_band_of_a_large_picture_is_exact_to_the_pixel() -> None:
    image, truth = scene(1000, 1500)
    mask = grab_cut(image, box=(350, 100, 800, 800)) == 1
    edge = cv2.morphologyEx(truth.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) == 1
    assert (mask != truth)[edge].mean() < 0.01
    assert (mask != truth)[~edge].mean() < 0.001


def test_nothing_outside_the_box() -> None:
    image, truth = scene(120, 180)
    image[2:14, 2:30] = (190, 70, 50)
    mask = grab_cut(image, box=(44, 16, 92, 92))
    assert iou(mask, truth) > 0.95
    mask[16:108, 44:136] = 0
    assert not mask.any()


def test_points_are_certain() -> None:
    image, truth = scene(240, 360)
    image[100:120, 150:170] = (60, 110, 60)
    image[20:50, 100:130] = (190, 70, 50)
    mask = grab_cut(image, box=(60, 10, 240, 220), foreground=[(160, 110)], background=[(115, 35)], iterations=3)
    assert mask[110, 160] == 1
    assert mask[35, 115] == 0
    assert truth[110, 160]


@pytest.mark.parametrize(
    ("box", "options", "message"),
    [
        ((-1, 0, 10, 10), {}, "does not lie inside the picture, 180×120"),
        ((100, 100, 81, 10), {}, "does not lie inside the picture, 180×120"),
        ((10, 10, 0, 10), {}, "does not lie inside the picture, 180×120"),
        ((0, 0, 180, 120), {}, "covers the whole picture"),
        ((10, 10, 50, 50), {"background": [(180, 3)]}, "point 180,3 does not lie inside the picture"),
        ((10, 10, 50, 50), {"foreground": [(80, 20)]}, "foreground point 80,20 lies outside the box"),
        ((10, 10, 50, 50), {"iterations": 0}, "iterations 0"),
    ],
)
def test_a_request_that_cannot_be_followed(box: Box, options: Options, message: str) -> None:
    image, _ = scene(120, 180)
    with pytest.raises(UsageError, match=message):
        grab_cut(image, box=box, **options)


def test_the_whole_picture_is_a_box_when_a_point_says_what_background_is() -> None:
    image, _ = scene(120, 180)
    mask = grab_cut(image, box=(0, 0, 180, 120), background=[(5, 5), (175, 115), (40, 60)], foreground=[(90, 60)])
    assert mask[60, 90] == 1
    assert mask[5, 5] == mask[115, 175] == mask[60, 40] == 0


def test_nothing_found_is_an_error() -> None:
    flat = np.full((60, 80, 3), 90, np.uint8)
    with pytest.raises(MaskError, match="nothing was found in the box 20,20,4,4"):
        grab_cut(flat, box=(20, 20, 4, 4), background=[(21, 21), (22, 22), (23, 23), (21, 23), (23, 21)])
