"""The command that measures masks.

Takes two places with masks, calls the pipeline, prints tables or JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command

PANEL = "Comparison"


@command()
def evaluate(
    session: Session,
    *,
    predicted: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTED",
            help="Masks: a folder, a clip's workspace, a mask video, or sequences of these.",
        ),
    ],
    ground_truth: Annotated[
        Path, typer.Argument(metavar="GROUND_TRUTH", help="The true masks, in any of these forms.")
    ],
    protocol: Annotated[
        str,
        typer.Option(
            metavar="all|davis",
            help="davis leaves out the first and last frame too.",
            rich_help_panel=PANEL,
        ),
    ] = "all",
    reference: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="A frame whose mask was given, not scored; repeat (manifest).",
            rich_help_panel=PANEL,
        ),
    ] = None,
    sequence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Only this sequence; repeat for more.", rich_help_panel=PANEL
        ),
    ] = None,
    void: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=65535,
            help="Value of the truth that marks pixels to leave out.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Compare all objects as one.", rich_help_panel=PANEL)
    ] = False,
    resize: Annotated[
        bool,
        typer.Option(
            "--resize", help="Bring PREDICTED to the size of the truth.", rich_help_panel=PANEL
        ),
    ] = False,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Frames that PREDICTED lacks count as empty.",
            rich_help_panel=PANEL,
        ),
    ] = False,
    frames: Annotated[bool, typer.Option("--frames", help="Show every frame too.")] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every frame as CSV.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Measure masks against the truth: J (IoU), boundary F and J&F, as DAVIS does."""
    from vfx_matte.cli.show import paths, say, table
    from vfx_matte.pipeline.review import evaluate as pipeline

    comparison = pipeline.Comparison(
        protocol=pipeline.protocol_of(protocol),
        references=tuple(reference) if reference else None,
        void=void,
        allow_missing=allow_missing,
        merge=merge,
        resize=resize,
    )
    found = pipeline.evaluate_masks(
        predicted, ground_truth, comparison, sequences=sequence or (), reporter=session
    )
    if csv is not None:
        pipeline.save_frame_csv(csv, found.sequences)
    if json:
        typer.echo(pipeline.evaluation_json(found))
        return
    if session.quiet:
        paths([csv] if csv is not None else [])
        return
    if frames:
        table("Frames, in per cent", *pipeline.frame_table(found))
    table("Masks against the truth, in per cent", *pipeline.summary_table(found))
    if csv is not None:
        say(f"frames: {csv}")
