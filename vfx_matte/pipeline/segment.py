"""A clip and a few masks to a mask for every frame. Takes an opened clip and mask files, gives a finished workspace.

Masks are saved as they come, by a thread, so a run that was stopped goes on where it stopped.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from vfx_matte.errors import UsageError
from vfx_matte.mask_reading import MaskReading, understand_references
from vfx_matte.masks import RGB, Image, Mask, Palette, object_ids
from vfx_matte.media.read import ClipReader
from vfx_matte.pipeline.overlap import ahead
from vfx_matte.pipeline.project import SourceClip
from vfx_matte.pipeline.report import Reporter
from vfx_matte.propagate import choose_propagator, open_propagator
from vfx_matte.propagate.driver import Segmented, propagate
from vfx_matte.workspace import (
    Manifest,
    ReferenceRecord,
    SegmentRun,
    SourceStamp,
    Workspace,
    clip_name,
    collect_references,
    load_mask,
    load_mask_picture,
    parse_mask_argument,
    to_ranges,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFiles:
    """Mask files as a user names them.

    first_mask: for the first frame of the range. pairs: "FRAME=path" texts. folder: files whose first integer is the frame.
    """

    first_mask: Path | None = None
    pairs: tuple[str, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What a run made. start, stop: half-open frame range; computed: frames made now; objects: id → painted colour."""

    masks: Path
    start: int
    stop: int
    computed: int
    objects: Mapping[int, str]
    propagator: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _References:
    """References read from disk. masks: uint8 (H, W) by frame, ids as the user's colours say."""

    files: dict[int, Path]
    readings: dict[int, MaskReading]

    @property
    def objects(self) -> dict[int, RGB]:
        """Every object with its colour on the first reference that shows it."""
        colors: dict[int, RGB] = {}
        for reading in self.readings.values():
            for object_id, color in reading.colors.items():
                colors.setdefault(object_id, color)
        return dict(sorted(colors.items()))


def segment_clip(
    clip: SourceClip,
    files: ReferenceFiles,
    *,
    workspace: Path,
    propagator: str = "auto",
    weights: Path = Path("model/XMem.pth"),
    size: int = 480,
    device: str = "auto",
    start: int | Fraction = 0,
    stop: int | Fraction | None = None,
    resume: bool = False,
    fresh: bool = False,
    expected_objects: int | None = None,
    reporter: Reporter,
) -> SegmentResult:
    """Segment the frames [start, stop) of a clip.

    start, stop: frame indices, or seconds from the clip's start as Fractions; None is the end. propagator: "auto", "builtin"
    or "xmem". weights, size, device: of xmem: its weights file, the short side it works at in pixels (-1 = the clip's own) and
    "auto", "cpu" or "cuda". resume: go on with an interrupted run of the same settings; fresh: start again, keeping the
    earlier masks as masks.previous. expected_objects: a notice is given when the masks show another number.
    Raises MaskError, UsageError, WorkspaceError, PropagatorError, MediaError or OutputError; finished frames stay on disk.
    """
    began = clock.monotonic()
    first, last = _resolve(clip, start, stop)
    references = _load_references(clip, files, first=first, reporter=reporter)
    objects = references.objects
    if expected_objects is not None and expected_objects != len(objects):
        reporter.notify(f"config.ini expects {expected_objects} objects, the masks show {len(objects)}")
    name, reason = choose_propagator(None if propagator == "auto" else propagator, weights=weights)
    reporter.notify(reason)
    palette = Palette.davis()
    own = {"weights": weights, "size": size, "device": device} if name == "xmem" else {}
    plan = Manifest(
        source=SourceStamp.of(clip.path),
        timeline=clip.info.timeline,
        references={at: ReferenceRecord.of(path, references.readings[at].colors) for at, path in references.files.items()},
        propagator=name,
        settings={"weights": weights.name, "size": size} if name == "xmem" else {},
        start=first,
        stop=last,
        objects=objects,
    )
    place = Workspace(workspace).clip(clip.path)
    with place.start_run(plan, palette=palette, resume=resume, fresh=fresh) as run:
        missing = sum(end - begin for begin, end in run.missing)
        if missing:
            carrier = open_propagator(name, num_objects=len(objects), **own)
            numbers = _Numbers(tuple(objects))
            masks = {at: numbers.to_dense(reading.mask) for at, reading in references.readings.items()}
            frames = propagate(carrier, _Images(clip.reader), masks, start=first, stop=last, completed=_Completed(run, numbers))
            _save_all(frames, run, numbers, total=missing, reporter=reporter)
    return SegmentResult(
        masks=place.masks_folder,
        start=first,
        stop=last,
        computed=missing,
        objects={object_id: _hex(color) for object_id, color in objects.items()},
        propagator=name,
        seconds=clock.monotonic() - began,
    )


def understand(
    clip: SourceClip, files: ReferenceFiles, *, start: int | Fraction = 0, reporter: Reporter
) -> list[tuple[int, str, str, int, str, int]]:
    """How mask files are understood: rows of (frame, file, kind, object id, colour, pixels)."""
    first, _ = _resolve(clip, start, None)
    references = _load_references(clip, files, first=first, reporter=reporter)
    return [
        (
            at,
            references.files[at].name,
            reading.kind,
            object_id,
            "#{:02x}{:02x}{:02x}".format(*reading.colors[object_id]),
            pixels,
        )
        for at, reading in references.readings.items()
        for object_id, pixels in reading.coverage.items()
    ]


def _hex(color: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _resolve(clip: SourceClip, start: int | Fraction, stop: int | Fraction | None) -> tuple[int, int]:
    timeline = clip.info.timeline
    first = clip.frame_index(start)
    at_end = stop is None or stop == len(timeline) or (isinstance(stop, Fraction) and stop >= timeline.end - timeline.start)
    last = len(timeline) if stop is None or at_end else clip.frame_index(stop)
    if first >= last:
        raise UsageError(f"frames {first} to {last} are no range of this clip", hint=f"it has frames 0 to {len(timeline) - 1}")
    return first, last


def _load_references(clip: SourceClip, files: ReferenceFiles, *, first: int, reporter: Reporter) -> _References:
    paths = collect_references(
        first_mask=files.first_mask,
        first_frame=first,
        masks=[parse_mask_argument(text) for text in files.pairs],
        folder=files.folder,
        clip_name=clip_name(clip.path),
        frame_count=len(clip.info.timeline),
    )
    pictures = ((at, load_mask_picture(path)) for at, path in sorted(paths.items()))
    readings = dict(understand_references(pictures, shape=clip.info.shape))
    for at, reading in readings.items():
        for notice in reading.notices:
            reporter.notify(f"mask of frame {at}: {notice}")
    return _References(dict(sorted(paths.items())), readings)


def _save_all(frames: Iterator[Segmented], run: SegmentRun, numbers: _Numbers, *, total: int, reporter: Reporter) -> None:
    """Save masks while the next ones are computed in a thread; say which objects were out of sight, and where."""
    unseen: dict[int, list[int]] = {object_id: [] for object_id in run.manifest.objects}
    with closing(ahead(frames, depth=2)) as made, reporter.progress("segment", total) as step:
        for frame_index, mask, _ in made:
            shown = numbers.to_user(mask)
            run.save_mask(frame_index, shown)
            for object_id in unseen.keys() - set(object_ids(shown)):
                unseen[object_id].append(frame_index)
            step()
    for object_id, indices in unseen.items():
        if indices:
            start, stop = max(to_ranges(indices), key=lambda span: span[1] - span[0])
            reporter.notify(
                f"object {object_id} is not seen on {len(indices)} frames, {start} to {stop - 1} the longest stretch;"
                f" if it is there, give a mask of one of them: --mask {(start + stop) // 2}=mask.png"
            )


class _Numbers:
    """Between the user's object ids (any of 1..255) and the propagator's (1..K)."""

    def __init__(self, object_ids: tuple[int, ...]) -> None:
        self._to_user = np.zeros(256, np.uint8)
        self._to_user[1 : len(object_ids) + 1] = object_ids
        self._to_dense = np.zeros(256, np.uint8)
        self._to_dense[list(object_ids)] = np.arange(1, len(object_ids) + 1)

    def to_user(self, mask: Mask) -> Mask:
        """uint8 (H, W), 1..K → the user's ids."""
        return self._to_user[mask]

    def to_dense(self, mask: Mask) -> Mask:
        """uint8 (H, W), the user's ids → 1..K."""
        return self._to_dense[mask]


class _Images:
    """A clip's pictures as R'G'B', for the driver."""

    def __init__(self, reader: ClipReader) -> None:
        self._reader = reader

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """Frames start, start + 1, …, decoded ahead in a thread."""
        frames = ((frame.index, frame.image) for frame in self._reader.frames(start, stop))
        return ahead(frames, depth=2)

    def backward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """The same frames, from stop − 1 down."""
        frames = ((frame.index, frame.image) for frame in self._reader.frames_reversed(start, stop))
        return ahead(frames, depth=2)

    def image(self, index: int) -> Image:
        """One frame."""
        return self._reader.frame(index).image


class _Completed(Mapping[int, Mask]):
    """Masks of an earlier run, read from disk when the driver asks for one."""

    def __init__(self, run: SegmentRun, numbers: _Numbers) -> None:
        manifest = run.manifest
        self._frames = manifest.done_frames()
        self._clip = run.clip
        self._numbers = numbers

    def __getitem__(self, frame_index: int) -> Mask:
        if frame_index not in self._frames:
            raise KeyError(frame_index)
        return self._numbers.to_dense(load_mask(self._clip.mask_path(frame_index)))

    def __iter__(self) -> Iterator[int]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)
