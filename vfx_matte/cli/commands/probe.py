"""The smaller commands.

Each takes its options, calls one pipeline function and prints what it returns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import At, Gaps, Output, clip_path, opened_clip
from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import UsageError
from vfx_matte.settings import ini


@command()
def probe(
    session: Session,
    *,
    clip: Annotated[Path, typer.Argument(help="Video, folder of pictures, or plate.####.png.")],
    gaps: Gaps = None,
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show what a clip is: streams, size, colour, and its exact time by counting."""
    from vfx_matte.cli.show import bars, table
    from vfx_matte.pipeline import inspect

    opened = opened_clip(session, clip_path(session, clip), gaps=gaps)
    inspect.look_for_changes(opened)
    if json:
        typer.echo(inspect.clip_json(opened.info))
        return
    if session.quiet:
        return
    table(str(clip), ("", ""), inspect.clip_rows(opened.info))
    table(
        "Distance of frames", ("duration", "", "frames"), bars(inspect.interval_rows(opened.info))
    )


@command()
def verify(
    session: Session,
    *,
    output: Annotated[Path, typer.Argument(help="A rendered file.")],
    source: Annotated[
        Path | None,
        typer.Option("--source", metavar="CLIP", help="The clip it was rendered from."),
    ] = None,
    frame_map: Annotated[
        Path | None,
        typer.Option(
            "--map", metavar="JSON", help="Of a conformed file: its frame map (the one beside it)."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Compare a rendered file with its source: every timestamp, the sound, the colour tags.

    Exit code 1 when they differ.
    """
    from vfx_matte.cli.show import table
    from vfx_matte.pipeline import inspect
    from vfx_matte.pipeline.export.frame_map_check import map_beside, verify_conformed

    if source is None:
        raise UsageError(
            "verify needs the source clip", hint="vfx-matte verify OUTPUT --source CLIP"
        )
    path = clip_path(session, source)
    if found := frame_map or map_beside(output):
        report = verify_conformed(output, path, found, reporter=session)
    else:
        report = inspect.verify_file(output, path, reporter=session)
    if json:
        typer.echo(inspect.report_json(report))
    elif not session.quiet:
        rows = [
            (check.name, "ok" if check.ok else "DIFFERS", check.detail) for check in report.checks
        ]
        table(f"{output} against {source}, read by {report.reader}", ("", "", ""), rows)
    inspect.require_same(report)


@command()
def frame(
    session: Session,
    *,
    clip: Annotated[Path, typer.Argument(help="The clip.")],
    at: At = None,
    output: Output = None,
) -> None:
    """Save one frame as a picture, to paint a mask on."""
    from vfx_matte.cli.show import say
    from vfx_matte.pipeline import inspect
    from vfx_matte.timeline import parse_position

    opened = opened_clip(session, clip_path(session, clip))
    position = None if at is None else parse_position(at)
    say(
        inspect.save_frame(
            opened, at=position, output=output, workspace=session.settings.paths.workspace
        )
    )


@command(name="config")
def config_command(session: Session) -> None:  # noqa: ARG001
    """Print a config.ini with every option at its default."""
    typer.echo(ini.template(as_typed), nl=False)


@command()
def demo(
    session: Session,
    *,
    folder: Annotated[Path, typer.Argument(help="Where the demo's files go.")] = Path("workspace"),
    frames: Annotated[int, typer.Option(help="Length of the clip.", min=8, max=10_000)] = 72,
) -> None:
    """Make a clip with a known truth, run the whole program on it and check every output."""
    from vfx_matte.cli.show import paths, say, table
    from vfx_matte.pipeline.demo import run_demo

    settings = session.settings
    fetch = settings.network.fetch == "auto"
    result = run_demo(
        folder, frame_count=frames, model=settings.paths.model, fetch=fetch, reporter=session
    )
    if session.quiet:
        paths([result.sheet])
        return
    rows = [(row.output, row.what, row.timing, row.iou) for row in result.rows]
    table("Demo", ("output", "encoding", "time against the source", "mask against the truth"), rows)
    say(f"picture: {result.sheet}")
