"""How lines for people are shown by a program that is not ours."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from vfx_matte.errors import VfxMatteError
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.printable import shell_command
from vfx_matte.wording import Named, Spelling, Value, spelled

_log = logging.getLogger("vfx_matte.labelling")


class LogReporter(SilentReporter):
    """Logs notices; nothing here has a bar of progress of its own.

    Args:
        spelling: how the tool's users write options.
    """

    def __init__(self, spelling: Spelling) -> None:
        super().__init__()
        self._spelling = spelling
        # the tool's worker processes have no handlers, and would drop the lines
        if not _log.hasHandlers():
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(logging.Formatter("[%(asctime)s] %(levelname)s: %(message)s"))
            _log.addHandler(handler)
            _log.setLevel(logging.INFO)

    def notify(self, line: str) -> None:
        """Log the line."""
        _log.info("vfx-matte: %s", self.spell(line))

    def spell(self, text: str) -> str:
        """Spell it for the tool's users."""
        return spelled(text, self._spelling)


def told(error: VfxMatteError, spelling: Spelling) -> str:
    """An error in one line: what is wrong, and what to do."""
    error.spell(spelling)
    return f"{error.message}; {error.hint}" if error.hint else error.message


def typed(named: Named) -> str:
    """A command as it is typed in a terminal: `vfx-matte weights fetch u2netp`."""
    words = ["vfx-matte", *(named.command or "").split(), *named.operands]
    for name, value in named.options.items():
        words += _words(name, value)
    return shell_command(words)


def _words(name: str, value: Value | list[str]) -> list[str]:
    flag = name.replace("_", "-")
    if value is None or isinstance(value, bool):
        return [f"--{'no-' if value is False else ''}{flag}"]
    values = value if isinstance(value, list) else [str(value)]
    return [word for one in values for word in (f"--{flag}", one)]


def as_path(value: str | Path) -> Path:
    """A path that somebody typed where no shell has expanded "~"."""
    return Path(value).expanduser()
