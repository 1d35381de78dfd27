"""Adds the pixel shape to a finished Matroska or WebM file, in place.

Matroska says the pixel shape by a display size, which FFmpeg's muxer writes only from a field that
PyAV does not set. The bytes come out of the padding that the muxer leaves after its seek table, so
that nothing behind the track list moves. Element ids: RFC 9559, section 5.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

_SEGMENT, _SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = (
    0x18538067,
    0x114D9B74,
    0x4DBB,
    0x53AB,
    0x53AC,
)
_VOID, _INFO, _TRACKS, _TRACK_ENTRY, _VIDEO = 0xEC, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_PIXELS, _ASPECT = 0, 3
_HEAD_BYTES = 2**16

MUXER_OPTIONS = {"write_crc32": "0"}
"""What the muxer has to be told, because a checksum would not survive the change."""


@dataclass(frozen=True, slots=True)
class _Element:
    """Where an EBML element is."""

    element_id: int
    """What it is."""

    start: int
    """Where it begins."""

    size_at: int
    """Where its size is written."""

    data: int
    """Where its contents begin."""

    end: int
    """Where they end."""


def _children(data: bytes | bytearray, start: int, end: int) -> Iterator[_Element]:
    while start < min(end, len(data)):
        # as many leading zero bits as there are bytes more (RFC 8794, section 4)
        id_length = 9 - data[start].bit_length()
        element_id = int.from_bytes(data[start : start + id_length], "big")
        size_at = start + id_length
        length = 9 - data[size_at].bit_length()
        size = int.from_bytes(data[size_at : size_at + length], "big") & ((1 << 7 * length) - 1)
        yield _Element(element_id, start, size_at, size_at + length, size_at + length + size)
        start = size_at + length + size


def _child(data: bytes | bytearray, parent: _Element, element_id: int) -> _Element:
    for element in _children(data, parent.data, parent.end):
        if element.element_id == element_id:
            return element
    raise ValueError(f"Matroska element {element_id:#x} is missing")


def _resize(data: bytearray, element: _Element, change: int) -> None:
    """Write another size into as many bytes as it has."""
    length = element.data - element.size_at
    size = element.end - element.data + change
    if not 0 <= size < (1 << 7 * length) - 1:
        raise ValueError(f"Matroska element {element.element_id:#x} cannot be {size} bytes long")
    data[element.size_at : element.data] = (size | 1 << 7 * length).to_bytes(length, "big")


def set_pixel_shape(path: Path, sample_aspect: Fraction, *, size: tuple[int, int]) -> None:
    """Store the shape of the pixels.

    Args:
        path: a file as FFmpeg 8 writes it.
        sample_aspect: width of a pixel ÷ its height.
        size: (width, height) of the coded picture.

    Raises:
        ValueError: when the file is laid out in another way.
        OSError: as the system raises it.
    """
    with path.open("r+b") as file:
        data = bytearray(file.read(_HEAD_BYTES))
        length = len(data)
        _insert(data, sample_aspect, size)
        if len(data) != length:
            raise ValueError("the size of a Matroska header changed")
        file.seek(0)
        file.write(data)


def _insert(data: bytearray, sample_aspect: Fraction, size: tuple[int, int]) -> None:
    # find the picture's track, and the padding behind the seek table
    file = _Element(0, 0, 0, 0, len(data))
    segment = _child(data, file, _SEGMENT)
    seek_head, void = _child(data, segment, _SEEK_HEAD), _child(data, segment, _VOID)
    tracks = _child(data, segment, _TRACKS)
    entry, video = next(
        (entry, element)
        for entry in _children(data, tracks.data, tracks.end)
        if entry.element_id == _TRACK_ENTRY
        for element in _children(data, entry.data, entry.end)
        if element.element_id == _VIDEO
    )
    # two elements more for it, and the unit that is there already
    *shown, unit = _display_size(sample_aspect, size)
    added = b"".join(
        element_id.to_bytes(2, "big") + b"\x84" + value.to_bytes(4, "big")
        for element_id, value in zip((_DISPLAY_WIDTH, _DISPLAY_HEIGHT), shown, strict=True)
    )
    for element in _children(data, video.data, video.end):
        if element.element_id == _DISPLAY_UNIT:
            data[element.data : element.end] = unit.to_bytes(element.end - element.data, "big")
    # everything around them grows, the padding shrinks
    for element in (tracks, entry, video):
        _resize(data, element, len(added))
    _resize(data, void, -len(added))
    # what lies between padding and track list moves towards the front
    for seek in _children(data, seek_head.data, seek_head.end):
        if seek.element_id == _SEEK:
            target, position = _child(data, seek, _SEEK_ID), _child(data, seek, _SEEK_POSITION)
            if int.from_bytes(data[target.data : target.end], "big") in (_INFO, _TRACKS):
                moved = int.from_bytes(data[position.data : position.end], "big") - len(added)
                data[position.data : position.end] = moved.to_bytes(
                    position.end - position.data, "big"
                )
    # behind first, as the offsets in front stay valid then
    data[video.end : video.end] = added
    del data[void.end - len(added) : void.end]


def _display_size(sample_aspect: Fraction, size: tuple[int, int]) -> tuple[int, int, int]:
    """(width, height, unit): in pixels where that is exact, otherwise as an aspect ratio."""
    width, height = size[0] * sample_aspect, size[1] / sample_aspect
    if width.denominator == 1:
        return int(width), size[1], _PIXELS
    if height.denominator == 1:
        return size[0], int(height), _PIXELS
    across, down = size[0] * sample_aspect.numerator, size[1] * sample_aspect.denominator
    divisor = math.gcd(across, down)
    return across // divisor, down // divisor, _ASPECT
