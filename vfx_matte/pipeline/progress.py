"""Reports notices and progress of a pipeline function to the door that called it.

The door decides how they look.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from vfx_matte.wording import as_python, spelled


class Reporter(Protocol):
    """Receives notices and progress."""

    def notify(self, line: str) -> None:
        """Receive one line for people."""

    def spell(self, text: str) -> str:
        """A text with the options and commands that it names (`vfx_matte.wording`) as the door
        writes them: for pages and files, which no door shows.
        """

    def progress(self, label: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Begin `total` steps of work; the context's value is called once per step."""

    def stops(self) -> bool:
        """Whether the work should end as soon as it can be gone on with from there. Segmenting asks
        between frames, and raises `errors.StoppedError`.
        """

    def saved(self, frame_index: int) -> None:
        """Hear that the mask of a frame is on disk, before its step of progress."""

    def transfer(self, label: str) -> AbstractContextManager[Callable[[int, int | None], None]]:
        """Begin to move bytes; the context's value is told how many are there, and of how many
        (None: not known).
        """


class SilentReporter:
    """A reporter that keeps its notices and shows nothing; for programs and tests."""

    # Lines are kept, not thrown away: whoever called may want to know what a door would have said.
    def __init__(self) -> None:
        self.lines: list[str] = []

    def notify(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(self.spell(line))

    def spell(self, text: str) -> str:
        """Spell it for Python programs."""
        return spelled(text, as_python)

    def progress(self, label: str, total: int) -> AbstractContextManager[Callable[[], None]]:  # noqa: ARG002
        """Count nothing."""
        return nullcontext(lambda: None)

    def stops(self) -> bool:
        """Never."""
        return False

    def saved(self, frame_index: int) -> None:
        """Let it pass."""

    def transfer(self, label: str) -> AbstractContextManager[Callable[[int, int | None], None]]:  # noqa: ARG002
        """Count nothing."""
        return nullcontext(lambda _done, _total: None)
