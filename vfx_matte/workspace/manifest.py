"""What a workspace holds, in one JSON file.

Takes and gives a typed `Manifest`; never guesses at a file it cannot read.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

from vfx_matte._version import __version__
from vfx_matte.errors import MaskError, MediaError, WorkspaceError
from vfx_matte.files.fingerprint import fingerprint
from vfx_matte.files.inputs import read_small_file
from vfx_matte.masks import RGB
from vfx_matte.numbering import parse_pattern
from vfx_matte.printable import json_text, shortened
from vfx_matte.timeline import Timeline
from vfx_matte.wording import option
from vfx_matte.workspace.files import write_text
from vfx_matte.workspace.walk_states import digest_of

SCHEMA_VERSION = 1

Scalar = str | int | float | bool
"""A setting as JSON can hold it."""

SOFT = "soft"
"""The setting of runs that keep probabilities; others do not have it."""

MOST_FRAMES = 50_000_000
"""More than a day at 240 frames a second: a manifest that says more is damaged, and would fill the
memory.
"""
MOST_BYTES = 2**28
_DESKTOP = frozenset({"thumbs.db", "desktop.ini"})
_FAT_NS = 2 * 10**9

UNKNOWN = -1
"""The confidence of a frame without a mask."""

Ranges = tuple[tuple[int, int], ...]
"""Half-open ranges of frame indices, ascending, with gaps between them."""


def to_ranges(frames: Iterable[int]) -> Ranges:
    """Frame indices as half-open ranges: {0, 1, 2, 7} → ((0, 3), (7, 8))."""
    ordered = sorted(set(frames))
    breaks = [at for at in range(1, len(ordered)) if ordered[at] != ordered[at - 1] + 1]
    edges = [0, *breaks, len(ordered)] if ordered else []
    return tuple((ordered[low], ordered[high - 1] + 1) for low, high in itertools.pairwise(edges))


@dataclass(frozen=True, slots=True)
class SourceStamp:
    """Which clip it was: absolute path, total bytes and latest change of its files, and the
    fingerprint of what they hold.

    fingerprint: "" in manifests of programs that knew none.
    """

    path: Path
    size_bytes: int
    mtime_ns: int
    fingerprint: str = ""

    @classmethod
    def of(cls, source: Path) -> Self:
        """Stamp a video file, a folder of pictures or a numbered pattern (plate.%04d.png).

        Missing files count as nothing.
        """
        path = source.absolute()
        if path.is_file():
            files = [path]
        elif path.is_dir():
            files = [
                file
                for file in path.iterdir()
                if file.is_file()
                and not file.name.startswith(".")
                and file.name.lower() not in _DESKTOP
            ]
        else:
            pattern = parse_pattern(path.name)
            names = path.parent.iterdir() if pattern is not None and path.parent.is_dir() else ()
            files = [
                file
                for file in names
                if pattern and pattern.number_of(file.name) is not None and file.is_file()
            ]
        try:
            stats = [file.stat() for file in files]
            latest = max((stat.st_mtime_ns for stat in stats), default=0)
            return cls(
                path,
                sum(stat.st_size for stat in stats),
                latest,
                fingerprint(sorted(files)) if files else "",
            )
        except OSError as error:
            raise MediaError(
                f"{str(source)!r} cannot be read: {error.strerror}", hint="check its permissions"
            ) from error

    def is_same_clip(self, other: SourceStamp) -> bool:
        """True for the same bytes, whatever their name, folder and date: projects are moved, and
        copies have other dates.

        Where one has no fingerprint, the name, the size and the date decide; FAT keeps dates to two
        seconds.
        """
        if self.size_bytes != other.size_bytes:
            return False
        if self.fingerprint and other.fingerprint:
            return self.fingerprint == other.fingerprint
        return self.path.name == other.path.name and abs(self.mtime_ns - other.mtime_ns) <= _FAT_NS


@dataclass(frozen=True, slots=True)
class ReferenceRecord:
    """One reference mask: its file name, the SHA-256 of the file, and the painted colour of each
    object in it.
    """

    file: str
    sha256: str
    objects: Mapping[int, RGB]

    @property
    def meaning(self) -> tuple[str, tuple[tuple[int, RGB], ...]]:
        """What decides which mask it is: the file, and which object each of its colours was taken
        for.
        """
        return self.sha256, tuple(sorted(self.objects.items()))

    @classmethod
    def of(cls, path: Path, objects: Mapping[int, RGB]) -> Self:
        """Record a mask file. Raises MaskError when it cannot be read."""
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise MaskError(f"cannot read mask {path}: {error.strerror}") from error
        return cls(path.name, digest, dict(objects))


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """One rendered file: what it is ("green", "alpha" …) and the settings it was made with."""

    kind: str
    settings: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything known about the masks of one clip.

    references: by frame index. start, stop: half-open range of frames that the run covers; done:
    those that have a mask.
    objects: the colour of each object id. outputs: by file name. segmented_at: UTC, ISO 8601, when
    masks last changed.
    confidence: for each object id one number a frame of [start, stop): the overlap that the mask is
    expected to have with the truth, in per cent; UNKNOWN where there is no mask yet.
    cuts: frames that begin a shot and that masks do not cross; () = none were found, None = nobody
    looked, so they may cross.
    working_size: the short side in pixels that the propagator chose to work at, None where there
    was nothing to choose.
    map_colors: the "COLOUR=ID" texts that said which object a painted colour is; what came of them
    is in `references`. Raises ValueError when ranges leave the timeline.
    """

    source: SourceStamp
    timeline: Timeline
    references: Mapping[int, ReferenceRecord]
    propagator: str
    settings: Mapping[str, Scalar]
    start: int
    stop: int
    objects: Mapping[int, RGB]
    done: Ranges = ()
    outputs: Mapping[str, OutputRecord] = field(default_factory=dict)
    segmented_at: str = ""
    confidence: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    cuts: tuple[int, ...] | None = None
    program_version: str = __version__
    working_size: int | None = None
    map_colors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop <= len(self.timeline):
            raise ValueError(
                f"range [{self.start}, {self.stop}) leaves the clip's {len(self.timeline)} frames"
            )
        edges = [self.start, *itertools.chain.from_iterable(self.done), self.stop]
        if edges != sorted(edges):
            raise ValueError(
                f"done ranges {self.done} are not ascending inside [{self.start}, {self.stop})"
            )
        shots = [0, *(self.cuts or ()), len(self.timeline)]
        if self.cuts and any(two <= one for one, two in itertools.pairwise(shots)):
            raise ValueError(
                f"cuts {self.cuts} are not ascending inside of the clip's {len(self.timeline)}"
                " frames"
            )
        for object_id, values in self.confidence.items():
            if len(values) != self.stop - self.start:
                raise ValueError(
                    f"object {object_id} has {len(values)} confidences, expected"
                    f" {self.stop - self.start}"
                )

    @property
    def is_soft(self) -> bool:
        """True when each object's probability is kept beside the masks: the setting `SOFT`."""
        return self.settings.get(SOFT) is True

    @property
    def is_complete(self) -> bool:
        """True when every frame of the range is done."""
        return sum(stop - start for start, stop in self.done) == self.stop - self.start

    @property
    def work_digest(self) -> str:
        """Stands for everything that a walk over the clip depends on, but for the clip's pixels;
        see `differences`.
        """
        work = replace(
            self,
            done=(),
            outputs={},
            segmented_at="",
            confidence={},
            working_size=None,
            map_colors=(),
        ).to_json()
        del work["source"]
        return digest_of(work)

    def done_frames(self) -> set[int]:
        """The frame indices that are done."""
        return set(itertools.chain.from_iterable(range(start, stop) for start, stop in self.done))

    def differences(self, other: Manifest) -> tuple[str, ...]:
        """What makes the masks of `other` other masks than these, in words for people; empty when
        nothing does.
        """
        found = []
        if not self.source.is_same_clip(other.source) or self.timeline != other.timeline:
            found.append("clip")
        mine, theirs = (
            {at: record.meaning for at, record in one.references.items()} for one in (self, other)
        )
        if mine != theirs or self.objects != other.objects:
            found.append("reference masks")
        if self.propagator != other.propagator:
            found.append("propagator")
        keys = sorted({*self.settings, *other.settings})
        found.extend(
            f"setting {key}" for key in keys if self.settings.get(key) != other.settings.get(key)
        )
        if (self.start, self.stop) != (other.start, other.stop):
            found.append("frame range")
        if (self.cuts or ()) != (other.cuts or ()):
            found.append("shot cuts")
        return tuple(found)

    def to_json(self) -> dict[str, object]:
        """A JSON object from which `from_json` makes an equal Manifest."""
        return {
            "schema_version": SCHEMA_VERSION,
            "program_version": self.program_version,
            "segmented_at": self.segmented_at,
            "source": {
                "path": str(self.source.path),
                "size_bytes": self.source.size_bytes,
                "mtime_ns": self.source.mtime_ns,
                "fingerprint": self.source.fingerprint,
            },
            "propagator": self.propagator,
            "settings": dict(self.settings),
            "start": self.start,
            "stop": self.stop,
            **({} if self.cuts is None else {"cuts": list(self.cuts)}),
            **({} if self.working_size is None else {"working_size": self.working_size}),
            **({"map_colors": list(self.map_colors)} if self.map_colors else {}),
            "done": [list(pair) for pair in self.done],
            "objects": _colors_to_json(self.objects),
            "references": {
                str(at): {
                    "file": record.file,
                    "sha256": record.sha256,
                    "objects": _colors_to_json(record.objects),
                }
                for at, record in self.references.items()
            },
            "outputs": {
                name: {"kind": record.kind, "settings": dict(record.settings)}
                for name, record in self.outputs.items()
            },
            "confidence": {
                str(object_id): _run_lengths(values)
                for object_id, values in self.confidence.items()
            },
            "timeline": _timeline_to_json(self.timeline),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        """Read what `to_json` wrote. Raises what `load_manifest` catches for other data."""
        source = data["source"]
        return cls(
            source=SourceStamp(
                Path(source["path"]),
                int(source["size_bytes"]),
                int(source["mtime_ns"]),
                str(source.get("fingerprint", "")),
            ),
            timeline=_timeline_from_json(data["timeline"]),
            references={
                int(at): ReferenceRecord(
                    file_name(record["file"]),
                    str(record["sha256"]),
                    _colors_from_json(record["objects"]),
                )
                for at, record in data["references"].items()
            },
            propagator=str(data["propagator"]),
            settings=dict(data["settings"]),
            start=int(data["start"]),
            stop=int(data["stop"]),
            objects=_colors_from_json(data["objects"]),
            done=tuple((int(start), int(stop)) for start, stop in data["done"]),
            outputs={
                file_name(name): OutputRecord(str(one["kind"]), dict(one["settings"]))
                for name, one in data["outputs"].items()
            },
            segmented_at=str(data["segmented_at"]),
            confidence={
                int(object_id): _from_run_lengths(runs)
                for object_id, runs in data.get("confidence", {}).items()
            },
            cuts=tuple(int(cut) for cut in data["cuts"]) if "cuts" in data else None,
            program_version=str(data["program_version"]),
            working_size=None if data.get("working_size") is None else int(data["working_size"]),
            map_colors=tuple(str(text) for text in data.get("map_colors", ())),
        )


def load_manifest(path: Path) -> Manifest | None:
    """Read manifest.json, or None when there is none.

    Raises WorkspaceError when it is damaged or was written by another generation of the program; it
    is left as it is.
    """
    hint = (
        f"add {option('fresh', True)} to start again (the earlier masks are kept in"
        f" masks.previous), or use another {option('workspace')}"
    )
    try:
        data = json.loads(
            read_small_file(path, what="manifest", most_bytes=MOST_BYTES, error=WorkspaceError)
        )
        schema = data["schema_version"]
        if schema == SCHEMA_VERSION:
            return Manifest.from_json(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkspaceError(
            f"cannot read {path}: {error.strerror}", hint="check the permissions of the folder"
        ) from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise WorkspaceError(
            f"{path} is damaged: {type(error).__name__} {shortened(error, 120)}", hint=hint
        ) from error
    program = f"vfx-matte {data.get('program_version', 'of unknown version')}"
    raise WorkspaceError(
        f"{path} was written by {program} (schema {schema}, this program reads {SCHEMA_VERSION})",
        hint=hint,
    )


def save_manifest(path: Path, manifest: Manifest) -> None:
    """Write manifest.json atomically. Raises OutputError."""
    write_text(path, json_text(manifest.to_json()) + "\n")


def with_output(manifest: Manifest, name: str, record: OutputRecord) -> Manifest:
    """The manifest with one more output, or a newer one of that name."""
    return replace(manifest, outputs={**manifest.outputs, name: record})


def file_name(name: object) -> str:
    """A file's name without a folder, so that no manifest leads out of its place.

    Raises ValueError.
    """
    text = str(name)
    if text in (".", "..") or re.search(r"[/\\\0]", text):
        raise ValueError(f"{shortened(text)!r} is not a file's name")
    return text


def _time_base(text: str) -> Fraction:
    if not re.fullmatch(r"[0-9]{1,18}(/[0-9]{1,18})?", text):
        raise ValueError(f"time base {shortened(text)!r} is not a fraction")
    return Fraction(text)


def _colors_to_json(colors: Mapping[int, RGB]) -> dict[str, list[int]]:
    return {str(object_id): list(color) for object_id, color in colors.items()}


def _colors_from_json(data: Mapping[str, Any]) -> dict[int, RGB]:
    colors = {
        int(object_id): (int(red), int(green), int(blue))
        for object_id, (red, green, blue) in data.items()
    }
    for object_id, color in colors.items():
        if not (1 <= object_id <= 255 and all(0 <= value <= 255 for value in color)):
            raise ValueError(f"object {object_id} has the colour {color}")
    return colors


def _timeline_to_json(timeline: Timeline) -> dict[str, object]:
    """Run lengths instead of every timestamp: a constant-rate clip of any length takes one line."""
    return {
        "time_base": str(timeline.time_base),
        "first_pts": timeline.pts[0] if timeline.pts else 0,
        "intervals": _run_lengths(timeline.intervals),
        "durations": _run_lengths(timeline.durations),
        **({"first_number": timeline.first_number} if timeline.first_number else {}),
    }


def _timeline_from_json(data: Mapping[str, Any]) -> Timeline:
    durations = _from_run_lengths(data["durations"])
    pts = itertools.accumulate(_from_run_lengths(data["intervals"]), initial=int(data["first_pts"]))
    first_number = int(data.get("first_number", 0))
    return Timeline(
        tuple(pts) if durations else (), durations, _time_base(str(data["time_base"])), first_number
    )


def _run_lengths(values: Iterable[int]) -> list[int]:
    """[7, 7, 7, 8] → [7, 3, 8, 1]."""
    runs: list[int] = []
    for value, group in itertools.groupby(values):
        runs += (value, sum(1 for _ in group))
    return runs


def _from_run_lengths(runs: list[int]) -> tuple[int, ...]:
    pairs = list(zip(runs[::2], runs[1::2], strict=True))
    if (
        any(int(count) < 0 for _, count in pairs)
        or sum(int(count) for _, count in pairs) > MOST_FRAMES
    ):
        raise ValueError("its run lengths are not those of a clip")
    return tuple(
        itertools.chain.from_iterable(
            itertools.repeat(int(value), int(count)) for value, count in pairs
        )
    )
