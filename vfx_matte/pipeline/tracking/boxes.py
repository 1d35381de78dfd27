"""Tracks boxes: a box becomes a mask, masks are tracked, and boxes come out."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vfx_matte.errors import NothingFoundError
from vfx_matte.masks import Mask, object_ids
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.first_mask import Box, Marks, marking_of
from vfx_matte.pipeline.first_mask.salient_network import salient_network
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.segment.driver_inputs import ClipImages
from vfx_matte.pipeline.tracking.session import TrackSession


@dataclass(frozen=True, slots=True)
class TrackedBoxes:
    """One frame with the boxes of its objects."""

    frame_index: int

    boxes: Mapping[int, Box]
    """Object id → (x, y, width, height) in pixels; of objects that are seen there."""

    confidence: Mapping[int, float]
    """Object id → the expected overlap of its mask with the truth, 0 … 1."""


def masks_of_boxes(
    clip: SourceClip,
    boxes: Mapping[int, Mapping[int, Box]],
    *,
    model: Path,
    fetch: bool = True,
    reporter: Reporter,
) -> dict[int, Mask]:
    """The masks of what boxes hold. A box in which nothing is found is taken as a whole.

    Args:
        clip: the clip.
        boxes: frame index → object id, 1 … 255 → box in pixels, inside of the picture.
        model: the folder of network weights.
        fetch: whether the salient network may be fetched into it.
        reporter: receives notices.

    Returns:
        Frame index → uint8 (H, W), object ids.

    Raises:
        UsageError: a box lies outside.
        MediaError: a frame cannot be read.
    """
    network = salient_network(model, reporter=reporter, fetch=fetch)
    masks = {}
    for index, found in sorted(boxes.items()):
        marking = marking_of(clip.reader.frame(index).image, network)
        mask = np.zeros(clip.info.shape, np.uint8)
        # large ones first: of two boxes, one in the other, the inner one is an object of its own
        for object_id, box in sorted(found.items(), key=lambda one: -one[1][2] * one[1][3]):
            try:
                mask = marking.placed(mask, Marks(box=box), object_id=object_id)[0]
            except NothingFoundError:
                x, y, width, height = box
                inside = mask[y : y + height, x : x + width]
                inside[inside == 0] = object_id
        masks[index] = mask
    return masks


def boxes_of(mask: Mask) -> dict[int, Box]:
    """The box around each object of a mask.

    Args:
        mask: uint8 (H, W), object ids.

    Returns:
        Object id → (x, y, width, height) in pixels.
    """
    found = {}
    for object_id in object_ids(mask):
        region = mask == object_id
        columns, rows = np.flatnonzero(region.any(axis=0)), np.flatnonzero(region.any(axis=1))
        left, top = int(columns[0]), int(rows[0])
        found[object_id] = (left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)
    return found


def track_boxes(
    clip: SourceClip,
    boxes: Mapping[int, Mapping[int, Box]],
    *,
    start: int,
    stop: int,
    propagator: PropagatorOptions,
    model: Path,
    fetch: bool = True,
    reporter: Reporter,
) -> Generator[TrackedBoxes, None, None]:
    """Track what boxes hold through a range of frames; see `TrackSession.frames` for the order.
    Closing the generator stops the work.

    Args:
        clip: the clip.
        boxes: as for `masks_of_boxes`.
        start: the first frame that is wanted.
        stop: the frame after the last one.
        propagator: which one, and how.
        model: the folder of network weights.
        fetch: whether the salient network may be fetched into it.
        reporter: receives notices.

    Raises:
        UsageError: a box lies outside, or the range is empty.
        VfxMatteError: the propagator cannot run here, or a frame cannot be read.
    """
    references = masks_of_boxes(clip, boxes, model=model, fetch=fetch, reporter=reporter)
    session = TrackSession(
        ClipImages(clip.reader),
        references,
        start=start,
        stop=stop,
        propagator=propagator,
        notify=reporter.notify,
    )
    with closing(session.frames()) as frames:
        for frame in frames:
            yield TrackedBoxes(frame.frame_index, boxes_of(frame.mask), frame.confidence)
