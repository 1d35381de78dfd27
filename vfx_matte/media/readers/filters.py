"""Chains of FFmpeg's filters, for what PyAV has no other way to."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import av
import av.filter


def filter_chain(
    *,
    width: int,
    height: int,
    pixel_format: av.VideoFormat,
    time_base: Fraction | None,
    filters: Iterable[tuple[str, str]],
) -> av.filter.Graph:
    """A graph that passes frames through one filter after the other.

    Args:
        width: of the frames.
        height: of the frames.
        pixel_format: of the frames.
        time_base: of the frames; None where they have none, which no filter here minds.
        filters: names with their arguments.
    """
    graph = av.filter.Graph()
    # threads cost more than they save where no filter computes anything
    graph.threads = 1
    last = graph.add_buffer(
        width=width, height=height, format=pixel_format, time_base=time_base or Fraction(1, 1000)
    )
    for name, arguments in (*filters, ("buffersink", "")):
        following = graph.add(name, arguments)
        last.link_to(following)
        last = following
    graph.configure()
    return graph
