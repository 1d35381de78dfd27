"""Finds frames whose masks are uncertain, from the confidence that a run keeps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vfx_matte.measure.judge import weigh
from vfx_matte.wording import command, option
from vfx_matte.workspace import UNKNOWN, Ranges, to_ranges

LOW_CONFIDENCE = 78
"""Per cent, of `path_confidence`: below it a frame is uncertain.

On ten DAVIS 2016 sequences, each walked in three ways, 11 % of the built-in propagator's frames
were below before witnesses counted (`propagate.confidence`); 61 % of these overlapped the truth by
less than 0.7, and of all that overlapped by less than 0.6 44 % were below. With them it is 19 to 21
% after one mask (docs/builtin.md).
"""
_SEVERITY_STEP = 25.0
"""Per cent below LOW_CONFIDENCE that raise the severity by 1: nothing expected to be right (0 %)
weighs about as much as three times a limit.
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
    weight: float
    """How much it matters, as findings of `qc` are ranked: `measure.judge.weigh` of the severity of
    the worst frame and the number of uncertain ones.
    """


def severity(confidence: float) -> float:
    """How bad a confidence below LOW_CONFIDENCE is, per cent, on the scale of `measure.judge`."""
    return 1 + (LOW_CONFIDENCE - confidence) / _SEVERITY_STEP


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


def bridged(places: Sequence[int], gap: int) -> Ranges:
    """Ascending places as half-open ranges; those that are at most `gap` apart are in one."""
    between = [
        place
        for one, other in itertools.pairwise(places)
        if other - one <= gap
        for place in range(one, other)
    ]
    return to_ranges([*places, *between])


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
    found = []
    for start, stop in bridged(low, _BRIDGED_FRAMES):
        if stop - start < _SHORTEST_FRAMES:
            continue
        known = [index for index in range(start, stop) if UNKNOWN < limited[index] < LOW_CONFIDENCE]
        worst = min(known, key=lambda index: limited[index])
        weight = weigh(severity(limited[worst]), len(known))
        found.append(Stretch(start + first_frame, stop + first_frame, worst + first_frame, weight))
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
    """Notices about frames that should be looked at, those that matter most first.

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
    found = []
    for object_id, values in confidence.items():
        # of frames that do not show it is spoken above
        seen = list(values)
        for index in unseen.get(object_id, ()):
            seen[index - first_frame] = UNKNOWN
        stretches = uncertain_stretches(seen, references, first_frame=first_frame, cuts=cuts)
        stretches.sort(key=lambda one: -one.weight)
        found += [(one, object_id) for one in stretches[:_NAMED_STRETCHES]]
    for one, object_id in sorted(found, key=lambda pair: (-pair[0].weight, pair[0].start)):
        yield (
            f"object {object_id} is uncertain on frames {number(one.start)} to"
            f" {number(one.stop - 1)}: look there, and if it is wrong add a mask near frame"
            f" {number(one.worst)}: {option('mask', f'{number(one.worst)}=mask.png')}"
        )
    if found:
        yield (
            f"these are what the run itself doubts, the most first; {command('qc')} measures the"
            " masks, too, and ranks both together"
        )


def _longest(ranges: Ranges) -> tuple[int, int]:
    return max(ranges, key=lambda span: span[1] - span[0])
