"""Shows notices, progress and errors on stderr: bars and lines for people, JSON for programs.

Results go to stdout (`cli.show`); nothing here does.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import typer

from vfx_matte.printable import json_text, printable

if TYPE_CHECKING:
    from rich.progress import TextColumn

PROGRESS_FORMS = ("auto", "json", "openjd", "none")
"""What `--progress` can be: bars on a terminal, JSON lines, lines for a render farm, nothing."""

EVENT_WORDS = ("--progress", "json")
"""What makes a command tell events."""

# often enough for a bar of a farm's window, and no load for its log
_EVENT_SECONDS = 0.5


class Display(Protocol):
    """Where a command shows what is no result."""

    def begin(self, command: str) -> None:
        """A command begins."""

    def clip(self, path: object) -> None:
        """The command works on this clip from now on."""

    def notice(self, line: str) -> None:
        """Show one line for people."""

    def error(self, message: str, hint: str, exit_code: int) -> None:
        """Show why the command ends without what was asked for."""

    def output(self, path: object) -> None:
        """A file or folder of the result is complete."""

    def part(self, name: str | None) -> None:
        """The command has made a part (None: it is ready), and reads the next one's name."""

    def relay(self, event: Mapping[str, object]) -> None:
        """Another command, which this one runs, told an event."""

    def end(self) -> None:
        """The command has done what was asked for."""

    def steps(self, label: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Begin `total` steps, frames in the most cases; the context's value is called after
        each.
        """

    def transfer(self, label: str) -> AbstractContextManager[Callable[[int, int | None], None]]:
        """Begin to move bytes; the context's value is told how many are there, and of how many."""


@dataclass(frozen=True, slots=True)
class ForPeople:
    """Lines, and bars where a terminal is."""

    bars: bool
    """Whether bars may be drawn."""

    def begin(self, command: str) -> None:
        """People know what they typed."""

    def clip(self, path: object) -> None:
        """And on what."""

    def notice(self, line: str) -> None:
        """One line."""
        typer.echo(f"note: {printable(line)}", err=True)

    def error(self, message: str, hint: str, exit_code: int) -> None:  # noqa: ARG002
        """One line, and one with what to do."""
        # names of files may hold control characters, which would act on the terminal
        typer.echo(f"error: {printable(message)}", err=True)
        if hint:
            typer.echo(f"hint: {printable(hint)}", err=True)

    def output(self, path: object) -> None:
        """The result's own table shows it."""

    def part(self, name: str | None) -> None:
        """They see the bar."""

    def relay(self, event: Mapping[str, object]) -> None:
        """Bars of several commands at once would not be read."""

    def end(self) -> None:
        """They see the prompt."""

    def steps(self, label: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """A bar."""
        return _steps(label, total, hidden=self._hides)

    def transfer(self, label: str) -> AbstractContextManager[Callable[[int, int | None], None]]:
        """A bar with bytes."""
        return _transfer(label, hidden=self._hides)

    @property
    def _hides(self) -> bool:
        return not (self.bars and sys.stderr.isatty())


@dataclass(slots=True)
class _Lines:
    """Lines for programs, which several threads may write."""

    err: bool
    """Whether they go to stderr."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_closed: bool = False

    def write(self, line: str) -> None:
        """Write a line at once: who reads lines as they come must not wait for a buffer to fill."""
        with self._lock:
            if not self._is_closed:
                typer.echo(line, err=self.err)
                (sys.stderr if self.err else sys.stdout).flush()

    def close(self) -> None:
        """Let the last line be the last one, whatever threads are still at work."""
        with self._lock:
            self._is_closed = True


@dataclass(slots=True)
class ForPrograms:
    """One JSON object per line; every key is there in every event of its kind."""

    now: Callable[[], float] = time.monotonic
    """A clock in seconds."""

    _command: str = ""
    _clip: str | None = None
    _began: float = field(default=0.0)
    _lines: _Lines = field(default_factory=lambda: _Lines(err=True))

    def begin(self, command: str) -> None:
        """Event "start"."""
        self._command, self._began = command, self.now()
        self._tell("start")

    def clip(self, path: object) -> None:
        """Event "clip"; the clip is in every event from now on."""
        self._clip = str(path)
        self._tell("clip")

    def notice(self, line: str) -> None:
        """Event "notice"."""
        self._tell("notice", text=line)

    def error(self, message: str, hint: str, exit_code: int) -> None:
        """Event "error", the last one."""
        self._tell(
            "error", text=message, hint=hint or None, exit_code=exit_code, seconds=self._seconds()
        )
        self._lines.close()

    def output(self, path: object) -> None:
        """Event "output"."""
        self._tell("output", output=str(path))

    def part(self, name: str | None) -> None:
        """Event "part"."""
        self._tell("part", part=name)

    def relay(self, event: Mapping[str, object]) -> None:
        """The event as it is: it names its command and clip."""
        self._lines.write(json_text(event))

    def end(self) -> None:
        """Event "end", the last one."""
        self._tell("end", exit_code=0, seconds=self._seconds())
        self._lines.close()

    @contextmanager
    def steps(self, label: str, total: int) -> Iterator[Callable[[], None]]:
        """Events "progress": one at the beginning, one at the end, and now and then between."""
        done, began = 0, self.now()
        told = began
        self._progress(label, 0, total, 0.0)

        def step() -> None:
            nonlocal done, told
            done += 1
            now = self.now()
            if done == total or now - told >= _EVENT_SECONDS:
                told = now
                self._progress(label, done, total, now - began)

        yield step

    @contextmanager
    def transfer(self, label: str) -> Iterator[Callable[[int, int | None], None]]:
        """Events "transfer", in bytes."""
        told = -_EVENT_SECONDS

        def moved(done: int, total: int | None) -> None:
            nonlocal told
            now = self.now()
            if done == total or now - told >= _EVENT_SECONDS:
                told = now
                self._tell("transfer", step=label, bytes=done, total=total)

        yield moved

    def _progress(self, label: str, done: int, total: int, seconds: float) -> None:
        # no speed is known before the first step
        fps = done / seconds if done and seconds > 0 else None
        left = None if fps is None else max(total - done, 0) / fps
        self._tell(
            "progress",
            step=label,
            frame=done,
            total=total,
            fps=None if fps is None else round(fps, 2),
            eta=None if left is None else round(left, 1),
        )

    def _seconds(self) -> float:
        return round(self.now() - self._began, 2)

    def _tell(self, event: str, **facts: object) -> None:
        self._lines.write(
            json_text({"event": event, "command": self._command, "clip": self._clip, **facts})
        )


@dataclass(slots=True)
class ForRenderFarm:
    """Lines that a session of Open Job Description understands, on stdout, where it reads them."""

    now: Callable[[], float] = time.monotonic
    """A clock in seconds."""

    _lines: _Lines = field(default_factory=lambda: _Lines(err=False))

    def begin(self, command: str) -> None:
        """The farm knows what it began."""

    def clip(self, path: object) -> None:
        """And on what."""

    def notice(self, line: str) -> None:
        """A line of the log."""
        self._lines.write(f"note: {printable(line)}")

    def error(self, message: str, hint: str, exit_code: int) -> None:  # noqa: ARG002
        """What the farm shows of a task that failed."""
        self._lines.write(f"openjd_fail: {printable(f'{message}; {hint}' if hint else message)}")
        self._lines.close()

    def output(self, path: object) -> None:
        """A line of the log."""
        self._lines.write(f"output: {printable(path)}")

    def part(self, name: str | None) -> None:
        """The farm sees the next one begin."""

    def relay(self, event: Mapping[str, object]) -> None:
        """Tasks run one command each."""

    def end(self) -> None:
        """The exit code says it."""

    @contextmanager
    def steps(self, label: str, total: int) -> Iterator[Callable[[], None]]:
        """Per cent of the step, and its name."""
        done, told = 0, self.now()
        self._lines.write(f"openjd_status: {printable(label)}")

        def step() -> None:
            nonlocal done, told
            done += 1
            now = self.now()
            if done == total or now - told >= _EVENT_SECONDS:
                told = now
                self._lines.write(f"openjd_progress: {100 * done / max(total, done):.1f}")

        yield step

    @contextmanager
    def transfer(self, label: str) -> Iterator[Callable[[int, int | None], None]]:
        """Its name."""
        self._lines.write(f"openjd_status: {printable(label)}")
        yield lambda _done, _total: None


@contextmanager
def _steps(label: str, total: int, *, hidden: bool) -> Iterator[Callable[[], None]]:
    if hidden:
        yield lambda: None
        return
    # imported only where a bar is drawn: rich's modules take a good part of a short command's time
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    # rich has no column for frames per second, so the task carries them as a field of its own
    fps = TextColumn("{task.fields[fps]} fps")
    columns = (_label(), BarColumn(), MofNCompleteColumn(), fps, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(printable(label), total=total, fps="–")

        def step() -> None:
            # no speed is known before the second frame
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, advance=1, fps=f"{speed:.1f}" if speed else "–")

        yield step


def _label() -> TextColumn:
    from rich.progress import TextColumn

    return TextColumn("{task.description}", markup=False)  # a clip's name is no markup


@contextmanager
def _transfer(label: str, *, hidden: bool) -> Iterator[Callable[[int, int | None], None]]:
    if hidden:
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        _label(),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    # a server need not say how much it sends, so the total may come later or never
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(printable(label), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
