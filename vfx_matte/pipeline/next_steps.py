"""The commands that continue the work, ready to paste, and how frames and times are written.

Commands are named as records of `vfx_matte.wording`; the door spells them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import numpy as np

from vfx_matte._version import __version__
from vfx_matte.files.fingerprint import file_sha256
from vfx_matte.first_mask import Marks
from vfx_matte.first_mask.methods import AUTO
from vfx_matte.masks import Palette, object_ids
from vfx_matte.media.sequence import is_sequence
from vfx_matte.pipeline.clip import GAPS_SETTING, SegmentedClip, SourceClip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions, repeated_settings
from vfx_matte.references.files import parse_color_argument
from vfx_matte.references.flat_colors import SAME
from vfx_matte.references.painting import NotedMask, noted_masks, origin_digest
from vfx_matte.timeline import Timeline
from vfx_matte.wording import Value, command, option
from vfx_matte.workspace import ClipWorkspace, Manifest, ReferenceRecord, clip_name

MOST_NAMED_CUTS = 30
"""A command names at most so many cuts, to stay readable; more of them are looked for again."""

USUAL_WORKSPACE = Path("workspace")
"""The folder that commands use when they name none."""

PLACE = "X,Y"
"""What a command has where somebody has to type a pixel."""

Options = dict[str, Value | list[str]]


def since_start(timeline: Timeline, index: int) -> Fraction:
    """Seconds from the clip's first frame, as commands take a time."""
    return timeline[index].start - timeline.start


def clock(seconds: Fraction) -> str:
    """A time as m:ss.mmm."""
    # rounded once: seconds and their fraction must not disagree
    thousandths = round(seconds * 1000)
    return f"{thousandths // 60_000}:{thousandths // 1000 % 60:02d}.{thousandths % 1000:03d}"


def frame_at(timeline: Timeline, index: int) -> str:
    """A frame with its time in a sentence: 'frame 218 (0:08.720)'."""
    return f"frame {timeline.number(index)} ({clock(since_start(timeline, index))})"


def tile_caption(timeline: Timeline, index: int) -> str:
    """A frame with its time on a contact sheet: 'frame 218, 0:08.720'."""
    return f"frame {timeline.number(index)}, {clock(since_start(timeline, index))}"


def frame_command(clip: Path, number: int) -> str:
    """The command that saves the picture of the frame with this number, to paint on."""
    return command("frame", clip, at=number, output=f"{clip_name(clip)}.{number:07d}.png")


def mask_name(clip: Path, number: int) -> str:
    """The file name that commands expect for a mask that is painted next."""
    return f"{clip_name(clip)}.mask.{number:07d}.png"


def use_mask_command(
    clip: Path, masks: Mapping[int, str], timeline: Timeline, *, workspace: Path
) -> str:
    """The command that propagates masks, files by frame number, through a clip."""
    # of the first frame alone the shortest way to say it
    reference: Options = (
        {"first_mask": masks[timeline.first_number]}
        if set(masks) == {timeline.first_number}
        else {"mask": [f"{number}={mask}" for number, mask in sorted(masks.items())]}
    )
    return command("segment", clip, **reference, **workspace_option(workspace))


def waiting_masks(
    clip: SourceClip | SegmentedClip,
    folder: Path,
    *,
    besides: Collection[int] = (),
    reporter: Reporter,
) -> dict[int, str]:
    """Masks that were made for a clip and not segmented with yet: files by frame number.

    Those of a segmented clip are the ones that are later than every mask which the last run was
    given: an earlier one was made before that run, which did without it. Where that run was given a
    mask of the frame, another one waits only if it was corrected from it, and since the run. Masks
    with an object that was as good as not found are left out.

    Args:
        clip: the clip.
        folder: where they are looked for.
        besides: numbers of frames whose masks are known otherwise.
        reporter: receives a notice for each mask that is left out.
    """
    after_ns, run_ns = 0, 0
    in_use: dict[int, ReferenceRecord] = {}
    if isinstance(clip, SegmentedClip):
        manifest = clip.store.manifest
        used = (
            given_file(clip.info.path, record, clip.workspace)
            for record in manifest.references.values()
        )
        dates = [file.stat().st_mtime_ns for file in used if file is not None]
        run_ns = _nanoseconds(manifest.segmented_at)
        # masks may be made while a run is at work; of one whose own are gone its end is known
        after_ns = max(dates, default=run_ns)
        in_use = {
            manifest.timeline.number(index): record for index, record in manifest.references.items()
        }
    timeline = clip.info.timeline
    waiting: dict[int, str] = {}
    left_out: dict[int, str] = {}
    # the latest of a frame counts, and what is said of an earlier one does not matter then
    for one in noted_masks(folder, clip_name(clip.info.path), after_ns=after_ns):
        if one.frame in besides or not 0 <= timeline.index_of(one.frame) < len(timeline):
            continue
        given = in_use.get(one.frame)
        # a trial from before the run, which was given another mask
        if given is not None and (one.changed_ns <= run_ns or _is_given(one.path, given)):
            continue
        if reason := _reason_to_leave_out(one, given):
            left_out[one.frame] = reason
        else:
            waiting[one.frame] = str(one.path)
            left_out.pop(one.frame, None)
    for _, line in sorted(left_out.items()):
        reporter.notify(line)
    return dict(sorted(waiting.items()))


def _reason_to_leave_out(mask: NotedMask, given: ReferenceRecord | None) -> str:
    """Why a mask that was made is not to be segmented with, in a line for people; "" where nothing
    is against it.

    Args:
        mask: the mask.
        given: the mask of its frame that the last run was given; None where that was given none.
    """
    name, number = mask.path.name, mask.frame
    use = option("mask", f"{mask.frame}={mask.path}")
    if mask.unsure:
        object_id, percent = min(mask.unsure.items(), key=lambda one: one[1])
        return (
            f"{name} of frame {number} is left out of the command to run next: confidence in object"
            f" {object_id} is {percent}%; mark more, or add {use} if the object is right"
        )
    if given is not None and origin_digest(given.sha256) not in mask.origins:
        return (
            f"{name} of frame {number} is left out of the command to run next: the clip was"
            f" segmented with {given.file or 'another mask'} there, which it was not made from; add"
            f" {use} to have it instead"
        )
    return ""


def _is_given(path: Path, given: ReferenceRecord) -> bool:
    """Whether a file is the mask that the last run was given, such as a copy with another date."""
    try:
        return file_sha256(path) == given.sha256
    except OSError:
        return False


def _nanoseconds(date: str) -> int:
    """A manifest's date, as files have it; 0 where it has none."""
    return int(datetime.fromisoformat(date).timestamp() * 10**9) if date else 0


def mask_command(
    clip: Path,
    number: int,
    marks: Marks,
    *,
    object_id: int,
    method: str,
    more: Mapping[str, Value | list[str]] = MappingProxyType({}),
) -> str:
    """The command that makes a mask of marks.

    Args:
        clip: the clip.
        number: the frame's.
        marks: all of them.
        object_id: what they mark.
        method: of first masks.
        more: other options of the command.
    """

    def points(of: Iterable[tuple[int, int]]) -> str:
        return " ".join(f"{x},{y}" for x, y in of)

    options: Options = {"at": number}
    if marks.box is not None:
        options["box"] = ",".join(map(str, marks.box))
    for name, is_object in (("fg", True), ("bg", False)):
        if clicks := [f"{one.x},{one.y}" for one in marks.clicks if one.is_object == is_object]:
            options[name] = clicks
        strokes = [points(one.points) for one in marks.strokes if one.is_object == is_object]
        if strokes:
            options[f"{name}_stroke"] = strokes
    if object_id != 1:
        options["object_id"] = object_id
    if method != AUTO:
        options["method"] = method
    return command("mask", clip, **options, **more)


def correct_command(clip: Path, number: int, *, workspace: Path) -> str:
    """The command that corrects the propagated mask of the frame with this number; what to click on
    is still to be typed for PLACE.
    """
    options: Options = {"at": number, "begin": "propagated", "output": mask_name(clip, number)}
    return command("mask", clip, **options, **workspace_option(workspace), fg=PLACE)


def workspace_option(folder: Path) -> Options:
    """What names the folder for results, where it is not the usual one."""
    return {} if folder == USUAL_WORKSPACE else {"workspace": str(folder)}


def segment_command(
    clip: SegmentedClip,
    masks: Mapping[int, str],
    *,
    propagator: PropagatorOptions,
    update: bool = False,
    cuts: str | None = None,
) -> str:
    """The command that segments again as the last run did, with more masks.

    Args:
        clip: as segmented by the last run.
        masks: the new masks' files by frame number.
        propagator: what is chosen now, which says where weights are.
        update: redo only the frames that the new masks affect; masks that another version of the
            program made are all made again. Otherwise the earlier masks are kept aside.
        cuts: what to do at shot changes; None repeats the cuts of the last run.
    """
    manifest = clip.store.manifest
    number = manifest.timeline.number
    # frames of two versions beside each other would show where one began
    update = update and manifest.program_version == __version__
    # All references, the earlier ones first: a new mask replaces an earlier one of its frame.
    files = {
        number(index): reference_file(clip, index, record, as_given=update)
        for index, record in manifest.references.items()
    } | dict(masks)
    options: Options = {"mask": [f"{frame}={file}" for frame, file in sorted(files.items())]}
    if colors := _map_colors(manifest):
        options["map_color"] = colors
    options |= _same_run(clip.info.path, manifest, propagator=propagator, cuts=cuts)
    # Where the results are, and whether earlier masks stay.
    options |= workspace_option(clip.folder.parent)
    return command("segment", clip.info.path, **options, **{"update" if update else "fresh": True})


def use_masks_command(
    clip: Path,
    masks: Path,
    *,
    kept: Mapping[int, Path],
    earlier: Manifest | None,
    propagator: PropagatorOptions,
    workspace: Path,
) -> str:
    """The command that propagates a folder of masks through a clip, together with references of
    earlier work, and as that was done.

    Args:
        clip: the clip.
        masks: the folder.
        kept: files of earlier references, by frame number.
        earlier: work on the clip, whose masks are updated; all are made again where another version
            of the program made them.
        propagator: what is chosen now, which says where weights are.
        workspace: the folder of results.
    """
    options: Options = {"masks": str(masks)}
    if kept:
        options["mask"] = [f"{frame}={file}" for frame, file in sorted(kept.items())]
    if earlier is not None:
        if colors := _map_colors(earlier):
            options["map_color"] = colors
        options |= _same_run(clip, earlier, propagator=propagator, cuts=None)
        options["update" if earlier.program_version == __version__ else "fresh"] = True
    return command("segment", clip, **options, **workspace_option(workspace))


def _same_run(
    clip: Path, manifest: Manifest, *, propagator: PropagatorOptions, cuts: str | None
) -> Options:
    """The options that give everything but the masks as in an earlier run."""
    options: Options = {}
    number = manifest.timeline.number
    # The range, and how the time of a sequence was read.
    if manifest.start:
        options["start"] = number(manifest.start)
    if manifest.stop < len(manifest.timeline):
        options["stop"] = number(manifest.stop)
    if is_sequence(clip):
        options["fps"] = str(manifest.timeline.average_fps)
        if GAPS_SETTING in manifest.settings:
            options["gaps"] = str(manifest.settings[GAPS_SETTING])
    # How masks are propagated; a propagator of tests has no options to repeat.
    options |= repeated_settings(manifest, propagator)
    if manifest.is_soft:
        options["soft"] = True
    if wanted := _same_cuts(manifest) if cuts is None else cuts:
        options["cuts"] = wanted
    return options


def _map_colors(manifest: Manifest) -> list[str]:
    """Which object each painted colour is, as the last run was given it, but for the colours that
    the workspace's own masks have.
    """
    # a colour near one that is known anyway needs no mapping
    own = Palette.davis().colors[list(manifest.objects)].astype(int)
    return [
        text
        for text in manifest.map_colors
        if np.abs(own - parse_color_argument(text)[0]).max(axis=1).min(initial=255) > SAME
    ]


def _same_cuts(manifest: Manifest) -> str:
    """What gives the cuts of the last run again; "" where looking for them does."""
    cuts = manifest.cuts
    if cuts is None:  # masks were propagated across all of them
        return "ignore"
    return (
        ",".join(str(manifest.timeline.number(cut)) for cut in cuts)
        if len(cuts) <= MOST_NAMED_CUTS
        else ""
    )


def reference_file(
    clip: SegmentedClip, index: int, record: ReferenceRecord, *, as_given: bool
) -> str:
    """A file with the mask of a reference of earlier work. The workspace's own is as painted,
    unless objects were found besides those painted.

    Args:
        clip: as segmented then.
        index: of the reference's frame.
        record: the manifest's entry of it.
        as_given: prefer the file that was given, where it is still found, so that its mask counts
            as unchanged.
    """
    if file := given_file(clip.info.path, record, clip.workspace, elsewhere=as_given):
        return str(file)
    mask = clip.mask(index)
    # an object that was found besides would become a reference itself, and be taken for certain
    as_painted = mask is not None and set(object_ids(mask)) == set(record.objects)
    return (
        str(clip.workspace.mask_path(clip.info.timeline.number(index)))
        if as_painted or not record.file
        else record.file
    )


def given_file(
    clip: Path, record: ReferenceRecord, workspace: ClipWorkspace, *, elsewhere: bool = True
) -> Path | None:
    """The file of a reference of earlier work, with the bytes that it had then; None where it is
    not found.

    Args:
        clip: the clip.
        record: the manifest's entry of the reference.
        workspace: of the clip.
        elsewhere: look outside of the workspace's own references, too.
    """
    # Its name is without a folder, from a working directory that may be another one now.
    # Those of the studio and of `detect` lie in the workspace.
    folders = (Path(), clip.parent, workspace.folder) if elsewhere else ()
    for folder in (*folders, workspace.references_folder):
        file: Path = folder / record.file
        if record.file and file.is_file() and ReferenceRecord.of(file, {}).sha256 == record.sha256:
            return file
    return None
