"""Takes the picture out of WebP files that call themselves animated and hold only one.

ffmpeg and browsers write such files.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_ALPHA_FLAG = 0x10
_MOST_CHUNKS = 4096
_FRAME_HEADER_BYTES = 16


def single_picture(path: Path) -> bytes | None:
    """The plain WebP file that is inside of an animated one; None where there are more pictures, or
    it is only a part.

    Source: WebP container specification: a chunk ANMF holds the place of a picture, 16 bytes, then
    its own chunks.
    """
    data = path.read_bytes()
    chunks = list(_chunks(data, 12))
    # the picture has to fill the canvas: at (0, 0), of the canvas's size
    canvas = next((data[at + 4 : at + 10] for kind, at, _ in chunks if kind == b"VP8X"), b"")
    frames = [data[at : at + size] for kind, at, size in chunks if kind == b"ANMF"]
    if len(frames) != 1 or frames[0][:12] != bytes(6) + canvas:
        return None
    inside = frames[0][_FRAME_HEADER_BYTES:]
    # a plain file with alpha begins with a chunk that says so
    if inside.startswith(b"ALPH"):
        inside = b"VP8X" + struct.pack("<IB3x", 10, _ALPHA_FLAG) + canvas + inside
    return b"RIFF" + struct.pack("<I", 4 + len(inside)) + b"WEBP" + inside


def _chunks(data: bytes, at: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, where its content begins, its size) of every chunk."""
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            return
        kind, size = struct.unpack_from("<4sI", data, at)
        yield kind, at + 8, size
        at += 8 + size + size % 2
