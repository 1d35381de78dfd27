"""Checks the masks of a segmented clip: what stands out, and what to fix next.

The clip is decoded once; of each frame only numbers are kept, a dozen for each object. Then the
pictures of the worst frames are fetched. How a frame is judged says `measure.judge`, what is
measured `measure.meter`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from vfx_matte.errors import UsageError
from vfx_matte.masks import Image, Mask
from vfx_matte.measure.judge import (
    Finding,
    Spot,
    find_gone,
    findings,
    judge_object,
    merged,
    spots,
)
from vfx_matte.measure.measures import Bools
from vfx_matte.measure.meter import Meter, ObjectMeasures
from vfx_matte.measure.registry import advise, describe
from vfx_matte.measure.series import hardly_there, passing_the_border
from vfx_matte.media.frames import Frame
from vfx_matte.pipeline.clip import SegmentedClip, refuse_to_replace
from vfx_matte.pipeline.confidence import (
    LOW_CONFIDENCE,
    path_confidence,
    severity,
    uncertain_stretches,
)
from vfx_matte.pipeline.next_steps import (
    clock,
    correct_command,
    frame_at,
    frame_command,
    mask_name,
    segment_command,
    since_start,
    waiting_masks,
)
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.review.findings import FixNext, FrameMeasures, Limits, Problem, QcResult
from vfx_matte.pipeline.review.report import save_csv, save_report
from vfx_matte.pipeline.segment.cuts import frames_left_empty, shots_without_mask
from vfx_matte.pipeline.segment.cuts import shots as split_shots
from vfx_matte.shots import ShotDetector
from vfx_matte.wording import option
from vfx_matte.workspace import UNKNOWN, Soft

_CROSSING_SEVERITY = 5.0
"""An object that runs over a cut has no measure to grade it by: before all but the worst others,
because a whole shot is wrong.
"""

_NAMED_REASONS = 2
"""How many reasons `FixNext.why` names, to stay one line."""


def check_masks(
    clip: SegmentedClip,
    *,
    count: int = 12,
    output: Path | None = None,
    csv: Path | None = None,
    propagator: PropagatorOptions,
    reporter: Reporter,
) -> QcResult:
    """Measure every frame's masks, name what stands out, and save a page and a contact sheet.

    Args:
        clip: with its finished masks.
        count: how many problems get pictures.
        output: a folder; None is qc/ in the clip's folder of results.
        csv: where a table of every frame's numbers goes; None = nowhere.
        propagator: see `segment_command`.
        reporter: receives notices and progress.

    Raises:
        UsageError, MaskError, WorkspaceError: for a request that cannot be followed, and for
            damaged results.
        MediaError, OutputError: when the clip cannot be read, or a file not be written.
    """
    if count < 1:
        raise UsageError(
            f"count is {count}, expected at least 1",
            hint=f"{option('count', 12)} shows the twelve worst",
        )
    # Two files with names of their own, in a folder that may hold anything else.
    folder = clip.folder / "qc" if output is None else output
    for name in ("report.html", "worst.png"):
        refuse_to_replace(clip.info.path, folder / name, "the clip")
        refuse_to_replace(clip.workspace.masks_folder, folder / name, "the masks")
    # What every frame is like, and which shots there are.
    manifest = clip.store.manifest
    meter, cuts = _measure(clip, reporter)
    span = range(manifest.start, manifest.stop)
    unmasked = (
        shots_without_mask(cuts, span, manifest.references) if manifest.cuts is not None else []
    )
    shots = [shot for shot in split_shots(cuts, span) if shot not in unmasked]
    confidence = _confidence(clip, cuts)
    # What stands out of that, object by object.
    found: list[tuple[Finding, ObjectMeasures]] = []
    judged = {}
    small, leaving = {}, {}
    picture = clip.info.height, clip.info.width
    absent = frames_left_empty(manifest)
    for object_id, measures in meter.objects.items():
        measures.separate(cuts)
        # a mask that shows other objects alone says nothing of this one
        painted = frozenset(manifest.references_of(object_id))
        judged[object_id] = judge_object(measures, shots)
        is_small = hardly_there(measures, picture)
        is_leaving = is_small & (measures.at_border > 0)
        small[object_id] = frozenset(np.flatnonzero(is_small).tolist())
        leaving[object_id] = frozenset(np.flatnonzero(is_leaving).tolist())
        excused = passing_the_border(measures) | is_leaving
        groups = [
            # what a measure says, what the run said, and what cuts say: each is grouped by itself
            [*spots(judged[object_id]), *find_gone(measures, shots, absent=absent)],
            list(_doubtful(confidence[object_id], shots, excused)),
            list(_crossings(measures, shots, painted)) if manifest.cuts is None else [],
        ]
        gathered = [
            finding
            for group in groups
            for finding in findings(
                object_id, group, shots=shots, painted=painted, leaving=leaving[object_id]
            )
        ]
        found += [(finding, measures) for finding in merged(gathered)]
    found.sort(key=lambda pair: (-pair[0].weight, pair[0].frame))
    # The record, in numbers of frames, and the files.
    problems = tuple(
        _problem(clip, rank, finding, measures, small[finding.object_id])
        for rank, (finding, measures) in enumerate(found, start=1)
    )
    number = manifest.timeline.number
    result = QcResult(
        clip=clip.info.path,
        frames=sum(index in span for index in manifest.done_frames()),
        flagged=tuple(sorted({number(index) for finding, _ in found for index in finding.frames})),
        cuts=tuple(map(number, cuts)),
        shots_without_mask=tuple((number(shot.start), number(shot.stop)) for shot in unmasked),
        references=tuple(map(number, sorted(manifest.references))),
        problems=problems,
        fix_next=_fix_next(clip, problems, propagator, leaving, reporter),
        limits={
            object_id: {
                kind: Limits(measure.usual, measure.low, measure.high)
                for kind, measure in kinds.items()
            }
            for object_id, kinds in judged.items()
        },
        report=folder / "report.html",
        sheet=folder / "worst.png" if problems else None,
        measures=FrameMeasures(meter.objects, judged, confidence),
    )
    save_report(clip, result, count=count, reporter=reporter)
    if csv is not None:
        save_csv(csv, clip, result)
    return result


def _measure(clip: SegmentedClip, reporter: Reporter) -> tuple[Meter, list[int]]:
    """One pass over the frames that can have a mask; cuts are looked for on the way when the masks
    do not know any.
    """
    manifest = clip.store.manifest
    meter = Meter(object_ids=clip.object_ids, frame_count=len(clip.info.timeline))
    # Masks that were propagated across cuts (None) know none, so they are looked for here.
    detector = ShotDetector() if manifest.cuts is None else None
    cuts = list(manifest.cuts or ())
    span = manifest.start, manifest.stop
    # Decoding and reading masks go on while the frame before is measured.
    frames = prefetched(_with_masks(clip, clip.reader.frames(*span)), depth=2)
    with closing(frames) as passing, reporter.progress("check", span[1] - span[0]) as step:
        for index, image, mask, soft in passing:
            meter.add(index, image, mask, soft)
            cuts += [manifest.start + cut for cut in (detector.add(image) if detector else ())]
            step()
    # The detector counts from the first frame that it saw, and says its last cuts at the end.
    cuts += [manifest.start + cut for cut in (detector.finish() if detector else ())]
    return meter, [cut for cut in cuts if manifest.start < cut < manifest.stop]


def _with_masks(
    clip: SegmentedClip, frames: Iterator[Frame]
) -> Iterator[tuple[int, Image, Mask | None, dict[int, Soft] | None]]:
    """(index, picture, mask, probabilities by object where they were kept) of each frame."""
    for frame in frames:
        mask = clip.mask(frame.index)
        soft = None
        if mask is not None and clip.store.is_soft:
            soft = {object_id: clip.soft(object_id, frame.index) for object_id in clip.object_ids}
        yield frame.index, frame.image, mask, soft


def _confidence(clip: SegmentedClip, cuts: Collection[int]) -> dict[int, tuple[float, ...]]:
    """How certain each frame of the clip is, in per cent and by object, see `path_confidence`;
    NaN where nothing is known.
    """
    manifest = clip.store.manifest
    before, after = (
        (math.nan,) * manifest.start,
        (math.nan,) * (len(manifest.timeline) - manifest.stop),
    )
    known = {}
    for object_id in clip.object_ids:
        # where the run noted none, nothing is known of any frame
        values = manifest.confidence.get(object_id, (UNKNOWN,) * (manifest.stop - manifest.start))
        carried = path_confidence(
            values, manifest.references_of(object_id), first_frame=manifest.start, cuts=cuts
        )
        known[object_id] = (
            *before,
            *(math.nan if value == UNKNOWN else value for value in carried),
            *after,
        )
    return known


def _doubtful(
    confidence: Sequence[float], shots: Sequence[range], excused: Bools
) -> Iterator[Spot]:
    """The frames of the stretches that a run calls uncertain, but for what enters or leaves at the
    border, which always is.

    Args:
        confidence: of each frame of the clip, in per cent.
        shots: ranges of frame indices.
        excused: bool (frames,), see `passing_the_border` and `hardly_there`.
    """
    for shot in shots:
        # `uncertain_stretches` counts in whole per cent, as manifests do
        values = [
            UNKNOWN if math.isnan(value) else math.floor(value)
            for value in confidence[shot.start : shot.stop]
        ]
        for stretch in uncertain_stretches(values, first_frame=shot.start):
            for frame in range(stretch.start, stretch.stop):
                value = confidence[frame]
                if value < LOW_CONFIDENCE and not excused[frame]:
                    yield Spot(
                        frame,
                        "confidence",
                        severity(value),
                        value,
                        LOW_CONFIDENCE,
                    )


def _crossings(
    measures: ObjectMeasures, shots: Sequence[range], painted: frozenset[int]
) -> Iterator[Spot]:
    """Frames of shots into which an object was propagated over a cut, although no mask of these
    shots was painted.
    """
    # Into the first shot nothing can have been propagated.
    for shot in shots[1:]:
        crosses = measures.area_px[shot.start] > 0 and measures.area_px[shot.start - 1] > 0
        for frame in shot if crosses and not painted.intersection(shot) else ():
            if measures.area_px[frame] > 0:
                yield Spot(frame, "crossing", _CROSSING_SEVERITY, float(shot.start), math.nan)


def _problem(
    clip: SegmentedClip,
    rank: int,
    finding: Finding,
    measures: ObjectMeasures,
    small: Collection[int],
) -> Problem:
    # One sentence, whose reasons are told apart again where there is room for a list.
    timeline = clip.info.timeline
    painted = clip.store.manifest.references_of(finding.object_id)
    what = "; ".join(describe(spot, measures, timeline.number) for spot in finding.spots)
    return Problem(
        rank=rank,
        object_id=finding.object_id,
        frame=timeline.number(finding.frame),
        time=clock(since_start(timeline, finding.frame)),
        start=timeline.number(finding.start),
        stop=timeline.number(finding.stop),
        severity=round(finding.severity, 2),
        kinds=tuple(spot.kind for spot in finding.spots),
        what=f"object {finding.object_id} {what}",
        do=advise(finding, measures, timeline.number, painted=painted, small=small),
    )


def _fix_next(
    clip: SegmentedClip,
    problems: Sequence[Problem],
    propagator: PropagatorOptions,
    leaving: Mapping[int, Collection[int]],
    reporter: Reporter,
) -> FixNext | None:
    """The frame of the first problem that a painted mask fixes; a frame that has one of this object
    needs other means, and one on which the object is leaving the picture (by object) teaches
    little.
    """
    path, timeline = clip.info.path, clip.info.timeline
    for problem in problems:
        number, index = problem.frame, timeline.index_of(problem.frame)
        painted = clip.store.manifest.references_of(problem.object_id)
        if index in painted or index in leaving[problem.object_id]:
            continue
        mask, is_crossing = mask_name(path, number), "crossing" in problem.kinds
        reasons = "; ".join(problem.what.split("; ")[:_NAMED_REASONS])
        return FixNext(
            frame=number,
            time=problem.time,
            why=f"{frame_at(timeline, index)}: {reasons}",
            frame_command=frame_command(path, number),
            mask=mask,
            # Masks that were propagated over a cut are wrong as a whole: all are made again.
            segment_command=segment_command(
                clip,
                waiting_masks(clip, Path(), besides={number}, reporter=reporter) | {number: mask},
                propagator=propagator,
                update=not is_crossing,
                cuts="stop" if is_crossing else None,
            ),
            correct_command=correct_command(path, number, workspace=clip.folder.parent),
        )
    return None
