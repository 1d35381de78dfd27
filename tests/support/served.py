"""A server of the program in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from support.studio_server import Client

ServerT = TypeVar("ServerT", bound="ServedProcess")


class ServedProcess:
    """A server that has printed its line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        self.process = process
        self.line = process.stdout.readline()
        if not self.line:
            raise AssertionError(f"no line: {process.communicate()}")

    def ended(self, how: signal.Signals) -> tuple[int, str, str]:
        """Exit code, the rest of stdout, and stderr."""
        self.process.send_signal(how)
        stdout, stderr = self.process.communicate(timeout=20)
        return self.process.returncode, stdout, stderr


class StudioProcess(ServedProcess):
    """A studio in a process of its own."""

    @property
    def page(self) -> Client:
        authority, _, token = self.line.strip().removeprefix("http://").partition("/#token=")
        return Client(authority, token)

    def end(self, how: signal.Signals) -> tuple[int, str, str, float]:
        """Exit code, the rest of stdout, stderr, and how long it took."""
        began = time.monotonic()
        return *self.ended(how), time.monotonic() - began


@contextlib.contextmanager
def starting(
    begin: Callable[..., subprocess.Popen[str]], kind: type[ServerT]
) -> Iterator[Callable[..., ServerT]]:
    """Lends a function that starts servers; those that still run at the end are killed."""
    started: list[ServerT] = []

    def start(*arguments: str, **environment: str) -> ServerT:
        started.append(kind(begin(*arguments, **environment)))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
