"""What a folder of numbered pictures may hold for a writer of pictures to replace it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def other_file(folder: Path, *, is_ours: Callable[[str], bool]) -> str:
    """The name of something in a folder that no earlier result has, "" = nothing.

    is_ours: whether a file name is of one.
    """
    return next(
        (path.name for path in folder.iterdir() if path.is_dir() or not is_ours(path.name)), ""
    )
