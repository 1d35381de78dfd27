# ruff: noqa: ANN401
"""The server for labelling tools, served to a test: in a thread on a free port, or as a process."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fastapi import APIRouter

from support.studio_server import Client
from vfx_matte.cli.typed import as_typed
from vfx_matte.masks import Image, Mask
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.settings.options import ServeSettings
from vfx_matte.web.serve.server import LabellingServer
from vfx_matte.web.serve.service import Serving
from vfx_matte.web.spelling import FieldSpeller

SHAPE = (72, 96)
FAKE = PropagatorOptions(name="fake")
BUILTIN = PropagatorOptions(name="builtin", values={"network": False})


def picture(index: int) -> Image:
    """A frame of a clip: two discs that move."""
    noise = np.random.default_rng(5).integers(60, 200, (18, 24, 3), np.uint8)
    image = cv2.resize(noise, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    cv2.circle(image, (20 + 3 * index, 24), 11, (230, 40, 40), -1)
    cv2.circle(image, (70 - 2 * index, 52), 9, (30, 60, 240), -1)
    return image


def true_mask(index: int) -> Mask:
    """The mask of the same frame: ids 1 and 2."""
    mask = np.zeros(SHAPE, np.uint8)
    cv2.circle(mask, (20 + 3 * index, 24), 11, 1, -1)
    cv2.circle(mask, (70 - 2 * index, 52), 9, 2, -1)
    return mask


def file_of(pixels: Any, suffix: str = ".png") -> bytes:
    """A picture file; colours are R'G'B'."""
    bgr = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    return bytes(cv2.imencode(suffix, bgr)[1].tobytes())


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def track_body(length: int = 6, **changes: Any) -> dict[str, Any]:
    """A request for a track, as JSON."""
    return {
        "frames": [encoded(file_of(picture(index))) for index in range(length)],
        "mask": encoded(file_of(true_mask(0))),
        **changes,
    }


def region_of(rle: dict[str, Any]) -> Any:
    """The pixels of COCO's compressed run lengths: bool (H, W). By the format's description alone,
    without the code of this program or pycocotools.
    """
    height, width = rle["size"]
    runs: list[int] = []
    value = shift = 0
    for character in rle["counts"]:
        code = ord(character) - 48
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    assert sum(runs) == height * width
    inside = [bool(number % 2) for number, run in enumerate(runs) for _ in range(run)]
    return np.array(inside).reshape(width, height).T


@contextmanager
def serving(
    *,
    folders: tuple[Path, ...] = (),
    propagator: PropagatorOptions = FAKE,
    tools: tuple[APIRouter, ...] = (),
    **limits: Any,
) -> Iterator[Client]:
    """Serve in a thread; the client's `studio` is the service."""
    service = Serving(
        ServeSettings(**{"port": 0, **limits}),
        folders=folders,
        propagator=propagator,
        model=Path("model"),
        fetch=False,
        speller=FieldSpeller(as_typed, ("propagator",)),
    )
    is_ready = threading.Event()
    server = LabellingServer(service, tools=tools, ready=lambda _: is_ready.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert is_ready.wait(20)
        yield Client(server.address.authority, server.address.token, service)
    finally:
        server.stop()
        thread.join(20)
        service.close()
        assert not thread.is_alive()


class Events:
    """A stream of events that is open."""

    def __init__(
        self,
        client: Client,
        path: str,
        *,
        last: str | None = None,
        body: Any = None,
        timeout: float = 60,
    ) -> None:
        self.connection = client.connect()
        self.connection.timeout = timeout
        headers = {"Host": client.authority, "Authorization": f"Bearer {client.token}"}
        if last is not None:
            headers["Last-Event-ID"] = last
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        self.connection.putrequest("GET" if body is None else "POST", path, skip_host=True)
        for name, value in headers.items():
            self.connection.putheader(name, value)
        self.connection.endheaders(content)
        self.answer = self.connection.getresponse()
        self.last_id = last

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The data of each event, until the stream ends."""
        while line := self.answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                self.last_id = value
            if name == "data":
                yield json.loads(value)

    def close(self) -> None:
        # a client that is killed closes its side without a word
        self.answer.close()
        self.connection.close()


def ended(client: Client, track_id: str) -> list[dict[str, Any]]:
    """All events of a track, which has to end."""
    stream = Events(client, f"/v1/tracks/{track_id}/events")
    try:
        return list(stream)
    finally:
        stream.close()
