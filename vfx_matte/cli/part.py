"""The options that render a part of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session
from vfx_matte.errors import UsageError

if TYPE_CHECKING:
    from vfx_matte.pipeline.render.part import Selection

PART = "Part of the clip"
Position = int | Fraction | None


@dataclass(frozen=True, slots=True)
class PartChoice:
    """Positions in a clip, as of `timeline.parse_position`: one frame, or a half-open range."""

    frame: Position
    start: Position
    stop: Position
    """The frame after the range."""

    @property
    def selection(self) -> Selection:
        """The same for the pipeline."""
        # imported here, because help must not wait for the pipeline's modules
        from vfx_matte.pipeline.render.part import Selection

        return Selection(frame=self.frame, start=self.start, stop=self.stop)


def part(
    session: Session,  # noqa: ARG001  as every group of options has it
    *,
    frame: Annotated[
        str | None,
        typer.Option(
            metavar="FRAME|TIME",
            help="Only this frame, at once, as NAME.0000120.png.",
            rich_help_panel=PART,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="FRAME|TIME",
            help="First frame, e.g. 120, 4.5s or 1:02.5.",
            rich_help_panel=PART,
        ),
    ] = None,
    stop: Annotated[
        str | None,
        typer.Option(metavar="FRAME|TIME", help="Frame after the last one.", rich_help_panel=PART),
    ] = None,
) -> PartChoice:
    """Options of the renders that can make a part of a clip."""
    from vfx_matte.timeline import parse_position

    positions = (None if text is None else parse_position(text) for text in (frame, start, stop))
    return PartChoice(*positions)


def whole_clip(
    session: Session,  # noqa: ARG001  as every group of options has it
    *,
    frame: Annotated[str | None, typer.Option(hidden=True)] = None,
    start: Annotated[str | None, typer.Option(hidden=True)] = None,
    stop: Annotated[str | None, typer.Option(hidden=True)] = None,
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
            for name, text in (("frame", frame), ("start", start), ("stop", stop))
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
