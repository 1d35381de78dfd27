"""Sends the studio's server requests that fit its description and such that do not, and counts what
it must never do. For developers; needs schemathesis.

    python bench/fuzz_studio.py CLIP --count 300

The requests are made from the server's own OpenAPI description, for every address and method.
The clip is copied, and its workspace is a temporary one. Faults: server error (5xx but 503), form
(an error without a message, or with a traceback), headers (an answer without those that keep other
pages out), described (a status or type that the description lacks), hang (more than 20 s), and died
(the server or its project is gone afterwards).
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from vfx_matte.web.guard import SECURITY_HEADERS

HANG_SECONDS = 20.0


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
        count: requests for each operation and kind; fewer where there are not so many.
        seed: what they are made from.
    """
    import httpx
    import schemathesis

    report = Report()
    headers = {"Authorization": f"Bearer {token}"}
    described = httpx.get(f"{url}/api/openapi.json", headers=headers).json()
    clip = httpx.get(f"{url}/api/project", headers=headers).json()["clip"]
    frames = clip["frames"]
    # with a reference there is something to propagate, to export, and to lose
    ids = gzip.compress(bytes([0, 1]) * (clip["width"] * clip["height"] // 2))
    httpx.put(
        f"{url}/api/frames/0/mask", content=ids, headers=headers | {"Content-Encoding": "gzip"}
    ).raise_for_status()
    schema = schemathesis.openapi.from_dict(described)
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    for found in schema.get_all_operations():
        operation: Any = cast("Any", found).ok()
        # a stream of events has no end
        if not operation.path.endswith("/events"):
            for mode in modes:
                sender = Sender(url, headers, frames, report)
                sender.send(operation, mode, count=count, seed=seed)
    alive = httpx.get(f"{url}/api/project", headers=headers)
    if alive.status_code != 200:
        report.faults.append(f"died: the project answers {alive.status_code} {alive.text[:200]}")
    return report


@dataclass(frozen=True)
class Sender:
    """Sends requests, and writes down what is answered."""

    url: str
    headers: dict[str, str]
    frames: int
    report: Report

    def send(self, operation: Any, mode: Any, *, count: int, seed: int) -> None:  # noqa: ANN401
        """Send requests of one operation."""
        import hypothesis
        from hypothesis import strategies as st
        from schemathesis.checks import CHECKS
        from schemathesis.core.failures import FailureGroup

        name = f"{operation.method.upper()} {operation.path}"
        counts = self.report.statuses.setdefault(name, Counter())
        checks = [
            check
            for check in CHECKS.get_all()
            if check.__name__
            in ("not_a_server_error", "status_code_conformance", "content_type_conformance")
        ]
        cases = operation.as_strategy(generation_mode=mode)

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=cases, index=st.integers(-1, self.frames))
        def send(case: Any, index: int) -> None:  # noqa: ANN401
            # frames at random would mostly be none of this clip
            if isinstance((case.path_parameters or {}).get("index"), int):
                case.path_parameters["index"] = index
            try:
                answer = case.call(base_url=self.url, headers=self.headers, timeout=HANG_SECONDS)
            # requests that the client itself cannot send are no test of the server
            except (UnicodeError, ValueError):
                return
            except Exception as error:  # noqa: BLE001  whatever the client says: it is written down
                self.report.faults.append(
                    f"hang or died: {name}: {type(error).__name__} {error}"[:300]
                )
                return
            counts[answer.status_code] += 1
            self.report.faults.extend(f"{name}: {line}" for line in _faults(answer))
            try:
                case.validate_response(answer, checks=checks, headers=self.headers)
            except (AssertionError, FailureGroup) as error:
                self.report.faults.append(
                    f"described: {name}: {' '.join(str(error).split())}"[:500]
                )

        try:
            send()
        except hypothesis.errors.Unsatisfiable:
            return  # nothing about this request can be wrong


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
        with subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"VFX_MATTE_FETCH": "never"},  # nothing is fetched from anywhere
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            url, _, token = process.stdout.readline().strip().partition("/#token=")
            try:
                report = campaign(url, token, count=given.count, seed=given.seed)
            finally:
                process.send_signal(signal.SIGINT)
            printed = process.stderr.read()
            if "Traceback" in printed:
                report.faults.append(f"form: the server printed {printed[-500:]}")
    for line in report.lines():
        print(line)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
