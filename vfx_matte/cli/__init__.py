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

from vfx_matte.cli.loading import begin_loading, share_one_heap

if TYPE_CHECKING:
    import typer

COMMANDS = {
    "segment": "segment",
    "detect": "detect",
    "render": "greenback maskvideo alpha overlay",
    "conform": "conform",
    "package": "package",
    "formats": "formats",
    "review.keytest": "keytest",
    "review.suggest": "suggest",
    "review.qc": "qc",
    "review.evaluate": "evaluate",
    "exchange": "export import",
    "mask": "mask",
    "studio": "studio",
    "batch": "batch",
    "serve": "serve",
    "probe": "probe verify frame config demo",
    "doctor": "doctor",
    "weights": "weights",
}
"""Module → the commands that it registers, in the order of `vfx-matte --help`."""


def program() -> typer.Typer:
    """The program with all of its commands."""
    from vfx_matte.cli.app import app

    # a module registers its commands when it is imported
    for name in COMMANDS:
        importlib.import_module(f"{__name__}.commands.{name}")
    order = " ".join(COMMANDS.values()).split()
    app.registered_commands.sort(key=lambda known: order.index(str(known.name)))
    return app


def _called(words: list[str]) -> typer.Typer:
    """The program with no other command than the one that is called; all where none is.

    Making all commands ready to run is most of the start-up.

    Args:
        words: the command line.
    """
    modules = [name for name, made in COMMANDS.items() if set(words[:1]) & set(made.split())]
    if not modules:
        return program()
    from vfx_matte.cli.app import app

    importlib.import_module(f"{__name__}.commands.{modules[0]}")
    alone = copy.copy(app)
    alone.registered_commands = [one for one in app.registered_commands if one.name == words[0]]
    return alone


def main() -> None:
    """Run `vfx-matte` and exit."""
    # NumPy's matrix products are small here: shared out over cores they take twice the time, and
    # the stages lose their core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    share_one_heap()
    begin_loading()
    try:
        _called(sys.argv[1:])(prog_name="vfx-matte")
    except KeyboardInterrupt:  # before a command has its own boundary, while modules load
        sys.exit(130)
