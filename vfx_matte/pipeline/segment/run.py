"""Propagates a few reference masks to every frame of a clip.

`plan_segment` decides what is to be done, `run_segment` does it. Masks are saved as they come, by
a thread, and now and then the state of the walk, so a run that was stopped goes on where it
stopped, and its masks are those of a run without a stop.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from vfx_matte.backend import frames_at_once
from vfx_matte.blas_threads import one_blas_thread
from vfx_matte.errors import MaskError, StoppedError
from vfx_matte.masks import Mask, hex_color
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.confidence import ObjectsInSight, doubts
from vfx_matte.pipeline.next_steps import workspace_option
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.segment.ahead import Begun, RunAhead, begin
from vfx_matte.pipeline.segment.begun import as_begun
from vfx_matte.pipeline.segment.changes import describe_change, unexplained_changes
from vfx_matte.pipeline.segment.cuts import frames_left_empty
from vfx_matte.pipeline.segment.driver_inputs import (
    FinishedMasks,
    ObjectNumbers,
    SavedWalks,
)
from vfx_matte.pipeline.segment.parts import (
    PartList,
    discard,
    divided,
    part_name,
    part_workspace,
    take_in,
)
from vfx_matte.pipeline.segment.plan import SegmentPlan, plan_segment
from vfx_matte.pipeline.segment.request import (
    ChangedFrames,
    SegmentRequest,
    SegmentResult,
    refuse_both_ways,
)
from vfx_matte.pipeline.segment.sharing import Sharing
from vfx_matte.pipeline.segment.text import with_objects_of_text
from vfx_matte.pipeline.segment.workers import folders_of_parts, share_out
from vfx_matte.propagate.protocol import ChoosesSize, Propagator, SharesCores
from vfx_matte.propagate.walk_state import Checkpoint
from vfx_matte.wording import command
from vfx_matte.workspace import ClipWorkspace, SegmentRun, Workspace, load_mask

# an output of `detect`
_DETECTED = "detected"

Unseen = dict[int, list[int]]
"""Object id → the frames of this run that do not show it."""


@dataclass(slots=True)
class KeptPropagator:
    """The propagator of runs of one plan that make other frames one after another: it is opened,
    and told the references, once.
    """

    propagator: Propagator | None = None

    def at(self, size: int | None) -> Propagator | None:
        """The propagator, where it works at this size (None: any); it is dropped where not."""
        mine = self.propagator.working_size if isinstance(self.propagator, ChoosesSize) else None
        if size is not None and size != mine:
            self.propagator = None
        return self.propagator


def segment_clip(
    clip: SourceClip,
    request: SegmentRequest,
    *,
    workspace: Path,
    reporter: Reporter,
    sharing: Sharing | None = None,
) -> SegmentResult:
    """Segment frames of a clip.

    Args:
        clip: the clip.
        request: which frames, from which masks, and how; one that resumes and names no masks goes
            on with those of the earlier run.
        workspace: folder for results, with one folder per clip.
        reporter: receives notices and progress.
        sharing: among which processes; None: all of it is made in this one.

    Raises:
        UsageError: among them MaskError and WorkspaceError; NothingFoundError where no frame shows
            what a text says.
        WeightsError: the text detector's weights are missing or of another network.
        PropagatorError: the propagator cannot run here.
        MediaError: the clip cannot be read, or as OutputError a mask not written; finished frames
            stay on disk.
    """
    refuse_both_ways(fresh=request.fresh, resume=request.resume, update=request.update)
    own = Workspace(workspace).clip(clip.path)
    if request.is_part and request.only is not None:
        plan = planned_part(clip, request, request.only, workspace=workspace, reporter=reporter)
    else:
        request = as_begun(clip, request, workspace=own)
        plan = _planned(clip, request, own, reporter)
    done = run_segment(plan, reporter=reporter, sharing=sharing)
    is_changed = request.update and done.computed + done.taken_in
    earlier = own.manifest() if is_changed else None
    if earlier is not None and _DETECTED in earlier.outputs:
        again = command("export", clip.path, format=_DETECTED, **workspace_option(workspace))
        reporter.notify(
            f"what detect wrote for other programs shows the masks before; {again} writes it anew"
        )
    return done


def planned_part(
    clip: SourceClip,
    request: SegmentRequest,
    part: tuple[int, int],
    *,
    workspace: Path,
    reporter: Reporter,
) -> SegmentPlan:
    """What is to be done to make a part, in the way that the run was begun that it belongs to.

    Args:
        clip: the clip.
        request: of the whole clip.
        part: frame indices, half-open.
        workspace: folder for results, with one folder per clip.
        reporter: receives notices.

    Raises:
        VfxMatteError: as `segment_clip`, before its first frame.
    """
    own = Workspace(workspace).clip(clip.path)
    place = part_workspace(own, part, clip.info.timeline)
    request = as_begun(clip, replace(request, only=part, is_part=True), workspace=own)
    begun = place.manifest()
    # whoever shares the clip out has decided which propagator makes all of it
    if begun is not None and request.propagator.name == "auto":
        request = replace(request, propagator=replace(request.propagator, name=begun.propagator))
    return _planned(clip, request, place, reporter)


def _planned(
    clip: SourceClip, request: SegmentRequest, place: ClipWorkspace, reporter: Reporter
) -> SegmentPlan:
    """The plan of a run whose masks go to `place`."""
    if request.prompt is not None:
        request = with_objects_of_text(clip, request, workspace=place, reporter=reporter)
    return plan_segment(clip, request, workspace=place, reporter=reporter)


def list_parts(
    clip: SourceClip, request: SegmentRequest, *, workspace: Path, workers: int, reporter: Reporter
) -> PartList:
    """Say how a clip would be shared out, and make nothing.

    Args:
        clip: the clip.
        request: as for `segment_clip`; cuts are looked for.
        workspace: where work on the clip may lie.
        workers: for how many processes or machines.
        reporter: receives notices and progress.

    Raises:
        VfxMatteError: as `segment_clip`, before its first frame.
    """
    refuse_both_ways(fresh=request.fresh, resume=request.resume, update=request.update)
    own = Workspace(workspace).clip(clip.path)
    request = as_begun(clip, replace(request, resume=True), workspace=own)
    plan = plan_segment(clip, request, workspace=own, reporter=reporter)
    timeline = plan.manifest.timeline
    parts = divided(plan.manifest, workers=workers)
    return PartList(tuple(part_name(part, timeline) for part in parts), plan.propagator.name)


def run_segment(
    plan: SegmentPlan,
    *,
    reporter: Reporter,
    ahead: RunAhead | None = None,
    sharing: Sharing | None = None,
    kept: KeptPropagator | None = None,
) -> SegmentResult:
    """Do what was planned; errors are those of `segment_clip`.

    Args:
        plan: what is to be done.
        reporter: receives notices and progress.
        ahead: what was computed of it before, perhaps; used up.
        sharing: among which processes; see `segment_clip`.
        kept: of runs of the same plan before this one, with other frames; this one leaves its own.
    """
    # what an update replaces, before its first mask does
    earlier = plan.workspace.manifest() if plan.request.update else None
    changed: tuple[ChangedFrames, ...] = ()
    # the run holds the lock of the folder, and saves its progress on every way out
    with plan.start() as run:
        if not run.is_alone:
            reporter.notify(
                f"the disk of {plan.workspace.folder} has no locks: see to it that no other run is"
                " at work on this clip, or part, as neither would notice the other"
            )
        span = range(plan.manifest.start, plan.manifest.stop)
        if plan.request.only is not None:
            first, stop = plan.request.only
            span = range(max(first, span.start), min(stop, span.stop))
        missing = _missing(run, span)
        is_whole = plan.request.only is None
        if is_whole and plan.request.update and missing < plan.manifest.stop - plan.manifest.start:
            reporter.notify(_redone(run))
        unseen: Unseen = {object_id: [] for object_id in plan.manifest.objects}
        in_sight = ObjectsInSight(
            range(plan.manifest.start, plan.manifest.stop), functools.partial(_saved_mask, plan)
        )
        if is_whole and plan.request.fresh:
            discard(plan.workspace)
        taken_in = 0
        if is_whole:
            # of an earlier run that was stopped, or of other machines
            going_on = folders_of_parts(run, sharing) if sharing is not None else ()
            taken = take_in(run, reporter=reporter, going_on=going_on)
            taken_in = len(taken.frames)
            _join(unseen, taken.unseen)
            if sharing is not None and run.missing:
                _join(unseen, share_out(run, sharing, reporter=reporter))
        left = _missing(run, span)
        if left:
            found = _propagate(
                plan,
                run,
                only=span,
                total=left,
                reporter=reporter,
                ahead=ahead,
                kept=kept,
                in_sight=in_sight,
            )
            _join(unseen, found)
        if missing:
            _notify_doubts(run, unseen, in_sight, reporter)
        if missing and is_whole and earlier is not None:
            changed = unexplained_changes(earlier, run.manifest, plan.workspace)
            for one in changed:
                name = plan.workspace.mask_path(one.worst).name
                earlier_mask = plan.workspace.previous_masks_folder / name
                reporter.notify(describe_change(one, earlier_mask))
    number = plan.manifest.timeline.number
    return SegmentResult(
        masks=plan.workspace.masks_folder,
        start=number(plan.manifest.start),
        stop=number(plan.manifest.stop),
        computed=missing - taken_in,
        taken_in=taken_in,
        objects={object_id: hex_color(color) for object_id, color in plan.manifest.objects.items()},
        propagator=plan.propagator.name,
        changed=changed,
        seconds=time.monotonic() - plan.began,
    )


def _missing(run: SegmentRun, span: range) -> int:
    """How many frames of a range still need a mask."""
    return sum(max(min(end, span.stop) - max(begin, span.start), 0) for begin, end in run.missing)


def _join(unseen: Unseen, more: Mapping[int, list[int]]) -> None:
    for object_id, frames in more.items():
        unseen[object_id] += frames


def _redone(run: SegmentRun) -> str:
    """Which frames an update makes again, for people."""
    number = run.manifest.timeline.number
    spans = ", ".join(f"{number(begin)} to {number(end - 1)}" for begin, end in run.missing)
    return f"frames made again: {spans or 'none'}; the others stay as they are"


def _propagate(
    plan: SegmentPlan,
    run: SegmentRun,
    *,
    only: range,
    total: int,
    reporter: Reporter,
    ahead: RunAhead | None,
    kept: KeptPropagator | None,
    in_sight: ObjectsInSight,
) -> Unseen:
    """Make the frames of a range that are missing, `total` of them; returns as `_save_all`."""
    manifest = plan.manifest
    numbers = ObjectNumbers(tuple(manifest.objects))
    walks = SavedWalks(run, reporter)
    begun = None
    if ahead is not None:
        begun = ahead.taken(plan, run, only=only, walks=walks, notify=reporter.notify)
    if begun is None:
        # of the run before, whatever memory is free now: masks of two sizes would not match
        size = run.manifest.working_size
        propagator, frames = begin(
            plan,
            size=size,
            completed=FinishedMasks(run, numbers),
            walks=walks,
            only=only,
            notify=reporter.notify,
            kept=None if kept is None else kept.at(size),
        )
        begun = Begun(propagator, frames, frames.close)
    shares_cores = isinstance(begun.propagator, SharesCores) and begun.propagator.shares_cores
    # with several threads BLAS rounds by how many there are: masks would depend on the machine
    with one_blas_thread(), frames_at_once() if shares_cores else nullcontext(), closing(begun):
        unseen = _save_all(
            begun, run, numbers, walks, total=total, reporter=reporter, in_sight=in_sight
        )
    if kept is not None:
        kept.propagator = begun.propagator
    return unseen


def _notify_doubts(
    run: SegmentRun, unseen: Unseen, in_sight: ObjectsInSight, reporter: Reporter
) -> None:
    """Say which frames should be looked at."""
    manifest = run.manifest
    # masks of shots without a reference are empty by design, which planning has said, and so are
    # those of frames that the user painted empty; an object that is missing there is no doubt
    maskless = frames_left_empty(manifest)
    # when all is done: how sure a frame is depends on the frames on its way from a reference
    for line in doubts(
        manifest.confidence,
        {one: sorted(set(frames) - maskless) for one, frames in unseen.items()},
        {one: manifest.references_of(one) for one in manifest.objects},
        first_frame=manifest.start,
        cuts=manifest.cuts or (),
        number=manifest.timeline.number,
        in_sight=in_sight,
    ):
        reporter.notify(line)


def _saved_mask(plan: SegmentPlan, index: int) -> Mask | None:
    """A finished mask; None where it is missing or damaged."""
    try:
        return load_mask(plan.workspace.mask_path(plan.manifest.timeline.number(index)))
    except MaskError:
        return None


def _save_all(
    begun: Begun,
    run: SegmentRun,
    numbers: ObjectNumbers,
    walks: SavedWalks,
    *,
    total: int,
    reporter: Reporter,
    in_sight: ObjectsInSight,
) -> Unseen:
    """Save masks while the next ones are computed in a thread.

    Returns the frames on which each object is out of sight.
    """
    unseen: Unseen = {object_id: [] for object_id in run.manifest.objects}
    is_size_known = run.manifest.working_size is not None
    propagator = begun.propagator
    with reporter.progress("segment", total) as step:
        for one in begun.frames:
            # a state counts once every frame before it is saved, which it is by now
            if isinstance(one, Checkpoint):
                walks.save(one)
                if reporter.stops():
                    raise StoppedError("stopped; finished frames are kept")
                continue
            # known from the first frame on, and needed by whoever resumes this run
            if isinstance(propagator, ChoosesSize) and not is_size_known:
                run.note_working_size(propagator.working_size)
                is_size_known = True
            # the mask is saved last: with it the frame counts as done
            mask = numbers.to_user(one.mask)
            confidence = numbers.confidence(one.mask, one.probabilities, one.agreement)
            run.note_confidence(one.frame_index, confidence)
            soft = numbers.soft(one.probabilities) if run.is_soft else None
            run.save_mask(one.frame_index, mask, soft)
            # counted apart from confidence, which speaks of a mask that is there
            for object_id in unseen.keys() - in_sight.note(one.frame_index, mask):
                unseen[object_id].append(one.frame_index)
            reporter.saved(one.frame_index)
            step()
    return unseen
