"""Tracks masks for programs that show frames and ask for masks: labelling tools above all.

Nothing is saved here; a workspace is what `pipeline.segment` works on.
"""

from __future__ import annotations

from vfx_matte.pipeline.tracking.boxes import TrackedBoxes, boxes_of, track_boxes
from vfx_matte.pipeline.tracking.polygons import outline_of, region_in
from vfx_matte.pipeline.tracking.regions import Picture, RegionTracker, TrackedRegion
from vfx_matte.pipeline.tracking.session import TrackedFrame, TrackSession
from vfx_matte.pipeline.tracking.stepping import SteppedTrack

__all__ = [
    "Picture",
    "RegionTracker",
    "SteppedTrack",
    "TrackSession",
    "TrackedBoxes",
    "TrackedFrame",
    "TrackedRegion",
    "boxes_of",
    "outline_of",
    "region_in",
    "track_boxes",
]
