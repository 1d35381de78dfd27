"""Shows a file in the file manager of this machine, for whoever sits at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path


def has_screen() -> bool:
    """Whether a window can be opened on this machine."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def can_show() -> bool:
    """Whether there is a file manager to open."""
    return has_screen() and shutil.which(_program()) is not None


def show(path: Path) -> None:
    """Open the folder of a file or folder, and return at once.

    Args:
        path: absolute, so that no program takes it for an option.

    Raises:
        OSError: the file manager cannot be started.
    """
    if sys.platform == "win32":
        arguments = [f"/select,{path}"]
    elif sys.platform == "darwin":
        arguments = ["-R", str(path)]
    else:
        arguments = [str(path.parent)]
    process = subprocess.Popen(
        [_program(), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal is meant for the studio
    )
    # some only end with their window; nothing is left of them afterwards
    threading.Thread(target=process.wait, name="vfx-matte file manager", daemon=True).start()


def _program() -> str:
    return {"win32": "explorer", "darwin": "open"}.get(sys.platform, "xdg-open")
