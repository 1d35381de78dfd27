"""Tries whether an encoder works on this machine."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np

from vfx_matte.media.formats import CODECS

# encoders of graphics cards refuse smaller pictures
_SIDE_PX = 256


def encoder_problem(name: str) -> str | None:
    """Why a codec cannot be written here, or None; a grey picture is really encoded.

    Args:
        name: a key of `CODECS`.
    """
    facts = CODECS[name]
    try:
        formats = av.Codec(facts.encoder, "w").video_formats or []
        encoder: Any = av.VideoCodecContext.create(facts.encoder, "w")
        encoder.width = encoder.height = _SIDE_PX
        encoder.pix_fmt = next(
            (each.name for each in formats if each.name in ("yuv420p", "yuv422p10le")),
            formats[0].name,
        )
        encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
        encoder.options = dict(facts.options)
        gray = np.full((_SIDE_PX, _SIDE_PX, 3), 128, np.uint8)
        frame = av.VideoFrame.from_ndarray(gray, "rgb24").reformat(format=encoder.pix_fmt)
        frame.pts = 0
        # an encoder that opens may still fail at its first picture, such as one without a card
        size = sum(packet.size for packet in (*encoder.encode(frame), *encoder.encode(None)))
    except av.codec.codec.UnknownCodecError:
        return "not in this build of FFmpeg"
    except (av.FFmpegError, IndexError, ValueError, OSError) as error:
        return (error.strerror if isinstance(error, OSError) else None) or str(error)
    return None if size else "it gives nothing"
