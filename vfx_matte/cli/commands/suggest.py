"""The command that says which frames to annotate next.

Takes options, calls the pipeline, prints a table or JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.options import Only
from vfx_matte.settings.options import SegmentSettings, SuggestSettings


@command()
def suggest(
    session: Session,
    *,
    clip: Annotated[
        Path | None, typer.Argument(help="A segmented clip; without it, the one segmented last.")
    ] = None,
    settings: SuggestSettings,
    network: Annotated[SegmentSettings, Only("weights", "device")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PNG", help="Where the contact sheet goes (suggest.png)."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Say which frames to annotate next: those that look least like the ones that have a mask of
    yours.
    """
    from vfx_matte.cli.show import paths, say, table
    from vfx_matte.pipeline.clip import find_clip, open_segmented
    from vfx_matte.pipeline.next_steps import correct_command
    from vfx_matte.pipeline.review import suggest as pipeline

    file = session.settings
    options = pipeline.SuggestOptions(
        count=settings.count,
        propagator=settings.propagator,
        weights=network.weights or file.weights,
        size=settings.size,
        device=network.device,
        alpha=settings.alpha,
        min_mask_percent=settings.min_mask_percent,
        candidates=settings.candidates,
    )
    places = file.paths
    path = find_clip(
        clip, source=places.source, workspace=places.workspace, default=file.default_clip
    )
    opened = open_segmented(
        path, workspace=places.workspace, ignore_alpha=file.clip.ignore_alpha, reporter=session
    )
    found = pipeline.suggest_frames(opened, options, output=output, reporter=session)
    if json:
        typer.echo(pipeline.suggestions_json(found))
        return
    if session.quiet:
        paths([found.sheet])
        return
    table(
        f"Annotate next in {path.name}",
        ("rank", "frame", "time", "mask covers", "distance"),
        pipeline.suggestion_rows(found),
    )
    if found.suggestions:
        say("to paint on:")
        for one in found.suggestions:
            say(f"  {one.frame_command}")
        say("or to correct what is there with clicks (--fg on the subject, --bg beside it):")
        for one in found.suggestions:
            say(f"  {correct_command(path, one.frame, workspace=places.workspace)}")
        say("then, with the masks that you made:")
        say(f"  {found.segment_command}")
    say(f"picture: {found.sheet}")
