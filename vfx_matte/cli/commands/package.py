"""The command that hands a clip over to an editing program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, opening_clip
from vfx_matte.cli.commands.render import check, tools
from vfx_matte.cli.loading import loading
from vfx_matte.cli.options import Only
from vfx_matte.cli.part import whole_clip
from vfx_matte.errors import UsageError
from vfx_matte.settings.options import (
    AlphaSettings,
    EncodeSettings,
    GreenbackSettings,
    MatteSettings,
    PackageSettings,
    RenderSettings,
)
from vfx_matte.timeline import parse_rate


@command(whole_clip)
def package(
    session: Session,
    *,
    clip: Clip = None,
    settings: PackageSettings,
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
    matte: MatteSettings,
    encode: EncodeSettings,
    render: RenderSettings,
    green: Annotated[GreenbackSettings, Only("key")],
    cut_out: Annotated[AlphaSettings, Only("premultiplied", "keep_background")],
) -> None:
    """Make a folder --for an editing program: files, a timeline with the cut-out in place, a note.
    -o names a FOLDER.
    """
    from vfx_matte.cli.show import say, show_to_scripts, table

    # --for may also be config.ini's target, so that it is no required option
    if not render.target:
        raise UsageError(
            "a package is made for one program, and none is named",
            hint="vfx-matte package CLIP --for premiere; see formats",
        )
    check(session, encode, render, green)
    if settings.fps != "auto":
        parse_rate(settings.fps)
    # no timeline counts part of a clip, so there are no --start and --stop: `whole_clip` refuses
    # them
    opened = opening_clip(session, clip)
    with loading():
        from vfx_matte.pipeline.export import package as pipeline
        from vfx_matte.pipeline.render.encoding import EncodeOptions
        from vfx_matte.pipeline.render.request import load_edges

        load_edges(matte)
    result = pipeline.package(
        opened(),
        pipeline.PackageRequest(
            settings=settings,
            green=green,
            cut_out=cut_out,
            matte=matte,
            tools=tools(session, render),
            encode=EncodeOptions.of(encode, render),
            output=output,
        ),
        program=render.target,
        reporter=session,
    )
    if show_to_scripts(session, result, [result.folder / result.open_first]):
        return
    rate = f", {result.rate} frames per second" if result.rate else ""
    table(
        f"Package for {result.title}: {result.frame_count} frames{rate}",
        ("file", "", "made"),
        [(one.file, one.what, one.made) for one in result.files],
    )
    # last, as it is the one line that the user goes on with
    say(f"open first: {result.folder / result.open_first}")
