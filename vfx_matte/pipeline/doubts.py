"""Where masks want another look. Takes what a run knows about its frames, gives lines for people; never reads a mask."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vfx_matte.workspace import UNKNOWN, Ranges, to_ranges

LOW_CONFIDENCE = 75
"""Per cent. Of the built-in propagator's frames below it on ten DAVIS 2016 sequences 58 % overlap the truth by less than
0.6, and they are 77 % of all such frames."""
_BRIDGED_FRAMES, _SHORTEST_FRAMES, _NAMED_STRETCHES = 5, 3, 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames [start, stop) of one object that are uncertain; worst is the least certain of them."""

    start: int
    stop: int
    worst: int


def uncertain_stretches(confidence: Sequence[int], *, first_frame: int = 0) -> list[Stretch]:
    """Find the uncertain frames of one object, as stretches.

    confidence: per cent of each frame from `first_frame` on, UNKNOWN where there is none. Gaps of a few frames are bridged,
    and stretches of one or two frames left out.
    """
    low = [at for at, value in enumerate(confidence) if UNKNOWN < value < LOW_CONFIDENCE]
    bridged = [at for one, two in itertools.pairwise(low) if two - one <= _BRIDGED_FRAMES for at in range(one, two)]
    found = []
    for start, stop in to_ranges([*low, *bridged]):
        known = [at for at in range(start, stop) if confidence[at] != UNKNOWN]
        if stop - start >= _SHORTEST_FRAMES:
            worst = min(known, key=lambda at: confidence[at])
            found.append(Stretch(start + first_frame, stop + first_frame, worst + first_frame))
    return found


def doubts(confidence: Mapping[int, Sequence[int]], unseen: Mapping[int, Sequence[int]], *, first_frame: int) -> Iterator[str]:
    """One line for each thing to look at. unseen: for each object id, the frames of this run without it."""
    for object_id, indices in unseen.items():
        if indices:
            start, stop = _longest(to_ranges(indices))
            yield (
                f"object {object_id} is not seen on {len(indices)} frames, {start} to {stop - 1} the longest stretch;"
                f" if it is there, give a mask of one of them: --mask {(start + stop) // 2}=mask.png"
            )
    for object_id, values in confidence.items():
        stretches = sorted(uncertain_stretches(values, first_frame=first_frame), key=lambda one: one.start - one.stop)
        for one in sorted(stretches[:_NAMED_STRETCHES], key=lambda one: one.start):
            yield (
                f"object {object_id} is uncertain on frames {one.start} to {one.stop - 1}:"
                f" look there, and if it is wrong add a mask near frame {one.worst}: --mask {one.worst}=mask.png"
            )


def _longest(ranges: Ranges) -> tuple[int, int]:
    return max(ranges, key=lambda span: span[1] - span[0])
