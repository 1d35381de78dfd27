"""Everything about a run of `segment` that is decided before its first frame."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from vfx_matte.backend import begun
from vfx_matte.compiling import load_compiler
from vfx_matte.compiling.notice import tell_when_compiling
from vfx_matte.errors import WorkspaceError
from vfx_matte.masks import RGB, ObjectLabel, Palette
from vfx_matte.pipeline.clip import GAPS_SETTING, SourceClip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.segment.cuts import decide_cuts
from vfx_matte.pipeline.segment.references import References, load_references
from vfx_matte.pipeline.segment.request import SegmentRequest
from vfx_matte.propagate.influence import influenced
from vfx_matte.workspace import (
    SOFT,
    ClipWorkspace,
    Manifest,
    Scalar,
    SegmentRun,
    SourceStamp,
)


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """A run that is ready to begin."""

    clip: SourceClip
    request: SegmentRequest
    references: References

    propagator: PropagatorOptions
    """With the propagator's name instead of "auto"."""

    manifest: Manifest
    """What is going to be done."""

    workspace: ClipWorkspace
    """Where masks go."""

    began: float
    """When planning began, `time.monotonic`."""

    def start(self) -> SegmentRun:
        """Begin the run, or go on with an earlier one.

        Raises:
            WorkspaceError: the workspace holds other work; see `ClipWorkspace.start_run`.
        """
        return self.workspace.start_run(
            self.manifest,
            palette=Palette.davis(),
            resume=self.request.resume,
            fresh=self.request.fresh,
            influenced=affected_frames if self.request.update else None,
        )


def plan_segment(
    clip: SourceClip, request: SegmentRequest, *, workspace: ClipWorkspace, reporter: Reporter
) -> SegmentPlan:
    """Read the references, choose the propagator and find the cuts.

    Args:
        clip: what is segmented.
        request: how.
        workspace: where masks go; it is only looked at.
        reporter: receives notices and progress.

    Raises:
        UsageError: among them MaskError and WorkspaceError; nothing is written.
        MediaError: the clip cannot be read.
    """
    began = time.monotonic()
    first, last = clip.frame_range(request.start, request.stop)
    # 1. what the masks show
    references = load_references(
        clip, request.references, first=first, expected=request.labels, reporter=reporter
    )
    objects = references.objects
    if hidden := {at: label for at, label in request.labels.items() if at not in objects}:
        names = ", ".join(f"{at} ({label.name})" for at, label in sorted(hidden.items()))
        reporter.notify(
            f"no reference mask shows object{'s' if len(hidden) > 1 else ''} {names}:"
            f" {'they have' if len(hidden) > 1 else 'it has'} no masks"
        )
    if request.expected_objects is not None and request.expected_objects != len(objects):
        reporter.notify(
            f"config.ini expects {request.expected_objects} objects, the masks show {len(objects)}"
        )
    # 2. who carries them
    earlier = _readable_manifest(workspace) if request.continues else None
    propagator = request.propagator.decided(reporter.notify, earlier=earlier)
    if propagator.is_compiled:
        tell_when_compiling(reporter.notify)
        # beside the search for cuts, which leaves most of a core idle; what fails there fails again
        # where the first function is called, and is told then
        begun(load_compiler)
    # 3. where they end
    cuts = _cuts(clip, request, workspace, references, span=range(first, last), reporter=reporter)
    # what files beside the masks depend on is a setting as well: a resumed run must not leave half
    # of the frames without probabilities
    soft: dict[str, Scalar] = {SOFT: True} if request.soft else {}
    manifest = Manifest(
        source=SourceStamp.of(clip.path),
        timeline=clip.info.timeline,
        references={at: references.record(at) for at in references.sources},
        propagator=propagator.name,
        settings={**propagator.settings, **soft, **_gaps(clip)},
        start=first,
        stop=last,
        objects=objects,
        cuts=cuts,
        map_colors=request.references.colors,
        labels=_labels(request, objects, earlier),
    )
    return SegmentPlan(clip, request, references, propagator, manifest, workspace, began)


def _labels(
    request: SegmentRequest, objects: Mapping[int, RGB], earlier: Manifest | None
) -> dict[int, ObjectLabel]:
    """What the objects are: as the request says, and as earlier work knew them."""
    # other objects may have the same ids
    known = earlier.labels if earlier is not None and earlier.objects == objects else {}
    labels = {**known, **request.labels}
    return {object_id: labels[object_id] for object_id in objects if object_id in labels}


def affected_frames(earlier: Manifest, plan: Manifest) -> set[int]:
    """The frames that other reference masks can change; all of them when the objects are others
    too.
    """
    # an id may be another subject now, so that no finished mask says anything
    if earlier.objects != plan.objects:
        return set(range(plan.start, plan.stop))
    changed = changed_references(earlier, plan)
    # walks begin anew on references that show every object, and do not pass empty ones
    boundaries = [at for at in plan.references_of_all() if at not in changed]
    return influenced(changed, boundaries, start=plan.start, stop=plan.stop, cuts=plan.cuts or ())


def changed_references(earlier: Manifest, plan: Manifest) -> list[int]:
    """The frames of the reference masks that came, went or are others, ascending."""
    meanings = [
        {at: record.meaning for at, record in manifest.references.items()}
        for manifest in (earlier, plan)
    ]
    # by content and by what the colours mean: a file that was only moved changes no frame
    return [
        at
        for at in sorted({*earlier.references, *plan.references})
        if meanings[0].get(at) != meanings[1].get(at)
    ]


def _readable_manifest(workspace: ClipWorkspace) -> Manifest | None:
    """The earlier work of a clip; None where there is none that can be read, which `start_run`
    says.
    """
    try:
        return workspace.manifest()
    except WorkspaceError:
        return None


def _cuts(
    clip: SourceClip,
    request: SegmentRequest,
    workspace: ClipWorkspace,
    references: References,
    *,
    span: range,
    reporter: Reporter,
) -> tuple[int, ...] | None:
    """The cuts of a run. Where `start_run` is going to refuse, the clip need not be read first."""
    try:
        earlier = None if request.fresh else workspace.manifest()
    except WorkspaceError:
        return None
    if earlier is not None:
        # of another clip, or a clip that has changed: `start_run` says so
        if (
            not earlier.source.is_same_clip(SourceStamp.of(clip.path))
            or earlier.timeline != clip.info.timeline
        ):
            return None
        # `start_run` refuses what neither resumes nor begins afresh, so nobody waits for a search
        if not request.continues:
            return earlier.cuts
    return decide_cuts(
        clip,
        request.cuts,
        span=span,
        references=references.sources,
        earlier=earlier,
        reporter=reporter,
    )


def _gaps(clip: SourceClip) -> dict[str, str]:
    """What stands for missing numbers, where that is not the picture before."""
    files = clip.info.files
    return (
        {GAPS_SETTING: files.gaps}
        if files is not None and files.missing and files.gaps != "hold"
        else {}
    )
