"""Flags frames that deviate from the clip's own statistics.

The limit of a measure is the clip's own: with the median m and the spread s = 1.4826 · MAD (the
median absolute deviation, scaled to a standard deviation; Rousseeuw and Croux, JASA 1993) of all
frames of an object, a frame stands out beyond

    m ± max(6 s, least),

so that not every frame of a clip with fast motion stands out, nor a frame of a still clip for next
to nothing. The severity of a value x is (x - m) / (limit - m): above 1 it stands out, 2 is twice as
far.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vfx_matte.measure.meter import ObjectMeasures, Series
from vfx_matte.measure.registry import MEASURES, Rule
from vfx_matte.measure.series import passing_the_border, runs_of

SPREADS = 6.0
"""A limit is so many spreads from the median: of a normal distribution hardly a frame is beyond."""

MOST_SEVERE = 10.0
"""Severities beyond it say no more."""

BRIDGED_FRAMES = 5
"""Frames that stand out and are so near each other are one finding."""

# an object that is gone is worse than most numbers that stand out
_GONE_SEVERITY = 3.0
# MAD × this is the standard deviation of a normal distribution
_MAD_TO_DEVIATION = 1.4826

Kind = str
"""What stands out: a key of `registry.MEASURES`."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One measure of one object over the clip."""

    values: Series
    """float32 (frames,), NaN where the frame does not count."""
    usual: float
    """The median; NaN without any value."""
    low: float
    """The lower limit; NaN where there is none."""
    high: float
    """The upper limit; NaN where there is none."""
    severity: Series
    """float32 (frames,), at most MOST_SEVERE; above 1 a frame stands out."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One kind of finding on one frame."""

    frame: int
    """The frame index."""
    kind: Kind
    """What stands out."""
    severity: float
    """Above 1."""
    value: float
    """Of the measure on this frame; for "gone" the first frame that lacks the object."""
    usual: float
    """The measure's median; for "gone" the frame after the last one that lacks the object."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Frames of one object that stand out, and why."""

    object_id: int
    """The object."""
    start: int
    """The first frame."""
    stop: int
    """The frame after the last one."""
    frame: int
    """The one to look at."""
    weight: float
    """The worst severity times the square root of the number of frames that stand out."""
    spots: tuple[Spot, ...]
    """The worst of each kind, the worst first."""
    frames: tuple[int, ...]
    """The frames that stand out, ascending."""

    @property
    def severity(self) -> float:
        """Of the worst spot."""
        return self.spots[0].severity


def weigh(severity: float, frames: int) -> float:
    """How much a finding matters: by its worst severity, and by how many frames stand out."""
    return severity * math.sqrt(frames)


def judge(values: Series, rule: Rule) -> Judged:
    """Compare the values of a measure with their own median and spread; see the module.

    Args:
        values: float32 (frames,), NaN where a frame does not count.
        rule: how they are judged.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        nothing = np.full(len(values), np.nan, np.float32)
        return Judged(values, math.nan, math.nan, math.nan, nothing)
    usual = float(np.median(known))
    deviation = float(np.median(np.abs(known - usual)))
    reach = max(SPREADS * _MAD_TO_DEVIATION * deviation, rule.least)
    # in limits: ±1 is the limit itself
    above = (values - usual) / reach
    severity = np.abs(above) if rule.worse == 0 else rule.worse * above
    low = usual - reach if rule.worse <= 0 else math.nan
    high = usual + reach if rule.worse >= 0 else math.nan
    return Judged(values, usual, low, high, np.minimum(severity, MOST_SEVERE).astype(np.float32))


def judge_object(measures: ObjectMeasures, shots: Sequence[range]) -> dict[Kind, Judged]:
    """Judge every measure of an object that has a rule.

    Args:
        measures: of the object.
        shots: those that have a reference mask; other frames do not count.
    """
    counts = np.zeros(len(measures.area_px), bool)
    for shot in shots:
        counts[shot.start : shot.stop] = True
    here, passing = counts & (measures.area_px > 0), passing_the_border(measures)
    judged = {}
    for kind, measure in MEASURES.items():
        if measure.rule is None or measure.series is None:
            continue
        values = measure.series(measures, shots, passing)
        counted = here & ~passing if measure.skips_passing else here
        judged[kind] = judge(np.where(counted, values, np.nan).astype(np.float32), measure.rule)
    return judged


def find_gone(
    measures: ObjectMeasures, shots: Sequence[range], *, absent: Collection[int] = ()
) -> Iterator[Spot]:
    """Frames from which an object vanishes, although it was not leaving the picture before, nor
    entering it after.

    An object that is nowhere in a shot did not vanish from it.

    Args:
        measures: of the object.
        shots: those that have a reference mask.
        absent: frames on which the user wants no object.
    """
    passing = passing_the_border(measures)
    for shot in shots:
        counts = np.zeros(len(passing), bool)
        counts[shot.start : shot.stop] = True
        counts &= ~np.isin(np.arange(len(counts)), list(absent))
        for run in runs_of(counts & (measures.area_px == 0)):
            # the frames with the object next to those without
            sides = [
                index
                for index in (run.start - 1, run.stop)
                if index in shot and measures.area_px[index] > 0
            ]
            if sides and not any(passing[index] and measures.at_border[index] for index in sides):
                yield from (
                    Spot(index, "gone", _GONE_SEVERITY, float(run.start), float(run.stop))
                    for index in run
                )


def spots(judged: Mapping[Kind, Judged]) -> Iterator[Spot]:
    """Every value beyond its limit."""
    for kind, one in judged.items():
        for frame in np.flatnonzero(one.severity > 1).tolist():
            yield Spot(frame, kind, float(one.severity[frame]), float(one.values[frame]), one.usual)


def findings(
    object_id: int,
    found: Sequence[Spot],
    *,
    shots: Sequence[range],
    painted: Collection[int],
    leaving: Collection[int] = (),
) -> list[Finding]:
    """Gather spots that are near each other (BRIDGED_FRAMES) and in one shot.

    Args:
        object_id: of the spots.
        found: the spots, in any order.
        shots: ranges of frame indices.
        painted: frames whose mask the user gave; another frame of the finding is named where
            there is one.
        leaving: frames on which the object is hardly there, at the picture's border, where a mask
            teaches little; another frame of the finding is named where there is one.

    Returns:
        Those that matter most first.
    """
    gathered = []
    for shot in shots:
        # a finding ends at a cut: what follows is another shot's
        here = sorted((one for one in found if one.frame in shot), key=lambda one: one.frame)
        groups: list[list[Spot]] = []
        for one in here:
            if groups and one.frame - groups[-1][-1].frame <= BRIDGED_FRAMES:
                groups[-1].append(one)
            else:
                groups.append([one])
        gathered += [_finding(object_id, group, shot, painted, leaving) for group in groups]
    return sorted(gathered, key=lambda one: (-one.weight, one.frame))


def _finding(
    object_id: int,
    group: Sequence[Spot],
    shot: range,
    painted: Collection[int],
    leaving: Collection[int],
) -> Finding:
    worst_of: dict[Kind, Spot] = {}
    of_frame: dict[int, float] = {}
    for one in group:
        if one.kind not in worst_of or one.severity > worst_of[one.kind].severity:
            worst_of[one.kind] = one
        of_frame[one.frame] = of_frame.get(one.frame, 0.0) + one.severity
    # the frame to look at: where most is wrong, summed over all kinds, and a mask can be painted
    frame = min(of_frame, key=lambda at: (at in painted, at in leaving, -of_frame[at], at))
    if frame in painted and any(MEASURES[one.kind].compares for one in group):
        # the painted mask is right, so the neighbour that does not fit to it is wrong
        neighbours = (frame - 1, frame + 1)
        frame = next((at for at in neighbours if at in shot and at not in painted), frame)
    reasons = tuple(sorted(worst_of.values(), key=lambda one: -one.severity))
    weight = weigh(reasons[0].severity, len(of_frame))
    start, stop = min(frame, *of_frame), max(frame, *of_frame) + 1
    return Finding(object_id, start, stop, frame, weight, reasons, tuple(sorted(of_frame)))


def merged(found: Sequence[Finding]) -> list[Finding]:
    """The findings of one object, with those that name the same frame joined into one."""
    at_frame: dict[int, Finding] = {}
    for one in found:
        other = at_frame.get(one.frame)
        at_frame[one.frame] = one if other is None else _joined(other, one)
    return list(at_frame.values())


def _joined(one: Finding, other: Finding) -> Finding:
    reasons = tuple(sorted((*one.spots, *other.spots), key=lambda spot: -spot.severity))
    frames = tuple(sorted({*one.frames, *other.frames}))
    weight = weigh(reasons[0].severity, len(frames))
    start, stop = min(one.start, other.start), max(one.stop, other.stop)
    return Finding(one.object_id, start, stop, one.frame, weight, reasons, frames)
