"""Reads image sequences: a folder, one picture or a numbered pattern such as plate.%04d.png.

PNG, JPEG, TIFF, EXR and others give the same `Frame`s as a video; one picture is held at a time.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from vfx_matte.backend import Notify
from vfx_matte.errors import MediaError, UsageError
from vfx_matte.files.still_header import require_still
from vfx_matte.media.frames import Frame, check_frame, check_range
from vfx_matte.media.pixels import (
    Orientation,
    carries_alpha,
    frame_from,
    has_alpha,
    layout_of,
    picture_format,
    planar_format,
    put_tags,
    turned,
)  # fmt: skip
from vfx_matte.media.probe import ClipInfo, color_of, orientation_of
from vfx_matte.media.readers.demuxers import open_input
from vfx_matte.media.readers.video import FrameMaker, require_unchanged, watch_files
from vfx_matte.media.readers.webp import single_picture
from vfx_matte.media.sequence import find_sequence, is_animated
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.timeline import Repairs, Timeline


class StillsReader:
    """Reads an image sequence at a constant rate; frame i is the picture with the number first + i
    (`Timeline.number`).
    """

    def __init__(
        self,
        path: Path,
        *,
        notify: Notify,
        fps: Fraction,
        gaps: str = "hold",
        ignore_alpha: bool = False,
    ) -> None:
        """Open a sequence.

        Args:
            path: a folder, a picture or a pattern.
            notify: is told what a user may not expect.
            fps: frames per second, > 0.
            gaps: what stands for missing numbers, see `find_sequence`.
            ignore_alpha: alpha of the pictures takes no part.

        Raises:
            UsageError: for `fps`, and as `find_sequence` does.
            MediaError: when a picture cannot be read.
        """
        if fps <= 0:
            raise UsageError(f"fps {fps} is not positive")
        self._files = find_sequence(path, notify=notify, gaps=gaps)
        self._watch = watch_files(path, self._files.paths)
        self._notify = notify
        count = len(self._files)
        # Ticks of 1/numerator second keep 30000/1001 exact and whole.
        step = fps.denominator
        ticks = tuple(i * step for i in range(count))
        timeline = Timeline(ticks, (step,) * count, Fraction(1, fps.numerator), self._files.first)
        # the first picture decides size, layout and colour of all
        first, codec = _decode_picture(self._files.paths[0])
        orientation = orientation_of(first) or Orientation()
        width, height = (
            (first.height, first.width) if orientation.transpose else (first.width, first.height)
        )
        layout = layout_of(picture_format(first.format.name, orientation))
        assert layout is not None
        color = color_of(first)
        if layout.model == "gray" and (colored := next(self._colored_pictures(), None)) is not None:
            # A black leader is often saved as gray; what follows must not lose its colours for
            # that.
            layout, color = colored
        self._info = ClipInfo(
            path=path,
            container="image sequence",
            codec=codec,
            pixel_format=first.format.name,
            layout=turned(layout, orientation),
            color=color,
            width=width,
            height=height,
            sample_aspect=Fraction(1),
            orientation=orientation,
            rotation_degrees=first.rotation,
            field_order="progressive",
            timecode=None,
            origin=Fraction(0),
            video_stream=0,
            audio=(),
            other_streams=(),
            timeline=timeline,
            keyframes=tuple(range(count)),
            repairs=Repairs(),
            reliable=True,
            files=self._files,
            has_alpha=carries_alpha(first.format.name) and not ignore_alpha,
            first_color=color,
        )
        self._maker = FrameMaker(self._info, ignore_alpha=ignore_alpha, notify=notify)

    @property
    def info(self) -> ClipInfo:
        """Facts about the sequence, with its timeline."""
        return self._info

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames [start, stop) in order."""
        start, stop = check_range(start, stop, self._info.timeline)
        for index in range(start, stop):
            yield self._load(index)
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Raise MediaError when a picture holds other bytes than when the sequence was opened."""
        require_unchanged(self._info.path, self._watch)

    def frames_reversed(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames stop − 1 down to start."""
        start, stop = check_range(start, stop, self._info.timeline)
        for index in reversed(range(start, stop)):
            yield self._load(index)

    def frame(self, index: int) -> Frame:
        """One frame.

        Raises:
            UsageError: when the sequence does not have it.
        """
        check_frame(index, self._info.timeline)
        return self._load(index)

    def _colored_pictures(self) -> Iterator[tuple[PixelLayout, ColorTags]]:
        """Layout and tags of the pictures after the first that have colours."""
        for path in self._files.paths[1:]:
            with open_input(path) as container:
                name = container.streams.video[0].codec_context.pix_fmt or "gray"
            layout = layout_of(planar_format(name))
            if layout is not None and layout.model != "gray":
                yield layout, color_of(_decode_picture(path)[0])

    def _load(self, index: int) -> Frame:
        path = self._files.path(index)
        if path is None and self._files.gaps == "black":
            return self._maker.frame(
                index, self._black_picture(), orientation=self._info.orientation
            )
        native, _ = _decode_picture(path or self._files.path_or_earlier(index))
        return self._maker.frame(index, native, orientation=orientation_of(native) or Orientation())

    def _black_picture(self) -> av.VideoFrame:
        """What stands for a missing picture: black, opaque, as the pictures are before they are
        turned.
        """
        width, height = self._info.width, self._info.height
        size = (width, height) if self._info.orientation.transpose else (height, width)
        black = av.VideoFrame.from_ndarray(np.zeros((*size, 3), np.uint8), format="rgb24")
        return black.reformat(
            format=picture_format(self._info.pixel_format, self._info.orientation)
        )


def _decode_picture(path: Path) -> tuple[av.VideoFrame, str]:
    """Decode one picture.

    EXR's linear light is encoded with the sRGB curve, so that it can be seen and propagated.
    """
    require_still(path)  # by content, before FFmpeg sees it
    # FFmpeg cannot decode animated WebP, but many a file that is marked so holds one picture
    if is_animated(path, ".webp"):
        if (picture := single_picture(path)) is not None:
            with (
                contextlib.suppress(av.FFmpegError),
                av.open(io.BytesIO(picture), "r", format="webp_pipe") as plain,
            ):
                for frame in plain.decode(video=0):
                    return frame, "webp"
        raise MediaError(
            f"{str(path)!r} is an animated WebP, which cannot be decoded",
            hint="export it as APNG or GIF, or as PNG pictures",
        )
    with open_input(path) as container:
        context = container.streams.video[0].codec_context
        # without alpha FFmpeg encodes linear light by itself; with alpha it would encode
        # premultiplied light
        is_exr = path.suffix.lower() == ".exr"
        associated = is_exr and has_alpha(context.pix_fmt or "gray")
        if is_exr and not associated:
            context.options = {"apply_trc": "iec61966_2_1"}
        for frame in container.decode(video=0):
            return _straight(frame) if associated else frame, context.name
    raise MediaError(
        f"{str(path)!r} is not a picture that can be decoded", hint="export it again as PNG"
    )


def _straight(frame: av.VideoFrame) -> av.VideoFrame:
    """A picture of linear floats times their alpha, as EXR has it, as 16-bit R'G'B' with straight
    alpha.

    Colours are divided by alpha first and encoded with the sRGB curve (IEC 61966-2-1) then: the
    other way round soft edges become dark. Where alpha is 0 they stay as they are, which is light
    without a body.
    """
    planes = [
        np.frombuffer(cast("Any", plane), np.float32).reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    ]
    green, blue, red, alpha = (
        np.nan_to_num(plane, nan=0.0, posinf=1e30, neginf=0.0) for plane in planes
    )
    # a sample that is no number is black, one that is infinite is white
    alpha = np.clip(alpha, 0, 1)
    body = np.where(alpha > 0, alpha, 1)
    codes = []
    for plane in (red, green, blue):
        light = np.clip(plane / body, 0, 1)
        # IEC 61966-2-1: a straight line near black, then a power
        curve = np.where(
            light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055
        )
        codes.append(np.rint(curve * 65535).astype(np.uint16))
    codes.append(np.rint(alpha * 65535).astype(np.uint16))
    straight = frame_from(
        Picture(tuple(codes), PixelLayout("rgb", 16, has_alpha=True), ColorTags("gbr", "pc"))
    )
    straight.pts, straight.time_base = frame.pts, frame.time_base
    put_tags(straight, color_of(frame))
    return straight
