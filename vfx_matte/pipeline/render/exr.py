"""Renders mattes as EXR files with one layer per object."""

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
from vfx_matte.pipeline.render.mattes import Mattes, may_hide, visible_matte
from vfx_matte.pipeline.render.outputs import (
    RenderResult,
    first_needed,
    frame_jobs,
    keep_verified,
    notify_empty,
)
from vfx_matte.pipeline.render.request import Tools, check_request, chosen_objects, with_edges
from vfx_matte.settings.options import MatteSettings
from vfx_matte.wording import option

ENCODING = "EXR files, half float, one layer per object"


def layer_name(object_id: int) -> str:
    """The layer of an object: "object1"."""
    return f"object{object_id}"


def check_style(style: str) -> None:
    """Check the style of a mask video whose files are EXR: each layer holds a matte as it is.

    Raises:
        UsageError: it is another style than "auto" or "luma".
    """
    if style not in ("auto", "luma"):
        raise UsageError(
            f"style {style!r} is not for EXR files",
            hint=f"they hold every object in a layer of its own: use {option('style', 'luma')}",
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

    Args:
        clip: a segmented clip.
        output: the folder, with the pattern of the names.
        style: "auto" or "luma".
        settings: which objects are shown, and how their edges are made.
        tools: what is computed with.
        start_number: the number of the first frame; None is the source's.
        span: the half-open range of frames; None is all of the clip.
        reporter: receives notices and progress.

    Returns:
        The folder, verified: every file is read back.

    Raises:
        UsageError: a style that layers do not have, or a request that cannot be met.
        OutputError: the files cannot be written.
        VerifyError: a file differs from what it should hold.
    """
    # everything that can be wrong is found before the first frame is decoded
    check_style(style)
    check_name(output)
    start, stop = span or (0, len(clip.info.timeline))
    info = part_of(clip.info, start, stop, notify=reporter.notify)
    folder, names = numbered_files(output, info, start_number)
    check_request(clip, folder, settings)
    # settled once, so that every layer has edges of the same kind
    settings = with_edges(clip, settings, reporter)
    started, count, objects = clock.monotonic(), stop - start, chosen_objects(clip, settings)
    clip.store.check_masks()
    empty = 0
    with (
        AtomicFolder(folder, foreign_file=partial(foreign_file, names)) as temporary,
        temporary.naming_final(),
    ):
        with (
            # mattes are made in a thread while the frame before is compressed in this one
            closing(
                prefetched(_mattes(Mattes(clip, settings, tools), clip, objects, start, stop))
            ) as mattes,
            LayersWriter(
                temporary.part, names, sample_aspect=info.sample_aspect, part=info.part
            ) as writer,
            reporter.progress("EXR layers", count) as step,
        ):
            for index, (together, singles, has_mask) in enumerate(mattes):
                layers = {
                    layer_name(object_id): matte.alpha for object_id, matte in singles.items()
                }
                writer.write(index, layers, together.alpha, full=together.full)
                empty += not has_mask
                step()
        clip.check_unchanged()
        verified = keep_verified(
            temporary,
            partial(verify_layers, temporary.part, names, count, tuple(map(layer_name, objects))),
        )
    # the manifest learns of the folder when it is complete
    facts = {"encoding": ENCODING} | ({} if info.part is None else {"frames": info.part.note})
    clip.record(folder, "EXR layers", facts, reporter)
    notify_empty(empty, count, reporter)
    return RenderResult(output, ENCODING, count, empty, verified, clock.monotonic() - started)


def _mattes(
    together: Mattes, clip: SegmentedClip, objects: tuple[int, ...], start: int, stop: int
) -> Iterator[tuple[Matte, dict[int, Matte], bool]]:
    """The matte of all objects, that of each one, and whether the frame has a mask, for every frame
    of [start, stop).
    """
    by_object = {object_id: together.for_object(object_id) for object_id in objects}
    decode = together.needs_picture or may_hide(clip.info)
    # frames before the range are made and dropped: stabilizing remembers them
    first = first_needed(clip, start, memory=together.memory)
    with closing(frame_jobs(clip, decode=decode, start=first, stop=stop)) as jobs:
        for job in jobs:
            singles = {
                object_id: visible_matte(job, mattes.matte(job.index, job.mask, job.image))
                for object_id, mattes in by_object.items()
            }
            # not the sum of the singles: where two objects touch, each has a soft edge there, and
            # the subject has none
            of_all = visible_matte(job, together.matte(job.index, job.mask, job.image))
            if job.index >= start:
                yield of_all, singles, job.mask is not None
