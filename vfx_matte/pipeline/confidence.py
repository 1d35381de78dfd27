"""Where masks want another look.

Takes what a run knows about its frames, gives lines for people; never reads a mask.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vfx_matte.wording import option
from vfx_matte.workspace import UNKNOWN, Ranges, to_ranges

LOW_CONFIDENCE = 78
"""Per cent, of `carried_confidence`.

On ten DAVIS 2016 sequences, each walked in three ways, 11 % of the built-in propagator's frames
were below before witnesses counted (`propagate.confidence`); 61 % of these overlapped the truth by
less than 0.7, and of all that overlapped by less than 0.6 44 % were below. With them it is 19 to 24
% after one mask (docs/builtin.md).
"""
_RECOVERY = 0.03
"""Share of what is missing to certainty that comes back with each further frame."""
_BRIDGED_FRAMES, _SHORTEST_FRAMES, _NAMED_STRETCHES = 5, 3, 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames [start, stop) of one object that are uncertain; worst is the least certain of them."""

    start: int
    stop: int
    worst: int


def carried_confidence(
    confidence: Sequence[int],
    references: Collection[int],
    *,
    first_frame: int = 0,
    cuts: Collection[int] = (),
) -> list[float]:
    """How sure frames are when what happened on the way to them counts: a mask that went wrong is
    carried on, and surely.

    confidence: per cent of each frame from `first_frame` on, UNKNOWN where there is none.
    references: frames with a mask of the user; frames before the first or after the last count from
    there, those between from the nearer one. cuts: frames that begin a shot; nothing is carried
    from one shot to another.
    With c the confidence of a frame, k = min(c, k' + 0.03 (100 − k')), k' that of the frame before
    it on the way. Against the true overlap its rank correlation (Spearman) is 0.67, that of c alone
    0.56 (see LOW_CONFIDENCE). UNKNOWN stays, and without references everything does.
    """
    end = first_frame + len(confidence)
    beyond = max((end, *references)) + 1
    carried = [float(value) for value in confidence]
    for origin in references:
        low = max((cut for cut in cuts if cut <= origin), default=0)
        high = min((cut for cut in cuts if cut > origin), default=beyond)
        rivals = [one for one in references if low <= one < high]
        for way in (
            range(origin + 1, min(end, high)),
            range(min(origin, end) - 1, max(first_frame, low) - 1, -1),
        ):
            before = 100.0
            for frame in way:
                if min((abs(one - frame), one) for one in rivals)[1] != origin:
                    break
                at = frame - first_frame
                if at >= 0 and confidence[at] != UNKNOWN:
                    before = carried[at] = min(
                        confidence[at], before + _RECOVERY * (100.0 - before)
                    )
    return carried


def uncertain_stretches(
    confidence: Sequence[int],
    references: Collection[int] = (),
    *,
    first_frame: int = 0,
    cuts: Collection[int] = (),
) -> list[Stretch]:
    """Find the uncertain frames of one object, as stretches.

    Arguments are those of `carried_confidence`, which decides. Gaps of a few frames are bridged,
    and stretches of one or two frames left out.
    """
    carried = carried_confidence(confidence, references, first_frame=first_frame, cuts=cuts)
    low = [at for at, value in enumerate(carried) if UNKNOWN < value < LOW_CONFIDENCE]
    bridged = [
        at
        for one, two in itertools.pairwise(low)
        if two - one <= _BRIDGED_FRAMES
        for at in range(one, two)
    ]
    found = []
    for start, stop in to_ranges([*low, *bridged]):
        known = [at for at in range(start, stop) if confidence[at] != UNKNOWN]
        if stop - start >= _SHORTEST_FRAMES:
            worst = min(known, key=lambda at: confidence[at])
            found.append(Stretch(start + first_frame, stop + first_frame, worst + first_frame))
    return found


def doubts(
    confidence: Mapping[int, Sequence[int]],
    unseen: Mapping[int, Sequence[int]],
    references: Collection[int],
    *,
    first_frame: int,
    cuts: Collection[int] = (),
    number: Callable[[int], int] = int,
) -> Iterator[str]:
    """One line for each thing to look at.

    unseen: for each object id, the frames of this run without it.

    number: what people call a frame, see `Timeline.number`.
    """
    for object_id, indices in unseen.items():
        if indices:
            start, stop = _longest(to_ranges(indices))
            yield (
                f"object {object_id} is not seen on {len(indices)} frames, {number(start)} to"
                f" {number(stop - 1)} the longest stretch; if it is there, give a mask of one of"
                f" them: {option('mask', f'{number((start + stop) // 2)}=mask.png')}"
            )
    for object_id, values in confidence.items():
        stretches = sorted(
            uncertain_stretches(values, references, first_frame=first_frame, cuts=cuts),
            key=lambda one: one.start - one.stop,
        )
        for one in sorted(stretches[:_NAMED_STRETCHES], key=lambda one: one.start):
            yield (
                f"object {object_id} is uncertain on frames {number(one.start)} to"
                f" {number(one.stop - 1)}: look there, and if it is wrong add a mask near frame"
                f" {number(one.worst)}: {option('mask', f'{number(one.worst)}=mask.png')}"
            )


def _longest(ranges: Ranges) -> tuple[int, int]:
    return max(ranges, key=lambda span: span[1] - span[0])
