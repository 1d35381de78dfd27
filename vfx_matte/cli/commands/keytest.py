"""The command that says whether a green screen can be keyed.

Takes options, calls the pipeline, prints a table or JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, segmented_clip
from vfx_matte.cli.commands.render import RenderChoice, rendering
from vfx_matte.settings import ini


@command(rendering)
def keytest(
    session: Session,
    *,
    clip: Clip = None,
    key: Annotated[str | None, typer.Option(help="green, blue, magenta, #rrggbb or auto.")] = None,
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
    rendering: RenderChoice,
) -> None:
    """Say how well the green screen keys: encode, decode, key, and compare with the matte.

    Only the suffix of -o is used.
    """
    from vfx_matte.cli.show import paths, say, table
    from vfx_matte.pipeline.review import keytest as pipeline

    chosen = ini.with_overrides(session.settings.greenback, key=key)
    options = pipeline.KeytestOptions(key=chosen.key, output=rendering.output)
    options = ini.with_overrides(options, frames=frames)
    result = pipeline.keytest(
        segmented_clip(session, clip), options, look=rendering.look,
        encode=rendering.encode(chosen), sheet=sheet,
        reporter=session,
    )  # fmt: skip
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
