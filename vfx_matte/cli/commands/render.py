"""The commands that render. Each calls one pipeline function and shows the files it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfx_matte.cli.app import Session, command
from vfx_matte.cli.clips import PART, Clip, Output, Span, opening_clip, span
from vfx_matte.cli.loading import loading
from vfx_matte.settings.options import (
    AlphaSettings,
    EncodeSettings,
    GreenbackSettings,
    MaskvideoSettings,
    MatteSettings,
    OverlaySettings,
    RenderSettings,
)

if TYPE_CHECKING:
    from fractions import Fraction

    from vfx_matte.pipeline.render.outputs import RenderResult
    from vfx_matte.pipeline.render.renders import RenderRequest
    from vfx_matte.pipeline.render.request import Tools


def check(
    session: Session,
    encode: EncodeSettings,
    render: RenderSettings,
    green: GreenbackSettings | None = None,
) -> None:
    """In a rehearsal, check what a render itself says later, when it knows more of its clip."""
    if not session.rehearses:
        return
    from vfx_matte.pipeline.render.encoding import check_encoding
    from vfx_matte.pipeline.render.key import check_backdrop

    check_encoding(encode, render)
    if green is not None:
        check_backdrop(green)


def tools(session: Session, render: RenderSettings) -> Tools:
    """What a render computes with."""
    from vfx_matte.pipeline.render.request import Tools

    model = session.settings.paths.model
    # a farm's machines have other devices than the one that writes its job
    if session.rehearses:
        return Tools(model=model)
    # the device is chosen once per command; a GPU that cannot be used is told here
    return Tools.chosen(render.device, model, notify=session.notify)


@dataclass(frozen=True, slots=True)
class RenderChoice:
    """What the options that every render has add up to."""

    output: Path | None
    matte: MatteSettings
    render: RenderSettings
    frame: int | Fraction | None
    """As of `timeline.parse_position`."""

    def request(self, session: Session, span: Span) -> RenderRequest:
        """The same for the pipeline."""
        # imported here, because help must not wait for the pipeline's modules
        from vfx_matte.pipeline.render.part import Selection
        from vfx_matte.pipeline.render.renders import RenderRequest

        # a range and a frame exclude each other, which `Selection` checks for every door
        return RenderRequest(
            matte=self.matte,
            render=self.render,
            tools=tools(session, self.render),
            output=self.output,
            selection=Selection(frame=self.frame, start=span.start, stop=span.stop),
        )


def rendering(
    session: Session,  # noqa: ARG001  as every group of options has it
    *,
    output: Output = None,
    frame: Annotated[
        str | None,
        typer.Option(
            metavar="FRAME|TIME",
            help="Only this frame, at once, as NAME.0000120.png.",
            rich_help_panel=PART,
        ),
    ] = None,
    matte: MatteSettings,
    render: RenderSettings,
) -> RenderChoice:
    """Options of every render."""
    from vfx_matte.timeline import parse_position

    # read before the clip is opened, so that a slip in a position costs no time
    position = None if frame is None else parse_position(frame)
    return RenderChoice(output, matte, render, position)


@command(rendering, span)
def greenback(
    session: Session,
    *,
    clip: Clip = None,
    settings: GreenbackSettings,
    rendering: RenderChoice,
    span: Span,
) -> None:
    """Render the subject over a key colour: greenback.mp4."""
    check(session, settings, rendering.render, settings)
    opened = opening_clip(session, clip)
    with loading():
        from vfx_matte.pipeline.render.renders import render_greenback
        from vfx_matte.pipeline.render.request import load_edges

        request = rendering.request(session, span)
        load_edges(request.matte)
    result = render_greenback(opened(), settings, request, reporter=session)
    show_results(session, [result])


@command(rendering, span)
def maskvideo(
    session: Session,
    *,
    clip: Clip = None,
    settings: MaskvideoSettings,
    rendering: RenderChoice,
    span: Span,
) -> None:
    """Render the masks as a video: maskvideo.mkv, lossless; -o x.mov, -o FOLDER/%07d.png, or
    %07d.exr for layers.
    """
    check(session, settings, rendering.render)
    opened = opening_clip(session, clip)
    with loading():
        from vfx_matte.pipeline.render.renders import render_maskvideos
        from vfx_matte.pipeline.render.request import load_edges

        request = rendering.request(session, span)
        load_edges(request.matte)
    results = render_maskvideos(opened(), settings, request, reporter=session)
    show_results(session, results)


@command(rendering, span)
def alpha(
    session: Session,
    *,
    clip: Clip = None,
    settings: AlphaSettings,
    rendering: RenderChoice,
    span: Span,
) -> None:
    """Cut the subject out with alpha: alpha.mov (ProRes 4444); -o x.webm, or -o FOLDER for PNG
    files.
    """
    check(session, settings, rendering.render)
    opened = opening_clip(session, clip)
    with loading():
        from vfx_matte.pipeline.render.renders import render_alpha
        from vfx_matte.pipeline.render.request import load_edges

        request = rendering.request(session, span)
        load_edges(request.matte)
    result = render_alpha(opened(), settings, request, reporter=session)
    show_results(session, [result])


@command(rendering, span)
def overlay(
    session: Session,
    *,
    clip: Clip = None,
    settings: OverlaySettings,
    rendering: RenderChoice,
    span: Span,
) -> None:
    """Tint every object with its colour, to look at: out-NAME.mp4."""
    check(session, settings, rendering.render)
    opened = opening_clip(session, clip)
    with loading():
        from vfx_matte.pipeline.render.renders import render_overlay
    request = rendering.request(session, span)
    result = render_overlay(opened(), settings, request, reporter=session)
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
