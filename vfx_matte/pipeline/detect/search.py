"""Shows a detector some frames of a clip, and joins what it finds to tracks."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

from vfx_matte.blas_threads import one_blas_thread
from vfx_matte.detect.base import Detection, Detector, Region
from vfx_matte.detect.tracks import Track, Tracker
from vfx_matte.errors import StoppedError
from vfx_matte.masks import Image
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.detect.carrier import Carrier
from vfx_matte.pipeline.detect.looks import Look, LookLog
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions

LOW_CONFIDENCE = 0.5
"""Where an object is carried with less, the detector looks again.

The expected overlap; of carried true masks of the development sequences a tenth were below after a
second, and these overlapped the truth by 0.4 on average.
"""

# it does not look again sooner than after this share of the frames between two looks
_SOONEST_SHARE = 3


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found."""

    tracks: list[Track]
    looked_at: dict[int, list[int]]
    """Shot → the frames that the detector looked at."""
    passed_over: int
    """How many detections more than count there were on the fullest picture."""


def keyframes(shot: range, every: int) -> list[int]:
    """The frames of a shot that a detector looks at in any case: its first, every N-th from there,
    and its last where that is far from the one before.
    """
    frames = list(shot[::every])
    if shot[-1] - frames[-1] > every // 2:
        frames.append(shot[-1])
    return frames


def search(
    clip: SourceClip,
    detector: Detector,
    shots: list[range],
    *,
    every: int,
    threshold: float,
    most: int,
    propagator: PropagatorOptions,
    log: LookLog,
    reporter: Reporter,
) -> Search:
    """Look for objects in some shots of a clip, in one pass.

    Between two looks masks are carried by the propagator; a look is added where it is not sure.
    Every look begins anew, so that a search that was stopped goes on from its last one.

    Args:
        clip: the clip.
        detector: what finds objects in pictures.
        shots: ranges of frame indices, one after another.
        every: how many frames lie between two looks.
        threshold: detections with a lower score do not count.
        most: so many detections of a picture count, the surest.
        propagator: decided.
        log: what is known of the search from before, and gets every look.
        reporter: receives notices and progress.

    Raises:
        MediaError: the clip cannot be read, or as OutputError a look not kept.
        StoppedError: the reporter asked to stop.
        VfxMatteError: the detector or the propagator cannot run.
    """
    tracker = Tracker(has_classes=len(detector.classes) > 1)
    carrier = Carrier(
        clip.info.shape,
        lambda count, size: propagator.open(num_objects=count, notify=lambda _: None, size=size),
    )
    first, stop = shots[0].start, shots[-1].stop
    begins = {shot.start for shot in shots}
    planned = {frame for shot in shots for frame in keyframes(shot, every)}
    looked_at: dict[int, list[int]] = {}
    passed_over = 0

    def take(look: Look) -> Mapping[int, Region]:
        """What is to be carried on from a look."""
        nonlocal passed_over
        # every shot begins with a look
        if look.frame in begins:
            tracker.begin_shot()
            looked_at[len(looked_at)] = []
        looked_at[len(looked_at) - 1].append(look.frame)
        passed_over = max(passed_over, look.passed_over)
        pairs = [(one, carrier.small(one.mask)) for one in look.found]
        return tracker.observe(look.frame, pairs, look.carried)

    # 1. what is known from before
    known: Mapping[int, Region] = {}
    last_look, opened = first - 1, None
    for look in log.earlier():
        known, last_look, opened = take(look), look.frame, look.opened
    if looked_at:
        count = sum(map(len, looked_at.values()))
        reporter.notify(f"what was seen before in {count} frames, with these settings, is taken up")
    if log.is_finished:
        return Search(tracker.tracks, looked_at, passed_over)
    # 2. the rest of the clip, from the last look on, whose picture is where carrying begins again
    soonest, begin = max(1, every // _SOONEST_SHARE), max(last_look, first)
    with (
        closing(_images(clip, begin, stop)) as images,
        reporter.progress("look for objects", stop - begin) as step,
        # as in a run of segment: with several threads BLAS rounds by how many there are
        one_blas_thread(),
    ):
        for index, image in images:
            if reporter.stops():
                raise StoppedError("stopped while looking for objects")
            if index == last_look:
                carrier.reopen(opened)
                carrier.start(image, known)
                step()
                continue
            if index in begins:
                carrier.forget()
            else:
                carrier.step(image)
            is_unsure = carrier.confidence < LOW_CONFIDENCE and index - last_look >= soonest
            if index in planned or is_unsure:
                found = _sure_ones(detector.detect(image), threshold)
                look = Look(index, found[:most], max(0, len(found) - most), carrier.regions, None)
                carrier.start(image, take(look))
                log.add(replace(look, opened=carrier.opened))
                last_look = index
            step()
    log.finish()
    return Search(tracker.tracks, looked_at, passed_over)


def _sure_ones(found: list[Detection], threshold: float) -> list[Detection]:
    # plain numbers, as they are after they were kept: means of 32 bits would differ
    return [
        replace(one, score=float(one.score))
        for one in found
        if one.score >= threshold and one.mask.any()
    ]


def _images(clip: SourceClip, first: int, stop: int) -> Generator[tuple[int, Image], None, None]:
    frames = ((frame.index, frame.image) for frame in clip.reader.frames(first, stop))
    return prefetched(frames, depth=2)
