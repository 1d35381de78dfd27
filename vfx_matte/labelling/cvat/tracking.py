"""Tracks masks and polygons for CVAT."""

from __future__ import annotations

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import PIL.Image

from vfx_matte.labelling.cvat.parameters import (
    Value,
    as_parameter,
    explains,
    model_folder,
    refuse_unknown,
    taken,
    wrong_types_told,
)
from vfx_matte.labelling.cvat.shapes import TYPES, points_of, region_of
from vfx_matte.labelling.messages import LogReporter
from vfx_matte.pipeline.propagator import (
    PropagatorOptions,
    helping_weights,
    propagator_option_names,
)
from vfx_matte.pipeline.tracking import Picture, RegionTracker, TrackedRegion
from vfx_matte.pipeline.tracking.regions import MOST_TRACKS
from vfx_matte.settings.options import SegmentSettings


class Tracking:
    """A `cvat_sdk.auto_annotation.TrackingFunction`.

    CVAT keeps what `init_tracking_state` gives for every shape, for up to eight hours, and shows
    one frame per call of `track`. Shapes that begin on one picture share a propagator.
    """

    def __init__(self, tracker: RegionTracker) -> None:
        self._tracker = tracker

    @property
    def spec(self) -> cvataa.TrackingFunctionSpec:
        """What can be tracked."""
        return cvataa.TrackingFunctionSpec(supported_shape_types=set(TYPES))

    def preprocess_image(
        self, context: cvataa.TrackingFunctionContext, image: PIL.Image.Image
    ) -> Picture:
        """The frame's pixels, once for all shapes."""
        del context
        return Picture(np.asarray(image.convert("RGB")))

    @explains
    def init_tracking_state(
        self,
        context: cvataa.TrackingFunctionShapeContext,
        pp_image: Picture,
        shape: cvataa.TrackableShape,
    ) -> TrackedRegion:
        """Begin to track a shape.

        Raises:
            BadFunctionError: it is damaged or empty.
        """
        del context
        height, width = pp_image.image.shape[:2]
        return self._tracker.begin(pp_image, region_of(shape.type, shape.points, (height, width)))

    @explains
    def track(
        self,
        context: cvataa.TrackingFunctionShapeContext,
        pp_image: Picture,
        state: TrackedRegion,
    ) -> cvataa.TrackableShape | None:
        """Where the shape is on the next frame; None where it is not seen.

        Raises:
            BadFunctionError: its track was forgotten, or the propagator cannot run.
        """
        kind = context.original_shape_type
        points = points_of(kind, self._tracker.follow(pp_image, state))
        return None if points is None else cvataa.TrackableShape(type=kind, points=points)


def tracker(parameters: dict[str, Value]) -> Tracking:
    """Make the tracking function.

    Args:
        parameters: `propagator`, `memory`, `model`, the options of propagators, and `max_tracks`,
            how many propagators are open at a time.

    Raises:
        UsageError: a parameter cannot be followed.
    """
    refuse_unknown(
        parameters, {"propagator", "memory", "max_tracks", "model", *propagator_option_names()}
    )
    most_tracks = taken(parameters, "max_tracks", MOST_TRACKS)
    name = taken(parameters, "propagator", SegmentSettings().propagator)
    memory = taken(parameters, "memory", SegmentSettings().memory)
    model = model_folder(parameters)
    with wrong_types_told():
        options = PropagatorOptions(
            name=name, memory=memory, values=helping_weights() | parameters, model=model
        )
        return Tracking(
            RegionTracker(
                propagator=options,
                most_tracks=most_tracks,
                notify=LogReporter(as_parameter).notify,
            )
        )
