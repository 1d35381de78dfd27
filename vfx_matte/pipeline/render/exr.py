"""Mattes with one layer an object.

Takes a segmented clip, gives a folder of EXR files, verified.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from vfx_matte.errors import UsageError
from vfx_matte.files.atomic import AtomicFolder
from vfx_matte.masks import Matte
from vfx_matte.media.readers.part import part_of
from vfx_matte.media.writers.exr import LayersWriter, check_name, foreign_file, verify_layers
from vfx_matte.media.writers.numbered_files import numbered_files
from vfx_matte.pipeline.clip import SegmentedClip
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.render.mattes import Mattes, may_hide, seen
from vfx_matte.pipeline.render.outputs import (
    RenderResult,
    earliest,
    keep_verified,
    notify_empty,
    shots,
)
from vfx_matte.pipeline.render.request import Tools, check_request, chosen_objects, with_edges
from vfx_matte.settings.options import MatteSettings

ENCODING = "EXR files, half float, one layer an object"


def layer_name(object_id: int) -> str:
    """The layer of an object: "object1"."""
    return f"object{object_id}"


def check_style(style: str) -> None:
    """Raise UsageError for a style that layers do not have: each holds a matte as it is."""
    if style not in ("auto", "luma"):
        raise UsageError(
            f"style {style!r} is not for EXR files",
            hint="they hold every object in a layer of its own",
        )


def render_layers(
    clip: SegmentedClip,
    *,
    output: Path,
    style: str,
    settings: MatteSettings,
    tools: Tools,
    start_number: int | None = None,
    span: tuple[int, int] | None = None,
    reporter: Reporter,
) -> RenderResult:
    """Write FOLDER/%07d.exr: the matte of every chosen object as a layer of its own, and all of
    them as R, G, B, A.

    start_number: the number of the first frame; None = the source's. span: the half-open range of
    frames, None = all.

    Raises UsageError for a style, OutputError or VerifyError.
    """
    check_style(style)
    check_name(output)
    start, stop = span or (0, len(clip.info.timeline))
    info = part_of(clip.info, start, stop, notify=reporter.notify)
    folder, names = numbered_files(output, info, start_number)
    check_request(clip, folder, settings)
    settings = with_edges(clip, settings, reporter)
    started, count, objects = clock.monotonic(), stop - start, chosen_objects(clip, settings)
    clip.store.check_masks()
    empty = 0
    with (
        AtomicFolder(folder, foreign_file=partial(foreign_file, names)) as place,
        place.naming_final(),
    ):
        with (
            closing(
                prefetched(_mattes(Mattes(clip, settings, tools), clip, objects, start, stop))
            ) as made,
            LayersWriter(
                place.part, names, sample_aspect=info.sample_aspect, part=info.part
            ) as writer,
            reporter.progress("EXR layers", count) as step,
        ):
            for index, (together, singles, has_mask) in enumerate(made):
                layers = {
                    layer_name(object_id): matte.alpha for object_id, matte in singles.items()
                }
                writer.write(index, layers, together.alpha, full=together.full)
                empty += not has_mask
                step()
        clip.check_unchanged()
        verified = keep_verified(
            place, partial(verify_layers, place.part, names, count, tuple(map(layer_name, objects)))
        )
    facts = {"encoding": ENCODING} | ({} if info.part is None else {"frames": info.part.note})
    clip.record(folder, "EXR layers", facts, reporter)
    notify_empty(empty, count, reporter)
    return RenderResult(output, ENCODING, count, empty, verified, clock.monotonic() - started)


def _mattes(
    together: Mattes, clip: SegmentedClip, objects: tuple[int, ...], start: int, stop: int
) -> Iterator[tuple[Matte, dict[int, Matte], bool]]:
    single = {one: together.alone(one) for one in objects}
    decode = together.needs_picture or may_hide(clip.info)
    first = earliest(clip, start, memory=together.memory)
    with closing(shots(clip, decode=decode, start=first, stop=stop)) as every:
        for shot in every:
            singles = {
                one: seen(shot, mattes.of(shot.index, shot.mask, shot.image))
                for one, mattes in single.items()
            }
            all_of_them = seen(shot, together.of(shot.index, shot.mask, shot.image))
            if shot.index >= start:
                yield all_of_them, singles, shot.mask is not None
