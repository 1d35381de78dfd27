"""The command line.

A command takes arguments, calls one pipeline function and prints its result.

Results go to stdout; notices, progress and errors to stderr. Exit code 0 done, 1 failed, 2 misused,
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import copy
import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

COMMAND_MODULES = (
    "segment", "detect", "render", "conform", "package", "formats", "review.keytest",
    "review.suggest", "review.qc", "review.evaluate", "exchange", "mask", "studio", "batch",
    "serve", "probe", "doctor", "weights",
)  # fmt: skip
"""In the order of `vfx-matte --help`."""


def program() -> typer.Typer:
    """The program with all of its commands."""
    from vfx_matte.cli.app import app

    # a module registers its commands when it is imported
    for name in COMMAND_MODULES:
        importlib.import_module(f"{__name__}.commands.{name}")
    return app


def _called(app: typer.Typer, words: list[str]) -> typer.Typer:
    """The program with no other command than the one that is called; all where none is.

    Typer makes every command that it knows ready to run, a third of the start-up.

    Args:
        app: the program.
        words: the command line.
    """
    named = [known for known in app.registered_commands if [known.name] == words[:1]]
    if not named:
        return app
    alone = copy.copy(app)
    alone.registered_commands = named
    return alone


def main() -> None:
    """Run `vfx-matte` and exit."""
    # NumPy's matrix products are small here: shared out over cores they take twice the time, and
    # the stages lose their core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        _called(program(), sys.argv[1:])(prog_name="vfx-matte")
    except KeyboardInterrupt:  # before a command has its own boundary, while modules load
        sys.exit(130)
