"""What a door asks of a run of `detect`, and what it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.records import rounded
from vfx_matte.pipeline.segment.cuts import CutOptions
from vfx_matte.settings.options import (
    DetectSettings,
    PathsSettings,
    RenderSettings,
    SegmentSettings,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectRequest:
    """Which objects are looked for, and how their masks are made."""

    settings: DetectSettings = DetectSettings()  # noqa: RUF009  frozen
    """What counts as an object."""

    model: Path = PathsSettings().model
    """The folder of network weights."""

    device: str = RenderSettings().device
    """What the detector runs on."""

    start: int | Fraction | None = None
    """The first frame: a number, or seconds from the clip's start; None is the clip's own."""

    stop: int | Fraction | None = None
    """The frame after the last one, likewise."""

    propagator: PropagatorOptions = PropagatorOptions()  # noqa: RUF009  frozen
    """How masks are propagated."""

    cuts: CutOptions = CutOptions()  # noqa: RUF009  frozen
    """Where a shot ends, and the objects in it."""

    soft: bool = SegmentSettings().soft
    """Keep every object's probability beside the masks."""

    same: tuple[str, ...] = ()
    """"B=A" texts: object B, of a later shot, is object A again."""

    resume: bool = False
    """Go on with an interrupted run of the same settings."""

    fresh: bool = False
    """Start again; earlier masks and references are kept as masks.previous and
    references.previous.
    """

    output: Path | None = None
    """The folder of result.json and its pictures; None is `detected` in the clip's workspace."""

    fetch: bool = True
    """Whether a small network may be fetched on first use."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object that was found."""

    id: int
    """Its id in masks, 1 … 255."""

    name: str
    """"dog", or "dog 2" where there are several."""

    class_name: str
    """What the detector takes it for."""

    score: float = field(metadata=rounded(3))
    """How sure the detector is on average, 0 … 1."""

    color: str
    """In which masks show it, "#rrggbb"."""

    first: int
    """The first frame's number on which it was seen."""

    last: int
    """The last one's."""

    references: tuple[int, ...]
    """The frames whose detection became a reference mask."""


@dataclass(frozen=True, slots=True)
class DetectResult:
    """What a run found."""

    clip: Path
    detector: str
    """Its name."""

    frames: int
    """How many frames the detector looked at."""

    objects: tuple[FoundObject, ...]
    """By id; none where nothing was found, and then nothing was written but an empty result."""

    alike: tuple[tuple[int, int], ...]
    """Pairs (B, A) of objects of different shots that look like the same one."""

    masks: Path | None
    """The folder of masks; None where nothing was found."""

    files: tuple[Path, ...]
    """result.json and what else was written beside it."""

    seconds: float = field(metadata=rounded(2))
    """How long it took."""
