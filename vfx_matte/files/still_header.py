"""Reads the format and the size of a still from its first bytes.

The one list of formats that are taken as masks, backgrounds and image sequences, by content and not
by name; nothing is decoded. Whatever is not in it is refused before a decoder sees it: PostScript
would be run by another program, and a small file may claim a picture that no memory holds.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from vfx_matte.errors import InputError, MediaError, UsageError

StillKind = Literal["png", "jpeg", "tiff", "bmp", "gif", "webp", "pnm", "tga", "psd", "exr", "dpx"]

MOST_PIXELS = 1 << 26
"""Pixels of the largest still that is decoded without a clip to compare it with: 8192 × 8192, more
than 8K.
"""

# bytes of the compressed ICC profile and texts of a PNG; real profiles have at most 2 MB
_MOST_UNPACKED = 16 << 20
_MOST_BYTES = 2 << 30
_MOST_CHUNKS = 1 << 18  # of a PNG; one of 8K has 65,000 of libpng's usual 8 KB
# of a JPEG before its first scan, filling bytes too; real ones have some hundred
_MOST_MARKERS = 1 << 16
_HINT = "save it as PNG"

# What people (or worse) give that is no still; shown in the message.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "PDF"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"\x01\x00\x00\x00", "a Windows metafile"),
    (b"SIMPLE  =", "FITS"),
    (b"\x00\x00\x00\x0cjP", "JPEG 2000"),
    (b"\xffO\xffQ", "JPEG 2000"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a playlist"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"gimp xcf", "a GIMP project"),
)


@dataclass(frozen=True, slots=True)
class StillHeader:
    """What the first bytes of a still say."""

    kind: StillKind
    """Its format."""

    width: int
    """In stored pixels, before any turning."""

    height: int
    """In stored pixels, before any turning."""

    @property
    def pixels(self) -> int:
        """Width × height."""
        return self.width * self.height


class _HeaderError(Exception):
    """A header that ends too early or contradicts itself."""


class _RefusedError(Exception):
    """A header that is right, of a file that no decoder may see."""


def read_still_header(path: Path) -> StillHeader:
    """Say what still a file is, reading little of it.

    Raises:
        MediaError: when it cannot be read or its header is damaged.
        UsageError: when it is no still of a known format, or holds a compressed ICC profile or text
            that unpacks to more than 16 MB.
    """
    name = repr(str(path))
    try:
        # opening a pipe would wait for ever
        if path.exists() and not path.is_file():
            raise UsageError(f"{name} is not a file", hint="give a picture file")
        with path.open("rb") as file:
            return _header_of(file, path.stat().st_size, name, suffix=path.suffix.lower())
    except FileNotFoundError as error:
        raise InputError(
            f"there is no file {name}", hint="check the path; quote names with spaces"
        ) from error
    except OSError as error:
        raise MediaError(
            f"{name} cannot be read: {error.strerror}", hint="check its permissions"
        ) from error


def still_header_of(data: bytes, name: str) -> StillHeader:
    """The same of a still in memory.

    Args:
        data: all of its bytes.
        name: what messages call it.

    Raises:
        MediaError: as `read_still_header`.
        UsageError: as `read_still_header`.
    """
    return _header_of(io.BytesIO(data), len(data), name)


def _header_of(file: BinaryIO, size: int, name: str, *, suffix: str = "") -> StillHeader:
    """The header of a still of so many bytes; see `read_still_header`."""
    if not size:
        raise MediaError(f"{name} is an empty file", hint="copy or export it again")
    if size > _MOST_BYTES:
        raise UsageError(f"{name} has {size >> 20} MB, more than a picture needs", hint=_HINT)
    try:
        header = _parse_header(file, suffix)
    except _RefusedError as error:
        raise UsageError(
            f"{name} is refused: {error}", hint="save it again without metadata, as PNG"
        ) from error
    except (_HeaderError, struct.error, ValueError) as error:
        reason = (
            str(error) if isinstance(error, _HeaderError) else "its header is damaged or cut short"
        )
        raise MediaError(
            f"{name} cannot be read: {reason}", hint="export it again, as PNG"
        ) from error
    # no still: say what it is instead
    if isinstance(header, str):
        what = f"{header}, not a picture that is read here" if header else "not a picture"
        raise UsageError(f"{name} is {what}", hint=_HINT)
    if header.width < 1 or header.height < 1:
        raise MediaError(
            f"{name} is {header.width}×{header.height}, which is not a picture",
            hint="export it again, as PNG",
        )
    return header


def require_still(path: Path, *, most_pixels: int = MOST_PIXELS, limit: str = "") -> StillHeader:
    """The header of a still that may be decoded.

    Args:
        path: the still.
        most_pixels: a larger one is refused.
        limit: what the bound comes from, for people, such as "the clip is 1920×1080".

    Raises:
        UsageError: for more than `most_pixels`; else as `read_still_header`.
    """
    return _not_too_large(read_still_header(path), repr(str(path)), most_pixels, limit)


def require_still_of(data: bytes, name: str, *, most_pixels: int = MOST_PIXELS) -> StillHeader:
    """The same of a still in memory.

    Args:
        data: all of its bytes.
        name: what messages call it.
        most_pixels: a larger one is refused.

    Raises:
        MediaError: as `read_still_header`.
        UsageError: for more than `most_pixels`; else as `read_still_header`.
    """
    return _not_too_large(still_header_of(data, name), name, most_pixels)


def _not_too_large(header: StillHeader, name: str, most: int, limit: str = "") -> StillHeader:
    """The header itself. Raises UsageError for more pixels than `most`, and says why."""
    if header.pixels > most:
        because = limit or f"the most is {most / 1e6:.3g} million pixels"
        raise UsageError(
            f"{name} is {header.width}×{header.height}, which is too large: {because}",
            hint="save it at the clip's size",
        )
    return header


def _parse_header(file: BinaryIO, suffix: str) -> StillHeader | str:
    """The header, or what the file is instead, "" = unknown."""
    # by the formats' magic numbers, with TGA, which has none, by its name and the fields that
    # cannot be anything else
    head = file.read(64)
    for kind, fits, parse in _FORMATS:
        if fits(head):
            return StillHeader(kind, *parse(file))
    if (
        suffix == ".tga"
        and len(head) >= 18
        and head[1] in (0, 1)
        and head[2] in (1, 2, 3, 9, 10, 11)
    ):
        return StillHeader("tga", *struct.unpack_from("<HH", head, 12))  # TGA has no magic number
    # what people give by mistake, also behind a byte order mark and blank lines
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    found = next(
        (
            what
            for magic, what in _OTHERS
            if head.startswith(magic) or text.lower().startswith(magic.lower())
        ),
        "",
    )
    # containers that hold pictures or films, told by their brand
    if not found and head[4:8] == b"ftyp":
        found = (
            "AVIF or HEIF"
            if head[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1")
            else "a video"
        )
    if not found and head[:4] == b"RIFF":
        found = "a video or sound"
    return found


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    found = file.read(size)
    if len(found) < size:
        raise _HeaderError("it is cut short")
    return found


# One reader for each format. Each returns width and height.


def _png(file: BinaryIO) -> tuple[int, int]:
    """Also unpacks what Pillow and FFmpeg would before the first pixel, in bounded memory."""
    if _read_at(file, 12, 4) != b"IHDR":
        raise _HeaderError("its header is damaged")
    width, height = struct.unpack(">II", _read_at(file, 16, 8))
    unpacked = 0
    for kind, at, length in _png_chunks(file):
        if kind in (b"iCCP", b"zTXt", b"iTXt"):
            unpacked += max(length, _unpacked_size(file, kind, at, length))
            if unpacked > _MOST_UNPACKED:
                what = "its ICC profile" if kind == b"iCCP" else "the text in it"
                raise _RefusedError(f"{what} unpacks to more than {_MOST_UNPACKED >> 20} MB")
    return width, height


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(type, where its data begins, their length) of every chunk.

    A file that is cut short just ends.
    """
    at = 8
    for _ in range(_MOST_CHUNKS):
        head = _read_at_most(file, at, 8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        yield kind, at + 8, length
        at += length + 12
    raise _HeaderError(f"it has more than {_MOST_CHUNKS:,} chunks")


def _read_at_most(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _unpacked_size(file: BinaryIO, kind: bytes, at: int, length: int) -> int:
    """Bytes of a chunk's content when it is unpacked; unpacks no more than is needed to know that
    it is too much.
    """
    if length > _MOST_UNPACKED:
        return length
    # a keyword, then a byte that says how it is compressed; iTXt says first whether it is, and has
    # a language and a translated keyword before its text
    rest = _read_at_most(file, at, length).partition(b"\0")[2]
    if kind == b"iTXt":
        if rest[:1] != b"\1":  # not compressed
            return length
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        rest = rest[1:]
    try:
        return len(zlib.decompressobj().decompress(rest, _MOST_UNPACKED + 1))
    except zlib.error:
        return 0  # the decoder says so, or ignores it


def _jpeg(file: BinaryIO) -> tuple[int, int]:
    """The largest frame that is announced before the first scan."""
    at, width, height = 2, 0, 0
    for _ in range(_MOST_MARKERS):
        marker = _read_at(file, at, 2)
        if marker[0] != 0xFF:
            raise _HeaderError("its header is damaged")
        if marker[1] in (0xFF, 0x01, *range(0xD0, 0xD9)):  # filling, and markers without content
            at += 1 if marker[1] == 0xFF else 2
            continue
        if marker[1] in (0xDA, 0xD9):
            return width, height
        (length,) = struct.unpack(">H", _read_at(file, at + 2, 2))
        # a start of frame; C4, C8 and CC are tables and a reserved marker within the same range
        if 0xC0 <= marker[1] <= 0xCF and marker[1] not in (0xC4, 0xC8, 0xCC):
            high, wide = struct.unpack(">HH", _read_at(file, at + 5, 4))
            width, height = max(width, wide), max(height, high)
        at += 2 + max(length, 2)
    raise _HeaderError(f"it has more than {_MOST_MARKERS:,} markers before its first scan")


def _tiff(file: BinaryIO) -> tuple[int, int]:
    # TIFF and BigTIFF differ in the sizes of their counts and offsets
    head = _read_at(file, 0, 8)
    order = "<" if head[:2] == b"II" else ">"
    is_big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    if is_big:
        (at,) = struct.unpack(f"{order}Q", _read_at(file, 8, 8))
        (count,) = struct.unpack(f"{order}Q", _read_at(file, at, 8))
        first, step, value_at, long = at + 8, 20, 12, "Q"
    else:
        (at,) = struct.unpack(f"{order}I", head[4:8])
        (count,) = struct.unpack(f"{order}H", _read_at(file, at, 2))
        first, step, value_at, long = at + 2, 12, 8, "I"
    if count > 4096:
        raise _HeaderError("its header is damaged")
    found: dict[int, int] = {}
    for number in range(count):
        entry = _read_at(file, first + number * step, step)
        tag, kind = struct.unpack_from(f"{order}HH", entry)
        # ImageWidth and ImageLength, of whatever integer type the writer chose
        if tag in (256, 257):
            form = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind, long)
            found[tag] = max(
                struct.unpack_from(f"{order}{form}", entry, value_at)[0], found.get(tag, 0)
            )
    return found.get(256, 0), found.get(257, 0)


def _bmp(file: BinaryIO) -> tuple[int, int]:
    (size,) = struct.unpack("<I", _read_at(file, 14, 4))
    form = "<HH" if size == 12 else "<ii"
    width, height = struct.unpack(form, _read_at(file, 18, struct.calcsize(form)))
    return width, abs(height)


def _gif(file: BinaryIO) -> tuple[int, int]:
    width, height = struct.unpack("<HH", _read_at(file, 6, 4))
    return width, height


def _webp(file: BinaryIO) -> tuple[int, int]:
    """The largest of the canvas and the pictures in the first chunks."""
    at, width, height = 12, 0, 0
    for _ in range(64):
        head = _read_at_most(file, at, 8)
        if len(head) < 8:
            break
        kind, length = struct.unpack("<4sI", head)
        if kind == b"VP8X":
            data = _read_at(file, at + 8, 10)
            size = int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
        # two 14-bit numbers, each one less than the size
        elif kind == b"VP8L":
            bits = int.from_bytes(_read_at(file, at + 9, 4), "little")
            size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif kind == b"VP8 ":
            wide, high = struct.unpack("<HH", _read_at(file, at + 14, 4))
            size = wide & 0x3FFF, high & 0x3FFF
        else:
            size = 0, 0
        width, height = max(width, size[0]), max(height, size[1])
        at += 8 + length + length % 2
    return width, height


def _pnm(file: BinaryIO) -> tuple[int, int]:
    lines = _read_at_most(file, 2, 4096).split(b"\n")
    words = b" ".join(line.split(b"#")[0] for line in lines).split()
    if (
        len(words) < 2
        or not (words[0].isdigit() and words[1].isdigit())
        or max(len(word) for word in words[:2]) > 9
    ):
        raise _HeaderError("its header is damaged")
    return int(words[0]), int(words[1])


def _psd(file: BinaryIO) -> tuple[int, int]:
    height, width = struct.unpack(">II", _read_at(file, 14, 8))
    return width, height


def _dpx(file: BinaryIO) -> tuple[int, int]:
    order = ">" if _read_at(file, 0, 4) == b"SDPX" else "<"
    width, height = struct.unpack(f"{order}II", _read_at(file, 772, 8))
    return width, height


def _exr(file: BinaryIO) -> tuple[int, int]:
    """The larger of what is shown and what is stored."""
    head = _read_at_most(file, 8, 1 << 20)
    at, width, height = 0, 0, 0
    while at < len(head) and head[at]:
        _, name_end = at, head.index(b"\0", at)
        kind_end = head.index(b"\0", name_end + 1)
        name = head[at:name_end]
        (size,) = struct.unpack_from("<I", head, kind_end + 1)
        if name in (b"dataWindow", b"displayWindow"):
            left, top, right, bottom = struct.unpack_from("<iiii", head, kind_end + 5)
            width, height = max(width, right - left + 1), max(height, bottom - top + 1)
        at = kind_end + 5 + size
    return width, height


_FORMATS: tuple[
    tuple[StillKind, Callable[[bytes], bool], Callable[[BinaryIO], tuple[int, int]]], ...
] = (
    ("png", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    ("jpeg", lambda head: head.startswith(b"\xff\xd8\xff"), _jpeg),
    ("tiff", lambda head: head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff),
    ("bmp", lambda head: head.startswith(b"BM"), _bmp),
    ("gif", lambda head: head[:6] in (b"GIF87a", b"GIF89a"), _gif),
    ("webp", lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP", _webp),
    (
        "pnm",
        lambda head: head[:1] == b"P" and head[1:2] in b"123456fF" and head[2:3].isspace(),
        _pnm,
    ),
    ("psd", lambda head: head.startswith(b"8BPS"), _psd),
    ("exr", lambda head: head.startswith(b"\x76\x2f\x31\x01"), _exr),
    ("dpx", lambda head: head[:4] in (b"SDPX", b"XPDS"), _dpx),
)
