"""Finds the frames that a reference can change; see `driver` for the plan it follows."""

from __future__ import annotations

from collections.abc import Collection


def influenced(
    changed: Collection[int],
    boundaries: Collection[int],
    *,
    start: int,
    stop: int,
    cuts: Collection[int] = (),
) -> set[int]:
    """The frames of [start, stop) whose masks can be others when references come, go or change.

    Between two boundaries or cuts nothing reaches the frames outside, except that what a propagator
    remembers for the whole clip (codebooks, permanent memory) would be a little richer there too.

    Args:
        changed: the frames of these references.
        boundaries: frames whose references stay and at which every walk ends or starts anew: those
            that show every object, and the empty ones.
        start: the first frame.
        stop: the frame after the last one.
        cuts: frames that begin a shot, which no walk passes.
    """
    frames: set[int] = set()
    for index in changed:
        # the last frame before it that keeps its mask: a boundary, or the end of the shot before
        low = max(
            (
                *(one for one in boundaries if one < index),
                *(cut - 1 for cut in cuts if cut <= index),
            ),
            default=start - 1,
        )
        # and the first one behind it
        high = min(
            (*(one for one in boundaries if one > index), *(cut for cut in cuts if cut > index)),
            default=stop,
        )
        frames.update(range(max(start, low + 1), min(stop, high)))
    return frames
