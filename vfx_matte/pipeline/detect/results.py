"""Writes what was found for other programs: result.json, COCO, pictures of masks, a legend."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from vfx_matte.annotations.coco import write_coco
from vfx_matte.annotations.png_folders import (
    Look,
    other_than_instances,
    other_than_masks,
    palette_for,
    write_instances,
    write_masks,
)
from vfx_matte.annotations.records import AddFrame, AnnotatedClip, FrameName, file_stem
from vfx_matte.annotations.youtube_vis import write_results
from vfx_matte.detect.base import Detector
from vfx_matte.drawing.legend import legend
from vfx_matte.errors import OutputError, UsageError
from vfx_matte.files.atomic import output_error
from vfx_matte.masks import Mask
from vfx_matte.media.probe import ClipInfo
from vfx_matte.pipeline.clip import refuse_to_replace
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.settings.options import DetectSettings
from vfx_matte.wording import option
from vfx_matte.workspace import ClipWorkspace, Manifest, OutputRecord, save_picture

RESULT, COCO, LEGEND = "result.json", "coco.json", "legend.png"
MASKS, INSTANCES = "masks", "instances"
"""Names in the folder of results."""

DETECTED = "detected"
"""The results as a whole, as an output in the manifest and as a format of `export`."""

# as they are written here, and by no other program that is known; they may have gigabytes
_BEGINNINGS = {RESULT: (b'[\n{"video_id":', b"[]\n"), COCO: (b'{"info":{"description":',)}


def refuse_other_results(source: Path, own: ClipWorkspace, output: Path) -> None:
    """Look, before minutes of work, whether results may be written into a folder.

    Raises:
        UsageError: they would replace the clip, or something that is kept of it.
        OutputError: the folder holds something else under one of their names.
    """
    for name in (RESULT, COCO, LEGEND, MASKS, INSTANCES):
        path = output / name
        for kept, what in (
            (source, "the clip"),
            (own.masks_folder, "the masks"),
            (own.references_folder, "the references"),
            (own.manifest_path, "the manifest"),
        ):
            refuse_to_replace(kept, path, what)
    if own.holds_masks(output):
        raise UsageError(
            f"{str(output)!r} is for masks, and not for results",
            hint=f"choose another folder with {option('output')}",
        )
    try:
        if output.exists() and not output.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is a file, expected a folder")
        other = _other_result(output)
    except OSError as error:
        raise output_error(output, error) from error
    if other:
        raise OutputError(
            f"{str(output / other)!r} is no result of a detection and is left alone",
            hint=f"choose another folder with {option('output')}",
        )


def _other_result(output: Path) -> str:
    """The name of something in the place of a result that is none."""
    for name, begins in _BEGINNINGS.items():
        path = output / name
        if path.is_dir() or (path.is_file() and not _begins(path, begins)):
            return name
    for name, find in ((MASKS, other_than_masks), (INSTANCES, other_than_instances)):
        path = output / name
        if path.exists() and (not path.is_dir() or find(path)):
            return name
    # the legend comes last: it is of an earlier result where there is one
    return LEGEND if (output / LEGEND).exists() and not (output / RESULT).exists() else ""


def _begins(path: Path, beginnings: tuple[bytes, ...]) -> bool:
    with path.open("rb") as file:
        return file.read(64).startswith(beginnings)


@dataclass(frozen=True, slots=True)
class ResultForm:
    """How results of a detection are written."""

    look: Look
    """What has a colour of its own in pictures of masks."""

    instances: bool
    """Whether there is a folder per object."""

    @classmethod
    def of(cls, settings: DetectSettings, detector: Detector) -> ResultForm:
        """As it is asked for; one that knows no classes colours objects."""
        by: Look = "classes" if len(detector.classes) > 1 else "objects"
        return cls("white" if settings.white else by, settings.instances)

    @classmethod
    def recorded(cls, manifest: Manifest) -> ResultForm | None:
        """As they were written of these masks the last time; None where they were not."""
        record = manifest.outputs.get(DETECTED)
        if record is None:
            return None
        looks = {look: look for look in get_args(Look)}
        look: Look = looks.get(str(record.settings.get("look")), "objects")
        return cls(look, record.settings.get("instances") is True)

    @property
    def record(self) -> OutputRecord:
        """For the manifest."""
        return OutputRecord(DETECTED, {"look": self.look, "instances": self.instances})


def save_results(
    info: ClipInfo,
    own: ClipWorkspace,
    *,
    span: range,
    form: ResultForm,
    output: Path,
    has_masks: bool,
    reporter: Reporter,
) -> tuple[Path, ...]:
    """Write the results of a detection.

    Args:
        info: of the clip.
        own: holds its masks.
        span: the frames.
        form: how pictures of masks look, and whether there is a folder per object.
        output: the folder of results.
        has_masks: whether anything was found; if not, the lists are empty and the pictures black.
        reporter: receives progress.

    Returns:
        The files and folders that were written.

    Raises:
        OutputError: one cannot be written.
    """
    store = own.mask_store() if has_masks else None
    labels = store.manifest.labels if store is not None else {}
    about = AnnotatedClip(own.folder.name, info.shape, labels)
    files = [output / RESULT, output / COCO, output / MASKS]
    number = info.timeline.number
    # all of them in one pass over the masks; of nothing they say so, in place of an earlier result
    with ExitStack() as stack:
        writers: list[AddFrame] = [
            stack.enter_context(write_results(files[0], about)),
            stack.enter_context(write_coco(files[1], about)),
            stack.enter_context(write_masks(files[2], about, look=form.look)),
        ]
        if form.instances:
            files.append(output / INSTANCES)
            writers.append(stack.enter_context(write_instances(files[-1], about)))
        step = stack.enter_context(reporter.progress("write results", len(span)))
        nothing: Mask = np.zeros(info.shape, np.uint8)
        for index in span:
            name = FrameName(index, number(index), f"{file_stem(number(index))}.png")
            mask = None if store is None else store.get(index)
            for add in writers:
                add(name, nothing if mask is None else mask)
            step()
    files.append(output / LEGEND)
    save_picture(files[-1], legend(labels, palette_for(about, form.look), title=about.name))
    if has_masks:
        own.record_output(DETECTED, form.record)
    return tuple(files)
