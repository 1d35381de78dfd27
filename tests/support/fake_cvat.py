"""A server that answers what `cvat-cli` asks a CVAT server for: one task, functions, their queues.

    with FakeCvat(pictures, labels=["dog"]) as server:
        run("cvat-cli", "--server-host", server.url, "function", "create-native", …)
        answer = server.ask({"type": "init_tracking", "frame": 0, "shapes": […]})

Written from what the installed `cvat-cli` and `cvat-sdk` send and read; it is no CVAT.
"""

from __future__ import annotations

import io
import json
import queue
import re
import threading
import zipfile
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image as Pictures

from vfx_matte.masks import Image

TASK = 7
TOKEN = "a-token"

_QUEUE = re.compile(r"/api/functions/queues/function:(\d+)/(.*)")
_JSON = "application/vnd.cvat+json"


class FakeCvat:
    """One task with pictures, as a video or as a set of images.

    Args:
        pictures: uint8 (H, W, 3) R'G'B' each.
        labels: names of the task's labels.
        is_video: chunks of videos cannot be read by the SDK, single frames can.
    """

    def __init__(
        self, pictures: Sequence[Image], *, labels: Sequence[str] = (), is_video: bool = False
    ) -> None:
        self.pictures, self.labels, self.is_video = pictures, list(labels), is_video
        self.functions: dict[int, dict[str, Any]] = {}
        self.annotations: dict[str, Any] = {}
        """What was uploaded to the task."""
        self.refused: list[str] = []
        """Requests that it has no answer for."""
        self._waiting: dict[str, list[dict[str, Any]]] = {"interactive": [], "batch": []}
        self._answers: dict[str, queue.Queue[dict[str, Any]]] = {}
        self._watchers: list[queue.Queue[str]] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"cvat": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> FakeCvat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for watcher in self._watchers:
            watcher.put("")
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, params: dict[str, Any], *, category: str = "interactive") -> str:
        """Put a request into the queue of the function; its id."""
        with self._lock:
            name = f"ar-{len(self._answers)}"
            self._answers[name] = queue.Queue()
            self._waiting[category].append({"ar_id": name, "ar_params": {"task": TASK, **params}})
            for watcher in self._watchers:
                event = json.dumps({"request_category": category})
                watcher.put(f": keepalive\nevent: newrequest\ndata: {event}\n\n")
        return name

    def answer(self, name: str, *, timeout: float = 40) -> dict[str, Any]:
        """What an agent gave: its result, or `exc_info` where it failed."""
        return self._answers[name].get(timeout=timeout)

    def ask(self, params: dict[str, Any], *, category: str = "interactive") -> dict[str, Any]:
        """`put` and `answer`."""
        return self.answer(self.put(params, category=category))

    def wait_for_watcher(self, seconds: float = 60) -> None:
        """Until an agent listens to the queue."""
        waited = threading.Event()
        for _ in range(int(seconds * 20)):
            if self._watchers:
                return
            waited.wait(0.05)
        raise TimeoutError("no agent watches the queue")

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[bytes, str]:
        """The body and its type."""
        height, width = self.pictures[0].shape[:2]
        chunk_type = "video" if self.is_video else "imageset"
        if path == f"/api/tasks/{TASK}/data":
            if query["type"] == ["chunk"]:
                return self._chunk(int(query["number"][0])), "application/zip"
            return _png(self.pictures[int(query["number"][0])]), "image/png"
        answers: dict[str, Any] = {
            "/api/server/about": {
                "name": "Fake", "description": "", "version": "2.80.0", "logo_url": "",
                "subtitle": "",
            },
            f"/api/tasks/{TASK}": {
                "id": TASK, "name": "clip",
                "size": len(self.pictures), "data_chunk_size": 4,
                "data_original_chunk_type": chunk_type, "data_compressed_chunk_type": "imageset",
                "updated_date": "2026-01-01T00:00:00Z", "organization": None,
                "jobs": {"count": 1, "completed": 0, "validation": 0, "url": ""},
                "labels": {"url": ""},
            },
            f"/api/tasks/{TASK}/data/meta": {
                "chunks_updated_date": "2026-01-01T00:00:00Z", "deleted_frames": [],
                "size": len(self.pictures), "start_frame": 0, "stop_frame": len(self.pictures) - 1,
                "frames": [
                    {"name": f"{index:06d}.png", "width": width, "height": height,
                     "related_files": 0}
                    for index in range(1 if self.is_video else len(self.pictures))
                ],
            },
            "/api/labels": {
                "count": len(self.labels), "next": None, "previous": None,
                "results": [
                    {"id": 100 + number, "name": name, "type": "any", "attributes": [],
                     "sublabels": []}
                    for number, name in enumerate(self.labels)
                ],
            },
            **{
                f"/api/functions/{number}": function for number, function in self.functions.items()
            },
        }  # fmt: skip
        return json.dumps(answers[path]).encode(), _JSON

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer."""
        if path == "/api/functions":
            return self._create(body)
        place = _QUEUE.fullmatch(path)
        if place is None or int(place[1]) not in self.functions:
            raise KeyError(path)
        if place[2] == "requests/acquire":
            with self._lock:
                waiting = self._waiting[body["request_category"]]
                return {"ar_assignment": waiting.pop(0) if waiting else None}
        _, name, action = place[2].split("/")
        if action in {"complete", "fail"}:
            self._answers[name].put(body)
        elif action != "update":
            raise KeyError(path)
        return {}

    def watch(self) -> queue.Queue[str]:
        """Texts of the event stream; an empty one ends it."""
        events: queue.Queue[str] = queue.Queue()
        events.put("retry: 100\n\n")
        with self._lock:
            self._watchers.append(events)
        return events

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        number = 40 + len(self.functions)
        usual: dict[str, Any] = {}
        if body["kind"] == "interactor":
            usual = {
                "min_neg_points": -1, "startswith_box": False, "startswith_box_optional": False
            }  # fmt: skip
        for label in body.get("labels_v2", ()):
            label.setdefault("type", "unknown")
        self.functions[number] = {"id": number, **usual, **body}
        return self.functions[number]

    def _chunk(self, number: int) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for index, picture in enumerate(self.pictures[4 * number : 4 * number + 4]):
                archive.writestr(f"{index:06d}.png", _png(picture))
        return packed.getvalue()


class _Handler(BaseHTTPRequestHandler):
    cvat: FakeCvat
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}" and "about" not in self.path:
            self._send(401, b"{}", _JSON)
            return
        place = urlsplit(self.path)
        if place.path.endswith("/watch"):
            self._stream()
            return
        try:
            body, kind = self.cvat.get(place.path.rstrip("/"), parse_qs(place.query))
        except KeyError:
            self._refuse()
        else:
            self._send(200, body, kind)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = self.cvat.post(unquote(urlsplit(self.path).path), body)
        except KeyError:
            self._refuse()
        else:
            self._send(200, json.dumps(answer).encode(), _JSON)

    def do_PATCH(self) -> None:
        self._upload()

    def do_PUT(self) -> None:
        self._upload()

    def _upload(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if urlsplit(self.path).path.rstrip("/") != f"/api/tasks/{TASK}/annotations":
            self._refuse()
            return
        self.cvat.annotations = body
        self._send(200, json.dumps({"tags": [], "shapes": [], "tracks": []}).encode(), _JSON)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        events = self.cvat.watch()
        while text := events.get():
            try:
                self.wfile.write(text.encode())
                self.wfile.flush()
            except OSError:
                return
        self.close_connection = True

    def _refuse(self) -> None:
        self.cvat.refused.append(f"{self.command} {self.path}")
        self._send(404, b"{}", _JSON)

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the test's screen."""


def _png(picture: Image) -> bytes:
    packed = io.BytesIO()
    Pictures.fromarray(picture).save(packed, "PNG")
    return packed.getvalue()
