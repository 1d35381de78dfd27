"""Planes in and out of FFmpeg, and conversions between layouts: exact where the target can
hold it.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clips import BT709, HLG, planes_equal
from support.examples import examples

from vfx_matte.media.codes import Quantisation, requantised
from vfx_matte.media.pixels import (
    FULL_RGB,
    Orientation,
    as_layout,
    convert,
    format_name,
    frame_from,
    has_alpha,
    image_of,
    layout_of,
    picture_format,
    picture_of,
    planar_format,
    put_tags,
    scaled,
    small_image_of,
    tags_of,
)
from vfx_matte.picture import ColorTags, Picture, PixelLayout, code_values

FULL = ColorTags("bt709", "pc", "bt709", "bt709")
BT601 = ColorTags("smpte170m", "tv", "smpte170m", "smpte170m")
UPRIGHT = Orientation()

chroma = st.sampled_from([(0, 0), (1, 0), (1, 1)])
layouts = st.one_of(
    st.builds(PixelLayout, st.just("yuv"), st.sampled_from([8, 10, 12]), chroma),
    st.builds(PixelLayout, st.just("yuv"), st.sampled_from([8, 10]), chroma, st.just(True)),
    st.builds(
        PixelLayout, st.just("rgb"), st.sampled_from([8, 10, 16]), st.just((0, 0)), st.booleans()
    ),
    st.builds(PixelLayout, st.just("gray"), st.sampled_from([8, 10, 16])),
)


def noise(
    layout: PixelLayout, color: ColorTags, shape: tuple[int, int] = (9, 13), seed: int = 1
) -> Picture:
    random = np.random.default_rng(seed)
    dtype = np.uint8 if layout.bit_depth == 8 else np.uint16
    shapes = [layout.plane_shape(i, *shape) for i in range(layout.plane_count)]
    return Picture(
        tuple(random.integers(0, layout.full + 1, one, dtype=dtype) for one in shapes),
        layout,
        color,
    )


def flat(pixel_format: str, codes: tuple[int, ...], color: ColorTags) -> Picture:
    layout = layout_of(pixel_format)
    assert layout is not None
    dtype = np.uint8 if layout.bit_depth == 8 else np.uint16
    planes = tuple(
        np.full(layout.plane_shape(i, 8, 32), code, dtype) for i, code in enumerate(codes)
    )
    return Picture(planes, layout, color)


@given(layouts, st.integers(1, 19), st.integers(1, 19))
@examples(60)
def test_frames_hold_pictures_unharmed(layout: PixelLayout, height: int, width: int) -> None:
    """Alpha planes included; picture_of leaves alpha out, as the editor's mask decides what is
    seen.
    """
    picture = noise(layout, BT709, (height, width))
    frame = frame_from(picture)
    assert frame.format.name == format_name(layout)
    assert planes_equal(picture_of(frame, UPRIGHT, BT709), picture.opaque())
    if layout.has_alpha:
        assert has_alpha(frame.format.name)
        plane: Any = frame.planes[3]
        dtype = picture.planes[3].dtype
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, :width]
        assert np.array_equal(rows, picture.planes[3])


def test_padding_repeats_the_edge() -> None:
    picture = noise(PixelLayout("yuv", 8, (1, 1)), BT709, (7, 5))
    padded = picture_of(frame_from(picture, pad_to_even=True), UPRIGHT, BT709)
    assert padded.shape == (8, 6)
    assert np.array_equal(
        padded.planes[0], np.pad(picture.planes[0], ((0, 1), (0, 1)), mode="edge")
    )
    assert np.array_equal(padded.planes[1], picture.planes[1])


@pytest.mark.parametrize(("pixel_format", "planar"), [
    ("nv12", "yuv420p"), ("p010le", "yuv420p10le"), ("yuyv422", "yuv422p"), ("rgb24", "gbrp"),
    ("rgba", "gbrp"),
    ("rgb48be", "gbrp16le"), ("gray16be", "gray16le"), ("yuva444p12le", "yuva444p12le"), ("pal8",
    "gbrp"), ("ya8", "gray"),
    ("gbrpf32le", "gbrp16le"), ("yuv420p10be", "yuv420p10le"), ("p210le", "yuv422p10le"),
    ("x2rgb10le", "gbrp10le"),
])  # fmt: skip
def test_every_format_has_a_planar_form(pixel_format: str, planar: str) -> None:
    assert planar_format(pixel_format) == planar
    if pixel_format in ("pal8", "yuva444p12le", "gbrpf32le"):
        return
    layout = layout_of(planar)
    assert layout is not None
    source = noise(layout, BT709, (8, 16))
    there = frame_from(source).reformat(format=pixel_format, threads=1)
    back = picture_of(there, UPRIGHT, BT709)
    assert planes_equal(back, source)


def test_turned_layouts_always_have_a_name() -> None:
    turn = Orientation(transpose=True)
    assert picture_format("yuv422p10le", turn) == "yuv422p10le"
    assert picture_format("yuv411p", turn) == "yuv444p"
    assert picture_format("yuv422p16le", turn) == "yuv444p16le"
    assert picture_format("yuv411p", UPRIGHT) == "yuv411p"
    frame = frame_from(noise(PixelLayout("yuv", 8, (2, 0)), BT709, (8, 16)))
    assert picture_of(frame, turn, BT709).layout == PixelLayout("yuv", 8, (0, 0))


def test_display_matrices() -> None:
    def matrix(a: int, b: int, c: int, d: int) -> bytes:
        return np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32).tobytes()

    one = 1 << 16
    assert Orientation.from_display_matrix(matrix(one, 0, 0, one)) == UPRIGHT
    assert Orientation.from_display_matrix(matrix(-one, 0, 0, -one)) == Orientation(
        False, True, True
    )
    assert Orientation.from_display_matrix(matrix(0, one, -one, 0)) == Orientation(
        True, True, False
    )
    assert Orientation.from_display_matrix(matrix(0, -one, one, 0)) == Orientation(
        True, False, True
    )
    assert Orientation.from_display_matrix(matrix(one, one, -one, one)) is None


@given(layouts.filter(lambda layout: layout.model == "yuv"), st.sampled_from([8, 10, 12, 14, 16]))
@examples(30)
def test_limited_range_widens_by_a_shift(layout: PixelLayout, depth: int) -> None:
    opaque = PixelLayout("yuv", layout.bit_depth, layout.chroma_shift)
    picture = noise(opaque, BT709)
    if depth < layout.bit_depth:
        return
    wide = as_layout(picture, PixelLayout("yuv", depth, layout.chroma_shift))
    shift = depth - layout.bit_depth
    assert all(
        np.array_equal(b, a.astype(int) << shift)
        for a, b in zip(picture.planes, wide.planes, strict=True)
    )


WHITE = [
    ("yuv420p", (235, 128, 128), BT709), ("yuv420p10le", (940, 512, 512), BT709), ("yuv420p", (255,
    128, 128), FULL),
    ("yuv422p10le", (1023, 512, 512), FULL), ("gray", (255,), FULL), ("gray16le", (65535,), FULL),
    ("gray", (235,), BT709),
    ("gbrp", (255,) * 3, FULL_RGB), ("gbrp10le", (1023,) * 3, FULL_RGB), ("gbrp16le", (65535,) * 3,
    FULL_RGB),
]  # fmt: skip
RANGES = (BT709, FULL, FULL_RGB)


@pytest.mark.parametrize("source", WHITE, ids=lambda case: f"{case[0]}-{case[2].range}")
@pytest.mark.parametrize("target", WHITE, ids=lambda case: f"{case[0]}-{case[2].range}")
def test_white_stays_white(
    source: tuple[str, tuple[int, ...], ColorTags], target: tuple[str, tuple[int, ...], ColorTags]
) -> None:
    layout = layout_of(target[0])
    assert layout is not None
    converted = as_layout(flat(*source), layout, color=target[2])
    assert converted.color == target[2]
    assert tuple(int(plane.min()) for plane in converted.planes) == target[1]
    assert tuple(int(plane.max()) for plane in converted.planes) == target[1]


@pytest.mark.parametrize("rgb", [(0, 255, 0), (255, 0, 0), (12, 130, 201), (0, 0, 0)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv444p12le"])
@pytest.mark.parametrize("source", ["gbrp", "gbrp16le"])
@pytest.mark.parametrize("color", [BT709, BT601, HLG], ids=lambda tags: tags.matrix)
def test_rgb_becomes_what_h273_says(
    rgb: tuple[int, int, int], pixel_format: str, source: str, color: ColorTags
) -> None:
    layout = layout_of(pixel_format)
    assert layout is not None
    deep = tuple(value * 257 for value in rgb) if source == "gbrp16le" else rgb
    converted = as_layout(flat(source, deep, FULL_RGB), layout, color=color)
    wanted = code_values(rgb, layout, color, height=8)
    assert (
        max(
            abs(int(plane[0, 0]) - code)
            for plane, code in zip(converted.planes, wanted, strict=True)
        )
        <= 1
    )
    back = as_layout(converted, PixelLayout("rgb", 8))
    assert (
        max(abs(int(plane[0, 0]) - value) for plane, value in zip(back.planes, rgb, strict=True))
        <= 2
    )
    assert back.color == ColorTags("gbr", "pc", color.primaries, color.transfer)


def test_the_matrix_is_converted_too() -> None:
    green = code_values((0, 255, 0), PixelLayout("yuv", 8, (1, 1)), BT709, height=8)
    converted = as_layout(flat("yuv420p", green, BT709), PixelLayout("yuv", 8, (1, 1)), color=BT601)
    wanted = code_values((0, 255, 0), PixelLayout("yuv", 8, (1, 1)), BT601, height=8)
    assert (
        max(
            abs(int(plane[0, 0]) - code)
            for plane, code in zip(converted.planes, wanted, strict=True)
        )
        <= 1
    )


def test_nothing_to_do_gives_the_same_object() -> None:
    picture = noise(PixelLayout("yuv", 10, (1, 0)), HLG)
    assert as_layout(picture, picture.layout) is picture
    assert scaled(picture, (13, 9)) is picture
    frame = frame_from(picture)
    assert convert(frame, frame.format.name, HLG) is frame


def test_resampling_chroma_leaves_luma_alone() -> None:
    picture = noise(PixelLayout("yuv", 10, (1, 1)), BT709, (11, 7))
    wide = as_layout(picture, PixelLayout("yuv", 10))
    assert np.array_equal(wide.planes[0], picture.planes[0])
    assert wide.planes[1].shape == (11, 7)


def test_alpha_is_dropped_or_widened() -> None:
    picture = noise(PixelLayout("rgb", 8, has_alpha=True), FULL_RGB)
    assert as_layout(picture, PixelLayout("rgb", 8)).layout.plane_count == 3
    wide = as_layout(picture, PixelLayout("rgb", 16, has_alpha=True))
    assert np.array_equal(wide.planes[3], picture.planes[3].astype(int) * 257)
    with pytest.raises(ValueError, match="no alpha plane"):
        as_layout(picture.opaque(), PixelLayout("rgb", 8, has_alpha=True))


def test_gray_images_follow_their_range() -> None:
    for codes, color in (((16,), BT709), ((0,), FULL)):
        assert image_of(frame_from(flat("gray", codes, color)), UPRIGHT, color).max() == 0
    for codes, color in (((235,), BT709), ((255,), FULL)):
        assert image_of(frame_from(flat("gray", codes, color)), UPRIGHT, color).min() == 255
    assert image_of(frame_from(flat("gray16le", (65535,), FULL)), UPRIGHT, FULL).min() == 255


def test_scaling_keeps_flat_colours_and_tags() -> None:
    for pixel_format, codes, color in WHITE:
        small = scaled(flat(pixel_format, codes, color), (10, 6))
        assert small.shape == (6, 10)
        assert small.color == color
        assert all(
            np.all(plane == code) for plane, code in zip(small.planes, codes, strict=True)
        ), pixel_format


def test_tags_go_to_frames_and_back() -> None:
    for color in (BT709, BT601, HLG, FULL, ColorTags("bt2020nc", "tv", "bt2020", "smpte2084")):
        frame = av.VideoFrame(16, 16, "yuv420p")
        put_tags(frame, color)
        assert tags_of(frame) == color
    assert tags_of(av.VideoFrame(16, 16, "yuv420p")) == ColorTags()


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuvj444p", "gbrp", "gray"])
@pytest.mark.parametrize(
    "orientation",
    [Orientation(), Orientation(transpose=True, flip_rows=True), Orientation(flip_columns=True)],
)
def test_a_small_image_is_the_image_scaled_down(name: str, orientation: Orientation) -> None:
    """Its colours too, where no tag says the matrix, which is then another one for small clips."""
    y, x = np.mgrid[0:720, 0:1280]
    waves = [
        128 + 100 * np.sin(x / step + y / 90 + shift)
        for step, shift in ((70, 0), (110, 2), (160, 4))
    ]
    colors = np.stack(waves, axis=-1).astype(np.uint8)
    native = av.VideoFrame.from_ndarray(colors, "rgb24").reformat(
        format=name, dst_colorspace=1, dst_color_range=2 if name == "yuvj444p" else 1
    )
    tags = ColorTags(range="pc" if name in ("yuvj444p", "gbrp", "gray") else "tv")
    whole = image_of(native, orientation, tags)
    height, width = (side // 4 for side in whole.shape[:2])
    small = small_image_of(native, orientation, tags, width=width, height=height)
    assert small is not None
    assert small.shape == (height, width, 3)
    means = whole.reshape(height, 4, width, 4, 3).mean((1, 3))
    apart = np.abs(small - means)
    # chroma of the whole picture is interpolated first, which rounds more often
    assert apart.mean() < 1.5
    assert apart.max() < 10


def test_a_format_that_is_not_planar_has_no_small_image() -> None:
    native = av.VideoFrame.from_ndarray(np.zeros((32, 64, 3), np.uint8), "rgb24")
    assert small_image_of(native, Orientation(), FULL_RGB, width=32, height=16) is None


@pytest.mark.parametrize("depth", [8, 10])
def test_another_depth_takes_no_memory_but_the_result(depth: int) -> None:
    """An index of 8 bytes for each sample would be 63 MiB of a 4K plane. However a plane lies in
    memory, its samples are those of the table.
    """
    have, want = (Quantisation(bits, full=False) for bits in (depth, 12))
    samples = np.random.default_rng(1).integers(0, 1 << depth, (1000, 600)).astype(have.dtype)
    for plane in (samples, samples[::-1], samples.T, samples[:, ::-1][1::2], samples[:1, :1]):
        # limited range widens by a shift, and what lies outside of the wider one is clipped
        exact = plane.astype(np.uint32) << (12 - depth)
        assert np.array_equal(requantised(plane, have, want), np.minimum(exact, want.maximum))
    tracemalloc.start()
    try:
        requantised(samples, have, want)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.6 * samples.size * 2
