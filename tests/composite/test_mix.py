from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.composite.mix import (
    channel_mattes,
    empty_color,
    luma_matte,
    over_color,
    over_picture,
    overlay,
    paint_mask,
    with_alpha,
)
from vfx_matte.masks import Matte, Palette
from vfx_matte.picture import ColorTags, Picture, PixelLayout, code_values

GREEN = (0, 255, 0)
DAVIS = Palette.davis()
HALF = Fraction(1, 2)
UNTAGGED = ColorTags()
FULL_RANGE = ColorTags(range="pc")

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.tuples(st.integers(1, 11), st.integers(1, 11))
COLORS = st.tuples(*[st.integers(0, 255)] * 3)
MATTE_TYPES = st.sampled_from([np.uint8, np.uint16])
BITS = st.sampled_from([8, 10, 12, 16])
LAYOUTS = st.one_of(
    st.builds(
        PixelLayout,
        st.just("yuv"),
        BITS,
        st.sampled_from([(0, 0), (1, 0), (1, 1), (2, 0), (2, 2), (0, 1)]),
    ),
    st.builds(PixelLayout, st.sampled_from(["rgb", "gray"]), BITS),
)
fast = examples(60)


def random_picture(
    seed: int, layout: PixelLayout, shape: tuple[int, int], color: ColorTags = UNTAGGED
) -> Picture:
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if layout.bit_depth == 8 else np.uint16
    shapes = (layout.plane_shape(index, *shape) for index in range(layout.plane_count))
    planes = tuple(
        rng.choice([0, layout.full, int(rng.integers(layout.full))], size=size) for size in shapes
    )
    noise = tuple(rng.integers(0, layout.full + 1, plane.shape) for plane in planes)
    mixed = (np.where(n % 3 == 0, p, n).astype(dtype) for p, n in zip(planes, noise, strict=True))
    return Picture(tuple(mixed), layout, color)


def random_matte(seed: int, shape: tuple[int, int], dtype: type) -> Matte:
    rng = np.random.default_rng(seed + 1)
    full = np.iinfo(dtype).max
    alpha = rng.choice([0, 0, full, full, 1, full - 1, int(rng.integers(full))], size=shape).astype(
        dtype
    )
    alpha[: int(rng.integers(shape[0] + 1)) // 2] = 0
    return Matte(alpha)


def footprint(array: np.ndarray, y: int, x: int, shift: tuple[int, int]) -> list[int]:
    """The luma samples under a sample of a smaller plane, the last row and column repeated."""
    rows = [min(row, array.shape[0] - 1) for row in range(y << shift[1], (y + 1) << shift[1])]
    columns = [
        min(column, array.shape[1] - 1) for column in range(x << shift[0], (x + 1) << shift[0])
    ]
    return [int(array[row, column]) for row in rows for column in columns]


def blended(over: Picture, matte: Matte, under: Picture) -> list[np.ndarray]:
    """What the contract says, sample by sample, in fractions."""
    planes = []
    for index, (source, behind) in enumerate(zip(over.planes, under.planes, strict=True)):
        shift = (
            over.layout.chroma_shift if over.layout.model == "yuv" and index in (1, 2) else (0, 0)
        )
        plane = np.empty(source.shape, source.dtype)
        for (y, x), value in np.ndenumerate(source):
            covered = footprint(matte.alpha, y, x, shift)
            alpha = Fraction(sum(covered), len(covered) * matte.full)
            below = int(behind[y, x])
            plane[y, x] = floor(below + (int(value) - below) * alpha + HALF)
        planes.append(plane)
    return planes


def assert_planes(picture: Picture, expected: list[np.ndarray] | tuple[np.ndarray, ...]) -> None:
    assert len(picture.planes) == len(expected)
    for plane, wanted in zip(picture.planes, expected, strict=True):
        np.testing.assert_array_equal(plane, wanted, strict=True)


@fast
@given(SEEDS, LAYOUTS, SIZES, MATTE_TYPES)
def test_over_picture_is_the_exact_mix(
    seed: int, layout: PixelLayout, shape: tuple[int, int], dtype: type
) -> None:
    picture, background = (
        random_picture(seed, layout, shape),
        random_picture(seed + 7, layout, shape),
    )
    matte = random_matte(seed, shape, dtype)
    kept = [plane.copy() for plane in (*picture.planes, *background.planes, matte.alpha)]
    result = over_picture(picture, matte, background)
    assert_planes(result, blended(picture, matte, background))
    for plane, before in zip((*picture.planes, *background.planes, matte.alpha), kept, strict=True):
        np.testing.assert_array_equal(plane, before)
    assert not any(
        np.shares_memory(plane, other) for plane in result.planes for other in background.planes
    )


@fast
@given(SEEDS, LAYOUTS, SIZES, COLORS, st.sampled_from(["tv", "pc"]))
def test_over_color_is_the_exact_mix_with_the_key_of_the_tags(
    seed: int, layout: PixelLayout, shape: tuple[int, int], rgb: tuple[int, int, int], range_: str
) -> None:
    matte = random_matte(seed, shape, (np.uint8, np.uint16)[seed % 2])
    color = ColorTags(matrix="bt709", range=range_)
    picture = random_picture(seed, layout, shape, color)
    result = over_color(picture, matte, rgb)
    assert result.color == color
    if layout.model == "gray" and len(set(rgb)) > 1:
        layout = PixelLayout("yuv", layout.bit_depth, (1, 1))
        neutral = np.full(
            layout.plane_shape(1, *shape), 1 << (layout.bit_depth - 1), picture.planes[0].dtype
        )
        picture = Picture((*picture.planes, neutral, neutral), layout, color)
    codes = code_values(rgb, layout, color, height=shape[0])
    flat = [np.full_like(plane, code) for plane, code in zip(picture.planes, codes, strict=True)]
    assert result.layout == layout
    assert_planes(result, blended(picture, matte, picture.with_planes(tuple(flat))))
    assert_planes(empty_color(random_picture(seed, layout, shape, color), rgb), flat)


@fast
@given(SEEDS, LAYOUTS, SIZES, MATTE_TYPES)
def test_full_alpha_is_the_source_and_zero_alpha_the_key(
    seed: int, layout: PixelLayout, shape: tuple[int, int], dtype: type
) -> None:
    picture = random_picture(seed, layout, shape)
    opaque = Matte(np.full(shape, np.iinfo(dtype).max, dtype))
    kept = over_color(picture, opaque, GREEN)
    assert_planes(
        Picture(kept.planes[: len(picture.planes)], layout, picture.color), picture.planes
    )
    gone = over_color(picture, Matte(np.zeros(shape, dtype)), GREEN)
    assert_planes(gone, empty_color(picture, GREEN).planes)
    assert gone.layout == kept.layout == empty_color(picture, GREEN).layout


@fast
@given(SEEDS, LAYOUTS, SIZES)
def test_more_alpha_brings_every_sample_nearer_to_the_source(
    seed: int, layout: PixelLayout, shape: tuple[int, int]
) -> None:
    picture, background = (
        random_picture(seed, layout, shape),
        random_picture(seed + 7, layout, shape),
    )
    more = random_matte(seed, shape, np.uint16)
    less = Matte((more.alpha * np.random.default_rng(seed).random(shape)).astype(np.uint16))
    near, far = over_picture(picture, more, background), over_picture(picture, less, background)
    for one, two, source, behind in zip(
        near.planes, far.planes, picture.planes, background.planes, strict=True
    ):
        assert ((np.minimum(source, behind) <= one) & (one <= np.maximum(source, behind))).all()
        assert np.where(source > behind, one >= two, one <= two).all()


def test_a_chroma_sample_is_the_source_only_when_its_whole_footprint_is_inside() -> None:
    layout = PixelLayout("yuv", 8, (1, 1))
    picture = Picture(
        tuple(np.full(layout.plane_shape(i, 3, 5), 100, np.uint8) for i in range(3)),
        layout,
        ColorTags(),
    )
    alpha = np.full((3, 5), 255, np.uint8)
    alpha[0, 0] = 0
    alpha[2, 4] = 0  # alone in its footprint: the repeated edge makes it count four times
    u = over_color(picture, Matte(alpha), GREEN).planes[1]
    key = code_values(GREEN, layout, picture.color, height=3)[1]
    assert u[0, 0] == floor((key + 3 * 100) / 4 + 0.5)
    assert u[1, 2] == key
    assert (u.reshape(-1)[1:5] == 100).all()


def test_gray_under_a_neutral_key_stays_gray_and_alpha_planes_are_dropped() -> None:
    gray = random_picture(1, PixelLayout("gray", 10, has_alpha=True), (4, 6))
    matte = random_matte(1, (4, 6), np.uint8)
    assert over_color(gray, matte, (9, 9, 9)).layout == PixelLayout("gray", 10)
    assert over_color(gray, matte, GREEN).layout == PixelLayout("yuv", 10, (1, 1))
    rgba = random_picture(1, PixelLayout("rgb", 8, has_alpha=True), (4, 6))
    assert over_picture(rgba, matte, rgba).layout == PixelLayout("rgb", 8)
    assert empty_color(rgba, GREEN).layout == PixelLayout("rgb", 8)


def test_sizes_and_layouts_that_differ_are_refused() -> None:
    picture = random_picture(1, PixelLayout("yuv", 8, (1, 1)), (4, 6))
    matte = random_matte(1, (4, 6), np.uint8)
    small, mask = random_matte(1, (4, 5), np.uint8), np.zeros((6, 4), np.uint8)
    for refused in (
        lambda: over_color(picture, small, GREEN),
        lambda: over_picture(picture, small, picture),
        lambda: with_alpha(picture, small),
        lambda: overlay(picture, mask, DAVIS),
        lambda: over_picture(
            picture, matte, random_picture(1, PixelLayout("yuv", 8, (1, 0)), (4, 6))
        ),
        lambda: over_picture(
            picture, matte, random_picture(1, PixelLayout("yuv", 8, (1, 1)), (4, 5))
        ),
    ):
        with pytest.raises(ValueError, match="expected"):
            refused()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("layout", "color", "black", "white"),
    [
        (PixelLayout("gray", 8), FULL_RANGE, 0, 255),
        (PixelLayout("gray", 16), FULL_RANGE, 0, 65535),
        (PixelLayout("yuv", 8, (1, 1)), ColorTags(range="tv"), 16, 235),
        (PixelLayout("yuv", 10, (1, 0)), ColorTags(), 64, 940),
        (PixelLayout("rgb", 8), ColorTags(), 0, 255),
        (PixelLayout("yuv", 10, (1, 1), has_alpha=True), ColorTags(), 64, 940),
    ],
)
def test_luma_matte_scales_alpha_exactly(
    dtype: type, layout: PixelLayout, color: ColorTags, black: int, white: int
) -> None:
    full = int(np.iinfo(dtype).max)
    steps = np.arange(0, full + 1, full // 255 // (1 if full == 255 else 3) or 1)[: 30 * 7]
    alpha = np.concatenate([steps, [full, 0, full // 2]])[:210].astype(dtype).reshape(-1, 7)
    alpha[-1, -1] = full
    result = luma_matte(Matte(alpha), layout, color)
    expected = [
        [floor(black + Fraction(int(a), full) * (white - black) + HALF) for a in row]
        for row in alpha
    ]
    assert result.layout == layout
    for index, plane in enumerate(result.planes):
        if index and layout.model == "yuv":
            assert (plane == (layout.full if index == 3 else 1 << (layout.bit_depth - 1))).all()
        else:
            assert plane.tolist() == expected


def test_luma_matte_of_its_own_depth_is_alpha_itself() -> None:
    matte = random_matte(5, (6, 8), np.uint16)
    assert luma_matte(matte, PixelLayout("gray", 16), FULL_RANGE).planes[0] is matte.alpha


def test_straight_alpha_leaves_the_planes_alone() -> None:
    picture = random_picture(2, PixelLayout("yuv", 10, (1, 0)), (5, 7))
    matte = random_matte(2, (5, 7), np.uint16)
    result = with_alpha(picture, matte)
    assert all(one is other for one, other in zip(result.planes, picture.planes, strict=False))
    assert result.layout == replace(picture.layout, has_alpha=True)
    expected = [[floor(Fraction(int(a) * 1023, 65535) + HALF) for a in row] for row in matte.alpha]
    assert result.planes[3].tolist() == expected
    again = with_alpha(result, Matte(np.zeros((5, 7), np.uint8)))
    assert not again.planes[3].any()


def test_premultiplied_colors_go_to_black() -> None:
    picture = random_picture(2, PixelLayout("yuv", 8, (1, 1)), (5, 7))
    matte = random_matte(2, (5, 7), np.uint8)
    result = with_alpha(picture, matte, premultiplied=True)
    black = picture.with_planes(
        tuple(
            np.full_like(plane, code)
            for plane, code in zip(picture.planes, (16, 128, 128), strict=True)
        )
    )
    assert_planes(
        Picture(result.planes[:3], picture.layout, picture.color), blended(picture, matte, black)
    )
    np.testing.assert_array_equal(result.planes[3], matte.alpha)


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 8), (np.uint8, 16)])
def test_channel_mattes_go_to_their_channels(dtype: type, bits: int) -> None:
    one, two = random_matte(1, (5, 7), dtype), random_matte(2, (5, 7), dtype)
    layout = PixelLayout("rgb", bits)
    result = channel_mattes(one, None, two, shape=(5, 7), layout=layout)
    assert result.layout == layout
    assert not result.planes[1].any()
    for plane, matte in ((result.planes[0], one), (result.planes[2], two)):
        exact = [
            [floor(Fraction(int(a) * layout.full, matte.full) + HALF) for a in row]
            for row in matte.alpha
        ]
        assert plane.tolist() == exact
    assert not np.stack(channel_mattes(None, None, None, shape=(5, 7)).planes).any()


def test_channel_mattes_refuse_other_shapes_and_layouts() -> None:
    matte = random_matte(1, (5, 7), np.uint8)
    with pytest.raises(ValueError, match=r"matte is \(5, 7\), expected \(7, 5\)"):
        channel_mattes(matte, None, None, shape=(7, 5))
    with pytest.raises(ValueError, match="expected RGB"):
        channel_mattes(matte, None, None, shape=(5, 7), layout=PixelLayout("yuv", 8))


@fast
@given(SEEDS, SIZES)
def test_painted_shows_palette_colors_and_nothing_else(seed: int, shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(seed).choice([0, 0, 1, 2, 38, 255], shape).astype(np.uint8)
    result = paint_mask(mask, DAVIS)
    np.testing.assert_array_equal(np.stack(result.planes, axis=-1), DAVIS.colors[mask])
    on_white = paint_mask(mask, DAVIS, background=(255, 254, 253))
    white = np.array([[255, 254, 253]], np.uint8).repeat((mask == 0).sum(), axis=0)
    np.testing.assert_array_equal(np.stack(on_white.planes, axis=-1)[mask == 0], white)


def test_painted_in_yuv_uses_the_code_values_of_each_color() -> None:
    layout, color = PixelLayout("yuv", 10), ColorTags(matrix="bt709")
    mask = np.array([[0, 1], [2, 1]], np.uint8)
    result = paint_mask(mask, DAVIS, layout=layout, color=color)
    for (y, x), object_id in np.ndenumerate(mask):
        rgb = tuple(int(value) for value in DAVIS.colors[object_id])
        assert tuple(plane[y, x] for plane in result.planes) == code_values(
            rgb, layout, color, height=2
        )


@pytest.mark.parametrize(
    "layout",
    [PixelLayout("yuv", 8, (1, 1)), PixelLayout("gray", 8), PixelLayout("rgb", 8, has_alpha=True)],
)
def test_painted_refuses_layouts_that_would_mix_colors(layout: PixelLayout) -> None:
    with pytest.raises(ValueError, match=r"expected RGB or YUV 4:4:4"):
        paint_mask(np.zeros((2, 2), np.uint8), DAVIS, layout=layout)


@fast
@given(SEEDS, LAYOUTS, SIZES, st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([0, 1, 2]))
def test_overlay_is_the_exact_mean_of_its_tints(
    seed: int, layout: PixelLayout, shape: tuple[int, int], alpha: float, contour: int
) -> None:
    picture = random_picture(seed, layout, shape)
    mask = np.random.default_rng(seed).choice([0, 0, 1, 3], shape).astype(np.uint8)
    mask[:, : shape[1] // 3] = 0
    result = overlay(picture, mask, DAVIS, alpha=alpha, contour_px=contour)
    codes = [
        code_values(tuple(map(int, row)), result.layout, result.color, height=shape[0])
        for row in DAVIS.colors[:4]
    ]
    padded = np.pad(mask, contour, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * contour + 1,) * 2)
    on_line = (windows != mask[..., None, None]).any(axis=(2, 3))
    weights = np.where(mask == 0, 0, np.where(on_line, 256, int(alpha * 256)))
    if layout.model == "gray":
        neutral = np.full(
            result.planes[1].shape, 1 << (layout.bit_depth - 1), picture.planes[0].dtype
        )
        picture = Picture((*picture.planes, neutral, neutral), result.layout, picture.color)
    for index, (plane, source) in enumerate(zip(result.planes, picture.planes, strict=True)):
        shift = result.layout.plane_shift(index)
        for (y, x), value in np.ndenumerate(source):
            pairs = zip(footprint(weights, y, x, shift), footprint(mask, y, x, shift), strict=True)
            parts = [
                Fraction(weight * codes[i][index] + (256 - weight) * int(value), 256)
                for weight, i in pairs
            ]
            assert plane[y, x] == floor(sum(parts) / len(parts) + HALF)


def test_overlay_without_an_object_changes_nothing() -> None:
    picture = random_picture(3, PixelLayout("yuv", 8, (1, 1)), (6, 6))
    assert_planes(overlay(picture, np.zeros((6, 6), np.uint8), DAVIS), picture.planes)
    for options in ({"alpha": 1.5}, {"alpha": -0.1}, {"contour_px": -1}):
        with pytest.raises(ValueError, match="expected 0 to 1"):
            overlay(picture, np.zeros((6, 6), np.uint8), DAVIS, **options)
