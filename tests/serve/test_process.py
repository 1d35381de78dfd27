"""`vfx-matte serve` as a process: its line, ten clients at once, clients that disappear, and a
server that is killed and started again.
"""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.command_line import CommandLine
from support.labelling_server import Events, ended, region_of, track_body
from support.served import ServedProcess, starting
from support.studio_server import Client

pytestmark = pytest.mark.slow

Start = Callable[..., "Started"]


class Started(ServedProcess):
    """A server for labelling tools."""

    @property
    def client(self) -> Client:
        address, token = self.line.strip().removeprefix("http://").split("  token: ")
        return Client(address, token)


@pytest.fixture
def start(cli: CommandLine) -> Iterator[Start]:
    with starting(partial(cli.start, "serve"), Started) as begin:
        yield begin


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_one_line_and_ctrl_c(start: Start) -> None:
    server = start("--port", "0")
    assert server.line.startswith("http://127.0.0.1:")
    assert len(server.client.token) >= 43
    assert server.client("GET", "/v1/models").status == 200
    track = server.client("POST", "/v1/tracks", track_body(40, propagator="builtin")).json
    stream = Events(server.client, f"/v1/tracks/{track['id']}/events")
    next(iter(stream))
    code, stdout, stderr = server.ended(signal.SIGINT)
    stream.close()
    assert (code, stdout) == (130, "")
    assert stderr.splitlines()[-1] == "note: the server is closed; its tracks and clips are gone"
    assert "Traceback" not in stderr


def test_for_scripts(start: Start) -> None:
    server = start("--port", "0", "--json")
    said = json.loads(server.line)
    assert said["address"].startswith("http://127.0.0.1:")
    assert set(said) == {"address", "token"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--host", "0.0.0.0"), "--allow-remote"),
        (("--clips", "none"), "'none' is not a folder"),
        (("--token-file", "short.txt"), "holds no token"),
        (("--at-once", "0"), "at-once"),
        (("--host", "no such host.invalid"), "host"),
        (("--propagator", "magic"), "propagator"),
    ],
)
def test_misuse(cli: CommandLine, arguments: tuple[str, ...], text: str) -> None:
    Path("short.txt").write_text("short", encoding="utf-8")
    done = cli.run("serve", "--port", "0", *arguments)
    assert done.code == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken(cli: CommandLine, start: Start) -> None:
    server = start("--port", "0")
    done = cli.run("serve", "--port", str(server.client.port))
    assert done.code == 2
    assert "nothing can listen" in done.stderr
    assert "--port 0" in done.stderr


def test_ten_clients_at_once(start: Start) -> None:
    """Two are served, the others wait for their turn, and each gets all of its frames."""
    server = start("--port", "0")
    client = server.client
    length, clients = 8, 10
    heard: list[list[dict[str, Any]]] = [[] for _ in range(clients)]
    running: list[int] = []
    ids: list[str] = []

    def work(number: int) -> None:
        answer = client("POST", "/v1/tracks", track_body(length, propagator="builtin"))
        assert answer.status == 201, answer.json
        ids.append(answer.json["id"])
        heard[number] = ended(client, answer.json["id"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        states = [client("GET", f"/v1/tracks/{one}").json["state"] for one in tuple(ids)]
        running.append(states.count("running"))
        time.sleep(0.05)
    for thread in threads:
        thread.join(60)
    for events in heard:
        frames = [event for event in events if event["type"] == "frame"]
        assert [event["frame"] for event in frames] == list(range(1, length))
        assert events[-1]["type"] == "completed"
    # the same request has the same masks, whoever else is served
    masks = [
        [one["rle"]["counts"] for event in events if event["type"] == "frame"
         for one in event["objects"]]
        for events in heard
    ]  # fmt: skip
    assert all(one == masks[0] for one in masks)
    waited = [
        event["position"]
        for events in heard
        for event in events
        if event["type"] == "progress" and event["position"] is not None
    ]
    assert max(waited) >= 2
    # between two answers one may end and the next begin
    assert 2 in running
    assert max(running) <= 3


def test_a_client_that_is_killed_frees_its_track(start: Start, tmp_path: Path) -> None:
    server = start("--port", "0", "--patience", "1", "--at-once", "1")
    client = server.client
    long = client("POST", "/v1/tracks", track_body(200, propagator="builtin")).json["id"]
    script = tmp_path / "listen.py"
    script.write_text(
        "import http.client, sys\n"
        "connection = http.client.HTTPConnection(sys.argv[1])\n"
        "connection.request('GET', sys.argv[2], headers={'Token': sys.argv[3]})\n"
        "answer = connection.getresponse()\n"
        "for line in answer:\n"
        "    print(line.decode(), end='', flush=True)\n"
    )
    listener = subprocess.Popen(
        [sys.executable, script, client.authority, f"/v1/tracks/{long}/events", client.token],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert listener.stdout
    for line in listener.stdout:
        if '"type":"frame"' in line:
            break
    listener.kill()
    listener.communicate()
    # the next one comes to its turn, long before the first one would have ended
    short = client("POST", "/v1/tracks", track_body(3, propagator="builtin")).json["id"]
    assert ended(client, short)[-1]["type"] == "completed"
    assert client("GET", f"/v1/tracks/{long}").status == 410


def test_killed_and_started_again(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old ids are gone, the token and all else is as it was, and nothing is left behind."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    port = free_port()
    arguments = ("--port", str(port), "--token-file", "token.txt")
    server = start(*arguments)
    client = server.client
    assert stat.S_IMODE(Path("token.txt").stat().st_mode) == 0o600
    clip = client("POST", "/v1/clips", {"frames": track_body(8)["frames"]}).json["id"]
    track = client("POST", "/v1/tracks", track_body(200, propagator="builtin")).json["id"]
    session = client(
        "POST", "/v1/video/init", {"model": "auto", "frames": track_body(4)["frames"]}
    ).json["data"]["session_id"]
    stream = Events(client, f"/v1/tracks/{track}/events")
    next(iter(stream))
    server.process.send_signal(signal.SIGKILL)
    server.process.communicate()
    stream.close()
    assert list(temporary.iterdir()) == []

    again = start(*arguments)
    assert again.client == client
    for path in (f"tracks/{track}", f"tracks/{track}/events", f"clips/{clip}",
                 f"video/status/{session}"):  # fmt: skip
        gone = client("GET", f"/v1/{path}")
        assert gone.status == 410
        assert "started again" in gone.json["message"]
    assert client("DELETE", f"/v1/tracks/{track}").status == 410
    new = client("POST", "/v1/tracks", track_body(4, propagator="builtin")).json["id"]
    events = ended(client, new)
    assert events[-1]["type"] == "completed"
    (frame, *_) = (event for event in events if event["type"] == "frame")
    assert region_of(frame["objects"][0]["rle"]).any()
