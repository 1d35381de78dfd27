"""Renders a segmented clip for Python programs: green screen, alpha, mask videos and overlay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from vfx_matte.api.shared import position_of, reporter_of, segmented, spells_python
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render import renders
from vfx_matte.pipeline.render.outputs import RenderResult
from vfx_matte.pipeline.render.part import Selection
from vfx_matte.pipeline.render.request import Tools
from vfx_matte.settings.by_name import records_of
from vfx_matte.settings.options import (
    AlphaSettings,
    GreenbackSettings,
    MaskvideoSettings,
    MatteSettings,
    Options,
    OverlaySettings,
    RenderSettings,
)

# one result, or one per object: `_render` hands on what the pipeline gives
R = TypeVar("R")
Position = int | str | None
"""A frame number, or a time such as "4.5s"; None is not chosen."""


@spells_python
def render_greenback(
    clip: str | Path,
    *,
    workspace: str | Path = "workspace",
    model: str | Path = "model",
    output: str | Path | None = None,
    frame: Position = None,
    start: Position = None,
    stop: Position = None,
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
    **options: Any,  # noqa: ANN401  options of the table, checked there
) -> RenderResult:
    """Render the subject over a key colour, or over a background.

    Args:
        clip: a clip that was segmented.
        workspace: the folder of results.
        model: the folder of network weights.
        output: where it goes; None is greenback.mp4 in the clip's folder of the workspace.
        frame: render one frame as PNG, at once.
        start: the first frame of a part; None is the clip's.
        stop: the frame after the part; None is the clip's end.
        ignore_alpha: read the clip as opaque.
        reporter: receives notices and progress; None keeps silent.
        options: options of `GreenbackSettings`, `MatteSettings` and `RenderSettings`, by name.

    Returns:
        The output, verified against the source.

    Raises:
        VfxMatteError: its subclass says what is wrong, its `hint` what to do.
        TypeError: an unknown option.

    >>> import vfx_matte
    >>> green = vfx_matte.render_greenback("clip.mp4", key="blue", edges="median", grow=1)
    >>> green.frame_count
    12
    """
    # the four renders differ in nothing but their record and what they call: see `_render`
    return _render(
        renders.render_greenback, GreenbackSettings, clip, options, workspace=workspace,
        model=model, output=output, part=(frame, start, stop), ignore_alpha=ignore_alpha,
        reporter=reporter,
    )  # fmt: skip


@spells_python
def render_alpha(
    clip: str | Path,
    *,
    workspace: str | Path = "workspace",
    model: str | Path = "model",
    output: str | Path | None = None,
    frame: Position = None,
    start: Position = None,
    stop: Position = None,
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
    **options: Any,  # noqa: ANN401  options of the table, checked there
) -> RenderResult:
    """Cut the subject out with alpha: ProRes 4444 (.mov), VP9 (.webm), FFV1 (.mkv), or RGBA PNG
    files in a folder.

    Arguments, result and errors are those of `render_greenback`, with the options of
    `AlphaSettings`.

    >>> import vfx_matte
    >>> vfx_matte.render_alpha("clip.mp4", output="cut.png", frame=3).output.name
    'cut.png'
    """
    return _render(
        renders.render_alpha, AlphaSettings, clip, options, workspace=workspace, model=model,
        output=output, part=(frame, start, stop), ignore_alpha=ignore_alpha, reporter=reporter,
    )  # fmt: skip


@spells_python
def render_maskvideos(
    clip: str | Path,
    *,
    workspace: str | Path = "workspace",
    model: str | Path = "model",
    output: str | Path | None = None,
    frame: Position = None,
    start: Position = None,
    stop: Position = None,
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
    **options: Any,  # noqa: ANN401  options of the table, checked there
) -> list[RenderResult]:
    """Render the masks as one video, or with `each_object` as one video per object.

    Arguments, results and errors are those of `render_greenback`, with the options of
    `MaskvideoSettings`.

    >>> import vfx_matte
    >>> [result.output.name for result in vfx_matte.render_maskvideos("clip.mp4", style="palette")]
    ['maskvideo.mkv']
    """
    return _render(
        renders.render_maskvideos, MaskvideoSettings, clip, options, workspace=workspace,
        model=model, output=output, part=(frame, start, stop), ignore_alpha=ignore_alpha,
        reporter=reporter,
    )  # fmt: skip


@spells_python
def render_overlay(
    clip: str | Path,
    *,
    workspace: str | Path = "workspace",
    model: str | Path = "model",
    output: str | Path | None = None,
    frame: Position = None,
    start: Position = None,
    stop: Position = None,
    ignore_alpha: bool = False,
    reporter: Reporter | None = None,
    **options: Any,  # noqa: ANN401  options of the table, checked there
) -> RenderResult:
    """Tint every object with its colour, to look at what was segmented.

    Arguments, result and errors are those of `render_greenback`, with the options of
    `OverlaySettings`.

    >>> import vfx_matte
    >>> vfx_matte.render_overlay("clip.mp4", alpha=0.7, start=2, stop=6).frame_count
    4
    """
    return _render(
        renders.render_overlay, OverlaySettings, clip, options, workspace=workspace, model=model,
        output=output, part=(frame, start, stop), ignore_alpha=ignore_alpha, reporter=reporter,
    )  # fmt: skip


def _render(
    render: Callable[..., R],
    kind: type[Options],
    clip: str | Path,
    options: dict[str, Any],
    *,
    workspace: str | Path,
    model: str | Path,
    output: str | Path | None,
    part: tuple[Position, Position, Position],
    ignore_alpha: bool,
    reporter: Reporter | None,
) -> R:
    """Sort options into records, open the clip, and render."""
    # one name may be an option of several records: the render's own record comes first, so that
    # `alpha` of an overlay is its tint
    settings, matte, shared = records_of(options, kind, MatteSettings, RenderSettings)
    messages = reporter_of(reporter)
    frame, start, stop = (None if position is None else position_of(position) for position in part)
    # the clip is opened after all options are checked: a slip costs no time
    return render(
        segmented(clip, workspace=workspace, ignore_alpha=ignore_alpha, reporter=messages),
        settings,
        renders.RenderRequest(
            matte=matte,
            render=shared,
            tools=Tools.chosen(shared.device, Path(model), notify=messages.notify),
            output=None if output is None else Path(output),
            selection=Selection(frame=frame, start=start, stop=stop),
        ),
        reporter=messages,
    )
