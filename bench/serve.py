"""Measures the server for labelling tools with ten clients at once. For developers.

    python bench/serve.py FOLDER --mask MASK.png --frames 60 --count 6 --height 1080

FOLDER holds the frames of a clip as JPEG files, MASK.png is the mask of the first one. Each client
sends all frames, as large as it is asked for, listens to its track of so many frames, and writes
down when its first and its last mask came. Printed is a table of what they saw, and how much memory
the server took: before the first request, and at most. One more row is a client alone, before the
others. A second table is of clients that share a clip, which was sent once: their requests are
small, and come at the same time.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

_POLL_SECONDS = 0.05


@dataclass
class Seen:
    """What one client saw, in seconds since all began."""

    sent: float = 0.0
    """Its request was answered."""
    position: int = 0
    """Its place in the queue then."""
    first: float = 0.0
    """The first mask."""
    last: float = 0.0
    """The end."""
    frames: int = 0
    ended: str = ""


class Memory:
    """Watches the memory of a process: /proc has it on Linux."""

    def __init__(self, pid: int) -> None:
        self._file = Path(f"/proc/{pid}/status")
        self.most = self.now
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def now(self) -> int:
        """MB that are in memory."""
        found = dict(line.split(":", 1) for line in self._file.read_text().splitlines())
        return int(found["VmRSS"].split()[0]) // 1024

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            self.most = max(self.most, self.now)

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
        self._thread.join()


def request_of(given: argparse.Namespace) -> dict[str, Any]:
    """The body of a request for a track."""

    def encoded(file: Path, suffix: str, flag: int, smooth: int) -> str:
        picture = cv2.imread(str(file), flag)
        assert picture is not None
        width = round(picture.shape[1] * given.height / picture.shape[0])
        picture = cv2.resize(picture, (width, given.height), interpolation=smooth)
        return base64.b64encode(cv2.imencode(suffix, picture)[1].tobytes()).decode()

    files = sorted(given.folder.glob("*.jpg"))[: given.frames]
    body: dict[str, Any] = {
        "frames": [encoded(one, ".jpg", cv2.IMREAD_COLOR, cv2.INTER_CUBIC) for one in files],
        "mask": encoded(given.mask, ".png", cv2.IMREAD_GRAYSCALE, cv2.INTER_NEAREST),
        "propagator": "builtin",
        "count": given.count,
    }
    return body


def work(url: str, token: str, body: bytes, began: float, seen: Seen) -> None:
    """Be one client."""
    import httpx

    headers = {"Token": token, "Content-Type": "application/json"}
    with httpx.Client(base_url=url, headers=headers, timeout=600) as client:
        answer = client.post("/v1/tracks", content=body)
        seen.sent = time.monotonic() - began
        answer.raise_for_status()
        seen.position = answer.json()["position"] or 0
        with client.stream("GET", f"/v1/tracks/{answer.json()['id']}/events") as stream:
            for line in stream.iter_lines():
                if not line.startswith("data: "):
                    continue
                event = json.loads(line[6:])
                if event["type"] == "frame":
                    seen.frames += 1
                    seen.first = seen.first or time.monotonic() - began
                seen.ended = event["type"]
        seen.last = time.monotonic() - began


def together(url: str, token: str, body: bytes, count: int) -> list[Seen]:
    """So many clients at once; the results in the order of their ends."""
    found = [Seen() for _ in range(count)]
    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(url, token, body, began, one)) for one in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found, key=lambda one: one.last)


def main() -> int:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mask", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--height", type=int, default=1080)
    given = parser.parse_args()
    request = request_of(given)
    body = json.dumps(request).encode()
    root = Path(__file__).resolve().parents[1]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "vfx_matte", "serve", "--port", "0"],
            cwd=folder,
            env=os.environ | {"VFX_MATTE_FETCH": "never", "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        url, _, token = process.stdout.readline().strip().partition("  token: ")
        memory = Memory(process.pid)
        before = memory.now
        try:
            alone = together(url, token, body, 1)
            one_most, memory.most = memory.most, memory.now
            rows = together(url, token, body, given.clients)
            many_most, memory.most = memory.most, memory.now
            shared = together(url, token, sharing(url, token, request), given.clients)
        finally:
            memory.stop()
            process.send_signal(signal.SIGINT)
    size = len(body) / 1e6
    print(
        f"{given.frames} frames of {given.height} lines, a request of {size:.1f} MB,"
        f" {given.count} frames tracked, {os.cpu_count()} cores\n"
    )
    show([("alone", alone[0]), *((str(n), one) for n, one in enumerate(rows, 1))])
    print("\na clip that all share:\n")
    show([(str(n), one) for n, one in enumerate(shared, 1)])
    print(
        f"\nmemory of the server: {before} MB at first, {one_most} MB at most with one client,"
        f" {many_most} MB at most with {given.clients}, {memory.most} MB at most where they share"
    )
    return 0 if all(one.ended == "completed" for one in (*rows, *shared)) else 1


def sharing(url: str, token: str, request: dict[str, Any]) -> bytes:
    """Send the clip; the body of a request that names it."""
    import httpx

    with httpx.Client(base_url=url, headers={"Token": token}, timeout=600) as client:
        answer = client.post("/v1/clips", json={"frames": request["frames"]})
        answer.raise_for_status()
    rest = {name: value for name, value in request.items() if name != "frames"}
    return json.dumps({**rest, "clip": answer.json()["id"]}).encode()


def show(rows: list[tuple[str, Seen]]) -> None:
    """Print what clients saw, in the order of their ends."""
    print("| client | others before it | answered | first mask | last mask | masks | ended |")
    print("|---|---|---|---|---|---|---|")
    for name, one in rows:
        print(
            f"| {name} | {one.position} | {one.sent:.1f} s | {one.first:.1f} s | {one.last:.1f} s"
            f" | {one.frames} | {one.ended} |"
        )


if __name__ == "__main__":
    sys.exit(main())
