"""Records of what a check of masks found, and how many findings are allowed.

Frames are named by their numbers here, as people call them (`Timeline.number`); measures are arrays
by frame index.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vfx_matte.errors import QualityError, UsageError
from vfx_matte.measure.judge import Judged, Kind
from vfx_matte.measure.meter import ObjectMeasures
from vfx_matte.pipeline.records import INTERNAL, rounded
from vfx_matte.wording import option


@dataclass(frozen=True, slots=True)
class Allowed:
    """How many frames may stand out."""

    most: float
    """A count, or a percentage of the frames that have a mask."""

    percent: bool

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """Read "0", "12" or "2.5%".

        Raises:
            UsageError: for anything else.
        """
        # "2.5 %" is read too; a count is whole, a percentage need not be
        number = text.strip().removesuffix("%").strip()
        try:
            # float first: "nan" and "inf" are numbers to it, and fall to the range below
            most = float(number)
        except ValueError:
            most = math.nan
        if not 0 <= most < math.inf or (not text.strip().endswith("%") and most != int(most)):
            examples = (option("fail_over", value) for value in ("0", "12", "2%"))
            raise UsageError(
                f"fail-over {text!r} is not a number of frames",
                hint="{}, {} or {}".format(*examples),
            )
        return cls(most, text.strip().endswith("%"))


@dataclass(frozen=True, slots=True)
class Problem:
    """One place where a mask stands out."""

    rank: int
    """1 is the one that matters most."""

    object_id: int

    frame: int
    """The frame to look at."""

    time: str
    """Of that frame since the clip's start, as m:ss.mmm."""

    start: int
    """First frame of the stretch that stands out."""

    stop: int
    """The frame after its last one."""

    severity: float
    """1 is the limit beyond which a frame stands out, 2 twice as far."""

    kinds: tuple[Kind, ...]
    """What stands out, the worst first."""

    what: str
    """What is wrong, as a sentence."""

    do: str
    """What to do about it, as a sentence."""


@dataclass(frozen=True, slots=True)
class FixNext:
    """The one frame to paint a mask on next."""

    frame: int
    time: str

    why: str
    """What stands out there."""

    frame_command: str
    """Saves its picture, to paint on."""

    mask: str
    """The file name that `segment_command` expects for the mask."""

    segment_command: str
    """Continues once the mask is painted."""

    correct_command: str = field(metadata=INTERNAL)
    """Corrects its mask with clicks instead."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a measure is compared with: the median of the clip, and the values beyond which a frame
    stands out; NaN where too little is known.
    """

    usual: float = field(metadata=rounded(4))
    low: float = field(metadata=rounded(4))
    high: float = field(metadata=rounded(4))


@dataclass(frozen=True, slots=True)
class FrameMeasures:
    """What was measured on every frame, by object."""

    objects: Mapping[int, ObjectMeasures]

    judged: Mapping[int, Mapping[Kind, Judged]]
    """How far each measure is from the clip's own habit."""

    confidence: Mapping[int, Sequence[float]]
    """In per cent, NaN where nothing is known."""


@dataclass(frozen=True, slots=True)
class QcResult:
    """What a check of a clip's masks found."""

    clip: Path

    frames: int
    """How many frames have a mask."""

    flagged: tuple[int, ...]
    """The frames that stand out, of any object."""

    cuts: tuple[int, ...]
    """Frames that begin a shot, as masks were propagated or as found now."""

    shots_without_mask: tuple[tuple[int, int], ...]
    """Half-open ranges of frames: shots without a reference mask."""

    references: tuple[int, ...]
    """Frames whose mask the user gave."""

    problems: tuple[Problem, ...]
    """All of them, those that matter most first."""

    fix_next: FixNext | None

    limits: Mapping[int, Mapping[Kind, Limits]]
    """By object and measure."""

    report: Path
    """The page."""

    sheet: Path | None
    """The contact sheet of the worst problems; None without problems."""

    measures: FrameMeasures = field(metadata=INTERNAL)
    """For the page and the table of every frame."""

    def allows(self, allowed: Allowed) -> bool:
        """Whether no more frames stand out than are allowed."""
        # of the frames that have a mask: a clip that was segmented in part is judged by that part
        return len(self.flagged) <= (
            allowed.most * self.frames / 100 if allowed.percent else allowed.most
        )


def require_allowed(result: QcResult, allowed: Allowed) -> None:
    """Check that no more frames stand out than are allowed.

    Raises:
        QualityError: when more do.
    """
    # Raised last, when everything that was found is saved and shown.
    if not result.allows(allowed):
        limit = f"{allowed.most:g} %" if allowed.percent else f"{allowed.most:g}"
        raise QualityError(
            f"{len(result.flagged)} of {result.frames} frames stand out, allowed are {limit}",
            hint=f"see {result.report}",
        )
