"""The manifest: what is known about the masks of one clip, as one JSON file.

A file that cannot be read is an error and stays as it is.
"""

from __future__ import annotations

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
from vfx_matte.files.fingerprint import file_sha256, fingerprint
from vfx_matte.files.inputs import read_small_file
from vfx_matte.masks import RGB, ObjectLabel
from vfx_matte.numbering import parse_pattern
from vfx_matte.printable import json_text, shortened
from vfx_matte.timeline import Timeline
from vfx_matte.wording import option
from vfx_matte.workspace.files import write_text
from vfx_matte.workspace.walk_states import digest_of

SCHEMA_VERSION = 1
"""Of the file. Optional entries came later: manifests without them are read too."""

Scalar = str | int | float | bool
"""A setting as JSON can hold it."""

SOFT = "soft"
"""The setting of runs that keep probabilities; others do not have it."""

MOST_FRAMES = 50_000_000
"""More than a day at 240 frames per second: a manifest that says more is damaged, and would fill
the memory.
"""
MOST_BYTES = 2**28
"""A larger file is no manifest: run lengths keep even those of irregular clips far smaller."""

# files that desktops leave in folders of pictures
_DESKTOP = frozenset({"thumbs.db", "desktop.ini"})
# FAT keeps dates to two seconds, so a copy may be that far off
_FAT_NS = 2 * 10**9

UNKNOWN = -1
"""The confidence of a frame without a mask."""

Ranges = tuple[tuple[int, int], ...]
"""Half-open ranges of frame indices, ascending, with gaps between them."""


def to_ranges(frames: Iterable[int]) -> Ranges:
    """Frame indices as half-open ranges: {0, 1, 2, 7} → ((0, 3), (7, 8))."""
    ordered = sorted(set(frames))
    # where a frame does not follow the one before it, a range ends and the next begins
    breaks = [at for at in range(1, len(ordered)) if ordered[at] != ordered[at - 1] + 1]
    edges = [0, *breaks, len(ordered)] if ordered else []
    return tuple((ordered[low], ordered[high - 1] + 1) for low, high in itertools.pairwise(edges))


@dataclass(frozen=True, slots=True)
class SourceStamp:
    """Which clip masks were made from."""

    path: Path
    """Absolute."""
    size_bytes: int
    """Of all its files together."""
    mtime_ns: int
    """The latest change of its files."""
    fingerprint: str = ""
    """Of what its files hold; "" in manifests of programs that knew none."""

    @classmethod
    def of(cls, source: Path) -> Self:
        """Stamp a clip. Missing files count as nothing.

        Args:
            source: a video file, a folder of pictures or a numbered pattern (plate.%04d.png).

        Raises:
            MediaError: a file cannot be read.
        """
        path = source.absolute()
        if path.is_file():
            files = [path]
        elif path.is_dir():
            # every file but those that desktops add: which of them are pictures is known elsewhere
            files = [
                file
                for file in path.iterdir()
                if file.is_file()
                and not file.name.startswith(".")
                and file.name.lower() not in _DESKTOP
            ]
        else:
            # a pattern, and a file that is gone: nothing but what the pattern fits
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
        """Whether both have the same bytes, whatever their name, folder and date: projects are
        moved, and copies have other dates.

        Where one has no fingerprint, the name, the size and the date decide.
        """
        # sizes first: most other clips differ there already
        if self.size_bytes != other.size_bytes:
            return False
        if self.fingerprint and other.fingerprint:
            return self.fingerprint == other.fingerprint
        return self.path.name == other.path.name and abs(self.mtime_ns - other.mtime_ns) <= _FAT_NS


@dataclass(frozen=True, slots=True)
class ReferenceRecord:
    """One reference mask."""

    file: str
    """Its file name, without a folder."""
    sha256: str
    """Of the file, 64 hexadecimal digits."""
    objects: Mapping[int, RGB]
    """Object id → the colour that it is painted in."""

    @property
    def meaning(self) -> tuple[str, tuple[tuple[int, RGB], ...]]:
        """What two records of the same mask have in common: the file's content, and which object
        each of its colours stands for.
        """
        return self.sha256, tuple(sorted(self.objects.items()))

    @classmethod
    def of(cls, path: Path, objects: Mapping[int, RGB]) -> Self:
        """Record a mask file with the colours of its objects.

        Raises:
            MaskError: it cannot be read.
        """
        try:
            digest = file_sha256(path)
        except OSError as error:
            raise MaskError(f"cannot read mask {path}: {error.strerror}") from error
        return cls(path.name, digest, dict(objects))


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """One rendered file."""

    kind: str
    """What it is: "green", "alpha" …"""
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    """The settings it was made with."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything known about the masks of one clip.

    Raises:
        ValueError: ranges or cuts leave the timeline, or confidences do not fit the range.
    """

    source: SourceStamp
    """The clip."""
    timeline: Timeline
    """Its frames."""
    references: Mapping[int, ReferenceRecord]
    """Frame index → the mask that the user gave for it."""
    propagator: str
    """The name of the propagator."""
    settings: Mapping[str, Scalar]
    """What else masks depend on, such as the propagator's settings."""
    start: int
    """The first frame of the half-open range that the run covers."""
    stop: int
    """The end of that range, the first frame that is not in it."""
    objects: Mapping[int, RGB]
    """Object id → its colour."""
    done: Ranges = ()
    """The frames that have a mask."""
    outputs: Mapping[str, OutputRecord] = field(default_factory=dict)
    """File name → what was rendered into it."""
    segmented_at: str = ""
    """When masks last changed: UTC, ISO 8601."""
    confidence: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Object id → one number per frame of [start, stop): the overlap that the mask is expected to
    have with the truth, in per cent; UNKNOWN where there is no mask yet.
    """
    cuts: tuple[int, ...] | None = None
    """Frames that begin a shot and that masks do not cross; () = none were found, None = cuts were
    not looked for, so masks may cross them.
    """
    program_version: str = __version__
    """The version of the program that made the masks."""
    working_size: int | None = None
    """The short side in pixels that the propagator chose to work at, None where there was nothing
    to choose.
    """
    map_colors: tuple[str, ...] = ()
    """The "COLOUR=ID" texts that said which object a painted colour is; the result is in
    `references`.
    """
    labels: Mapping[int, ObjectLabel] = field(default_factory=dict)
    """Object id → what it is, for objects of which something is known."""

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop <= len(self.timeline):
            raise ValueError(
                f"range [{self.start}, {self.stop}) leaves the clip's {len(self.timeline)} frames"
            )
        # in one list with the range's ends, any that overlap or leave it are out of order
        edges = [self.start, *itertools.chain.from_iterable(self.done), self.stop]
        if edges != sorted(edges):
            raise ValueError(
                f"done ranges {self.done} are not ascending inside [{self.start}, {self.stop})"
            )
        shots = [0, *(self.cuts or ()), len(self.timeline)]
        if self.cuts and any(stop <= start for start, stop in itertools.pairwise(shots)):
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
        """Whether each object's probability is kept beside the masks: the setting `SOFT`."""
        return self.settings.get(SOFT) is True

    @property
    def is_complete(self) -> bool:
        """Whether every frame of the range is done."""
        return sum(stop - start for start, stop in self.done) == self.stop - self.start

    @property
    def work_digest(self) -> str:
        """A digest of everything that a walk over the clip depends on, but for the clip's pixels;
        see `differences`.
        """
        # progress, and what is found on the way, change while a walk goes on
        work = replace(
            self,
            done=(),
            outputs={},
            segmented_at="",
            confidence={},
            working_size=None,
            map_colors=(),
            labels={},
        ).to_json()
        del work["source"]
        return digest_of(work)

    def done_frames(self) -> set[int]:
        """The frame indices that are done."""
        return set(itertools.chain.from_iterable(range(start, stop) for start, stop in self.done))

    def references_of(self, object_id: int) -> tuple[int, ...]:
        """The frames whose mask the user gave for an object, ascending: those that show it, and
        those that are empty, where nothing is. On others it is predicted.
        """
        return tuple(
            at
            for at, record in sorted(self.references.items())
            if object_id in record.objects or not record.objects
        )

    def references_of_all(self) -> tuple[int, ...]:
        """The frames whose mask the user gave for every object, ascending."""
        return tuple(
            at
            for at, record in sorted(self.references.items())
            if set(record.objects) in (set(), set(self.objects))
        )

    def differences(self, other: Manifest) -> tuple[str, ...]:
        """What makes the masks of `other` differ from these, in words for people; empty when
        nothing does.
        """
        # in the order in which a user would look for the reason
        found = []
        if not self.source.is_same_clip(other.source) or self.timeline != other.timeline:
            found.append("clip")
        mine, theirs = (
            {at: record.meaning for at, record in manifest.references.items()}
            for manifest in (self, other)
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
        # to have found none and not to have looked give the same masks
        if (self.cuts or ()) != (other.cuts or ()):
            found.append("shot cuts")
        return tuple(found)

    def to_json(self) -> dict[str, object]:
        """A JSON object from which `from_json` makes an equal manifest."""
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
            # entries that came later are left out where they say nothing
            **({} if self.cuts is None else {"cuts": list(self.cuts)}),
            **({} if self.working_size is None else {"working_size": self.working_size}),
            **({"map_colors": list(self.map_colors)} if self.map_colors else {}),
            **({"labels": _labels_to_json(self.labels)} if self.labels else {}),
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
            labels=_labels_from_json(data.get("labels", {})),
        )


def _labels_to_json(labels: Mapping[int, ObjectLabel]) -> dict[str, dict[str, object]]:
    return {
        str(object_id): {"name": one.name, "class": one.class_name, "score": one.score}
        for object_id, one in labels.items()
    }


def _labels_from_json(data: Mapping[str, Any]) -> dict[int, ObjectLabel]:
    labels = {
        int(object_id): ObjectLabel(
            str(one["name"]),
            str(one["class"]),
            None if one["score"] is None else float(one["score"]),
        )
        for object_id, one in data.items()
    }
    # ids are palette indices, and JSON that others read has no form for NaN
    for object_id, label in labels.items():
        if not (1 <= object_id <= 255 and 0 <= (label.score or 0) <= 1):
            raise ValueError(f"object {object_id} has the label {label}")
    return labels


def load_manifest(path: Path) -> Manifest | None:
    """Read manifest.json; None when there is none.

    Raises:
        WorkspaceError: it is damaged or was written by another generation of the program.
    """
    hint = (
        f"add {option('fresh', True)} to start again (the earlier masks are kept in"
        f" masks.previous), or use another {option('workspace')}"
    )
    try:
        data = json.loads(
            read_small_file(path, what="manifest", most_bytes=MOST_BYTES, error=WorkspaceError)
        )
        # before anything else, as another generation may have other entries
        schema = data["schema_version"]
        if schema == SCHEMA_VERSION:
            return Manifest.from_json(data)
    except FileNotFoundError:
        return None
    # not damaged, only not readable: nothing needs to be replaced
    except OSError as error:
        raise WorkspaceError(
            f"cannot read {path}: {error.strerror}", hint="check the permissions of the folder"
        ) from error
    # whatever a foreign or half written file makes of `from_json`
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
    """Write manifest.json atomically.

    Raises:
        OutputError: it cannot be written.
    """
    # durable: it is what says which of the other files count
    write_text(path, json_text(manifest.to_json()) + "\n")


def with_output(manifest: Manifest, name: str, record: OutputRecord) -> Manifest:
    """The manifest with one more output, or a newer one of that name."""
    return replace(manifest, outputs={**manifest.outputs, name: record})


def file_name(name: object) -> str:
    """A file's name without a folder, so that no manifest leads out of its own folder.

    Raises:
        ValueError: it is none.
    """
    text = str(name)
    if text in (".", "..") or re.search(r"[/\\\0]", text):
        raise ValueError(f"{shortened(text)!r} is not a file's name")
    return text


def _time_base(text: str) -> Fraction:
    # Fraction reads exponents too, and "1e999999999" would fill the memory
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
    # ids are palette indices
    for object_id, color in colors.items():
        if not (1 <= object_id <= 255 and all(0 <= value <= 255 for value in color)):
            raise ValueError(f"object {object_id} has the colour {color}")
    return colors


def _timeline_to_json(timeline: Timeline) -> dict[str, object]:
    """Run lengths instead of every timestamp: a constant-rate clip of any length takes one line."""
    return {
        "time_base": str(timeline.time_base),
        # the distances repeat, the timestamps do not
        "first_pts": timeline.pts[0] if timeline.pts else 0,
        "intervals": _run_lengths(timeline.intervals),
        "durations": _run_lengths(timeline.durations),
        **({"first_number": timeline.first_number} if timeline.first_number else {}),
    }


def _timeline_from_json(data: Mapping[str, Any]) -> Timeline:
    durations = _from_run_lengths(data["durations"])
    pts = itertools.accumulate(_from_run_lengths(data["intervals"]), initial=int(data["first_pts"]))
    first_number = int(data.get("first_number", 0))
    # accumulate gives one timestamp even without any interval
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
    """[7, 3, 8, 1] → (7, 7, 7, 8). Raises ValueError for more than MOST_FRAMES."""
    pairs = list(zip(runs[::2], runs[1::2], strict=True))
    # checked before any is written out: two numbers can ask for all memory
    if (
        any(int(count) < 0 for _, count in pairs)
        or sum(int(count) for _, count in pairs) > MOST_FRAMES
    ):
        raise ValueError("its run lengths do not fit a clip")
    return tuple(
        itertools.chain.from_iterable(
            itertools.repeat(int(value), int(count)) for value, count in pairs
        )
    )
