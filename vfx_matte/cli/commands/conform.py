"""The command that gives a clip one constant rate.

Takes options, calls the pipeline, shows the files and the frame map.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, clip_path, rate_of
from vfx_matte.cli.commands.render import RenderChoice, rendering, show_results
from vfx_matte.cli.part import whole_clip
from vfx_matte.settings import ini

if TYPE_CHECKING:
    from vfx_matte.pipeline.export.conform import ConformResult


@command(whole_clip, rendering)
def conform(
    session: Session,
    *,
    clip: Clip = None,
    fps: Annotated[
        str | None,
        typer.Option(metavar="RATE|auto", help="25, 30000/1001 …; auto = the nearest usual one."),
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Of source,greenback,alpha,maskvideo,overlay; without masks only source.",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Of the green screen: green, blue, magenta, #rrggbb or auto.")
    ] = None,
    style: Annotated[
        str | None, typer.Option(help="Of the mask video: auto, luma, palette or rgb.")
    ] = None,
    premultiplied: Annotated[
        bool | None, typer.Option("--premultiplied/--straight", help="Of alpha.")
    ] = None,
    keep_background: Annotated[
        bool | None,
        typer.Option(
            "--keep-background/--no-keep-background", help="Leave the old background under alpha 0."
        ),
    ] = None,
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
    rendering: RenderChoice,
) -> None:
    """Give a clip, and what was cut out of it, one constant rate: for editing programs that count
    frames. -o names a FOLDER.
    """
    from vfx_matte.cli.show import paths, table
    from vfx_matte.pipeline.clip import open_segmented_or_source
    from vfx_matte.pipeline.export import conform as pipeline

    settings = session.settings
    chosen = ini.with_overrides(settings.conform, fps=fps, outputs=outputs)
    rate = None if chosen.fps == "auto" else rate_of(chosen.fps)
    opened = open_segmented_or_source(
        clip_path(session, clip), workspace=settings.paths.workspace,
        usual_fps=rate or rate_of(settings.segment.fps), gaps=settings.segment.gaps,
        ignore_alpha=settings.clip.ignore_alpha, reporter=session,
    )  # fmt: skip
    result = pipeline.conform(
        opened,
        fps=rate,
        outputs=[name.strip() for name in chosen.outputs.split(",")] if chosen.outputs else None,
        look=rendering.look,
        shown=pipeline.ConformLook(
            key=key or settings.greenback.key,
            background="" if key else settings.greenback.background,
            premultiplied=settings.alpha.premultiplied if premultiplied is None else premultiplied,
            keep_background=(
                settings.alpha.keep_background if keep_background is None else keep_background
            ),
            style=style or settings.maskvideo.style,
            tint=settings.overlay.alpha,
        ),
        encode=rendering.plain_encode(),
        folder=output
        or pipeline.usual_folder(
            opened, workspace=settings.paths.workspace, target=rendering.target
        ),
        reporter=session,
    )
    show_results(session, list(result.results))
    if session.quiet:
        paths(result.map_files)
        return
    table("Frame map", ("", ""), _map_rows(result))


def _map_rows(result: ConformResult) -> list[tuple[str, object]]:
    step = result.timeline[0]
    return [
        (
            "rate",
            (
                f"{float(result.rate):.6g} fps ({result.rate}), {step.duration} ticks of"
                f" 1/{step.time_base.denominator} s a frame"
            ),
        ),
        ("frames", f"{result.source_count} in the source, {len(result.frame_map)} here"),
        ("shown again", result.duplicated),
        ("left out", result.dropped),
        (
            "largest error",
            (
                f"{float(result.largest_error) * 1000:.2f} ms early, of at most"
                f" {float(500 / result.rate):.2f} ms"
            ),
        ),
        ("frame map", " ".join(str(path) for path in result.map_files)),
    ]
