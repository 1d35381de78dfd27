# ruff: noqa: ANN401
"""A studio that is served to a test: a real server on a free port, and a client that can send
anything.
"""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vfx_matte.cli.typed import as_typed
from vfx_matte.pipeline.studio import Opening
from vfx_matte.settings import ini
from vfx_matte.settings.options import StudioSettings
from vfx_matte.web.server import StudioServer
from vfx_matte.web.spelling import Speller

GROUPS = ("edges", "render", "greenback", "maskvideo", "alpha", "overlay", "package")


def make_server(
    studio: Any, *, host: str = "127.0.0.1", port: int = 0, ready: Any = None
) -> StudioServer:
    """The server of an engine, which may still be opening, at the settings of the command line."""
    settings = ini.Settings()
    return StudioServer(
        studio if isinstance(studio, Opening) else Opening.of(studio),
        StudioSettings(host=host, port=port),
        speller=Speller(as_typed),
        records={name: getattr(settings, name) for name in GROUPS},
        ready=ready or (lambda _: None),
    )


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> bytes:
        """The ids of a mask."""
        assert self.headers["content-encoding"] == "gzip"
        return gzip.decompress(self.body)


@dataclass(frozen=True)
class Client:
    """Sends requests as the page does, or with other headers."""

    authority: str
    token: str
    studio: Any = None

    @property
    def port(self) -> int:
        return int(self.authority.rpartition(":")[2])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str | None] | None = None,
    ) -> Answer:
        """Send a request. body: bytes, or what becomes JSON; a header that is None is left out."""
        sent: dict[str, str | None] = {
            "Host": self.authority,
            "Authorization": f"Bearer {self.token}",
        }
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        connection = self.connect()
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if (
                body is not None
                and "Content-Length" not in sent
                and "Transfer-Encoding" not in sent
            ):
                connection.putheader("Content-Length", str(len(body)))
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def put_mask(self, index: int, ids: bytes, query: str = "label=brush") -> Answer:
        return self(
            "PUT",
            f"/api/frames/{index}/mask?{query}",
            gzip.compress(ids),
            headers={"Content-Encoding": "gzip"},
        )


@contextmanager
def serving(studio: Any) -> Iterator[Client]:
    """Serve an engine in a thread."""
    is_ready = threading.Event()
    server = make_server(studio, ready=lambda _: is_ready.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert is_ready.wait(20)
        yield Client(server.address.authority, server.address.token, studio)
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()
