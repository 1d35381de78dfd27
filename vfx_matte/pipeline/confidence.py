"""Finds frames whose masks are uncertain, from the confidence that a run keeps."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vfx_matte.masks import Mask
from vfx_matte.measure.judge import weigh
from vfx_matte.measure.measures import Sight, sights
from vfx_matte.measure.series import PASSING_SHARE, least_there
from vfx_matte.pipeline.sampling import evenly
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
# how large an object usually is, is asked of so many frames
_SAMPLED_FRAMES = 120


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


class ObjectsInSight:
    """How much of each object the masks of a run show, read where it has to be known.

    Args:
        span: the frames of the run.
        load: the mask of a frame by its index, uint8 (H, W); None where it has none.
    """

    def __init__(self, span: Sequence[int], load: Callable[[int], Mask | None]) -> None:
        self._span, self._load = span, load
        self._frames: dict[int, dict[int, Sight]] = {}
        self._usual: dict[int, float] = {}
        self._picture = (1, 1)

    def note(self, index: int, mask: Mask) -> Collection[int]:
        """Keep what a frame shows, so that its mask need not be read again; returns the objects
        that are on it.
        """
        self._picture = mask.shape[0], mask.shape[1]
        self._frames[index] = sights(mask)
        return self._frames[index].keys()

    def is_small(self, object_id: int, index: int) -> bool:
        """Whether an object is hardly there, see `hardly_there`."""
        area = self._of(object_id, index).area_px
        return 0 < area < least_there(self._usual_px(object_id), self._picture)

    def is_leaving(self, object_id: int, index: int) -> bool:
        """Whether it is hardly there, at the picture's border."""
        return self._of(object_id, index).at_border and self.is_small(object_id, index)

    def is_passing(self, object_id: int, index: int) -> bool:
        """Whether an object may be entering or leaving the picture, see `passing_the_border`."""
        sight = self._of(object_id, index)
        return sight.at_border and sight.area_px < PASSING_SHARE * self._usual_px(object_id)

    def is_little(self, object_id: int, index: int) -> bool:
        """Whether a frame may show a part of an object only."""
        return self.is_small(object_id, index) or self.is_passing(object_id, index)

    def _of(self, object_id: int, index: int) -> Sight:
        if index not in self._frames:
            mask = self._load(index) if index in self._span else None
            if mask is None:
                self._frames[index] = {}
            else:
                self.note(index, mask)
        return self._frames[index].get(object_id, Sight(0, False))

    def _usual_px(self, object_id: int) -> float:
        if object_id not in self._usual:
            sampled = evenly(self._span, _SAMPLED_FRAMES)
            areas = [self._of(object_id, index).area_px for index in sampled]
            self._usual[object_id] = float(np.median([area for area in areas if area] or [0]))
        return self._usual[object_id]


def uncertain_stretches(
    confidence: Sequence[int],
    references: Collection[int] = (),
    *,
    first_frame: int = 0,
    cuts: Collection[int] = (),
    is_leaving: Callable[[int], bool] = lambda _: False,
    is_little: Callable[[int], bool] = lambda _: False,
) -> list[Stretch]:
    """Find the uncertain frames of one object, as stretches.

    `path_confidence` decides. Gaps of a few frames are bridged, and stretches of one or two frames
    left out.

    Args:
        confidence: as for `path_confidence`.
        references: as for `path_confidence`.
        first_frame: as for `path_confidence`.
        cuts: as for `path_confidence`.
        is_leaving: whether the object is hardly there, at the picture's border; such frames do not
            count.
        is_little: whether a frame may show a part of the object only; another one is the one to
            look at where there is one.
    """
    limited = path_confidence(confidence, references, first_frame=first_frame, cuts=cuts)
    low = [index for index, value in enumerate(limited) if UNKNOWN < value < LOW_CONFIDENCE]
    # a stretch with a few sure frames in it is one place to look at, not two
    found = []
    for start, stop in bridged(low, _BRIDGED_FRAMES):
        if stop - start < _SHORTEST_FRAMES:
            continue
        known = [
            index
            for index in range(start, stop)
            if UNKNOWN < limited[index] < LOW_CONFIDENCE and not is_leaving(index + first_frame)
        ]
        if not known:
            continue
        worst = min(known, key=lambda index: (is_little(index + first_frame), limited[index]))
        weight = weigh(severity(limited[worst]), len(known))
        found.append(Stretch(start + first_frame, stop + first_frame, worst + first_frame, weight))
    return found


def doubts(
    confidence: Mapping[int, Sequence[int]],
    unseen: Mapping[int, Sequence[int]],
    references: Mapping[int, Collection[int]],
    *,
    first_frame: int,
    cuts: Collection[int] = (),
    number: Callable[[int], int] = int,
    in_sight: ObjectsInSight | None = None,
) -> Iterator[str]:
    """Notices about frames that should be looked at, those that matter most first.

    Args:
        confidence: object id → per cent of each frame from `first_frame` on.
        unseen: object id → the frames of this run without it.
        references: object id → frames with a mask of the user, see `Manifest.references_of`.
        first_frame: the frame index of the first value.
        cuts: frames that begin a shot.
        number: what people call the frame with an index, see `Timeline.number`.
        in_sight: what the masks show; None = nothing is known of it.
    """
    if in_sight is None:
        in_sight = ObjectsInSight((), lambda _: None)
    for object_id, frames in unseen.items():
        stretches = to_ranges(frames)
        left = [one for one in stretches if _borders_on_passing(object_id, one, cuts, in_sight)]
        for start, stop in sorted(sorted(left, key=lambda one: one[0] - one[1])[:_NAMED_STRETCHES]):
            if stop - start == 1:
                yield (
                    f"object {object_id} is not seen on frame {number(start)}: it leaves the"
                    " picture or enters it there"
                )
            else:
                yield (
                    f"object {object_id} is not seen on frames {number(start)} to"
                    f" {number(stop - 1)}: it leaves the picture or enters it there"
                )
        indices = [at for one in stretches if one not in left for at in range(*one)]
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
        doubtful = uncertain_stretches(
            seen,
            references.get(object_id, ()),
            first_frame=first_frame,
            cuts=cuts,
            is_leaving=functools.partial(in_sight.is_leaving, object_id),
            is_little=functools.partial(in_sight.is_little, object_id),
        )
        doubtful.sort(key=lambda one: -one.weight)
        found += [(one, object_id) for one in doubtful[:_NAMED_STRETCHES]]
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


def _borders_on_passing(
    object_id: int, frames: tuple[int, int], cuts: Collection[int], in_sight: ObjectsInSight
) -> bool:
    """Whether an object leaves the picture just before frames without it, or enters it after."""
    start, stop = frames
    # the frame after a cut is of another shot
    sides = [at for at, first in ((start - 1, start), (stop, stop)) if first not in cuts]
    return any(in_sight.is_passing(object_id, at) for at in sides)


def _longest(ranges: Ranges) -> tuple[int, int]:
    return max(ranges, key=lambda span: span[1] - span[0])
