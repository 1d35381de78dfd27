"""Keeps every state of an edited project on disk, for undo and redo without limit.

A file of lines that only grows: each line is a new state with the name of the action that made it,
or moves the present to another line. A state is small plain data; masks that it names lie in files
of their own (`mask_archive`). A line that was cut off by a kill is dropped: at most the last action
is lost. Of a file that was damaged elsewhere, every line that can be read counts, and the file is
kept aside.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vfx_matte.files.atomic import output_error
from vfx_matte.workspace.files import write_text

FILE_NAME = "history.jsonl"

# a damaged file would fill the memory
_MOST_BYTES = 2**30

PlainState = Mapping[str, Any]
"""What JSON can hold."""


@dataclass(frozen=True, slots=True)
class Step:
    """One state, and what led to it."""

    label: str
    """The action, for people."""

    state: PlainState
    """The project after it."""


class History:
    """The states of one project, one of which is the current one. Not safe for several threads.

    Args:
        folder: where the file lies; it is made with the first step.
        begin: the state before all actions.

    Raises:
        OutputError: the file cannot be read.
    """

    def __init__(self, folder: Path, begin: PlainState) -> None:
        self._path = folder / FILE_NAME
        self._steps = [Step("", begin)]
        self._now = 0
        self._whole_bytes = 0
        self._read()

    @property
    def present(self) -> PlainState:
        """The current state."""
        return self._steps[self._now].state

    @property
    def undo_label(self) -> str | None:
        """The action that `undo` takes back; None where there is none."""
        return self._steps[self._now].label if self._now else None

    @property
    def redo_label(self) -> str | None:
        """The action that `redo` does again; None where there is none."""
        return self._steps[self._now + 1].label if self._now + 1 < len(self._steps) else None

    @property
    def before(self) -> PlainState | None:
        """The state that `undo` would go to."""
        return self._steps[self._now - 1].state if self._now else None

    @property
    def after(self) -> PlainState | None:
        """The state that `redo` would go to."""
        return self._steps[self._now + 1].state if self._now + 1 < len(self._steps) else None

    def add(self, label: str, state: PlainState) -> None:
        """Make a state the current one; what could be redone is discarded.

        Raises:
            OutputError: it cannot be written; the present stays as it was.
        """
        self._append({"do": label, "state": state})
        self._apply_step(Step(label, state))

    def undo(self) -> str | None:
        """Go back one state, and return the action that was undone; None where there is none.

        Raises:
            OutputError: it cannot be written; the present stays as it was.
        """
        label = self.undo_label
        if label is not None:
            self._append({"now": self._now - 1})
            self._now -= 1
        return label

    def redo(self) -> str | None:
        """Go forward one state, and return the action that was redone; None where there is none.

        Raises:
            OutputError: as `undo`.
        """
        label = self.redo_label
        if label is not None:
            self._append({"now": self._now + 1})
            self._now += 1
        return label

    def states(self) -> list[PlainState]:
        """Every state that undo and redo can reach."""
        return [step.state for step in self._steps]

    def _apply_step(self, step: Step) -> None:
        del self._steps[self._now + 1 :]
        self._steps.append(step)
        self._now += 1

    def _read(self) -> None:
        try:
            if not self._path.is_file() or self._path.stat().st_size > _MOST_BYTES:
                return
            data = self._path.read_bytes()
        except OSError as error:
            raise output_error(self._path, error) from error
        is_damaged = False
        for line in data.splitlines(keepends=True):
            if not self._reads(line):
                is_damaged = True
                continue
            if is_damaged:
                # every line holds a whole state: what follows a damaged one counts, in a new file
                self._write_anew(data)
                return
            self._whole_bytes += len(line)

    def _write_anew(self, damaged: bytes) -> None:
        """Read the rest of a damaged file, put it aside and write what can be read."""
        lines = damaged.splitlines(keepends=True)
        self._steps, self._now = self._steps[:1], 0
        for line in lines:
            self._reads(line)
        entries: list[Mapping[str, Any]] = [
            {"do": step.label, "state": step.state} for step in self._steps[1:]
        ]
        text = "".join(map(_line, [*entries, {"now": self._now}]))
        aside = self._path.with_name("history.damaged.jsonl")
        try:
            aside.write_bytes(damaged)
        except OSError as error:
            raise output_error(aside, error) from error
        write_text(self._path, text)
        self._whole_bytes = len(text.encode())

    def _reads(self, line: bytes) -> bool:
        """Whether a line of the file is complete, so that it counts."""
        if not line.endswith(b"\n"):
            return False
        try:
            entry = json.loads(line)
            if "now" not in entry:
                self._apply_step(Step(str(entry["do"]), dict(entry["state"])))
                return True
            now = int(entry["now"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return False
        if not 0 <= now < len(self._steps):
            return False
        self._now = now
        return True

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = _line(entry).encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("r+b" if self._path.exists() else "w+b") as file:
                # over what a kill, or a full disk, left of a line
                file.truncate(self._whole_bytes)
                file.seek(self._whole_bytes)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(self._path, error) from error
        self._whole_bytes += len(line)


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
