"""Finds foreign files in a folder of numbered pictures, which is then not replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def first_foreign_file(folder: Path, *, is_ours: Callable[[str], bool]) -> str:
    """The name of something in a folder that no earlier result has, "" = nothing.

    Args:
        folder: that would be replaced.
        is_ours: whether a file name is of an earlier result.
    """
    # a folder inside is nobody's result
    return next(
        (path.name for path in folder.iterdir() if path.is_dir() or not is_ours(path.name)), ""
    )
