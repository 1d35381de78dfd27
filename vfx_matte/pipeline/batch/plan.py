"""What a batch does: which commands on which clips, the longest clip first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vfx_matte.errors import UsageError, VfxMatteError
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.workspace import clip_name


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One command on one clip."""

    command: str
    """Its name."""

    arguments: tuple[str, ...]
    """The whole command line after the program's name."""

    inputs: tuple[Path, ...] = ()
    """The clip, and masks or folders of masks: where one changes, the command is run again."""


@dataclass(frozen=True, slots=True)
class ShotPlan:
    """One clip with its commands, in order: each needs what those before it made."""

    clip: Path
    steps: tuple[StepPlan, ...]

    work: int = 0
    """Frames times pixels, to tell long clips from short ones; 0 where that cannot be read."""

    @property
    def name(self) -> str:
        """The clip's name in the workspace."""
        return clip_name(self.clip)


def batch_plan(shots: Sequence[ShotPlan]) -> list[ShotPlan]:
    """The shots in the order in which they begin: the longest first, so that no long one is left
    alone at the end.

    A clip that cannot be read is no error here: its own command says what is wrong with it, and the
    others go on.

    Raises:
        UsageError: there are none, or two of them would share a folder of the workspace.
    """
    if not shots:
        raise UsageError("there is no clip to work on", hint="name clips, or a table of shots")
    by_name: dict[str, ShotPlan] = {}
    for shot in shots:
        if (other := by_name.setdefault(shot.name.casefold(), shot)) is not shot:
            raise UsageError(
                f"{str(other.clip)!r} and {str(shot.clip)!r} would share the folder"
                f" {shot.name!r} of the workspace",
                hint="rename one of them, or run two batches with a workspace of their own",
            )
    weighed = [ShotPlan(shot.clip, shot.steps, _work(shot.clip)) for shot in shots]
    # equal ones in the order of the user
    return sorted(weighed, key=lambda shot: -shot.work)


def _work(clip: Path) -> int:
    try:
        info = open_source(clip, reporter=SilentReporter()).info
    except VfxMatteError:
        return 0
    return len(info.timeline) * info.width * info.height
