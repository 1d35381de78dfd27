"""Makes every picture of a clip like its first one: the same size, planes, colour tags and turn.

Recorders in browsers, broadcasts, joined files and folders of pictures change these on the way.
Everything behind the reader meets one size and one layout only. Pictures of another shape are
fitted in with black bars, so that nothing is distorted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.media.pixels import (
    Orientation,
    alpha_of,
    as_layout,
    format_name,
    frame_from,
    layout_of,
    picture_format,
    picture_of,
    scaled,
    turned,
)  # fmt: skip
from vfx_matte.media.probe import ClipInfo, color_of, orientation_of
from vfx_matte.picture import UNSPECIFIED, ColorTags, Picture, PixelLayout, code_values

SAME_SHAPE = 0.025
"""Shapes (width ÷ height as displayed) that differ by no more than this part are stretched onto
each other, without bars.
"""


@dataclass(frozen=True, slots=True)
class FittedPicture:
    """A decoded picture as the rest of the program reads it."""

    native: av.VideoFrame
    """Without alpha when it was converted."""

    orientation: Orientation
    """How `native` is turned for display."""

    alpha: Array | None = None
    """Of a picture that was converted, (H, W) uint8 or uint16 at full scale; None = opaque."""

    is_converted: bool = False
    """Whether anything had to be converted."""

    difference: str = ""
    """How the picture differs from the first, for people; "" when it does not."""


def fit_picture(
    frame: av.VideoFrame,
    info: ClipInfo,
    *,
    sample_aspect: Fraction | None = None,
    orientation: Orientation | None = None,
) -> FittedPicture:
    """A picture in the size, layout and colour of the clip's first one; the frame itself where it
    has them.

    Tags that a picture lacks are taken from the clip. Primaries and transfer are not converted: the
    difference says so.

    Args:
        frame: as it was decoded.
        info: the clip.
        sample_aspect: the pixel shape of the decoded frame, None = the clip's.
        orientation: how it is turned, None = the clip's way unless its angle is another.
    """
    if orientation is None:
        # reading all side data of every frame would take longer than decoding it
        is_same = frame.rotation == info.rotation_degrees
        orientation = info.orientation if is_same else orientation_of(frame) or Orientation()
    # what it is: layout, tags, size and pixel shape as displayed
    decoded = layout_of(picture_format(frame.format.name, orientation))
    assert decoded is not None
    layout, color = turned(decoded, orientation), _tags(frame, info)
    width, height = (
        (frame.height, frame.width) if orientation.transpose else (frame.width, frame.height)
    )
    aspect = info.sample_aspect
    if sample_aspect:
        aspect = 1 / sample_aspect if orientation.transpose else sample_aspect
    # the usual case costs a few comparisons
    is_like = (height, width) == info.shape and aspect == info.sample_aspect
    if is_like and layout == info.layout and color == info.color:
        return FittedPicture(frame, orientation)
    difference = "; ".join(_differences(info, (width, height), aspect, layout, color))
    same_codes = (color.matrix, color.range) == (info.color.matrix, info.color.range)
    if is_like and layout == info.layout and same_codes:
        return FittedPicture(frame, orientation, difference=difference)
    # What is not tagged is understood as in the first picture, whatever the two heights would
    # suggest.
    color = (
        replace(color, matrix=_computing_matrix(color, info)) if layout.model != "rgb" else color
    )
    target = info.color
    if info.layout.model != "rgb":
        target = replace(target, matrix=_computing_matrix(target, info))
    # convert, scale, put bars around it; alpha likewise, transparent under the bars
    picture = as_layout(picture_of(frame, orientation, color), info.layout, color=target)
    alpha = alpha_of(frame, orientation)
    size, corner = _fit_size(info, (width, height), aspect)
    picture = _with_bars(scaled(picture, size), info, corner)
    if alpha is not None:
        alpha = _alpha_with_bars(alpha, info, size, corner)
    elif size != (info.width, info.height) and info.has_alpha:
        alpha = _alpha_with_bars(np.full((height, width), 255, np.uint8), info, size, corner)
    native = frame_from(replace(picture, color=info.color))
    return FittedPicture(native, Orientation(), alpha, is_converted=True, difference=difference)


def _computing_matrix(color: ColorTags, info: ClipInfo) -> str:
    return (
        color.matrix
        if color.matrix not in (UNSPECIFIED, "gbr")
        else info.color.assumed_matrix(info.height)
    )


def _tags(frame: av.VideoFrame, info: ClipInfo) -> ColorTags:
    """The picture's tags; the clip's where it has none, or the same as the first picture had as it
    was decoded.
    """
    # a tag that the first picture had as well says nothing new: the clip's own counts then
    own = color_of(frame)

    def kept(name: str) -> str:
        value: str = getattr(own, name)
        clip: str = getattr(info.color, name)
        return clip if value in (UNSPECIFIED, getattr(info.first_color, name)) else value

    tags = ColorTags(kept("matrix"), kept("range"), kept("primaries"), kept("transfer"))
    if own.matrix == "gbr" or info.color.matrix != "gbr":
        return tags
    # an untagged picture of an RGB clip is not RGB for that
    return replace(tags, matrix=own.matrix, range=own.range)


def _differences(
    info: ClipInfo, size: tuple[int, int], aspect: Fraction, layout: PixelLayout, color: ColorTags
) -> list[str]:
    have = [
        (f"{size[0]}×{size[1]}", f"{info.width}×{info.height}"),
        (format_name(layout), format_name(info.layout)),
        (f"pixel shape {aspect}", f"pixel shape {info.sample_aspect}"),
    ]
    if layout.model == info.layout.model:
        have.append((f"matrix {color.matrix}", f"matrix {info.color.matrix}"))
        have.append((f"range {color.range}", f"range {info.color.range}"))
    kept = [
        (name, getattr(color, name), getattr(info.color, name))
        for name in ("primaries", "transfer")
    ]
    changed = [f"{own} instead of {first}" for own, first in have if own != first]
    return changed + [
        f"{name} {own} instead of {first}, which is kept as it is"
        for name, own, first in kept
        if own != first
    ]


def _fit_size(
    info: ClipInfo, size: tuple[int, int], aspect: Fraction
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(width, height) of a picture inside the clip's frame, and its corner (x, y) on the chroma
    grid.
    """
    # width ÷ height as displayed, against the clip's
    shape = Fraction(*size) * aspect / (Fraction(info.width, info.height) * info.sample_aspect)
    width, height = info.width, info.height
    if abs(shape - 1) <= SAME_SHAPE:
        return (width, height), (0, 0)
    x_step, y_step = (1 << shift for shift in info.layout.chroma_shift)
    if shape > 1:
        height = min(height, max(y_step, round(height / shape / y_step) * y_step))
    else:
        width = min(width, max(x_step, round(width * shape / x_step) * x_step))
    x, y = (
        (info.width - width) // 2 // x_step * x_step,
        (info.height - height) // 2 // y_step * y_step,
    )
    return (width, height), (x, y)


def _with_bars(picture: Picture, info: ClipInfo, corner: tuple[int, int]) -> Picture:
    """The picture in the middle of one of the clip's size, with black bars around it."""
    if picture.shape == info.shape:
        return picture
    # black has other code values in every layout and range
    black = code_values((0, 0, 0), picture.layout, picture.color, height=info.height)
    planes = []
    for number, (plane, code) in enumerate(zip(picture.planes, black, strict=True)):
        whole = np.full(picture.layout.plane_shape(number, *info.shape), code, plane.dtype)
        x, y = (
            at >> shift
            for at, shift in zip(corner, picture.layout.plane_shift(number), strict=True)
        )
        whole[y : y + plane.shape[0], x : x + plane.shape[1]] = plane
        planes.append(whole)
    return picture.with_planes(tuple(planes))


def _alpha_with_bars(
    alpha: Array, info: ClipInfo, size: tuple[int, int], corner: tuple[int, int]
) -> Array:
    """Alpha scaled as its picture was; bars are transparent."""
    depth = 8 * alpha.dtype.itemsize
    gray = Picture((alpha,), PixelLayout("gray", depth), ColorTags(range="pc"))
    small = scaled(gray, size).planes[0]
    whole: Array = np.zeros(info.shape, alpha.dtype)
    whole[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]] = small
    return whole
