"""Tracks masks for programs that show frames and ask for masks: labelling tools above all.

Nothing is saved here; a workspace is what `pipeline.segment` works on.
"""

from __future__ import annotations

from vfx_matte.files.spool import Spool, SpoolSpace
from vfx_matte.media.readers.sent import decode_sent
from vfx_matte.pipeline.tracking.boxes import TrackedBoxes, boxes_of, track_boxes
from vfx_matte.pipeline.tracking.clips import FileClip, SentClip, TrackClip, served_path
from vfx_matte.pipeline.tracking.given_masks import GivenMask, PackedMasks, read_given_mask
from vfx_matte.pipeline.tracking.models import TrackModel, chosen_model, track_models
from vfx_matte.pipeline.tracking.polygons import outline_of, region_in
from vfx_matte.pipeline.tracking.prompts import Prompted, Prompter, box_between, click_at
from vfx_matte.pipeline.tracking.queue import QueuedTrack, TrackListener, TrackQueue
from vfx_matte.pipeline.tracking.regions import Picture, RegionTracker, TrackedRegion
from vfx_matte.pipeline.tracking.registry import BusyError, GoneError, MissingError, Registry
from vfx_matte.pipeline.tracking.request import TrackRequest, wanted_range
from vfx_matte.pipeline.tracking.results import ObjectResult, object_polygons, object_results
from vfx_matte.pipeline.tracking.session import TrackedFrame, TrackSession
from vfx_matte.pipeline.tracking.stepping import SteppedTrack

__all__ = [
    "Picture",
    "RegionTracker",
    "BusyError",
    "FileClip",
    "GivenMask",
    "GoneError",
    "MissingError",
    "ObjectResult",
    "PackedMasks",
    "Prompted",
    "Prompter",
    "QueuedTrack",
    "Registry",
    "SentClip",
    "Spool",
    "SpoolSpace",
    "SteppedTrack",
    "TrackClip",
    "TrackListener",
    "TrackModel",
    "TrackQueue",
    "TrackRequest",
    "TrackSession",
    "TrackedBoxes",
    "TrackedFrame",
    "TrackedRegion",
    "box_between",
    "boxes_of",
    "click_at",
    "outline_of",
    "region_in",
    "chosen_model",
    "decode_sent",
    "object_polygons",
    "object_results",
    "read_given_mask",
    "served_path",
    "track_boxes",
    "track_models",
    "wanted_range",
]
