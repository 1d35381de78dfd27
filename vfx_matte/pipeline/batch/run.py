"""Runs the commands of a batch, each in a process of its own.

Memory returns to the system with every process, and one that crashes costs one clip. What became of
every command is in the report, which is written anew whenever one ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vfx_matte.backend import usable_cores
from vfx_matte.errors import BatchError, StoppedError, UsageError
from vfx_matte.pipeline.batch.plan import ShotPlan, StepPlan
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.records import as_json, rounded
from vfx_matte.printable import json_text
from vfx_matte.wording import option
from vfx_matte.workspace import write_text
from vfx_matte.workspace.lock import WriterLock

State = Literal["waiting", "done", "failed", "stopped", "left out"]
"""Of a command; "left out" = one before it failed."""

Relay = Callable[[Mapping[str, object]], None]
"""Receives events of commands as `--progress json` has them, from several threads."""

REPORT_VERSION = 1

# what a command says last is enough to tell why it failed; a crash's traceback is longer
_KEPT_LINES = 20
# after Ctrl-C a command saves what it has; then it is killed
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one command."""

    command: str
    arguments: tuple[str, ...]
    state: State = "waiting"

    exit_code: int | None = None
    """None where it did not run."""

    seconds: float = field(default=0.0, metadata=rounded(1))

    outputs: tuple[str, ...] = ()
    """What it made."""

    inputs: str = ""
    """A checksum of what is known of its inputs without reading them: sizes and times."""

    error: str = ""
    """Why it failed."""

    hint: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class ShotResult:
    """What became of one clip."""

    clip: Path
    steps: tuple[StepResult, ...]

    @property
    def state(self) -> State:
        """That of the command that stands in the way, or "done"."""
        return next((step.state for step in self.steps if step.state != "done"), "done")


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch."""

    report: Path
    """The file that holds this."""

    shots: tuple[ShotResult, ...]

    seconds: float = field(metadata=rounded(1))

    @property
    def failed(self) -> tuple[ShotResult, ...]:
        """The clips of which something failed."""
        return tuple(shot for shot in self.shots if shot.state != "done")


def _no_relay(_event: Mapping[str, object]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How a batch runs."""

    report: Path
    """A JSON file, which says what became of every command; written as they end."""

    jobs: int = 1
    """How many shots at once, at least 1; each command gets its share of the cores."""

    resume: bool = False
    """Whether to leave out what an earlier report of this file says is done, by the same command
    line.
    """

    relay: Relay = _no_relay
    """Receives the events of commands."""

    program: tuple[str, ...] = (sys.executable, "-m", "vfx_matte")
    """What runs a command."""

    event_words: tuple[str, ...] = ()
    """What a command line needs besides, so that the command tells events on stderr."""


def run_batch(
    plan: Sequence[ShotPlan], options: BatchOptions, *, reporter: Reporter
) -> BatchResult:
    """Run every command of every shot; a failing one ends its own shot only.

    Args:
        plan: in the order in which shots begin (`batch_plan`).
        options: how.
        reporter: receives progress in commands, and a line for each that fails.

    Raises:
        WorkspaceError: another batch writes this report.
        StoppedError: `reporter.stops`; running commands were stopped first, and the report says
            which.
        KeyboardInterrupt: Ctrl-C, in the same way.
        OutputError: the report cannot be written.
    """
    began, report = time.monotonic(), options.report
    lock = WriterLock(
        report.with_name(f".{report.name}.lock"),
        busy=f"another batch writes {str(report)!r}",
        hint=f"wait until it is done, or give this one another {option('report')}",
    )
    with lock:
        earlier = _done_before(report) if options.resume else {}
        run = _Run(plan, options, earlier, reporter)
        run.save()
        total = sum(len(shot.steps) for shot in plan)
        with reporter.progress("batch", total) as step:
            run.work(step)
        if run.is_stopped:
            raise StoppedError("the batch was stopped", hint=f"{option('resume', True)} goes on")
        return BatchResult(report, run.results(), time.monotonic() - began)


def require_done(result: BatchResult) -> None:
    """Raise BatchError where something of a batch failed."""
    if result.failed:
        raise BatchError(
            f"{len(result.failed)} of {len(result.shots)} clips failed",
            hint=f"{result.report} says why; {option('resume', True)} runs what is not done",
        )


def _done_before(report: Path) -> dict[tuple[str, ...], StepResult]:
    """The commands that an earlier run finished, by their command lines.

    Raises:
        UsageError: the file is no report of a batch.
    """
    if not report.exists():
        return {}
    try:
        found = json.loads(report.read_text(encoding="utf-8"))
        steps = [step for shot in found["shots"] for step in shot["steps"]]
        return {
            tuple(step["arguments"]): StepResult(
                command=step["command"],
                arguments=tuple(step["arguments"]),
                state="done",
                exit_code=0,
                seconds=float(step["seconds"]),
                outputs=tuple(step["outputs"]),
                inputs=step["inputs"],
            )
            for step in steps
            # what was made may be gone by now, or never have been of this machine
            if step["state"] == "done" and all(Path(one).exists() for one in step["outputs"])
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{str(report)!r} is no report of a batch: {error}",
            hint=f"leave out {option('resume', True)}, or name another {option('report')}",
        ) from error


def _begun(shot: ShotPlan, earlier: Mapping[tuple[str, ...], StepResult]) -> list[StepResult]:
    """What is known of a shot's commands: done by an earlier run, of the same inputs and after
    commands of which that holds, too; or waiting.
    """
    steps: list[StepResult] = []
    for planned in shot.steps:
        found = earlier.get(planned.arguments)
        is_done = (
            found is not None
            and found.inputs == _stamp(planned.inputs)
            and all(step.state == "done" for step in steps)
        )
        waiting = StepResult(planned.command, planned.arguments)
        steps.append(found if found is not None and is_done else waiting)
    return steps


def _stamp(inputs: Sequence[Path]) -> str:
    """A checksum of the sizes and times of files, and of those in folders."""
    files = [
        file
        for path in inputs
        for file in (sorted(path.iterdir()) if path.is_dir() else [path])
        if file.is_file()
    ]
    facts = [(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()


class _Run:
    """The shots that wait and those that run; shared by the threads of a batch."""

    def __init__(
        self,
        plan: Sequence[ShotPlan],
        options: BatchOptions,
        earlier: Mapping[tuple[str, ...], StepResult],
        reporter: Reporter,
    ) -> None:
        self._options, self._reporter = options, reporter
        self._jobs = max(1, min(options.jobs, len(plan)))
        self._results = [_begun(shot, earlier) for shot in plan]
        self._plan = list(plan)
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(plan)):
            self._waiting.put(index)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._children: set[subprocess.Popen[str]] = set()
        self._problem: BaseException | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether somebody ended the batch."""
        return self._stopped.is_set()

    def results(self) -> tuple[ShotResult, ...]:
        """What became of every shot so far, in the plan's order."""
        return tuple(
            ShotResult(shot.clip, tuple(steps))
            for shot, steps in zip(self._plan, self._results, strict=True)
        )

    def save(self) -> None:
        """Write the report."""
        facts = {
            "version": REPORT_VERSION,
            "shots": [
                {"clip": shot.clip, "state": shot.state, "steps": shot.steps}
                for shot in self.results()
            ],
        }
        text = json_text(as_json(facts, self._reporter.spell), indent=2)
        write_text(self._options.report, text + "\n")

    def work(self, step: Callable[[], None]) -> None:
        """Run everything; returns when all is done, failed or stopped."""
        threads = [
            threading.Thread(target=self._shots, args=(step,), name=f"batch {n}")
            for n in range(self._jobs)
        ]
        for thread in threads:
            thread.start()
        try:
            # joined in short waits: Ctrl-C is heard between them
            while any(thread.is_alive() for thread in threads):
                if self._reporter.stops():
                    self._stop()
                for thread in threads:
                    thread.join(0.1)
        except KeyboardInterrupt:
            self._stop()
            for thread in threads:
                thread.join()
            raise
        if self._problem is not None:
            raise self._problem

    def _shots(self, step: Callable[[], None]) -> None:
        """One thread: a shot after the other."""
        try:
            while not self.is_stopped:
                try:
                    index = self._waiting.get_nowait()
                except queue.Empty:
                    return
                self._shot(index, step)
        except BaseException as error:  # noqa: BLE001  raised in the thread that waits
            self._problem = error
            self._stop()

    def _shot(self, index: int, step: Callable[[], None]) -> None:
        """The commands of one shot, until one does not succeed."""
        steps = self._results[index]
        is_whole = True
        for place, planned in enumerate(self._plan[index].steps):
            if steps[place].state != "done":
                if is_whole and not self.is_stopped:
                    steps[place] = self._command(planned)
                elif not self.is_stopped:
                    steps[place] = replace(steps[place], state="left out")
                is_whole = is_whole and steps[place].state == "done"
            with self._lock:
                step()
                self.save()
        failed = next((one for one in steps if one.state == "failed"), None)
        if failed is not None:
            clip = self._plan[index].clip
            self._reporter.notify(f"{clip}: {failed.command} failed: {failed.error}")

    def _command(self, planned: StepPlan) -> StepResult:
        """Run one command, and hear what it says."""
        began, inputs = time.monotonic(), _stamp(planned.inputs)
        with self._lock:
            # a child that begins after the others were told to stop would not hear of it
            if self.is_stopped:
                return StepResult(planned.command, planned.arguments, "stopped")
            child = subprocess.Popen(
                [*self._options.program, *planned.arguments, *self._options.event_words],
                stdin=subprocess.DEVNULL,
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
        events: list[dict[str, Any]] = []
        lines: list[str] = []
        assert child.stderr is not None
        with child.stderr:
            for line in child.stderr:
                event = _event(line)
                if event is None:
                    lines = [*lines, line.rstrip()][-_KEPT_LINES:]
                elif event["event"] in ("output", "error"):
                    events.append(event)
                if event is not None and event["event"] in ("progress", "notice", "output"):
                    self._options.relay(event)
        code = child.wait()
        with self._lock:
            self._children.discard(child)
        result = StepResult(
            planned.command,
            planned.arguments,
            exit_code=code,
            seconds=round(time.monotonic() - began, 1),
            inputs=inputs,
        )
        if code and self._stopped.is_set():
            return replace(result, state="stopped")
        return _ended(result, events, lines)

    def _environment(self) -> dict[str, str]:
        """Of a command: its share of the cores."""
        share = str(max(1, usable_cores() // self._jobs))
        # what the user has set is meant
        limits = {
            name: os.environ.get(name, share)
            for name in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
        }
        return {**os.environ, **(limits if self._jobs > 1 else {}), "PYTHONUNBUFFERED": "1"}

    def _stop(self) -> None:
        """Have running commands save what they have, and end."""
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


def _ended(
    result: StepResult, events: Sequence[Mapping[str, Any]], lines: Sequence[str]
) -> StepResult:
    """What the end of a command means.

    Args:
        result: with its exit code.
        events: "output" and "error".
        lines: what else it said last.
    """
    code = result.exit_code or 0
    if code == 0:
        outputs = (str(event["output"]) for event in events if event["event"] == "output")
        return replace(result, state="done", outputs=tuple(outputs))
    error = next((event for event in events if event["event"] == "error"), None)
    if error is not None:
        text, hint = str(error["text"]), str(error["hint"] or "")
        return replace(result, state="failed", error=text, hint=hint)
    # a process that the system killed, for memory above all, says nothing; one that crashed says
    # what it will
    what = f"it was ended by signal {-code}" if code < 0 else f"it ended with {code}"
    text = "; ".join(line for line in lines if line)[-400:]
    return replace(result, state="failed", error=text or what)


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


def _interrupt(child: subprocess.Popen[str]) -> None:
    """What Ctrl-C is to a command."""
    if child.poll() is not None:
        return
    if sys.platform == "win32":
        child.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        child.send_signal(signal.SIGINT)
