"""The commands that a CVAT user types, run as they are against a server that answers them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.drifting_squares import SHAPE, draw
from support.fake_cvat import TASK, TOKEN, FakeCvat
from support.tiny_onnx import tiny_network

pytest.importorskip("cvat_cli")

from cvat_sdk.masks import decode_mask, encode_mask

from vfx_matte.masks import overlap

pytestmark = pytest.mark.slow

LENGTH = 6
MODULE = ("--function-module", "vfx_matte.labelling.cvat")
TRACKER = (*MODULE, "-p", "kind=str:tracker", "-p", "propagator=str:builtin")

Run = Callable[..., subprocess.CompletedProcess[str]]


def command(server: FakeCvat, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "cvat_cli", "--server-host", server.url, *arguments]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "CVAT_ACCESS_TOKEN": TOKEN,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Runs cvat-cli to its end, in an empty folder."""

    def ran(server: FakeCvat, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(server, *arguments), cwd=tmp_path, env=environment, text=True,
            capture_output=True, timeout=200, check=False,
        )  # fmt: skip

    return ran


@pytest.fixture(params=[True, False], ids=["video", "images"])
def server(request: pytest.FixtureRequest) -> Iterator[FakeCvat]:
    pictures = [draw(index)[0] for index in range(LENGTH)]
    with FakeCvat(pictures, labels=["car"], is_video=request.param) as running:
        yield running
        assert running.refused == []


def created(run: Run, server: FakeCvat, *arguments: str) -> str:
    """The id of a new function."""
    done = run(server, "function", "create-native", "vfx-matte", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def agent(
    server: FakeCvat, tmp_path: Path, environment: dict[str, str], *arguments: str
) -> Iterator[Path]:
    """An agent that watches its queue, until the block ends; its log."""
    log = tmp_path / "agent.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command(server, "function", "run-agent", *arguments), cwd=tmp_path, env=environment,
            stdout=file, stderr=file,
        )  # fmt: skip
        try:
            server.wait_for_watcher()
            yield log
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def mask_shape(region: np.ndarray) -> dict[str, Any]:
    return {"type": "mask", "points": encode_mask(region)}


def test_an_agent_tracks_masks(
    server: FakeCvat, run: Run, tmp_path: Path, environment: dict[str, str]
) -> None:
    number = created(run, server, *TRACKER)
    function = server.functions[int(number)]
    assert function["kind"] == "tracker"
    assert function["supported_shape_types"] == ["mask", "polygon"]
    mask = draw(0)[1]
    with agent(server, tmp_path, environment, number, *TRACKER) as log:
        begun = server.ask(
            {
                "type": "init_tracking",
                "frame": 0,
                "shapes": [mask_shape(mask == object_id) for object_id in (1, 2)],
            }
        )
        states = begun["states"]
        assert len(states) == 2
        for index in range(1, LENGTH):
            answer = server.ask({"type": "track", "frame": index, "states": states})
            assert answer["states"] == states
            truth = draw(index)[1]
            for object_id, shape in enumerate(answer["shapes"], start=1):
                found = decode_mask(shape["points"], image_width=SHAPE[1], image_height=SHAPE[0])
                assert overlap(found, truth == object_id) > 0.8
        # what cannot be done is said to whoever works at the server, and the agent goes on
        failed = server.ask(
            {"type": "init_tracking", "frame": 0, "shapes": [mask_shape(np.zeros(SHAPE, bool))]}
        )
        assert "nothing to track" in failed["exc_info"]
        assert "shapes" in server.ask({"type": "track", "frame": 2, "states": states})
    assert "built-in" in log.read_text()


def test_an_agent_answers_clicks(server: FakeCvat, run: Run) -> None:
    arguments = (*MODULE, "-p", "kind=str:interactor", "-p", "fetch=bool:false")
    number = created(run, server, *arguments)
    function = server.functions[int(number)]
    assert function["kind"] == "interactor"
    assert (function["min_pos_points"], function["min_neg_points"]) == (0, 0)
    assert function["startswith_box_optional"]
    # the second click finds the picture that the first has opened
    asked = [
        server.put(
            {
                "type": "interact",
                "frame": 1,
                "pos_points": [[16, 12]],
                "neg_points": beside,
                "obj_bbox": [[7, 4], [25, 22]],
            }
        )
        for beside in ([], [[8, 21]])
    ]
    # --burst answers what waits, and ends
    done = run(server, "function", "run-agent", number, *arguments, "--burst")
    assert done.returncode == 0, done.stderr
    for name in asked:
        (shape,) = server.answer(name)["shapes"]
        found = decode_mask(shape["points"], image_width=SHAPE[1], image_height=SHAPE[0])
        assert overlap(found, draw(1)[1] == 1) > 0.8
        assert shape["attributes"][0]["spec_id"] == 0


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    """A network that finds what is bright."""
    path = tmp_path / "bright.onnx"
    path.write_bytes(tiny_network(gain=20.0))
    return path


def bright_square(index: int) -> np.ndarray:
    image = np.full((96, 128, 3), 20, np.uint8)
    image[30:70, 20 + 4 * index : 60 + 4 * index] = 250
    return image


DETECTOR = (*MODULE, "-p", "kind=str:detector", "-p", "detector=str:salient", "-p", "label=str:car")


@pytest.mark.parametrize("polygons", [False, True], ids=["masks", "polygons"])
def test_a_task_is_annotated(run: Run, bright: Path, polygons: bool) -> None:
    pictures = [bright_square(index) for index in range(LENGTH)]
    with FakeCvat(pictures, labels=["car"]) as server:
        done = run(
            server, "task", "auto-annotate", str(TASK), *DETECTOR,
            "-p", f"detector_weights=str:{bright}", "-p", "threshold=float:0.1",
            *(["--conv-mask-to-poly"] if polygons else []),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert server.refused == []
    shapes = server.annotations["shapes"]
    assert {shape["frame"] for shape in shapes} == set(range(LENGTH))
    assert {shape["type"] for shape in shapes} == {"polygon" if polygons else "mask"}
    assert {shape["label_id"] for shape in shapes} == {100}
    if not polygons:
        for shape in shapes:
            found = decode_mask(shape["points"], image_width=128, image_height=96)
            truth = bright_square(shape["frame"])[..., 0] > 100
            assert overlap(found, truth) > 0.8


def test_an_agent_detects(run: Run, bright: Path) -> None:
    pictures = [bright_square(index) for index in range(LENGTH)]
    arguments = (*DETECTOR, "-p", f"detector_weights=str:{bright}", "-p", "threshold=float:0.1")
    with FakeCvat(pictures, labels=["car"]) as server:
        number = created(run, server, *arguments)
        assert server.functions[int(number)]["labels_v2"] == [
            {"name": "car", "attributes": [], "type": "mask"}
        ]
        shared = {"mapping": {"car": {"name": "car"}}, "threshold": None}
        one = server.put(
            {"type": "annotate_frame", "frame": 2, "conv_mask_to_poly": True, **shared}
        )
        whole = server.put(
            {"type": "annotate_task", "conv_mask_to_poly": False, **shared}, category="batch"
        )
        done = run(server, "function", "run-agent", number, *arguments, "--burst")
        assert done.returncode == 0, done.stderr
        (shape,) = server.answer(one)["annotations"]["shapes"]
        assert (shape["frame"], shape["type"], shape["source"]) == (2, "polygon", "auto")
        found = server.answer(whole)["annotations"]["shapes"]
        assert [shape["frame"] for shape in found] == list(range(LENGTH))


def test_wrong_parameters_end_without_a_traceback(run: Run) -> None:
    with FakeCvat([draw(0)[0]]) as server:
        done = run(
            server, "function", "create-native", "x", *MODULE, "-p", "propagator=str:nonesuch"
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "propagator 'nonesuch'" in done.stderr
    assert server.functions == {}


def test_what_cannot_run_here_is_said_when_the_agent_starts(run: Run) -> None:
    """Not when somebody waits for the first mask."""
    with FakeCvat([draw(0)[0]]) as server:
        done = run(
            server, "function", "create-native", "x", *MODULE,
            "-p", "propagator=str:xmem", "-p", "model=str:nowhere",
        )  # fmt: skip
    assert done.returncode == 1
    assert "the XMem propagator cannot run here" in done.stderr
    assert server.functions == {}


@pytest.mark.parametrize("kind", [(), ("-p", "kind=str:tracker"), ("-p", "kind=str:interactor")])
def test_auto_annotate_needs_a_detector(run: Run, kind: tuple[str, ...]) -> None:
    with FakeCvat([draw(0)[0]]) as server:
        done = run(server, "task", "auto-annotate", str(TASK), *MODULE, *kind)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "auto-annotate takes a detector" in done.stderr
    assert "-p kind=str:detector" in done.stderr
