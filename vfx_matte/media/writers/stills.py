"""Writes pictures as PNG files: a folder of them, or a single one."""

from __future__ import annotations

import re
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np

from vfx_matte.backend import Array, to_numpy
from vfx_matte.files.atomic import AtomicFolder, output_error
from vfx_matte.media.pixels import as_layout, put_tags
from vfx_matte.media.probe import Part
from vfx_matte.media.readers.demuxers import open_input
from vfx_matte.media.readers.part import parse_part_note
from vfx_matte.media.sound.tracks import SoundTrack
from vfx_matte.media.writers.folder import first_foreign_file
from vfx_matte.media.writers.numbered_files import PNG, USUAL_NAMES, NumberedFiles
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.timeline import FrameTime

_HEADER_BYTES = 8 + 25  # the signature and IHDR
_MARK = b"Software\0vfx-matte"
"""In every PNG file that is written here, so that a folder of them is told from one of somebody
else's pictures.
"""

_NOTE_CHUNK = re.compile(rb"tEXtComment\0(vfx-matte: frames -?\d+ to -?\d+ of the source)")
_NOTE_WITHIN = 512
"""The note stands so near to the beginning: behind the header and the mark."""


class StillsWriter:
    """Writes pictures as a folder of PNG files, 0000000.png first or as `names` says.

    Use as a context manager. 8-bit pictures become rgb24, rgba or gray files, deeper ones 16-bit
    files; YUV is converted with the picture's own matrix and range. Only a complete folder gets its
    name, in place of an earlier result.
    """

    def __init__(
        self, folder: Path, names: NumberedFiles = USUAL_NAMES, *, part: Part | None = None
    ) -> None:
        """Begin the folder.

        Args:
            folder: where the files go.
            names: of the files.
            part: of the clip that the pictures show, which they then say themselves; None = all of
                it.

        Raises:
            OutputError: when the folder cannot be written or holds other files.
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

        Args:
            picture: any.
            time: not kept in PNG files.
            index: its frame index, one more than the last by default.

        Raises:
            OutputError: when writing fails.
        """
        self._next = self._next if index is None else index
        try:
            frame = _png_frame(picture)
            # the encoder works on several pictures at once: the time tells which one a packet is
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

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._folder.discard()


def foreign_file(folder: Path) -> str:
    """The name of something in a folder that StillsWriter has not written, "" = nothing."""
    return first_foreign_file(folder, is_ours=lambda name: is_made_here(folder / name))


def written_stills(folder: Path, names: NumberedFiles = USUAL_NAMES) -> list[int]:
    """Frame indices of the pictures that StillsWriter put into a folder, ascending."""
    return sorted(
        index for path in folder.iterdir() if (index := names.index_of(path.name)) is not None
    )


def save_still(path: Path, picture: Picture) -> None:
    """Write one picture as a PNG file, as StillsWriter does.

    Args:
        path: a temporary path.
        picture: any.

    Raises:
        OutputError: when writing fails.
    """
    try:
        frame = _png_frame(picture)
        frame.pts, frame.time_base = 0, Fraction(1)
        encoder = _png_encoder(frame, picture.color)
        # with threads of its own the encoder may give it at once or only at the end
        (packet,) = (*encoder.encode(frame), *encoder.encode(None))
        path.write_bytes(_marked(bytes(packet)))
    except (av.FFmpegError, OSError) as error:
        raise output_error(path, error) from error


def is_same_still(path: Path, picture: Picture) -> bool:
    """Whether a PNG file holds the samples that `save_still` was given."""
    with open_input(path) as container:
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
    # samples, not bytes: another version of the encoder may compress in another way
    wanted = _png_frame(picture)
    return len(frames) == 1 and np.array_equal(frames[0], wanted.to_ndarray())


def part_of_stills(folder: Path) -> tuple[int, int] | None:
    """The numbers of the first and the last frame of the source that a folder of PNG files says it
    holds; None = all.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix == ".png" and is_made_here(path):
            with path.open("rb") as file:
                head = file.read(_NOTE_WITHIN)
            found = _NOTE_CHUNK.search(head)
            return None if found is None else parse_part_note(found[1].decode("latin-1"))
    return None


def _marked(png: bytes, note: str = "") -> bytes:
    """A PNG file with texts behind its header: what wrote it, and a note (PNG specification,
    11.3.3.2).

    Args:
        png: the file.
        note: "" for none.
    """
    # the mark first: `is_made_here` reads no further
    texts = [_MARK, *([b"Comment\0" + note.encode("latin-1")] if note else [])]
    chunks = b""
    # length, type and text, checksum
    for chunk in (b"tEXt" + text for text in texts):
        chunks += (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return png[:_HEADER_BYTES] + chunks + png[_HEADER_BYTES:]


def is_made_here(path: Path) -> bool:
    """Whether a PNG file was written here; False for what is no such file."""
    try:
        with path.open("rb") as file:
            return path.suffix.lower() == PNG and _MARK in file.read(_HEADER_BYTES + 8 + len(_MARK))
    except OSError:
        return False


def _png_frame(picture: Picture) -> av.VideoFrame:
    """The picture as an encoder of PNG takes it: samples of a pixel side by side."""
    layout = picture.layout
    model, depth = "gray" if layout.model == "gray" else "rgb", 8 if layout.bit_depth == 8 else 16
    # grey with alpha becomes RGB with alpha, which is read everywhere
    if model == "gray" and layout.has_alpha:
        model = "rgb"
    wanted = PixelLayout("gray" if model == "gray" else "rgb", depth, has_alpha=layout.has_alpha)
    # full range, as PNG has no other
    full = ColorTags(
        picture.color.matrix if model == "gray" else "gbr",
        "pc",
        picture.color.primaries,
        picture.color.transfer,
    )
    planes = tuple(to_numpy(plane) for plane in as_layout(picture, wanted, color=full).planes)
    # PNG is big-endian
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
    # several pictures at a time, on as many threads as there are cores
    encoder.thread_type, encoder.thread_count = "FRAME", 0
    # without a matrix, which RGB has none of
    put_tags(encoder, ColorTags(range="pc", primaries=color.primaries, transfer=color.transfer))
    return encoder
