"""The command that says which frames to annotate next.

Takes options, calls the pipeline, prints a table or JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.settings import ini

COMPARISON = "Comparison"


@command()
def suggest(
    session: Session,
    *,
    clip: Annotated[
        Path | None, typer.Argument(help="A segmented clip; without it, the one segmented last.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("-k", "--count", metavar="K", help="How many frames to suggest.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PNG", help="Where the contact sheet goes (suggest.png)."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    alpha: Annotated[
        float | None,
        typer.Option(
            help="0 compares whole pictures, 1 only the objects.", rich_help_panel=COMPARISON
        ),
    ] = None,
    min_mask_percent: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            help="Leave out frames whose mask covers less.",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Compare at most N evenly spaced frames.", rich_help_panel=COMPARISON
        ),
    ] = None,
    propagator: Annotated[
        str | None,
        typer.Option(
            help="auto (the one that made the masks), builtin or xmem.", rich_help_panel=COMPARISON
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="PTH", help="Weights of xmem.", rich_help_panel=COMPARISON),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="Short side xmem compares at; -1 = the clip's own.",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Where xmem runs: auto, cpu or cuda.", rich_help_panel=COMPARISON),
    ] = None,
) -> None:
    """Say which frames to annotate next: those that look least like the ones that have a mask of
    yours.
    """
    from vfx_matte.cli.show import paths, say, table
    from vfx_matte.pipeline.clip import find_clip, open_segmented
    from vfx_matte.pipeline.next_steps import correct_command
    from vfx_matte.pipeline.review import suggest as pipeline

    settings = session.settings
    chosen = ini.with_overrides(
        settings.suggest,
        count=count, alpha=alpha, min_mask_percent=min_mask_percent, candidates=candidates,
        propagator=propagator, size=size,
    )  # fmt: skip
    options = pipeline.SuggestOptions(
        count=chosen.count,
        propagator=chosen.propagator,
        weights=weights or settings.weights,
        size=chosen.size,
        device=device or settings.segment.device,
        alpha=chosen.alpha,
        min_mask_percent=chosen.min_mask_percent,
        candidates=chosen.candidates,
    )
    places = settings.paths
    path = find_clip(
        clip, source=places.source, workspace=places.workspace, default=settings.default_clip
    )
    opened = open_segmented(
        path, workspace=places.workspace, ignore_alpha=settings.clip.ignore_alpha, reporter=session
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
