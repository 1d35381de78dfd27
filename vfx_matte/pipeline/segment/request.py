"""What a door asks of a run of `segment`, and what it gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vfx_matte.errors import UsageError
from vfx_matte.masks import Mask, ObjectLabel
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.records import rounded
from vfx_matte.pipeline.segment.cuts import CutOptions
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.settings.options import PathsSettings, RenderSettings, SegmentSettings
from vfx_matte.wording import option
from vfx_matte.workspace import load_mask


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPrompt:
    """What is looked for instead of masks that are given."""

    text: str
    """In words: "the dog"; one line."""

    weights: Path | None = None
    """The text detector's file or folder of weights; None is the usual one in the model folder."""

    model: Path = PathsSettings().model
    """The folder of network weights."""

    device: str = RenderSettings().device
    """What the text detector runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRequest:
    """What is to be segmented, and how."""

    references: ReferenceFiles
    """The masks that are given."""

    prompt: TextPrompt | None = None
    """What is looked for where no masks are given."""

    start: int | Fraction | None = None
    """The first frame: a number, or seconds from the clip's start; None is the clip's own."""

    stop: int | Fraction | None = None
    """The frame after the last one, likewise."""

    propagator: PropagatorOptions = PropagatorOptions()  # noqa: RUF009  frozen
    """How masks are propagated."""

    cuts: CutOptions = CutOptions()  # noqa: RUF009  frozen
    """Where a shot ends and masks with it; the frames of a shot without a reference get an empty
    mask.
    """

    soft: bool = SegmentSettings().soft
    """Keep every object's probability beside the masks, for soft edges."""

    resume: bool = False
    """Go on with an interrupted run of the same settings."""

    fresh: bool = False
    """Start again; the earlier masks are kept as masks.previous."""

    update: bool = False
    """Go on with earlier work although reference masks have changed, and redo only the frames that
    they affect.
    """

    only: tuple[int, int] | None = None
    """The frames that are made now, as a half-open range of indices; the others are left to a later
    run, and come out as if all were made at once. None: all of them.
    """

    is_part: bool = False
    """Whether the frames of `only` are saved apart (`segment.parts`), for another run to take in,
    which may work on the clip at the same time.
    """

    labels: Mapping[int, ObjectLabel] = field(default_factory=dict)
    """Object id → what it is, for the manifest; those of earlier work of these objects stay where
    nothing is said.
    """

    expected_objects: int | None = None
    """A notice is given when the masks show another number of objects."""

    @property
    def continues(self) -> bool:
        """Whether earlier work is to be gone on with."""
        return self.resume or self.update


def refuse_both_ways(*, fresh: bool, resume: bool, update: bool = False) -> None:
    """Check that earlier work is not to be replaced and gone on with at once.

    Args:
        fresh: whether it is to be replaced.
        resume: whether it is to be gone on with.
        update: likewise, with other references.

    Raises:
        UsageError: both.
    """
    if fresh and (resume or update):
        going_on = "update" if update else "resume"
        raise UsageError(
            f"{option('fresh', True)} and {option(going_on, True)} exclude each other",
            hint=f"{option('fresh', True)} makes every mask again, {option(going_on, True)} keeps"
            " those that need not be made again",
        )


@dataclass(frozen=True, slots=True)
class ChangedFrames:
    """Frames whose masks an update changed although the new masks do not explain it."""

    object_id: int
    """The object."""

    start: int
    """The first frame's number."""

    stop: int
    """The number after the last frame's."""

    worst: int
    """The number of the frame with the largest change beyond what is expected."""

    percent: float = field(metadata=rounded(1))
    """The largest connected piece that the object gained or lost there, as a part of its area."""

    gained: bool
    """Whether the object gained that piece, rather than lost it."""


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What a run made."""

    masks: Path
    """Folder of palette PNG files NNNNNNN.png, one per frame."""

    start: int
    """The first frame's number."""

    stop: int
    """The number after the last frame's."""

    computed: int
    """How many frames were made now."""

    taken_in: int
    """How many were made before, as parts, and are now the clip's."""

    objects: Mapping[int, str]
    """Id → painted colour, "#rrggbb"."""

    propagator: str
    """The name of the propagator."""

    changed: tuple[ChangedFrames, ...]
    """Frames that an update changed although the new masks do not explain it."""

    seconds: float
    """How long the run took."""

    def mask(self, number: int) -> Mask:
        """The mask of the frame with this number, read from disk: uint8 (H, W), object ids.

        Raises:
            MaskError: there is none.
        """
        return load_mask(self.masks / f"{number:07d}.png")
