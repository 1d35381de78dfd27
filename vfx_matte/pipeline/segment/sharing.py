"""The processes that make the parts of a clip, begun before anybody knows the parts.

Each reads the names of parts from its standard input (`in_turn`), so that a start is paid once per
process; while it loads, this one finds out what there is to share out.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from vfx_matte.pipeline.batch.processes import Child, Commands, Program, usable_cores


@dataclass(slots=True, kw_only=True)
class Sharing:
    """How a clip is shared out; a context manager that ends what was begun and not needed."""

    workers: int
    """Processes at once, at least 2."""

    words: Sequence[str]
    """The command line of one of them."""

    program: Program = Program()  # noqa: RUF009  frozen
    """What runs it; its events have to say how far it is."""

    _commands: Commands = field(init=False)
    _idle: list[Child] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._commands = Commands(self.program, self.workers)

    def __enter__(self) -> Self:
        """Begin as many as there are cores for; the others when they are needed."""
        for _ in range(min(self.workers, usable_cores())):
            child = self._commands.begin(self.words, is_asked=True)
            if child is not None:
                self._idle.append(child)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dismiss()

    def commands(self, parts: int) -> Commands:
        """The processes for so many parts."""
        if parts < self.workers:
            # fewer have more cores each, which a process has to know when it begins
            self._dismiss()
            self._commands = Commands(self.program, parts)
        return self._commands

    def begin(self) -> Child | None:
        """A process that waits for its first part; None: all were stopped."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._commands.begin(self.words, is_asked=True)

    def _dismiss(self) -> None:
        """End those that nobody has asked anything: they have nothing to save."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            self._commands.discard(child)
