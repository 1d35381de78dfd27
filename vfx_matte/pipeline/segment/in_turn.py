"""Makes parts of one clip one after another, as they are named.

What all of them need is done once: the clip is opened, masks are read, and the propagator learns
the references.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.segment.parts import parse_part, part_workspace
from vfx_matte.pipeline.segment.plan import SegmentPlan
from vfx_matte.pipeline.segment.request import SegmentRequest
from vfx_matte.pipeline.segment.run import KeptPropagator, planned_part, run_segment
from vfx_matte.workspace import Workspace


def make_parts(
    clip: SourceClip,
    request: SegmentRequest,
    names: Iterable[str],
    *,
    workspace: Path,
    reporter: Reporter,
) -> None:
    """Make parts of a clip.

    Args:
        clip: the clip.
        request: as for `segment_clip`, of the whole clip.
        names: the parts, "100-199"; the next one is asked for when the one before is made.
        workspace: folder for results, with one folder per clip.
        reporter: receives notices and progress.

    Raises:
        VfxMatteError: as `segment_clip`; the parts before are made.
    """
    plan: SegmentPlan | None = None
    kept = KeptPropagator()
    for name in names:
        only = parse_part(name, clip.info.timeline)
        if plan is None:
            plan = planned_part(clip, request, only, workspace=workspace, reporter=reporter)
        else:
            own = Workspace(workspace).clip(clip.path)
            place = part_workspace(own, only, clip.info.timeline)
            plan = replace(plan, request=replace(plan.request, only=only), workspace=place)
        run_segment(plan, reporter=reporter, kept=kept)
