"""Folders that many tests begin with: made once, copied into each test's own folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Hashable
from pathlib import Path


class Templates:
    """Made as they are asked for, in this process; a test that changes its copy changes no other's.

    Args:
        root: the folder that keeps them.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[Hashable, tuple[Path, Path]] = {}

    def fill(self, folder: Path, key: Hashable, make: Callable[[], object]) -> None:
        """Put into `folder` what `make` makes there.

        Args:
            folder: the working directory of a test, with nothing in it that `make` does not know.
            key: equal for equal results.
            make: fills `folder`; it runs for the first test that asks.
        """
        if key not in self._made:
            make()
            copy = self._root / str(len(self._made))
            shutil.copytree(folder, copy, symlinks=True)
            self._made[key] = copy, folder
            return
        copy, first = self._made[key]
        shutil.copytree(copy, folder, symlinks=True, dirs_exist_ok=True)
        # a workspace knows where its clip is
        for path in folder.glob("workspace/**/*.json"):
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(str(first), str(folder)), encoding="utf-8")
