"""The registry of QC measures: one entry per kind of finding.

An entry holds all that the rest needs: what is measured, how it is judged, how it is drawn, and
what people are told about it. A new measure is a number per frame in `meter`, and an entry here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from vfx_matte.measure.measures import Bools
from vfx_matte.measure.meter import ObjectMeasures, Series
from vfx_matte.measure.series import area_changes
from vfx_matte.wording import option

if TYPE_CHECKING:
    from vfx_matte.measure.judge import Finding, Kind, Spot

FrameNumber = Callable[[int], int]
"""What people call the frame with an index, see `Timeline.number`."""

Drawn = npt.NDArray[np.float64]
"""float64 (frames,): the values of a curve, NaN where there is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How the values of a measure are judged, see `judge`."""

    worse: Literal[-1, 0, 1]
    """1 = high values are bad, -1 = low ones, 0 = both."""
    least: float
    """The least distance from the median that stands out, in the measure's unit."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How a measure is drawn over the clip."""

    label: str
    """The curve's title."""
    explanation: str
    """What is drawn, in a few words."""
    values: Callable[[ObjectMeasures, int], Drawn] | None
    """Of (measures, pixels of the picture), in `unit`; None where the measures do not hold it."""
    unit: Literal["%", "px"] = "%"
    """Of the values; limits of ratios are multiplied by 100 for "%"."""
    digits: int = 0
    """Decimal places of a value."""
    span: tuple[float, float] | None = None
    """The ends of the scale; None = as the values are."""
    has_limits: bool = True
    """Whether the rule's limits are drawn: not where the curve shows other values."""

    @property
    def shown(self) -> str:
        """The format of a value."""
        return f"{{:.{self.digits}f}} {self.unit}"


@dataclass(frozen=True, slots=True)
class QcMeasure:
    """One kind of finding."""

    title: str
    """In a few words, for the contact sheet."""
    reason: Callable[[Spot, ObjectMeasures, FrameNumber], str]
    """The end of a sentence about an object, for one spot."""
    rule: Rule | None = None
    """How it is judged; None for kinds that are found in another way than by a limit."""
    series: Callable[[ObjectMeasures, Sequence[range], Bools], Series] | None = None
    """What is judged: of (measures, shots, frames on which the object passes the border) float32
    (frames,).
    """
    skips_passing: bool = False
    """Whether frames on which the object passes the border do not count."""
    curve: Curve | None = None
    """How it is drawn; None = not at all."""
    advice: Callable[[int], str] | None = None
    """What to do about a finding of this kind alone, of the frame's number; None = paint a mask."""
    overrides: bool = False
    """Whether its advice counts whatever else was found."""
    repair: tuple[str, Callable[[ObjectMeasures], Series]] | None = None
    """(option of renders that removes it, the area of the largest that it may remove, 0 = none)."""
    repaired_along: Mapping[str, Callable[[ObjectMeasures], Series]] = field(default_factory=dict)
    """Option of renders → the part of it, 0 … 1, that goes where that option repairs others."""
    compares: bool = False
    """Whether it says that a frame does not fit to its neighbours, either of which may be wrong."""


def describe(spot: Spot, measures: ObjectMeasures, frame_number: FrameNumber = int) -> str:
    """One spot, as the end of a sentence about its object."""
    return MEASURES[spot.kind].reason(spot, measures, frame_number)


def advise(
    finding: Finding,
    measures: ObjectMeasures,
    frame_number: FrameNumber = int,
    *,
    painted: Collection[int] = (),
    small: Collection[int] = (),
) -> str:
    """What to do about a finding, as a sentence.

    Args:
        finding: what was found.
        measures: of its object.
        frame_number: see `FrameNumber`.
        painted: frames whose mask the user gave.
        small: frames on which the object is hardly there, see `hardly_there`.
    """
    number = frame_number(finding.frame)
    kinds = {spot.kind for spot in finding.spots}
    entries = [entry for kind, entry in MEASURES.items() if kind in kinds]
    # 1. what makes everything else pointless
    for entry in entries:
        if entry.overrides and entry.advice is not None:
            return entry.advice(number)
    # 2. where no mask is to be painted, or perhaps none
    if finding.frame in painted:
        return f"the mask of frame {number} is your own: give another one only if it is wrong there"
    if finding.frame in small:
        return _advise_on_small(finding.frame, number, measures)
    # 3. what renders can repair, if nothing else is wrong
    if _are_repairable(finding, measures):
        return _advise_to_repair(finding, number, measures)
    # 4. what may be right; beside a mask of the user's it is known which frame is wrong
    if len(entries) == 1 and entries[0].advice is not None:
        beside = {finding.frame - 1, finding.frame + 1} & set(painted)
        if not (entries[0].compares and beside):
            return entries[0].advice(number)
    return f"paint a mask on frame {number}"


def _are_repairable(finding: Finding, measures: ObjectMeasures) -> bool:
    """Whether a finding is of holes and specks, and of what is mostly part of those."""
    entries = {spot.kind: MEASURES[spot.kind] for spot in finding.spots}
    options = [entry.repair[0] for entry in entries.values() if entry.repair is not None]
    if not options:
        return False
    for spot in finding.spots:
        entry = entries[spot.kind]
        along = [entry.repaired_along[one] for one in options if one in entry.repaired_along]
        part = np.nansum([series(measures)[spot.frame] for series in along])
        if entry.repair is None and part <= 0.5:
            return False
    return True


def _advise_to_repair(finding: Finding, number: int, measures: ObjectMeasures) -> str:
    """What to do about holes and specks."""
    frames, kinds = list(finding.frames), {spot.kind for spot in finding.spots}
    sizes = {
        name: _round_up(float(np.nanmax(area_px(measures)[frames])))
        for kind, entry in MEASURES.items()
        if kind in kinds and entry.repair is not None
        for name, area_px in [entry.repair]
    }
    # holes: nothing is filled where most of what stands out may be background that is seen through
    # them, nor where the number would fill such holes, too
    filled, speck = sizes.get("fill_holes", 0), sizes.get("remove_specks", 0)
    few = 2 * np.nansum(measures.faults_px[frames]) < np.nansum(measures.edgeless_px[frames])
    opened = measures.open_px[frames]
    opened = opened[opened > 0]
    may_be_open = "holes" in kinds and (not filled or bool(few))
    is_mixed = not may_be_open and len(opened) > 0 and opened.min() <= filled
    if speck and (may_be_open or is_mixed):
        return (
            f"render with {option('remove_specks', speck)} if the loose pieces are none of it; the"
            " holes may be background that is seen through the object; if not, paint a mask on"
            f" frame {number}"
        )
    if may_be_open:
        return (
            "look there: the holes may be background that is seen through the object; if not,"
            f" paint a mask on frame {number}"
        )
    if is_mixed:
        return (
            f"paint a mask on frame {number}: of its holes some may be background that is seen"
            f" through the object, and {option('fill_holes', filled)} would fill these, too"
        )
    options = " ".join(option(name, size) for name, size in sizes.items() if size)
    if speck:
        return (
            f"render with {options} if the loose pieces are none of it, or paint a mask on frame"
            f" {number}"
        )
    return f"render with {options}, or paint a mask on frame {number}"


def _advise_on_small(frame: int, number: int, measures: ObjectMeasures) -> str:
    """What to do where an object is hardly there."""
    area = f"{measures.area_px[frame]:.0f}"
    if measures.at_border[frame] > 0:
        return (
            f"the object is entering or leaving the picture on frame {number}, with {area} px"
            " of it in sight: a mask there teaches little"
        )
    return f"if more of it is in sight than these {area} px, paint a mask on frame {number}"


def _part_of_area(area_px: Series, measures: ObjectMeasures) -> Drawn:
    """Pixels as a part of the object's area; NaN where it is not there."""
    area = np.where(measures.area_px > 0, measures.area_px, np.nan).astype(np.float64)
    return area_px.astype(np.float64) / area


def _judged_part(area_px: Series, measures: ObjectMeasures) -> Series:
    """The same in float32, as every series that is judged."""
    area = np.where(measures.area_px > 0, measures.area_px, np.nan).astype(np.float32)
    return area_px / area


def _area_series(measures: ObjectMeasures, shots: Sequence[range], passing: Bools) -> Series:
    is_judged = (measures.area_px > 0) & ~passing
    return area_changes(np.where(is_judged, measures.area_px, np.nan).astype(np.float32), shots)


def _area_jump(value: float) -> str:
    """A jump, as the natural logarithm of a ratio."""
    if value < 0:
        return f"lost {_percent(1 - math.exp(value))} of its area against the frames before"
    if value < math.log(2):
        return f"gained {_percent(math.exp(value) - 1)} of area against the frames before"
    return f"is {math.exp(value):.1f} times as large as on the frames before"


def _usually(spot: Spot) -> str:
    return f"(usually {_percent(spot.usual)})"


def _round_up(pixels: float) -> int:
    """The next number of one significant digit, so that it is easy to type."""
    # 132 → 200: render options take what is smaller than the number
    size = 10 ** max(0, len(str(int(pixels))) - 1)
    return int(-(-pixels // size) * size)


def _percent(part: float) -> str:
    # one decimal place where it is most of the number
    shown = 100 * float(part)
    return f"{shown:.0f} %" if abs(shown) >= 10 else f"{shown:.1f} %"


def _of_area(part: float) -> str:
    """An area that changes, as a part of the object's, which may be next to nothing by then."""
    if round(100 * float(part)) > 100:
        return f"{float(part):.1f} times the area that is left of it"
    return f"{_percent(part)} of its area"


def _count(number: float, word: str) -> str:
    return f"{number:.0f} {word}{'' if number == 1 else 's'}"


MEASURES: Mapping[Kind, QcMeasure] = {
    "area": QcMeasure(
        title="area jumps",
        reason=lambda spot, _m, _n: _area_jump(spot.value),
        # a fifth larger or smaller
        rule=Rule(0, math.log(1.2)),
        series=_area_series,
        skips_passing=True,
        curve=Curve(
            "Area",
            "part of the picture that the mask covers; dots where it jumps",
            lambda measures, pixels: 100 * measures.area_px.astype(np.float64) / pixels,
            digits=1,
            has_limits=False,
        ),
        compares=True,
    ),
    "overlap": QcMeasure(
        title="does not follow its motion",
        reason=lambda spot, _m, _n: (
            f"covers only {_percent(spot.value)} of where its motion should take it"
            f" {_usually(spot)}"
        ),
        rule=Rule(-1, 0.12),
        series=lambda measures, _s, _p: measures.overlap,
        # at the border the flow brings nothing in
        skips_passing=True,
        curve=Curve(
            "Overlap",
            "with the mask of the frame before, warped by optical flow",
            lambda measures, _: 100 * measures.overlap.astype(np.float64),
            span=(0, 100),
        ),
        compares=True,
    ),
    "sides": QcMeasure(
        title="a piece changes sides",
        reason=lambda spot, measures, _: (
            f"{'takes in' if measures.sides[spot.frame] > 0 else 'loses'} a piece,"
            f" {_of_area(spot.value)}, though the picture there stays the same"
        ),
        rule=Rule(1, 0.01),
        series=lambda measures, _s, _p: np.abs(measures.sides),
        # what comes into the picture is new
        skips_passing=True,
        curve=Curve(
            "Pieces that change sides",
            "the largest one that joins or leaves the object though the picture there stays the"
            " same, as a part of its area",
            lambda measures, _: 100 * np.abs(measures.sides.astype(np.float64)),
            digits=1,
        ),
        advice=lambda number: (
            f"look at frame {number} and the one before: one of them is wrong there; paint a mask"
            " of that"
        ),
        # holes and specks that come and go change sides; a lost foot does, too
        repaired_along={
            "remove_specks": lambda measures: measures.sides_specks,
            "fill_holes": lambda measures: measures.sides_holes,
        },
        compares=True,
    ),
    # found where the run itself is uncertain, by a fixed limit; its curve needs the run's values
    "confidence": QcMeasure(
        title="uncertain",
        reason=lambda spot, _m, _n: (
            f"is uncertain: {spot.value:.0f} % of its mask is expected to be right"
        ),
        curve=Curve(
            "Confidence",
            "how much of the mask is expected to be right; what went wrong on the way counts too",
            None,
            span=(0, 100),
        ),
        advice=lambda number: f"look there, and if it is wrong paint a mask on frame {number}",
    ),
    "holes": QcMeasure(
        title="holes",
        reason=lambda spot, measures, _: (
            f"has {_count(measures.edgeless[spot.frame], 'hole')} without an edge in the picture,"
            f" {_percent(spot.value)} of its area {_usually(spot)}"
        ),
        rule=Rule(1, 0.01),
        # where the picture has an edge along it, background is seen through a hole: of the frames
        # that all holes together made stand out on DAVIS, 15 % lacked a part of the object
        series=lambda measures, _s, _p: _judged_part(measures.edgeless_px, measures),
        curve=Curve(
            "Holes",
            "area of holes along which the picture has no edge, as a part of the object's",
            lambda measures, _: 100 * _part_of_area(measures.edgeless_px, measures),
            digits=1,
        ),
        repair=("fill_holes", lambda measures: measures.fault_px),
    ),
    "specks": QcMeasure(
        title="specks",
        reason=lambda spot, measures, _: (
            f"has {_count(measures.specks[spot.frame], 'speck')} beside it,"
            f" {_percent(spot.value)} of its area {_usually(spot)}"
        ),
        rule=Rule(1, 0.01),
        series=lambda measures, _s, _p: _judged_part(measures.specks_px, measures),
        curve=Curve(
            "Specks",
            "area of small loose pieces, as a part of the object's",
            lambda measures, _: 100 * _part_of_area(measures.specks_px, measures),
            digits=1,
        ),
        repair=("remove_specks", lambda measures: measures.speck_px),
    ),
    "flicker": QcMeasure(
        title="flicker",
        reason=lambda spot, _m, _n: (
            f"flickers: {_of_area(spot.value)} changes on this frame alone {_usually(spot)}"
        ),
        rule=Rule(1, 0.05),
        series=lambda measures, _s, _p: _judged_part(measures.flicker_px, measures),
        curve=Curve(
            "Flicker",
            "what changes on one frame alone, as a part of the object's area",
            lambda measures, _: 100 * _part_of_area(measures.flicker_px, measures),
            digits=1,
        ),
        # holes and specks that come and go flicker
        repaired_along={
            "remove_specks": lambda measures: measures.flicker_specks,
            "fill_holes": lambda measures: measures.flicker_holes,
        },
        compares=True,
    ),
    "edge_agreement": QcMeasure(
        title="edge off the picture",
        reason=lambda spot, _m, _n: (
            "its edge does not lie on an edge of the picture (agreement"
            f" {_percent(spot.value)}, usually {_percent(spot.usual)})"
        ),
        rule=Rule(-1, 0.12),
        series=lambda measures, _s, _p: measures.edge_agreement,
        curve=Curve(
            "Edge on the picture",
            "whether the mask's edge lies where the picture has one; 50 % = no more than beside it",
            lambda measures, _: 100 * measures.edge_agreement.astype(np.float64),
            span=(0, 100),
        ),
    ),
    "edge_width": QcMeasure(
        title="wide edge",
        reason=lambda spot, _m, _n: (
            f"its soft edge is {spot.value:.0f} pixels wide (usually {spot.usual:.0f})"
        ),
        # pixels; unlike the others no share
        rule=Rule(1, 3.0),
        series=lambda measures, _s, _p: measures.edge_width_px,
        curve=Curve(
            "Width of the soft edge",
            "in pixels",
            lambda measures, _: measures.edge_width_px.astype(np.float64),
            unit="px",
        ),
    ),
    # found by `judge.find_gone`; value and usual are the first frame and the one after the last
    "gone": QcMeasure(
        title="gone",
        reason=lambda spot, _, number: (
            f"is gone for {_count(spot.usual - spot.value, 'frame')}, {number(int(spot.value))} to"
            f" {number(int(spot.usual) - 1)}, though it did not leave the picture"
        ),
        advice=lambda number: f"if it is there, paint a mask on frame {number}",
    ),
    # found by whoever knows which masks were painted; value is the first frame of the shot
    "crossing": QcMeasure(
        title="runs over a cut",
        reason=lambda spot, _, number: f"runs over the shot cut at frame {number(int(spot.value))}",
        advice=lambda number: (
            f"segment again with {option('cuts', 'stop')}, and where it is in sight paint a mask on"
            f" frame {number}"
        ),
        overrides=True,
    ),
}
"""Every kind of finding, in the order in which curves are drawn."""
