"""Supervisely's serving app for tracking masks in videos.

    # main.py of an app
    from vfx_matte.labelling.supervisely import VfxMatteTracking

    VfxMatteTracking().serve()

The SDK answers the instance's requests, and downloads the frames that they name.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from supervisely import Bitmap, Polygon, deserialize_geometry
from supervisely.nn.inference import MaskTracking
from supervisely.nn.inference.inference_request import InferenceRequest
from supervisely.nn.inference.tracking.tracker_interface import TrackerInterfaceV2

from vfx_matte.errors import UsageError, VfxMatteError
from vfx_matte.labelling.messages import LogReporter, as_path, told
from vfx_matte.masks import Image, Mask
from vfx_matte.pipeline.propagator import PropagatorOptions, helping_weights
from vfx_matte.pipeline.tracking import Picture, RegionTracker, SteppedTrack
from vfx_matte.printable import without_folders
from vfx_matte.settings.options import PathsSettings, SegmentSettings
from vfx_matte.wording import as_python

# figures of one frame lie over each other in fewer layers than that
_MOST_LAYERS = 64


class VfxMatteTracking(MaskTracking):  # type: ignore[misc]
    """Tracks masks and polygons for Supervisely.

    Args:
        propagator: which one; "auto" is the best one that can run here.
        memory: "permanent" or "xmem".
        model: the folder of network weights.
        options: the propagators' own options.

    Raises:
        UsageError: an option cannot be followed.
    """

    def __init__(
        self,
        *,
        propagator: str = SegmentSettings().propagator,
        memory: str = SegmentSettings().memory,
        model: str | Path = PathsSettings().model,
        **options: object,
    ) -> None:
        self._reporter = LogReporter(as_python)
        self._options = PropagatorOptions(
            name=propagator,
            memory=memory,
            values=helping_weights() | options,
            model=as_path(model),
        )
        super().__init__()

    def load_on_device(self, model_dir: str | None = None, device: str = "cpu") -> None:
        """Decide on the propagator, which chooses its device by itself.

        Raises:
            UsageError: what was asked for is not there.
        """
        del model_dir
        # the SDK tries CUDA first, and the CPU after a RuntimeError
        self.device = device
        self._decided = self._options.decided(self._reporter.notify)

    def predict(self, frames: list[Image], input_mask: Mask) -> TrackedMasks:
        """The masks of all frames, the first one's included; computed when they are asked for.

        Args:
            frames: uint8 (H, W, 3) R'G'B' each, in the order in which they are tracked.
            input_mask: uint8 (H, W), object ids of the first frame, 0 = background.

        Raises:
            UsageError: the mask shows nothing, or is of another size.
        """
        try:
            track = SteppedTrack(_rgb(frames[0]), input_mask, propagator=self._decided)
        except VfxMatteError as error:
            raise _explained(error) from error
        return TrackedMasks(track, frames, input_mask)

    # In 6.74 the SDK's own puts what it found into a queue that nothing reads, and looks whether
    # it should stop only when all frames are tracked.
    def _track_async(self, api: Any, context: Any, inference_request: Any) -> None:  # noqa: ANN401
        """Track figures, and give what is found frame by frame, until the request is stopped."""
        interface = TrackerInterfaceV2(api, context, self.cache)
        figures = [api.video.figure._convert_json_info(figure) for figure in interface.figures]
        frames = [frame.image for frame in interface.load_all_frames()]
        total = interface.frames_count * len(figures)
        inference_request.set_stage(InferenceRequest.Stage.INFERENCE, 0, total)
        geometries = [
            deserialize_geometry(figure.geometry_type, figure.geometry) for figure in figures
        ]
        indices = interface.frame_indexes[1:]
        for index, found in zip(indices, self._found(frames, geometries), strict=True):
            if inference_request.is_stopped() or interface.is_stopped():
                api.logger.info("tracking was stopped", extra=interface.log_extra)
                # which says to the page that no more will come
                total = inference_request.progress.current
                interface.notify_progress(total, total, sorted((indices[0], indices[-1])))
                return
            results = [
                api.video.figure._convert_json_info(
                    {
                        "id": uuid.uuid4().hex,
                        "objectId": figure.object_id,
                        "meta": {"frame": index},
                        "geometryType": geometry.geometry_name(),
                        "geometry": geometry.to_json(),
                        "trackId": interface.track_id,
                    }
                )
                for figure, shapes in zip(figures, found, strict=True)
                for geometry in shapes
            ]
            inference_request.add_results(results)
            inference_request.done(len(figures))
            interface.notify_progress(inference_request.progress.current, total, [index, index])

    def _found(
        self, frames: Sequence[Image], geometries: Sequence[Bitmap | Polygon]
    ) -> Iterator[list[list[Bitmap | Polygon]]]:
        """For every frame after the first one the shapes of each figure, none where it is not
        seen.
        """
        try:
            for geometry in geometries:
                if not isinstance(geometry, Bitmap | Polygon):
                    raise UsageError(
                        f"a {geometry.geometry_name()} cannot be tracked",
                        hint="track masks (bitmaps) and polygons",
                    )
            tracker = RegionTracker(propagator=self._decided, most_tracks=_MOST_LAYERS)
            first = Picture(_rgb(frames[0]))
            states = [
                tracker.begin(first, _region(geometry, frames[0].shape[:2]))
                for geometry in geometries
            ]
            for frame in frames[1:]:
                picture = Picture(_rgb(frame))
                regions = [tracker.follow(picture, state) for state in states]
                yield [
                    _shapes(region, like=geometry)
                    for region, geometry in zip(regions, geometries, strict=True)
                ]
        except VfxMatteError as error:
            raise _explained(error) from error


class TrackedMasks(Sequence[Mask]):
    """Masks of frames in their order: uint8 (H, W) each, computed when they are first asked for.

    The SDK walks through them where it sends each as it comes and may be stopped, and otherwise
    makes one array of all.

    Args:
        track: begun on the first frame.
        frames: uint8 (H, W, 3) R'G'B' each.
        mask: the first one's.
    """

    def __init__(self, track: SteppedTrack, frames: Sequence[Image], mask: Mask) -> None:
        self._track, self._frames = track, frames
        self._done = [mask]

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> Mask: ...

    @overload
    def __getitem__(self, index: slice) -> list[Mask]: ...

    def __getitem__(self, index: int | slice) -> Mask | list[Mask]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        wanted = range(len(self))[index]
        while len(self._done) <= wanted:
            self._done.append(self._track.step(_rgb(self._frames[len(self._done)])).mask)
        return self._done[wanted]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:  # noqa: ANN401
        del copy
        return np.stack(self[:]).astype(dtype or np.uint8, copy=False)


def _region(geometry: Bitmap | Polygon, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
    """The pixels of a shape: bool (H, W)."""
    drawn = np.zeros((*shape[:2], 3), np.uint8)
    geometry.draw(drawn, color=[1, 1, 1])
    return drawn[..., 0] > 0


def _shapes(region: Any, *, like: Bitmap | Polygon) -> list[Bitmap | Polygon]:  # noqa: ANN401
    """A region, bool (H, W), as a shape of the same kind; of polygons one for each part."""
    if not region.any():
        return []
    bitmap = Bitmap(region)
    return list(bitmap.to_contours()) if isinstance(like, Polygon) else [bitmap]


def _rgb(frame: Image) -> Image:
    """A frame without alpha."""
    return np.ascontiguousarray(frame[..., :3])


def _explained(error: VfxMatteError) -> UsageError:
    """The error with its hint in its text, which is all that Supervisely shows; where files lie on
    the app's machine is nothing for whoever works there.
    """
    return UsageError(without_folders(told(error, as_python)))
