"""Masks on their way between page and engine: raw ids, packed with gzip."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

from vfx_matte.web.failures import RequestError

Ids = npt.NDArray[np.uint8]
"""uint8 (H, W) of object ids, 0 = background."""

# 5 ms and 17 kB for 1080p; higher levels take longer than what they save on one machine
_LEVEL = 1
# gzip's form of what zlib packs: window bits 15, plus 16
_GZIP = 31
_AGAIN = "pack it once, and send it again"
_PNG = b"\x89PNG\r\n\x1a\n"


def packed(mask: Ids) -> bytes:
    """The ids of a mask, row by row, packed with gzip."""
    # without Python's gzip module, which would write the time into the header
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return packer.compress(np.ascontiguousarray(mask).tobytes()) + packer.flush()


def most_packed(pixels: int) -> int:
    """The most bytes that a mask of so many pixels has when it is packed: what cannot be packed
    grows by less than a thousandth.
    """
    return pixels + pixels // 1000 + 1024


def unpacked(body: bytes, encoding: str, *, width: int, height: int) -> Ids:
    """The mask in the body of a request.

    Args:
        body: its ids, row by row.
        encoding: the body's Content-Encoding: "gzip", or "" where it is not packed.
        width: of the clip.
        height: of the clip.

    Returns:
        uint8 (H, W), which may be written to.

    Raises:
        RequestError: it is damaged, has another size, or is packed in another way.
    """
    pixels = width * height
    if encoding not in ("gzip", "", "identity"):
        raise RequestError(415, f"content encoding {encoding!r} is not known", "use gzip")
    ids = _inflated(body, pixels) if encoding == "gzip" else body
    if len(ids) != pixels:
        raise RequestError(
            413 if len(ids) > pixels else 400,
            f"the mask has {'more than' if len(ids) > pixels else 'only'}"
            f" {min(len(ids), pixels):,} pixels, the clip is {width}×{height}",
            "send one byte per pixel",
        )
    return np.frombuffer(bytearray(ids), np.uint8).reshape(height, width)


def _inflated(body: bytes, most: int) -> bytes:
    """Unpack gzip up to one byte more than may be, however much it would become."""
    # a few kB of zeros may stand for gigabytes
    unpacker = zlib.decompressobj(_GZIP)
    try:
        ids = unpacker.decompress(body, most + 1)
    except zlib.error:
        raise RequestError(400, "the mask is no gzip data, or it is damaged", _AGAIN) from None
    if len(ids) <= most and not unpacker.eof:
        # the checksum at the end may still be due after the last byte
        raise RequestError(400, "the mask's gzip data is cut off", _AGAIN)
    # a second member would be legal gzip, and is nothing that the page sends
    if unpacker.unused_data:
        raise RequestError(400, "there is something after the mask's gzip data", _AGAIN)
    return ids


def check_png(body: bytes, *, width: int, height: int) -> None:
    """Check from its header alone that a picture is a PNG no larger than the clip.

    Raises:
        RequestError: it is something else, or larger.
    """
    if not body.startswith(_PNG) or len(body) < 33 or body[12:16] != b"IHDR":
        raise RequestError(415, "the file is no PNG picture", "save the mask as PNG")
    # the first chunk has to be the header, and the header begins with the size
    wide, high = struct.unpack(">II", body[16:24])
    if wide * high > width * height:
        raise RequestError(
            413, f"the picture is {wide}×{high}, the clip is {width}×{height}", "scale it down"
        )
