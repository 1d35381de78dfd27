"""What a check of masks found: records, and how many findings are allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vfx_matte.errors import QualityError, UsageError
from vfx_matte.measure.judge import Judged, Kind
from vfx_matte.measure.meter import ObjectMeasures


@dataclass(frozen=True, slots=True)
class Allowed:
    """How many frames may stand out: a count, or a percentage of the frames that have a mask."""

    most: float
    percent: bool

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """Read "0", "12" or "2.5%". Raises UsageError for anything else."""
        number = text.strip().removesuffix("%").strip()
        try:
            most = float(number)
        except ValueError:
            most = math.nan
        if not 0 <= most < math.inf or (not text.strip().endswith("%") and most != int(most)):
            raise UsageError(
                f"fail-over {text!r} is no number of frames",
                hint="--fail-over 0, --fail-over 12 or --fail-over 2%",
            )
        return cls(most, text.strip().endswith("%"))


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding for people.

    frame: index of the one to look at; start, stop: half-open; what, do: sentences.
    """

    rank: int
    object_id: int
    frame: int
    time: str
    start: int
    stop: int
    severity: float
    kinds: tuple[Kind, ...]
    what: str
    do: str


@dataclass(frozen=True, slots=True)
class FixNext:
    """The one frame to paint a mask on next. frame: its number; frame_command: saves its picture;
    segment_command: goes on once it is painted.
    """

    frame: int
    time: str
    why: str
    frame_command: str
    mask: str
    segment_command: str


@dataclass(frozen=True, slots=True)
class QcResult:
    """What was found.

    frames: how many have a mask; flagged: indices of those that stand out, of any object. problems:
    all of them, those that matter most first. cuts: frames that begin a shot, respected or found
    now; unmasked: shots without a reference mask. All of these are indices; `number` says what
    people call them.
    measures, judged, confidence: by object, for pages and tables. folder: where `report` and
    `sheet` are.
    """

    clip: Path
    frames: int
    flagged: tuple[int, ...]
    problems: tuple[Problem, ...]
    cuts: tuple[int, ...]
    unmasked: tuple[range, ...]
    references: tuple[int, ...]
    fix_next: FixNext | None
    measures: Mapping[int, ObjectMeasures]
    judged: Mapping[int, Mapping[Kind, Judged]]
    confidence: Mapping[int, Sequence[float]]
    report: Path
    sheet: Path | None
    first_number: int = 0

    def number(self, index: int) -> int:
        """What people call a frame, see `Timeline.number`."""
        return self.first_number + index

    def allows(self, allowed: Allowed) -> bool:
        """Whether no more frames stand out than are allowed."""
        return len(self.flagged) <= (
            allowed.most * self.frames / 100 if allowed.percent else allowed.most
        )


def require_allowed(result: QcResult, allowed: Allowed) -> None:
    """Raise QualityError (exit code 1) when more frames stand out than are allowed."""
    if not result.allows(allowed):
        limit = f"{allowed.most:g} %" if allowed.percent else f"{allowed.most:g}"
        raise QualityError(
            f"{len(result.flagged)} of {result.frames} frames stand out, allowed are {limit}",
            hint=f"see {result.report}",
        )


def known_number(value: float) -> float | None:
    """A number as JSON can hold it: None for NaN."""
    return None if np.isnan(value) else round(float(value), 4)
