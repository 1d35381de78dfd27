"""Counts the files of a package: what timelines and the manifest say of them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from vfx_matte._version import __version__
from vfx_matte.backend import Notify
from vfx_matte.errors import MediaError, UsageError, VerifyError
from vfx_matte.files.fingerprint import file_sha256
from vfx_matte.files.inputs import read_small_file
from vfx_matte.media.probe import ClipInfo, probe
from vfx_matte.printable import json_text
from vfx_matte.programs.edit import AlphaMode, FieldOrder, Media, Sound, Timecode, VideoRate
from vfx_matte.programs.timelines.scripts import relative_path
from vfx_matte.timeline import ConformMap, Timeline
from vfx_matte.wording import command

MANIFEST_NAME = "manifest.json"
KIND = "vfx-matte package"
SCHEMA_VERSION = 1
MOST_BYTES = 2**28
"""Of a manifest that is read: a million frames of variable rate are some megabytes."""

_DESKTOP = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that desktops put into every folder."""

_NUMBERS = re.compile(r"\[\n[\s\d,-]*\]")
"""Lists of numbers, which are written on one line; no string of JSON has a line break."""

_FIELDS: Mapping[str, FieldOrder] = {"tt": "upper", "tb": "upper", "bb": "lower", "bt": "lower"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedFile:
    """One picture file that belongs to a package."""

    kind: str
    """"source", or the kind of output."""

    path: Path
    """Where it is now."""

    final: Path
    """Where it will be when the package has its name."""

    name: str
    """For people."""

    info: ClipInfo

    how: str
    """How it was made, such as "libx264 …" or "copied"."""

    alpha: AlphaMode = "none"

    object_ids: tuple[int, ...] = ()
    """The objects that it shows, () = all of the chosen ones."""

    in_channels: bool = False
    """Whether each colour channel has an object."""

    media: Media | None = None
    """For timelines; None when the package has no constant rate."""


def read_back(path: Path, *, rate: Fraction, frame_count: int, notify: Notify) -> ClipInfo:
    """Count a finished file's frames.

    Raises:
        VerifyError: when it does not have `frame_count` frames at exactly `rate`; a container that
            rounds time to milliseconds (WebM) may be off by one of them.
    """
    info = probe(path, notify=notify)
    # The step of a frame in ticks; where it is no whole number, the container has rounded.
    pts, step = info.timeline.pts, 1 / (rate * info.timeline.time_base)
    slack = 0 if step.denominator == 1 else 1
    # Counted from the first frame: a container may begin a little after 0.
    if len(pts) != frame_count or any(
        abs(ticks - pts[0] - number * step) > slack for number, ticks in enumerate(pts)
    ):
        have = f"{len(pts)} frames at {float(info.timeline.average_fps):.6g} per second"
        raise VerifyError(
            f"{path.name} has {have}, expected {frame_count} at {rate}",
            hint=f"please report this with the output of {command('probe')}",
        )
    return info


def as_media(
    info: ClipInfo, *, name: str, final: Path, rate: VideoRate, alpha: AlphaMode, notify: Notify
) -> Media:
    """What timelines say of a file.

    A timecode that does not fit the rate is left out, with a notice.
    """
    # One that the rate cannot have, such as drop frame at 24, would name frames that are not there.
    timecode = Timecode()
    if info.timecode:
        try:
            timecode = Timecode.parse(info.timecode, rate)
        except ValueError as error:
            notify(f"{info.path.name}: {error}; counted from 0 instead")
    return Media(
        name=name,
        path=final,
        width=info.width,
        height=info.height,
        rate=rate,
        frame_count=len(info.timeline),
        sample_aspect=info.sample_aspect,
        timecode=timecode,
        color=info.color,
        alpha=alpha,
        fields=_FIELDS.get(info.field_order, "none"),
        # streams that are empty, or that nothing can decode, are no sound
        sound=tuple(
            Sound(track.channels, track.sample_rate)
            for track in info.audio
            if track.start is not None and track.channels and track.sample_rate
        ),
    )


def foreign_file(folder: Path) -> str:
    """The name of a file in a folder that is not part of an earlier package, such as an editing
    project kept there; "" = none.
    """
    # What a manifest names is ours; without one that can be read, nothing is.
    ours = {MANIFEST_NAME}
    try:
        facts = json.loads(
            read_small_file(folder / MANIFEST_NAME, what="manifest", most_bytes=MOST_BYTES)
        )
        if facts["kind"] == KIND:
            ours |= {one["file"] for one in (*facts["files"], *facts["other_files"])}
    except (UsageError, OSError, RecursionError, ValueError, KeyError, TypeError):
        ours = set()
    # Desktops put files of their own into every folder that they show.
    there = (
        path
        for path in folder.rglob("*")
        if (path.is_file() or path.is_symlink()) and path.name not in _DESKTOP
    )
    return next(
        (path.name for path in there if path.relative_to(folder).as_posix() not in ours), ""
    )


def manifest(
    *,
    program: str,
    clip_name: str,
    source: ClipInfo,
    files: Sequence[PackagedFile],
    written: Sequence[str],
    part: Path,
    folder: Path,
    rate: VideoRate | None,
    frame_map: ConformMap | None,
    remarks: Sequence[str],
) -> bytes:
    """manifest.json: every file with its SHA-256, the rate, the timestamps, alpha and colour.

    Args:
        program: the name of the program.
        clip_name: the clip's name in file names.
        source: the user's clip.
        files: the source and the outputs.
        written: names of the other files, which lie in `part`.
        part: where the package is made.
        folder: where it will be.
        rate: of all files; None when they have none.
        frame_map: the source frame of each frame; None = itself.
        remarks: what the note tells the user.
    """
    # Exact numbers are fractions as text, so that no reader rounds them.
    frames = len(frame_map.indices) if frame_map else len(source.timeline)
    facts = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "program_version": __version__,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "for": program,
        "clip": clip_name,
        "frame_count": frames,
        "rate": str(rate.fps) if rate else None,
        "timebase": rate.timebase if rate else None,
        "ntsc": rate.ntsc if rate else None,
        "duration_seconds": str(
            rate.seconds(frames) if rate else source.timeline.end - source.timeline.start
        ),
        # the user's own file, whether it was converted or not
        "source": {
            "path": str(source.path.resolve()),
            "relative_path": relative_path(source.path.resolve(), folder),
            "use": next(one.how for one in files if one.kind == "source"),
            "frame_count": len(source.timeline),
            "constant_rate": source.timeline.is_constant_rate,
            "timestamps": _timestamps(source.timeline),
        },
        # frame n of every file shows this frame of the source
        "frame_map": None if frame_map is None else _run_lengths(frame_map.indices),
        "files": [_file(one, folder) for one in files],
        "other_files": [
            {
                "file": name,
                "size_bytes": (part / name).stat().st_size,
                "sha256": sha256(part / name),
            }
            for name in written
        ],
        "remarks": list(remarks),
    }
    # Readable by people: one line per fact, and lists of numbers on one line each.
    text = json_text(facts, indent=1)
    return _NUMBERS.sub(lambda found: " ".join(found[0].split()), text).encode() + b"\n"


def _file(one: PackagedFile, folder: Path) -> dict[str, object]:
    info = one.info
    return {
        "file": relative_path(one.final, folder),
        "path": str(one.final),
        "kind": one.kind,
        "name": one.name,
        "objects": list(one.object_ids) or None,
        "size_bytes": one.path.stat().st_size,
        "sha256": sha256(one.path),
        "made": one.how,
        "container": info.container,
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "width": info.width,
        "height": info.height,
        "sample_aspect": str(info.sample_aspect),
        "frame_count": len(info.timeline),
        "first_frame_seconds": str(info.timeline.start),
        "time_base": str(info.timeline.time_base),
        "timecode": info.timecode,
        "alpha": one.alpha,
        "color": {
            "matrix": info.color.matrix,
            "range": info.color.range,
            "primaries": info.color.primaries,
            "transfer": info.color.transfer,
        },
        "sound": [
            {"codec": track.codec, "channels": track.channels, "sample_rate": track.sample_rate}
            for track in info.audio
        ],
    }


def _timestamps(timeline: Timeline) -> dict[str, object]:
    """Exact, in ticks: the first, then (ticks to the next frame, how often) for all, then how long
    the last one lasts.
    """
    # A constant rate is one run, whatever the clip's length.
    runs = [[ticks, len(list(group))] for ticks, group in itertools.groupby(timeline.intervals)]
    return {
        "time_base": str(timeline.time_base),
        "first": timeline.pts[0],
        "intervals": [number for run in runs for number in run],
        "last_duration": timeline.durations[-1],
    }


def _run_lengths(indices: Sequence[int]) -> list[int]:
    """Source frames as runs that count up by one, the first frame and the length of each in turn:
    (5, 6, 7, 7, 8) → [5, 3, 7, 2].
    """
    runs: list[list[int]] = []
    for index in indices:
        # a frame that repeats, or follows a gap, begins a new run
        if runs and index == runs[-1][0] + runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([index, 1])
    return [number for run in runs for number in run]


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal; read in pieces. Raises MediaError."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise MediaError(
            f"{str(path)!r} cannot be read: {error.strerror}", hint="check that it is still there"
        ) from error
