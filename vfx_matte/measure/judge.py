"""What stands out of a clip's own habit.

Takes a number a frame, gives how far each is beyond its limit; never looks at a mask.

The limit of a measure is the clip's own: with the median m and the spread s = 1.4826 · MAD (the
median absolute deviation, scaled to a standard deviation; Rousseeuw and Croux, JASA 1993) of all
frames of an object, a frame stands out beyond

    m ± max(6 s, least),

so that a clip of fast motion is not bad everywhere, and one that stands still is not bad for
nothing. The severity of a value x is (x - m) / (limit - m): above 1 it stands out, 2 is twice as
far.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vfx_matte.measure.measures import Bools
from vfx_matte.measure.meter import ObjectMeasures, Series

SPREADS = 6.0
BEFORE_FRAMES = 5
"""A jump of area is measured against the median of so many frames before."""

MOST_SEVERE = 10.0
_GONE_SEVERITY = 3.0
BRIDGED_FRAMES = 5
PASSING_SHARE = 0.6
"""See `passing_the_border`."""

Kind = Literal[
    "area",
    "overlap",
    "holes",
    "specks",
    "flicker",
    "edge_agreement",
    "edge_width",
    "gone",
    "confidence",
    "crossing",
]


@dataclass(frozen=True, slots=True)
class Rule:
    """How one measure is judged.

    worse: 1 = high values are bad, -1 = low ones, 0 = both. least: see the module.
    """

    kind: Kind
    worse: Literal[-1, 0, 1]
    least: float


RULES = (
    Rule("area", 0, math.log(1.2)),
    Rule("overlap", -1, 0.12),
    Rule("holes", 1, 0.01),
    Rule("specks", 1, 0.01),
    Rule("flicker", 1, 0.05),
    Rule("edge_agreement", -1, 0.12),
    Rule("edge_width", 1, 3.0),
)
"""Areas are natural logarithms of ratios; holes, specks and flicker parts of the object's area;
widths pixels of the source.
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """One measure of one object over the clip: values, their median and limits (NaN where there is
    none), severities.

    values, severity: float32 (frames,), NaN where the frame does not count; severity ≤ MOST_SEVERE.
    """

    rule: Rule
    values: Series
    usual: float
    low: float
    high: float
    severity: Series


@dataclass(frozen=True, slots=True)
class Spot:
    """One reason on one frame. severity > 1.

    value, usual: of the measure; for "gone" the first and the last frame + 1.
    """

    frame: int
    kind: Kind
    severity: float
    value: float
    usual: float


@dataclass(frozen=True, slots=True)
class Finding:
    """Frames [start, stop) of one object that stand out, and why; spots: the worst of each kind,
    the worst first.

    frame: the one to look at. weight: its worst severity times the square root of how many frames
    stand out; frames: those.
    """

    object_id: int
    start: int
    stop: int
    frame: int
    weight: float
    spots: tuple[Spot, ...]
    frames: tuple[int, ...]

    @property
    def severity(self) -> float:
        """Of the worst spot."""
        return self.spots[0].severity


def judge(values: Series, rule: Rule) -> Judged:
    """Compare a measure with the clip's own habit.

    values: float32 (frames,), NaN where a frame does not count.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        nothing = np.full(len(values), np.nan, np.float32)
        return Judged(rule, values, math.nan, math.nan, math.nan, nothing)
    usual = float(np.median(known))
    reach = max(SPREADS * 1.4826 * float(np.median(np.abs(known - usual))), rule.least)
    above = (values - usual) / reach
    severity = np.abs(above) if rule.worse == 0 else rule.worse * above
    low = usual - reach if rule.worse <= 0 else math.nan
    high = usual + reach if rule.worse >= 0 else math.nan
    return Judged(
        rule, values, usual, low, high, np.minimum(severity, MOST_SEVERE).astype(np.float32)
    )


def judge_object(measures: ObjectMeasures, shots: Sequence[range]) -> dict[Kind, Judged]:
    """Judge every measure of an object.

    shots: those that have a reference mask; other frames do not count.
    """
    counts = np.zeros(len(measures.area_px), bool)
    for shot in shots:
        counts[shot.start : shot.stop] = True
    here = counts & (measures.area_px > 0)
    passing = passing_the_border(measures)
    area = np.where(here, measures.area_px, np.nan).astype(np.float32)
    series: Mapping[Kind, Series] = {
        "area": area_changes(np.where(passing, np.nan, area).astype(np.float32), shots),
        "overlap": measures.overlap,
        "holes": measures.holes_px / area,
        "specks": measures.specks_px / area,
        "flicker": measures.flicker_px / area,
        "edge_agreement": measures.edge_agreement,
        "edge_width": measures.edge_width_px,
    }
    judged = {}
    for rule in RULES:
        counted = here & ~passing if rule.kind in ("area", "overlap") else here
        judged[rule.kind] = judge(
            np.where(counted, series[rule.kind], np.nan).astype(np.float32), rule
        )
    return judged


def passing_the_border(measures: ObjectMeasures) -> Bools:
    """Frames on which an object comes into the picture or leaves it, so that its area has to jump:
    bool (frames,).

    It touches the border, has less than PASSING_SHARE of its usual area, and is not there at all
    just before or after; and it goes on growing away from there while it touches. One that always
    touches, a cropped person, does not pass.
    """
    area = np.nan_to_num(measures.area_px)
    if not area.any():
        return np.zeros(len(area), bool)
    border = np.nan_to_num(measures.at_border) > 0
    little = (area < PASSING_SHARE * np.median(area[area > 0])) & (border | (area == 0))
    passing: Bools = np.zeros(len(area), bool)
    for run in runs_of(little):
        at_an_end = run.start == 0 or run.stop == len(area)
        if at_an_end or not area[run.start : run.stop].all():
            passing[run.start : run.stop] = True
            for order in (range(run.stop, len(area)), range(run.start - 1, -1, -1)):
                for at in order:
                    if not (border[at] and area[at] > area[at - order.step] > 0):
                        break
                    passing[at] = True
    return passing


def runs_of(chosen: Bools) -> Iterator[range]:
    """The stretches of frames that are True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    yield from (
        range(start, stop)
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    )


def area_changes(area_px: Series, shots: Sequence[range]) -> Series:
    """Logarithm of each frame's area over the median of the BEFORE_FRAMES frames before in its
    shot; NaN without both.
    """
    changes = np.full(len(area_px), np.nan, np.float32)
    for shot in shots:
        for at in shot:
            before = area_px[max(shot.start, at - BEFORE_FRAMES) : at]
            before = before[before > 0]
            if len(before) and area_px[at] > 0:
                changes[at] = math.log(area_px[at] / float(np.median(before)))
    return changes


def gone(measures: ObjectMeasures, shots: Sequence[range]) -> Iterator[Spot]:
    """Where an object vanishes although it was not about to leave the picture before, nor came into
    it after.

    An object that was never there in a shot did not vanish from it.
    """
    passing = passing_the_border(measures)
    for shot in shots:
        counts = np.zeros(len(passing), bool)
        counts[shot.start : shot.stop] = True
        for run in runs_of(counts & (measures.area_px == 0)):
            sides = [
                at for at in (run.start - 1, run.stop) if at in shot and measures.area_px[at] > 0
            ]
            if sides and not any(passing[at] and measures.at_border[at] for at in sides):
                yield from (
                    Spot(at, "gone", _GONE_SEVERITY, float(run.start), float(run.stop))
                    for at in run
                )


def spots(judged: Mapping[Kind, Judged]) -> Iterator[Spot]:
    """Everything beyond its limit."""
    for kind, one in judged.items():
        for frame in np.flatnonzero(one.severity > 1).tolist():
            yield Spot(frame, kind, float(one.severity[frame]), float(one.values[frame]), one.usual)


def findings(
    object_id: int, found: Sequence[Spot], *, shots: Sequence[range], avoid: frozenset[int]
) -> list[Finding]:
    """Gather spots that are near each other (BRIDGED_FRAMES) and in one shot, the ones that matter
    most first.

    avoid: frames whose mask was painted, so that another one of the finding is named where there is
    one.
    """
    gathered = []
    for shot in shots:
        here = sorted((one for one in found if one.frame in shot), key=lambda one: one.frame)
        groups: list[list[Spot]] = []
        for one in here:
            if groups and one.frame - groups[-1][-1].frame <= BRIDGED_FRAMES:
                groups[-1].append(one)
            else:
                groups.append([one])
        gathered += [_finding(object_id, group, shot, avoid) for group in groups]
    return sorted(gathered, key=lambda one: (-one.weight, one.frame))


def _finding(object_id: int, group: Sequence[Spot], shot: range, avoid: frozenset[int]) -> Finding:
    worst_of: dict[Kind, Spot] = {}
    of_frame: dict[int, float] = {}
    for one in group:
        if one.kind not in worst_of or one.severity > worst_of[one.kind].severity:
            worst_of[one.kind] = one
        of_frame[one.frame] = of_frame.get(one.frame, 0.0) + one.severity
    free = {frame: total for frame, total in of_frame.items() if frame not in avoid} or of_frame
    frame = max(free, key=lambda at: free[at])
    if frame in avoid:  # the painted mask is right, so what does not fit to it is beside it
        frame = next((at for at in (frame - 1, frame + 1) if at in shot and at not in avoid), frame)
    reasons = tuple(sorted(worst_of.values(), key=lambda one: -one.severity))
    weight = reasons[0].severity * math.sqrt(len(of_frame))
    start, stop = min(frame, *of_frame), max(frame, *of_frame) + 1
    return Finding(object_id, start, stop, frame, weight, reasons, tuple(sorted(of_frame)))


def merged(found: Sequence[Finding]) -> list[Finding]:
    """One finding where several of an object name the same frame."""
    at_frame: dict[int, Finding] = {}
    for one in found:
        other = at_frame.get(one.frame)
        at_frame[one.frame] = one if other is None else _joined(other, one)
    return list(at_frame.values())


def _joined(one: Finding, other: Finding) -> Finding:
    reasons = tuple(sorted((*one.spots, *other.spots), key=lambda spot: -spot.severity))
    frames = tuple(sorted({*one.frames, *other.frames}))
    weight = reasons[0].severity * math.sqrt(len(frames))
    start, stop = min(one.start, other.start), max(one.stop, other.stop)
    return Finding(one.object_id, start, stop, one.frame, weight, reasons, frames)
