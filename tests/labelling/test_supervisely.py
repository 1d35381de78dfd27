"""The tracking app for Supervisely, driven by the SDK's own handlers in this process. What an
instance sends is written from the SDK; no instance is asked.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures
from support.drifting_squares import Clip, draw

from vfx_matte.errors import UsageError
from vfx_matte.masks import Mask, overlap
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.tracking import TrackSession

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's and its packages'

LENGTH = 6


@pytest.fixture(autouse=True)
def sdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:  # noqa: ANN401
    """The SDK, with a folder of its own."""
    monkeypatch.setenv("SLY_APP_DATA_DIR", str(tmp_path))
    return pytest.importorskip("supervisely")


@pytest.fixture
def app(sdk: Any) -> Any:  # noqa: ANN401
    from vfx_matte.labelling.supervisely import VfxMatteTracking

    made = VfxMatteTracking(propagator="builtin", network=False)
    made.cache = FakeCache()
    return made


class FakeCache:
    """The frames of a video, as the SDK's cache gives them."""

    is_persistent = True

    def run_cache_task_manually(self, *_: object, **__: object) -> None:
        """All is there."""

    def frames_loader(self, _api: object, *, frame_indexes: Sequence[int], **_: object) -> Any:  # noqa: ANN401
        return (draw(index)[0] for index in frame_indexes)

    def download_frames(
        self,
        _api: object,
        _video: int,
        indexes: Sequence[int],
        progress_cb: Any = None,  # noqa: ANN401
    ) -> list[np.ndarray]:
        for _ in indexes:
            progress_cb(1)
        return [draw(index)[0] for index in indexes]


class FakeApi:
    """What the handlers ask of an instance, and what it was told."""

    def __init__(self, sdk: Any) -> None:  # noqa: ANN401
        from supervisely.api.video.video_figure_api import VideoFigureApi

        self.logger = sdk.logger
        self.progress: list[tuple[int, int]] = []
        self.errors: list[str] = []
        self.stops_after = 10**6
        """Answers from this progress on that the user has stopped."""
        self.video = SimpleNamespace(
            figure=VideoFigureApi(self),
            notify_progress=self._progress,
            notify_tracking_error=lambda _track, error, message: self.errors.append(
                f"{error}: {message}"
            ),
        )

    def _progress(
        self, _track: str, _video: int, _first: int, _last: int, current: int, total: int,
        **_: object,
    ) -> bool:  # fmt: skip
        self.progress.append((current, total))
        return current >= self.stops_after


def expected(mask: Mask) -> list[Mask]:
    session = TrackSession(
        Clip(LENGTH), {0: mask}, start=0, stop=LENGTH,
        propagator=PropagatorOptions(name="builtin", values={"network": False}),
    )  # fmt: skip
    return [frame.mask for frame in session.frames()]


def region_of(sdk: Any, kind: str, data: dict[str, Any]) -> np.ndarray:  # noqa: ANN401
    drawn = np.zeros((*draw(0)[1].shape, 3), np.uint8)
    sdk.deserialize_geometry(kind, data).draw(drawn, color=[1, 1, 1])
    return drawn[..., 0] > 0


def figure(sdk: Any, number: int, geometry: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "id": number, "objectId": 100 + number, "meta": {"frame": 0},
        "geometryType": geometry.geometry_name(), "geometry": geometry.to_json(),
    }  # fmt: skip


def png(index: int) -> io.BytesIO:
    packed = io.BytesIO()
    Pictures.fromarray(draw(index)[0]).save(packed, "PNG")
    packed.seek(0)
    return packed


def run(app: Any, api: FakeApi, figures: list[dict[str, Any]], **context: object) -> Any:  # noqa: ANN401
    """Ask as the video tool does, and wait: the request."""
    told = app.track_async(
        api, {},
        {"videoId": 1, "frameIndex": 0, "frames": LENGTH - 1, "trackId": "t", "figures": figures}
        | context,
    )  # fmt: skip
    request = app.inference_requests_manager.get(told["inference_request_uuid"])
    for _ in range(600):
        if request.is_finished():
            return request
        time.sleep(0.05)
    raise TimeoutError


def popped(app: Any, request: Any) -> list[Any]:  # noqa: ANN401
    context = {"inference_request_uuid": request.uuid, "frameRange": [0, LENGTH]}
    return list(app.pop_tracking_results({}, context)["pending_results"])


def test_masks_are_those_of_a_session(app: Any, sdk: Any) -> None:  # noqa: ANN401
    mask = draw(0)[1]
    found = app.predict([draw(index)[0] for index in range(LENGTH)], mask)
    assert len(found) == LENGTH
    for one, other in zip(found, expected(mask), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.array(found).shape == (LENGTH, *mask.shape)
    np.testing.assert_array_equal(np.array(found)[3], found[3])


def test_masks_are_computed_as_they_are_asked_for(app: Any) -> None:  # noqa: ANN401
    """The SDK sends each before it asks for the next, and may stop in between."""
    asked: list[int] = []

    class Frames(list):  # type: ignore[type-arg]
        def __getitem__(self, index: Any) -> Any:  # noqa: ANN401
            asked.append(index)
            return super().__getitem__(index)

    found = iter(app.predict(Frames(draw(index)[0] for index in range(LENGTH)), draw(0)[1]))
    next(found)
    next(found)
    assert asked == [0, 1]


def test_files_are_tracked(app: Any, sdk: Any) -> None:  # noqa: ANN401
    mask = draw(0)[1]
    bitmap = sdk.Bitmap(mask == 1)
    results = app.track_api_files(
        [png(index) for index in range(LENGTH)],
        {
            "frame_index": 0,
            "frames": LENGTH - 1,
            "input_geometries": [{"type": "bitmap", "data": bitmap.to_json()}],
        },
    )
    for index, found in enumerate(results, start=1):
        (one,) = found
        assert overlap(region_of(sdk, one["type"], one["data"]), draw(index)[1] == 1) > 0.8


@pytest.mark.parametrize("kind", ["bitmap", "polygon"])
def test_figures_come_frame_by_frame_with_progress(app: Any, sdk: Any, kind: str) -> None:  # noqa: ANN401
    mask, api = draw(0)[1], FakeApi(sdk)
    geometries = [sdk.Bitmap(mask == object_id) for object_id in (1, 2)]
    if kind == "polygon":
        geometries = [geometry.to_contours()[0] for geometry in geometries]
    figures = [figure(sdk, number, geometry) for number, geometry in enumerate(geometries, 1)]
    request = run(app, api, figures)
    assert request.exception is None
    assert api.errors == []
    assert api.progress == [(2 * step, 2 * (LENGTH - 1)) for step in range(1, LENGTH)]
    results = popped(app, request)
    assert [(one.frame_index, one.object_id) for one in results] == [
        (index, 100 + number) for index in range(1, LENGTH) for number in (1, 2)
    ]
    whole = expected(mask)
    for one in results:
        found = region_of(sdk, one.geometry_type, one.geometry)
        number = one.object_id - 100
        assert one.geometry_type == kind
        if kind == "bitmap":
            np.testing.assert_array_equal(found, whole[one.frame_index] == number)
        assert overlap(found, draw(one.frame_index)[1] == number) > 0.7
    assert popped(app, request) == []


def test_figures_that_lie_over_each_other_are_tracked_whole(app: Any, sdk: Any) -> None:  # noqa: ANN401
    mask = draw(0)[1]
    square = mask == 1
    part = square & (np.arange(mask.shape[1]) < 14)
    figures = [figure(sdk, at, sdk.Bitmap(one)) for at, one in enumerate((square, part), 1)]
    request = run(app, FakeApi(sdk), figures)
    whole = expected(square.astype(np.uint8))
    for one in popped(app, request):
        if one.object_id == 101:
            found = region_of(sdk, one.geometry_type, one.geometry)
            np.testing.assert_array_equal(found, whole[one.frame_index] > 0)


def test_backward(app: Any, sdk: Any) -> None:  # noqa: ANN401
    bitmap = sdk.Bitmap(draw(LENGTH - 1)[1] == 1)
    request = run(
        app, FakeApi(sdk), [figure(sdk, 1, bitmap)], frameIndex=LENGTH - 1, direction="backward"
    )
    results = popped(app, request)
    assert [one.frame_index for one in results] == list(range(LENGTH - 2, -1, -1))
    for one in results:
        found = region_of(sdk, one.geometry_type, one.geometry)
        assert overlap(found, draw(one.frame_index)[1] == 1) > 0.8


def test_the_page_can_stop_it(app: Any, sdk: Any) -> None:  # noqa: ANN401
    api = FakeApi(sdk)
    api.stops_after = 2
    request = run(app, api, [figure(sdk, 1, sdk.Bitmap(draw(0)[1] == 1))])
    assert [one.frame_index for one in popped(app, request)] == [1, 2]
    # the last word is that all that was asked for is there
    assert api.progress == [(1, LENGTH - 1), (2, LENGTH - 1), (2, 2)]


def test_stop_tracking_stops_it(app: Any, sdk: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    api = FakeApi(sdk)

    def stop(*arguments: object, **_: object) -> bool:
        (uuid,) = app.inference_requests_manager._inference_requests
        assert app.stop_tracking({}, {"inference_request_uuid": uuid})["success"]
        return False

    api.video.notify_progress = stop
    request = run(app, api, [figure(sdk, 1, sdk.Bitmap(draw(0)[1] == 1))])
    assert [one.frame_index for one in popped(app, request)] == [1]


def test_what_cannot_be_tracked_is_told(app: Any, sdk: Any) -> None:  # noqa: ANN401
    api = FakeApi(sdk)
    request = run(app, api, [figure(sdk, 1, sdk.Rectangle(2, 2, 20, 20))])
    assert "a rectangle cannot be tracked" in str(request.exception)
    (error,) = api.errors
    assert "track masks (bitmaps) and polygons" in error
    with pytest.raises(UsageError, match="no reference mask shows an object; paint"):
        app.predict([draw(0)[0], draw(1)[0]], np.zeros(draw(0)[1].shape, np.uint8))


def test_options_are_checked_when_it_is_made(sdk: Any) -> None:  # noqa: ANN401
    from vfx_matte.labelling.supervisely import VfxMatteTracking

    with pytest.raises(UsageError, match="propagator 'nonesuch'"):
        VfxMatteTracking(propagator="nonesuch")
    with pytest.raises(TypeError, match="networ"):
        VfxMatteTracking(networ=False)
