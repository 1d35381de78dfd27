"""The command that measures masks against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command

if TYPE_CHECKING:
    from vfx_matte.pipeline.review.evaluate import Evaluation, Scores

PANEL = "Comparison"

Row = tuple[str | int, ...]
Table = tuple[tuple[str, ...], list[Row]]
"""Columns and rows."""


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
) -> None:
    """Measure masks against the truth: J (IoU), boundary F and J&F, as DAVIS does."""
    from vfx_matte.cli.show import say, show_to_scripts, table
    from vfx_matte.pipeline.review import evaluate as pipeline

    # None leaves it to the manifest which frames were given a mask
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
    # written in every case: -q and --json are about what is printed
    if csv is not None:
        pipeline.save_frame_csv(csv, found.sequences)
    if show_to_scripts(session, found, [csv] if csv is not None else []):
        return
    if frames:
        table("Frames, in per cent", *_frame_table(found))
    table("Masks against the truth, in per cent", *_summary_table(found))
    if csv is not None:
        say(f"frames: {csv}")


def _summary_table(found: Evaluation) -> Table:
    """One row per object of the only sequence, or one row per sequence, and the mean over
    objects.
    """
    numbers = ("J mean", "J recall", "J decay", "F mean", "F recall", "F decay", "J&F")
    # DAVIS takes the mean over objects, not over sequences
    total = _score_cells(found.mean)
    # Of one sequence its objects are of interest, of several the sequences.
    if len(found.sequences) == 1:
        (only,) = found.sequences
        rows: list[Row] = [
            (one.object, only.scored_frames, *_score_cells(one)) for one in only.objects
        ]
        return ("object", "frames", *numbers), [*rows, ("mean", only.scored_frames, *total)]
    rows = [
        (one.name, len(one.objects), one.scored_frames, *_score_cells(one.mean))
        for one in found.sequences
    ]
    # Objects and scored frames are summed, scores are averaged.
    objects, frames = (sum(int(row[column]) for row in rows) for column in (1, 2))
    return ("sequence", "objects", "frames", *numbers), [
        *rows,
        ("mean over objects", objects, frames, *total),
    ]


def _frame_table(found: Evaluation) -> Table:
    """Every object on every frame; blank where it does not count."""
    # the name of the only sequence would say nothing
    several = len(found.sequences) > 1
    rows: list[Row] = []
    for sequence in found.sequences:
        name = (sequence.name,) if several else ()
        for one in sequence.frames:
            # frames that were given, and those the protocol leaves out, are shown without numbers
            numbers = _percents(one.j, one.f, one.jf) if one.is_scored else ("", "", "")
            rows.append((*name, one.frame, one.object, *numbers))
    return (*(("sequence",) if several else ()), "frame", "object", "J", "F", "J&F"), rows


def _score_cells(scores: Scores) -> tuple[str, ...]:
    j, f = scores.j, scores.f
    return _percents(j.mean, j.recall, j.decay, f.mean, f.recall, f.decay, scores.jf)


def _percents(*values: float) -> tuple[str, ...]:
    return tuple(f"{round(100 * value, 1) + 0.0:.1f}" for value in values)  # + 0.0: no "-0.0"
