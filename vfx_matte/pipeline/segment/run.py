"""A clip and a few masks to a mask for every frame.

Takes an opened clip and mask files, gives a finished workspace.

Masks are saved as they come, by a thread, and now and then what the walk knows, so a run that was
stopped goes on where it stopped, and its masks are those of a run without a stop.
"""

from __future__ import annotations

import hashlib
import time as clock
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from vfx_matte.blas_threads import one_blas_thread
from vfx_matte.errors import MaskError, OutputError, WorkspaceError
from vfx_matte.masks import RGB, Image, Mask, Palette, Probabilities, hex_color, object_ids
from vfx_matte.media.frames import ClipReader
from vfx_matte.pipeline.clip import GAPS_SETTING, SourceClip
from vfx_matte.pipeline.confidence import doubts
from vfx_matte.pipeline.frame_numbers import ambiguity_notice, named_after, outside_hint
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.segment.cuts import CutOptions, decide_cuts, shots_without_mask
from vfx_matte.propagate import ChoosesSize, Propagator
from vfx_matte.propagate.confidence import Agreement, witnessed_overlap
from vfx_matte.propagate.driver import Segmented, propagate_resumable
from vfx_matte.propagate.influence import influenced
from vfx_matte.propagate.walk_state import Checkpoint, WalkKey
from vfx_matte.references.files import (
    collect_references,
    load_mask_picture,
    parse_color_argument,
    parse_mask_argument,
)
from vfx_matte.references.reading import MaskPicture, MaskReading, read_references
from vfx_matte.wording import option
from vfx_matte.workspace import (
    SOFT,
    ClipWorkspace,
    Manifest,
    ReferenceRecord,
    SegmentRun,
    Soft,
    SourceStamp,
    Workspace,
    clip_name,
    load_mask,
)

STATE_SECONDS = 20.0
"""How often a walk's state is saved: of a run that is killed, so much is computed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFiles:
    """Masks as a user gives them. Frames go by their numbers: see `Timeline.number`.

    first_mask: for the first frame of the range. pairs: "FRAME=path" texts. folder: files whose
    last number is the frame's.
    files, pictures: the same by frame number, for programs; pictures are masks in memory.
    colors: "COLOUR=ID" texts: which object a painted colour is, 0 = background.
    """

    first_mask: Path | None = None
    pairs: tuple[str, ...] = ()
    folder: Path | None = None
    files: Mapping[int, Path] = field(default_factory=dict)
    pictures: Mapping[int, MaskPicture] = field(default_factory=dict)
    colors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What a run made.

    masks: folder of palette PNG files NNNNNNN.png, one a frame. start, stop: half-open range of
    frame numbers; computed: frames made now;
    objects: id → painted colour, "#rrggbb"; propagator: "builtin" or "xmem"; seconds: how long the
    run took.
    """

    masks: Path
    start: int
    stop: int
    computed: int
    objects: Mapping[int, str]
    propagator: str
    seconds: float

    def mask(self, number: int) -> Mask:
        """The mask of the frame with this number, read from disk: uint8 (H, W), object ids.

        Raises MaskError.
        """
        return load_mask(self.masks / f"{number:07d}.png")


@dataclass(frozen=True, slots=True)
class _References:
    """References by frame: where each is from, a file or an array, and how it was understood."""

    sources: dict[int, Path | MaskPicture]
    readings: dict[int, MaskReading]

    def record(self, frame_index: int) -> ReferenceRecord:
        """The manifest's entry of one."""
        source, colors = self.sources[frame_index], self.readings[frame_index].colors
        if isinstance(source, Path):
            return ReferenceRecord.of(source, colors)
        pixels = np.ascontiguousarray(source.pixels)
        digest = hashlib.sha256(
            f"{pixels.dtype} {pixels.shape} ".encode() + pixels.tobytes()
        ).hexdigest()
        return ReferenceRecord("", digest, dict(colors))

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
    propagator: PropagatorOptions = PropagatorOptions(),  # noqa: B008  frozen
    start: int | Fraction | None = None,
    stop: int | Fraction | None = None,
    resume: bool = False,
    fresh: bool = False,
    update: bool = False,
    soft: bool = False,
    cuts: CutOptions = CutOptions(),  # noqa: B008  frozen
    expected_objects: int | None = None,
    reporter: Reporter,
) -> SegmentResult:
    """Segment the frames [start, stop) of a clip.

    start, stop: frame numbers, or seconds from the clip's start as Fractions; None is the clip's
    own. resume: go on with an interrupted run of the same settings; fresh: start again, keeping the
    earlier masks as masks.previous;
    update: go on with earlier work although reference masks are others, and make only the frames
    again that they influence.
    soft: keep every object's probability beside the masks, for soft edges. cuts: whether masks stop
    where a shot ends; the frames of a shot without a reference mask get an empty mask.
    expected_objects: a notice is given when the masks show another number.
    Raises MaskError, UsageError, WorkspaceError, PropagatorError, MediaError or OutputError;
    finished frames stay on disk.
    """
    began = clock.monotonic()
    first, last = clip.frame_range(start, stop)
    references = _load_references(clip, files, first=first, reporter=reporter)
    objects = references.objects
    if expected_objects is not None and expected_objects != len(objects):
        reporter.notify(
            f"config.ini expects {expected_objects} objects, the masks show {len(objects)}"
        )
    palette = Palette.davis()
    place = Workspace(workspace).clip(clip.path)
    options = propagator.decided(
        reporter.notify, earlier=_begun(place) if resume or update else None
    )
    respected = _cuts(
        clip,
        cuts,
        place,
        references,
        span=range(first, last),
        fresh=fresh,
        go_on=resume or update,
        reporter=reporter,
    )
    plan = Manifest(
        source=SourceStamp.of(clip.path),
        timeline=clip.info.timeline,
        references={at: references.record(at) for at in references.sources},
        propagator=options.name,
        settings={**options.settings, **({SOFT: True} if soft else {}), **_gaps(clip)},
        start=first,
        stop=last,
        objects=objects,
        cuts=respected,
        map_colors=files.colors,
    )
    influence = _influence if update else None
    with place.start_run(
        plan, palette=palette, resume=resume, fresh=fresh, influenced=influence
    ) as run:
        missing = sum(end - begin for begin, end in run.missing)
        if update and missing < last - first:
            number = clip.info.timeline.number
            spans = (
                ", ".join(f"{number(begin)} to {number(end - 1)}" for begin, end in run.missing)
                or "none"
            )
            reporter.notify(f"frames made again: {spans}; the others stay as they are")
        if missing:
            carrier = options.open(
                num_objects=len(objects), notify=reporter.notify, size=run.manifest.working_size
            )
            numbers = _Numbers(tuple(objects))
            masks = {
                at: numbers.to_dense(reading.mask) for at, reading in references.readings.items()
            }
            states = _States(run, reporter)
            frames = propagate_resumable(
                carrier,
                _Images(clip.reader),
                masks,
                start=first,
                stop=last,
                cuts=respected or (),
                completed=_Completed(run, numbers),
                remember=options.remembers,
                states=states,
            )
            with one_blas_thread():
                _save_all(frames, run, numbers, states, carrier, total=missing, reporter=reporter)
    return SegmentResult(
        masks=place.masks_folder,
        start=clip.info.timeline.number(first),
        stop=clip.info.timeline.number(last),
        computed=missing,
        objects={object_id: hex_color(color) for object_id, color in objects.items()},
        propagator=options.name,
        seconds=clock.monotonic() - began,
    )


def understand(
    clip: SourceClip,
    files: ReferenceFiles,
    *,
    start: int | Fraction | None = None,
    reporter: Reporter,
) -> list[tuple[int, str, str, int, str, int]]:
    """How mask files are understood: rows of (frame number, file, kind, object id, colour,
    pixels).
    """
    first, _ = clip.frame_range(start, None)
    references = _load_references(clip, files, first=first, reporter=reporter)
    return [
        (
            clip.info.timeline.number(at),
            getattr(references.sources[at], "name", ""),
            reading.kind,
            object_id,
            hex_color(reading.colors[object_id]),
            pixels,
        )
        for at, reading in references.readings.items()
        for object_id, pixels in reading.coverage.items()
    ]


def _begun(place: ClipWorkspace) -> Manifest | None:
    """The earlier work of a clip; None where there is none that can be read, which `start_run`
    says.
    """
    try:
        return place.manifest()
    except WorkspaceError:
        return None


def _cuts(
    clip: SourceClip,
    options: CutOptions,
    place: ClipWorkspace,
    references: _References,
    *,
    span: range,
    fresh: bool,
    go_on: bool,
    reporter: Reporter,
) -> tuple[int, ...] | None:
    """The cuts of a run. Where `start_run` is going to refuse, the clip need not be read first."""
    try:
        earlier = None if fresh else place.manifest()
    except WorkspaceError:
        return None
    if earlier is not None:
        if (
            not earlier.source.is_same_clip(SourceStamp.of(clip.path))
            or earlier.timeline != clip.info.timeline
        ):
            return None
        if not go_on:
            return earlier.cuts
    return decide_cuts(
        clip, options, span=span, references=references.sources, earlier=earlier, reporter=reporter
    )


def _gaps(clip: SourceClip) -> dict[str, str]:
    """What stands for missing numbers, where that is not the picture before."""
    files = clip.info.files
    return (
        {GAPS_SETTING: files.gaps}
        if files is not None and files.missing and files.gaps != "hold"
        else {}
    )


def _load_references(
    clip: SourceClip, files: ReferenceFiles, *, first: int, reporter: Reporter
) -> _References:
    """Masks by frame index."""
    timeline = clip.info.timeline
    sources: dict[int, Path | MaskPicture] = {}
    pairs = [*files.files.items(), *(parse_mask_argument(text) for text in files.pairs)]
    if not files.pictures or files.first_mask or pairs or files.folder:
        sources.update(
            collect_references(
                first_mask=files.first_mask,
                first_frame=timeline.number(first),
                masks=pairs,
                folder=files.folder,
                clip_name=clip_name(clip.path),
                frame_count=len(timeline),
                first_number=timeline.first_number,
                outside_hint=partial(outside_hint, clip.info),
                notify=reporter.notify,
            )
        )
    for at, picture in files.pictures.items():
        if at in sources or not 0 <= timeline.index_of(at) < len(timeline):
            problem = (
                "has two masks"
                if at in sources
                else f"does not exist: the clip has {len(timeline)} frames"
            )
            raise MaskError(
                f"frame {at} {problem}",
                hint=f"{outside_hint(clip.info, at)}; give one mask for each",
            )
        sources[at] = picture
    meant = named_after(clip.info, files.first_mask.name) if files.first_mask else None
    if files.first_mask and meant not in (None, timeline.number(first)):
        place = (
            f"{files.first_mask.name} is on frame {timeline.number(first)} ({option('first_mask')})"
        )
        reporter.notify(
            f"{place}; it is named after frame {meant}: give it as"
            f" {option('mask', f'{meant}=PNG')} to put it there"
        )
    named = {at for at, one in sources.items() if one != files.first_mask}
    if line := ambiguity_notice(clip.info, named, "mask"):
        reporter.notify(line)
    sources = {timeline.index_of(at): one for at, one in sorted(sources.items())}
    given = dict(parse_color_argument(text) for text in files.colors)
    pictures = (
        (
            timeline.number(at),
            load_mask_picture(one, shape=clip.info.shape) if isinstance(one, Path) else one,
        )
        for at, one in sources.items()
    )
    understood = read_references(pictures, shape=clip.info.shape, given=given)
    readings = {timeline.index_of(number): reading for number, reading in understood}
    for at, reading in readings.items():
        for notice in reading.notices:
            reporter.notify(f"mask of frame {timeline.number(at)}: {notice}")
    return _References(sources, readings)


def _influence(earlier: Manifest, plan: Manifest) -> set[int]:
    """The frames that other reference masks can change; all of them when the objects are others
    too.
    """
    if earlier.objects != plan.objects:
        return set(range(plan.start, plan.stop))
    places = {*earlier.references, *plan.references}
    digests = [
        {at: record.meaning for at, record in one.references.items()} for one in (earlier, plan)
    ]
    changed = [at for at in places if digests[0].get(at) != digests[1].get(at)]
    ends = [
        at
        for at, record in plan.references.items()
        if at not in changed and set(record.objects) in (set(), set(plan.objects))
    ]
    return influenced(changed, ends, start=plan.start, stop=plan.stop, cuts=plan.cuts or ())


def _save_all(
    frames: Iterator[Segmented | Checkpoint],
    run: SegmentRun,
    numbers: _Numbers,
    states: _States,
    carrier: Propagator,
    *,
    total: int,
    reporter: Reporter,
) -> None:
    """Save masks while the next ones are computed in a thread; say which objects were out of sight
    or uncertain, and where.
    """
    unseen: dict[int, list[int]] = {object_id: [] for object_id in run.manifest.objects}
    manifest = run.manifest
    span, cuts, unsized = (
        range(manifest.start, manifest.stop),
        manifest.cuts or (),
        manifest.working_size is None,
    )
    maskless = {at for shot in shots_without_mask(cuts, span, manifest.references) for at in shot}
    with closing(prefetched(frames, depth=2)) as made, reporter.progress("segment", total) as step:
        for one in made:
            if isinstance(one, Checkpoint):
                states.save(one)
                continue
            frame_index, mask, probabilities, agreement = one
            if isinstance(carrier, ChoosesSize) and unsized:
                run.note_working_size(carrier.working_size)
                unsized = False
            shown = numbers.to_user(mask)
            run.note_confidence(frame_index, numbers.confidence(mask, probabilities, agreement))
            run.save_mask(frame_index, shown, numbers.soft(probabilities) if run.is_soft else None)
            for object_id in (
                unseen.keys() - set(object_ids(shown)) if frame_index not in maskless else ()
            ):
                unseen[object_id].append(frame_index)
            step()
    known = run.manifest.confidence
    number = manifest.timeline.number
    for line in doubts(
        known, unseen, manifest.references, first_frame=manifest.start, cuts=cuts, number=number
    ):
        reporter.notify(line)


class _Numbers:
    """Between the user's object ids (any of 1..255) and the propagator's (1..K)."""

    def __init__(self, object_ids: tuple[int, ...]) -> None:
        self._same = object_ids == tuple(range(1, len(object_ids) + 1))
        self._to_user = np.zeros(256, np.uint8)
        self._to_user[1 : len(object_ids) + 1] = object_ids
        self._to_dense = np.zeros(256, np.uint8)
        self._to_dense[list(object_ids)] = np.arange(1, len(object_ids) + 1)

    def to_user(self, mask: Mask) -> Mask:
        """uint8 (H, W), 1..K → the user's ids."""
        return mask if self._same else self._to_user[mask]

    def confidence(
        self, mask: Mask, probabilities: Probabilities, agreement: tuple[Agreement, ...] | None
    ) -> dict[int, float]:
        """How sure a result is, by the user's ids; mask: uint8 (H, W), 1..K.

        See `witnessed_overlap`.
        """
        values = witnessed_overlap(probabilities, mask, agreement)
        return {int(self._to_user[at]): value for at, value in enumerate(values, start=1)}

    def soft(self, probabilities: Probabilities) -> dict[int, Soft]:
        """float32 (K+1, H, W), background first → by the user's ids: uint8 (H, W), 255 =
        certain.
        """
        objects = enumerate(probabilities[1:], start=1)
        return {
            int(self._to_user[at]): np.rint(np.clip(one, 0, 1) * 255).astype(np.uint8)
            for at, one in objects
        }

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
        return prefetched(frames, depth=2)

    def backward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """The same frames, from stop − 1 down."""
        frames = ((frame.index, frame.image) for frame in self._reader.frames_reversed(start, stop))
        return prefetched(frames, depth=2)

    def image(self, index: int) -> Image:
        """One frame."""
        return self._reader.frame(index).image


class _States:
    """What walks know, kept in the run's folder: every STATE_SECONDS, but with at most a twentieth
    of the time.
    """

    def __init__(self, run: SegmentRun, reporter: Reporter) -> None:
        self._run, self._reporter = run, reporter
        self._next, self._wait, self._complained = (
            clock.monotonic() + STATE_SECONDS,
            STATE_SECONDS,
            False,
        )

    def due(self) -> bool:
        """Whether a state is wanted now."""
        now = clock.monotonic()
        if now < self._next:
            return False
        self._next = now + self._wait
        return True

    def load(self, walk: WalkKey) -> Checkpoint | None:
        """The state of an earlier run of this work."""
        found = self._run.load_state(_walk_name(walk))
        return None if found is None else Checkpoint(walk, *found)

    def repeat(self, first: int, last: int) -> None:
        """Say what going on exactly costs."""
        first, last = (self._run.manifest.timeline.number(index) for index in (first, last))
        frames = f"frame {first} is" if first == last else f"frames {first} to {last} are"
        self._reporter.notify(
            f"{frames} computed again, but not written, so that the rest comes out as without the"
            " stop"
        )

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a state, or forget it.

        One that cannot be saved costs time after a stop, and nothing else.
        """
        began = clock.monotonic()
        try:
            self._run.save_state(
                _walk_name(checkpoint.walk), checkpoint.frame_index, checkpoint.state
            )
        except OutputError as error:
            if not self._complained:
                self._reporter.notify(
                    f"a run that is stopped will repeat more frames: {error.message}"
                )
            self._complained = True
        self._wait = max(self._wait, 20 * (clock.monotonic() - began))


def _walk_name(walk: WalkKey) -> str:
    return f"{'forward' if walk.step > 0 else 'backward'}{walk.origin:07d}"


class _Completed(Mapping[int, Mask]):
    """Masks of an earlier run, read from disk when the driver asks for one."""

    def __init__(self, run: SegmentRun, numbers: _Numbers) -> None:
        manifest = run.manifest
        self._frames = manifest.done_frames()
        self._first_number = manifest.timeline.first_number
        self._clip = run.clip
        self._numbers = numbers

    def __getitem__(self, frame_index: int) -> Mask:
        if frame_index not in self._frames:
            raise KeyError(frame_index)
        return self._numbers.to_dense(
            load_mask(self._clip.mask_path(self._first_number + frame_index))
        )

    def __iter__(self) -> Iterator[int]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)
