"""Sends the studio's server requests that fit its description and such that do not, and counts what
it must never do. For developers; needs schemathesis.

    python bench/fuzz_studio.py CLIP --count 300

Requests are made from the server's own OpenAPI description, for every address and method, and as a
page sends them, in any order. The clip is copied, and its workspace is a temporary one. Faults:
server error (5xx but 503, or a job that ended unexpectedly), form (an error without a message, or
with a traceback), headers (an answer without those that keep other pages out), described (a status
or type that the description lacks), changed (a refused request changed the project), hang (more
than 20 s), and died (the server or its project is gone afterwards).
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from vfx_matte.web.guard import SECURITY_HEADERS

HANG_SECONDS = 20.0
_ACTIVE = ("waiting", "running")


@dataclass
class Report:
    """What a campaign found."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    """Operation → how often each status was answered."""

    faults: list[str] = field(default_factory=list)
    """One line for each."""

    def lines(self) -> Iterator[str]:
        """A table in Markdown, and the faults."""
        yield "| request | answers |"
        yield "|---|---|"
        for name, counts in self.statuses.items():
            shown = ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))
            yield f"| {name} | {shown} |"
        yield f"\n{sum(map(Counter.total, self.statuses.values()))} requests,"
        yield f"{len(self.faults)} faults"
        yield from dict.fromkeys(self.faults)


def campaign(url: str, token: str, *, count: int, seed: int = 0) -> Report:
    """Send requests to a studio that runs.

    Args:
        url: its address, without a fragment.
        token: its secret.
        count: requests for each operation and kind; fewer where there are not so many. Of requests
            as a page sends them there are five times as many.
        seed: what they are made from.
    """
    import schemathesis

    with Sender(url, token, random.Random(seed)) as sender:
        schema = schemathesis.openapi.from_dict(sender.get("/api/openapi.json"))
        # first what makes a project that can be lost
        sender.use(count=5 * count)
        modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
        for found in schema.get_all_operations():
            operation: Any = cast("Any", found).ok()
            # a stream of events has no end
            if not operation.path.endswith("/events"):
                for mode in modes:
                    sender.send(operation, mode, count=count, seed=seed)
        sender.use(count=5 * count)
        sender.check_jobs()
    return sender.report


class Sender:
    """Sends requests, and writes down what is answered.

    Args:
        url: the studio's address.
        token: its secret.
        random: what requests as a page sends them are made from.
    """

    def __init__(self, url: str, token: str, random: random.Random) -> None:
        self.begin(url, token, random)
        self._clip: dict[str, int] = self.get("/api/project")["clip"]

    def begin(self, url: str, token: str, random: random.Random) -> None:
        """Connect."""
        import httpx

        self.url, self.random, self.report = url, random, Report()
        self.headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, headers=self.headers, timeout=HANG_SECONDS)
        self._clip = {"frames": 0}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> Any:  # noqa: ANN401  JSON
        """What is answered to a request that has to succeed."""
        answer = self._client.get(path)
        if answer.status_code != 200:
            raise SystemExit(f"died: {path} answers {answer.status_code} {answer.text[:200]}")
        return answer.json()

    def check_jobs(self) -> None:
        """Wait for the jobs, and see how they ended."""
        while any(job["state"] in _ACTIVE for job in self.get("/api/project")["jobs"]):
            time.sleep(0.1)
        self.report.faults.extend(
            f"server error: job {job['label']}: {job['message']}"
            for job in self.get("/api/project")["jobs"]
            if "unexpected" in job["message"]
        )

    def use(self, *, count: int) -> None:
        """Send requests as a page does, in any order, with frames and objects that may be there."""
        for _ in range(count):
            method, path, content = self._likely()
            packed = isinstance(content, bytes)
            self.sent(
                f"{method} {re.sub(r'[0-9]+', '{}', path.partition('?')[0])}",
                lambda method=method, path=path, content=content, packed=packed: (  # type: ignore[misc]
                    self._client.request(
                        method,
                        path,
                        content=content if packed else None,
                        json=None if packed else content,
                        headers={"Content-Encoding": "gzip"} if packed else {},
                    )
                ),
            )

    def _likely(self) -> tuple[str, str, Any]:
        """Method, path and content of a request; bytes are packed ids."""
        chance, clip = self.random, self._clip
        width, height = clip["width"], clip["height"]
        index = chance.randrange(clip["frames"])
        frame = f"/api/frames/{index}"
        point: dict[str, Any] = {"x": chance.randrange(width), "y": chance.randrange(height)}
        ids = bytearray(width * height)
        start = chance.randrange(width * height)
        ids[start : start + 9 * width] = bytes([chance.randrange(4)]) * len(
            ids[start : start + 9 * width]
        )
        options = dict(
            chance.sample(
                [
                    ("key", "blue"), ("grow", 2), ("feather", 1.5), ("edges", "median"),
                    ("background", "#102030"), ("objects", [chance.randrange(4)]), ("sound", False),
                    ("codec", "libx264"), ("style", "palette"), ("start_number", 7),
                ],
                chance.randrange(3),
            )
        )  # fmt: skip
        marks: dict[str, Any] = {
            "object": chance.randrange(1, 5),
            "clicks": [point | {"object": chance.random() < 0.8}],
            "preview": chance.random() < 0.3,
            "auto": chance.random() < 0.1,
        }
        if chance.random() < 0.3:
            marks["box"] = [0, 0, chance.randrange(2, width), chance.randrange(2, height)]
        if chance.random() < 0.3:
            marks["strokes"] = [{"points": [[point["x"], point["y"]], [0, 0]], "object": False}]
        direction = chance.choice(["forward", "backward", "both", "one", "next"])
        propagation = {"kind": "propagate", "direction": direction, "index": index}
        name = chance.choice(["greenback", "alpha", "maskvideo", "overlay", "package:premiere"])
        one = f"/api/objects/{chance.randrange(1, 5)}"
        first, last = sorted(chance.sample(range(clip["frames"]), 2))
        # a click and a propagation are what people do most
        return chance.choice([
            *3 * [("POST", f"{frame}/marks", marks)],
            *2 * [("POST", "/api/jobs", propagation)],
            ("PUT", f"{frame}/mask", gzip.compress(bytes(ids))),
            ("POST", "/api/jobs", {"kind": "render", "name": name, "options": options}),
            ("POST", f"{frame}/preview", {"options": options}),
            ("POST", f"{frame}/prepare", None),
            ("GET", f"{frame}?width={chance.randrange(16, 2 * width)}", None),
            ("GET", f"{frame}/crop?x=0&y=0&w={chance.randrange(1, width)}&h=9", None),
            ("GET", f"{frame}/mask", None),
            ("PATCH", f"/api/references/{index}", {"enabled": chance.random() < 0.5}),
            ("DELETE", f"/api/references/{index}", None),
            ("POST", "/api/objects", {"color": "#aabbcc"}),
            ("PATCH", one, {"locked": chance.random() < 0.3, "hidden": chance.random() < 0.3}),
            ("DELETE", one, None),
            ("PATCH", "/api/range", {"first": first, "last": last}),
            ("PATCH", "/api/range", {"first": None, "last": None}),
            *2 * [("POST", "/api/undo", None)],
            ("POST", "/api/redo", None),
            ("POST", "/api/clear", {"what": chance.choice(["propagated", "all"])}),
            ("DELETE", f"/api/jobs/{chance.randrange(1, 20)}", None),
            ("GET", "/api/suggested", None),
            ("GET", "/api/problems", None),
        ])  # fmt: skip

    def send(self, operation: Any, mode: Any, *, count: int, seed: int) -> None:  # noqa: ANN401
        """Send requests of one operation."""
        import hypothesis
        from hypothesis import strategies as st
        from schemathesis.checks import CHECKS
        from schemathesis.core.failures import FailureGroup

        name = f"{operation.method.upper()} {operation.path}"
        wanted = ("not_a_server_error", "status_code_conformance", "content_type_conformance")
        checks = [check for check in CHECKS.get_all() if check.__name__ in wanted]

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(
            case=operation.as_strategy(generation_mode=mode),
            index=st.integers(-1, self._clip["frames"]),
        )
        def send(case: Any, index: int) -> None:  # noqa: ANN401
            # frames at random would mostly be none of this clip
            if isinstance((case.path_parameters or {}).get("index"), int):
                case.path_parameters["index"] = index
            answer = self.sent(
                name,
                lambda: case.call(base_url=self.url, headers=self.headers, timeout=HANG_SECONDS),
            )
            try:
                if answer is not None:
                    case.validate_response(answer, checks=checks, headers=self.headers)
            except (AssertionError, FailureGroup) as error:
                self.report.faults.append(
                    f"described: {name}: {' '.join(str(error).split())}"[:500]
                )

        try:
            send()
        except hypothesis.errors.Unsatisfiable:
            return  # nothing about this request can be wrong

    def sent(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Send one request; None when it cannot be sent."""
        before = self._quiet_revision()
        try:
            answer = call()
        # requests that the client itself cannot send are no test of the server
        except (UnicodeError, ValueError):
            return None
        except Exception as error:  # noqa: BLE001  whatever the client says: it is written down
            self.report.faults.append(f"hang or died: {name}: {type(error).__name__} {error}"[:300])
            return None
        self.report.statuses.setdefault(name, Counter())[answer.status_code] += 1
        self.report.faults.extend(f"{name}: {line}" for line in _faults(answer))
        after = self._quiet_revision() if answer.status_code >= 400 else None
        if before != after and before is not None and after is not None:
            self.report.faults.append(f"changed: {name}: {answer.status_code}")
        return answer

    def _quiet_revision(self) -> int | None:
        """The project's revision; None while a job may change it."""
        project = self.get("/api/project")
        if any(job["state"] in _ACTIVE for job in project["jobs"]):
            return None
        return int(project["revision"])


def _faults(answer: Any) -> Iterator[str]:  # noqa: ANN401  as above
    text = answer.content.decode("utf-8", "replace")
    if answer.status_code >= 500 and answer.status_code != 503:
        yield f"server error: {answer.status_code} {text[:200]}"
    if answer.status_code >= 400:
        try:
            is_error = bool(answer.json()["message"])
        except (ValueError, KeyError, TypeError):
            is_error = False
        if not is_error or "Traceback" in text:
            yield f"form: {answer.status_code} {text[:200]}"
    kept = {key.lower(): value for key, value in answer.headers.items()}
    for key, value in SECURITY_HEADERS.items():
        shown = kept.get(key)
        if (shown[0] if isinstance(shown, list) else shown) != value:
            yield f"headers: {answer.status_code} {key} is {shown}"


def attacked(
    command: list[str], folder: Path, *, mark: str, attack: Callable[[str, str], Report]
) -> int:
    """Start a server, attack it, and print what was found; the exit code.

    Args:
        command: that starts it, and has it print its line.
        folder: where it runs.
        mark: what stands between address and token in that line.
        attack: gets both.
    """
    environment = {
        "VFX_MATTE_FETCH": "never",  # nothing is fetched from anywhere
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url, _, token = process.stdout.readline().strip().partition(mark)
        try:
            report = attack(url, token)
        finally:
            process.send_signal(signal.SIGINT)
        printed = process.stderr.read()
        if "Traceback" in printed:
            report.faults.append(f"form: the server printed {printed[-500:]}")
    for line in report.lines():
        print(line)
    return 1 if report.faults else 0


def main() -> int:
    """Run a campaign against a studio of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(shutil.copy2(given.clip, folder))
        command = [sys.executable, "-m", "vfx_matte", "studio", clip.name, "--no-browser"]
        return attacked(
            command,
            Path(folder),
            mark="/#token=",
            attack=partial(campaign, count=given.count, seed=given.seed),
        )


if __name__ == "__main__":
    sys.exit(main())
