"""Reads masks of another program's file, as references of a clip."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vfx_matte.annotations.png_folders import save_palette_png
from vfx_matte.annotations.records import AnnotatedClip, Annotations, FrameAnnotation
from vfx_matte.errors import MaskError
from vfx_matte.files.atomic import atomic_folder
from vfx_matte.masks import Mask, ObjectLabel, object_ids, resize_nearest
from vfx_matte.numbering import ranges_text
from vfx_matte.pipeline.clip import SourceClip, open_segmented
from vfx_matte.pipeline.exchange.formats import read_annotations
from vfx_matte.pipeline.next_steps import reference_file, use_masks_command
from vfx_matte.pipeline.progress import Reporter, SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions, repeated_options
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest, SegmentResult
from vfx_matte.pipeline.segment.run import segment_clip
from vfx_matte.references.reading import VOID, has_aspect
from vfx_matte.timeline import Timeline
from vfx_matte.wording import option
from vfx_matte.workspace import Manifest, Workspace
from vfx_matte.workspace.manifest import to_ranges


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The masks that were read."""

    folder: Path
    """One mask per frame, named after it: palette PNGs, index = object id."""

    format: str
    frames: tuple[int, ...]
    """Their numbers."""

    objects: Mapping[int, ObjectLabel]
    """By id: those that are shown."""

    segment_command: str
    """Carries the masks through the clip."""

    segmented: SegmentResult | None = None
    """Where they were carried through at once."""


def import_masks(
    clip: SourceClip,
    path: Path,
    *,
    format_name: str | None = None,
    first: int | None = None,
    frames: Collection[int] = (),
    empty: bool = False,
    segment: SegmentRequest | None = None,
    workspace: Path,
    reporter: Reporter,
) -> ImportResult:
    """Read masks of another program as reference masks of a clip; they go to the folder `imported`
    of its workspace.

    Where they are carried through at once, they join the references of earlier work on the clip,
    and replace those of the same frames.

    Args:
        clip: the clip.
        path: a file or folder of any format in `formats.READ`, or CVAT's ZIP file.
        format_name: its format; None finds it out.
        first: the number that the file gives to the clip's first frame; None finds it out.
        frames: numbers of frames of the clip to take; none = all of the file.
        empty: whether a picture on which a labelling tool has no shape is a frame without objects;
            else nobody has looked at it, and it is left out.
        segment: how they are carried through the clip at once; its references, range and labels
            are filled in. None: they are only read.
        workspace: the folder of results.
        reporter: receives notices and progress.

    Raises:
        MaskError: the file cannot be read, or is not of this clip.
        UsageError: there is no such format.
        WorkspaceError: the clip's folder holds work on another one.
        OutputError: the masks cannot be written.
        VfxMatteError: as `segment_clip`; the masks are read by then.
    """
    work = Workspace(workspace)
    # a clip that was renamed keeps its folder
    layout = work.find(clip.path) or work.clip(clip.path)
    name = layout.folder.name
    found_format, annotations = read_annotations(path, name=format_name, clip_name=name)
    for notice in annotations.notices:
        reporter.notify(f"{path.name}: {notice}")
    # a folder of pictures has its own name only
    if annotations.clip_name not in ("", name, path.name, path.stem):
        reporter.notify(f"{path.name} is of {annotations.clip_name!r}, and {name!r} gets its masks")
    timeline = clip.info.timeline
    by_number = _placed(annotations, timeline, first=first, path=path, reporter=reporter)
    if frames:
        if unknown := sorted(set(frames) - set(by_number)):
            raise MaskError(
                f"{path.name} has no mask of frame {unknown[0]}",
                hint=f"it has {_numbers_text(by_number)}",
            )
        by_number = {number: by_number[number] for number in sorted(set(frames))}
    elif annotations.lists_unseen and not empty:
        by_number = _looked_at(by_number, path=path, reporter=reporter)
    # all masks, or none: what segment takes is never a mixture
    seen: set[int] = set()
    void = 0
    described = AnnotatedClip(name, clip.info.shape, annotations.labels)
    with (
        atomic_folder(layout.imported_folder, foreign_file=_foreign) as part,
        reporter.progress("import", len(by_number)) as step,
    ):
        for number, frame in by_number.items():
            mask, shows_void = _fitted(frame, clip.info.shape, number)
            void += shows_void
            seen.update(object_ids(mask))
            # named as masks of the workspace are
            file = part / layout.mask_path(number).name
            save_palette_png(file, mask, described.palette)
            step()
        if not seen:
            raise MaskError(f"{path.name} shows no object on any frame", hint="check the file")
    if void:
        reporter.notify(
            f"{path.name}: on {void} frame{'s' if void > 1 else ''} 255 is the void label and taken"
            " as background"
        )
    manifest = layout.manifest()
    kept = {} if manifest is None else _earlier_references(clip, manifest, workspace=workspace)
    found = ImportResult(
        layout.imported_folder,
        found_format,
        tuple(by_number),
        {one: described.label(one) for one in sorted(seen)},
        use_masks_command(
            clip.path,
            layout.imported_folder,
            kept={frame: file for frame, file in kept.items() if frame not in by_number},
            earlier=manifest,
            propagator=PropagatorOptions() if segment is None else segment.propagator,
            workspace=workspace,
        ),
    )
    if segment is None:
        return found
    files = {frame: found.folder / layout.mask_path(frame).name for frame in found.frames}
    request = _request(clip, found, segment, kept | files, manifest)
    return replace(
        found, segmented=segment_clip(clip, request, workspace=workspace, reporter=reporter)
    )


def _request(
    clip: SourceClip,
    found: ImportResult,
    segment: SegmentRequest,
    files: Mapping[int, Path],
    manifest: Manifest | None,
) -> SegmentRequest:
    """What carries masks through the clip: those that were read, and those of earlier work, whose
    manifest this is.
    """
    number = clip.info.timeline.number
    # what nobody has named stays as it was called before
    labels = {one: label for one, label in found.objects.items() if _is_named(one, label)}
    if manifest is None:
        return replace(segment, references=ReferenceFiles(files=files), labels=labels)
    # an update may have other references, and nothing else
    return replace(
        segment,
        propagator=repeated_options(manifest, segment.propagator),
        references=ReferenceFiles(files=files, colors=manifest.map_colors),
        labels=labels,
        update=True,
        soft=segment.soft or manifest.is_soft,
        start=number(manifest.start),
        stop=number(manifest.stop),
    )


def _is_named(object_id: int, label: ObjectLabel) -> bool:
    return label != ObjectLabel(f"object {object_id}")


def _earlier_references(
    clip: SourceClip, manifest: Manifest, *, workspace: Path
) -> dict[int, Path]:
    """The files of the references of earlier work, by frame number."""
    earlier = open_segmented(clip.path, workspace=workspace, reporter=SilentReporter())
    return {
        clip.info.timeline.number(index): Path(
            reference_file(earlier, index, record, as_given=True)
        )
        for index, record in manifest.references.items()
    }


def _placed(
    annotations: Annotations,
    timeline: Timeline,
    *,
    first: int | None,
    path: Path,
    reporter: Reporter,
) -> dict[int, FrameAnnotation]:
    """The frames of a file by the clip's own numbers, ascending."""
    if not annotations.frames:
        raise MaskError(f"{path.name} has no frame", hint="check the file")
    numbers = [frame.number for frame in annotations.frames]
    low, high, length = numbers[0], numbers[-1], len(timeline)
    begin = timeline.first_number
    inside = begin <= low and high < begin + length
    if first is not None:
        shift = begin - first
    elif inside or annotations.numbers_from == "file":
        shift = 0
    # a sequence whose pictures have other numbers, counted from 0, or any clip counted from 1
    elif low >= 0 and high < length:
        shift = begin
    elif low >= 1 and high <= length:
        shift = begin - 1
    else:
        shift = 0
    if shift and first is None:
        reporter.notify(
            f"{path.name} counts frames from {begin - shift}: its frame {low} is taken for frame"
            f" {low + shift} of the clip"
        )
    elif inside and first is None and annotations.numbers_from == "names" and low == begin + 1:
        # names that begin with 1 fit both ways where the last frame has no mask
        reporter.notify(
            f"{path.name}: frame {low} is taken for frame {low} of the clip, whose first is"
            f" {begin}; if it is the first one, add {option('first', low)}"
        )
    # lists have an order of their own; that of a folder is a guess
    if annotations.numbers_from == "order" and path.is_dir():
        named = [frame.file_name for frame in annotations.frames if frame.file_name]
        if named:
            reporter.notify(
                f"{path.name}: names without frame numbers are taken in their order:"
                f" {named[0]} for frame {low + shift}"
            )
    outside = [number for number in numbers if not begin <= number + shift < begin + length]
    if outside:
        raise MaskError(
            f"{path.name} has a mask of frame {outside[0]}, the clip has frames"
            f" {timeline.numbers_text}",
            hint=(
                "is it of another clip? if it counts otherwise, say which of its numbers is the"
                f" clip's first frame: {option('first', low)}"
            ),
        )
    return {frame.number + shift: frame for frame in annotations.frames}


def _looked_at(
    by_number: Mapping[int, FrameAnnotation], *, path: Path, reporter: Reporter
) -> dict[int, FrameAnnotation]:
    """The frames on which something is drawn, of a file that lists the others too: as references
    these would say that the objects are gone.
    """
    drawn = {number: frame for number, frame in by_number.items() if frame.object_ids != ()}
    if 0 < len(drawn) < len(by_number):
        reporter.notify(
            f"{path.name}: nothing is drawn on {len(by_number) - len(drawn)} of {len(by_number)}"
            f" pictures, which are left out; {option('empty')} takes them as frames without objects"
        )
    return drawn


def _fitted(frame: FrameAnnotation, shape: tuple[int, int], number: int) -> tuple[Mask, bool]:
    """A frame's mask at the clip's size, and whether it had void, which is background now. Raises
    MaskError for another aspect.
    """
    if frame.shape != shape and not has_aspect(frame.shape, shape):
        raise MaskError(
            f"the mask of frame {number} is {frame.shape[1]}×{frame.shape[0]}, the clip is"
            f" {shape[1]}×{shape[0]}",
            hint="the file is of another clip, or of a part of the picture",
        )
    mask = frame.read()
    shows_void = frame.shows_void is not None and frame.shows_void(mask)
    if shows_void:
        mask[mask == VOID] = 0
    return resize_nearest(mask, shape), shows_void


def _numbers_text(numbers: Collection[int]) -> str:
    return f"frames {ranges_text(to_ranges(numbers))}"


def _foreign(folder: Path) -> str:
    """Something in the folder that an earlier import has not written."""
    return next(
        (
            path.name
            for path in sorted(folder.iterdir())
            if path.suffix != ".png" or not path.stem.removeprefix("-").isdecimal()
        ),
        "",
    )
