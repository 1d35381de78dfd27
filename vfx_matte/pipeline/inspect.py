"""Looking at clips and outputs.

Takes opened clips and files, gives records and stills; never propagates.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path

from vfx_matte.errors import MediaError, UsageError, VerifyError, WorkspaceError
from vfx_matte.media.frames import Frame
from vfx_matte.media.open import describe_rate, open_clip
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.readers.changes import suspected_changes
from vfx_matte.media.verify import Check, VerifyReport, noted_part, verify_clip, verify_stills
from vfx_matte.media.writers.exr import is_layers, part_of_layers, verify_layers
from vfx_matte.media.writers.numbered_files import EXR, is_numbered, names_in
from vfx_matte.media.writers.stills import part_of_stills
from vfx_matte.pipeline.clip import SourceClip, refuse_to_replace
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.wording import option
from vfx_matte.workspace import ReferenceRecord, Workspace, clip_name, save_picture

MOST_LOOKED_AT = 8
"""Frames with another header that are decoded, to see whether their pictures are others."""


def look_for_changes(clip: SourceClip) -> None:
    """Let the clip's reader say, with its notice, that pictures change on the way; only suspected
    frames are decoded.

    A frame that cannot be decoded is passed over, as whoever reads the clip says so.
    """
    for index in itertools.islice(suspected_changes(clip.info), MOST_LOOKED_AT):
        with contextlib.suppress(MediaError):
            clip.reader.frame(index)


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """Everything about a clip, for people and programs."""

    info: ClipInfo
    """What its file says and what was counted."""

    @property
    def rate(self) -> str:
        """Its rate in words, such as "25 fps, constant"."""
        return describe_rate(self.info.timeline)

    def to_json(self) -> dict[str, object]:
        """The fields of ClipInfo but for the paths of a sequence's pictures, and what follows from
        its timeline.
        """
        info, timeline, files = self.info, self.info.timeline, self.info.files
        # a file is a whole clip, so it has no `part`
        facts = {one.name: getattr(info, one.name) for one in fields(info) if one.name != "part"}
        return facts | {
            "frame_count": len(timeline),
            "first_number": timeline.first_number,
            "files": None
            if files is None
            else {
                "first": files.paths[0].name,
                "last": files.paths[-1].name,
                "count": len(files.paths),
                "digits": files.digits,
                "missing": [[start, stop - 1] for start, stop in files.missing],
                "gaps": files.gaps,
            },
            "constant_rate": timeline.is_constant_rate,
            "average_fps": timeline.average_fps,
            "start_seconds": timeline.start - info.origin,
            "duration_seconds": timeline.end - timeline.start,
            "interval_histogram": timeline.interval_histogram(),
        }


@dataclass(frozen=True, slots=True)
class SavedFrame:
    """One frame that was saved as a picture."""

    clip: Path
    frame: int
    """Its number, see `Timeline.number`."""

    picture: Path


def verify_file(output: Path, source: Path, *, reporter: Reporter) -> VerifyReport:
    """Compare an output with its source, thoroughly; of a folder of PNG or EXR files their number,
    and that each is whole.

    output: also FOLDER/%07d.png as a render was given. Raises MediaError when either cannot be
    read.
    """
    folder = (
        output.parent
        if is_numbered(output) and not output.exists() and output.parent.is_dir()
        else output
    )
    if folder.is_dir():
        info, checks = open_clip(source, notify=reporter.notify).info, list[Check]()
        is_exr = is_layers(output) or (
            names_in(folder) is None and names_in(folder, EXR) is not None
        )
        if noted := part_of_layers(folder) if is_exr else part_of_stills(folder):
            info, check = noted_part(info, noted)
            checks.append(check)
        count = len(info.timeline)
        report = verify_layers(folder, None, count) if is_exr else verify_stills(folder, count)
        return replace(report, checks=(*checks, *report.checks))
    return verify_clip(output, source, notify=reporter.notify)


def require_same(report: VerifyReport) -> None:
    """Raise VerifyError with the first difference, if there is one."""
    if not report.ok:
        raise VerifyError(
            f"{report.output} differs: {report.first_difference}",
            hint="render it again from this source",
        )


def save_frame(
    clip: SourceClip, *, at: int | Fraction | None, output: Path | None, workspace: Path
) -> SavedFrame:
    """Save one frame as PNG or JPEG, as displayed, at the clip's own size.

    workspace: where the clip's masks are noted. Raises UsageError for a place that holds the clip
    or a reference mask.
    """
    frame = _frame_at(clip, at)
    number = clip.info.timeline.number(frame.index)
    path = output or Path(f"{clip_name(clip.path)}.{number:07d}.png")
    refuse_to_replace(clip.path, path, "the clip")
    if replaced := _mask_at(path, clip.path, workspace):
        raise UsageError(
            f"output {str(path)!r} would replace {replaced}",
            hint=f"choose another place with {option('output')}",
        )
    save_picture(path, frame.image)
    return SavedFrame(clip.path, number, path)


def _mask_at(path: Path, clip: Path, workspace: Path) -> str:
    """What a picture at `path` would be written over or among: a mask that the clip was segmented
    by, its masks; "" = none.
    """
    try:
        place = Workspace(workspace).find(clip)
        manifest = place.manifest() if place is not None else None
    except WorkspaceError:
        return ""
    if place is not None and place.masks_folder.resolve() in path.resolve().parents:
        return "the masks"
    if not path.is_file():
        return ""
    known = (
        {record.sha256 for record in manifest.references.values()}
        if manifest is not None
        else set()
    )
    return "a reference mask" if known and ReferenceRecord.of(path, {}).sha256 in known else ""


def _frame_at(clip: SourceClip, at: int | Fraction | None) -> Frame:
    """The frame at a position; None is the first."""
    return clip.reader.frame(0 if at is None else clip.frame_index(at))
