"""Image sequences.

Takes a folder, one picture or a numbered pattern such as plate.%04d.png (PNG, JPEG, TIFF, EXR, …),
gives the same `Frame`s as a video; writes pictures to a folder of PNG files. Never needs them all
in memory.
"""

from __future__ import annotations

import contextlib
import io
import re
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
import numpy as np

from vfx_matte.backend import Array, Notify, to_numpy
from vfx_matte.errors import MediaError, UsageError
from vfx_matte.files.atomic import AtomicFolder, output_error
from vfx_matte.files.still_header import require_still
from vfx_matte.media.frames import Frame, check_frame, check_range
from vfx_matte.media.pixels import (
    Orientation,
    as_layout,
    carries_alpha,
    frame_from,
    has_alpha,
    layout_of,
    picture_format,
    planar_format,
    put_tags,
    turned,
)  # fmt: skip
from vfx_matte.media.probe import ClipInfo, Part, color_of, orientation_of
from vfx_matte.media.readers.demuxers import open_input
from vfx_matte.media.readers.part import numbers_in
from vfx_matte.media.readers.video import FrameMaker, require_unchanged, watched
from vfx_matte.media.readers.webp import single_picture
from vfx_matte.media.sequence import find_sequence, is_animated
from vfx_matte.media.sound.tracks import SoundTrack
from vfx_matte.media.writers.folder import other_file
from vfx_matte.media.writers.numbered_files import USUAL_NAMES, NumberedFiles
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.timeline import FrameTime, Repairs, Timeline

_HEADER_BYTES = 8 + 25  # the signature and IHDR
_MARK = b"Software\0vfx-matte"
"""In every PNG file that is written here, so that a folder of them is told from one of somebody
else's pictures.
"""

_NOTE_CHUNK = re.compile(rb"tEXtComment\0(vfx-matte: frames -?\d+ to -?\d+ of the source)")
_NOTE_WITHIN = 512


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

        fps: frames per second, > 0. gaps: what stands for missing numbers, see `find_sequence`.

        ignore_alpha: alpha of the pictures takes no part.
        """
        if fps <= 0:
            raise UsageError(f"fps {fps} is not positive")
        self._files = find_sequence(path, notify=notify, gaps=gaps)
        self._watch = watched(path, self._files.paths)
        self._notify = notify
        count = len(self._files)
        # Ticks of 1/numerator second keep 30000/1001 exact and whole.
        step = fps.denominator
        ticks = tuple(i * step for i in range(count))
        timeline = Timeline(ticks, (step,) * count, Fraction(1, fps.numerator), self._files.first)
        first, codec = _decode_picture(self._files.paths[0])
        orientation = orientation_of(first) or Orientation()
        width, height = (
            (first.height, first.width) if orientation.transpose else (first.width, first.height)
        )
        layout = layout_of(picture_format(first.format.name, orientation))
        assert layout is not None
        color = color_of(first)
        if layout.model == "gray" and (colored := next(self._colored(), None)) is not None:
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
        """One frame. Raises UsageError when the sequence does not have it."""
        check_frame(index, self._info.timeline)
        return self._load(index)

    def _colored(self) -> Iterator[tuple[PixelLayout, ColorTags]]:
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
        native, _ = _decode_picture(path or self._files.held(index))
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
    alpha = np.clip(alpha, 0, 1)
    body = np.where(alpha > 0, alpha, 1)
    codes = []
    for plane in (red, green, blue):
        light = np.clip(plane / body, 0, 1)
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


class StillsWriter:
    """Writes pictures as a folder of PNG files, 0000000.png first or as `names` says.

    Use as a context manager.

    8-bit pictures become rgb24, rgba or gray files, deeper ones 16-bit files; YUV is converted with
    the picture's own matrix and range. Only a complete folder gets its name, in place of an earlier
    result.
    """

    def __init__(
        self, folder: Path, names: NumberedFiles = USUAL_NAMES, *, part: Part | None = None
    ) -> None:
        """Begin the folder.

        part: of the clip that the pictures show, which they then say themselves; None = all of it.

        Raises OutputError when the place cannot be written or holds other files.
        """
        self.path = folder
        self._note = "" if part is None else f"vfx-matte: {part.note}"
        self._names = names
        self._encoder: av.VideoCodecContext | None = None
        self._next = 0
        self._folder = AtomicFolder(folder, foreign_file=foreign_file)

    @property
    def tracks(self) -> list[SoundTrack]:
        """Pictures have no sound."""
        return []

    def write(self, picture: Picture, time: FrameTime, *, index: int | None = None) -> None:  # noqa: ARG002
        """Write one picture.

        index: its frame index, one more than the last by default; time is not kept in PNG files.

        Raises OutputError when writing fails.
        """
        self._next = self._next if index is None else index
        try:
            frame = _png_frame(picture)
            frame.pts, frame.time_base = self._next, Fraction(1)
            if self._encoder is None:
                self._encoder = _png_encoder(frame, picture.color)
            self._save(self._encoder.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise output_error(self.path, error) from error
        self._next += 1

    def _save(self, packets: list[av.Packet[av.VideoStream]]) -> None:
        for packet in packets:
            assert packet.pts is not None
            (self._folder.part / self._names.name(packet.pts)).write_bytes(
                _marked(bytes(packet), self._note)
            )

    def _finish(self) -> None:
        try:
            if self._encoder is not None:
                self._save(self._encoder.encode(None))
        except (av.FFmpegError, OSError) as error:
            raise output_error(self.path, error) from error
        self._folder.keep()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._folder.discard()


def foreign_file(folder: Path) -> str:
    """The name of something in `folder` that StillsWriter has not written, "" = nothing."""
    return other_file(folder, is_ours=lambda name: _is_marked(folder / name))


def written_stills(folder: Path, names: NumberedFiles = USUAL_NAMES) -> list[int]:
    """Frame indices of the pictures that StillsWriter put into `folder`, ascending."""
    return sorted(
        index for path in folder.iterdir() if (index := names.index_of(path.name)) is not None
    )


def save_still(path: Path, picture: Picture) -> None:
    """Write one picture as a PNG file, as StillsWriter does.

    path: an open temporary place. Raises OutputError.
    """
    try:
        frame = _png_frame(picture)
        frame.pts, frame.time_base = 0, Fraction(1)
        encoder = _png_encoder(frame, picture.color)
        (packet,) = (*encoder.encode(frame), *encoder.encode(None))
        path.write_bytes(_marked(bytes(packet)))
    except (av.FFmpegError, OSError) as error:
        raise output_error(path, error) from error


def is_same_still(path: Path, picture: Picture) -> bool:
    """Whether a PNG file holds the samples that `save_still` was given."""
    with open_input(path) as container:
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
    wanted = _png_frame(picture)
    return len(frames) == 1 and np.array_equal(frames[0], wanted.to_ndarray())


def part_noted_on(folder: Path) -> tuple[int, int] | None:
    """The numbers of the first and the last frame of the source that a folder of PNG files says it
    holds; None = all.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix == ".png" and _is_marked(path):
            with path.open("rb") as file:
                head = file.read(_NOTE_WITHIN)
            found = _NOTE_CHUNK.search(head)
            return None if found is None else numbers_in(found[1].decode("latin-1"))
    return None


def _marked(png: bytes, note: str = "") -> bytes:
    """A PNG file with a tEXt chunk that says what wrote it, after the header (PNG specification,
    11.3.3.2), and a note's.
    """
    texts = [_MARK, *([b"Comment\0" + note.encode("latin-1")] if note else [])]
    chunks = b""
    for chunk in (b"tEXt" + text for text in texts):
        chunks += (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return png[:_HEADER_BYTES] + chunks + png[_HEADER_BYTES:]


def _is_marked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return path.suffix == ".png" and _MARK in file.read(_HEADER_BYTES + 8 + len(_MARK))
    except OSError:
        return False


def _png_frame(picture: Picture) -> av.VideoFrame:
    """The picture as an encoder of PNG takes it: samples of a pixel side by side."""
    layout = picture.layout
    model, depth = "gray" if layout.model == "gray" else "rgb", 8 if layout.bit_depth == 8 else 16
    if model == "gray" and layout.has_alpha:
        model = "rgb"
    wanted = PixelLayout("gray" if model == "gray" else "rgb", depth, has_alpha=layout.has_alpha)
    full = ColorTags(
        picture.color.matrix if model == "gray" else "gbr",
        "pc",
        picture.color.primaries,
        picture.color.transfer,
    )
    planes = tuple(to_numpy(plane) for plane in as_layout(picture, wanted, color=full).planes)
    name = {1: "gray", 3: "rgb24", 4: "rgba"}[len(planes)]
    if depth == 16:
        name = {"gray": "gray16be", "rgb24": "rgb48be", "rgba": "rgba64be"}[name]
    samples: Array = planes[0] if len(planes) == 1 else np.stack(planes, axis=2)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(samples), format=name)


def _png_encoder(frame: av.VideoFrame, color: ColorTags) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.time_base = Fraction(1)
    encoder.thread_type, encoder.thread_count = "FRAME", 0
    put_tags(encoder, ColorTags(range="pc", primaries=color.primaries, transfer=color.transfer))
    return encoder
