"""Commands as processes of their own: several at once, heard while they run, stopped together.

Memory returns to the system with every process, and one that crashes takes nothing else along.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ATTEMPTS = 3
"""How often a command that fails, or dies with its machine, is begun before it is given up."""

Relay = Callable[[Mapping[str, object]], None]
"""Receives events of commands as `--progress json` has them, from several threads."""

# what a command says last is enough to tell why it failed; a crash's traceback is longer
_KEPT_LINES = 20
# after Ctrl-C a command saves what it has; then it is killed
_STOP_SECONDS = 30.0


Child = subprocess.Popen[str]
"""A command that runs."""


def usable_cores() -> int:
    """How many cores this process may use, at least 1: a container or a job of a farm may have
    fewer than the machine.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def no_relay(_event: Mapping[str, object]) -> None:
    """Let events pass."""


def tell(child: Child, line: str | None) -> None:
    """Tell a command a line on its standard input; None: there are no more.

    One that has ended hears nothing, which `Commands.follow` tells.
    """
    if child.stdin is None:
        return
    with contextlib.suppress(OSError, ValueError):
        if line is None:
            child.stdin.close()
        else:
            child.stdin.write(f"{line}\n")
            child.stdin.flush()


def with_options(words: Sequence[str], more: Sequence[str]) -> list[str]:
    """Add options to a command line, replacing those of the same name: a command takes none twice.

    Args:
        words: the command line, options as `--name value` or `--name=value`.
        more: the further options, with `--name value`.
    """
    replaced = {
        name
        for name, value in itertools.pairwise(more)
        if name.startswith("--") and not value.startswith("--")
    }
    kept: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, _ = word.partition("=")
        if name not in replaced:
            kept.append(word)
        elif not equals:
            next(left, None)
    return [*kept, *more]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What runs a command."""

    words: tuple[str, ...] = (sys.executable, "-m", "vfx_matte")
    """The program; a command line follows."""

    event_words: tuple[str, ...] = ()
    """What a command line needs besides, so that the command tells events on stderr."""

    relay: Relay = no_relay
    """Receives the events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    exit_code: int | None
    """None where it was not begun, because everything was stopped; negative: the signal that ended
    it.
    """

    seconds: float = 0.0

    outputs: tuple[str, ...] = ()
    """What it says that it made."""

    error: str = ""
    """Why it failed; "" where it did not."""

    hint: str = ""
    """What to do about it."""


@dataclass(slots=True)
class Commands:
    """Commands that belong together."""

    program: Program

    at_once: int
    """How many run at a time, at least 1; each gets its share of the cores."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _children: set[Child] = field(default_factory=set)

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def all(self, jobs: Sequence[Callable[[], None]], *, stops: Callable[[], bool]) -> None:
        """Call every job, `at_once` at a time, in their order; returns when all have returned.

        Args:
            jobs: each may call `run`; what it raises stops the others and is raised here.
            stops: asked now and then whether to stop.

        Raises:
            KeyboardInterrupt: Ctrl-C, after the running commands have ended.
        """
        waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        problems: list[BaseException] = []

        def work() -> None:
            try:
                while not self.is_stopped:
                    try:
                        job = waiting.get_nowait()
                    except queue.Empty:
                        return
                    job()
            except BaseException as error:  # noqa: BLE001  raised in the thread that waits
                problems.append(error)
                self.stop()

        count = max(1, min(self.at_once, len(jobs)))
        threads = [threading.Thread(target=work, name=f"command {n}") for n in range(count)]
        for thread in threads:
            thread.start()
        try:
            # joined in short waits: Ctrl-C is heard between them
            while any(thread.is_alive() for thread in threads):
                if stops():
                    self.stop()
                for thread in threads:
                    thread.join(0.1)
        except BaseException:
            try:
                self.stop()
                for thread in threads:
                    thread.join()
            # a second Ctrl-C: whoever does not wait for what is being saved
            except KeyboardInterrupt:
                self._kill()
                raise
            raise
        if problems:
            raise problems[0]

    def run(self, arguments: Sequence[str], *, hear: Relay = no_relay) -> Ended:
        """Run one command to its end.

        Args:
            arguments: its command line after the program.
            hear: receives its events, besides the program's `relay`.
        """
        child = self.begin(arguments)
        return Ended(exit_code=None) if child is None else self.follow(child, hear=hear)

    def begin(self, arguments: Sequence[str], *, is_asked: bool = False) -> Child | None:
        """Begin one command; None where everything was stopped.

        Args:
            arguments: its command line after the program.
            is_asked: whether it is going to be told on its standard input what to do (`tell`).
        """
        with self._lock:
            # a child that begins after the others were told to stop would not hear of it
            if self.is_stopped:
                return None
            child = subprocess.Popen(
                [*self.program.words, *with_options(arguments, self.program.event_words)],
                stdin=subprocess.PIPE if is_asked else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=self._environment(),
                # Ctrl-C in a terminal reaches all of its processes at once: these are told by us
                **_own_group(),
            )
            self._children.add(child)
        return child

    def follow(self, child: Child, *, hear: Relay = no_relay) -> Ended:
        """Hear a command to its end.

        Args:
            child: one that was begun here.
            hear: receives its events, besides the program's `relay`.
        """
        began = time.monotonic()
        events: list[Mapping[str, Any]] = []
        lines: list[str] = []
        assert child.stderr is not None
        with child.stderr:
            for line in child.stderr:
                event = _event(line)
                if event is None:
                    lines = [*lines, line.rstrip()][-_KEPT_LINES:]
                    continue
                if event["event"] in ("output", "error"):
                    events.append(event)
                if event["event"] == "part":
                    hear(event)
                # that a command begins and ends is for whoever runs it
                if event["event"] in ("progress", "notice", "output"):
                    hear(event)
                    self.program.relay(event)
        tell(child, None)
        code = child.wait()
        with self._lock:
            self._children.discard(child)
        return _ended(code, events, lines, seconds=round(time.monotonic() - began, 1))

    def discard(self, child: Child) -> None:
        """End a command that has nothing to save."""
        child.kill()
        child.wait()
        tell(child, None)
        if child.stderr is not None:
            child.stderr.close()
        with self._lock:
            self._children.discard(child)

    def run_again(
        self,
        arguments: Sequence[str],
        *,
        hear: Relay = no_relay,
        wants: Callable[[Ended], bool] = lambda _ended: True,
    ) -> Ended:
        """Run one command; where it fails, again, up to ATTEMPTS times in all.

        Args:
            arguments: as for `run`.
            hear: as for `run`.
            wants: is called before every further attempt with how the one before ended, and says
                whether there is to be one.
        """
        ended = self.run(arguments, hear=hear)
        for _ in range(ATTEMPTS - 1):
            if ended.exit_code == 0 or self.is_stopped or not wants(ended):
                break
            ended = self.run(arguments, hear=hear)
        return ended

    def stop(self) -> None:
        """Have running commands save what they have, and end; no other begins."""
        with self._lock:
            if self._stopped.is_set():
                return
            self._stopped.set()
            children = list(self._children)
        for child in children:
            _interrupt(child)
        deadline = time.monotonic() + _STOP_SECONDS
        for child in children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()

    def _kill(self) -> None:
        """End running commands at once."""
        with self._lock:
            self._stopped.set()
            children = list(self._children)
        for child in children:
            child.kill()

    def _environment(self) -> dict[str, str]:
        """Of a command: its share of the cores."""
        share = str(max(1, usable_cores() // self.at_once))
        # what the user has set is meant
        limits = {
            name: os.environ.get(name, share)
            for name in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
        }
        return {**os.environ, **(limits if self.at_once > 1 else {}), "PYTHONUNBUFFERED": "1"}


def _ended(
    code: int, events: Sequence[Mapping[str, Any]], lines: Sequence[str], *, seconds: float
) -> Ended:
    """What the end of a command means.

    Args:
        code: its exit code.
        events: "output" and "error".
        lines: what else it said last.
        seconds: how long it took.
    """
    if code == 0:
        outputs = (str(event["output"]) for event in events if event["event"] == "output")
        return Ended(exit_code=0, seconds=seconds, outputs=tuple(outputs))
    error = next((event for event in events if event["event"] == "error"), None)
    if error is not None:
        text, hint = str(error["text"]), str(error["hint"] or "")
        return Ended(exit_code=code, seconds=seconds, error=text, hint=hint)
    # a process that the system killed, for memory above all, says nothing; one that crashed says
    # what it will
    what = f"it was ended by signal {-code}" if code < 0 else f"it ended with {code}"
    text = "; ".join(line for line in lines if line)[-400:]
    return Ended(exit_code=code, seconds=seconds, error=text or what)


def _event(line: str) -> dict[str, Any] | None:
    """The event of a line; None where it is something else, as a library's own complaint."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("event"), str) else None


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _interrupt(child: Child) -> None:
    """What Ctrl-C is to a command."""
    if child.poll() is not None:
        return
    if sys.platform == "win32":
        child.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        child.send_signal(signal.SIGINT)
