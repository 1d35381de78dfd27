"""The chroma keyer: what it recovers, where subsampled chroma lies, and how its errors are
counted.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.backend import Device, to_device, to_numpy
from vfx_matte.composite import mix as composite
from vfx_matte.composite.keyer import KeyAccuracy, Keyer, edge_band, full_chroma
from vfx_matte.errors import UsageError
from vfx_matte.masks import RGB, Matte
from vfx_matte.picture import ColorTags, Picture, PixelLayout, code_values

GREEN, BLUE, MAGENTA = (0, 255, 0), (0, 0, 255), (255, 0, 255)
TV, PC = ColorTags("bt709", "tv"), ColorTags("bt709", "pc")
HLG = ColorTags("bt2020nc", "tv", "bt2020", "arib-std-b67")


def yuv(depth: int, shift: tuple[int, int] = (0, 0)) -> PixelLayout:
    return PixelLayout("yuv", depth, shift)


def mixed(
    alpha: np.ndarray, subject: RGB, key: RGB, layout: PixelLayout, color: ColorTags
) -> Picture:
    """alpha · subject + (1 − alpha) · key in full chroma, by code values."""
    over, under = (code_values(rgb, layout, color, height=len(alpha)) for rgb in (subject, key))
    kind = np.uint8 if layout.bit_depth == 8 else np.uint16
    planes = tuple(
        np.rint(b + (a - b) * alpha).astype(kind) for a, b in zip(over, under, strict=True)
    )
    return Picture(planes, layout, color)


SLOPE = np.tile(np.linspace(0, 1, 256), (720, 1))


@pytest.mark.parametrize("key", [GREEN, BLUE, MAGENTA, (0, 177, 64)])
@pytest.mark.parametrize(
    ("layout", "color"),
    [
        (yuv(16), TV),
        (yuv(10), PC),
        (yuv(12), HLG),
        (yuv(10), ColorTags("smpte170m", "tv")),
        (PixelLayout("rgb", 16), TV),
    ],
)
@pytest.mark.parametrize("gray", [0, 128, 255])
def test_neutral_subjects_come_out_exactly(
    key: RGB, layout: PixelLayout, color: ColorTags, gray: int
) -> None:
    keyed = Keyer(key=key).alpha(mixed(SLOPE, (gray, gray, gray), key, layout, color))
    assert keyed.dtype == np.float32
    assert np.abs(keyed - SLOPE).max() <= 1 / 255


def test_eight_bits_of_full_chroma_cost_one_level() -> None:
    keyed = Keyer(key=GREEN).alpha(mixed(SLOPE, (90, 90, 90), GREEN, yuv(8), TV))
    assert np.abs(keyed - SLOPE).max() <= 1.5 / 133  # green's chroma is 133 codes long


@given(st.tuples(*[st.integers(0, 255)] * 3), st.floats(0, 1))
@examples(60)
def test_no_colour_is_taken_for_more_key_than_the_colour_difference_says(
    subject: RGB, part: float
) -> None:
    """Red, blue and skin are opaque; only what is greener than red and blue lets the screen
    through.
    """
    alpha = np.full((720, 2), part)
    keyed = Keyer(key=GREEN).alpha(mixed(alpha, subject, GREEN, yuv(16), TV))
    assert ((keyed >= 0) & (keyed <= 1)).all()
    if subject[1] <= min(subject[0], subject[2]):
        assert keyed.min() >= part - 1e-3
    if part == 0:
        assert keyed.max() <= 1e-3


@pytest.mark.parametrize(
    ("subject", "low", "high"),
    [((220, 170, 140), 1, 1), ((30, 160, 40), 0, 0.55), ((200, 40, 190), 1, 1)],
)
def test_green_clothing_is_keyed_away_and_skin_is_not(
    subject: RGB, low: float, high: float
) -> None:
    keyed = Keyer(key=GREEN).alpha(mixed(np.ones((720, 2)), subject, GREEN, yuv(16), TV))
    assert low - 1e-3 <= keyed.min() <= keyed.max() <= high + 1e-3


def test_clips_stretch_what_is_between_them() -> None:
    picture = mixed(SLOPE, (90, 90, 90), GREEN, yuv(16), TV)
    keyed = Keyer(key=GREEN, clip_black=0.2, clip_white=0.8).alpha(picture)
    np.testing.assert_allclose(keyed, np.clip((SLOPE - 0.2) / 0.6, 0, 1), atol=2e-3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"acceptance_degrees": 0},
        {"acceptance_degrees": 180},
        {"clip_black": 0.5, "clip_white": 0.5},
        {"clip_white": 1.2},
        {"key": (120, 120, 120)},
        {"key": (0, 0, 0)},
    ],
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Keyer(**({"key": GREEN} | wrong))  # type: ignore[arg-type]


# ---------------------------------------------------------------- chroma


def chroma(plane: np.ndarray, shape: tuple[int, int], shift: tuple[int, int]) -> Picture:
    return Picture((np.full(shape, 128, np.uint8), plane, plane), yuv(8, shift), TV)


@pytest.mark.parametrize("shape", [(12, 16), (13, 17)])
def test_samples_between_pixels_are_interpolated_as_opencv_does(shape: tuple[int, int]) -> None:
    small = -(-shape[0] // 2), -(-shape[1] // 2)
    plane = np.random.default_rng(1).integers(16, 240, small).astype(np.uint8)
    got, _ = full_chroma(chroma(plane, shape, (1, 1)), siting="center")
    even = (2 * small[1], 2 * small[0])
    expected = cv2.resize(
        (plane.astype(np.float32) - 128) / 224, even, interpolation=cv2.INTER_LINEAR
    )
    np.testing.assert_allclose(got, expected[: shape[0], : shape[1]], atol=1e-6)


@pytest.mark.parametrize("shift", [(1, 1), (1, 0), (2, 0), (0, 1)])
def test_samples_lie_on_the_left_pixel_and_between_two_rows(shift: tuple[int, int]) -> None:
    """A slope stays a slope: sample i of a row stands at pixel i · 2^x, of a column half a pixel
    further.
    """
    step_x, step_y = 1 << shift[0], 1 << shift[1]
    rows, columns = np.mgrid[: 32 // step_y, : 32 // step_x]
    plane = (100 + 2 * step_x * columns + 2 * step_y * rows).astype(np.uint8)
    got, _ = full_chroma(chroma(plane, (32, 32), shift))
    y, x = np.mgrid[:32, :32]
    expected = (100 + 2 * x + 2 * (y - (step_y - 1) / 2) - 128) / 224
    np.testing.assert_allclose(got[4:-4, :-4], expected[4:-4, :-4], atol=1e-5)


def test_gray_pictures_have_nothing_to_key() -> None:
    gray = Picture((np.full((6, 8), 40, np.uint8),), PixelLayout("gray", 8), TV)
    assert (Keyer(key=GREEN).alpha(gray) == 1).all()
    with pytest.raises(ValueError, match="no chroma"):
        full_chroma(gray)


def test_coarser_chroma_gives_a_worse_edge() -> None:
    y, x = np.mgrid[:96, :128]
    alpha = np.clip(30.3 - np.hypot(x - 64.2, y - 47.7) + 0.5, 0, 1)
    matte = Matte(np.rint(alpha * 255).astype(np.uint8))
    off = []
    for shift in ((0, 0), (1, 0), (1, 1)):
        layout = yuv(10, shift)
        planes = tuple(np.full(layout.plane_shape(i, 96, 128), 512, np.uint16) for i in range(3))
        errors = KeyAccuracy(2)
        errors.add(
            matte.alpha / np.float32(255),
            Keyer(key=GREEN).alpha(composite.over_color(Picture(planes, layout, TV), matte, GREEN)),
        )
        off.append(errors.edge_mean)
        assert errors.keyed_out < 0.1
    assert off[0] < 0.002
    assert off[0] < off[1] / 3 < off[1] < off[2]


# ---------------------------------------------------------------- errors


def test_the_band_is_the_edge_and_what_is_soft() -> None:
    alpha = np.zeros((20, 30), np.float32)
    alpha[:, 15:] = 1
    alpha[3, 2] = 0.25
    band = edge_band(alpha, width_px=2)
    expected = np.zeros((20, 30), bool)
    expected[:, 13:17] = True
    expected[3, 2] = True
    np.testing.assert_array_equal(band, expected)


def test_errors_are_counted_over_frames() -> None:
    true = np.zeros((10, 100), np.float32)
    true[:, 50:] = 1
    keyed = true.copy()
    keyed[:, 49] = 102 / 255  # one of the band's two columns
    keyed[0, 90] = 0.5
    keyed[:2, 3] = 0.2
    errors = KeyAccuracy(1)
    assert (
        errors.edge_mean == errors.edge_95 == errors.mean == errors.keyed_out == errors.left_in == 0
    )
    assert errors.add(true, keyed) == pytest.approx(0.2)
    assert errors.add(true, true) == 0
    assert errors.edge_mean == pytest.approx(0.1)
    assert errors.edge_95 == pytest.approx(102 / 255)
    assert errors.mean == pytest.approx((10 * 102 + 127 + 2 * 51) / 255 / 2000, rel=0.01)
    assert errors.keyed_out == pytest.approx(1 / 1000)
    assert errors.left_in == pytest.approx(12 / 1000)


def test_the_95th_percentile_is_numpys() -> None:
    random = np.random.default_rng(0)
    true = np.full((40, 50), 0.5, np.float32)  # soft all over: all of it is edge
    keyed = np.clip(true + random.normal(0, 0.1, true.shape), 0, 1).astype(np.float32)
    errors = KeyAccuracy(1)
    errors.add(true, keyed)
    assert errors.edge_95 == pytest.approx(np.percentile(np.abs(keyed - true), 95), abs=1.5 / 255)


@pytest.mark.gpu
def test_the_gpu_gives_the_same(gpu_device: Device) -> None:
    picture = mixed(SLOPE, (200, 120, 80), GREEN, yuv(10), TV)
    planes = (picture.planes[0], *(plane[::2, ::2].copy() for plane in picture.planes[1:]))
    small = Picture(planes, yuv(10, (1, 1)), TV)
    moved = small.with_planes(tuple(to_device(plane, gpu_device) for plane in planes))
    here, there = Keyer(key=GREEN).alpha(small), Keyer(key=GREEN).alpha(moved)
    np.testing.assert_allclose(to_numpy(there), here, atol=1e-5)
    errors = KeyAccuracy(2)
    errors.add(to_device(SLOPE.astype(np.float32), gpu_device), there)
    same = KeyAccuracy(2)
    same.add(SLOPE.astype(np.float32), here)
    assert errors.edge_mean == pytest.approx(same.edge_mean, abs=1e-4)
