"""Masks and a clip to files an editing program reads. Takes a segmented clip, gives green screen, mask video, alpha or overlay.

Every output has every frame of the source at the source's time. Frames without a mask (outside the range that was segmented)
count as "nothing chosen": all key colour, all black, fully transparent, untinted. None is ever dropped.

Where alpha is shown (green screen, alpha, luma and rgb mask videos) its edges are those of the probabilities that
`segment --soft` kept, when it did; `Look.soft` decides. Ids (overlay, palette) are hard.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from vfx_matte import composite
from vfx_matte.backend import Array, Device, to_device
from vfx_matte.errors import UsageError, VerifyError
from vfx_matte.keycolor import parse_color
from vfx_matte.masks import RGB, Image, Mask
from vfx_matte.media.background import open_background
from vfx_matte.media.formats import EncodePlan, plan_encode
from vfx_matte.media.layers import is_layers
from vfx_matte.media.pixels import as_layout
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.read import Frame
from vfx_matte.media.stills import StillsWriter
from vfx_matte.media.verify import VerifyReport, expectation_of, verify_output, verify_stills
from vfx_matte.media.write import VideoWriter
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.pipeline.delivery import EncodeOptions, deliver, mask_style
from vfx_matte.pipeline.key import choose_key
from vfx_matte.pipeline.look import Look, chosen_objects, with_edges
from vfx_matte.pipeline.mattes import Mattes
from vfx_matte.pipeline.overlap import ahead
from vfx_matte.pipeline.project import SegmentedClip, refuse_to_replace
from vfx_matte.pipeline.report import Reporter
from vfx_matte.refine import Despill, EdgeOptions, refine_objects
from vfx_matte.timeline import FrameTime

__all__ = [
    "Despill",
    "EdgeOptions",
    "EncodeOptions",
    "Look",
    "RenderResult",
    "render_alpha",
    "render_greenback",
    "render_maskvideo",
    "render_maskvideos",
    "render_overlay",
]

COLORED: RGB = (255, 0, 0)
"""Stands for the palette's colours where only the layout that holds them is asked for."""


@dataclass(frozen=True, slots=True)
class RenderResult:
    """One finished output. encoding: how it was encoded, for people; seconds: how long the work took."""

    output: Path
    encoding: str
    frame_count: int
    frames_without_mask: int
    verified: VerifyReport
    seconds: float


def render_greenback(
    clip: SegmentedClip,
    *,
    output: Path | None = None,
    key: str = "green",
    background: str = "",
    look: Look = Look(),
    encode: EncodeOptions = EncodeOptions(),
    reporter: Reporter,
) -> RenderResult:
    """Put the subject over a key colour, or over a background.

    key: green, blue, magenta, #rrggbb or auto (farthest from the subject's colours).
    background: a colour, a picture or a video; empty = the key.
    Returns the verified result. Raises UsageError, OutputError or VerifyError.
    """
    path, encode = _deliver("greenback", clip, output, "greenback.mp4", encode, reporter=reporter)
    is_color = background.startswith("#") and not Path(background).exists()
    behind = Path(background) if background and not is_color else None
    check_request(clip, path, look, background=behind)
    look = with_edges(clip, look, reporter)
    mattes = Mattes(clip, look)
    flat = background if is_color else "green"  # before a picture no key is seen, so any will do
    color = parse_color(flat) if background else choose_key(clip, key, look, reporter=reporter)
    source = clip.info.layout
    layout = source if behind is not None else composite.layout_for_color(source, color)
    plan = _plan(path, clip.info, layout=layout, color=clip.info.color, encode=encode, reporter=reporter)
    working, tags = working_layout(plan, clip.info)
    backdrop = None
    if behind is not None:
        backdrop = open_background(
            behind,
            size=(clip.info.width, clip.info.height),
            layout=working,
            color=tags,
            sample_aspect=clip.info.sample_aspect,
            notify=reporter.notify,
        )

    def compose(frame: Frame, mask: Mask | None) -> Picture:
        picture = _on_device(as_layout(frame.picture, working, color=tags), look.device)
        matte = mattes.of(frame.index, mask, lambda: frame.image)
        picture = mattes.subject(picture, matte)
        if backdrop is not None:
            shown = backdrop.picture_at(frame.time.start - clip.info.timeline.start)
            return composite.over_picture(picture, matte, _on_device(shown, look.device))
        return composite.over_color(picture, matte, color)

    return _render(clip, path, plan, compose, label="green screen", sound=encode.sound, reporter=reporter)


def render_alpha(
    clip: SegmentedClip,
    *,
    output: Path | None = None,
    premultiplied: bool = False,
    look: Look = Look(),
    encode: EncodeOptions = EncodeOptions(),
    reporter: Reporter,
) -> RenderResult:
    """Cut the subject out with alpha: ProRes 4444 (.mov), VP9 (.webm), FFV1 (.mkv), or RGBA PNG files in a folder."""
    path, encode = _deliver("alpha", clip, output, "alpha.mov", encode, premultiplied=premultiplied, reporter=reporter)
    check_request(clip, path, look)
    look = with_edges(clip, look, reporter)
    mattes = Mattes(clip, look)
    source = clip.info.layout
    if _is_folder(path):
        depth = 8 if source.bit_depth == 8 else 16
        target = PixelLayout("rgb", depth)

        def compose_still(frame: Frame, mask: Mask | None) -> Picture:
            picture = _on_device(as_layout(frame.picture, target), look.device)
            matte = mattes.of(frame.index, mask, lambda: frame.image)
            return composite.with_alpha(mattes.subject(picture, matte), matte, premultiplied=premultiplied)

        return _render_stills(clip, path, compose_still, label="alpha", reporter=reporter)
    plan = _plan(
        path, clip.info, layout=replace(source, has_alpha=True), color=clip.info.color, encode=encode, reporter=reporter
    )
    opaque = replace(plan.layout, has_alpha=False)

    def compose(frame: Frame, mask: Mask | None) -> Picture:
        picture = _on_device(as_layout(frame.picture, opaque), look.device)
        matte = mattes.of(frame.index, mask, lambda: frame.image)
        return composite.with_alpha(mattes.subject(picture, matte), matte, premultiplied=premultiplied)

    return _render(clip, path, plan, compose, label="alpha", sound=encode.sound, reporter=reporter)


def render_overlay(
    clip: SegmentedClip,
    *,
    output: Path | None = None,
    alpha: float = 0.5,
    look: Look = Look(),
    encode: EncodeOptions = EncodeOptions(),
    reporter: Reporter,
) -> RenderResult:
    """Tint every object with its colour, to look at what was segmented."""
    if not 0 <= alpha <= 1:
        raise UsageError(f"overlay alpha {alpha} is outside 0..1", hint="0 shows the clip, 1 hides it behind the tint")
    path, encode = _deliver("overlay", clip, output, f"out-{clip.name}.mp4", encode, reporter=reporter)
    check_request(clip, path, look)
    contour_px = max(1, round(clip.info.height / 540))
    smooth = replace(look.edges, method="median")  # ids have no alpha to find in the picture
    layout = composite.layout_for_color(clip.info.layout, COLORED)
    plan = _plan(path, clip.info, layout=layout, color=clip.info.color, encode=encode, reporter=reporter)

    def compose(frame: Frame, mask: Mask | None) -> Picture:
        shown = _only(refine_objects(mask, options=smooth), look.objects) if mask is not None else _nothing(frame)
        return composite.overlay(frame.picture, shown, clip.palette, alpha=alpha, contour_px=contour_px)

    return _render(clip, path, plan, compose, label="overlay", sound=encode.sound, reporter=reporter)


def render_maskvideos(
    clip: SegmentedClip,
    *,
    output: Path | None = None,
    style: str = "auto",
    each_object: bool = False,
    look: Look = Look(),
    encode: EncodeOptions = EncodeOptions(),
    reporter: Reporter,
) -> list[RenderResult]:
    """Show the masks as one video, or with `each_object` as one a chosen object, named NAME.object-N.

    style: of `render_maskvideo`, or "auto": luma, unless the encoding's target wants several objects in one file otherwise.
    output: FOLDER/%07d.exr makes EXR files with one layer an object instead.
    """
    shown = () if each_object else chosen_objects(clip, look)
    asked, style = style, mask_style(style, encode=encode, objects=shown)
    path, encode = _deliver("maskvideo", clip, output, "maskvideo.mkv", encode, reporter=reporter)
    if is_layers(path):
        from vfx_matte.pipeline.layers import render_layers  # it is made of what is here

        return [render_layers(clip, output=path, style=asked, look=look, reporter=reporter)]
    if style != "palette":
        look = with_edges(clip, look, reporter)
    if not each_object:
        return [render_maskvideo(clip, output=path, style=style, look=look, encode=encode, reporter=reporter)]
    results = []
    for object_id in chosen_objects(clip, look):
        single = path.with_name(f"{path.stem}.object-{object_id}{path.suffix}")
        only = replace(look, objects=(object_id,))
        results.append(render_maskvideo(clip, output=single, style=style, look=only, encode=encode, reporter=reporter))
    return results


def render_maskvideo(
    clip: SegmentedClip,
    *,
    output: Path,
    style: str = "luma",
    look: Look = Look(),
    encode: EncodeOptions = EncodeOptions(),
    reporter: Reporter,
) -> RenderResult:
    """Show the masks themselves: luma (white on black), palette (DAVIS colours) or rgb (objects 1, 2, 3 in R, G, B).

    The source's pictures are decoded only when edges are found in them; else its times, sound and colour tags are used.
    """
    info = clip.info
    path, encode = _deliver("maskvideo", clip, output, output.name, encode, reporter=reporter)
    check_request(clip, path, look)
    if style == "luma":
        layout, color = PixelLayout("gray", 8 if info.layout.bit_depth == 8 else 16), replace(info.color, range="pc")
    elif style in ("palette", "rgb"):
        layout, color = PixelLayout("rgb", 8), ColorTags("gbr", "pc", info.color.primaries, info.color.transfer)
    else:
        raise UsageError(f"mask style {style!r} is unknown", hint="use --style luma, palette or rgb")
    if style == "rgb" and max(clip.object_ids, default=0) > 3:
        ids = ", ".join(map(str, clip.object_ids))
        raise UsageError(f"style rgb shows objects 1 to 3, this clip has {ids}", hint="use --style palette")
    if style != "palette":
        look = with_edges(clip, look, reporter)
    plan = _plan(path, info, layout=layout, color=color, encode=encode, reporter=reporter)
    channels = tuple(object_id for object_id in (1, 2, 3) if look.objects is None or object_id in look.objects)
    smooth = replace(look.edges, method="median")
    together = Mattes(clip, look)
    single = {object_id: together.alone(object_id) for object_id in channels}

    def compose(index: int, mask: Mask | None, image: Callable[[], Image] | None) -> Picture:
        if style == "luma":
            return composite.luma_matte(together.of(index, mask, image), plan.layout, plan.color)
        if style == "rgb":
            mattes = {object_id: one.of(index, mask, image) for object_id, one in single.items()}
            return composite.channel_mattes(mattes.get(1), mattes.get(2), mattes.get(3), shape=info.shape)
        smoothed = refine_objects(mask, options=smooth) if mask is not None else np.zeros(info.shape, np.uint8)
        return composite.painted(_only(smoothed, look.objects), clip.palette)

    def frames() -> Iterator[tuple[Picture, FrameTime, bool]]:
        for index, mask, time, image in masks_and_pictures(clip, decode=style != "palette" and together.needs_picture):
            yield compose(index, mask, image), time, mask is not None

    return _write(clip, path, plan, frames(), label="mask video", sound=encode.sound, reporter=reporter)


def _plan(
    path: Path, info: ClipInfo, *, layout: PixelLayout, color: ColorTags, encode: EncodeOptions, reporter: Reporter
) -> EncodePlan:
    size = info.width, info.height
    return plan_encode(
        path,
        layout=layout,
        color=color,
        size=size,
        codec=encode.codec,
        preset=encode.preset,
        quality=encode.quality,
        pixel_format=encode.pixel_format,
        limited_range=encode.limited_range,
        sound=encode.sound_choice,
        notify=reporter.notify,
    )


def _deliver(
    kind: str,
    clip: SegmentedClip,
    output: Path | None,
    usual: str,
    encode: EncodeOptions,
    *,
    premultiplied: bool = False,
    reporter: Reporter,
) -> tuple[Path, EncodeOptions]:
    return deliver(
        kind, info=clip.info, output=output, folder=clip.folder, usual=usual, encode=encode,
        premultiplied=premultiplied, reporter=reporter,
    )  # fmt: skip


def masks_and_pictures(
    clip: SegmentedClip, *, decode: bool
) -> Iterator[tuple[int, Mask | None, FrameTime, Callable[[], Image] | None]]:
    """Every frame's index, mask and time, and what gives its picture when clips are to be decoded for it."""
    if not decode:
        for index, time in enumerate(clip.info.timeline):
            yield index, clip.mask(index), time, None
        return
    with closing(ahead(clip.reader.frames())) as frames:
        for frame in frames:
            yield frame.index, clip.mask(frame.index), frame.time, partial(getattr, frame, "image")


def working_layout(plan: EncodePlan, info: ClipInfo) -> tuple[PixelLayout, ColorTags]:
    """The layout and tags to mix in: the source's, unless the file has more chroma samples, which a keyed edge then uses."""
    have, want = info.layout, plan.layout
    if (have.model, want.model) == ("yuv", "yuv") and sum(want.chroma_shift) < sum(have.chroma_shift):
        return replace(want, has_alpha=False), plan.color
    return have, info.color


def _on_device(picture: Picture, device: Device) -> Picture:
    return picture.with_planes(tuple(to_device(plane, device) for plane in picture.planes))


def _only(mask: Mask, objects: tuple[int, ...] | None) -> Mask:
    if objects is None:
        return mask
    kept: Array = np.where(np.isin(mask, objects), mask, 0)
    return kept.astype(np.uint8)


def _nothing(frame: Frame) -> Mask:
    return np.zeros(frame.picture.shape, np.uint8)


def _is_folder(path: Path) -> bool:
    return path.suffix == "" or path.is_dir()


def _composed(
    clip: SegmentedClip, compose: Callable[[Frame, Mask | None], Picture], frames: Iterator[Frame]
) -> Iterator[tuple[Picture, FrameTime, bool]]:
    for frame in frames:
        mask = clip.mask(frame.index)
        yield compose(frame, mask), frame.time, mask is not None


def _render(
    clip: SegmentedClip,
    path: Path,
    plan: EncodePlan,
    compose: Callable[[Frame, Mask | None], Picture],
    *,
    label: str,
    sound: bool,
    reporter: Reporter,
) -> RenderResult:
    """Decode in one thread, composite in a second, encode in this one."""
    with closing(ahead(clip.reader.frames())) as frames:
        composed = _composed(clip, compose, frames)
        return _write(clip, path, plan, composed, label=label, sound=sound, reporter=reporter)


def _write(
    clip: SegmentedClip,
    path: Path,
    plan: EncodePlan,
    pictures: Iterator[tuple[Picture, FrameTime, bool]],
    *,
    label: str,
    sound: bool,
    reporter: Reporter,
) -> RenderResult:
    """Encode pictures as they are made, then verify the file in the fast form."""
    started, count = clock.monotonic(), len(clip.info.timeline)
    with (
        closing(ahead(pictures)) as made,
        VideoWriter(path, plan, source=clip.info, sound=sound, notify=reporter.notify) as writer,
        reporter.progress(label, count) as step,
    ):
        empty = _feed(made, writer, step)
    expected = replace(expectation_of(clip.info, tracks=writer.tracks), color=plan.color)
    verified = passed(verify_output(path, expected, thorough=False, notify=reporter.notify))
    clip.record(path, label, {"encoding": plan.describe(), "sound": bool(writer.tracks)})
    notify_empty(empty, count, reporter)
    return RenderResult(path, plan.describe(), count, empty, verified, clock.monotonic() - started)


def _render_stills(
    clip: SegmentedClip, folder: Path, compose: Callable[[Frame, Mask | None], Picture], *, label: str, reporter: Reporter
) -> RenderResult:
    started, count = clock.monotonic(), len(clip.info.timeline)
    with (
        closing(ahead(clip.reader.frames())) as frames,
        closing(ahead(_composed(clip, compose, frames))) as made,
        StillsWriter(folder, notify=reporter.notify) as writer,
        reporter.progress(label, count) as step,
    ):
        empty = _feed(made, writer, step)
    verified = passed(verify_stills(folder, count))
    clip.record(folder, label, {"encoding": "PNG files"})
    notify_empty(empty, count, reporter)
    return RenderResult(folder, "PNG files", count, empty, verified, clock.monotonic() - started)


def _feed(
    pictures: Iterator[tuple[Picture, FrameTime, bool]], writer: VideoWriter | StillsWriter, step: Callable[[], None]
) -> int:
    """Write every picture at its time; the number of frames that had no mask."""
    empty = 0
    for picture, time, has_mask in pictures:
        writer.write(picture, time)
        empty += not has_mask
        step()
    return empty


def passed(report: VerifyReport) -> VerifyReport:
    """The report, when nothing differs. Raises VerifyError otherwise."""
    if not report.ok:
        raise VerifyError(
            f"{report.output.name} differs from its source: {report.first_difference}",
            hint="it is kept for inspection; please report this with the output of `vfx-matte probe`",
        )
    return report


def notify_empty(empty: int, count: int, reporter: Reporter) -> None:
    if empty:
        reporter.notify(f"{empty} of {count} frames have no mask and show nothing of the subject")


def check_request(clip: SegmentedClip, path: Path, look: Look, *, background: Path | None = None) -> None:
    """Raise UsageError when objects are chosen that do not exist, or when `path` would replace what the render reads."""
    chosen_objects(clip, look)
    if not path.name:
        raise UsageError(f"output {str(path)!r} is no name for a result", hint="give a file or a folder with -o")
    refuse_to_replace(clip.info.path, path, "the source clip")
    refuse_to_replace(clip.workspace.masks_folder, path, "the masks")
    if background is not None:
        refuse_to_replace(background, path, "the background")
