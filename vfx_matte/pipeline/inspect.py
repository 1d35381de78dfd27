"""Looking at clips and outputs.

Takes opened clips and files, gives rows, JSON and stills; never propagates.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vfx_matte.errors import MediaError, UsageError, VerifyError, WorkspaceError
from vfx_matte.media.frames import Frame
from vfx_matte.media.open import describe_rate, open_clip
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.readers.changes import suspected_changes
from vfx_matte.media.readers.stills import part_noted_on
from vfx_matte.media.verify import Check, VerifyReport, noted_part, verify_clip, verify_stills
from vfx_matte.media.writers.exr import is_layers, part_noted_in_layers, verify_layers
from vfx_matte.media.writers.numbered_files import EXR, is_numbered, names_in
from vfx_matte.numbering import ranges_text
from vfx_matte.pipeline.clip import SourceClip, refuse_to_replace
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.printable import json_text
from vfx_matte.wording import option
from vfx_matte.workspace import ReferenceRecord, Workspace, clip_name, save_picture

MOST_INTERVALS = 8
"""Rows of the histogram of frame distances; rarer ones are summed up."""


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


def clip_rows(info: ClipInfo) -> list[tuple[str, str]]:
    """Facts about a clip as (name, value) rows for people."""
    color, timeline = info.color, info.timeline
    scan = "interlacing not stated" if info.field_order == "unknown" else info.field_order
    rows = [
        ("container", info.container),
        ("video", f"{info.codec}, {info.pixel_format}, {info.layout.bit_depth} bit, {scan}"),
        (
            "size as displayed",
            (
                f"{info.width}×{info.height}, pixel shape {info.sample_aspect}, rotated"
                f" {info.rotation_degrees}°"
            ),
        ),
        ("frames", f"{len(timeline)}, counted"),
        *_number_rows(info),
        ("rate", f"{describe_rate(timeline)}, time base {timeline.time_base}"),
        ("start", f"{float(timeline.start - info.origin):.6f} s"),
        ("duration", f"{float(timeline.end - timeline.start):.6f} s"),
        (
            "colour",
            (
                f"matrix {color.matrix}, range {color.range}, primaries {color.primaries}, transfer"
                f" {color.transfer}"
            ),
        ),
    ]
    if info.timecode:
        rows.append(("timecode", info.timecode))
    for track in info.audio:
        offset = (
            "empty"
            if track.start is None
            else f"starts {float(track.start - timeline.start):+.6f} s from the picture"
        )
        layout = "1 channel" if track.layout == "1 channels" else track.layout
        language = [track.language] if track.language != "und" else []
        facts = [track.codec, f"{track.sample_rate} Hz", layout, *language, offset]
        rows.append((f"sound {track.index}", ", ".join(facts)))
    if info.other_streams:
        rows.append(("other streams", ", ".join(info.other_streams)))
    if info.repairs:
        rows.append(("mended timestamps", str(info.repairs)))
    return rows


def _number_rows(info: ClipInfo) -> list[tuple[str, str]]:
    """What a sequence's pictures are numbered with."""
    files = info.files
    if files is None:
        return []
    missing = f", missing: {ranges_text(files.missing)} ({files.gaps})" if files.missing else ""
    return [
        ("frame numbers", f"{info.timeline.numbers_text}, {files.paths[0].name} first{missing}")
    ]


def interval_rows(info: ClipInfo) -> list[tuple[str, int]]:
    """How often frames follow each other at which distance, most frequent first."""
    counted = info.timeline.interval_histogram().most_common()
    base = info.timeline.time_base
    rows = [
        (f"{float(ticks * base * 1000):.3f} ms", count) for ticks, count in counted[:MOST_INTERVALS]
    ]
    rest = sum(count for _, count in counted[MOST_INTERVALS:])
    return [*rows, (f"{len(counted) - MOST_INTERVALS} others", rest)] if rest else rows


def clip_json(info: ClipInfo) -> str:
    """Everything about a clip as JSON; exact numbers are fractions in text, e.g. "1001/30000"."""
    facts = asdict(replace(info, files=None))
    del facts["part"]  # a file is a whole clip
    facts["timeline"] = info.timeline.to_json()
    facts["frame_count"] = len(info.timeline)
    facts["first_number"] = info.timeline.first_number
    files = info.files
    facts["files"] = (
        None
        if files is None
        else {
            "first": files.paths[0].name,
            "last": files.paths[-1].name,
            "count": len(files.paths),
            "digits": files.digits,
            "missing": [[start, stop - 1] for start, stop in files.missing],
            "gaps": files.gaps,
        }
    )
    facts["constant_rate"] = info.timeline.is_constant_rate
    facts["average_fps"] = info.timeline.average_fps
    facts["start_seconds"] = info.timeline.start - info.origin
    facts["duration_seconds"] = info.timeline.end - info.timeline.start
    facts["interval_histogram"] = {
        str(ticks): count for ticks, count in info.timeline.interval_histogram().items()
    }
    return json_text(facts, default=_json_value, indent=2)


def _json_value(value: object) -> Any:  # noqa: ANN401  what json.dumps takes
    return float(value) if isinstance(value, float) else str(value)


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
        if noted := part_noted_in_layers(folder) if is_exr else part_noted_on(folder):
            info, check = noted_part(info, noted)
            checks.append(check)
        count = len(info.timeline)
        report = verify_layers(folder, None, count) if is_exr else verify_stills(folder, count)
        return replace(report, checks=(*checks, *report.checks))
    return verify_clip(output, source, notify=reporter.notify)


def report_json(report: VerifyReport) -> str:
    """A verify report as JSON."""
    return json_text(asdict(report) | {"ok": report.ok}, default=str, indent=2)


def require_same(report: VerifyReport) -> None:
    """Raise VerifyError with the first difference, if there is one."""
    if not report.ok:
        raise VerifyError(
            f"{report.output} differs: {report.first_difference}",
            hint="render it again from this source",
        )


def save_frame(
    clip: SourceClip, *, at: int | Fraction | None, output: Path | None, workspace: Path
) -> Path:
    """Save one frame as PNG or JPEG, as displayed, at the clip's own size. Returns where it is.

    workspace: where the clip's masks are noted. Raises UsageError for a place that holds the clip
    or a reference mask.
    """
    frame = _frame_at(clip, at)
    path = output or Path(
        f"{clip_name(clip.path)}.{clip.info.timeline.number(frame.index):07d}.png"
    )
    refuse_to_replace(clip.path, path, "the clip")
    if replaced := _mask_at(path, clip.path, workspace):
        raise UsageError(
            f"output {str(path)!r} would replace {replaced}",
            hint=f"choose another place with {option('output')}",
        )
    save_picture(path, frame.image)
    return path


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
