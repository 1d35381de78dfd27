"""The command line starts without the heavy packages, so that `vfx-matte --help` answers at
once.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ["numpy", "av", "cv2", "torch", "cupy", "PIL", "httpx", "tomlkit", "fastapi", "uvicorn"]
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
