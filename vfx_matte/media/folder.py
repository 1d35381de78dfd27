"""A folder of numbered pictures that is whole or not there. Takes a place, lends NAME.part, renames it when complete."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from vfx_matte.backend import Notify
from vfx_matte.errors import OutputError


class PictureFolder:
    """The folder that a writer of pictures fills. An earlier result is replaced; a folder with other files is left alone."""

    def __init__(self, folder: Path, *, is_ours: Callable[[str], bool], notify: Notify) -> None:
        """Make `part`. is_ours: whether a file name is one of an earlier result. Raises OutputError and OSError."""
        self.path = folder
        self.part = folder.with_name(folder.name + ".part")
        self._is_ours = is_ours
        self._refuse_other_files()
        if self.part.exists():
            notify(f"{self.part.name} of an earlier run that did not finish is removed")
            shutil.rmtree(self.part)
        self.part.mkdir(parents=True)

    def finish(self) -> None:
        """Give the folder its name, in place of an earlier result. Raises OutputError and OSError."""
        self._refuse_other_files()
        earlier = self.path.with_name(self.path.name + ".earlier")
        if self.path.exists():
            shutil.rmtree(earlier, ignore_errors=True)
            self.path.rename(earlier)
        self.part.rename(self.path)
        shutil.rmtree(earlier, ignore_errors=True)

    def discard(self) -> None:
        """Remove what was not finished."""
        shutil.rmtree(self.part, ignore_errors=True)

    def _refuse_other_files(self) -> None:
        folder = self.path
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{str(folder)!r} is a file, expected a folder", hint="choose another name with -o")
        inside = folder.iterdir() if folder.exists() else ()
        other = next((path for path in inside if not self._is_ours(path.name)), None)
        if other is not None:
            raise OutputError(
                f"{str(folder)!r} holds other files ({other.name}) and is left alone", hint="choose a new folder with -o"
            )
