"""Refuses the options of a part of a clip where a command is of the whole clip."""

from __future__ import annotations

from typing import Annotated

import typer

from vfx_matte.cli.app import Session
from vfx_matte.errors import UsageError


def whole_clip(
    session: Session,  # noqa: ARG001  as every group of options has it
    *,
    frame: Annotated[str | None, typer.Option(hidden=True)] = None,
    start: Annotated[str | None, typer.Option(hidden=True)] = None,
    stop: Annotated[str | None, typer.Option(hidden=True)] = None,
    frames: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Refuse these options where files and a timeline have to be of the whole clip.

    Raises:
        UsageError: one of them is given.
    """
    # hidden instead of unknown: whoever knows them from a render is told what to do
    # the first one that is given is enough to say
    given = next(
        (
            name
            for name, text in (
                ("frame", frame),
                ("start", start),
                ("stop", stop),
                ("frames", frames),
            )
            if text is not None
        ),
        None,
    )
    if given:
        raise UsageError(
            f"--{given} is not for this command, whose files are all of the whole clip",
            hint=(
                "alpha, greenback, maskvideo and overlay render a part; or cut the clip first and"
                " segment that"
            ),
        )
