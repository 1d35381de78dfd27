"""Sends the server for labelling tools requests that fit its description and such that do not, and
counts what it must never do. For developers; needs schemathesis.

    python bench/fuzz_serve.py --count 300

As bench/fuzz_studio.py does: requests are made from the server's own OpenAPI description, for every
address and method, and as tools send them, in any order, with pictures and masks that are damaged
now and then. The clips are some frames of 96×72. Faults: server error (5xx but 503), form (an error
without a message, or with a traceback), headers (an answer without those that keep other pages
out), described (a status or type that the description lacks), hang (more than 20 s), and died (the
server is gone afterwards).
"""

from __future__ import annotations

import argparse
import base64
import random
import re
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from bench.fuzz_studio import Report, Sender, attacked

SHAPE = (72, 96)
# streams end only with their track: they are read as tools do, and not from the description alone
_STREAMS = ("/events", "/stream")


def campaign(url: str, token: str, *, count: int, seed: int = 0) -> Report:
    """Send requests to a server that runs.

    Args:
        url: its address.
        token: its secret.
        count: requests for each operation and kind; fewer where there are not so many. Of requests
            as tools send them there are five times as many.
        seed: what they are made from.
    """
    import schemathesis

    with ToolSender(url, token, random.Random(seed)) as sender:
        schema = schemathesis.openapi.from_dict(sender.get("/openapi.json"))
        sender.use(count=5 * count)
        modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
        for found in schema.get_all_operations():
            operation: Any = cast("Any", found).ok()
            if not operation.path.endswith(_STREAMS):
                for mode in modes:
                    sender.send(operation, mode, count=count, seed=seed)
        sender.use(count=5 * count)
        sender.get("/v1/models")
    return sender.report


class ToolSender(Sender):
    """Sends requests as labelling tools do.

    Args:
        url: the server's address.
        token: its secret.
        random: what requests are made from.
    """

    def __init__(self, url: str, token: str, random: random.Random) -> None:
        self.begin(url, token, random)
        self.ids: dict[str, list[str]] = {"track": [], "clip": [], "session": []}
        self._client.get("/v1/models").raise_for_status()

    def use(self, *, count: int) -> None:
        """Send requests as tools do, in any order, with ids that may be there."""
        for _ in range(count):
            method, path, content = self._likely()
            name = re.sub(r"(track|clip|session)-[^/]+", "{}", path)
            answer = self.sent(
                f"{method} {name}",
                lambda method=method, path=path, content=content: self._ask(  # type: ignore[misc]
                    method, path, content
                ),
            )
            self._note(answer)

    def _ask(self, method: str, path: str, content: Any) -> Any:  # noqa: ANN401  JSON
        """Send one request; of a stream only the beginning is read, and then it is left."""
        if not path.endswith(_STREAMS):
            return self._client.request(method, path, json=content)
        with self._client.stream(method, path, json=content) as answer:
            began = time.monotonic()
            text = b""
            for part in answer.iter_raw():
                text += part
                if len(text) > 2000 or time.monotonic() - began > self.random.random():
                    break
            answer._content = text
            return answer

    def _note(self, answer: Any) -> None:  # noqa: ANN401  as above
        """Keep ids that were given."""
        if answer is None or answer.status_code not in (200, 201):
            return
        for found in re.finditer(r'"((track|clip|session)-[0-9a-f]{8}-[0-9]+)"', answer.text):
            self.ids[found[2]].append(found[1])

    def _id(self, kind: str) -> str:
        known = self.ids[kind][-5:]
        return self.random.choice([*known, f"{kind}-00000000-1", f"{kind}-x"])

    def _picture(self, index: int) -> str:
        """A frame, sometimes a damaged one, in base64."""
        chance = self.random
        image = np.full((*SHAPE, 3), 90, np.uint8)
        cv2.circle(image, (20 + 4 * index, 30), 14, (40, 60, 230), -1)
        return self._encoded(image, chance.choice([".png", ".jpg"]))

    def _mask(self) -> str:
        mask = np.zeros(SHAPE, np.uint8)
        cv2.circle(mask, (20, 30), 14, self.random.choice([1, 2, 255]), -1)
        return self._encoded(mask, ".png")

    def _encoded(self, pixels: Any, suffix: str) -> str:  # noqa: ANN401  an array
        chance = self.random
        data = bytearray(cv2.imencode(suffix, pixels)[1].tobytes())
        if chance.random() < 0.03:
            data = data[: chance.randrange(len(data))]
        if chance.random() < 0.03:
            data[chance.randrange(len(data) or 1) - 1 : 0] = b"\0"
        return base64.b64encode(bytes(data)).decode()

    def _likely(self) -> tuple[str, str, Any]:
        """Method, path and content of a request."""
        chance = self.random
        frames = [self._picture(index) for index in range(chance.randrange(1, 6))]
        track: dict[str, Any] = {
            "mask": self._mask(),
            "start_frame": chance.randrange(len(frames)),
            "direction": chance.choice(["forward", "backward", "both"]),
            "count": chance.choice([None, 1, 3]),
            "propagator": chance.choice(["auto", "builtin", "xmem"]),
        }
        session = self._id("session")
        point = [round(chance.random(), 3), round(chance.random(), 3)]
        prompt = {
            "session_id": session, "model": "auto", "frame_index": chance.randrange(6),
            "points": [point], "point_labels": [1], "obj_id": 10000,
        }  # fmt: skip
        marks = [{"type": "point", "data": [point[0] * 96, point[1] * 72], "label": 1}]
        return chance.choice([
            *3 * [("POST", "/v1/tracks", {**track, "frames": frames})],
            *2 * [("POST", "/v1/tracks", {**track, "clip": self._id("clip")})],
            ("POST", "/v1/tracks", {**track, "path": chance.choice(["a.mp4", "../a", "x/y"])}),
            ("POST", "/v1/clips", {"frames": frames}),
            ("GET", f"/v1/clips/{self._id('clip')}", None),
            ("DELETE", f"/v1/clips/{self._id('clip')}", None),
            *2 * [("GET", f"/v1/tracks/{self._id('track')}", None)],
            *2 * [("GET", f"/v1/tracks/{self._id('track')}/events", None)],
            ("DELETE", f"/v1/tracks/{self._id('track')}", None),
            ("GET", "/v1/models", None),
            ("POST", "/v1/predict", {
                "model": "auto", "image": frames[0], "params": {"marks": marks},
            }),
            *2 * [("POST", "/v1/video/init", {"model": "auto", "frames": frames})],
            *2 * [("POST", "/v1/video/prompt", prompt)],
            ("POST", "/v1/video/propagate", {"session_id": session}),
            ("POST", "/v1/video/propagate/stream", {"session_id": session, "end_frame": 3}),
            ("GET", f"/v1/video/status/{session}", None),
            ("POST", f"/v1/video/cancel/{session}", None),
            ("POST", f"/v1/video/cleanup/{session}", None),
        ])  # fmt: skip

    def _quiet_revision(self) -> int | None:
        """Nothing here has a revision."""
        return None


def main() -> int:
    """Run a campaign against a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    command = [sys.executable, "-m", "vfx_matte", "serve", "--port", "0", "--sessions", "1000"]
    with tempfile.TemporaryDirectory() as folder:
        return attacked(
            command,
            Path(folder),
            mark="  token: ",
            attack=partial(campaign, count=given.count, seed=given.seed),
        )


if __name__ == "__main__":
    sys.exit(main())
