"""Planned outputs to finished files.

Takes a segmented clip and what every file shows, gives verified files.

However many there are, the clip is decoded once for all of them, and so is a matte that several
show made once: a frame is decoded in one thread, turned into every file's picture in a second, and
encoded in the caller's. No file gets its name before the last frame is in all of them and it is
verified; one that fails is kept beside its place, under a name that says so.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vfx_matte.backend import Array
from vfx_matte.composite.mix import over_black
from vfx_matte.errors import MediaError, VerifyError, VfxMatteError
from vfx_matte.files.atomic import AtomicFile, AtomicFolder
from vfx_matte.masks import Image, Mask
from vfx_matte.media.encode_plan import EncodePlan
from vfx_matte.media.frames import ClipReader, Frame
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.readers.part import part_of
from vfx_matte.media.sound.tracks import SoundTrack
from vfx_matte.media.verify import Check, VerifyReport, expectation_of, verify_output, verify_stills
from vfx_matte.media.writers.numbered_files import USUAL_NAMES, NumberedFiles
from vfx_matte.media.writers.stills import StillsWriter, foreign_file
from vfx_matte.media.writers.video import VideoWriter
from vfx_matte.picture import Picture
from vfx_matte.pipeline.clip import SegmentedClip
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.timeline import FrameTime


@dataclass(frozen=True, slots=True)
class RenderResult:
    """One finished output.

    encoding: how it was encoded, for people; seconds: how long the work took, all outputs together.
    """

    output: Path
    encoding: str
    frame_count: int
    frames_without_mask: int
    verified: VerifyReport
    seconds: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame on its way into the outputs.

    mask: None where it has none; frame: None where no output looks at pictures.

    shows: number of the clip's own frame that is seen; the same as before while a frame is held.
    """

    index: int
    time: FrameTime
    mask: Mask | None
    frame: Frame | None
    shows: int

    @property
    def picture(self) -> Picture:
        """The frame as it was decoded.

        Raises ValueError when no output that `decodes` was planned.
        """
        if self.frame is None:
            raise ValueError(f"frame {self.index} was not decoded")
        return self.frame.picture

    @property
    def image(self) -> Callable[[], Image] | None:
        """What gives the frame's colours, without regard to its alpha, as uint8 (H, W, 3)."""
        return None if self.frame is None else partial(getattr, self.frame, "colors")

    @property
    def alpha(self) -> Array | None:
        """The frame's own alpha; None where it is opaque, or not decoded."""
        return None if self.frame is None else self.frame.alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOutput:
    """One file to be made.

    plan: how it is encoded, None = as PNG files in a folder, called as `names` says. label: what it
    is, for people.
    compose: gives the picture that it shows, frames in order. decodes: whether `compose` looks at
    pictures of the clip.
    sound: whether it gets the clip's.
    moves: whether it may change while a frame of the clip is held; otherwise a held frame is
    composed once.
    more_checks: of a finished file, beyond what is verified of every output; it raises MediaError
    as that does.
    check: raises UsageError for a place where it would replace what it is made of.
    memory: how many frames before one it depends on; `precede` is told these before a part of the
    clip is composed.
    """

    path: Path
    plan: EncodePlan | None
    label: str
    compose: Callable[[Shot], Picture]
    decodes: bool = True
    moves: bool = False
    sound: bool = True
    more_checks: Callable[[Path], Sequence[Check]] | None = None
    names: NumberedFiles = USUAL_NAMES
    check: Callable[[Path], None] = lambda _: None
    memory: int = 0
    precede: Callable[[Shot], None] = lambda _: None

    @property
    def encoding(self) -> str:
        """For people."""
        return "PNG files" if self.plan is None else self.plan.describe()


def write_outputs(
    clip: SegmentedClip,
    outputs: Sequence[PlannedOutput],
    reporter: Reporter,
    *,
    span: tuple[int, int] | None = None,
) -> list[RenderResult]:
    """Make files side by side, then verify each in the fast form.

    Raises OutputError, MediaError or VerifyError.

    span: the half-open range of frames that is made, None = all. A failure leaves earlier files of
    these names as they are; a file that differs from what it should be is kept as
    NAME.failed-verification beside them.
    """
    started = clock.monotonic()
    start, stop = span or (0, len(clip.info.timeline))
    info, count = part_of(clip.info, start, stop, notify=reporter.notify), stop - start
    clip.store.check_masks()
    every = composed(clip, outputs, start, stop)
    made, empty = _made(info, every, outputs, clip.check_unchanged, reporter)
    for one, (_, tracks) in zip(outputs, made, strict=True):
        facts: dict[str, str | bool] = {"encoding": one.encoding}
        if info.part is not None:
            facts["frames"] = info.part.note
        if one.plan is not None:
            facts["sound"] = bool(tracks)
        clip.record(one.path, one.label, facts, reporter)
    notify_empty(empty, count, reporter)
    seconds = clock.monotonic() - started
    return [
        RenderResult(one.path, one.encoding, count, empty, report, seconds)
        for one, (report, _) in zip(outputs, made, strict=True)
    ]


def write_source(
    reader: ClipReader,
    path: Path,
    plan: EncodePlan,
    *,
    sound: bool,
    more_checks: Callable[[Path], Sequence[Check]] | None = None,
    reporter: Reporter,
) -> RenderResult:
    """Encode a clip as it is, which needs no masks, and verify it.

    Raises OutputError, MediaError or VerifyError.
    """
    started, info = clock.monotonic(), reader.info
    output = PlannedOutput(
        path=path, plan=plan, label="source", compose=_opaque, sound=sound, more_checks=more_checks
    )
    every = (Shot(frame.index, frame.time, None, frame, frame.index) for frame in reader.frames())
    ((report, _),), _ = _made(
        info, _composed(every, [output]), [output], reader.check_unchanged, reporter
    )
    return RenderResult(
        path, output.encoding, len(info.timeline), 0, report, clock.monotonic() - started
    )


def shots(
    clip: SegmentedClip, *, decode: bool, start: int = 0, stop: int | None = None
) -> Generator[Shot, None, None]:
    """Frames [start, stop) of a clip; their pictures only when they are decoded, in a thread of
    their own.
    """
    stop = len(clip.info.timeline) if stop is None else stop
    if not decode:
        for index in range(start, stop):
            yield Shot(index, clip.info.timeline[index], clip.mask(index), None, clip.shows(index))
        return
    with closing(prefetched(clip.reader.frames(start, stop))) as frames:
        for frame in frames:
            yield Shot(
                frame.index, frame.time, clip.mask(frame.index), frame, clip.shows(frame.index)
            )


Composed = tuple[list[Picture], FrameTime, bool]
"""The picture of every output, the frame's time, and whether it has a mask."""


def composed(
    clip: SegmentedClip, outputs: Sequence[PlannedOutput], start: int, stop: int
) -> Generator[Composed, None, None]:
    """What the outputs show of frames [start, stop), to the bit as when all of the clip is made."""
    first = earliest(clip, start, memory=max(one.memory for one in outputs))
    every = shots(clip, decode=any(one.decodes for one in outputs), start=first, stop=stop)
    with closing(every):
        for _, shot in zip(range(first, start), every, strict=False):
            for one in outputs:
                one.precede(shot)
        yield from _composed(every, outputs)


def earliest(clip: SegmentedClip, start: int, *, memory: int) -> int:
    """The frame from which mattes are made for that of `start` to be as in the whole; one without a
    mask ends it.
    """
    known, first = set(clip.mask_frames) if memory else set[int](), start
    while first > max(0, start - memory) and first - 1 in known:
        first -= 1
    return first


def keep_verified(
    place: AtomicFile | AtomicFolder, verify: Callable[[], VerifyReport]
) -> VerifyReport:
    """Give a finished output its name when nothing differs; its report.

    Raises VerifyError otherwise, and OutputError.

    The output then lies beside its place, under a name that says that it failed.
    """
    try:
        report = replace(verify(), output=place.final)
        problem = "" if report.ok else f"differs from its source: {report.first_difference}"
    except MediaError as error:
        problem = f"cannot be read back: {error.message.replace(str(place.part), str(place.final))}"
    if problem:
        raise VerifyError(
            f"{place.final.name} {problem}",
            hint=f"it is kept as {str(place.keep_failed())!r}, and no earlier file was replaced;"
            " please report this with the output of `vfx-matte probe`",
        )
    place.keep()
    return report


def notify_empty(empty: int, count: int, reporter: Reporter) -> None:
    """Say that frames have no mask, when some have none."""
    if empty:
        reporter.notify(f"{empty} of {count} frames have no mask and show nothing of the subject")


def _made(
    info: ClipInfo,
    every: Generator[Composed, None, None],
    outputs: Sequence[PlannedOutput],
    check_unchanged: Callable[[], None],
    reporter: Reporter,
) -> tuple[list[tuple[VerifyReport, list[SoundTrack]]], int]:
    """Write, verify and name every output.

    The report and the sound of each, and the number of frames that had no mask.
    """
    with ExitStack() as held:
        places: list[AtomicFile | AtomicFolder] = []
        for one in outputs:
            places.append(_place(one))
            held.enter_context(places[-1])
            held.enter_context(places[-1].naming_final())
        made = [replace(one, path=place.part) for one, place in zip(outputs, places, strict=True)]
        tracks, empty = _written(info, every, made, reporter)
        check_unchanged()
        reports, failures = [], list[VfxMatteError]()
        for one, place, sound in zip(made, places, tracks, strict=True):
            try:
                reports.append(keep_verified(place, partial(_verified, info, one, sound, reporter)))
            except VfxMatteError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return list(zip(reports, tracks, strict=True)), empty


def _place(output: PlannedOutput) -> AtomicFile | AtomicFolder:
    return (
        AtomicFile(output.path)
        if output.plan is not None
        else AtomicFolder(output.path, foreign_file=foreign_file)
    )


def _written(
    info: ClipInfo,
    every: Generator[Composed, None, None],
    outputs: Sequence[PlannedOutput],
    reporter: Reporter,
) -> tuple[list[list[SoundTrack]], int]:
    """Write every frame into every output.

    The sound of each, and the number of frames that had no mask.
    """
    writers: list[VideoWriter | StillsWriter] = []
    label, empty = ", ".join(dict.fromkeys(one.label for one in outputs)), 0
    with ExitStack() as stack:
        made = stack.enter_context(closing(prefetched(every)))
        for one in outputs:
            writers.append(_writer(info, one, reporter))
            stack.enter_context(writers[-1])
        step = stack.enter_context(reporter.progress(label, len(info.timeline)))
        for pictures, time, has_mask in made:
            for writer, picture in zip(writers, pictures, strict=True):
                writer.write(picture, time)
            empty += not has_mask
            step()
    return [writer.tracks for writer in writers], empty


def _composed(
    every: Generator[Shot, None, None], outputs: Sequence[PlannedOutput]
) -> Generator[Composed, None, None]:
    pictures: list[Picture] = []
    held: int | None = None
    with closing(every):
        for shot in every:
            still = pictures if shot.shows == held else [None] * len(outputs)
            pictures = [
                one.compose(shot) if picture is None or one.moves else picture
                for one, picture in zip(outputs, still, strict=True)
            ]
            held = shot.shows
            yield pictures, shot.time, shot.mask is not None


def _opaque(shot: Shot) -> Picture:
    """The frame as it was decoded, black where its own alpha hides it: nothing of that alpha gets
    into the file.
    """
    return over_black(shot.picture, shot.alpha)


def _writer(
    info: ClipInfo, output: PlannedOutput, reporter: Reporter
) -> VideoWriter | StillsWriter:
    if output.plan is None:
        return StillsWriter(output.path, output.names, part=info.part)
    return VideoWriter(
        output.path, output.plan, source=info, sound=output.sound, notify=reporter.notify
    )


def _verified(
    info: ClipInfo, output: PlannedOutput, tracks: list[SoundTrack], reporter: Reporter
) -> VerifyReport:
    """Compare a finished file with what was asked for. Raises MediaError when it cannot be read."""
    if output.plan is None:
        report = verify_stills(output.path, len(info.timeline), output.names)
    else:
        expected = replace(
            expectation_of(info, tracks=tracks), color=output.plan.color, keeps_range=True
        )
        report = verify_output(output.path, expected, thorough=False, notify=reporter.notify)
    if not report.ok or output.more_checks is None:
        return report
    return replace(report, checks=(*report.checks, *output.more_checks(output.path)))
