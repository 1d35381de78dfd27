"""Renders a segmented clip as green screen, alpha, mask video or overlay.

What each of them shows is decided in `planner`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vfx_matte.media.writers.exr import is_layers
from vfx_matte.media.writers.numbered_files import PNG, is_numbered
from vfx_matte.pipeline.clip import SegmentedClip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.encoding import EncodeOptions, mask_style
from vfx_matte.pipeline.render.exr import check_style, render_layers
from vfx_matte.pipeline.render.outputs import PlannedOutput, RenderResult
from vfx_matte.pipeline.render.part import (
    WHOLE,
    Plan,
    Selection,
    notify_range,
    render_selection,
    split_output,
)
from vfx_matte.pipeline.render.planner import Planner, output_place
from vfx_matte.pipeline.render.request import Tools, chosen_objects
from vfx_matte.settings.options import (
    AlphaSettings,
    GreenbackSettings,
    MaskvideoSettings,
    MatteSettings,
    OverlaySettings,
    RenderSettings,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """What every render is asked for, whatever it shows."""

    matte: MatteSettings = MatteSettings()
    """Which objects are shown, and how their edges are made."""

    render: RenderSettings = RenderSettings()
    """Sound, target and numbering."""

    tools: Tools = Tools()
    """What it computes with."""

    output: Path | None = None
    """Where it goes; None is the render's usual file in the clip's folder."""

    selection: Selection = WHOLE
    """One frame or a range; the whole clip otherwise."""


def render_greenback(
    clip: SegmentedClip,
    settings: GreenbackSettings = GreenbackSettings(),
    request: RenderRequest = RenderRequest(),
    *,
    reporter: Reporter,
) -> RenderResult:
    """Render the subject over a key colour, or over a background.

    Args:
        clip: a segmented clip.
        settings: the key or the background, and how the output is encoded.
        request: what all renders are asked for.
        reporter: receives notices and progress.

    Returns:
        The output, verified against the source.

    Raises:
        UsageError: a request that cannot be met.
        OutputError: the output cannot be written.
        VerifyError: the output differs from what the source demands.
    """
    return _rendered(
        clip,
        request,
        reporter,
        lambda planner, path: planner.greenback(
            path,
            key=settings.key,
            background=settings.background,
            # one frame is wanted at once, and comparing the key takes a dozen
            is_checked=request.selection.frame is None,
            settings=request.matte,
            encode=EncodeOptions.of(settings, request.render),
        ),
    )


def render_alpha(
    clip: SegmentedClip,
    settings: AlphaSettings = AlphaSettings(),
    request: RenderRequest = RenderRequest(),
    *,
    reporter: Reporter,
) -> RenderResult:
    """Cut the subject out with alpha.

    The suffix of the output decides: ProRes 4444 (.mov), VP9 (.webm), FFV1 (.mkv), or RGBA PNG
    files in a folder. Arguments, result and errors are those of `render_greenback`.
    """
    return _rendered(
        clip,
        request,
        reporter,
        lambda planner, path: planner.alpha(
            path,
            premultiplied=settings.premultiplied,
            keep_background=settings.keep_background,
            settings=request.matte,
            encode=EncodeOptions.of(settings, request.render),
        ),
    )


def render_overlay(
    clip: SegmentedClip,
    settings: OverlaySettings = OverlaySettings(),
    request: RenderRequest = RenderRequest(),
    *,
    reporter: Reporter,
) -> RenderResult:
    """Tint every object with its colour, to look at what was segmented.

    Arguments, result and errors are those of `render_greenback`.
    """
    return _rendered(
        clip,
        request,
        reporter,
        lambda planner, path: planner.overlay(
            path,
            alpha=settings.alpha,
            legend=settings.legend,
            settings=request.matte,
            encode=EncodeOptions.of(settings, request.render),
        ),
    )


def render_maskvideos(
    clip: SegmentedClip,
    settings: MaskvideoSettings = MaskvideoSettings(),
    request: RenderRequest = RenderRequest(),
    *,
    reporter: Reporter,
) -> list[RenderResult]:
    """Show the masks as one video, or as one video per object, named NAME.object-N.

    The style "auto" is luma, unless the program that it is for wants several objects in one file
    otherwise. An output FOLDER/%07d.exr makes EXR files with one layer per object instead.
    Arguments and errors are those of `render_greenback`.

    Returns:
        One result per video, by ascending id of the objects.
    """
    encode, each_object = EncodeOptions.of(settings, request.render), settings.each_object
    # "auto" asks how many objects share a file; with a file for each the answer is one
    objects = () if each_object else chosen_objects(clip, request.matte)
    style = mask_style(settings.style, encode=encode, objects=objects)
    _, whole = split_output(request.output, request.selection)
    path, encode = output_place(
        "maskvideo", clip, whole, "maskvideo.mkv", encode, reporter=reporter
    )
    # EXR has a writer of its own, which holds any number of objects in a file
    if is_layers(path):
        if request.selection.frame is None:
            span, number = request.selection.span(clip, reporter), encode.start_number
            if span is not None:
                notify_range(clip, span, reporter, is_file=False, has_sound=False)
            layers = render_layers(
                clip,
                output=path,
                style=settings.style,
                settings=request.matte,
                tools=request.tools,
                start_number=number,
                span=span,
                reporter=reporter,
            )
            return [layers]
        check_style(settings.style)
        # one frame as PNG: all objects together, as R, G, B and A of the EXR file show them
        path, style = path.with_suffix(PNG), "luma"
    # one planner for all of the files, so that the clip is decoded once
    singles = chosen_objects(clip, request.matte) if each_object else ()

    def plan(first: int, _: Path | None) -> list[PlannedOutput]:
        planner = Planner(clip, request.tools, reporter, first=first)
        if not each_object:
            return [planner.maskvideo(path, style=style, settings=request.matte, encode=encode)]
        return [
            planner.maskvideo(
                _object_path(path, object_id),
                style=style,
                settings=replace(request.matte, objects=(object_id,)),
                encode=encode,
            )
            for object_id in singles
        ]

    return _selected(
        clip,
        plan,
        request,
        reporter,
        picture_paths=lambda name: (
            [_object_path(name, object_id) for object_id in singles] or [name]
        ),
    )


def _rendered(
    clip: SegmentedClip,
    request: RenderRequest,
    reporter: Reporter,
    output: Callable[[Planner, Path | None], PlannedOutput],
) -> RenderResult:
    """Render one output of the part that was asked for."""

    def plan(first: int, path: Path | None) -> list[PlannedOutput]:
        return [output(Planner(clip, request.tools, reporter, first=first), path)]

    return _selected(clip, plan, request, reporter)[0]


def _selected(
    clip: SegmentedClip,
    plan: Plan,
    request: RenderRequest,
    reporter: Reporter,
    *,
    picture_paths: Callable[[Path], Sequence[Path]] = lambda path: [path],
) -> list[RenderResult]:
    """Render the part of the clip that was asked for, see `render_selection`."""
    return render_selection(
        clip,
        plan,
        request.output,
        request.selection,
        reporter,
        objects=request.matte.objects,
        picture_paths=picture_paths,
    )


def _object_path(path: Path, object_id: int) -> Path:
    """Where one object's mask video goes: NAME.object-N.mkv, or FOLDER.object-N/%07d.png."""
    # the folder carries the object: numbers in the files' names stay those of the frames
    if is_numbered(path):
        return path.parent.with_name(f"{path.parent.name}.object-{object_id}") / path.name
    return path.with_name(f"{path.stem}.object-{object_id}{path.suffix}")
