"""What a page gets while the frames of a long clip are still counted."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.slow_opening import SlowOpening
from support.studio_server import Answer, Client, make_server, serving

from vfx_matte.errors import WorkspaceError


@pytest.fixture
def opening(tmp_path: Path, make_clip: Callable[..., Path]) -> Iterator[SlowOpening]:
    clip = tmp_path / "clip.mp4"
    pts = tuple(range(0, 40 * 1001, 1001))
    shutil.copy2(make_clip("forty.mp4", pts=pts, options={"g": "20"}), clip)
    made = SlowOpening(clip, tmp_path)
    yield made
    made.finish()
    made.close()


def test_the_first_frame_comes_first_and_the_rest_when_it_is_open(opening: SlowOpening) -> None:
    with serving(opening) as page:
        known = page("GET", "/api/opening").json
        early = page("GET", "/api/frames/0?width=80")
        assert (early.status, early.headers["x-frame-index"]) == (200, "0")
        # it is not kept under the address of a frame: which clip it is nobody knows yet
        assert early.headers["cache-control"] == "no-store"
        asked: list[Answer] = []
        waiting = threading.Thread(target=lambda: asked.append(page("GET", "/api/project")))
        waiting.start()
        for method, path in (
            ("GET", "/api/frames/1"),
            ("GET", "/api/frames/0/mask"),
            ("POST", "/api/undo"),
            ("POST", "/api/commands"),
        ):
            body = {"name": "alpha"} if path == "/api/commands" else None
            answer = page(method, path, body)
            assert (answer.status, answer.json["message"]) == (
                503, "the clip is still being opened"
            )  # fmt: skip
        assert page.put_mask(0, bytes(10)).status in (413, 415, 503)
        assert opening.is_awaited.wait(20)
        assert asked == []
        opening.finish()
        waiting.join(20)
        (project,) = asked
        clip = project.json["clip"]
        assert project.status == 200
        assert clip["frames"] == 40
        assert known["clip"] == {
            "name": "clip.mp4", "width": clip["width"], "height": clip["height"],
            "pts": clip["pts"][0],
        }  # fmt: skip
        assert early.headers["x-frame-pts"] == str(clip["pts"][0])
        assert page("GET", "/api/opening").json == {"clip": None}
        again = page("GET", "/api/frames/0?width=80")
        assert again.body == early.body
        assert page("GET", "/api/frames/39").status == 200


def test_events_of_a_clip_that_was_opened_late(opening: SlowOpening) -> None:
    with serving(opening) as page:
        opening.finish()
        assert page("GET", "/api/project").status == 200
        connection = page.connect()
        connection.putrequest("GET", "/api/events", skip_host=True)
        connection.putheader("Host", page.authority)
        connection.putheader("Authorization", f"Bearer {page.token}")
        connection.endheaders()
        stream = connection.getresponse()
        assert stream.readline() == b": connected\n"
        assert page("POST", "/api/objects", {}).status == 200
        lines = [stream.readline() for _ in range(4)]
        assert any(b'"project"' in line for line in lines)
        connection.close()


def test_a_clip_that_cannot_be_opened_is_said_and_the_server_ends(opening: SlowOpening) -> None:
    is_ready = threading.Event()
    server = make_server(opening, ready=lambda _: is_ready.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    assert is_ready.wait(20)
    page = Client(server.address.authority, server.address.token)
    asked: list[Answer] = []
    waiting = threading.Thread(target=lambda: asked.append(page("GET", "/api/project")))
    waiting.start()
    assert opening.is_awaited.wait(20)
    opening.finish(WorkspaceError("it is open in another studio", hint="close that"))
    waiting.join(20)
    thread.join(20)
    assert not thread.is_alive()
    (answer,) = asked
    assert answer.status == 400
    assert answer.json == {"message": "it is open in another studio", "hint": "close that"}


def test_nothing_is_ready_that_failed_before(opening: SlowOpening) -> None:
    opening.finish(WorkspaceError("it is open in another studio"))
    with pytest.raises(WorkspaceError):
        opening.wait()
    told: list[object] = []
    make_server(opening, ready=told.append).run()
    assert told == []
