"""A file server on this machine that behaves as badly as it is told, and weights files to serve.

Fixtures at the end.
"""

from __future__ import annotations

import io
import pickle
import random
import re
import select
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

MIB = 2**20
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def archive(seed: int = 0, *, payload_bytes: int = 3 * MIB) -> bytes:
    """A file built as torch.save builds them, with noise for tensors."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        members = {
            "data.pkl": pickle.dumps({"weight": (payload_bytes,)}, protocol=2),
            "data/0": random.Random(seed).randbytes(payload_bytes),
            "version": b"3\n",
        }
        for name, content in members.items():
            # without the time of day: the same bytes always
            file.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    return made.getvalue()


@dataclass
class Served:
    """What a server sends, and what it was asked.

    ranges: whether it knows Range; heeds_if_range: whether it looks at If-Range. drops: after how
    many bytes it hangs up, for one response after the other. length: whether it tells it. held: the
    event it waits for before it answers, or after held_at bytes. moved_to: where it redirects to.
    requests: method, path and headers of each.
    """

    content: bytes
    etag: str = '"1"'
    modified: str = ""
    ranges: bool = True
    heeds_if_range: bool = True
    length: bool = True
    status: int = 200
    moved_to: str = ""
    drops: list[int] = field(default_factory=list)
    held: threading.Event | None = None
    held_at: int = 0
    asked: threading.Event = field(default_factory=threading.Event)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    @property
    def ranges_asked(self) -> list[str]:
        return [headers.get("range", "") for _, _, headers in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Served

    def log_message(self, *_: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        self._note()
        self._empty(502)

    def do_GET(self) -> None:
        served = self.served
        asked = self._note()
        if served.held is not None and not served.held_at and not self._wait(served.held):
            return
        if served.moved_to and self.path != "/moved":
            self._empty(302, Location=served.moved_to)
            return
        if served.status != 200:
            self._empty(served.status)
            return
        start = self._start(asked)
        if start >= len(served.content):
            self._empty(416, **{"Content-Range": f"bytes */{len(served.content)}"})
            return
        body = served.content[start:]
        self.send_response(206 if start else 200)
        if served.length:
            self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(served.content) - 1}/{len(served.content)}"
            )
        for name, value in (("ETag", served.etag), ("Last-Modified", served.modified)):
            if value:
                self.send_header(name, value)
        self.end_headers()
        count = served.drops.pop(0) if served.drops else len(body)
        if served.held is not None and served.held_at:
            self.wfile.write(body[: served.held_at])
            if not self._wait(served.held):
                return
            body, count = body[served.held_at :], count - served.held_at
        self.wfile.write(body[:count])
        self.close_connection = count < len(body) or not served.length

    def _note(self) -> dict[str, str]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.served.requests.append((self.command, self.path, headers))
        self.served.asked.set()
        return headers

    def _start(self, asked: dict[str, str]) -> int:
        """The first byte to send."""
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.get("range", ""))
        same = (
            asked.get("if-range") in (None, self.served.etag, self.served.modified)
            or not self.served.heeds_if_range
        )
        return int(wanted[1]) if wanted and self.served.ranges and same else 0

    def _wait(self, event: threading.Event) -> bool:
        """Wait for the event, or for the client to go away, which is False."""
        while not event.wait(0.01):
            if select.select([self.connection], [], [], 0)[0]:
                self.close_connection = True
                return False
        return True

    def _empty(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may hang up."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def serve(content: bytes) -> Iterator[Served]:
    """A server in threads of its own, as a fixture's generator."""
    served = Served(content)
    handler = type("Handler", (_Handler,), {"served": served})
    with _Server(("127.0.0.1", 0), handler) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}/XMem.pth"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture
def server(direct: None) -> Iterator[Served]:
    """Serves a good file."""
    yield from serve(archive())


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the machine comes between."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without PyTorch."""
    monkeypatch.setitem(sys.modules, "vfx_matte.propagate.xmem.weights", None)


def write_table(folder: Path, url: str, **more: object) -> Path:
    """A table that lets XMem.pth come from another address; more: its other keys."""
    lines = [f'url = "{url}" # our mirror'] + [
        f"{key} = {value!r}".replace("'", '"') for key, value in more.items()
    ]
    table = folder / "weights.toml"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(
        "\n".join(["# ours", "", "[[weights]]", 'name = "XMem.pth"', *lines]) + "\n",
        encoding="utf-8",
    )
    return table
