"""Converts between FFmpeg's frames and our pictures.

Reading converts only what has no planar form, and only without loss; `as_layout` converts when an
output asks for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, cast

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

from vfx_matte.backend import Array, to_numpy
from vfx_matte.errors import MediaError
from vfx_matte.masks import Image
from vfx_matte.media.codes import Quantisation, requantised, rgb_from_yuv, yuv_from_rgb
from vfx_matte.picture import LUMA_WEIGHTS, UNSPECIFIED, ColorTags, Picture, PixelLayout

# Code points of ITU-T H.273 (2021) tables 2, 3 and 4, under the names that ffprobe prints.
PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020",
    10: "smpte428",
    11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100",
    10: "log316",
    11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
MATRICES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp",
}  # fmt: skip
RANGES = {1: "tv", 2: "pc"}

FULL_RGB = ColorTags("gbr", "pc")
"""R'G'B' as it is everywhere but in broadcasting."""


# swscale has its own numbers for the matrices it computes with (swscale.h, SWS_CS_*).
_SWSCALE_MATRICES = {
    "bt709": 1,
    "fcc": 4,
    "bt470bg": 5,
    "smpte170m": 5,
    "smpte240m": 7,
    "bt2020nc": 9,
    "bt2020c": 9,
}

_ACCURATE_BICUBIC = int(
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
)

# With slice threads swscale (FFmpeg 8.1) now and then leaves chroma rows of nv12 and its relatives
# unwritten.
_ONE_THREAD = 1

# what follows from a format's name is asked several times for every frame, and kept

_CHROMA_SHIFTS = {
    "420": (1, 1),
    "422": (1, 0),
    "444": (0, 0),
    "440": (0, 1),
    "411": (2, 0),
    "410": (2, 2),
}
_SHIFT_NAMES = {shift: name for name, shift in _CHROMA_SHIFTS.items()}
_PLANAR_YUV = re.compile(r"yuv([aj]?)(420|422|444|440|411|410)p(9|10|12|14|16)?(?:le)?$")
_PLANAR_RGB = re.compile(r"gbr(a?)p(9|10|12|14|16)?(?:le)?$")
_GRAY = re.compile(r"gray(9|10|12|14|16)?(?:le)?$")


@dataclass(frozen=True, slots=True)
class Orientation:
    """How decoded planes must be turned for display: first transposed, then flipped."""

    transpose: bool = False
    """Exchange rows and columns."""

    flip_columns: bool = False
    """Then mirror left and right."""

    flip_rows: bool = False
    """Then mirror top and bottom."""

    def apply(self, plane: Array) -> Array:
        """Turn one array (H, W) or (H, W, C); a view, no copy."""
        if self.transpose:
            plane = plane.swapaxes(0, 1)
        if self.flip_columns:
            plane = plane[:, ::-1]
        if self.flip_rows:
            plane = plane[::-1]
        return plane

    @classmethod
    def from_display_matrix(cls, matrix: bytes) -> Orientation | None:
        """Read a QuickTime display matrix; None when it is no right-angle turn.

        A point moves to x' = a·x + c·y, y' = b·x + d·y (QuickTime File Format, matrix structure).

        Args:
            matrix: nine native int32, 16.16 fixed point.
        """
        a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32, 9).tolist()
        if a and d and not b and not c:
            return cls(False, a < 0, d < 0)
        if b and c and not a and not d:
            return cls(True, c < 0, b < 0)
        return None


@cache
def layout_of(pixel_format: str) -> PixelLayout | None:
    """The layout of a planar little-endian pixel format, its alpha plane left aside; None for any
    other format.
    """
    if match := _PLANAR_YUV.match(pixel_format):
        return PixelLayout("yuv", int(match[3] or 8), _CHROMA_SHIFTS[match[2]])
    if match := _PLANAR_RGB.match(pixel_format):
        return PixelLayout("rgb", int(match[2] or 8))
    if match := _GRAY.match(pixel_format):
        return PixelLayout("gray", int(match[1] or 8))
    return None


@cache
def has_alpha(pixel_format: str) -> bool:
    """True for formats with an alpha channel."""
    return any(component.is_alpha for component in av.VideoFormat(pixel_format).components)


@cache
def format_name(layout: PixelLayout) -> str:
    """FFmpeg's name of a planar layout, e.g. yuv420p10le.

    Its byte order is little-endian, as on every host we run on.
    """
    depth = "" if layout.bit_depth == 8 else f"{layout.bit_depth}le"
    if layout.model == "gray":
        return f"gray{depth}"
    alpha = "a" if layout.has_alpha else ""
    if layout.model == "rgb":
        return f"gbr{alpha}p{depth}"
    return f"yuv{alpha}{_SHIFT_NAMES[layout.chroma_shift]}p{depth}"


@cache
def planar_format(pixel_format: str) -> str:
    """The planar format that holds a pixel format without loss: nv12 → yuv420p, rgba → gbrp, p010le
    → yuv420p10le.

    Alpha is not carried: `alpha_of` has it.
    """
    if layout_of(pixel_format) is not None:
        return pixel_format
    description = av.VideoFormat(pixel_format)
    components = [component for component in description.components if not component.is_alpha]
    # the smallest depth that exists and holds all bits; floats become 16
    bits = max(component.bits for component in components)
    depth = next(depth for depth in (8, 9, 10, 12, 14, 16, 32) if bits <= depth)
    depth = min(depth, 16)
    if description.is_rgb or description.has_palette:
        return format_name(PixelLayout("rgb", depth if depth != 9 else 10))
    if len(components) == 1:
        return format_name(PixelLayout("gray", depth))
    # how much smaller chroma planes are shows at a size that all subsamplings divide
    shift = (_shift(description.chroma_width(64), 64), _shift(description.chroma_height(64), 64))
    if shift not in _SHIFT_NAMES:
        raise MediaError(
            f"pixel format {pixel_format} is not supported",
            hint="convert the clip to yuv420p first",
        )
    return format_name(PixelLayout("yuv", depth, shift))


@cache
def picture_format(pixel_format: str, orientation: Orientation) -> str:
    """The planar format pictures are made in; where its turned form has no name (4:1:1 on its
    side), full chroma.
    """
    name = planar_format(pixel_format)
    layout = layout_of(name)
    assert layout is not None
    try:
        av.VideoFormat(format_name(turned(layout, orientation)))
    except (KeyError, ValueError):
        return format_name(replace(layout, chroma_shift=(0, 0)))
    return name


def turned(layout: PixelLayout, orientation: Orientation) -> PixelLayout:
    """The layout after turning: 4:2:2 on its side is 4:4:0."""
    return (
        replace(layout, chroma_shift=layout.chroma_shift[::-1]) if orientation.transpose else layout
    )


def _shift(part: int, whole: int) -> int:
    return (whole // part).bit_length() - 1


def picture_of(frame: av.VideoFrame, orientation: Orientation, color: ColorTags) -> Picture:
    """The planes of a decoded frame as displayed; views into the frame's memory wherever the format
    is planar.

    Args:
        frame: as it was decoded.
        orientation: how it is turned.
        color: its tags.
    """
    wanted = picture_format(frame.format.name, orientation)
    if "f32" in frame.format.name or "f16" in frame.format.name:
        return _picture_of_floats(frame, orientation, color)
    if wanted != frame.format.name:
        frame = frame.reformat(format=wanted, threads=_ONE_THREAD)
    layout = layout_of(wanted)
    assert layout is not None
    planes = [
        _plane_view(frame, number, layout) for number in range(3 if layout.model != "gray" else 1)
    ]
    if layout.model == "rgb":
        # FFmpeg has green, blue, red
        planes = [planes[2], planes[0], planes[1]]
    return Picture(
        tuple(orientation.apply(plane) for plane in planes), turned(layout, orientation), color
    )


@cache
def carries_alpha(pixel_format: str) -> bool:
    """Whether decoded frames of a format may be transparent: `has_alpha`, or colours from a table,
    which may be.
    """
    return has_alpha(pixel_format) or av.VideoFormat(pixel_format).has_palette


def alpha_of(frame: av.VideoFrame, orientation: Orientation) -> Array | None:
    """The alpha plane of a decoded frame as displayed; None when it has none.

    Args:
        frame: as it was decoded.
        orientation: how it is turned.

    Returns:
        (H, W), uint8 or uint16 at full scale.
    """
    name = frame.format.name
    if not carries_alpha(name):
        return None
    if "f32" in name or "f16" in name:
        return orientation.apply(_plane_of_floats(frame, len(frame.planes) - 1))
    depth = max(component.bits for component in frame.format.components)
    if layout_of(name) is None:
        # packed formats and colour tables: through planar RGB, which keeps alpha as it is
        name = format_name(PixelLayout("rgb", 8 if depth <= 8 else 16, has_alpha=True))
        frame = frame.reformat(format=name, threads=_ONE_THREAD)
    layout = layout_of(name)
    assert layout is not None
    plane = orientation.apply(_plane_view(frame, 3, layout))
    if layout.bit_depth in (8, 16):
        return plane
    return requantised(
        plane, Quantisation(layout.bit_depth, full=True), Quantisation(16, full=True)
    )


def _picture_of_floats(frame: av.VideoFrame, orientation: Orientation, color: ColorTags) -> Picture:
    """Float samples, 0..1, as 16 bits; what is brighter than 1 is clipped. swscale would be off by
    up to 63 of 65535.
    """
    # FFmpeg has green, blue, red, here as well
    layout = PixelLayout("gray" if frame.format.name.startswith("gray") else "rgb", 16)
    order = (2, 0, 1) if layout.model == "rgb" else (0,)
    planes = tuple(orientation.apply(_plane_of_floats(frame, number)) for number in order)
    return Picture(planes, layout, color)


def _plane_of_floats(frame: av.VideoFrame, number: int) -> Array:
    """One plane of float samples as uint16 (H, W) at full scale."""
    dtype = np.dtype(np.float16 if "f16" in frame.format.name else np.float32)
    plane = frame.planes[number]
    # what is no number is black
    levels = np.nan_to_num(_lines(plane, dtype)[:, : plane.width].astype(np.float32), nan=0.0)
    codes: Array = np.rint(np.clip(levels, 0, 1) * np.float32(65535)).astype(np.uint16)
    return codes


def _plane_view(frame: av.VideoFrame, number: int, layout: PixelLayout) -> Array:
    plane = frame.planes[number]
    dtype = np.dtype(np.uint8 if layout.bit_depth == 8 else np.uint16)
    return _lines(plane, dtype)[:, : plane.width]


def _lines(plane: av.video.plane.VideoPlane, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The memory of a plane, line by line: a view of (H, samples per line). FFmpeg aligns lines, so
    that they are longer than the picture is wide.
    """
    return np.frombuffer(cast("Any", plane), dtype).reshape(
        plane.height, plane.line_size // dtype.itemsize
    )


def image_of(frame: av.VideoFrame, orientation: Orientation, color: ColorTags) -> Image:
    """R'G'B' of a decoded frame as displayed, with the clip's own matrix and range.

    Args:
        frame: as it was decoded.
        orientation: how it is turned.
        color: its tags.

    Returns:
        uint8 (H, W, 3), contiguous.
    """
    # swscale takes every grey picture for full range
    if planar_format(frame.format.name).startswith("gray"):
        luma = as_layout(
            picture_of(frame, orientation, color),
            PixelLayout("gray", 8),
            color=replace(color, range="pc"),
        )
        return np.repeat(luma.planes[0][..., None], 3, axis=2)
    height = frame.width if orientation.transpose else frame.height
    matrix = _SWSCALE_MATRICES[color.luma_matrix(height)]
    full = color.range == "pc" or frame.format.is_rgb
    converted = frame.reformat(
        format="rgb24",
        src_colorspace=matrix,
        src_color_range=2 if full else 1,
        dst_color_range=2,
        interpolation="BILINEAR",
        threads=_ONE_THREAD,
    )
    turned: npt.NDArray[np.uint8] = np.ascontiguousarray(orientation.apply(converted.to_ndarray()))
    return turned


def small_image_of(
    frame: av.VideoFrame, orientation: Orientation, color: ColorTags, *, width: int, height: int
) -> Image | None:
    """R'G'B' as of `image_of`, scaled down; a tenth of the time of scaling that.

    Args:
        frame: as it was decoded.
        orientation: how it is turned.
        color: its tags.
        width: of the result, as displayed.
        height: of the result.

    Returns:
        uint8 (height, width, 3), each pixel the mean of those that it stands for; None for formats
        that are not planar.
    """
    if layout_of(frame.format.name) is None:
        return None
    size = (height, width) if orientation.transpose else (width, height)
    small = frame.reformat(*size, interpolation=Interpolation.AREA, threads=_ONE_THREAD)
    # which matrix is meant where no tag says it depends on the size, and that is the clip's
    full_height = frame.width if orientation.transpose else frame.height
    return image_of(small, orientation, replace(color, matrix=color.luma_matrix(full_height)))


def converted_tags(color: ColorTags, layout: PixelLayout, wanted: PixelLayout) -> ColorTags:
    """Tags of a picture of one layout once it is in another.

    RGB is full range; RGB and grey that become YUV are limited range, BT.709 unless the tags say
    otherwise; BT.2020 primaries want its matrix.

    Args:
        color: the picture's tags.
        layout: the picture's.
        wanted: the other one.
    """
    if wanted.model in (layout.model, "gray"):
        return color
    if wanted.model == "rgb":
        return replace(color, matrix="gbr", range="pc")
    # what is not tagged becomes what players assume of HD
    usual = "bt2020nc" if color.primaries == "bt2020" else "bt709"
    matrix = color.matrix if color.matrix in LUMA_WEIGHTS else usual
    primaries = color.primaries if color.primaries != UNSPECIFIED else "bt709"
    transfer = color.transfer if color.transfer != UNSPECIFIED else "bt709"
    return ColorTags(matrix, "tv", primaries, transfer)


def as_layout(picture: Picture, layout: PixelLayout, *, color: ColorTags | None = None) -> Picture:
    """The same picture in another planar layout; the same object when nothing changes.

    Args:
        picture: any.
        layout: the one wanted; an alpha plane is dropped, or kept (in the new depth) when this has
            one.
        color: the tags of the result, `converted_tags` by default; matrix and range are converted,
            primaries and transfer are only labelled.

    Raises:
        ValueError: when `layout` has an alpha plane and the picture has none.
    """
    color = color or converted_tags(picture.color, picture.layout, layout)
    if layout == picture.layout and color == picture.color:
        return picture
    if layout.has_alpha and not picture.layout.has_alpha:
        raise ValueError(f"picture has no alpha plane, expected one for {layout}")
    planes = tuple(to_numpy(plane) for plane in picture.planes)
    alpha = planes[-1:] if layout.has_alpha else ()
    # alpha is full range in every layout
    depths = (
        Quantisation(depth, full=True) for depth in (picture.layout.bit_depth, layout.bit_depth)
    )
    alpha = tuple(requantised(plane, *depths) for plane in alpha)
    opaque = picture.with_planes(planes).opaque()
    return Picture(
        (*_convert_planes(opaque, replace(layout, has_alpha=False), color), *alpha), layout, color
    )


def _convert_planes(picture: Picture, layout: PixelLayout, color: ColorTags) -> tuple[Array, ...]:
    """Planes of an opaque picture in another opaque layout with other tags."""
    # One case after the other: swscale where it is exact, the equations of H.273 elsewhere.
    have, want = Quantisation.of(picture.layout, picture.color), Quantisation.of(layout, color)
    models = picture.layout.model, layout.model
    matrices = [tags.luma_matrix(picture.shape[0]) for tags in (picture.color, color)]
    if (
        models in (("rgb", "yuv"), ("yuv", "rgb"))
        and have.bit_depth == 8
        and (want.bit_depth == 8 or not want.full)
    ):
        frame = convert(frame_from(picture), format_name(layout), picture.color, to=color)
        return picture_of(frame, Orientation(), color).planes
    # another matrix: through RGB with at least 10 bits, so that nothing is rounded away
    if models == ("yuv", "yuv") and matrices[0] != matrices[1]:
        through = PixelLayout("rgb", max(have.bit_depth, 10))
        rgb = Picture(_convert_planes(picture, through, FULL_RGB), through, FULL_RGB)
        return _convert_planes(rgb, layout, color)
    # RGB to luma and chroma, which then is subsampled
    if models[0] == "rgb" and models[1] != "rgb":
        planes = yuv_from_rgb(picture.planes, have, want, matrices[1])
        return (
            planes[:1]
            if models[1] == "gray"
            else _resampled(planes, layout.bit_depth, (0, 0), layout.chroma_shift)
        )
    # chroma is brought to full resolution first
    if models == ("yuv", "rgb"):
        planes = _resampled(picture.planes, have.bit_depth, picture.layout.chroma_shift, (0, 0))
        return rgb_from_yuv(planes, have, want, matrices[0])
    # the same matrix: another subsampling and other code values
    if models == ("yuv", "yuv"):
        planes = _resampled(
            picture.planes, have.bit_depth, picture.layout.chroma_shift, layout.chroma_shift
        )
        return tuple(
            requantised(plane, have, want, chroma=number > 0) for number, plane in enumerate(planes)
        )
    # what is left keeps its model, or begins or ends as grey; neutral chroma is half of the range
    first, *rest = (
        requantised(plane, have, want) for plane in picture.planes[: 3 if models[0] == "rgb" else 1]
    )
    if models == ("gray", "rgb"):
        rest = [first, first]
    if models == ("gray", "yuv"):
        shape = layout.plane_shape(1, *picture.shape)
        rest = [np.full(shape, 1 << (layout.bit_depth - 1), want.dtype)] * 2
    return first, *rest


def scaled(picture: Picture, size: tuple[int, int]) -> Picture:
    """An opaque picture at another size, by swscale's bicubic filter; the same object when it has
    that size.

    Args:
        picture: without alpha.
        size: (width, height).
    """
    if picture.shape == (size[1], size[0]):
        return picture

    if picture.layout.model == "rgb":
        # plane by plane, as swscale is not exact for RGB above 8 bits
        gray = PixelLayout("gray", picture.layout.bit_depth)
        one_by_one = (
            scaled(Picture((plane,), gray, picture.color), size).planes[0]
            for plane in picture.planes
        )
        return picture.with_planes(tuple(one_by_one))
    range_number = _range_number(picture.color, format_name(picture.layout))
    frame = frame_from(picture).reformat(
        width=size[0],
        height=size[1],
        src_color_range=range_number,
        dst_color_range=range_number,
        interpolation=_ACCURATE_BICUBIC,
        threads=_ONE_THREAD,
    )
    return picture_of(frame, Orientation(), picture.color)


def _resampled(
    planes: tuple[Array, ...], bit_depth: int, have: tuple[int, int], want: tuple[int, int]
) -> tuple[Array, ...]:
    """Y, Cb, Cr planes with another chroma subsampling, luma untouched.

    Args:
        planes: of one picture.
        bit_depth: of its samples.
        have: their shift (x, y), as in `PixelLayout.chroma_shift`.
        want: the one wanted.
    """
    if have == want:
        return planes
    tags = ColorTags("bt709", "tv")
    picture = Picture(planes, PixelLayout("yuv", bit_depth, have), tags)
    # swscale's filters place chroma right; range does not matter, as luma is untouched
    frame = convert(frame_from(picture), format_name(PixelLayout("yuv", bit_depth, want)), tags)
    return picture_of(frame, Orientation(), tags).planes


def frame_from(picture: Picture, *, pad_to_even: bool = False) -> av.VideoFrame:
    """Copy a picture into a new frame for an encoder.

    Args:
        picture: any.
        pad_to_even: width and height grow by one repeated pixel where they are odd.
    """
    height, width = picture.shape
    padded = (height + height % 2, width + width % 2) if pad_to_even else (height, width)
    frame = av.VideoFrame(padded[1], padded[0], format_name(picture.layout))
    order = _ffmpeg_plane_order(picture.layout)
    for number, source in enumerate(order):
        _copy_plane(to_numpy(picture.planes[source]), frame.planes[number])
    return frame


def packed(frame: av.VideoFrame, pixel_format: str) -> av.VideoFrame:
    """The same samples in a format of the same depth, such as gbrp → rgb24; the same object when it
    has that format.
    """
    return (
        frame
        if frame.format.name == pixel_format
        else frame.reformat(format=pixel_format, threads=_ONE_THREAD)
    )


def _ffmpeg_plane_order(layout: PixelLayout) -> tuple[int, ...]:
    if layout.model == "gray":
        return (0,)
    color: tuple[int, ...] = (1, 2, 0) if layout.model == "rgb" else (0, 1, 2)
    return (*color, 3) if layout.has_alpha else color


def _copy_plane(values: npt.NDArray[Any], plane: av.video.plane.VideoPlane) -> None:
    rows, (height, width) = _lines(plane, values.dtype), values.shape
    # the frame may have been padded to even: its last column and row are repeated
    rows[:height, :width] = values
    if plane.width > width:
        rows[:height, width : plane.width] = values[:, -1:]
    if plane.height > height:
        rows[height:] = rows[height - 1]


def tags_of(tagged: av.VideoFrame | av.VideoCodecContext) -> ColorTags:
    """Read the colour tags of an av.VideoFrame or a video codec context."""
    return ColorTags(
        matrix=MATRICES.get(int(tagged.colorspace), UNSPECIFIED),
        range=RANGES.get(int(tagged.color_range), UNSPECIFIED),
        primaries=PRIMARIES.get(int(tagged.color_primaries), UNSPECIFIED),
        transfer=TRANSFERS.get(int(tagged.color_trc), UNSPECIFIED),
    )


def put_tags(target: av.VideoFrame | av.VideoCodecContext, color: ColorTags) -> None:
    """Write colour tags onto a frame or an encoder's context; unspecified ones are left alone."""
    for attribute, table, name in (
        ("colorspace", MATRICES, color.matrix),
        ("color_range", RANGES, color.range),
        ("color_primaries", PRIMARIES, color.primaries),
        ("color_trc", TRANSFERS, color.transfer),
    ):
        number = next((code for code, known in table.items() if known == name), None)
        if number is not None:
            setattr(target, attribute, number)


def convert(
    frame: av.VideoFrame, pixel_format: str, color: ColorTags, *, to: ColorTags | None = None
) -> av.VideoFrame:
    """Convert a frame to another pixel format with swscale; the same object when it has it already.

    Chroma is interpolated bicubically, with accurate rounding. Exact for 8-bit white and black;
    `as_layout` says what swscale must not be used for.

    Args:
        frame: any.
        pixel_format: the one wanted.
        color: tags of `frame`.
        to: tags wanted (matrix and range); None = the same.
    """
    if frame.format.name == pixel_format:
        return frame
    target = to or color
    return frame.reformat(
        format=pixel_format,
        src_colorspace=_SWSCALE_MATRICES[color.luma_matrix(frame.height)],
        dst_colorspace=_SWSCALE_MATRICES[target.luma_matrix(frame.height)],
        src_color_range=_range_number(color, frame.format.name),
        dst_color_range=_range_number(target, pixel_format),
        interpolation=_ACCURATE_BICUBIC,
        threads=_ONE_THREAD,
    )


def _range_number(color: ColorTags, pixel_format: str) -> Literal[1, 2]:
    return (
        2
        if color.range == "pc" or (av.VideoFormat(pixel_format).is_rgb and color.range != "tv")
        else 1
    )
