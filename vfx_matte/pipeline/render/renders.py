"""Renders a segmented clip as green screen, alpha, mask video or overlay; what each shows says
`planner`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vfx_matte.matting import Despill, EdgeOptions
from vfx_matte.media.writers.exr import is_layers
from vfx_matte.media.writers.numbered_files import PNG, is_numbered
from vfx_matte.pipeline.clip import SegmentedClip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.encoding import EncodeOptions, mask_style
from vfx_matte.pipeline.render.exr import check_style, render_layers
from vfx_matte.pipeline.render.look import Look, chosen_objects
from vfx_matte.pipeline.render.outputs import PlannedOutput, RenderResult
from vfx_matte.pipeline.render.part import WHOLE, Selection, rendered, say_range, split_place
from vfx_matte.pipeline.render.planner import Planner, _deliver

__all__ = [
    "Despill",
    "EdgeOptions",
    "EncodeOptions",
    "Look",
    "Planner",
    "RenderResult",
    "Selection",
    "render_alpha",
    "render_greenback",
    "render_maskvideos",
    "render_overlay",
]


def render_greenback(
    clip: SegmentedClip,
    *,
    output: Path | None = None,
    key: str = "green",
    background: str = "",
    look: Look = Look(),
    encode: EncodeOptions = EncodeOptions(),
    selection: Selection = WHOLE,
    reporter: Reporter,
) -> RenderResult:
    """Put the subject over a key colour, or over a background.

    Arguments are those of `Planner.greenback`.

    Returns the verified result. Raises UsageError, OutputError or VerifyError.
    """
    is_checked = selection.frame is None

    def make(first: int, place: Path | None) -> list[PlannedOutput]:
        planner = Planner(clip, reporter, first=first)
        return [
            planner.greenback(
                place,
                key=key,
                background=background,
                is_checked=is_checked,
                look=look,
                encode=encode,
            )
        ]

    return rendered(clip, make, output, selection, reporter)[0]


def render_alpha(
    clip: SegmentedClip,
    *,
    output: Path | None = None,
    premultiplied: bool = False,
    keep_background: bool = False,
    look: Look = Look(),
    encode: EncodeOptions = EncodeOptions(),
    selection: Selection = WHOLE,
    reporter: Reporter,
) -> RenderResult:
    """Cut the subject out with alpha: ProRes 4444 (.mov), VP9 (.webm), FFV1 (.mkv), or RGBA PNG
    files in a folder.

    keep_background: see `Planner.alpha`.
    """

    def make(first: int, place: Path | None) -> list[PlannedOutput]:
        planner = Planner(clip, reporter, first=first)
        return [
            planner.alpha(
                place,
                premultiplied=premultiplied,
                keep_background=keep_background,
                look=look,
                encode=encode,
            )
        ]

    return rendered(clip, make, output, selection, reporter)[0]


def render_overlay(
    clip: SegmentedClip,
    *,
    output: Path | None = None,
    alpha: float = 0.5,
    look: Look = Look(),
    encode: EncodeOptions = EncodeOptions(),
    selection: Selection = WHOLE,
    reporter: Reporter,
) -> RenderResult:
    """Tint every object with its colour, to look at what was segmented."""

    def make(first: int, place: Path | None) -> list[PlannedOutput]:
        return [
            Planner(clip, reporter, first=first).overlay(
                place, alpha=alpha, look=look, encode=encode
            )
        ]

    return rendered(clip, make, output, selection, reporter)[0]


def render_maskvideos(
    clip: SegmentedClip,
    *,
    output: Path | None = None,
    style: str = "auto",
    each_object: bool = False,
    look: Look = Look(),
    encode: EncodeOptions = EncodeOptions(),
    selection: Selection = WHOLE,
    reporter: Reporter,
) -> list[RenderResult]:
    """Show the masks as one video, or with `each_object` as one a chosen object, named
    NAME.object-N.

    style: of `Planner.maskvideo`, or "auto": luma, unless the encoding's target wants several
    objects in one file otherwise.
    output: FOLDER/%07d.exr makes EXR files with one layer an object instead.
    """
    shown = () if each_object else chosen_objects(clip, look)
    asked, style = style, mask_style(style, encode=encode, objects=shown)
    _, place = split_place(output, selection)
    path, encode = _deliver("maskvideo", clip, place, "maskvideo.mkv", encode, reporter=reporter)
    if is_layers(path):
        if selection.frame is None:
            span, number = selection.span(clip, reporter), encode.start_number
            if span is not None:
                say_range(clip, span, reporter, is_file=False, has_sound=False)
            return [
                render_layers(
                    clip,
                    output=path,
                    style=asked,
                    look=look,
                    start_number=number,
                    span=span,
                    reporter=reporter,
                )
            ]
        check_style(asked)
        # all objects together, as R, G, B and A of the file show them
        path, style = (
            path.with_suffix(PNG),
            "luma",
        )
    singles = chosen_objects(clip, look) if each_object else ()

    def make(first: int, _: Path | None) -> list[PlannedOutput]:
        planner = Planner(clip, reporter, first=first)
        if not each_object:
            return [planner.maskvideo(path, style=style, look=look, encode=encode)]
        return [
            planner.maskvideo(
                _of_object(path, one),
                style=style,
                look=replace(look, objects=(one,)),
                encode=encode,
            )
            for one in singles
        ]

    return rendered(
        clip,
        make,
        output,
        selection,
        reporter,
        named=lambda name: [_of_object(name, one) for one in singles] or [name],
    )


def _of_object(path: Path, object_id: int) -> Path:
    """Where one object's mask video goes: NAME.object-N.mkv, or FOLDER.object-N/%07d.png."""
    if is_numbered(path):
        return path.parent.with_name(f"{path.parent.name}.object-{object_id}") / path.name
    return path.with_name(f"{path.stem}.object-{object_id}{path.suffix}")
