"""The command line starts without the heavy packages, so that `vfx-matte --help` answers at
once.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = [
    "numpy",
    "av",
    "cv2",
    "numba",
    "torch",
    "cupy",
    "PIL",
    "httpx",
    "tomlkit",
    "fastapi",
    "uvicorn",
]
IMPORT = "from vfx_matte.cli import main"
HELP = (
    f"{IMPORT}\nsys.argv = ['vfx-matte', '--help']\ntry:\n    main()\nexcept SystemExit as stop:\n "
    "   assert not stop.code"
)


@pytest.mark.parametrize("code", [IMPORT, HELP], ids=["import", "help"])
def test_the_door_opens_without_heavy_packages(code: str) -> None:
    script = (
        f"import json, sys\n{code}\nprint(json.dumps([name for name in {HEAVY} if name in"
        " sys.modules]), file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stderr.splitlines()[-1]) == []


def test_every_command_is_found_by_its_module_alone() -> None:
    """What `vfx-matte COMMAND` imports instead of all modules."""
    script = (
        "import importlib, sys\nfrom vfx_matte import cli\nfrom vfx_matte.cli.app import app\n"
        "for name, commands in cli.COMMANDS.items():\n"
        "    before = len(app.registered_commands)\n"
        "    importlib.import_module(f'vfx_matte.cli.commands.{name}')\n"
        "    made = [one.name for one in app.registered_commands[before:]]\n"
        "    assert made == (commands.split() if name != 'weights' else []), (name, made)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
