"""The command that runs others on many clips."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Resume
from vfx_matte.cli.commands.segment import ONE_PROCESS
from vfx_matte.cli.display import EVENT_WORDS
from vfx_matte.cli.shots import RENDERS, TABLE_SUFFIX, check, kinds_of, shot_of_clip, shots_of_table
from vfx_matte.settings import ini

if TYPE_CHECKING:
    from vfx_matte.pipeline.batch.run import BatchResult

PATHS = ("workspace", "source", "model")
"""Folders of the settings that commands of a batch are told."""


@command()
def batch(
    session: Session,
    *,
    clips: Annotated[
        list[Path],
        typer.Argument(metavar="CLIP… | SHOTS.toml", help="Clips, or one table of shots."),
    ],
    outputs: Annotated[
        str, typer.Option(metavar="A,B,…", help=f"What clips become: {', '.join(RENDERS)}.")
    ] = "greenback",
    detect: Annotated[
        bool,
        typer.Option("--detect", help="Clips without a mask beside them: take what is found."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", help="Clips at once (half of the cores).", min=1),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run on a Dask cluster's workers: tcp://HOST:8786."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="What became of everything (workspace/batch.json)."),
    ] = None,
    openjd: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Run nothing: write a job template for a render farm (Open Job Description).",
        ),
    ] = None,
    machines: Annotated[
        int, typer.Option(metavar="N", help="With --openjd: machines that share a clip.", min=1)
    ] = 4,
    resume: Resume = False,
) -> None:
    """Run segment (or detect) and renders on many clips, several at once; one that fails stops no
    other. Masks lie beside the clips as CLIP.png or CLIP.masks/, or a table names them.
    """
    from vfx_matte.cli.show import say, show_to_scripts, table
    from vfx_matte.pipeline.batch.openjd import write_job
    from vfx_matte.pipeline.batch.plan import batch_plan
    from vfx_matte.pipeline.batch.processes import Program, usable_cores
    from vfx_matte.pipeline.batch.run import BatchOptions, require_done, run_batch

    if openjd is not None or scheduler:
        # other machines have another working directory
        paths = {name: getattr(session.settings.paths, name).absolute() for name in PATHS}
        session.settings = replace(
            session.settings, paths=session.settings.paths.overridden(**paths)
        )
        config = session.config_file or Path(ini.FILE_NAME)
        session.config_file = config.absolute() if config.is_file() else None
        clips = [clip.absolute() for clip in clips]
    if len(clips) == 1 and clips[0].suffix.lower() == TABLE_SUFFIX:
        shots = shots_of_table(session, clips[0])
    else:
        kinds = kinds_of(outputs)
        shots = [shot_of_clip(session, clip, kinds, finds=detect) for clip in clips]
    # every command line is parsed before anything begins: a slip must not end the tenth clip at
    # night
    shots = check(session, shots, elsewhere=openjd is not None or bool(scheduler))
    if openjd is not None:
        write_job(
            batch_plan(shots),
            openjd,
            workers=machines,
            program=Program(),
            farm_program="vfx-matte",
            list_words=("--json", *ONE_PROCESS, "--show-parts"),
            part_words=(*ONE_PROCESS, "--part"),
            farm_words=("--progress", "openjd"),
        )
        if not show_to_scripts(session, {"job": openjd}, [openjd]):
            say(f"job template: {openjd}")
        return
    session.interrupt_hint = "run the same command with --resume to go on"
    options = BatchOptions(
        report=report or session.settings.paths.workspace / "batch.json",
        jobs=jobs or max(1, usable_cores() // 2),
        resume=resume,
        scheduler=scheduler or "",
        program=Program(event_words=EVENT_WORDS, relay=session.display.relay),
    )
    result = run_batch(batch_plan(shots), options, reporter=session)
    if not show_to_scripts(session, result, [result.report]):
        table("Batch", ("clip", "state", "commands", "made"), _rows(result))
    # last, so that the table is there when the exit code is 1
    require_done(result)


def _rows(result: BatchResult) -> Iterable[tuple[str, ...]]:
    for shot in result.shots:
        commands = ", ".join(f"{step.command} {step.seconds:.0f} s" for step in shot.steps)
        made = [output for step in shot.steps for output in step.outputs]
        error = next((step.error for step in shot.steps if step.state == "failed"), "")
        yield str(shot.clip), shot.state, commands, error or ", ".join(made)
