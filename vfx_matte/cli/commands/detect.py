"""The command that finds objects without any mask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, Fps, Resume, Span, clip_path, opened_clip, span
from vfx_matte.cli.commands.segment import PropagationChoice, asked, on_terminal, propagation
from vfx_matte.cli.options import Only
from vfx_matte.settings.options import DetectSettings, SegmentSettings


@command(propagation, span)
def detect(
    session: Session,
    *,
    clip: Clip = None,
    settings: DetectSettings,
    same: Annotated[
        list[str] | None,
        typer.Option(
            metavar="B=A", help="Object B, after a cut, is object A again; repeat for more."
        ),
    ] = None,
    fps: Fps = None,
    resume: Resume = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start again; earlier work is kept as *.previous.")
    ] = False,
    masks: Annotated[SegmentSettings, Only("gaps", "soft", "cuts")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Where result.json and pictures go (detected, in the clip's workspace).",
        ),
    ] = None,
    propagation: PropagationChoice,
    span: Span,
) -> None:
    """Find objects without any mask, and make their masks on every frame."""
    from vfx_matte.cli.show import say, show_to_scripts, table
    from vfx_matte.pipeline.detect.objects import read_same
    from vfx_matte.pipeline.detect.request import DetectRequest
    from vfx_matte.pipeline.detect.run import detect_clip
    from vfx_matte.pipeline.segment.cuts import CutOptions

    cuts = CutOptions.parse(masks.cuts, confirm=asked if on_terminal() else None)
    read_same(same or ())
    path = clip_path(session, clip)
    opened = opened_clip(session, path, fps=fps, gaps=masks.gaps)
    session.interrupt_hint = "run the same command with --resume to go on"
    file = propagation.settings
    request = DetectRequest(
        settings=settings,
        model=file.paths.model,
        device=str(propagation.options.values.get("device", "auto")),
        start=span.start,
        stop=span.stop,
        propagator=propagation.options,
        cuts=cuts,
        soft=masks.soft,
        same=tuple(same or ()),
        resume=resume,
        fresh=fresh,
        output=output,
        fetch=file.network.fetch == "auto",
    )
    found = detect_clip(opened, request, workspace=file.paths.workspace, reporter=session)
    if show_to_scripts(session, found, found.files):
        return
    looked = "1 frame was" if found.frames == 1 else f"{found.frames} frames were"
    looked += " looked at"
    if not found.objects:
        say(f"no objects were found in {path.name}; {looked}")
        return
    table(
        f"Found in {path.name}",
        ("object", "name", "class", "score", "colour", "seen on frames", "reference masks"),
        [
            (
                one.id,
                one.name,
                one.class_name,
                f"{one.score:.2f}",
                one.color,
                f"{one.first} to {one.last}",
                len(one.references),
            )
            for one in found.objects
        ],
    )
    say(f"{looked}, {found.seconds:.1f} s in all")
    say(f"masks: {found.masks}")
    for file_path in found.files:
        say(f"written: {file_path}")
    say("look: vfx-matte overlay | qc | studio")
    say("correct a frame: vfx-matte mask CLIP --at N --from propagated --object N --fg X,Y")
    say("render: vfx-matte greenback | alpha | maskvideo | package")
