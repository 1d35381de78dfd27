"""How the project and its parts look to a page."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vfx_matte.pipeline.studio import MarkResult, ProjectView


def project_view(view: ProjectView, *, clip_id: str, times: bool) -> dict[str, Any]:
    """The whole state. What undo changes stands in `state`, beside what it does not change.

    Args:
        view: the engine's.
        clip_id: what the page calls the clip.
        times: with those of all frames.
    """
    masks = view.masks
    confidence = masks.confidence or {}
    clip = {**dataclasses.asdict(view.clip), "id": clip_id}
    if not times:
        del clip["pts"]
    return {
        "clip": clip,
        "revision": view.revision,
        "masks_revision": view.masks_revision,
        "state": {
            "objects": view.objects,
            "references": view.references,
            "first": view.first,
            "last": view.last,
            "marks": view.marks,
        },
        "masks": {
            "done": masks.done,
            # pieces of consecutive frames, of which there is one now
            "confidence": {number: [[masks.start, each]] for number, each in confidence.items()},
        },
        "cuts": view.cuts,
        "undo": view.undo,
        "redo": view.redo,
        "jobs": view.jobs,
        "propagator": view.propagator,
        # of two studios on one clip the second does not open
        "read_only": False,
        "program_version": view.program_version,
    }


def mark_view(made: MarkResult) -> dict[str, Any]:
    """What marks came to, beside the mask."""
    return {
        "revision": made.revision,
        "objects": [
            {
                "id": one.object_id,
                "pixels": one.pixels,
                "share": one.share,
                "confidence": one.confidence,
                "advice": one.advice,
            }
            for one in made.objects
        ],
        "notices": made.notices,
    }
