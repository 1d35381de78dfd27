"""Interactive work on one clip: what the page of the studio calls."""

from __future__ import annotations

from vfx_matte.pipeline.studio.commands import StartOptions
from vfx_matte.pipeline.studio.frame_server import SupersededError
from vfx_matte.pipeline.studio.jobs import Job, JobOutput, Listener
from vfx_matte.pipeline.studio.opening import FirstFacts, Opening
from vfx_matte.pipeline.studio.project import ConflictError, EditResult, ShownMask
from vfx_matte.pipeline.studio.state import marks_from_plain, marks_to_plain
from vfx_matte.pipeline.studio.studio import ClipFacts, MarkResult, ProjectView, Studio
from vfx_matte.pipeline.studio.ways import Way, Ways

__all__ = [
    "ClipFacts",
    "ConflictError",
    "EditResult",
    "FirstFacts",
    "Job",
    "JobOutput",
    "Listener",
    "MarkResult",
    "Opening",
    "ProjectView",
    "ShownMask",
    "StartOptions",
    "Studio",
    "SupersededError",
    "Way",
    "Ways",
    "marks_from_plain",
    "marks_to_plain",
]
