"""Reads what decoders attach to a frame: its orientation, and an HDR clip's metadata.

Reading `frame.side_data` of a PyAV 18.1 frame that holds an ICC profile with a name (a PNG's) is a
segmentation fault: PyAV frees the name, and so does FFmpeg. It also raises ValueError for kinds
that PyAV does not know, such as EXIF. So every kind but the three that are wanted is taken off
first, by FFmpeg's sidedata filter, on a frame that shares the picture's memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import av
from av.sidedata.sidedata import Type

from vfx_matte.media.readers.filters import filter_chain

_WANTED = (Type.DISPLAYMATRIX, Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL)

_KINDS = 64
"""More than the kinds that FFmpeg has (31 in FFmpeg 8; AVFrameSideDataType in libavutil/frame.h):
those of later ones too.
"""


@dataclass(frozen=True, slots=True)
class SideData:
    """The bytes of FFmpeg's structures, in the host's byte order; None where a frame has none."""

    display_matrix: bytes | None = None
    """Nine int32 (libavutil/display.h)."""

    mastering_display: bytes | None = None
    """See `hdr.hdr_of`."""

    light_level: bytes | None = None
    """See `hdr.hdr_of`."""


def side_data_of(frame: av.VideoFrame) -> SideData:
    """The wanted side data of a decoded frame, which stays as it is."""
    wanted: set[int] = {cast("Any", kind).value for kind in _WANTED}
    unwanted = (number for number in range(_KINDS) if number not in wanted)
    graph = filter_chain(
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format,
        time_base=frame.time_base,
        # each takes off one kind
        filters=[("sidedata", f"mode=delete:type={number}") for number in unwanted],
    )
    graph.push(frame)
    attached = cast("Any", graph.pull()).side_data
    return SideData(
        *(None if (data := attached.get(kind)) is None else bytes(data) for kind in _WANTED)
    )
