"""The command that gives a clip one constant rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, clip_path
from vfx_matte.cli.commands.render import check, show_results, tools
from vfx_matte.cli.options import Only
from vfx_matte.cli.part import whole_clip
from vfx_matte.settings.options import (
    AlphaSettings,
    ConformSettings,
    EncodeSettings,
    GreenbackSettings,
    MaskvideoSettings,
    MatteSettings,
    RenderSettings,
)
from vfx_matte.timeline import parse_rate

if TYPE_CHECKING:
    from vfx_matte.pipeline.export.conform import ConformResult


@command(whole_clip)
def conform(
    session: Session,
    *,
    clip: Clip = None,
    settings: ConformSettings,
    green: Annotated[GreenbackSettings, Only("key")],
    maskvideo: Annotated[MaskvideoSettings, Only("style")],
    alpha: Annotated[AlphaSettings, Only("premultiplied", "keep_background")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="The folder that is made (workspace/CLIP/conform).",
        ),
    ] = None,
    whole_clip: None,  # noqa: ARG001  it only refuses
    matte: MatteSettings,
    encode: EncodeSettings,
    render: RenderSettings,
) -> None:
    """Give a clip, and what was cut out of it, one constant rate: for editing programs that count
    frames. -o names a FOLDER.
    """
    from vfx_matte.cli.show import show_to_scripts, table
    from vfx_matte.pipeline.clip import open_segmented_or_source
    from vfx_matte.pipeline.export import conform as pipeline
    from vfx_matte.pipeline.render.encoding import EncodeOptions

    file = session.settings
    check(session, encode, render, green)
    # key, style and the like have sections of their own in config.ini, which hold here too
    request = pipeline.ConformRequest(
        settings=settings,
        green=green,
        cut_out=alpha,
        masks=maskvideo,
        overlay=file.overlay,
        matte=matte,
        tools=tools(session, render),
        encode=EncodeOptions.of(encode, render),
    )
    # a rate that is asked for is also that of an image sequence without one
    rate = request.fps or parse_rate(file.segment.fps)
    opened = open_segmented_or_source(
        clip_path(session, clip), workspace=file.paths.workspace,
        usual_fps=rate, gaps=file.segment.gaps,
        ignore_alpha=file.clip.ignore_alpha, reporter=session,
    )  # fmt: skip
    usual = pipeline.usual_folder(opened, workspace=file.paths.workspace, target=render.target)
    result = pipeline.conform(
        opened,
        request,
        folder=output or usual,
        reporter=session,
    )
    # The files of --quiet: what was made, and the map that goes with it.
    if show_to_scripts(session, result, (*result.files.values(), *result.map_files)):
        return
    show_results(session, list(result.results))
    table("Frame map", ("", ""), _map_rows(result))


def _map_rows(result: ConformResult) -> list[tuple[str, object]]:
    """What became of the frames, as (name, value) rows."""
    # all frames last equally long
    step = result.timeline[0]
    return [
        (
            "rate",
            (
                f"{float(result.rate):.6g} fps ({result.rate}), {step.duration} ticks of"
                f" 1/{step.time_base.denominator} s per frame"
            ),
        ),
        ("frames", f"{result.source_count} in the source, {len(result.frame_map)} here"),
        ("shown again", result.duplicated),
        ("left out", result.dropped),
        # the nearest frame is at most half an interval away
        (
            "largest error",
            (
                f"{float(result.largest_error) * 1000:.2f} ms early, of at most"
                f" {float(500 / result.rate):.2f} ms"
            ),
        ),
        ("frame map", " ".join(str(path) for path in result.map_files)),
    ]
