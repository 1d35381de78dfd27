"""Which frames a reference can change.

Takes frame indices, gives frame indices; see `driver` for the plan it follows.
"""

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
    """The frames of [start, stop) whose masks can be others when the references of the frames
    `changed` come, go or change.

    boundaries: frames whose references stay and at which every walk ends or starts anew: those that
    show every object, and the empty ones. cuts: frames that begin a shot, which no walk passes.
    Between two of these nothing reaches the frames outside, except that what a propagator remembers
    for the whole clip (vocabularies, permanent memory) would be a little richer there too.
    """
    frames: set[int] = set()
    for index in changed:
        low = max(
            (
                *(one for one in boundaries if one < index),
                *(cut - 1 for cut in cuts if cut <= index),
            ),
            default=start - 1,
        )
        high = min(
            (*(one for one in boundaries if one > index), *(cut for cut in cuts if cut > index)),
            default=stop,
        )
        frames.update(range(max(start, low + 1), min(stop, high)))
    return frames
