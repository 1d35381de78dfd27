"""Writes mattes as EXR files with one layer per object, in half floats.

The channel OBJECT.A of a file is the matte of one object, and R, G, B, A are all of them together,
so that a program without layers shows white on black. A matte is a share of coverage, 0 to 1, and
so the same in linear light as anywhere else; the source's colours are not in these files, as they
would first have to be made linear.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import struct
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt

from vfx_matte.backend import Array, to_numpy
from vfx_matte.errors import OutputError, UsageError, install_hint
from vfx_matte.files.atomic import AtomicFolder, output_error
from vfx_matte.media.probe import Part
from vfx_matte.media.readers.part import parse_part_note
from vfx_matte.media.verify import Check, VerifyReport, check_numbered_files
from vfx_matte.media.writers.folder import first_foreign_file
from vfx_matte.media.writers.numbered_files import NumberedFiles, names_in
from vfx_matte.numbering import Pattern, parse_pattern

SUFFIX = ".exr"
_LINES_IN_BLOCK = {3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
"""By the compression's number; others have one."""
# a header with its table of offsets takes less
_HEADER_BYTES = 8192
_MAGIC = b"\x76\x2f\x31\x01"
_MARK = (b"software", b"vfx-matte")
"""An attribute of every EXR file that is written here, so that a folder of them is told from
somebody else's.
"""
_NOTE = "comments"


def is_layers(path: Path) -> bool:
    """Whether an output is a sequence of EXR files: FOLDER/%07d.exr."""
    return path.suffix.lower() == SUFFIX


def check_name(path: Path) -> None:
    """Make sure that an output names a folder and one place for the frame number.

    Raises:
        UsageError: when it does not.
    """
    try:
        pattern = parse_pattern(path.name)
    except UsageError as error:
        raise UsageError(error.message, hint="write FOLDER/%07d.exr, for example") from error
    if pattern is None or "%" in pattern.head + pattern.tail:
        raise UsageError(
            f"{path.name!r} has no place for the frame number",
            hint="write FOLDER/%07d.exr, for example",
        )
    if not path.parent.name:
        raise UsageError(
            f"{str(path)!r} names no folder", hint="write FOLDER/%07d.exr, for example"
        )


class LayersWriter:
    """Writes one EXR file for each frame into a folder. Use as a context manager.

    Only a complete folder gets its name, in place of an earlier result.
    """

    def __init__(
        self,
        folder: Path,
        names: NumberedFiles,
        *,
        sample_aspect: Fraction,
        part: Part | None = None,
    ) -> None:
        """Begin the folder.

        Args:
            folder: where the files go.
            names: of the files.
            sample_aspect: width of a pixel ÷ its height.
            part: of the clip that is shown, None = all.

        Raises:
            OutputError: when OpenEXR is missing or the folder cannot be written.
        """
        self.path = folder
        self._names = names
        self._exr: Any = _openexr()
        self._sample_aspect = float(sample_aspect)
        self._note = {} if part is None else {_NOTE: f"vfx-matte: {part.note}"}
        self._folder = AtomicFolder(folder, foreign_file=partial(foreign_file, names))

    def write(self, index: int, mattes: Mapping[str, Array], together: Array, *, full: int) -> None:
        """Write one frame.

        Args:
            index: 0-based.
            mattes: by layer name, (H, W) unsigned integers.
            together: all of them in one.
            full: the value of 1.

        Raises:
            OutputError: when writing fails.
        """
        # one layer per object, and all of them together as R, G, B and A
        planes = {f"{name}.A": _half(alpha, full) for name, alpha in mattes.items()}
        planes |= dict.fromkeys("RGBA", _half(together, full))
        header = {
            "compression": self._exr.ZIP_COMPRESSION,
            "type": self._exr.scanlineimage,
            "pixelAspectRatio": self._sample_aspect,
            _MARK[0].decode(): _MARK[1].decode(),
            **self._note,
        }
        # compression only makes it smaller
        most = _HEADER_BYTES + sum(plane.nbytes for plane in planes.values())
        part, shown = (
            folder / self._names.name(index) for folder in (self._folder.part, self.path)
        )
        try:
            with self._exr.File(header, planes) as file:
                file.write(str(part))
        except (OSError, RuntimeError) as error:  # OpenEXR tells of a full disk as a RuntimeError
            raise output_error(shown, _disk_error(part, most) or error) from error
        if not is_whole(part):  # or not at all, when only its last bytes found no room
            raise output_error(
                shown,
                _disk_error(part, most) or OSError(errno.EIO, "only a part of it could be written"),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._folder.keep()
        finally:
            self._folder.discard()


def verify_layers(
    folder: Path, names: NumberedFiles | None, count: int, layers: tuple[str, ...] | None = None
) -> VerifyReport:
    """Whether there is one EXR file for each frame, each whole, the last one with its layers.

    Args:
        folder: of the files.
        names: how they are called and numbered; None: as the first of them is.
        count: how many frames there are.
        layers: those that have to be there; None: any.
    """
    names = names or names_in(folder, SUFFIX) or NumberedFiles(tail=SUFFIX)
    checks = [*check_numbered_files(folder, names, count, is_complete=is_whole)]
    # the last file's layers stand for those of all, as one writer made them
    reader, last = "file names", folder / names.name(count - 1)
    if layers is not None and count and checks[1].ok and last.is_file():
        with _openexr().File(str(last), separate_channels=True) as file:
            channels = set(file.channels())
        lost = [name for name in layers if f"{name}.A" not in channels]
        detail = f"layer {lost[0]} is missing" if lost else ", ".join(layers) or "no object"
        checks.append(Check("layers", not lost, detail))
        reader = "OpenEXR"
    return VerifyReport(folder, reader, tuple(checks))


def part_of_layers(folder: Path) -> tuple[int, int] | None:
    """The numbers of the first and the last frame of the source that a folder of EXR files says it
    holds; None = all.
    """
    # the first file that was written here stands for all: one writer made them
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if _is_marked(path):
            with path.open("rb") as file:
                file.seek(len(_MAGIC))
                _, value = _attributes(file).get(_NOTE.encode(), (b"", b""))
            return parse_part_note(value.decode("latin-1"))
    return None


def _half(alpha: Array, full: int) -> npt.NDArray[np.float16]:
    shares: npt.NDArray[np.float16] = (
        to_numpy(alpha).astype(np.float32) / np.float32(full)
    ).astype(np.float16)
    return shares


def foreign_file(names: NumberedFiles, folder: Path) -> str:
    """The name of something in a folder that is not called as `names` says, or was not written
    here, "" = nothing.
    """
    # of whatever number: an earlier render may have begun elsewhere
    files = Pattern(names.head, 0, names.tail)
    return first_foreign_file(
        folder, is_ours=lambda name: files.number_of(name) is not None and _is_marked(folder / name)
    )


def _is_marked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == _MAGIC and _attributes(file).get(_MARK[0]) == (
                b"string",
                _MARK[1],
            )
    except (OSError, EOFError):
        return False


def _attributes(file: IO[bytes]) -> dict[bytes, tuple[bytes, bytes]]:
    """(type, value) of every attribute of a file of one part, by name, from behind the magic
    number.

    Raises:
        EOFError: when the file ends too early.
    """
    # the version, of which the flags do not matter here
    _exactly(file, 4)
    found: dict[bytes, tuple[bytes, bytes]] = {}
    while name := _text(file):
        kind, size = _text(file), int.from_bytes(_exactly(file, 4), "little")
        found[name] = kind, _exactly(file, size)
    return found


def is_whole(path: Path) -> bool:
    """Whether an EXR file of scan lines has all of them: every offset of its table is set and the
    last one's lines are there.

    Source: "OpenEXR File Layout", openexr.com: magic, version, attributes up to an empty name, one
    offset for each block.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                return False
            attributes = _attributes(file)
            if attributes.get(b"dataWindow", (b"", b""))[0] != b"box2i":
                return False
            # how many blocks of lines there are
            window = struct.unpack("<4i", attributes[b"dataWindow"][1])
            lines_in_block = _LINES_IN_BLOCK.get(
                attributes.get(b"compression", (b"", b"\0"))[1][0], 1
            )
            count = -(-(window[3] - window[1] + 1) // lines_in_block)
            # the table of offsets is written last: a zero in it is a block that never came
            offsets = struct.unpack(f"<{count}Q", _exactly(file, 8 * count))
            file.seek(max(offsets))
            _, size = struct.unpack("<iI", _exactly(file, 8))
            return bool(min(offsets) > 0 and path.stat().st_size >= max(offsets) + 8 + size)
    except (OSError, EOFError, struct.error, ValueError, IndexError):
        return False


def _text(file: IO[bytes]) -> bytes:
    return b"".join(iter(lambda: _exactly(file, 1), b"\0"))


def _exactly(file: IO[bytes], size: int) -> bytes:
    found = file.read(size)
    if len(found) < size:
        raise EOFError
    return found


def _disk_error(part: Path, most: int) -> OSError | None:
    """That the disk is full, when fewer bytes are free than a file may take at most."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(part.parent).free < most:
            return OSError(errno.ENOSPC, "No space left on device")
    return None


def _openexr() -> Any:  # noqa: ANN401  a module
    try:
        import OpenEXR
    except ImportError as error:
        raise OutputError(
            "EXR files with layers need the OpenEXR package, which is not installed",
            hint=install_hint("exr"),
        ) from error
    return OpenEXR
