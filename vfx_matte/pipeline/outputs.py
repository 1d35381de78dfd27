"""Planned outputs to finished files. Takes a segmented clip and what every file shows, gives verified files.

However many there are, the clip is decoded once for all of them, and so is a matte that several show made once: a frame is
decoded in one thread, turned into every file's picture in a second, and encoded in the caller's. No file gets its name
before the last frame is in all of them.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vfx_matte.errors import VerifyError
from vfx_matte.masks import Image, Mask
from vfx_matte.media.formats import EncodePlan
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.read import ClipReader, Frame
from vfx_matte.media.stills import StillsWriter
from vfx_matte.media.verify import VerifyReport, expectation_of, verify_output, verify_stills
from vfx_matte.media.write import VideoWriter
from vfx_matte.picture import Picture
from vfx_matte.pipeline.overlap import ahead
from vfx_matte.pipeline.project import SegmentedClip
from vfx_matte.pipeline.report import Reporter
from vfx_matte.timeline import FrameTime


@dataclass(frozen=True, slots=True)
class RenderResult:
    """One finished output. encoding: how it was encoded, for people; seconds: how long the work took, all outputs together."""

    output: Path
    encoding: str
    frame_count: int
    frames_without_mask: int
    verified: VerifyReport
    seconds: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame on its way into the outputs. mask: None where it has none; frame: None where no output looks at pictures."""

    index: int
    time: FrameTime
    mask: Mask | None
    frame: Frame | None

    @property
    def picture(self) -> Picture:
        """The frame as it was decoded. Raises ValueError when no output that `decodes` was planned."""
        if self.frame is None:
            raise ValueError(f"frame {self.index} was not decoded")
        return self.frame.picture

    @property
    def image(self) -> Callable[[], Image] | None:
        """What gives the frame as uint8 (H, W, 3)."""
        return None if self.frame is None else partial(getattr, self.frame, "image")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOutput:
    """One file to be made.

    plan: how it is encoded, None = as PNG files in a folder. label: what it is, for people. compose: gives the picture that it
    shows, frames in order. decodes: whether `compose` looks at pictures of the clip. sound: whether it gets the clip's.
    """

    path: Path
    plan: EncodePlan | None
    label: str
    compose: Callable[[Shot], Picture]
    decodes: bool = True
    sound: bool = True

    @property
    def encoding(self) -> str:
        """For people."""
        return "PNG files" if self.plan is None else self.plan.describe()


def write_outputs(clip: SegmentedClip, outputs: Sequence[PlannedOutput], reporter: Reporter) -> list[RenderResult]:
    """Make files side by side, then verify each in the fast form. Raises OutputError, MediaError or VerifyError.

    A failure while frames are written leaves earlier files of these names as they are.
    """
    started, count = clock.monotonic(), len(clip.info.timeline)
    every = shots(clip, decode=any(one.decodes for one in outputs))
    writers, empty = _written(clip.info, every, outputs, reporter)
    verified = []
    for one, writer in zip(outputs, writers, strict=True):
        verified.append(_verified(clip.info, one, writer, reporter))
        facts: dict[str, str | bool] = {"encoding": one.encoding}
        if isinstance(writer, VideoWriter):
            facts["sound"] = bool(writer.tracks)
        clip.record(one.path, one.label, facts)
    notify_empty(empty, count, reporter)
    seconds = clock.monotonic() - started
    return [
        RenderResult(one.path, one.encoding, count, empty, report, seconds)
        for one, report in zip(outputs, verified, strict=True)
    ]


def write_source(reader: ClipReader, path: Path, plan: EncodePlan, *, sound: bool, reporter: Reporter) -> RenderResult:
    """Encode a clip as it is, which needs no masks, and verify it. Raises OutputError, MediaError or VerifyError."""
    started, info = clock.monotonic(), reader.info
    output = PlannedOutput(path=path, plan=plan, label="source", compose=lambda shot: shot.picture, sound=sound)
    every = (Shot(frame.index, frame.time, None, frame) for frame in reader.frames())
    (writer,), _ = _written(info, every, [output], reporter)
    report = _verified(info, output, writer, reporter)
    return RenderResult(path, output.encoding, len(info.timeline), 0, report, clock.monotonic() - started)


def shots(clip: SegmentedClip, *, decode: bool) -> Generator[Shot, None, None]:
    """Every frame of a clip; its pictures only when they are decoded, in a thread of their own."""
    if not decode:
        for index, time in enumerate(clip.info.timeline):
            yield Shot(index, time, clip.mask(index), None)
        return
    with closing(ahead(clip.reader.frames())) as frames:
        for frame in frames:
            yield Shot(frame.index, frame.time, clip.mask(frame.index), frame)


def passed(report: VerifyReport) -> VerifyReport:
    """The report, when nothing differs. Raises VerifyError otherwise."""
    if not report.ok:
        raise VerifyError(
            f"{report.output.name} differs from its source: {report.first_difference}",
            hint="it is kept for inspection; please report this with the output of `vfx-matte probe`",
        )
    return report


def notify_empty(empty: int, count: int, reporter: Reporter) -> None:
    """Say that frames have no mask, when some have none."""
    if empty:
        reporter.notify(f"{empty} of {count} frames have no mask and show nothing of the subject")


def _written(
    info: ClipInfo, every: Generator[Shot, None, None], outputs: Sequence[PlannedOutput], reporter: Reporter
) -> tuple[list[VideoWriter | StillsWriter], int]:
    """Write every frame into every output. The writers, finished, and the number of frames that had no mask."""
    writers: list[VideoWriter | StillsWriter] = []
    label, empty = ", ".join(dict.fromkeys(one.label for one in outputs)), 0
    with ExitStack() as stack:
        made = stack.enter_context(closing(ahead(_composed(every, outputs))))
        for one in outputs:
            writers.append(_writer(info, one, reporter))
            stack.enter_context(writers[-1])
        step = stack.enter_context(reporter.progress(label, len(info.timeline)))
        for pictures, time, has_mask in made:
            for writer, picture in zip(writers, pictures, strict=True):
                writer.write(picture, time)
            empty += not has_mask
            step()
    return writers, empty


def _composed(
    every: Generator[Shot, None, None], outputs: Sequence[PlannedOutput]
) -> Iterator[tuple[list[Picture], FrameTime, bool]]:
    with closing(every):
        for shot in every:
            yield [one.compose(shot) for one in outputs], shot.time, shot.mask is not None


def _writer(info: ClipInfo, output: PlannedOutput, reporter: Reporter) -> VideoWriter | StillsWriter:
    if output.plan is None:
        return StillsWriter(output.path, notify=reporter.notify)
    return VideoWriter(output.path, output.plan, source=info, sound=output.sound, notify=reporter.notify)


def _verified(info: ClipInfo, output: PlannedOutput, writer: VideoWriter | StillsWriter, reporter: Reporter) -> VerifyReport:
    """Compare a finished file with what was asked for."""
    if output.plan is None or isinstance(writer, StillsWriter):
        return passed(verify_stills(output.path, len(info.timeline)))
    expected = replace(expectation_of(info, tracks=writer.tracks), color=output.plan.color)
    return passed(verify_output(output.path, expected, thorough=False, notify=reporter.notify))
