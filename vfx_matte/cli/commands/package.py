"""The command that hands a clip over to an editing program.

Takes options, calls the pipeline, shows the folder's files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, rate_of, segmented_clip
from vfx_matte.cli.commands.render import RenderChoice, rendering
from vfx_matte.cli.part import whole_clip
from vfx_matte.errors import UsageError
from vfx_matte.settings import ini


@command(whole_clip, rendering)
def package(
    session: Session,
    *,
    clip: Clip = None,
    media: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="The source: reference (where it is), copy, link, or convert (encode anew).",
        ),
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Of alpha,maskvideo,greenback; without it, what the program is given.",
        ),
    ] = None,
    each_object: Annotated[
        bool, typer.Option("--each-object", help="Put each object on its own track.")
    ] = False,
    fps: Annotated[
        str,
        typer.Option(metavar="RATE|auto", help="25, 30000/1001 …; auto = the program's nearest."),
    ] = "auto",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="The folder that is made (workspace/CLIP/package-PROGRAM).",
        ),
    ] = None,
    whole_clip: None,  # noqa: ARG001  it only refuses
    rendering: RenderChoice,
) -> None:
    """Make a folder --for an editing program: files, a timeline with the cut-out in place, a note.
    -o names a FOLDER.
    """
    from vfx_matte.cli.show import paths, say, table
    from vfx_matte.pipeline.export import package as pipeline

    if rendering.target is None:
        raise UsageError(
            "a package is made for one program, and none is named",
            hint="vfx-matte package CLIP --for premiere; see formats",
        )
    settings = session.settings
    chosen = ini.with_overrides(settings.package, media=media, outputs=outputs)
    result = pipeline.package(
        segmented_clip(session, clip),
        program=rendering.target,
        options=pipeline.PackageOptions(
            outputs=tuple(name.strip() for name in chosen.outputs.split(","))
            if chosen.outputs
            else None,
            media=chosen.media,
            each_object=each_object,
            key=settings.greenback.key,
            premultiplied=settings.alpha.premultiplied,
            keep_background=settings.alpha.keep_background,
            fps=None if fps == "auto" else rate_of(fps),
        ),
        look=rendering.look,
        encode=rendering.plain_encode(),
        output=output,
        reporter=session,
    )
    if session.quiet:
        paths([result.folder / result.open_first])
        return
    rate = f", {result.rate} frames a second" if result.rate else ""
    table(
        f"Package for {result.title}: {result.frame_count} frames{rate}",
        ("file", "", "made"),
        result.rows,
    )
    say(f"open first: {result.folder / result.open_first}")
