# ruff: noqa: ANN401
"""What each request asks of the engine and answers, and what becomes of wrong ones."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, unquote

import pytest
from support.fake_studio import FRAMES, HEIGHT, WIDTH
from support.studio_server import Answer, Client

from vfx_matte.errors import MediaError, OutputError, UsageError, VfxMatteError
from vfx_matte.pipeline.studio import ConflictError, SupersededError
from vfx_matte.wording import command, option

PIXELS = WIDTH * HEIGHT
ONES = bytes([1]) * PIXELS


def is_error(answer: Answer, status: int) -> None:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"message", "hint"}
    assert answer.json["message"]
    assert "\n" not in answer.json["message"]


def test_the_project(page: Client) -> None:
    answer = page("GET", "/api/project")
    assert answer.headers["cache-control"] == "no-store"
    project = answer.json
    assert project["clip"]["frames"] == FRAMES
    assert project["clip"]["time_base"] == [1, 25]
    assert len(project["clip"]["pts"]) == FRAMES
    assert set(project["state"]) == {"objects", "references", "first", "last", "marks"}
    assert project["state"]["objects"][0].keys() == {"id", "name", "color", "hidden", "locked"}
    assert project["masks"]["confidence"]["1"] == [[0, [90] * FRAMES]]
    assert project["read_only"] is False
    assert {"revision", "cuts", "undo", "redo", "jobs", "propagator"} <= set(project)


def test_the_project_without_the_times_that_a_page_has(page: Client) -> None:
    whole = page("GET", "/api/project").json
    del whole["clip"]["pts"]
    assert page("GET", "/api/project?times=false").json == whole


def test_a_frame(page: Client) -> None:
    answer = page("GET", "/api/frames/3?width=48")
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert (answer.headers["x-frame-index"], answer.headers["x-frame-pts"]) == ("3", "3")
    assert answer.body.startswith(b"\xff\xd8")
    # asked again, nothing is sent and the engine is not asked
    etag = answer.headers["etag"]
    page.studio.calls.clear()
    again = page("GET", "/api/frames/3?width=48", headers={"If-None-Match": etag})
    assert (again.status, again.body) == (304, b"")
    assert page.studio.calls == []
    assert page("GET", "/api/frames/3", headers={"If-None-Match": etag}).status == 200


def test_a_frame_is_kept_for_good_only_where_the_address_names_the_clip(page: Client) -> None:
    """Another clip may be served at the same port later."""
    clip = page("GET", "/api/project").json["clip"]["id"]
    assert clip != page.studio.info.id, "this start is part of it"
    for query, is_kept in [("", False), (f"?clip={clip}", True), ("?clip=f00d", False)]:
        control = page("GET", f"/api/frames/3{query}").headers["cache-control"]
        assert ("immutable" in control) == is_kept
        assert "private" in control


@pytest.mark.parametrize("index", [-1, FRAMES, 10**30])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/frames/{}", None),
        ("GET", "/api/frames/{}/crop?x=0&y=0&w=8&h=8", None),
        ("GET", "/api/frames/{}/mask", None),
        ("PUT", "/api/frames/{}/mask", ONES),
        ("POST", "/api/frames/{}/marks", {"object": 1, "auto": True}),
        ("POST", "/api/frames/{}/prepare", None),
        ("POST", "/api/frames/{}/import", b"x"),
        ("POST", "/api/frames/{}/preview", {"options": {}}),
        ("PATCH", "/api/references/{}", {"enabled": True}),
        ("DELETE", "/api/references/{}", None),
    ],
)
def test_frames_that_are_not_there(
    page: Client, method: str, path: str, body: Any, index: int
) -> None:
    is_error(page(method, path.format(index), body), 404)
    assert page.studio.calls == []


@pytest.mark.parametrize("index", ["x", "1.5", "", "%00", "１", "1e3"])
def test_frames_that_have_no_number(page: Client, index: str) -> None:
    is_error(page("GET", f"/api/frames/{quote(index, safe='%')}/mask"), 422 if index else 404)


def test_a_crop(page: Client) -> None:
    answer = page("GET", f"/api/frames/3/crop?x=0&y=0&w={WIDTH}&h={HEIGHT}")
    assert answer.headers["content-type"] == "image/png"
    assert answer.body.startswith(b"\x89PNG")
    is_error(page("GET", f"/api/frames/3/crop?x=1&y=0&w={WIDTH}&h=4"), 400)
    for query in ("x=0&y=0&w=0&h=4", "x=-1&y=0&w=4&h=4", "x=0&y=0&w=4", "x=a&y=0&w=4&h=4"):
        is_error(page("GET", f"/api/frames/3/crop?{query}"), 422)


def test_a_mask_there_and_back(page: Client) -> None:
    answer = page.put_mask(4, ONES, "label=eraser")
    assert answer.status == 200, answer.body
    assert answer.json.keys() == {"revision", "notices"}
    back = page("GET", "/api/frames/4/mask")
    assert back.ids == ONES
    assert back.headers["x-mask-kind"] == "reference"
    again = page("GET", "/api/frames/4/mask", headers={"If-None-Match": back.headers["etag"]})
    assert again.status == 304
    page.put_mask(4, bytes(PIXELS))
    again = page("GET", "/api/frames/4/mask", headers={"If-None-Match": back.headers["etag"]})
    assert again.ids == bytes(PIXELS)


def test_of_two_writers_that_saw_the_same_one_is_refused(page: Client) -> None:
    revision = page("GET", "/api/project").json["revision"]
    page.studio.delay_seconds = 0.1
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda n: page.put_mask(n, ONES, f"revision={revision}"), range(1, 5))
        )
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    is_error(next(answer for answer in answers if answer.status == 409), 409)


def test_marks(page: Client) -> None:
    marks = {
        "object": 2,
        "clicks": [{"x": 48, "y": 32, "object": True}],
        "strokes": [{"points": [[40, 30], [50, 34]], "object": True}],
        "box": [30, 10, 40, 40],
        "auto": False,
        "preview": False,
        "revision": page("GET", "/api/project").json["revision"],
    }
    answer = page("POST", "/api/frames/5/marks", marks)
    assert answer.status == 200, answer.body
    result = json.loads(unquote(answer.headers["x-result"]))
    assert result["revision"] == marks["revision"] + 1
    (made,) = result["objects"]
    assert made.keys() == {"id", "pixels", "share", "confidence", "advice"}
    assert made["pixels"] == answer.ids.count(2)
    assert page("GET", "/api/frames/5/mask").ids == answer.ids
    preview = page("POST", "/api/frames/6/marks", marks | {"preview": True, "revision": None})
    assert preview.status == 200
    assert page("GET", "/api/frames/6/mask").headers["x-mask-kind"] == "none"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"object": 0}, 422),
        ({"object": 256}, 422),
        ({"object": "1"}, 422),
        ({"object": True}, 422),
        ({"object": 1.0}, 422),
        ({"object": None}, 422),
        ({"clicks": [{"x": WIDTH, "y": 1}]}, 400),
        ({"clicks": [{"x": -1, "y": 1}]}, 400),
        ({"clicks": [{"x": 10**18, "y": 1}]}, 422),
        ({"clicks": [{"x": 1}]}, 422),
        ({"clicks": [{"x": 1, "y": 1, "z": 1}]}, 422),
        ({"clicks": [{"x": 1, "y": 1}, {"x": 1, "y": 1, "object": False}]}, 400),
        ({"clicks": {}}, 422),
        ({"clicks": [[1, 1]]}, 422),
        ({"strokes": [{"points": []}]}, 422),
        ({"strokes": [{"points": [[1]]}]}, 422),
        ({"strokes": [{"points": [[1, 2, 3]]}]}, 422),
        ({"strokes": [{"points": [["a", "b"]]}]}, 422),
        ({"box": [1, 2, 3]}, 422),
        ({"box": [0, 0, WIDTH + 1, 4]}, 400),
        ({"box": "all"}, 422),
        ({"revision": "1"}, 422),
        ({"revision": -1}, 422),
        ({"preview": 1}, 422),
        ({"unknown": 1}, 422),
    ],
)
def test_marks_that_are_none(page: Client, change: dict[str, Any], status: int) -> None:
    body = {"object": 1, "clicks": [{"x": 3, "y": 4}]} | change
    is_error(page("POST", "/api/frames/5/marks", body), status)
    assert "mark" not in page.studio.calls


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"null", 422),
        (b"[]", 422),
        (b'"x"', 422),
        (b"1" * 5000, 400),
        (b"[" * 60_000, 400),
        (b'{"a":' * 10_000, 400),
        (b'{"object": NaN}', 422),
        (b'{"object": 1e999}', 422),
        (b"\xff\xfe\x00", 400),
        (b'{"object": 1, "object": 2}', 200),
    ],
)
def test_json_that_is_none(page: Client, body: bytes, status: int) -> None:
    sent: dict[str, str | None] = {"Content-Type": "application/json"}
    answer = page("POST", "/api/objects", body, headers=sent)
    assert answer.status in (status, 400, 422), answer.body
    if answer.status != 200:
        is_error(answer, answer.status)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "x"])
def test_a_form_of_another_page_is_no_json(page: Client, kind: str | None) -> None:
    """Browsers let other pages send such types without asking."""
    answer = page("POST", "/api/clear", b'{"what": "all"}', headers={"Content-Type": kind})
    is_error(answer, 415)
    assert page.studio.calls == []


def test_references(page: Client) -> None:
    page.put_mask(8, ONES)
    assert page("PATCH", "/api/references/8", {"enabled": False}).status == 200
    (reference,) = [
        one for one in page("GET", "/api/project").json["state"]["references"] if one["index"] == 8
    ]
    assert reference == {"index": 8, "enabled": False, "objects": [1]}
    revision = page("GET", "/api/project").json["revision"]
    is_error(page("DELETE", f"/api/references/8?revision={revision - 1}"), 409)
    assert page("DELETE", f"/api/references/8?revision={revision}").status == 200
    is_error(page("DELETE", "/api/references/8"), 404)
    is_error(page("PATCH", "/api/references/8", {"enabled": True}), 404)


def test_objects(page: Client) -> None:
    made = page("POST", "/api/objects", {"name": "Hund 犬 🐕", "color": "#12abEF"})
    assert made.status == 200, made.body
    (new,) = [
        one for one in page("GET", "/api/project").json["state"]["objects"] if one["name"][0] == "H"
    ]
    path = f"/api/objects/{new['id']}"
    assert page("PATCH", path, {"hidden": True, "locked": False}).status == 200
    is_error(page("PATCH", path, {}), 400)
    assert page("DELETE", path).status == 200
    is_error(page("DELETE", path), 404)
    is_error(page("PATCH", path, {"name": "x"}), 404)


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 81},
        {"name": "a\nb"},
        {"name": "\x1b[31m"},
        {"name": "\ud800"},
        {"name": "\u202e"},
        {"name": 5},
        {"color": "red"},
        {"color": "#12345"},
        {"color": "#1234567"},
        {"color": "#12345g"},
        {"id": 7},
    ],
)
def test_objects_that_are_none(page: Client, body: dict[str, Any]) -> None:
    is_error(page("POST", "/api/objects", body), 422)
    assert page.studio.calls == []


def test_the_range(page: Client) -> None:
    assert page("PATCH", "/api/range", {"first": 2, "last": 9}).status == 200
    state = page("GET", "/api/project").json["state"]
    assert (state["first"], state["last"]) == (2, 9)
    is_error(page("PATCH", "/api/range", {"first": 9, "last": 2}), 400)
    is_error(page("PATCH", "/api/range", {"first": FRAMES}), 404)
    is_error(page("PATCH", "/api/range", {"first": "2"}), 422)
    is_error(page("PATCH", "/api/range", {"first": 1, "revision": 0}), 409)
    assert page("PATCH", "/api/range", {"first": None, "last": None}).status == 200


def test_undo_redo_and_clear(page: Client) -> None:
    page.put_mask(10, ONES)
    assert page("POST", "/api/undo").status == 200
    assert page("GET", "/api/frames/10/mask").headers["x-mask-kind"] == "none"
    assert page("POST", "/api/redo").status == 200
    assert page("GET", "/api/frames/10/mask").headers["x-mask-kind"] == "reference"
    is_error(page("POST", "/api/redo"), 400)
    assert page("POST", "/api/clear", {"what": "propagated"}).status == 200
    assert page("POST", "/api/clear", {"what": "all"}).status == 200
    is_error(page("POST", "/api/clear", {"what": "disk"}), 422)


def test_jobs(page: Client) -> None:
    page.put_mask(0, ONES)
    job = page("POST", "/api/jobs", {"kind": "propagate", "direction": "forward", "index": 0}).json
    assert job["kind"] == "propagate"
    assert page("DELETE", f"/api/jobs/{job['id']}").status == 200
    is_error(page("DELETE", "/api/jobs/123456"), 404)
    options = {"key": "blue", "grow": 2, "feather": 1.5, "objects": [1], "background": "#102030"}
    answer = page("POST", "/api/jobs", {"kind": "render", "name": "greenback", "options": options})
    assert answer.json["outputs"]
    assert page("POST", "/api/jobs", {"kind": "render", "name": "package:premiere"}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "format"},
        {"kind": "propagate"},
        {"kind": "propagate", "direction": "up", "index": 0},
        {"kind": "propagate", "direction": "both", "index": "0"},
        {"kind": "render", "name": "../x"},
        {"kind": "render", "name": "package:../../x"},
        {"kind": "render", "name": "greenback", "options": []},
        {"kind": "render", "name": "greenback", "options": {"key": {}}},
        {"kind": "render", "name": "greenback", "options": {"key": "x" * 300}},
        {"kind": "render", "name": "greenback", "options": {"key": "a\0b"}},
        {"kind": "render", "name": "greenback", "options": {"grow": 10**20}},
        {"kind": "render", "name": "greenback", "options": {"grow": [[1]]}},
        {"kind": "render", "name": "greenback", "options": {"background": "/etc/passwd"}},
        {"kind": "render", "name": "greenback", "options": {"background": "#/../etc/passwd"}},
        {"kind": "render", "name": "greenback", "options": {"background": "http://x/y.png"}},
        {"kind": "render", "name": "greenback", "output": "/tmp/x"},
    ],
)
def test_jobs_that_are_none(page: Client, body: dict[str, Any]) -> None:
    is_error(page("POST", "/api/jobs", body), 422)
    assert page.studio.calls == []


def test_what_can_be_asked(page: Client) -> None:
    for path in ("/api/suggested", "/api/problems"):
        (one,) = page("GET", path).json
        assert one.keys() >= {"index", "reason"}
    (line,) = page("POST", "/api/commands", {"name": "greenback"}).json
    assert line == "vfx-matte segment clip.mp4 --masks workspace/clip/references --resume"


def test_the_options(page: Client) -> None:
    options = page("GET", "/api/options").json
    assert {one["group"] for one in options} == {
        "edges", "render", "greenback", "maskvideo", "alpha", "overlay", "package"
    }  # fmt: skip
    names = ("group", "name", "explanation", "short", "default", "unit", "least", "most", "choices")
    for one in options:
        assert set(one) == {*names, "type"}
        assert one["type"] in ("bool", "int", "float", "str", "list")
    band = next(one for one in options if one["name"] == "band")
    assert (band["unit"], band["least"], band["type"]) == ("px", 1, "float")
    text = json.dumps(options)
    assert "⟦" not in text
    assert "--" not in text.replace("vfx-matte segment --soft", "")


def test_a_preview(page: Client) -> None:
    answer = page("POST", "/api/frames/2/preview?width=48", {"options": {"feather": 2}})
    assert answer.headers["content-type"] == "image/png"
    assert answer.body.startswith(b"\x89PNG")


# what becomes of errors


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (UsageError("bad", hint="do this"), 400),
        (ConflictError("bad"), 409),
        (MediaError("the clip is gone"), 503),
        (OutputError("the disk is full: cannot write 'x'"), 503),
        (VfxMatteError("x"), 503),
        (PermissionError(13, "Permission denied", "/x/y"), 503),
        (OSError(28, "No space left on device"), 503),
    ],
)
def test_errors_that_are_known(page: Client, failure: Exception, status: int) -> None:
    page.studio.failure = failure
    for method, path in [("GET", "/api/frames/1"), ("POST", "/api/undo"), ("GET", "/api/project")]:
        is_error(page(method, path), status)
    if isinstance(failure, UsageError) and failure.hint:
        assert page("POST", "/api/undo").json == {"message": "bad", "hint": "do this"}


def test_a_newer_request_for_a_frame(page: Client) -> None:
    page.studio.failure = SupersededError("newer requests came")
    answer = page("GET", "/api/frames/1")
    assert answer.status == 409
    assert answer.json["superseded"] is True


def test_bugs_show_no_more_than_their_kind(page: Client) -> None:
    page.studio.failure = RuntimeError("secret /home/somebody")
    answer = page("POST", "/api/undo")
    is_error(answer, 500)
    assert b"secret" not in answer.body
    assert b"File" not in answer.body
    page.studio.failure = None
    assert page("GET", "/api/project").status == 200


def test_options_and_commands_are_spelled_for_the_page(page: Client) -> None:
    page.studio.failure = UsageError(
        f"use {option('soft_edges', False)} or {option('edges', 'guided')}",
        hint=f"first {command('segment', 'my clip.mp4', update=True)}; see {option('grow')}",
    )
    assert page("POST", "/api/undo").json == {
        "message": "use “soft edges” off or “edges” = guided",
        "hint": "first “Both”; see “grow”",
    }


def test_characters_that_act_on_a_screen_become_visible(page: Client) -> None:
    page.studio.failure = UsageError("name \x1b[31m \ud800 \u202e\nnext")
    answer = page("POST", "/api/undo")
    is_error(answer, 400)
    assert answer.json["message"] == "name \\x1b[31m \\ud800 \\u202e\\nnext"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/project", 405),
        ("POST", "/api/project", 405),
        ("TRACE", "/api/project", 405),
        ("GET", "/api/undo", 404),
        ("GET", "/api/nothing", 404),
        ("POST", "/", 405),
        ("POST", "/app.js", 405),
        ("GET", "/api/project/", 404),
    ],
)
def test_addresses_that_are_none(page: Client, method: str, path: str, status: int) -> None:
    is_error(page(method, path), status)


def test_slow_calls_do_not_hold_the_others_up(page: Client) -> None:
    page.studio.delay_seconds = 0.5
    with ThreadPoolExecutor(10) as pool:
        slow = [pool.submit(page, "GET", f"/api/frames/{index}") for index in range(10)]
        # what needs no engine is answered meanwhile
        assert page("GET", "/none").status == 404
        assert not any(one.done() for one in slow)
        assert all(one.result().status == 200 for one in slow)


def test_the_body_of_a_mask_is_of_the_right_type(page: Client) -> None:
    body = gzip.compress(ONES)
    sent: dict[str, str | None] = {"Content-Encoding": "gzip"}
    kinds = {None: 200, "application/octet-stream": 200, "text/html": 415, "image/png": 415}
    for kind, status in kinds.items():
        answer = page("PUT", "/api/frames/1/mask", body, headers=sent | {"Content-Type": kind})
        assert answer.status == status
