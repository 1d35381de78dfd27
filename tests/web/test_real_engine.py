"""The requests of a whole job, answered by the real engine."""

from __future__ import annotations

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from support.clips import number_of
from support.command_line import two_objects
from support.studio_server import Answer, Client

from vfx_matte.media.writers.trial import encoder_problem

pytestmark = pytest.mark.slow

WIDTH, HEIGHT, FRAMES = 96, 64, 12


def ok(answer: Answer) -> Any:  # noqa: ANN401
    assert answer.status in (200, 202), (answer.status, answer.body)
    return answer.json


def wait_for(page: Client, job: dict[str, Any]) -> dict[str, Any]:
    """The job when it is over."""
    deadline = time.monotonic() + 60
    while True:
        (now,) = [one for one in page("GET", "/api/project").json["jobs"] if one["id"] == job["id"]]
        if now["state"] in ("done", "stopped", "failed"):
            found: dict[str, Any] = now
            return found
        assert time.monotonic() < deadline, now
        time.sleep(0.05)


def test_the_frame_that_was_asked_for(real: Client) -> None:
    pts = ok(real("GET", "/api/project"))["clip"]["pts"]
    for index in (0, 7, 3, FRAMES - 1):
        answer = real("GET", f"/api/frames/{index}")
        assert number_of(np.array(Image.open(io.BytesIO(answer.body)))) == index
        assert answer.headers["x-frame-index"] == str(index)
        assert answer.headers["x-frame-pts"] == str(pts[index])
    crop = real("GET", f"/api/frames/5/crop?x=0&y=0&w={WIDTH}&h={HEIGHT}")
    assert number_of(np.array(Image.open(io.BytesIO(crop.body)))) == 5


@pytest.mark.slow
def test_from_a_click_to_a_verified_green_screen(real: Client, tmp_path: Path) -> None:
    project = ok(real("GET", "/api/project"))
    assert real("POST", "/api/frames/0/prepare").status == 202
    # 1. a click, then a painted mask beside it
    answer = real(
        "POST",
        "/api/frames/0/marks",
        {
            "object": 1,
            "clicks": [{"x": 30, "y": 32, "object": True}],
            "box": [10, 10, 50, 40],
            "revision": project["revision"],
        },
    )
    assert answer.status == 200, answer.body
    result = json.loads(unquote(answer.headers["x-result"]))
    assert result["revision"] > project["revision"]
    assert result["objects"][0]["pixels"] == answer.ids.count(1) > 0
    painted = two_objects().tobytes()
    ok(real.put_mask(6, painted, f"label=brush&revision={result['revision']}"))
    assert real("GET", "/api/frames/6/mask").ids == painted
    # 2. propagation
    job = ok(real("POST", "/api/jobs", {"kind": "propagate", "direction": "both", "index": 0}))
    assert wait_for(real, job)["state"] == "done"
    project = ok(real("GET", "/api/project"))
    assert project["masks"]["done"] == [[0, FRAMES]]
    assert real("GET", "/api/frames/3/mask").headers["x-mask-kind"] == "propagated"
    assert real("GET", "/api/frames/6/mask").ids == painted
    # 3. checks, a preview, and the render
    for path in ("/api/suggested", "/api/problems"):
        for one in ok(real("GET", path)):
            assert 0 <= one["index"] < FRAMES
            assert one["reason"]
    preview = real("POST", "/api/frames/6/preview", {"options": {"key": "blue"}})
    assert Image.open(io.BytesIO(preview.body)).size == (WIDTH, HEIGHT)
    body = {"kind": "render", "name": "greenback", "options": {"key": "blue", "grow": 1}}
    done = wait_for(real, ok(real("POST", "/api/jobs", body)))
    assert done["state"] == "done", done
    assert done["outputs"][0]["verified"]
    (file,) = (tmp_path / "workspace").rglob(done["outputs"][0]["name"])
    assert file.stat().st_size
    # 4. what the command line would say
    lines = ok(real("POST", "/api/commands", {"name": "greenback"}))
    assert lines[0].startswith("vfx-matte segment ")
    # 5. back
    label = ok(real("GET", "/api/project"))["undo"]
    assert label
    ok(real("POST", "/api/undo"))
    assert ok(real("GET", "/api/project"))["redo"] == label


def test_an_import(real: Client) -> None:
    ids = two_objects()
    file = io.BytesIO()
    Image.fromarray(np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)[ids]).save(
        file, "PNG"
    )
    ok(real("POST", "/api/frames/2/import", file.getvalue(), headers={"Content-Type": "image/png"}))
    assert real("GET", "/api/frames/2/mask").ids == ids.tobytes()
    revision = ok(real("GET", "/api/project"))["revision"]
    for damaged in (file.getvalue()[:-40], file.getvalue()[:60]):
        answer = real("POST", "/api/frames/3/import", damaged)
        assert answer.status == 400, answer.body
        assert "/tmp" not in answer.json["message"]
    small = io.BytesIO()
    Image.new("L", (8, 8)).save(small, "PNG")
    assert real("POST", "/api/frames/3/import", small.getvalue()).status == 400
    assert ok(real("GET", "/api/project"))["revision"] == revision


def test_of_two_writers_one_is_refused(real: Client) -> None:
    revision = ok(real("GET", "/api/project"))["revision"]
    ids = two_objects().tobytes()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: real.put_mask(n, ids, f"revision={revision}"), range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert len(ok(real("GET", "/api/project"))["state"]["references"]) == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("greenback", {"grow": "2"}),
        ("greenback", {"grow": True}),
        ("greenback", {"grow": 10_000}),
        ("greenback", {"sound": 1}),
        ("greenback", {"objects": [1.5]}),
        ("greenback", {"objects": 1}),
        ("greenback", {"objects": [99]}),
        ("greenback", {"key": 5}),
        ("greenback", {"no_such": 1}),
        ("greenback", {"style": "luma"}),
        ("greenback", {"grow": 1, "shrink": 1}),
        ("nothing", {}),
        ("package:nothing", {}),
        ("package", {}),
    ],
)
def test_renders_that_are_none(real: Client, name: str, options: dict[str, Any]) -> None:
    body = {"kind": "render", "name": name, "options": options}
    answer = real("POST", "/api/jobs", body)
    assert answer.status in (400, 422), answer.body
    assert answer.json["message"]


REFUSED = [
    ("greenback", {"codec": "prores_ks"}, 400, ".mp4 does not take codec 'prores_ks'"),
    ("greenback", {"preset": "quick"}, 400, "unknown preset 'quick'"),
    ("greenback", {"quality": 99}, 400, "quality 99 is outside"),
    ("greenback", {"pixel_format": "rgb24"}, 400, "does not take rgb24"),
    ("greenback", {"key": "#12"}, 400, ""),
    ("greenback", {"objects": [9]}, 400, "there is no object 9"),
    ("greenback", {"codec": "h264_nvenc"}, 503, "'h264_nvenc' does not work on this machine"),
    ("alpha", {"codec": "libx264"}, 400, "codec 'libx264' cannot hold"),
    ("maskvideo", {"style": "no"}, 400, ""),
    ("maskvideo", {"quality": 5}, 400, "lossless"),
    ("overlay", {"start_number": 5}, 400, "one file"),
    ("package:resolve", {"fps": "fast"}, 400, ""),
    ("package:premiere", {"objects": [9]}, 400, "there is no object 9"),
]


@pytest.mark.parametrize(("name", "options", "status", "text"), REFUSED)
def test_what_cannot_be_made_is_said_before_a_job_begins(
    real: Client, name: str, options: dict[str, Any], status: int, text: str
) -> None:
    if "nvenc" in str(options) and encoder_problem("h264_nvenc") is None:
        pytest.skip("there is a card that encodes")
    real.put_mask(0, two_objects().tobytes())
    said = real("POST", "/api/check", {"name": name, "options": options})
    assert (said.status, text in said.json["message"]) == (status, True), said.body
    asked = real("POST", "/api/jobs", {"kind": "render", "name": name, "options": options})
    assert (asked.status, asked.json) == (said.status, said.json)
    assert ok(real("GET", "/api/project"))["jobs"] == []


def test_what_can_be_made_and_what_is_remarked(real: Client, tmp_path: Path) -> None:
    real.put_mask(0, two_objects().tobytes())
    before = sorted(tmp_path.rglob("*"))
    for name in ("greenback", "alpha", "maskvideo", "overlay", "package:premiere", "package:web"):
        assert "notices" in ok(real("POST", "/api/check", {"name": name})), name
    # the key is found in frames, which nobody waits for here
    assert ok(real("POST", "/api/check", {"name": "greenback", "options": {"key": "auto"}}))
    rate = {"name": "package:premiere", "options": {"fps": "17"}}
    assert any(
        "no timeline of 17" in one for one in ok(real("POST", "/api/check", rate))["notices"]
    )
    assert sorted(tmp_path.rglob("*")) == before
    real("PATCH", "/api/range", {"first": 2, "last": 5})
    refused = real("POST", "/api/check", {"name": "package:web"})
    assert (refused.status, "whole clip" in refused.json["message"]) == (400, True)


def test_a_clip_that_is_gone(real: Client, tmp_path: Path) -> None:
    ids = two_objects().tobytes()
    ok(real.put_mask(1, ids))
    (tmp_path / "clip.mp4").unlink()
    answers = [real("GET", f"/api/frames/{index}/crop?x=0&y=0&w=9&h=9") for index in (0, 11)]
    for answer in answers:
        assert answer.status in (200, 400, 503), answer.body  # it may be open still
    assert real("GET", "/api/frames/1/mask").ids == ids
    job = ok(real("POST", "/api/jobs", {"kind": "propagate", "direction": "both", "index": 0}))
    ended = wait_for(real, job)
    assert ended["state"] == "failed"
    assert "unexpected" not in ended["message"], ended
    assert real("GET", "/api/frames/1/mask").ids == ids


def test_scrubbing_while_somebody_paints(real: Client) -> None:
    """Frames that newer requests overtake say so; every other one is the one that was asked for."""
    ids = two_objects().tobytes()

    def scrub(number: int) -> list[int]:
        statuses = []
        for step in range(12):
            index = (number * 5 + step * 7) % FRAMES
            answer = real("GET", f"/api/frames/{index}?width={96 - number}")
            statuses.append(answer.status)
            if answer.status == 200:
                assert answer.headers["x-frame-index"] == str(index)
            else:
                assert answer.json["superseded"] is True
        return statuses

    def paint(number: int) -> list[int]:
        return [real.put_mask((number + step) % FRAMES, ids).status for step in range(6)]

    with ThreadPoolExecutor(12) as pool:
        frames = [pool.submit(scrub, number) for number in range(8)]
        masks = [pool.submit(paint, number) for number in range(3)]
        assert {status for one in frames for status in one.result()} <= {200, 409}
        assert {status for one in masks for status in one.result()} == {200}
    assert len(ok(real("GET", "/api/project"))["state"]["references"]) == 8
