"""The commands that render. Each calls one pipeline function and shows the files it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import Clip, Output, segmented_clip
from vfx_matte.cli.part import PartChoice, part
from vfx_matte.settings.options import (
    AlphaSettings,
    GreenbackSettings,
    MaskvideoSettings,
    MatteSettings,
    OverlaySettings,
    RenderSettings,
)

if TYPE_CHECKING:
    from vfx_matte.pipeline.render.outputs import RenderResult
    from vfx_matte.pipeline.render.request import Tools


def tools(session: Session, render: RenderSettings) -> Tools:
    """What a render computes with."""
    from vfx_matte.pipeline.render.request import Tools

    # the device is chosen once per command; a GPU that cannot be used is told here
    model = session.settings.paths.model
    return Tools.chosen(render.device, model, notify=session.notify)


@command(part)
def greenback(
    session: Session,
    *,
    clip: Clip = None,
    settings: GreenbackSettings,
    output: Output = None,
    part: PartChoice,
    matte: MatteSettings,
    render: RenderSettings,
) -> None:
    """Render the subject over a key colour: greenback.mp4."""
    from vfx_matte.pipeline.render.renders import render_greenback

    result = render_greenback(
        segmented_clip(session, clip),
        settings,
        matte=matte,
        render=render,
        tools=tools(session, render),
        output=output,
        selection=part.selection,
        reporter=session,
    )
    show_results(session, [result])


@command(part)
def maskvideo(
    session: Session,
    *,
    clip: Clip = None,
    settings: MaskvideoSettings,
    each_object: Annotated[
        bool, typer.Option("--each-object", help="Write one file per object.")
    ] = False,
    output: Output = None,
    part: PartChoice,
    matte: MatteSettings,
    render: RenderSettings,
) -> None:
    """Render the masks as a video: maskvideo.mkv, lossless; -o x.mov, -o FOLDER/%07d.png, or
    %07d.exr for layers.
    """
    from vfx_matte.pipeline.render.renders import render_maskvideos

    results = render_maskvideos(
        segmented_clip(session, clip),
        settings,
        each_object=each_object,
        matte=matte,
        render=render,
        tools=tools(session, render),
        output=output,
        selection=part.selection,
        reporter=session,
    )
    show_results(session, results)


@command(part)
def alpha(
    session: Session,
    *,
    clip: Clip = None,
    settings: AlphaSettings,
    output: Output = None,
    part: PartChoice,
    matte: MatteSettings,
    render: RenderSettings,
) -> None:
    """Cut the subject out with alpha: alpha.mov (ProRes 4444); -o x.webm, or -o FOLDER for PNG
    files.
    """
    from vfx_matte.pipeline.render.renders import render_alpha

    result = render_alpha(
        segmented_clip(session, clip),
        settings,
        matte=matte,
        render=render,
        tools=tools(session, render),
        output=output,
        selection=part.selection,
        reporter=session,
    )
    show_results(session, [result])


@command(part)
def overlay(
    session: Session,
    *,
    clip: Clip = None,
    settings: OverlaySettings,
    output: Output = None,
    part: PartChoice,
    matte: MatteSettings,
    render: RenderSettings,
) -> None:
    """Tint every object with its colour, to look at: out-NAME.mp4."""
    from vfx_matte.pipeline.render.renders import render_overlay

    result = render_overlay(
        segmented_clip(session, clip),
        settings,
        matte=matte,
        render=render,
        tools=tools(session, render),
        output=output,
        selection=part.selection,
        reporter=session,
    )
    show_results(session, [result])


def show_results(session: Session, results: list[RenderResult]) -> None:
    """Print one row for each finished output; with --quiet its path."""
    from vfx_matte.cli.show import show_to_scripts, table

    if show_to_scripts(session, {"outputs": results}, [result.output for result in results]):
        return
    # every render passes these three; what is told is that which differs from clip to clip
    plain = ("frame count", "picture size", "colour tags")
    rows = [
        (
            result.output,
            result.encoding,
            (
                f"{result.frame_count} frame{'s' if result.frame_count != 1 else ''} in"
                f" {result.seconds:.1f} s"
            ),
            "verified: "
            + "; ".join(
                check.detail for check in result.verified.checks if check.name not in plain
            ),
        )
        for result in results
    ]
    table("Rendered", ("output", "encoding", "", ""), rows)
