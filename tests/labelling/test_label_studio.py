"""The backend for Label Studio: marks become brushes, boxes become tracks, and nothing but the
files of that Label Studio is read. The server here speaks as Label Studio 1.23 does;
tools/try_label_studio.py runs the real one.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import httpx  # noqa: TID253  the program loads it where it is used
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vfx_matte.annotations.label_studio import unpack
from vfx_matte.errors import InputError, MaskError, UsageError, VfxMatteError
from vfx_matte.labelling.label_studio import (
    LabelStudioBackend,
    LabelStudioClient,
    LabelStudioOptions,
)
from vfx_matte.labelling.label_studio import backend as backend_module
from vfx_matte.labelling.label_studio.config import frame_rate, read_config
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.tracking import TrackedBoxes

WIDTH, HEIGHT, FRAMES, RATE = 160, 120, 20, 10
ADDRESS = "http://studio.test:8080"
IMAGES = (
    '<View><Image name="image" value="$image"/><BrushLabels name="tag" toName="image">'
    '<Label value="ball"/><Label value="dog"/></BrushLabels>'
    '<KeyPointLabels name="point" toName="image" smart="true"><Label value="ball"/>'
    '</KeyPointLabels><RectangleLabels name="rect" toName="image" smart="true">'
    '<Label value="ball"/></RectangleLabels></View>'
)
VIDEOS = (
    '<View><Labels name="what" toName="video"><Label value="ball"/></Labels>'
    f'<Video name="video" value="$video" framerate="{RATE}"/>'
    '<VideoRectangle name="box" toName="video" smart="true"/></View>'
)


def place(index: int) -> tuple[int, int]:
    """The centre of the ball in a frame."""
    return 30 + 5 * index, 50 + index


RADIUS = 14


def picture(index: int) -> np.ndarray[Any, Any]:
    noise = np.random.default_rng(5).integers(60, 190, (15, 20, 3), np.uint8)
    image = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    cv2.circle(image, place(index), RADIUS, (235, 40, 40), -1)
    return image


def box(index: int) -> dict[str, float]:
    """Around the ball, in per cent."""
    x, y = place(index)
    return {
        "x": 100 * (x - RADIUS - 2) / WIDTH,
        "y": 100 * (y - RADIUS - 2) / HEIGHT,
        "width": 100 * (2 * RADIUS + 4) / WIDTH,
        "height": 100 * (2 * RADIUS + 4) / HEIGHT,
        "rotation": 0,
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("label_studio")
    with av.open(str(folder / "a.mp4"), "w") as output:
        stream = output.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"qscale": "2"}
        stream.codec_context.time_base = Fraction(1, RATE)
        for index in range(FRAMES):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
        output.mux(stream.encode())
    Image.fromarray(picture(3)).save(folder / "a.png")
    return {
        "/data/upload/1/a.mp4": (folder / "a.mp4").read_bytes(),
        "/data/upload/1/a.png": (folder / "a.png").read_bytes(),
    }


class Server:
    """As much of Label Studio as the backend asks."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.predictions = files, []
        self.asked: list[str] = []
        self.tokens = 0
        self.received = threading.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if path == "/api/token/refresh":
            assert json.loads(request.content) == {"refresh": "a.b.c"}
            self.tokens += 1
            return httpx.Response(200, json={"access": f"access{self.tokens}"})
        # a token of the first minutes is not taken later
        if request.headers["authorization"] not in ("Token legacy", "Bearer access2"):
            return httpx.Response(401, json={"detail": "no"})
        if path == "/api/predictions/":
            self.predictions.append(json.loads(request.content))
            self.received.set()
            return httpx.Response(201, json={"id": 7})
        if path == "/data/moved":
            return httpx.Response(302, headers={"location": "http://elsewhere.test/a.mp4"})
        if path in self.files:
            return httpx.Response(200, content=self.files[path])
        return httpx.Response(404)


@pytest.fixture
def server(files: dict[str, bytes]) -> Server:
    return Server(files)


def client(server: Server, key: str = "legacy", address: str = ADDRESS) -> LabelStudioClient:
    return LabelStudioClient(address, key, transport=httpx.MockTransport(server))


@pytest.fixture
def opened(server: Server, tmp_path: Path) -> Iterator[Callable[..., LabelStudioBackend]]:
    made: list[LabelStudioBackend] = []

    def make(key: str = "legacy", **options: object) -> LabelStudioBackend:
        options = {
            "propagator": PropagatorOptions(name="builtin", values={"network": False})
        } | options
        made.append(
            LabelStudioBackend(
                client(server, key),
                LabelStudioOptions(model=tmp_path, fetch=False, **options),
                reporter=reporter,
            )
        )
        return made[-1]

    reporter = SilentReporter()
    make.reporter = reporter  # type: ignore[attr-defined]
    yield make
    for one in made:
        one.close()


def request(
    config: str, *tasks: dict[str, Any], context: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    params = {"login": None, "password": None}
    params["context"] = None if context is None else {"result": context}  # type: ignore[assignment]
    return {"tasks": list(tasks), "project": "1.17", "label_config": config, "params": params}


def image_task(number: int = 1, **more: object) -> dict[str, Any]:
    return {"id": number, "data": {"image": "/data/upload/1/a.png"}, "project": 1, **more}


def video_task(number: int = 5, **more: object) -> dict[str, Any]:
    return {"id": number, "data": {"video": "/data/upload/1/a.mp4"}, "project": 1, **more}


def point(x: int, y: int, *, positive: bool = True) -> dict[str, Any]:
    return {
        "id": "p", "type": "keypointlabels", "from_name": "point", "to_name": "image",
        "is_positive": positive, "original_width": WIDTH, "original_height": HEIGHT,
        "value": {
            "x": 100 * (x + 0.5) / WIDTH, "y": 100 * (y + 0.5) / HEIGHT, "width": 0.5,
            "keypointlabels": ["ball"],
        },
    }  # fmt: skip


def rectangle(index: int, label: str = "ball") -> dict[str, Any]:
    return {
        "id": "r", "type": "rectanglelabels", "from_name": "rect", "to_name": "image",
        "value": {**box(index), "rectanglelabels": [label]},
    }  # fmt: skip


def boxed(*frames: int, **more: object) -> dict[str, Any]:
    """A region with boxes on frames of Label Studio, which count from 1."""
    return {
        "id": "v1", "type": "videorectangle", "from_name": "box", "to_name": "video",
        "origin": "manual",
        "value": {
            "framesCount": FRAMES, "duration": FRAMES / RATE, "labels": ["ball"],
            "sequence": [
                {"frame": frame, "enabled": True, "time": frame / RATE, **box(frame - 1), **more}
                for frame in frames
            ],
        },
    }  # fmt: skip


def overlap_of_boxes(keyframe: dict[str, Any], index: int) -> float:
    """Intersection over union with the ball's true box."""
    x, y = place(index)
    true = (x - RADIUS, y - RADIUS, x + RADIUS + 1, y + RADIUS + 1)
    left, top = keyframe["x"] * WIDTH / 100, keyframe["y"] * HEIGHT / 100
    right = left + keyframe["width"] * WIDTH / 100
    bottom = top + keyframe["height"] * HEIGHT / 100
    inside = max(0.0, min(right, true[2]) - max(left, true[0])) * max(
        0.0, min(bottom, true[3]) - max(top, true[1])
    )
    area = (right - left) * (bottom - top) + (true[2] - true[0]) * (true[3] - true[1]) - inside
    return inside / area


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize(
    "marks",
    [[rectangle(3)], [point(45, 53), point(4, 4, positive=False)], [rectangle(3), point(45, 53)]],
)
def test_marks_of_a_picture_become_a_brush(
    marks: list[dict[str, Any]], opened: Callable[..., LabelStudioBackend]
) -> None:
    answer = opened().predict(request(IMAGES, image_task(), context=marks))
    ((prediction,)) = answer["results"]  # type: ignore[misc]
    assert prediction["model_version"] == backend_module.MODEL_VERSION
    (region,) = prediction["result"]
    assert (region["type"], region["from_name"], region["to_name"]) == (
        "brushlabels",
        "tag",
        "image",
    )
    assert (region["original_width"], region["original_height"]) == (WIDTH, HEIGHT)
    assert region["value"]["brushlabels"] == ["ball"]
    assert 0 < region["score"] <= 1
    assert prediction["score"] == pytest.approx(region["score"], abs=1e-3)
    values = unpack(region["value"]["rle"], WIDTH * HEIGHT * 4, "x").reshape(HEIGHT, WIDTH, 4)
    found = values[..., 3] == 255
    true = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(true, place(3), RADIUS, 1, -1)
    both = found & (true == 1)
    assert both.sum() / (found | (true == 1)).sum() > 0.85


def test_without_a_context_annotated_rectangles_are_taken_one_by_one(
    opened: Callable[..., LabelStudioBackend],
) -> None:
    annotated = image_task(
        annotations=[
            {"was_cancelled": True, "result": [rectangle(0)]},
            {"result": [rectangle(3), {**rectangle(3), "id": "s"}]},
        ]
    )
    answer = opened().predict(request(IMAGES, annotated, image_task(2)))
    first, second = answer["results"]  # type: ignore[misc]
    assert len(first["result"]) == 2
    # a task with nothing marked gets no prediction, and Label Studio asks for it again later
    assert second == []


def test_tasks_that_take_too_long_for_one_request_are_left_for_the_next(
    opened: Callable[..., LabelStudioBackend],
) -> None:
    tasks = [image_task(n, annotations=[{"result": [rectangle(3)]}]) for n in range(1, 4)]
    answer = opened(batch_seconds=0.0).predict(request(IMAGES, *tasks))
    first, second, third = answer["results"]  # type: ignore[misc]
    assert len(first["result"]) == 1
    # or Label Studio would not ask for them again
    assert (second, third) == ([], [])
    assert "2 of 3 tasks" in opened.reporter.lines[-1]  # type: ignore[attr-defined]


def test_a_label_that_brushes_do_not_have_is_said(
    opened: Callable[..., LabelStudioBackend],
) -> None:
    with pytest.raises(MaskError, match="'tag' has no label 'cat'") as caught:
        opened().predict(request(IMAGES, image_task(), context=[rectangle(3, "cat")]))
    assert "ball, dog" in caught.value.hint
    one = IMAGES.replace('<Label value="dog"/>', "")
    answer = opened().predict(request(one, image_task(), context=[rectangle(3, "cat")]))
    assert answer["results"][0]["result"][0]["value"]["brushlabels"] == ["ball"]  # type: ignore[index]


def test_a_picture_is_fetched_once_for_many_clicks(
    opened: Callable[..., LabelStudioBackend], server: Server
) -> None:
    backend = opened()
    for _ in range(3):
        backend.predict(request(IMAGES, image_task(), context=[point(45, 53)]))
    assert server.asked == ["/data/upload/1/a.png"]


# ---------------------------------------------------------------- videos


def test_a_box_of_a_video_becomes_boxes_on_all_frames_after_it(
    opened: Callable[..., LabelStudioBackend], server: Server
) -> None:
    answer = opened().predict(request(VIDEOS, video_task(), context=[boxed(3)]))
    (region,) = answer["results"][0]["result"]  # type: ignore[index]
    assert (region["id"], region["type"]) == ("v1", "videorectangle")
    value = region["value"]
    assert (value["labels"], value["framesCount"], value["duration"]) == (["ball"], 20, 2.0)
    assert [one["frame"] for one in value["sequence"]] == list(range(3, 21))
    # what a person drew stays as it is
    assert value["sequence"][0] == boxed(3)["value"]["sequence"][0]
    # a box holds some of the noise behind the ball, and that may be taken along for a few frames
    overlaps = [overlap_of_boxes(one, one["frame"] - 1) for one in value["sequence"][1:]]
    assert sum(overlaps) / len(overlaps) > 0.65
    assert min(overlaps) > 0.3
    for one in value["sequence"][1:]:
        assert one["enabled"] is True
        assert one["time"] == pytest.approx(one["frame"] / RATE)
    assert server.predictions == []


@pytest.mark.slow
def test_boxes_that_were_tracked_before_are_tracked_anew_and_corrected_ones_are_kept(
    opened: Callable[..., LabelStudioBackend],
) -> None:
    backend = opened()
    first = backend.predict(request(VIDEOS, video_task(), context=[boxed(1)]))
    region = first["results"][0]["result"][0]  # type: ignore[index]
    again = backend.predict(request(VIDEOS, video_task(), context=[region]))
    assert again["results"][0]["result"][0]["value"] == region["value"]  # type: ignore[index]
    # moved in the editor, which keeps what else stands in the keyframe
    moved = json.loads(json.dumps(region))
    moved["value"]["sequence"][9] |= box(12)
    after = backend.predict(request(VIDEOS, video_task(), context=[moved]))
    sequence = after["results"][0]["result"][0]["value"]["sequence"]  # type: ignore[index]
    assert sequence[9] == moved["value"]["sequence"][9]


@pytest.mark.slow
def test_frames_are_those_of_label_studio_whatever_the_rate_of_the_video(
    opened: Callable[..., LabelStudioBackend],
) -> None:
    for rate, count in ((20, 40), (5, 10)):
        config = VIDEOS.replace(f'framerate="{RATE}"', 'framerate="$fps"')
        task = video_task()
        task["data"]["fps"] = rate
        first = boxed(1)
        answer = opened().predict(request(config, task, context=[first]))
        sequence = answer["results"][0]["result"][0]["value"]["sequence"]  # type: ignore[index]
        assert [one["frame"] for one in sequence] == list(range(1, count + 1))
        for one in sequence[1:]:
            index = int((one["frame"] - 0.9) / rate * RATE)
            assert overlap_of_boxes(one, index) > 0.5


def test_what_a_person_has_ended_is_not_brought_back(
    opened: Callable[..., LabelStudioBackend],
) -> None:
    region = boxed(1, 5)
    region["value"]["sequence"][1]["enabled"] = False
    answer = opened().predict(request(VIDEOS, video_task(), context=[region]))
    sequence = answer["results"][0]["result"][0]["value"]["sequence"]  # type: ignore[index]
    assert [one["frame"] for one in sequence] == [1, 2, 3, 4, 5]
    assert sequence[-1]["enabled"] is False


@pytest.mark.slow
def test_two_objects_of_a_video_keep_their_regions(
    opened: Callable[..., LabelStudioBackend],
) -> None:
    other = boxed(1)
    other["id"] = "v2"
    other["value"]["sequence"][0] |= {"x": 60.0, "y": 5.0, "width": 20.0, "height": 15.0}
    answer = opened().predict(request(VIDEOS, video_task(), context=[boxed(1), other]))
    first, second = answer["results"][0]["result"]  # type: ignore[index]
    assert (first["id"], second["id"]) == ("v1", "v2")
    assert overlap_of_boxes(first["value"]["sequence"][8], 8) > 0.5
    assert overlap_of_boxes(second["value"]["sequence"][1], 1) < 0.3


def test_what_takes_long_is_sent_later_as_a_prediction(
    opened: Callable[..., LabelStudioBackend], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    real, real_answer = backend_module.track_boxes, backend_module.Track.answer

    def slow(*arguments: object, **options: object) -> Iterator[TrackedBoxes]:
        for number, found in enumerate(real(*arguments, **options)):
            if number == 6:
                reached.set()
                assert go_on.wait(60)
            yield found

    def answer_then(track: backend_module.Track, _: float) -> dict[int, TrackedBoxes]:
        assert reached.wait(60)
        return real_answer(track, 0.0)

    monkeypatch.setattr(backend_module.Track, "answer", answer_then)
    monkeypatch.setattr(backend_module, "track_boxes", slow)
    backend = opened()
    answer = backend.predict(request(VIDEOS, video_task(), context=[boxed(1)]))
    sequence = answer["results"][0]["result"][0]["value"]["sequence"]  # type: ignore[index]
    assert [one["frame"] for one in sequence] == [1, 2, 3, 4, 5, 6]
    # or the last box would stand still to the end of the video
    assert sequence[-1]["enabled"] is False
    assert server.predictions == []
    go_on.set()
    assert server.received.wait(60)
    (sent,) = server.predictions
    assert (sent["task"], sent["model_version"]) == (5, backend_module.MODEL_VERSION)
    whole = sent["result"][0]["value"]["sequence"]
    assert [one["frame"] for one in whole] == list(range(1, 21))
    assert whole[:5] == sequence[:5]


def test_a_new_request_for_a_task_ends_the_one_before(
    opened: Callable[..., LabelStudioBackend], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ended, calls = backend_module.track_boxes, threading.Event(), []

    def slow(*arguments: object, **options: object) -> Iterator[TrackedBoxes]:
        calls.append(1)
        if len(calls) > 1:
            yield from real(*arguments, **options)
            return
        try:
            while True:
                yield TrackedBoxes(0, {}, {})
        finally:
            ended.set()

    monkeypatch.setattr(backend_module, "track_boxes", slow)
    backend = opened(answer_seconds=0.3)
    backend.predict(request(VIDEOS, video_task(), context=[boxed(1)]))
    monkeypatch.setattr(backend, "_options", opened()._options)
    answer = backend.predict(request(VIDEOS, video_task(), context=[boxed(2)]))
    assert ended.wait(10)
    assert answer["results"][0]["result"][0]["value"]["sequence"][-1]["frame"] == 20  # type: ignore[index]
    assert server.predictions == []


def test_a_track_that_fails_later_is_said(
    opened: Callable[..., LabelStudioBackend], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail, told = threading.Event(), threading.Event()

    def broken(*_: object, **__: object) -> Iterator[TrackedBoxes]:
        yield TrackedBoxes(0, {}, {})
        assert fail.wait(60)
        raise MaskError("the disk is full")

    monkeypatch.setattr(backend_module, "track_boxes", broken)
    monkeypatch.setattr(opened.reporter, "notify", lambda line: (lines.append(line), told.set()))
    lines: list[str] = []
    backend = opened(answer_seconds=0.1)
    backend.predict(request(VIDEOS, video_task(), context=[boxed(1)]))
    fail.set()
    assert told.wait(60)
    assert lines == ["task 5: the disk is full"]
    assert server.predictions == []
    # in time it is the answer
    fail.set()
    with pytest.raises(MaskError, match="the disk is full"):
        opened(answer_seconds=30.0).predict(request(VIDEOS, video_task(), context=[boxed(1)]))


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("http://elsewhere.test/a.mp4", "is no file of"),
        ("//elsewhere.test/data/a.mp4", "is no file of"),
        ("http://studio.test:8081/data/a.mp4", "is no file of"),
        ("file:///etc/passwd", "is no file of"),
        ("s3://bucket/data/a.mp4", "is no file of"),
        ("/api/current-user/token", "is no file of"),
        ("/data/../api/users", "is no file of"),
        ("/data/moved", "kept on another server"),
        ("/data/upload/1/nothing.mp4", "answers 404"),
        ("", "no picture and no video"),
    ],
)
def test_only_files_of_that_label_studio_are_read(
    link: str, message: str, opened: Callable[..., LabelStudioBackend], server: Server
) -> None:
    task = video_task()
    task["data"]["video"] = link
    with pytest.raises(VfxMatteError, match=message):
        opened().predict(request(VIDEOS, task, context=[boxed(1)]))
    assert all(path.startswith("/data/") for path in server.asked)


def test_a_file_that_is_too_large_is_given_up(server: Server, tmp_path: Path) -> None:
    one = client(server)
    with pytest.raises(InputError, match="more than 100 bytes"):
        one.fetch("/data/upload/1/a.png", tmp_path / "x", most_bytes=100)
    one.fetch("/data/upload/1/a.png", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.files["/data/upload/1/a.png"]


def test_a_personal_access_token_is_exchanged_and_exchanged_again(
    server: Server, tmp_path: Path
) -> None:
    one = client(server, "a.b.c")
    one.fetch("/data/upload/1/a.png", tmp_path / "x")
    assert server.asked == [
        "/api/token/refresh", "/data/upload/1/a.png", "/api/token/refresh", "/data/upload/1/a.png",
    ]  # fmt: skip
    assert one.add_prediction(1, result=[], score=0.5, version="v") == 7
    assert server.tokens == 2
    with pytest.raises(InputError, match="answers 401"):
        client(server, "wrong").fetch("/data/upload/1/a.png", tmp_path / "y")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("ftp://a", "k"), ("studio", "k"), ("http://", "k"), ("http://user:word@a", "k"),
        (ADDRESS, ""), (ADDRESS, "a\nb"),
    ],
)  # fmt: skip
def test_addresses_and_keys_that_cannot_be_are_refused(address: str, key: str) -> None:
    with pytest.raises(UsageError):
        LabelStudioClient(address, key)


def test_a_label_studio_below_a_path_is_asked_there(server: Server, tmp_path: Path) -> None:
    server.files = {"/studio/data/a.png": b"x"}
    for link in ("/data/a.png", "/studio/data/a.png", f"{ADDRESS}/studio/data/a.png"):
        client(server, address=f"{ADDRESS}/studio").fetch(link, tmp_path / "x")
    assert set(server.asked) == {"/studio/data/a.png"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "is no XML"),
        ("<View>", "is no XML"),
        ("<View/>", "no tag that can be helped with"),
        ('<View><BrushLabels name="a" toName="b"/></View>', "no tag that can be helped with"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><View/>', "has a document type"),
        ("<View>" + " " * 1_000_000 + "</View>", "characters"),
    ],
)
def test_configurations_that_cannot_be_helped_with_are_said(config: str, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        read_config(config)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25", 25), ("29.97", Fraction(2997, 100)), ("0.04", 25), ("$fps", 50), ("", 24), ("x", 24),
        ("0", 24), ("-5", 24), ("1e9", 24), ("nan", 24), ("inf", 24), ("$missing", 24),
    ],
)  # fmt: skip
def test_rates_are_read_as_label_studio_reads_them(text: str, rate: Fraction) -> None:
    assert frame_rate(text, {"fps": "50"}) == rate


@pytest.mark.parametrize(
    "damage",
    [
        {"tasks": None}, {"tasks": [3]}, {"tasks": [{}]}, {"label_config": 3}, {"params": 3},
        {"params": {"context": 3}}, {"params": {"context": {"result": [3]}}},
        {"params": {"context": {"result": [{**boxed(1), "value": 3}]}}},
        {"params": {"context": {"result": [boxed(0)]}}},
        {"params": {"context": {"result": [boxed(21)]}}},
        {"params": {"context": {"result": [boxed(1, x="a")]}}},
        {"params": {"context": {"result": [boxed(1, x=200)]}}},
        {"params": {"context": {"result": [boxed(1, width=0)]}}},
    ],
)  # fmt: skip
def test_damaged_requests_are_refused(
    damage: dict[str, Any], opened: Callable[..., LabelStudioBackend]
) -> None:
    body = request(VIDEOS, video_task(), context=[boxed(1)]) | damage
    with pytest.raises(VfxMatteError):
        opened().predict(body)


ODD = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 300), st.floats(), st.text(max_size=6),
        st.sampled_from([10**400, 2**70, -1, 1e308, "$video", "ball"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)  # fmt: skip


def places(node: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in JSON."""
    items = node.items() if isinstance(node, dict) else enumerate(node)  # type: ignore[arg-type]
    found = []
    for key, value in items:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += places(value, (*path, key))
    return found


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_sent_an_error_says_what_is_wrong(
    data: st.DataObject,
    opened: Callable[..., LabelStudioBackend],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backend_module, "track_boxes", lambda *_, **__: (one for one in ()))
    config, task, marks = data.draw(
        st.sampled_from(
            [
                (VIDEOS, video_task(), [boxed(1, 3)]),
                (IMAGES, image_task(), [rectangle(3), point(45, 53)]),
            ]
        )
    )
    in_context = data.draw(st.booleans())
    if not in_context:
        task["annotations"] = [{"result": marks}]
    body = json.loads(json.dumps(request(config, task, context=marks if in_context else None)))
    *path, last = data.draw(st.sampled_from(places(body)))
    node: Any = body
    for key in path:
        node = node[key]
    node[last] = data.draw(ODD)
    backend = opened()
    try:
        answer = backend.predict(body)
        json.dumps(answer, allow_nan=False)
    except VfxMatteError:
        pass
    finally:
        backend.close()


def test_what_json_cannot_say_is_refused(opened: Callable[..., LabelStudioBackend]) -> None:
    endless = boxed(1)
    endless["value"]["sequence"][0]["time"] = math.inf
    with pytest.raises(MaskError, match="Infinity or NaN"):
        opened().predict(request(VIDEOS, video_task(), context=[endless]))


@pytest.mark.parametrize("far", [{"width": 1e300}, {"rotation": 45}, {"x": -20, "width": 60}])
def test_boxes_are_cut_to_the_picture(
    far: dict[str, Any], opened: Callable[..., LabelStudioBackend]
) -> None:
    answer = opened().predict(request(VIDEOS, video_task(), context=[boxed(1, **far)]))
    sequence = answer["results"][0]["result"][0]["value"]["sequence"]  # type: ignore[index]
    assert sequence[0]["frame"] == 1


def test_health_setup_and_webhook_answer_as_label_studio_expects(
    opened: Callable[..., LabelStudioBackend], server: Server
) -> None:
    backend = opened()
    assert backend.health()["status"] == "UP"
    setup = {
        "project": "1.2",
        "schema": VIDEOS,
        "hostname": "http://evil.test",
        "access_token": "k",
    }
    assert backend.setup(setup) == {"model_version": backend_module.MODEL_VERSION}
    assert backend.setup({"project": "1.2", "schema": "<View></View>"})
    with pytest.raises(MaskError):
        backend.setup({"schema": "<View><Text/></View>"})
    assert backend.webhook({"action": "ANNOTATION_CREATED"})["status"] == "ok"
    assert server.asked == []


def test_files_are_gone_when_it_is_closed(
    opened: Callable[..., LabelStudioBackend], server: Server
) -> None:
    backend = opened()
    backend.predict(request(VIDEOS, video_task(), context=[boxed(1)]))
    folder = Path(backend._files._folder.name)
    assert list(folder.rglob("*.mp4"))
    backend.close()
    assert not folder.exists()
