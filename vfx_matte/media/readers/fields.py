"""Finds out whether frames hold two fields, and their order, where the stream does not say."""

from __future__ import annotations

import av

from vfx_matte.media.readers.filters import filter_chain

UNKNOWN = "unknown"
EXAMINED_FRAMES = 5
"""How many frames are examined for fields where the stream says nothing; not every frame of such a
clip has two.
"""

_PROGRESSIVE = "progressive"
# formats that can hold fields at all
_HAVE_FIELDS = frozenset(
    {"h264", "mpeg2video", "vc1", "dvvideo", "mjpeg", "prores", "ffv1", "rawvideo", "hevc"}
)


def needs_frames(codec: str, stated: str) -> bool:
    """Whether more frames than the first have to be examined.

    Args:
        codec: of the stream.
        stated: what the stream says, one of probe.FIELD_ORDERS.
    """
    return stated == UNKNOWN and codec in _HAVE_FIELDS


def resolve_field_order(stated: str, frames: list[av.VideoFrame]) -> str:
    """The field order of a clip, as in probe.FIELD_ORDERS.

    DV and some H.264 and MPEG-2 say it on their frames alone. What a stream says of fields counts:
    it is what players and editing programs go by.

    Args:
        stated: by its stream.
        frames: its first ones, as decoded.
    """
    # one interlaced frame among the first is enough
    interlaced = next((frame for frame in frames if frame.interlaced_frame), None)
    if stated not in (UNKNOWN, _PROGRESSIVE) or interlaced is None:
        return stated
    return "tt" if _is_top_first(interlaced) else "bb"


def _is_top_first(frame: av.VideoFrame) -> bool:
    """Which field of an interlaced frame is shown first; PyAV tells it only through a filter."""
    graph = filter_chain(
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format,
        time_base=frame.time_base,
        # lets a frame through when its top field comes first
        filters=[("select", "eq(interlace_type\\,TOPFIRST)")],
    )
    graph.push(frame)
    try:
        graph.pull()
    except (BlockingIOError, EOFError):
        return False
    return True
