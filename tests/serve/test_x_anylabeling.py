# ruff: noqa: ANN401
"""X-AnyLabeling's remote server: its routes as its program asks for them, and the program itself
where it is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.labelling_server import (
    BUILTIN,
    SHAPE,
    Events,
    encoded,
    file_of,
    picture,
    serving,
    true_mask,
)
from support.studio_server import Client

from vfx_matte.web.serve.video import shapes_of

LENGTH = 6
INTERPRETER = os.environ.get("X_ANYLABELING_PYTHON", "")
"""A Python with the package x-anylabeling-cvhub, in an environment of its own."""


def frames(length: int = LENGTH) -> list[str]:
    return [f"data:image/png;base64,{encoded(file_of(picture(index)))}" for index in range(length)]


def session(client: Client) -> str:
    answer = client(
        "POST", "/v1/video/init", {"model": "auto", "frames": frames(), "start_frame_index": 0}
    )
    assert answer.status == 200, answer.json
    assert answer.json["success"] is True
    return str(answer.json["data"]["session_id"])


def click_body(session_id: str, index: int, x: float, y: float) -> dict[str, Any]:
    return {
        "session_id": session_id, "model": "auto", "frame_index": index, "obj_id": 10000,
        "points": [[x / SHAPE[1], y / SHAPE[0]]], "point_labels": [1],
        "params": {"conf_threshold": 0.0, "epsilon_factor": 0.001},
    }  # fmt: skip


def click(client: Client, session_id: str, index: int, x: float, y: float) -> Any:
    return client("POST", "/v1/video/prompt", click_body(session_id, index, x, y))


def filled(shapes: list[dict[str, Any]]) -> Any:
    """The pixels of polygons: bool (H, W)."""
    mask = np.zeros(SHAPE, np.uint8)
    for shape in shapes:
        assert shape["shape_type"] == "polygon"
        assert shape["points"][0] == shape["points"][-1]
        corners = np.floor(np.array(shape["points"])).astype(np.int32)
        cv2.fillPoly(mask, [corners], 1)
    return mask > 0


def overlap(one: Any, other: Any) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.fixture(scope="module")
def builtin() -> Any:
    with serving(propagator=BUILTIN) as client:
        yield client


def test_clicks_on_a_frame_and_the_polygons_of_the_others(builtin: Client) -> None:
    session_id = session(builtin)
    answer = click(builtin, session_id, 2, 26, 24)
    assert answer.status == 200, answer.json
    assert overlap(filled(answer.json["data"]["masks"]), true_mask(2) == 1) > 0.7
    body = {"session_id": session_id, "model": "auto", "start_frame": 0, "end_frame": 4}
    stream = Events(builtin, "/v1/video/propagate/stream", body=body)
    events = list(stream)
    stream.close()
    assert events[0] == {"type": "started", "total_frames": LENGTH, "start_frame_index": 0}
    progress = [one["current_frame"] for one in events if one["type"] == "progress"]
    assert progress == [1, 0, 3, 4]
    results = events[-1]["results"]
    assert events[-1]["type"] == "completed"
    # the frame that was clicked on is none of them: the program keeps its shape already
    assert sorted(results) == ["0", "1", "3", "4"]
    for index, found in results.items():
        assert overlap(filled(found["masks"]), true_mask(int(index)) == 1) > 0.6
        assert all(0 <= shape["score"] <= 1 for shape in found["masks"])
    at_once = builtin("POST", "/v1/video/propagate", body)
    assert at_once.json["data"]["results"] == results


def test_the_coarseness_of_a_prompt_is_that_of_its_propagation(builtin: Client) -> None:
    corners = []
    for coarseness in (0.0, 0.05):
        session_id = session(builtin)
        prompt = click_body(session_id, 0, 20, 24)
        prompt["params"]["epsilon_factor"] = coarseness
        first = builtin("POST", "/v1/video/prompt", prompt).json["data"]["masks"]
        body = {"session_id": session_id, "model": "auto", "end_frame": 1}
        results = builtin("POST", "/v1/video/propagate", body).json["data"]["results"]
        corners.append([len(one[0]["points"]) for one in (first, results["1"]["masks"])])
    assert corners[1][0] < corners[0][0]
    assert corners[1][1] < corners[0][1]


def test_after_a_propagation_another_object_begins(builtin: Client) -> None:
    session_id = session(builtin)
    click(builtin, session_id, 0, 20, 24)
    body = {"session_id": session_id, "model": "auto"}
    first = builtin("POST", "/v1/video/propagate", body).json["data"]["results"]
    click(builtin, session_id, 1, 68, 52)
    second = builtin("POST", "/v1/video/propagate", body).json["data"]["results"]
    assert overlap(filled(first["3"]["masks"]), true_mask(3) == 1) > 0.6
    assert overlap(filled(second["3"]["masks"]), true_mask(3) == 2) > 0.6


def test_a_picture_alone(builtin: Client) -> None:
    def asked(marks: list[dict[str, Any]]) -> Any:
        body = {
            "model": "auto", "image": frames(3)[2],
            "params": {"marks": marks, "epsilon_factor": 0.001, "reset_tracker": True},
        }  # fmt: skip
        return builtin("POST", "/v1/predict", body)

    for mark in (
        {"type": "point", "data": [26, 24], "label": 1},
        {"type": "rectangle", "data": [12, 10, 40, 38], "label": 1},
    ):
        answer = asked([mark])
        assert answer.status == 200, answer.json
        (shape, *_) = answer.json["data"]["shapes"]
        assert shape["label"] == "AUTOLABEL_OBJECT"
        assert overlap(filled(answer.json["data"]["shapes"]), true_mask(2) == 1) > 0.7
    assert asked([]).json["data"]["shapes"] == []


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        (
            "point",
            [SHAPE[1] + 1, 24],
            "the point 97,24 lies outside of the picture, which is 96×72",
        ),
        ("point", [26, -1], "the point 26,-1 lies outside"),
        ("point", [5000.5, 9000], "lies outside"),
        ("point", [1e308, 5], "lies outside"),
        ("point", [float("nan"), 5], "params.marks.0.data.0 is nan: it should be a finite number"),
        ("point", [5, float("-inf")], "params.marks.0.data.1 is -inf"),
        ("point", ["26", 24], "params.marks.0.data.0 is '26': it should be a valid number"),
        ("point", [True, 24], "params.marks.0.data.0 is True"),
        ("point", [None, 24], "params.marks.0.data.0"),
        ("point", "26,24", "params.marks.0.data"),
        ("point", [26, 24, 5], "a point has 2 numbers, not 3"),
        ("rectangle", [12, 10], "a rectangle has 4 numbers, not 2"),
        ("rectangle", [100, 10, 140, 38], "the box from 100,10 to 140,38 has less than 2×2 pixels"),
        ("rectangle", [-40, 10, -2, 38], "has less than 2×2 pixels inside"),
        ("rectangle", [20, 20, 21, 40], "has less than 2×2 pixels inside"),
        ("polygon", [1, 2, 3, 4], "params.marks.0.type is 'polygon'"),
    ],
)
def test_marks_that_are_not_in_the_picture_are_refused(
    builtin: Client, kind: str, data: Any, text: str
) -> None:
    mark = {"type": kind, "data": data, "label": 1}
    body = {"model": "auto", "image": frames(1)[0], "params": {"marks": [mark]}}
    answer = builtin("POST", "/v1/predict", body)
    assert answer.status in (400, 422), answer.json
    assert text in answer.json["message"]
    assert answer.json["hint"]


def test_a_box_that_reaches_out_of_the_picture_ends_at_its_edge(builtin: Client) -> None:
    found = []
    for data in ([0, 0, 40, 38], [-300, -9, 40, 38]):
        mark = {"type": "rectangle", "data": data}
        body = {"model": "auto", "image": frames(1)[0], "params": {"marks": [mark]}}
        found.append(builtin("POST", "/v1/predict", body).json["data"])
    assert found[0] == found[1]
    assert found[0]["shapes"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"points": [[1.01, 0.5]]}, "points.0.0 is 1.01: it should be less than or equal to 1"),
        ({"points": [[0.5, -0.01]]}, "points.0.1 is -0.01"),
        ({"points": [[float("nan"), 0.5]]}, "points.0.0 is nan"),
        ({"points": [["0.5", 0.5]]}, "points.0.0 is '0.5'"),
        ({"points": [[0.5]]}, "points.0"),
        ({"point_labels": [2]}, "point_labels.0 is 2"),
        ({"frame_index": 0.5}, "frame_index is 0.5"),
        ({"frame_index": 10**30}, "frame_index is 1"),
    ],
)
def test_clicks_of_a_session_that_are_none_are_refused(
    client: Client, changes: dict[str, Any], text: str
) -> None:
    answer = client("POST", "/v1/video/prompt", click_body(session(client), 0, 5, 5) | changes)
    assert answer.status == 422, answer.json
    assert text in answer.json["message"]


def test_frames_that_are_not_there_are_named(client: Client) -> None:
    session_id = session(client)
    late = {"model": "auto", "frames": frames(), "start_frame_index": LENGTH}
    for path, body in (
        ("init", late),
        ("propagate", {"session_id": session_id, "start_frame": LENGTH}),
        ("propagate/stream", {"session_id": session_id, "end_frame": LENGTH}),
    ):
        answer = client("POST", f"/v1/video/{path}", body)
        assert (answer.status, answer.json["message"]) == (400, f"there is no frame {LENGTH}")


def test_what_is_wrong_is_said(client: Client) -> None:
    session_id = session(client)
    nothing = client("POST", "/v1/video/propagate/stream", {"session_id": session_id})
    assert (nothing.status, nothing.json["message"]) == (400, "nothing is marked yet")
    assert click(client, session_id, LENGTH, 5, 5).status == 400
    text = {"session_id": session_id, "frame_index": 0, "text_prompt": "dog"}
    assert "text" in client("POST", "/v1/video/prompt", text).json["message"]
    no_label = {"session_id": session_id, "frame_index": 0, "points": [[0.5, 0.5]]}
    assert client("POST", "/v1/video/prompt", no_label).status == 400
    bad = {"model": "auto", "frames": [*frames(2), encoded(b"no picture")]}
    assert client("POST", "/v1/video/init", bad).status == 400
    assert client("POST", "/v1/predict", {"model": "auto", "image": "aGVsbG8="}).status == 400
    assert client("POST", "/v1/predict", {"model": "x", "image": frames()[0]}).status == 400
    gone = "session-00000000-1"
    for method, path in (
        ("GET", f"/v1/video/status/{gone}"),
        ("POST", f"/v1/video/cancel/{gone}"),
        ("POST", f"/v1/video/cleanup/{gone}"),
    ):
        assert client(method, path).status == 410
    for path in ("prompt", "propagate", "propagate/stream"):
        answer = client("POST", f"/v1/video/{path}", {"session_id": gone, "frame_index": 0})
        assert answer.status == 410


def test_a_session_ends(client: Client) -> None:
    before = client.studio.space.used
    session_id = session(client)
    assert client("GET", f"/v1/video/status/{session_id}").json["data"]["status"] == "idle"
    assert client("POST", f"/v1/video/cancel/{session_id}").status == 200
    assert client("POST", f"/v1/video/cleanup/{session_id}?model=auto").status == 200
    assert client("GET", f"/v1/video/status/{session_id}").status == 410
    assert client.studio.space.used == before


def test_a_session_that_waits_longest_goes_for_a_new_one() -> None:
    with serving(sessions=2) as client:
        ids = [session(client) for _ in range(2)]
        client("GET", f"/v1/video/status/{ids[0]}")
        session(client)
        answers = [client("GET", f"/v1/video/status/{one}").status for one in ids]
        assert answers == [200, 410]


@pytest.mark.parametrize("how", ["the client is gone", "cancel", "cleanup"])
def test_a_propagation_is_stopped(how: str) -> None:
    with serving(propagator=BUILTIN, idle=5) as client:
        long = {"model": "auto", "frames": frames() * 20}
        session_id = client("POST", "/v1/video/init", long).json["data"]["session_id"]
        click(client, session_id, 0, 20, 24)
        stream = Events(client, "/v1/video/propagate/stream", body={"session_id": session_id})
        events = iter(stream)
        while next(events)["type"] != "progress":
            pass
        if how == "the client is gone":
            stream.close()
        else:
            client("POST", f"/v1/video/{how}/{session_id}")
        deadline = time.monotonic() + 30
        while client.studio.queue.running:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        if how == "cancel":
            assert list(events)[-1]["type"] == "error"
            status = client("GET", f"/v1/video/status/{session_id}").json["data"]
            assert status["status"] == "cancelled"
        stream.close()


# the program itself

DRIVER = """
import json, os, sys
from types import SimpleNamespace
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication
app = QApplication([])
import anylabeling.config
# as the dialog "Remote Server Settings" leaves it in the user's file
url, token, folder, settings = sys.argv[1:]
with open(settings, "w") as file:
    json.dump({"remote_server_settings": {"server_url": url, "api_key": token}}, file)
anylabeling.config.current_config_file = settings
from anylabeling.services.auto_labeling.remote_server import RemoteServer

messages = []
config = {"type": "remote_server", "name": "remote", "display_name": "Remote", "timeout": 60}
model = RemoteServer(config, messages.append)
models = model.get_available_models()
model.set_model_id("auto")
files = sorted(os.path.join(folder, name) for name in os.listdir(folder))
marks = [{"type": "point", "data": [26, 24], "label": 1}]

# one picture
model.set_task("picture")
model.set_auto_labeling_marks(marks)
single = model.predict_shapes(QImage(files[2]), files[2])

# a clip: click, then all pictures
model.set_task("track")
clicked = model.predict_shapes(QImage(files[2]), files[2])
model.set_auto_labeling_marks([])
widget = SimpleNamespace(
    image_list=files, output_dir=None, _config={"store_data": False}, cancel_processing=False,
    _batch_processing_active=True, _batch_start_index=0, _batch_end_index=len(files),
    _progress_dialog=None,
)
model._widget = widget
model.set_cache_auto_label("disc", 7)
model.predict_shapes(QImage(files[2]), files[2], run_tracker=True)
session = model.video_session_id
model._reset_video_session()
corners = lambda shape: [[point.x(), point.y()] for point in shape.points]
print(json.dumps({
    "models": sorted(models), "modes": model.get_batch_processing_mode(), "session": session,
    "single": [corners(shape) for shape in single.shapes],
    "clicked": [corners(shape) for shape in clicked.shapes],
    "messages": messages,
}))
"""


def test_the_parts_of_an_object_are_a_group() -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[10:30, 10:30] = mask[10:30, 50:70] = 3
    shapes = shapes_of(mask, 3, score=0.5, fineness=0)
    assert [shape["group_id"] for shape in shapes] == [3, 3]
    mask[:, 40:] = 0
    (shape,) = shapes_of(mask, 3, score=0.5, fineness=0)
    assert shape["group_id"] is None


@pytest.mark.slow
@pytest.mark.skipif(not INTERPRETER, reason="X_ANYLABELING_PYTHON names no Python that has it")
def test_the_program_itself(builtin: Client, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(LENGTH):
        (pictures / f"{index:03d}.png").write_bytes(file_of(picture(index)))
    done = subprocess.run(
        [
            INTERPRETER,
            "-c",
            DRIVER,
            f"http://{builtin.authority}",
            builtin.token,
            str(pictures),
            str(tmp_path / "settings.yaml"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"},
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert "auto" in said["models"]
    assert said["modes"] == "video"
    assert said["session"].startswith("session-")
    for name in ("single", "clicked"):
        mask = np.zeros(SHAPE, np.uint8)
        for corners in said[name]:
            cv2.fillPoly(mask, [np.floor(np.array(corners)).astype(np.int32)], 1)
        assert overlap(mask > 0, true_mask(2) == 1) > 0.7
    # what the program saved beside its pictures
    saved = sorted(path.stem for path in pictures.glob("*.json"))
    assert saved == ["000", "001", "003", "004", "005"]
    for stem in saved:
        labels = json.loads((pictures / f"{stem}.json").read_text(encoding="utf-8"))
        assert {(shape["label"], shape["group_id"]) for shape in labels["shapes"]} == {("disc", 7)}
        mask = np.zeros(SHAPE, np.uint8)
        for shape in labels["shapes"]:
            cv2.fillPoly(mask, [np.floor(np.array(shape["points"])).astype(np.int32)], 1)
        assert overlap(mask > 0, true_mask(int(stem)) == 1) > 0.6
    assert builtin("GET", f"/v1/video/status/{said['session']}").status == 410
