"""The formats that masks are exchanged in, and which of them a file is."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, is_zipfile

from vfx_matte.annotations.coco import read_coco, write_coco
from vfx_matte.annotations.cvat import read_cvat, write_cvat
from vfx_matte.annotations.json_files import read_json, require_size
from vfx_matte.annotations.label_studio import read_label_studio
from vfx_matte.annotations.layouts import (
    ANNOTATIONS,
    is_davis,
    read_layout,
    write_davis,
    write_youtube_vos,
)
from vfx_matte.annotations.mots import FOLDER, read_mots, write_mots
from vfx_matte.annotations.png_folders import pictures_in, read_masks
from vfx_matte.annotations.records import AddFrame, AnnotatedClip, Annotations
from vfx_matte.annotations.youtube_vis import (
    read_dataset,
    read_results,
    write_dataset,
    write_results,
)
from vfx_matte.choices import unknown_choice
from vfx_matte.errors import MaskError
from vfx_matte.printable import printable

Writer = Callable[[Path, AnnotatedClip], AbstractContextManager[AddFrame]]
Reader = Callable[[Path, object, str], Annotations]
"""Of the path, what its JSON holds where it has been read, and the clip's name."""

_PIECE = 2**20
# XML is read as a stream, so that memory is not the limit
_MOST_UNPACKED = 2**31


@dataclass(frozen=True, slots=True)
class ExchangeFormat:
    """One format."""

    name: str
    """As people type it."""

    suffix: str
    """Of its file; "" where it is a folder."""

    write: Writer | None
    """None where it is only read."""

    read: Reader

    has_void: bool = False
    """Whether programs that read it take 255 for "undecided" instead of an object."""


FORMATS = {
    one.name: one
    for one in (
        ExchangeFormat("coco", ".json", write_coco, lambda path, data, _: read_coco(path, data)),
        ExchangeFormat(
            "youtube-vis",
            ".json",
            write_dataset,
            lambda path, data, name: read_dataset(path, data, clip_name=name),
        ),
        ExchangeFormat(
            "youtube-vis-results",
            ".json",
            write_results,
            lambda path, data, name: read_results(path, data, clip_name=name),
        ),
        ExchangeFormat(
            "youtube-vos",
            "",
            write_youtube_vos,
            lambda path, _, name: read_layout(path, clip_name=name),
            has_void=True,
        ),
        ExchangeFormat(
            "davis",
            "",
            write_davis,
            lambda path, _, name: read_layout(path, clip_name=name),
            has_void=True,
        ),
        ExchangeFormat(
            "mots", "", write_mots, lambda path, _, name: read_mots(path, clip_name=name)
        ),
        ExchangeFormat("cvat", ".xml", write_cvat, lambda path, _, __: read_cvat(path)),
        ExchangeFormat(
            "label-studio", ".json", None, lambda path, data, _: read_label_studio(path, data)
        ),
        ExchangeFormat("masks", "", None, lambda path, _, __: read_masks(path)),
    )
}

WRITTEN = tuple(name for name, one in FORMATS.items() if one.write is not None)
READ = tuple(FORMATS)


def writer_of(name: str) -> tuple[Writer, str]:
    """The writer of a format, and its suffix.

    Raises:
        UsageError: there is no such format, or it is only read.
    """
    known = FORMATS.get(name)
    if known is None or known.write is None:
        raise unknown_choice("format", name, WRITTEN)
    return known.write, known.suffix


def read_annotations(path: Path, *, name: str | None, clip_name: str) -> tuple[str, Annotations]:
    """Read the masks of a clip in any of the formats.

    Args:
        path: a file, a folder, or a ZIP file as CVAT hands it out.
        name: of the format; None finds it out.
        clip_name: which clip is read, where the file has several.

    Returns:
        The format's name, and what the file says. Masks of a folder are read when they are asked
        for.

    Raises:
        UsageError: there is no such format.
        MaskError: the file is of none, or damaged.
    """
    if name is not None and name not in FORMATS:
        raise unknown_choice("format", name, READ)
    if not path.exists():
        raise MaskError(f"there is no file or folder {str(path)!r}", hint="check the path")
    with _unpacked(path) as file:
        data = read_json(file) if file.suffix.lower() == ".json" else None
        found = name or _detected(file, data)
        try:
            return found, FORMATS[found].read(file, data, clip_name)
        except MaskError as error:
            # most say what is wrong with a value, and all that can be done about it is this
            error.hint = error.hint or "the file is damaged, or written by a program that errs"
            raise


def _detected(path: Path, data: object) -> str:
    """The format of a file or folder, by what is in it."""
    if path.is_dir():
        if (path / ANNOTATIONS).is_dir():
            return "davis" if is_davis(path) else "youtube-vos"
        if (path / FOLDER).is_dir() or any(path.glob("*.txt")):
            return "mots"
        if pictures_in(path):
            return "masks"
    elif data is not None:
        first = data[0] if isinstance(data, list) and data else data
        fields = set(first) if isinstance(first, dict) else set()
        for name, field in (
            ("youtube-vis", "videos"),
            ("coco", "images"),
            ("youtube-vis-results", "segmentations"),
            ("label-studio", "annotations"),
        ):
            # lists are those of results and of tasks
            if field in fields and isinstance(data, list) == (first is not data):
                return name
    elif path.suffix.lower() == ".xml":
        return "cvat"
    elif path.suffix.lower() == ".txt":
        return "mots"
    raise MaskError(
        f"{str(path)!r} is of no format that is known here",
        hint=f"known are {', '.join(READ)}",
    )


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The file itself, or the file of annotations in a ZIP file."""
    if not path.is_file() or not is_zipfile(path):
        if path.is_file() and _begins_as_zip(path):
            raise MaskError(
                f"{str(path)!r} is a ZIP file that is cut off or damaged",
                hint="download or copy it again",
            )
        yield path
        return
    try:
        with TemporaryDirectory() as folder, ZipFile(path) as archive:
            names = [
                name
                for name in archive.namelist()
                if name.lower().endswith((".xml", ".json")) and not name.startswith("__MACOSX")
            ]
            if len(names) != 1:
                shown = ", ".join(printable(name) for name in names[:6]) or "none"
                raise MaskError(
                    f"{str(path)!r} has {len(names)} files of annotations: {shown}",
                    hint="unpack it, and give the file that is meant",
                )
            # other packings raise errors of their own where they are damaged
            if archive.getinfo(names[0]).compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                raise MaskError(
                    f"{str(path)!r} is packed in a way that is not read here", hint="unpack it"
                )
            size = archive.getinfo(names[0]).file_size
            if names[0].lower().endswith(".json"):
                require_size(size, path)
            # what it says may be a lie, which shows while it is unpacked
            _require_room(_MOST_UNPACKED - size, path)
            # under a name of our own, whatever the archive says
            target = Path(folder) / f"annotations{Path(names[0]).suffix.lower()}"
            with archive.open(names[0]) as packed, target.open("wb") as file:
                _copy(packed.read, file.write, path)
            try:
                yield target
            except MaskError as error:
                # people know the archive, and not where it was unpacked
                message = error.message.replace(str(target), f"{path}: {names[0]}")
                raise MaskError(message, hint=error.hint) from error
    except (BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise MaskError(
            f"{str(path)!r} cannot be unpacked: {error}",
            hint="unpack it yourself, or export it again",
        ) from error


def _begins_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _copy(read: Callable[[int], bytes], write: Callable[[bytes], int], path: Path) -> None:
    """Copy bounded: a small archive may unpack to anything."""
    left = _MOST_UNPACKED
    while piece := read(_PIECE):
        left -= len(piece)
        _require_room(left, path)
        write(piece)


def _require_room(left: int, path: Path) -> None:
    """Raise MaskError where more than everything is used up."""
    if left < 0:
        raise MaskError(
            f"{str(path)!r} unpacks to more than two gigabytes",
            hint="export it in several parts, each of some of the frames",
        )
