"""The command that says whether a green screen can be keyed.

Takes options, calls the pipeline, prints a table or JSON.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, Output, segmented_clip
from vfx_matte.cli.commands.render import matte, tools
from vfx_matte.cli.options import Only
from vfx_matte.settings.options import GreenbackSettings, MatteSettings, RenderSettings


@command(matte)
def keytest(
    session: Session,
    *,
    clip: Clip = None,
    settings: Annotated[
        GreenbackSettings, Only("key", "codec", "preset", "quality", "pixel_format")
    ],
    output: Output = None,
    frames: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=10_000, help="How many frames are tested, spread over the clip."
        ),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Where the contact sheet goes (keytest.png).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    matte: MatteSettings,
    render: RenderSettings,
) -> None:
    """Say how well the green screen keys: encode, decode, key, and compare with the matte.

    Only the suffix of -o is used.
    """
    from vfx_matte.cli.show import paths, say, table
    from vfx_matte.pipeline.render.encoding import EncodeOptions
    from vfx_matte.pipeline.review import keytest as pipeline

    options = pipeline.KeytestOptions(key=settings.key, output=output)
    if frames is not None:
        options = replace(options, frames=frames)
    result = pipeline.keytest(
        segmented_clip(session, clip),
        options,
        settings=matte,
        tools=tools(session, render),
        encode=EncodeOptions.of(settings, render),
        sheet=sheet,
        reporter=session,
    )
    if json:
        typer.echo(pipeline.keytest_json(result))
        return
    if session.quiet:
        paths([result.sheet])
        return
    title = (
        f"{result.clip.name} over {result.key}: keyed alpha against the matte, {len(result.frames)}"
        " frames"
    )
    table(title, pipeline.KEYTEST_COLUMNS, pipeline.keytest_rows(result))
    say(result.verdict)
    say(f"picture: {result.sheet}")
