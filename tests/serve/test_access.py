"""Who may ask, and the page that describes the interface."""

from __future__ import annotations

import html.parser
import http.client
import json
import re
import select
import socket
import stat
import time
from pathlib import Path
from unittest import mock

import pytest
from support.labelling_server import serving, track_body
from support.studio_server import Client

from vfx_matte.errors import MediaError, OutputError, UsageError, WeightsError
from vfx_matte.web import listener
from vfx_matte.web.guard import SECURITY_HEADERS
from vfx_matte.web.serve.server import kept_token

JSON: dict[str, str | None] = {"Content-Type": "application/json"}


def test_the_token_in_either_header(client: Client) -> None:
    path, none = "/v1/models", {"Authorization": None}
    assert client("GET", path).status == 200
    assert client("GET", path, headers={**none, "Token": client.token}).status == 200
    for headers in ({}, {"Token": "x"}, {"Token": ""}, {"Token": f"Bearer {client.token}"}):
        answer = client("GET", path, headers={**none, **headers})
        assert answer.status == 401
        assert "Token: TOKEN" in answer.json["hint"]
    assert client("GET", path, headers={"Authorization": "Bearer x"}).status == 401


def test_nothing_is_found_by_asking_without_the_token(client: Client) -> None:
    for path in ("/v1/tracks/track-1-1", "/v1/none", "/none", "/docs", "/v1/clips/../../etc"):
        assert client("GET", path, headers={"Authorization": None}).status == 401
        assert client("POST", path, headers={"Authorization": None}).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
)
def test_other_pages_get_nothing(client: Client, headers: dict[str, str | None]) -> None:
    for path in ("/v1/models", "/openapi.json"):
        assert client("GET", path, headers=headers).status in (403, 421)


class Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "style", "iframe", "img")
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


def test_the_page_describes_every_route_and_loads_nothing_from_elsewhere(client: Client) -> None:
    none = {"Authorization": None}
    answer = client("GET", "/", headers=none)
    assert answer.headers["content-type"].startswith("text/html")
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    page = answer.body.decode()
    links = Links()
    links.feed(page)
    assert set(links.found) == {"/reference.css", "/openapi.json"}
    assert (
        client("GET", "/reference.css", headers=none).headers["content-type"].startswith("text/css")
    )
    described = client("GET", "/openapi.json", headers=none).json
    for path, operations in described["paths"].items():
        for method in operations:
            assert f"<h2><b>{method.upper()}</b> <code>{path}</code></h2>" in page
            assert operations[method]["description"], (method, path)
    assert client.token not in page


def test_large_bodies_wait_for_their_turn_and_small_ones_do_not() -> None:
    """A body that is announced as large is not read before another one is done."""
    with serving() as client:
        body = json.dumps(track_body(3)).encode()
        large = body + b" " * (2 << 20)

        def begin(content: bytes) -> http.client.HTTPConnection:
            connection = client.connect()
            connection.putrequest("POST", "/v1/tracks", skip_host=True)
            for name, value in {
                "Host": client.authority,
                "Token": client.token,
                "Content-Type": "application/json",
                "Content-Length": str(len(large)),
            }.items():
                connection.putheader(name, value)
            connection.endheaders(content)
            return connection

        slow = [begin(large[:1000]) for _ in range(2)]
        waiting = begin(large)
        assert select.select([waiting.sock], [], [], 1)[0] == []
        assert client("POST", "/v1/tracks", body, headers=JSON).status == 201
        slow[0].close()
        assert waiting.getresponse().status == 201
        for one in (waiting, slow[1]):
            one.close()


def test_models_say_what_can_be_chosen(client: Client) -> None:
    found = client("GET", "/v1/models").json
    assert found["success"] is True
    assert {"auto", "builtin"} <= set(found["data"])
    assert not set(found["data"]) & set(found["unavailable"])
    assert all("⟦" not in text for text in found["unavailable"].values())


# the token that is kept


def test_a_token_is_kept_for_this_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "token"
    token = kept_token(file)
    assert re.fullmatch(r"[\w-]{43}", token)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert kept_token(file) == token


@pytest.mark.parametrize("text", ["", "short", "with spaces in it, which no header has", "ä" * 30])
def test_a_file_that_holds_no_token(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="holds no token"):
        kept_token(file)
    assert file.read_text(encoding="utf-8") == text


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="token"):
        kept_token(tmp_path / "none" / "token")
    with pytest.raises(OutputError):
        kept_token(tmp_path)


def test_a_head_that_does_not_arrive_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_HEAD_SECONDS", 0.5)
    with serving() as client:
        head = f"Host: {client.authority}\r\nToken: {client.token}\r\n"
        whole = f"GET /v1/models HTTP/1.1\r\n{head}\r\n".encode()

        def connected() -> socket.socket:
            return socket.create_connection(("127.0.0.1", client.port), timeout=20)

        def status(one: socket.socket) -> int:
            with http.client.HTTPResponse(one) as answer:
                answer.begin()
                answer.read()
                return answer.status

        with connected() as none, connected() as half, connected() as second, connected() as slow:
            half.sendall(whole[:-4])
            second.sendall(whole)
            assert status(second) == 200
            second.sendall(whole[:20])
            slow.sendall(
                f"POST /v1/clips HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
                "Content-Length: 2\r\n\r\n".encode()
            )
            for one in (none, half, second):
                assert one.recv(100) == b""
            # a body may take longer, and so may the next request
            time.sleep(0.5)
            slow.sendall(b"{}")
            assert status(slow) == 400
            time.sleep(1)
            slow.sendall(whole)
            assert status(slow) == 200


def test_errors_show_nothing_of_where_things_lie(tmp_path: Path) -> None:
    clips = tmp_path / "secret place" / "clips"
    clips.mkdir(parents=True)
    (clips / "broken.mp4").write_bytes(b"nothing that plays")
    (clips / "locked").mkdir()
    with serving(folders=(clips,)) as client:
        for path in (
            "x" * 900,
            "y" * 300 + "/a.mp4",
            "broken.mp4",
            "none.mp4",
            "locked",
            "../x.mp4",
        ):
            answer = client("POST", "/v1/clips", {"path": path})
            assert 400 <= answer.status < 500
            assert "secret" not in answer.body.decode()
            assert answer.json["message"]
            assert answer.json["hint"]
        # what nobody foresaw: any message may have any path of this machine
        for error in (
            MediaError(f"{str(tmp_path / 'secret place' / 'x.bin')!r} is damaged"),
            WeightsError("no network", hint="delete /srv/secret/net.pth"),
            PermissionError(13, "Permission denied", "/srv/secret/x.bin"),
        ):
            with mock.patch.object(client.studio, "file_clip", side_effect=error):
                answer = client("POST", "/v1/clips", {"path": "broken.mp4"})
            assert answer.status in (400, 503)
            assert "secret" not in answer.body.decode()
            assert "x.bin" in answer.json["message"] or "…/net.pth" in answer.json["hint"]
        # a network that is not there
        models = client("GET", "/v1/models")
        assert str(Path.cwd()) not in models.body.decode()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/none", None),
        ("PUT", "/v1/models", None),
        ("GET", "/v1/tracks/track-1-1", None),
        ("GET", "/v1/clips/x", None),
        ("POST", "/v1/clips", {}),
        ("POST", "/v1/clips", {"frames": ["x"]}),
        ("POST", "/v1/clips", {"frames": "x"}),
        ("POST", "/v1/tracks", {"mask": "x"}),
        ("POST", "/v1/tracks", {"mask": "eA==", "frames": ["eA=="], "start_frame": -1}),
    ],
)
def test_every_error_has_a_hint(
    client: Client, method: str, path: str, body: dict[str, object] | None
) -> None:
    answer = client(method, path, body)
    assert answer.status >= 400
    assert answer.json["message"]
    assert answer.json["hint"]
