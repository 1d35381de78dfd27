"""Finds frames whose masks are uncertain, from the confidence that a run keeps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vfx_matte.wording import option
from vfx_matte.workspace import UNKNOWN, Ranges, to_ranges

LOW_CONFIDENCE = 78
"""Per cent, of `path_confidence`: below it a frame is uncertain.

On ten DAVIS 2016 sequences, each walked in three ways, 11 % of the built-in propagator's frames
were below before witnesses counted (`propagate.confidence`); 61 % of these overlapped the truth by
less than 0.7, and of all that overlapped by less than 0.6 44 % were below. With them it is 19 to 24
% after one mask (docs/builtin.md).
"""
# the share of what is missing to certainty that comes back with each further frame; fitted to the
# true overlaps of the same sequences, see `path_confidence`
_RECOVERY = 0.03
# gaps that are bridged, stretches that are long enough to be named, and how many are
_BRIDGED_FRAMES, _SHORTEST_FRAMES, _NAMED_STRETCHES = 5, 3, 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames of one object that are uncertain."""

    start: int
    """The first frame."""
    stop: int
    """The frame after the last one."""
    worst: int
    """The least certain one."""


def path_confidence(
    confidence: Sequence[int],
    references: Collection[int],
    *,
    first_frame: int = 0,
    cuts: Collection[int] = (),
) -> list[float]:
    """The confidence of frames, limited by that of the frames on the way from a reference: a wrong
    mask is propagated with high confidence.

    With c the confidence of a frame, k = min(c, k' + 0.03 (100 − k')), k' that of the frame before
    it on the way. Against the true overlap its rank correlation (Spearman) is 0.67, that of c alone
    0.56 (see LOW_CONFIDENCE).

    Args:
        confidence: per cent of each frame from `first_frame` on, UNKNOWN where there is none.
        references: frames with a mask of the user. Frames before the first or after the last count
            from there, those between from the nearer one. Without any, nothing is limited.
        first_frame: the frame index of the first value.
        cuts: frames that begin a shot; values of one shot do not limit those of another.

    Returns:
        One value per frame; UNKNOWN stays.
    """
    end = first_frame + len(confidence)
    # references outside of the range count as well: walks come from them
    beyond = max((end, *references)) + 1
    limited = [float(value) for value in confidence]
    for origin in references:
        # the reference's shot, and the other references in it
        low = max((cut for cut in cuts if cut <= origin), default=0)
        high = min((cut for cut in cuts if cut > origin), default=beyond)
        rivals = [one for one in references if low <= one < high]
        # forward, then backward, as far as this reference is the nearest one
        for way in (
            range(origin + 1, min(end, high)),
            range(min(origin, end) - 1, max(first_frame, low) - 1, -1),
        ):
            before = 100.0
            for frame in way:
                # beyond the middle another reference is nearer, whose own walk limits the frames
                # there
                if min((abs(other - frame), other) for other in rivals)[1] != origin:
                    break
                index = frame - first_frame
                if index >= 0 and confidence[index] != UNKNOWN:
                    before = limited[index] = min(
                        confidence[index], before + _RECOVERY * (100.0 - before)
                    )
    return limited


def uncertain_stretches(
    confidence: Sequence[int],
    references: Collection[int] = (),
    *,
    first_frame: int = 0,
    cuts: Collection[int] = (),
) -> list[Stretch]:
    """Find the uncertain frames of one object, as stretches.

    Arguments are those of `path_confidence`, which decides. Gaps of a few frames are bridged, and
    stretches of one or two frames left out.
    """
    limited = path_confidence(confidence, references, first_frame=first_frame, cuts=cuts)
    low = [index for index, value in enumerate(limited) if UNKNOWN < value < LOW_CONFIDENCE]
    # a stretch with a few sure frames in it is one place to look at, not two
    bridged = [
        index
        for start, stop in itertools.pairwise(low)
        if stop - start <= _BRIDGED_FRAMES
        for index in range(start, stop)
    ]
    found = []
    for start, stop in to_ranges([*low, *bridged]):
        known = [index for index in range(start, stop) if confidence[index] != UNKNOWN]
        if stop - start >= _SHORTEST_FRAMES:
            worst = min(known, key=lambda index: confidence[index])
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
    """Notices about frames that should be looked at.

    Args:
        confidence: object id → per cent of each frame from `first_frame` on.
        unseen: object id → the frames of this run without it.
        references: frames with a mask of the user.
        first_frame: the frame index of the first value.
        cuts: frames that begin a shot.
        number: what people call the frame with an index, see `Timeline.number`.
    """
    for object_id, indices in unseen.items():
        if len(indices) == 1:
            missed = number(indices[0])
            yield (
                f"object {object_id} is not seen on frame {missed}; if it is there, give a mask of"
                f" it: {option('mask', f'{missed}=mask.png')}"
            )
        elif indices:
            start, stop = _longest(to_ranges(indices))
            yield (
                f"object {object_id} is not seen on {len(indices)} frames, {number(start)} to"
                f" {number(stop - 1)} the longest stretch; if it is there, give a mask of one of"
                f" them: {option('mask', f'{number((start + stop) // 2)}=mask.png')}"
            )
    for object_id, values in confidence.items():
        # the longest ones first, as they are what a single further mask mends most of
        stretches = sorted(
            uncertain_stretches(values, references, first_frame=first_frame, cuts=cuts),
            key=lambda stretch: stretch.start - stretch.stop,
        )
        # the longest ones, in the order of the clip
        for one in sorted(stretches[:_NAMED_STRETCHES], key=lambda one: one.start):
            yield (
                f"object {object_id} is uncertain on frames {number(one.start)} to"
                f" {number(one.stop - 1)}: look there, and if it is wrong add a mask near frame"
                f" {number(one.worst)}: {option('mask', f'{number(one.worst)}=mask.png')}"
            )


def _longest(ranges: Ranges) -> tuple[int, int]:
    return max(ranges, key=lambda span: span[1] - span[0])
