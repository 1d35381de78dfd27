"""The command that checks masks. Takes options, calls the pipeline, prints a table or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, segmented_clip


@command()
def qc(
    session: Session,
    *,
    clip: Clip = None,
    count: Annotated[
        int | None, typer.Option("-k", "--count", metavar="K", help="How many places are shown.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Where report.html and worst.png go (qc)."
        ),
    ] = None,
    fail_over: Annotated[
        str | None,
        typer.Option(
            metavar="N|N%", help="Exit code 1 when more than N frames (or N % of them) stand out."
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every frame's numbers as CSV.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Everything that was found, as JSON.")
    ] = False,
) -> None:
    """Check the masks of a clip: jumps, holes, specks, flicker, edges, uncertainty.

    Names the frames and writes a report.
    """
    from vfx_matte.cli.show import paths, say, table
    from vfx_matte.pipeline.review import findings, report
    from vfx_matte.pipeline.review import qc as pipeline

    settings = session.settings
    limit = fail_over if fail_over is not None else settings.qc.fail_over or None
    allowed = None if limit is None else findings.Allowed.parse(limit)
    shown = settings.qc.count if count is None else count
    opened = segmented_clip(session, clip)
    found = pipeline.check_masks(
        opened, count=shown, output=output, weights=settings.weights, reporter=session
    )
    if csv is not None:
        report.save_csv(csv, opened, found)
    if json:
        typer.echo(report.qc_json(found))
    elif session.quiet:
        paths(path for path in (csv, found.sheet, found.report) if path is not None)
    else:
        title = f"{opened.name}: {len(found.flagged)} of {found.frames} frames stand out"
        table(
            title,
            ("frame", "time", "frames", "what is wrong", "what to do"),
            report.problem_rows(found, shown),
        )
        for line in report.closing_lines(found, shown, workspace=session.settings.paths.workspace):
            say(line)
    if allowed is not None:
        findings.require_allowed(found, allowed)
