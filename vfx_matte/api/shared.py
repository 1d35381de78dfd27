"""Options by name, positions and errors, as all functions of the API have them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from vfx_matte.errors import UsageError, VfxMatteError
from vfx_matte.pipeline.clip import SegmentedClip, open_segmented
from vfx_matte.pipeline.progress import Reporter, SilentReporter
from vfx_matte.pipeline.records import spelled_record
from vfx_matte.timeline import parse_position
from vfx_matte.wording import as_python, spelled

P = ParamSpec("P")
R = TypeVar("R")


def spells_python(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with results and errors that name options as a Python program writes them."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            result = function(*args, **kwargs)
        # the same error, spelled: its type, its cause and its traceback stay
        except VfxMatteError as error:
            error.spell(as_python)
            raise
        return spelled_record(result, lambda text: spelled(text, as_python))

    return run


def reporter_of(reporter: Reporter | None) -> Reporter:
    """The reporter that was given, or one that keeps silent."""
    return SilentReporter() if reporter is None else reporter


def segmented(
    clip: str | Path, *, workspace: str | Path, ignore_alpha: bool, reporter: Reporter
) -> SegmentedClip:
    """A clip with its masks.

    Raises:
        WorkspaceError: it was not segmented, or not to the end.
        MediaError: it cannot be read.
    """
    # no search by name in folders of config.ini, which only the command line reads
    return open_segmented(
        Path(clip), workspace=Path(workspace), ignore_alpha=ignore_alpha, reporter=reporter
    )


def position_of(position: object) -> int | Fraction:
    """A frame or a time as a Python program says it: 12, "4.5s", "1:02.5" or Fraction(9, 2).

    Raises:
        UsageError: it is none of these.
    """
    # a plain number is a frame, a text with a unit or a colon a time
    if isinstance(position, str):
        return parse_position(position)
    if isinstance(position, Fraction):
        return position
    # NumPy's whole numbers are frames, too; True is a slip
    if isinstance(position, bool) or not isinstance(position, int | np.integer):
        raise UsageError(
            f"frame {position!r} is not a frame number",
            hint='give a whole number, or a time: "4.5s", "1:02.5"',
        )
    return int(position)
