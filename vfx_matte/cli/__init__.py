"""The command line: a door. Takes arguments, calls one pipeline function, prints its result; knows no pixel and no codec.

Results go to stdout; notices, progress and errors to stderr. Exit code 0 done, 1 failed, 2 misused, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run `vfx-matte` and exit."""
    try:
        from vfx_matte.cli import commands  # noqa: F401  registers the commands
        from vfx_matte.cli.app import app

        app(prog_name="vfx-matte")
    except KeyboardInterrupt:  # before a command has its own boundary, while modules load
        sys.exit(130)
