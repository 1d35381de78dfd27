"""The start of the program."""

from __future__ import annotations

import subprocess
import sys


def test_cycles_are_looked_for_rarely_while_modules_load_and_as_usual_afterwards() -> None:
    script = (
        "import gc, sys\n"
        "usual = gc.get_threshold()\n"
        "from vfx_matte import cli\n"
        "from vfx_matte.cli import app\n"
        "sys.argv = ['vfx-matte', 'formats']\n"
        "end, seen = app.end_loading, []\n"
        "def watched():\n"
        "    seen.append(gc.get_threshold())\n"
        "    end()\n"
        "    seen.append(gc.get_threshold())\n"
        "app.end_loading = watched\n"
        "try:\n"
        "    cli.main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "assert seen[0][0] > 10 * usual[0], seen\n"
        "assert seen[1:] == [usual], seen\n"
        "assert gc.get_freeze_count() > 1000\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
