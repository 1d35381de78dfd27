"""Writes and verifies planned outputs.

However many there are, the clip is decoded once for all of them, and a matte that several show is
made once: a frame is decoded in one thread, turned into every file's picture in a second, and
encoded in the caller's. What of a picture depends on no other frame is begun for several frames at
once, in threads of their own. No file gets its name before the last frame is in all of them and it
is verified; one that fails is kept beside its path, under a name that says so.
"""

from __future__ import annotations

import time as clock
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from vfx_matte.backend import Array, frames_at_once, keep_freed_memory
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
from vfx_matte.pipeline.render.request import refuse_other_file
from vfx_matte.settings.options import RenderSettings
from vfx_matte.timeline import FrameTime
from vfx_matte.wording import command

# frames between two threads: two of 4K, four up to 1080p
_LEAST_AHEAD, _MOST_AHEAD, _PIXELS_AHEAD = 2, 4, 4 * 1920 * 1088


@dataclass(frozen=True, slots=True)
class RenderResult:
    """One finished output."""

    output: Path
    """The file, or the folder of numbered files."""

    encoding: str
    """How it was encoded, for people."""

    frame_count: int
    frames_without_mask: int
    """How many of these frames show nothing of the subject."""

    verified: VerifyReport
    seconds: float
    """How long the work took, for all outputs together."""


@dataclass(frozen=True, slots=True)
class FrameJob:
    """One frame on its way into the outputs."""

    index: int
    time: FrameTime
    mask: Mask | None
    """Ids, uint8 (H, W); None where the frame has no mask."""

    frame: Frame | None
    """The decoded frame; None where no output looks at pictures."""

    source_index: int
    """Index of the clip's own frame that is shown; the same as before while a frame is held."""

    @property
    def picture(self) -> Picture:
        """The frame as it was decoded.

        Raises:
            ValueError: no output that `decodes` was planned.
        """
        if self.frame is None:
            raise ValueError(f"frame {self.index} was not decoded")
        return self.frame.picture

    @property
    def image(self) -> Callable[[], Image] | None:
        """A function that gives the frame's colours, whatever its alpha: uint8 (H, W, 3)."""
        # a function, because the conversion takes milliseconds that edges of the mask do without
        return None if self.frame is None else partial(getattr, self.frame, "colors")

    @property
    def alpha(self) -> Array | None:
        """The frame's own alpha; None where it is opaque, or not decoded."""
        return None if self.frame is None else self.frame.alpha


Submit = Callable[..., Future[Any]]
"""Begins a function in a thread, as `Executor.submit` does."""


class FrameWatch(Protocol):
    """Looks at the frames of a render as they pass, so that none is decoded for it."""

    def begin(self, start: int, stop: int) -> None:
        """Hear which frames will pass, a half-open range of indices; none has yet."""

    def see(self, job: FrameJob) -> None:
        """Look at one frame of the range; they come in order."""

    def end(self) -> None:
        """Say what was seen; all frames have passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOutput:
    """One file, or one folder of numbered files, to be made."""

    path: Path
    plan: EncodePlan | None
    """How it is encoded; None = as PNG files in a folder, called as `names` says."""

    label: str
    """What it is, for people."""

    compose: Callable[[FrameJob], Picture]
    """Gives the picture that it shows; frames come in order."""

    decodes: bool = True
    """Whether `compose` looks at pictures of the clip."""

    moves: bool = False
    """Whether it may change while a frame is held; otherwise a held frame is composed once."""

    sound: bool = RenderSettings().sound
    """Whether it gets the clip's sound."""

    more_checks: Callable[[Path], Sequence[Check]] | None = None
    """Checks of a finished file beyond those of every output; raises MediaError as they do."""

    names: NumberedFiles = USUAL_NAMES
    check: Callable[[Path], None] = lambda _: None
    """Raises UsageError for a path where it would replace what it is made of."""

    memory: int = 0
    """How many frames before one its picture depends on."""

    precede: Callable[[FrameJob], None] = lambda _: None
    """Receives these frames, in order, before a part of the clip is composed."""

    begin: Callable[[FrameJob, Submit], None] | None = None
    """Begins in threads what of a picture depends on no other frame; called for a few frames before
    they are composed, in order. None: there is nothing of the kind.
    """

    watch: FrameWatch | None = None
    """Looks at the frames that the output is made of: whether the key suits."""

    @property
    def encoding(self) -> str:
        """How it is encoded, for people."""
        return "PNG files" if self.plan is None else self.plan.describe()


def write_outputs(
    clip: SegmentedClip,
    outputs: Sequence[PlannedOutput],
    reporter: Reporter,
    *,
    span: tuple[int, int] | None = None,
) -> list[RenderResult]:
    """Make files side by side, then verify each in the fast form.

    A failure leaves earlier files of these names as they are; a file that differs from what it
    should be is kept as NAME.failed-verification beside them.

    Args:
        clip: a segmented clip.
        outputs: what is made of it, in one pass.
        reporter: receives notices and progress.
        span: the half-open range of frames that is made; None is all of the clip.

    Returns:
        One result per output, in their order.

    Raises:
        UsageError: a file would replace one that was not made here.
        OutputError: a file cannot be written.
        MediaError: the clip cannot be decoded, or has changed since it was opened.
        VerifyError: a file differs from what it should be.
    """
    started = clock.monotonic()
    keep_freed_memory()
    start, stop = span or (0, len(clip.info.timeline))
    info, count = part_of(clip.info, start, stop, notify=reporter.notify), stop - start
    for output in outputs:
        refuse_other_file(clip, output.path)
    # a mask that is gone would come out as a frame without a subject
    clip.store.check_masks()
    for output in outputs:
        if output.watch is not None:
            output.watch.begin(start, stop)
    frames = compose_frames(clip, outputs, start, stop)
    finished, empty = _produce(info, frames, outputs, clip.check_unchanged, reporter)
    # the manifest learns of an output only when all of them have their names
    for output, (_, tracks) in zip(outputs, finished, strict=True):
        facts: dict[str, str | bool] = {"encoding": output.encoding}
        if info.part is not None:
            facts["frames"] = info.part.note
        if output.plan is not None:
            facts["sound"] = bool(tracks)
        clip.record(output.path, output.label, facts, reporter)
    notify_empty(empty, count, reporter)
    seconds = clock.monotonic() - started
    return [
        RenderResult(output.path, output.encoding, count, empty, report, seconds)
        for output, (report, _) in zip(outputs, finished, strict=True)
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

    Raises:
        OutputError: the file cannot be written.
        MediaError: the clip cannot be decoded, or has changed since it was opened.
        VerifyError: the file differs from what it should be.
    """
    started, info = clock.monotonic(), reader.info
    output = PlannedOutput(
        path=path, plan=plan, label="source", compose=_opaque, sound=sound, more_checks=more_checks
    )
    jobs = (
        FrameJob(frame.index, frame.time, None, frame, frame.index) for frame in reader.frames()
    )
    ((report, _),), _ = _produce(
        info, _pictures(jobs, [output]), [output], reader.check_unchanged, reporter
    )
    return RenderResult(
        path, output.encoding, len(info.timeline), 0, report, clock.monotonic() - started
    )


def frame_jobs(
    clip: SegmentedClip, *, decode: bool, start: int = 0, stop: int | None = None
) -> Generator[FrameJob, None, None]:
    """Frames [start, stop) of a clip; their pictures only when they are decoded, in a thread of
    their own.
    """
    stop = len(clip.info.timeline) if stop is None else stop
    # masks alone need the container's times and no picture: a mask video takes seconds then
    if not decode:
        for index in range(start, stop):
            yield FrameJob(
                index, clip.info.timeline[index], clip.mask(index), None, clip.shows(index)
            )
        return
    frames_ahead = _frames_ahead(clip.info)
    with closing(prefetched(clip.reader.frames(start, stop), depth=frames_ahead)) as frames:
        for frame in frames:
            yield FrameJob(
                frame.index, frame.time, clip.mask(frame.index), frame, clip.shows(frame.index)
            )


Composed = tuple[list[Picture], FrameTime, bool]
"""The picture of every output, the frame's time, and whether it has a mask."""


def compose_frames(
    clip: SegmentedClip, outputs: Sequence[PlannedOutput], start: int, stop: int
) -> Generator[Composed, None, None]:
    """What the outputs show of frames [start, stop), to the bit as when all of the clip is made."""
    if stop - start == 1:
        # of one frame the parts share the cores
        outputs = [replace(output, begin=None) for output in outputs]
    first = first_needed(clip, start, memory=max(output.memory for output in outputs))
    jobs = frame_jobs(
        clip, decode=any(output.decodes for output in outputs), start=first, stop=stop
    )
    with closing(jobs):
        # the range comes first in zip: the other way round one frame too many would be taken
        for _, job in zip(range(first, start), jobs, strict=False):
            for output in outputs:
                output.precede(job)
        yield from _pictures(_watched(jobs, outputs), outputs)


def _watched(
    jobs: Generator[FrameJob, None, None], outputs: Sequence[PlannedOutput]
) -> Generator[FrameJob, None, None]:
    """The same jobs, each looked at by those outputs that want to."""
    watches = [output.watch for output in outputs if output.watch is not None]
    for job in jobs:
        for watch in watches:
            watch.see(job)
        yield job
    for watch in watches:
        watch.end()


def first_needed(clip: SegmentedClip, start: int, *, memory: int) -> int:
    """Index of the frame from which mattes are made so that that of `start` is as in the whole.

    Args:
        clip: a segmented clip.
        start: index of the first frame that is shown.
        memory: how many frames before it its matte depends on; a frame without a mask ends them,
            as stabilizing begins anew after it.
    """
    # listing the masks reads the folder, which is not needed where nothing is remembered
    known, first = set(clip.mask_frames) if memory else set[int](), start
    while first > max(0, start - memory) and first - 1 in known:
        first -= 1
    return first


def keep_verified(
    written: AtomicFile | AtomicFolder, verify: Callable[[], VerifyReport]
) -> VerifyReport:
    """Give a finished output its name when nothing differs.

    Args:
        written: the output under its temporary name.
        verify: compares it with what was asked for.

    Returns:
        The report of `verify`, with the output's final path.

    Raises:
        VerifyError: the output differs, or cannot be read back; it then lies beside its path, under
            a name that says that it failed.
        OutputError: the output cannot be renamed.
    """
    # a file that cannot be read back is as wrong as one that differs
    try:
        report = replace(verify(), output=written.final)
        problem = "" if report.ok else f"differs from its source: {report.first_difference}"
    except MediaError as error:
        # people know the final name, never the temporary one
        problem = "cannot be read back: " + error.message.replace(
            str(written.part), str(written.final)
        )
    if problem:
        raise VerifyError(
            f"{written.final.name} {problem}",
            hint=f"it is kept as {str(written.keep_failed())!r}, and no earlier file was replaced;"
            f" please report this with the output of {command('probe')}",
        )
    written.keep()
    return report


def notify_empty(empty: int, count: int, reporter: Reporter) -> None:
    """Notify how many frames have no mask, where some have none."""
    if empty:
        reporter.notify(f"{empty} of {count} frames have no mask and show nothing of the subject")


def _produce(
    info: ClipInfo,
    frames: Generator[Composed, None, None],
    outputs: Sequence[PlannedOutput],
    check_unchanged: Callable[[], None],
    reporter: Reporter,
) -> tuple[list[tuple[VerifyReport, list[SoundTrack]]], int]:
    """Write, verify and name every output.

    Returns:
        The report and the sound of each, and the number of frames that had no mask.
    """
    with ExitStack() as stack:
        # a temporary file or folder for every output, before the first frame is decoded: a path
        # that cannot be written is an error at once
        temporary: list[AtomicFile | AtomicFolder] = []
        for output in outputs:
            temporary.append(_temporary(output))
            stack.enter_context(temporary[-1])
            stack.enter_context(temporary[-1].naming_final())
        moved = [
            replace(output, path=file.part) for output, file in zip(outputs, temporary, strict=True)
        ]
        tracks, empty = _write(info, frames, moved, reporter)
        # a clip that was replaced meanwhile would give files of two clips
        check_unchanged()
        # all are verified even when one fails, so that the good ones are kept
        reports, failures = [], list[VfxMatteError]()
        for output, file, sound in zip(moved, temporary, tracks, strict=True):
            try:
                reports.append(keep_verified(file, partial(_verify, info, output, sound, reporter)))
            except VfxMatteError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return list(zip(reports, tracks, strict=True)), empty


def _temporary(output: PlannedOutput) -> AtomicFile | AtomicFolder:
    return (
        AtomicFile(output.path)
        if output.plan is not None
        # a folder that holds anybody else's files is not replaced
        else AtomicFolder(output.path, foreign_file=foreign_file)
    )


def _write(
    info: ClipInfo,
    frames: Generator[Composed, None, None],
    outputs: Sequence[PlannedOutput],
    reporter: Reporter,
) -> tuple[list[list[SoundTrack]], int]:
    """Write every frame into every output.

    Returns:
        The sound of each, and the number of frames that had no mask.
    """
    writers: list[VideoWriter | StillsWriter] = []
    label, empty = ", ".join(dict.fromkeys(output.label for output in outputs)), 0
    with ExitStack() as stack:
        # entered first, so closed last: the thread that composes outlives every writer
        composed = stack.enter_context(closing(prefetched(frames, depth=_frames_ahead(info))))
        for output in outputs:
            writers.append(_writer(info, output, reporter))
            stack.enter_context(writers[-1])
        step = stack.enter_context(reporter.progress(label, len(info.timeline)))
        # the queue between the threads is bounded: a few frames are in memory however long the clip
        for pictures, time, has_mask in composed:
            for writer, picture in zip(writers, pictures, strict=True):
                writer.write(picture, time)
            empty += not has_mask
            step()
    return [writer.tracks for writer in writers], empty


def _frames_ahead(info: ClipInfo) -> int:
    """How many frames wait between two threads at most: large ones take longer to make than threads
    take to change over, and a tenth of a 4K render's memory would lie in wait.
    """
    return max(_LEAST_AHEAD, min(_MOST_AHEAD, _PIXELS_AHEAD // (info.width * info.height)))


def _pictures(
    jobs: Generator[FrameJob, None, None], outputs: Sequence[PlannedOutput]
) -> Generator[Composed, None, None]:
    pictures: list[Picture] = []
    last: int | None = None
    with closing(_begun(jobs, outputs)) as begun:
        for job in begun:
            # while a frame is held, only a background that moves changes what is shown: a screen
            # recording that stands still for minutes is composed once
            kept = pictures if job.source_index == last else [None] * len(outputs)
            pictures = [
                output.compose(job) if picture is None or output.moves else picture
                for output, picture in zip(outputs, kept, strict=True)
            ]
            last = job.source_index
            yield pictures, job.time, job.mask is not None


def _begun(
    jobs: Generator[FrameJob, None, None], outputs: Sequence[PlannedOutput]
) -> Generator[FrameJob, None, None]:
    """The same jobs; when one comes out, work for the next few has begun in threads."""
    begins = [output.begin for output in outputs if output.begin is not None]
    with ExitStack() as stack:
        stack.enter_context(closing(jobs))
        threads = stack.enter_context(frames_at_once()) if begins else 1
        if threads == 1:
            yield from jobs
            return
        pool = ThreadPoolExecutor(threads, thread_name_prefix="vfx-matte ahead")
        # after an error too: nothing may go on computing behind the back of whoever handles it
        stack.callback(pool.shutdown, cancel_futures=True)
        waiting: deque[FrameJob] = deque()
        for job in jobs:
            for begin in begins:
                begin(job, pool.submit)
            waiting.append(job)
            if len(waiting) > threads:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()


def _opaque(job: FrameJob) -> Picture:
    """The frame as it was decoded, black where its own alpha hides it: nothing of that alpha gets
    into the file.
    """
    return over_black(job.picture, job.alpha)


def _writer(
    info: ClipInfo, output: PlannedOutput, reporter: Reporter
) -> VideoWriter | StillsWriter:
    # numbered files hold neither times nor sound; of a part, each says which frames it belongs to
    if output.plan is None:
        return StillsWriter(output.path, output.names, part=info.part)
    return VideoWriter(
        output.path, output.plan, source=info, sound=output.sound, notify=reporter.notify
    )


def _verify(
    info: ClipInfo, output: PlannedOutput, tracks: list[SoundTrack], reporter: Reporter
) -> VerifyReport:
    """Compare a finished file with what was asked for.

    Raises:
        MediaError: it cannot be read.
    """
    if output.plan is None:
        report = verify_stills(output.path, len(info.timeline), output.names)
    else:
        # the tags that were planned: a gray clip becomes Y'CbCr under a coloured key, for example
        expected = replace(
            expectation_of(info, tracks=tracks), color=output.plan.color, keeps_range=True
        )
        # reads packets only: decoding every picture once more would take as long as the render
        report = verify_output(output.path, expected, thorough=False, notify=reporter.notify)
    if not report.ok or output.more_checks is None:
        return report
    return replace(report, checks=(*report.checks, *output.more_checks(output.path)))
