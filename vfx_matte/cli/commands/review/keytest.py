"""The command that says how well a green screen can be keyed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, Output, opening_clip
from vfx_matte.cli.commands.render import tools
from vfx_matte.cli.loading import loading
from vfx_matte.cli.options import Only
from vfx_matte.settings.options import (
    GreenbackSettings,
    KeytestSettings,
    MatteSettings,
    RenderSettings,
)

if TYPE_CHECKING:
    from vfx_matte.pipeline.review.keytest import KeyRow

COLUMNS = (
    "encoding", "chroma", "written as", "MB/min", "edge off by", "95 % within", "picture off by",
    "keyed out", "left in", "worst frame",
)  # fmt: skip


@command()
def keytest(
    session: Session,
    *,
    clip: Clip = None,
    green: Annotated[GreenbackSettings, Only("key", "codec", "preset", "quality", "pixel_format")],
    output: Output = None,
    settings: KeytestSettings,
    sheet: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Where the contact sheet goes (keytest.png).")
    ] = None,
    matte: MatteSettings,
    render: RenderSettings,
) -> None:
    """Say how well the green screen keys: encode, decode, key, and compare with the matte.

    Only the suffix of -o is used.
    """
    from vfx_matte.cli.show import say, show_to_scripts, table

    opened = opening_clip(session, clip)
    with loading():
        from vfx_matte.pipeline.render.encoding import EncodeOptions
        from vfx_matte.pipeline.render.request import load_edges
        from vfx_matte.pipeline.review import keytest as pipeline

        load_edges(matte)
    # config.ini's key and encoding hold here too: what is tested is what `greenback` would write
    result = pipeline.keytest(
        opened(),
        pipeline.KeytestRequest(
            settings=settings,
            green=green,
            matte=matte,
            tools=tools(session, render),
            encode=EncodeOptions.of(green, render),
            output=output,
            sheet=sheet,
        ),
        reporter=session,
    )
    if show_to_scripts(session, result, [result.sheet]):
        return
    title = (
        f"{result.clip.name} over {result.key}: keyed alpha against the matte, {len(result.frames)}"
        " frames"
    )
    table(title, COLUMNS, map(_row, result.rows))
    say(result.verdict)
    say(f"picture: {result.sheet}")


def _row(row: KeyRow) -> tuple[str, ...]:
    """One encoding, by COLUMNS."""
    # the edge before the whole picture: that is where a key goes wrong
    shares = (row.edge_mean, row.edge_95, row.mean, row.keyed_out, row.left_in)
    return (
        row.name,
        row.sampling,
        row.encoding,
        f"{row.megabytes_per_minute:.0f}" if row.megabytes_per_minute else "–",
        *(f"{100 * share:.2f} %" for share in shares),
        f"{row.worst_frame}: {100 * row.worst_edge:.1f} %",
    )
