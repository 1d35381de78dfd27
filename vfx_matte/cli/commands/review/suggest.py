"""The command that says which frames to annotate next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import segmented_clip
from vfx_matte.cli.options import Only
from vfx_matte.cli.propagators import propagator_options
from vfx_matte.settings import ini
from vfx_matte.settings.options import SegmentSettings, SuggestSettings


@command()
def suggest(
    session: Session,
    *,
    clip: Annotated[
        Path | None, typer.Argument(help="A segmented clip; without it, the one segmented last.")
    ] = None,
    settings: SuggestSettings,
    network: Annotated[SegmentSettings, Only(*ini.SHARED_OPTIONS)],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PNG", help="Where the contact sheet goes (suggest.png)."
        ),
    ] = None,
) -> None:
    """Say which frames to annotate next: those that look least like the ones that have a mask of
    yours.
    """
    from vfx_matte.cli.show import say, show_to_scripts, table
    from vfx_matte.pipeline.review.suggest import suggest_frames

    # weights and device are those of segment, with which masks are compared
    file = replace(session.settings, suggest=settings, segment=network)
    opened = segmented_clip(session, clip)
    propagator = propagator_options(file, comparison=True)
    found = suggest_frames(opened, settings, propagator=propagator, output=output, reporter=session)
    if show_to_scripts(session, found, [found.sheet]):
        return
    table(
        f"Annotate next in {found.clip.name}",
        ("rank", "frame", "time", "mask covers", "distance"),
        [
            (one.rank, one.frame, one.time, f"{one.coverage_percent:.2f} %", f"{one.distance:.4g}")
            for one in found.suggestions
        ],
    )
    # two ways to a mask of each frame, then the one command that takes them all
    if found.suggestions:
        say("to paint on:")
        for suggestion in found.suggestions:
            say(f"  {suggestion.frame_command}")
        say(
            "or to correct what is there with a click; for X,Y type the pixel, such as 640,360"
            " (--fg on the subject, --bg beside it):"
        )
        for suggestion in found.suggestions:
            say(f"  {suggestion.correct_command}")
        say("then, with the masks that you made:")
        say(f"  {found.segment_command}")
    say(f"picture: {found.sheet}")
