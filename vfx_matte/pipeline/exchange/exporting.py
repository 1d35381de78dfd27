"""Writes a clip's masks in a form that other programs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vfx_matte.annotations.records import AnnotatedClip, FrameName, file_stem
from vfx_matte.errors import WorkspaceError
from vfx_matte.first_mask.subjects import CLASS
from vfx_matte.masks import ObjectLabel, object_ids
from vfx_matte.pipeline.clip import SegmentedClip, refuse_to_replace
from vfx_matte.pipeline.detect.results import (
    DETECTED,
    INSTANCES,
    ResultForm,
    refuse_other_results,
    save_results,
)
from vfx_matte.pipeline.exchange.formats import FORMATS, writer_of
from vfx_matte.pipeline.frame_numbers import picture_name
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.references.reading import VOID
from vfx_matte.wording import command


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written."""

    path: Path
    """A file or a folder."""

    format: str
    frames: int
    """That have a mask, and are in it."""

    objects: Mapping[int, ObjectLabel]
    """By id: those that are shown."""


def check_written(format_name: str) -> None:
    """Raise UsageError where masks are not written as this format."""
    if format_name != DETECTED:
        writer_of(format_name)


def export_masks(
    clip: SegmentedClip, *, format_name: str, output: Path | None = None, reporter: Reporter
) -> ExportResult:
    """Write the masks of a clip for another program.

    Args:
        clip: with its masks. Frames that have none are left out, with a notice.
        format_name: one of `formats.WRITTEN`, or "detected": all that `detect` writes of its
            masks, in the form of before.
        output: the file or folder; None is one named after the format in the clip's folder.
        reporter: receives notices and progress.

    Raises:
        UsageError: there is no such format, or the output would replace something that is kept.
        WorkspaceError: there are no masks, or they are damaged.
        OutputError: it cannot be written.
    """
    if format_name == DETECTED:
        return _export_detected(clip, output or clip.workspace.detected_folder, reporter)
    writer, suffix = writer_of(format_name)
    path = clip.folder / f"{format_name}{suffix}" if output is None else output
    for kept, what in (
        (clip.info.path, "the clip"),
        (clip.workspace.masks_folder, "the masks"),
        (clip.workspace.references_folder, "the references"),
        (clip.workspace.manifest_path, "the manifest"),
    ):
        refuse_to_replace(kept, path, what)
    frames = _frames(clip)
    if missing := len(clip.info.timeline) - len(frames):
        reporter.notify(f"{missing} frames have no mask and are not in {path.name}")
    described = AnnotatedClip(clip.name, clip.info.shape, clip.store.manifest.labels, clip.palette)
    seen: set[int] = set()
    with (
        writer(path, described) as add,
        reporter.progress(format_name, len(frames)) as step,
    ):
        for index in frames:
            mask = clip.mask(index)
            if mask is None:
                raise WorkspaceError(
                    f"the mask of frame {clip.info.timeline.number(index)} has been removed by"
                    " another run",
                    hint="run the command again",
                )
            seen.update(object_ids(mask))
            add(_frame_name(clip, index), mask)
            step()
        clip.check_unchanged()
    if VOID in seen and FORMATS[format_name].has_void:
        reporter.notify(
            f"other programs that read {format_name} take {VOID} for void: to them object {VOID} is"
            " undecided"
        )
    return ExportResult(
        path, format_name, len(frames), {one: described.label(one) for one in sorted(seen)}
    )


def _export_detected(clip: SegmentedClip, output: Path, reporter: Reporter) -> ExportResult:
    """Write the results of a detection anew, from the masks as they are."""
    manifest = clip.store.manifest
    refuse_other_results(clip.info.path, clip.workspace, output)
    form = ResultForm.recorded(manifest)
    if form is None:
        names = {label.class_name for label in manifest.labels.values()} - {"", CLASS}
        form = ResultForm("classes" if names else "objects", (output / INSTANCES).is_dir())
    frames = _frames(clip)
    save_results(
        clip.info,
        clip.workspace,
        span=range(manifest.start, manifest.stop),
        form=form,
        output=output,
        has_masks=True,
        reporter=reporter,
    )
    clip.check_unchanged()
    described = AnnotatedClip(clip.name, clip.info.shape, manifest.labels, clip.palette)
    objects = {one: described.label(one) for one in manifest.objects}
    return ExportResult(output, DETECTED, len(frames), objects)


def _frames(clip: SegmentedClip) -> Sequence[int]:
    """The frames that have a mask. Raises WorkspaceError where there are none."""
    frames = clip.mask_frames
    if not frames:
        raise WorkspaceError(
            f"{clip.folder} has no mask yet", hint=f"finish it: {command('segment', resume=True)}"
        )
    return frames


def _frame_name(clip: SegmentedClip, index: int) -> FrameName:
    number = clip.info.timeline.number(index)
    # of a missing picture the one before it is held, whose name would be there twice
    name = picture_name(clip.info, index)
    is_held = index > 0 and name == picture_name(clip.info, index - 1)
    usual = f"{file_stem(number)}.png"
    return FrameName(index, number, name if name and not is_held else usual)
