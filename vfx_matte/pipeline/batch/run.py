"""Runs the commands of a batch, each in a process of its own.

What became of every command is in the report, which is written anew when one ends, but at most
about once a second, as that of thousands of clips takes its time.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from vfx_matte.errors import BatchError, StoppedError, UsageError
from vfx_matte.pipeline.batch.plan import ShotPlan, StepPlan
from vfx_matte.pipeline.batch.processes import Commands, Program
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.records import as_json, rounded
from vfx_matte.printable import json_text
from vfx_matte.wording import option
from vfx_matte.workspace import write_text
from vfx_matte.workspace.lock import WriterLock

State = Literal["waiting", "running", "done", "failed", "stopped", "left out"]
"""Of a command; "left out" = one before it failed."""

REPORT_VERSION = 1

_SAVE_SECONDS = 1.0
"""Between two reports; a kill costs so much: what ended since then is run again."""


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

    program: Program = Program()  # noqa: RUF009  frozen
    """What runs a command, and hears what it tells."""

    scheduler: str = ""
    """The address of a Dask scheduler whose workers run the commands, `jobs` then is not asked; "":
    this machine does.
    """


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
        total = sum(len(shot.steps) for shot in plan)
        with _commands(options, most=len(plan)) as commands:
            run = _Run(plan, commands, report, earlier, reporter)
            run.save()
            with reporter.progress("batch", total) as step:
                run.work(step)
        if run.is_stopped:
            raise StoppedError("the batch was stopped", hint=f"{option('resume', True)} goes on")
        return BatchResult(report, run.results(), time.monotonic() - began)


@contextmanager
def _commands(options: BatchOptions, *, most: int) -> Iterator[Commands]:
    """Where commands run: here, or on a cluster."""
    if not options.scheduler:
        yield Commands(options.program, max(1, min(options.jobs, most)))
        return
    from vfx_matte.pipeline.batch.cluster import cluster_commands

    with cluster_commands(options.scheduler, options.program) as commands:
        yield commands


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
        if (
            found is None
            or found.inputs != _stamp(planned.inputs)
            or any(step.state != "done" for step in steps)
        ):
            found = StepResult(planned.command, planned.arguments)
        steps.append(found)
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
    """The shots with what became of their commands."""

    def __init__(
        self,
        plan: Sequence[ShotPlan],
        commands: Commands,
        report: Path,
        earlier: Mapping[tuple[str, ...], StepResult],
        reporter: Reporter,
    ) -> None:
        self._commands, self._report, self._reporter = commands, report, reporter
        self._plan = list(plan)
        self._results = [_begun(shot, earlier) for shot in plan]
        self._lock = threading.Lock()
        self._saved_at = -math.inf
        self._is_dirty = False

    @property
    def is_stopped(self) -> bool:
        """Whether somebody ended the batch."""
        return self._commands.is_stopped

    def results(self) -> tuple[ShotResult, ...]:
        """What became of every shot so far, in the plan's order."""
        return tuple(
            ShotResult(shot.clip, tuple(steps))
            for shot, steps in zip(self._plan, self._results, strict=True)
        )

    def save(self, *, soon: bool = False) -> None:
        """Write the report; `soon`: unless it was written a moment ago, or says all already."""
        now = time.monotonic()
        if soon and (not self._is_dirty or now - self._saved_at < _SAVE_SECONDS):
            return
        facts = {
            "version": REPORT_VERSION,
            "shots": [
                {"clip": shot.clip, "state": shot.state, "steps": shot.steps}
                for shot in self.results()
            ],
        }
        text = json_text(as_json(facts, self._reporter.spell), indent=2)
        write_text(self._report, text + "\n")
        self._saved_at, self._is_dirty = time.monotonic(), False

    def work(self, step: Callable[[], None]) -> None:
        """Run everything; returns when all is done, failed or stopped."""
        jobs = [partial(self._shot, index, step) for index in range(len(self._plan))]
        try:
            self._commands.all(jobs, stops=self._stops)
        finally:
            self.save()

    def _stops(self) -> bool:
        # asked several times a second: what begins is in the report although nothing ends
        with self._lock:
            self.save(soon=True)
        return self._reporter.stops()

    def _shot(self, index: int, step: Callable[[], None]) -> None:
        """The commands of one shot, until one does not succeed."""
        steps = self._results[index]
        for place, planned in enumerate(self._plan[index].steps):
            if steps[place].state != "done" and not self.is_stopped:
                before = all(one.state == "done" for one in steps[:place])
                with self._lock:
                    state: State = "running" if before else "left out"
                    steps[place] = replace(steps[place], state=state)
                    self._is_dirty = True
                if before:
                    steps[place] = self._command(planned)
            with self._lock:
                self._is_dirty = True
                # what was stopped is no progress
                if not self.is_stopped:
                    step()
                self.save(soon=True)
        failed = next((one for one in steps if one.state == "failed"), None)
        if failed is not None:
            clip = self._plan[index].clip
            self._reporter.notify(f"{clip}: {failed.command} failed: {failed.error}")

    def _command(self, planned: StepPlan) -> StepResult:
        """Run one command."""
        inputs = _stamp(planned.inputs)
        ended = self._commands.run(planned.arguments)
        state: State = "done" if ended.exit_code == 0 else "failed"
        if ended.exit_code != 0 and self.is_stopped:
            state = "stopped"
        return StepResult(
            planned.command,
            planned.arguments,
            state,
            ended.exit_code,
            ended.seconds,
            ended.outputs,
            inputs,
            "" if state == "stopped" else ended.error,
            "" if state == "stopped" else ended.hint,
        )
