"""Screen light on the subject: what the formula says in R'G'B', in every layout of planes, and
nothing where there is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.errors import UsageError
from vfx_matte.masks import Matte
from vfx_matte.matting import despill
from vfx_matte.picture import LUMA_WEIGHTS, ColorTags, Picture, PixelLayout, code_values
from vfx_matte.settings.options import MatteSettings

BT709 = ColorTags("bt709", "tv")
fast = examples(60)
CHANNEL = st.integers(0, 255)


def flat(rgb: tuple[int, int, int], layout: PixelLayout, color: ColorTags = BT709) -> Picture:
    """A picture of one colour, 8 × 12."""
    if layout.model == "rgb":
        color = ColorTags("gbr", "pc")
    codes = code_values(rgb, layout, color, height=8)
    dtype = np.uint8 if layout.bit_depth == 8 else np.uint16
    planes = tuple(
        np.full(layout.plane_shape(index, 8, 12), code, dtype) for index, code in enumerate(codes)
    )
    return Picture(planes, layout, color)


def rgb_of(picture: Picture) -> np.ndarray:
    """The first pixel as R'G'B' in 0..255, by the inverse of H.273's equations, unclipped."""
    codes = np.array([plane[0, 0] for plane in picture.planes[:3]], float)
    layout, full_range = picture.layout, picture.color.range == "pc"
    if layout.model == "rgb":
        return codes * 255 / layout.full
    unit, middle = 1 << (layout.bit_depth - 8), 1 << (layout.bit_depth - 1)
    y = codes[0] / layout.full if full_range else (codes[0] - 16 * unit) / (219 * unit)
    cb, cr = (codes[1:] - middle) / (layout.full if full_range else 224 * unit)
    kr, kb = LUMA_WEIGHTS[picture.color.matrix]
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return np.array([red, (y - kr * red - kb * blue) / (1 - kr - kb), blue]) * 255


@fast
@given(
    st.tuples(CHANNEL, CHANNEL, CHANNEL),
    st.sampled_from(
        [
            PixelLayout("rgb", 8),
            PixelLayout("yuv", 10),
            PixelLayout("yuv", 12, (1, 1)),
            PixelLayout("yuv", 10, (1, 0)),
        ]
    ),
    st.sampled_from([BT709, ColorTags("smpte170m", "pc"), ColorTags("bt2020nc", "tv")]),
    st.sampled_from(["green", "blue"]),
    st.sampled_from([0.25, 0.5, 1.0]),
)
def test_the_key_channel_loses_what_it_has_more(
    rgb: tuple[int, int, int], layout: PixelLayout, color: ColorTags, key: str, strength: float
) -> None:
    picture = flat(rgb, layout, color)
    result = despill(picture, Matte(np.full((8, 12), 255, np.uint8)), key=key, strength=strength)
    at = 1 if key == "green" else 2
    expected = np.array(rgb, float)
    others = [expected[index] for index in range(3) if index != at]
    expected[at] -= strength * max(0, expected[at] - sum(others) / 2)
    np.testing.assert_allclose(rgb_of(result), expected, atol=1.5)


@pytest.mark.parametrize("rgb", [(200, 150, 120), (90, 90, 90), (220, 60, 200)])
@pytest.mark.parametrize(
    "layout", [PixelLayout("yuv", 8, (1, 1)), PixelLayout("yuv", 10), PixelLayout("rgb", 16)]
)
def test_colours_without_spill_stay_bit_for_bit(
    rgb: tuple[int, int, int], layout: PixelLayout
) -> None:
    picture = flat(rgb, layout)
    result = despill(picture, Matte(np.full((8, 12), 255, np.uint8)), key="green")
    for before, after in zip(picture.planes, result.planes, strict=True):
        np.testing.assert_array_equal(after, before)


def test_only_the_subject_is_touched() -> None:
    picture = flat((60, 200, 60), PixelLayout("yuv", 8, (1, 1)))
    alpha = np.zeros((8, 12), np.uint16)
    alpha[2:6, 4:8] = 1
    result = despill(picture, Matte(alpha), key="green")
    for index, shift in enumerate((0, 1, 1)):
        changed = result.planes[index] != picture.planes[index]
        expected = np.zeros_like(changed)
        expected[2 >> shift : 6 >> shift, 4 >> shift : 8 >> shift] = True
        np.testing.assert_array_equal(changed, expected)


def test_there_is_nothing_to_do() -> None:
    full = Matte(np.full((8, 12), 255, np.uint8))
    gray, green = (
        flat((50, 50, 50), PixelLayout("gray", 8)),
        flat((0, 255, 0), PixelLayout("rgb", 8)),
    )
    assert despill(gray, full, key="green") is gray
    assert despill(green, full, key="green", strength=0) is green
    assert despill(green, Matte(full.alpha * 0), key="green") is green
    with pytest.raises(ValueError, match=r"expected \(8, 12\)"):
        despill(green, Matte(np.zeros((3, 3), np.uint8)), key="green")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"despill": "red"}, "unknown despill 'red'"),
        ({"despill_strength": 1.5}, "despill_strength is 1.5"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MatteSettings(**options)
