"""Decodes pictures that arrived as bytes, such as the frames that a labelling tool sends."""

from __future__ import annotations

import io

import av

from vfx_matte.errors import MediaError, UsageError
from vfx_matte.files.still_header import StillKind, require_still_of
from vfx_matte.masks import Image
from vfx_matte.media.frames import over_black
from vfx_matte.media.pixels import Orientation, alpha_of, image_of
from vfx_matte.media.probe import color_of, orientation_of

# the formats that labelling tools send, and FFmpeg's reader of each; by the kind that the header
# says, so that no other reader tries a file that is made to look like two kinds
_DEMUXERS: dict[StillKind, str] = {
    "png": "png_pipe",
    "jpeg": "jpeg_pipe",
    "webp": "webp_pipe",
    "bmp": "bmp_pipe",
}


def decode_sent(data: bytes, name: str, *, most_pixels: int) -> Image:
    """Decode a PNG, JPEG, WebP or BMP picture.

    Args:
        data: all of its bytes.
        name: what messages call it, such as "frame 3".
        most_pixels: a larger one is refused before it is decoded.

    Returns:
        uint8 (H, W, 3) R'G'B' as displayed: turned as its tags say, what alpha hides is black.

    Raises:
        UsageError: it is something else, or too large.
        MediaError: it is damaged or cut short.
    """
    header = require_still_of(data, name, most_pixels=most_pixels)
    if header.kind not in _DEMUXERS:
        raise UsageError(
            f"{name} is {header.kind.upper()}, which is not read here", hint="send PNG or JPEG"
        )
    # of a progressive one FFmpeg would show the scans that are there, a blurred picture; no marker
    # of a scan can stand in the data of another one
    if header.kind == "jpeg" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise MediaError(f"{name} is cut short", hint="send it again")
    try:
        with av.open(io.BytesIO(data), "r", format=_DEMUXERS[header.kind]) as container:
            context = container.streams.video[0].codec_context
            # FFmpeg would fill in grey what is missing of a picture; and its own reading of the
            # size must not be larger than that of the header
            context.options = {"err_detect": "explode", "max_pixels": str(most_pixels)}
            for frame in container.decode(video=0):
                return _as_displayed(frame)
    except (av.FFmpegError, ValueError, EOFError, IndexError, OSError) as error:
        raise MediaError(
            f"{name} is damaged or cut short, and cannot be decoded", hint="send it again"
        ) from error
    raise MediaError(f"{name} holds no picture", hint="send it again, as PNG or JPEG")


def _as_displayed(frame: av.VideoFrame) -> Image:
    orientation = orientation_of(frame) or Orientation()
    colors = image_of(frame, orientation, color_of(frame))
    alpha = alpha_of(frame, orientation)
    return colors if alpha is None else over_black(colors, alpha)
