from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfx_matte.picture import ColorTags, Picture, PixelLayout, code_values

GREEN, BLUE, WHITE, BLACK = (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
BITS = st.integers(8, 16)
RGB = st.tuples(*[st.integers(0, 255)] * 3)


def planes(layout: PixelLayout, height: int, width: int) -> tuple[np.ndarray, ...]:
    dtype = np.uint8 if layout.bit_depth == 8 else np.uint16
    return tuple(
        np.zeros(layout.plane_shape(index, height, width), dtype)
        for index in range(layout.plane_count)
    )


@pytest.mark.parametrize(
    ("rgb", "bits", "tags", "expected"),
    [
        (GREEN, 8, ColorTags(matrix="bt709"), (173, 42, 26)),
        (GREEN, 8, ColorTags(matrix="smpte170m"), (145, 54, 34)),
        (BLUE, 8, ColorTags(matrix="smpte170m"), (41, 240, 110)),
        (GREEN, 8, ColorTags(matrix="smpte170m", range="pc"), (150, 44, 21)),  # JPEG
        (WHITE, 10, ColorTags(matrix="bt2020nc"), (940, 512, 512)),
        (BLACK, 10, ColorTags(matrix="bt2020nc"), (64, 512, 512)),
        (GREEN, 10, ColorTags(matrix="bt2020nc"), (658, 189, 100)),
    ],
)
def test_code_values_of_known_colors(
    rgb: tuple[int, int, int], bits: int, tags: ColorTags, expected: tuple[int, ...]
) -> None:
    assert code_values(rgb, PixelLayout("yuv", bits, (1, 1)), tags, height=1080) == expected


def test_an_untagged_clip_is_bt709_from_720_lines_and_bt601_below() -> None:
    layout = PixelLayout("yuv", 8)
    assert code_values(GREEN, layout, ColorTags(), height=720) == (173, 42, 26)
    assert code_values(GREEN, layout, ColorTags(), height=719) == (145, 54, 34)


@given(RGB, BITS)
def test_full_range_rgb_scales_to_the_full_code(rgb: tuple[int, int, int], bits: int) -> None:
    layout = PixelLayout("rgb", bits)
    exact = tuple(int(Fraction(value * layout.full, 255) + Fraction(1, 2)) for value in rgb)
    assert code_values(rgb, layout, ColorTags(), height=480) == exact


@given(RGB, BITS, st.sampled_from(["tv", "pc"]), st.sampled_from(["yuv", "gray", "rgb"]))
def test_code_values_stay_in_range_and_neutral_colors_have_no_chroma(
    rgb: tuple[int, int, int], bits: int, range_: str, model: str
) -> None:
    layout = PixelLayout(model, bits, has_alpha=True)
    codes = code_values(rgb, layout, ColorTags(range=range_), height=1080)
    assert len(codes) == layout.plane_count
    assert all(0 <= code <= layout.full for code in codes)
    assert codes[-1] == layout.full
    gray = code_values((rgb[0],) * 3, layout, ColorTags(range=range_), height=1080)
    if model == "yuv":
        assert gray[1:3] == (1 << (bits - 1),) * 2


@pytest.mark.parametrize(
    ("model", "range_", "white"),
    [
        ("yuv", "unspecified", 235),
        ("gray", "unspecified", 235),
        ("gray", "pc", 255),
        ("rgb", "unspecified", 255),
        ("rgb", "tv", 235),
    ],
)
def test_range_decides_what_white_is(model: str, range_: str, white: int) -> None:
    assert (
        code_values(WHITE, PixelLayout(model, 8), ColorTags(range=range_), height=1080)[0] == white
    )


def test_plane_shapes_round_up_and_alpha_is_full_size() -> None:
    layout = PixelLayout("yuv", 10, (1, 1), has_alpha=True)
    assert [layout.plane_shape(index, 5, 7) for index in range(4)] == [
        (5, 7),
        (3, 4),
        (3, 4),
        (5, 7),
    ]
    assert layout.plane_count == 4
    assert [PixelLayout("yuv", 8, (2, 0)).plane_shape(index, 5, 9) for index in range(3)] == [
        (5, 9),
        (5, 3),
        (5, 3),
    ]
    assert PixelLayout("gray", 8, has_alpha=True).plane_count == 2
    assert PixelLayout("gray", 8, has_alpha=True).plane_shape(1, 5, 7) == (5, 7)


@pytest.mark.parametrize(
    "arguments", [("yuv", 7), ("yuv", 17), ("rgb", 8, (1, 0)), ("gray", 8, (1, 1))]
)
def test_impossible_layouts_are_refused(arguments: tuple) -> None:
    with pytest.raises(ValueError, match=r"outside|cannot be subsampled"):
        PixelLayout(*arguments)


def test_a_picture_checks_its_planes() -> None:
    layout = PixelLayout("yuv", 8, (1, 1))
    good = planes(layout, 5, 7)
    assert Picture(good, layout, ColorTags()).shape == (5, 7)
    with pytest.raises(ValueError, match="2 planes, expected 3"):
        Picture(good[:2], layout, ColorTags())
    with pytest.raises(ValueError, match=r"plane 1 is uint8 \(5, 7\), expected uint8 \(3, 4\)"):
        Picture((good[0], good[0], good[2]), layout, ColorTags())
    with pytest.raises(ValueError, match=r"plane 0 is uint8 \(5, 7\), expected uint16"):
        Picture(good, PixelLayout("yuv", 10, (1, 1)), ColorTags())


def test_opaque_drops_alpha_only() -> None:
    layout = PixelLayout("yuv", 8, (1, 1), has_alpha=True)
    picture = Picture(planes(layout, 5, 7), layout, ColorTags(matrix="bt709"))
    opaque = picture.opaque()
    assert opaque.layout == PixelLayout("yuv", 8, (1, 1))
    assert all(one is other for one, other in zip(opaque.planes, picture.planes, strict=False))
    assert opaque.opaque() is opaque
    assert opaque.color == picture.color
