"""Propagates the references of a project over the frames that were asked for."""

from __future__ import annotations

from collections.abc import Collection

from vfx_matte.errors import WorkspaceError
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.progress import Reporter, SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.segment.ahead import RunAhead
from vfx_matte.pipeline.segment.cuts import CutOptions
from vfx_matte.pipeline.segment.plan import plan_segment
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest
from vfx_matte.pipeline.segment.run import run_segment
from vfx_matte.pipeline.studio.project import Project
from vfx_matte.pipeline.studio.state import ProjectState
from vfx_matte.wording import option

DIRECTIONS = ("forward", "backward", "both", "one", "next")
"""From a frame to the end of the range, to its beginning, all of it, one frame, or up to the next
reference.
"""


def frames_of(direction: str, index: int, state: ProjectState, *, frames: int) -> tuple[int, int]:
    """The half-open range of frames of a direction.

    Args:
        direction: of DIRECTIONS.
        index: the frame to begin at; for "one" the frame itself.
        state: the project, with its range and references.
        frames: how many the clip has.
    """
    # a frame outside of the chosen range can be worked on, too: the range is then stretched to it
    first, stop = state.span(frames)
    references = state.enabled_references()
    earlier, later = (
        [at for at in references if at < index],
        [at for at in references if at > index],
    )
    # at the end of the range there is nothing to go on to: what leads there is meant
    if direction == "forward" and index == stop - 1 and earlier:
        index = earlier[-1]
    if direction == "backward" and index == first and later:
        index = later[0]
    return {
        "forward": (index, max(stop, index + 1)),
        "backward": (min(first, index), index + 1),
        "both": (first, stop),
        "one": (index, index + 1),
        "next": (index, later[0] + 1 if later else max(stop, index + 1)),
    }[direction]


def propagate(
    clip: SourceClip,
    propagator: PropagatorOptions,
    *,
    only: tuple[int, int],
    cuts: Collection[int],
    project: Project,
    reporter: Reporter,
    ahead: RunAhead | None = None,
) -> None:
    """Make the masks of some frames, as a run of `segment` over the whole clip would.

    Args:
        clip: the clip.
        propagator: how.
        only: the half-open range of frames.
        cuts: frames that begin a shot.
        project: whose references they are of.
        reporter: receives notices and progress.
        ahead: of `begin_ahead`; used up.

    Raises:
        VfxMatteError: as `segment.run.segment_clip`.
    """
    request = _request(propagator, only=only, cuts=cuts, project=project)
    try:
        # a clip that was replaced meanwhile would get masks of the other one's frames
        clip.reader.check_unchanged()
        # the references are read at one moment: what is painted while masks are made is of the next
        # run
        with project.unchanged():
            project.refresh()
            plan = plan_segment(clip, request, workspace=project.workspace, reporter=reporter)
        run_segment(plan, reporter=reporter, ahead=ahead)
    except WorkspaceError as error:
        # earlier masks that were made in another way, by the command line say; a run that is going
        # on elsewhere has a hint of its own
        if option("fresh", True) not in error.hint:
            raise
        hint = f"{option('clear_memory')} forgets the earlier masks, and undo brings them back"
        raise WorkspaceError(error.message, hint=hint) from error
    finally:
        if ahead is not None:
            ahead.drop()


def begin_ahead(
    clip: SourceClip,
    propagator: PropagatorOptions,
    index: int,
    *,
    cuts: Collection[int],
    project: Project,
) -> RunAhead | None:
    """Begin what "forward" from a reference would do, and write nothing.

    Args:
        clip: the clip.
        propagator: how.
        index: the frame of the reference.
        cuts: frames that begin a shot.
        project: whose reference it is.

    Returns:
        It; None where masks were made before: which of them a run would make again, it says itself.
    """
    clip.reader.check_unchanged()
    with project.unchanged():
        state, manifest = project.state, project.manifest()
        reference = state.enabled_references().get(index)
        if reference is None or not reference.objects or (manifest and manifest.done):
            return None
        first, stop = frames_of("forward", index, state, frames=len(clip.info.timeline))
        request = _request(propagator, only=(first, stop), cuts=cuts, project=project)
        plan = plan_segment(clip, request, workspace=project.workspace, reporter=SilentReporter())
    return RunAhead(plan, only=range(first, stop))


def _request(
    propagator: PropagatorOptions, *, only: tuple[int, int], cuts: Collection[int], project: Project
) -> SegmentRequest:
    """A run over the whole clip, of which some frames are made: so the command line can go on with
    it.
    """
    return SegmentRequest(
        references=ReferenceFiles(folder=project.workspace.references_folder),
        propagator=propagator,
        cuts=CutOptions(found=tuple(cuts)),
        update=True,
        only=only,
    )
