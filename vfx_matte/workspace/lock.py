"""One writer at a time.

Takes the path of a lock file, gives a lock that the system drops when its process ends.
"""

from __future__ import annotations

import errno
from pathlib import Path
from types import TracebackType
from typing import Self

from vfx_matte.errors import WorkspaceError
from vfx_matte.files.atomic import output_error, try_lock
from vfx_matte.wording import option


class WriterLock:
    """Held from construction to `release`.

    The empty file stays: removing it would let a third process lock another one.
    """

    def __init__(self, path: Path, *, busy: str = "", hint: str = "") -> None:
        """Lock.

        Raises WorkspaceError when another run holds the lock, OutputError when the file cannot be
        made.

        busy, hint: what that WorkspaceError says; without them it speaks of `segment`.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():  # opening a pipe would wait
                raise FileExistsError(errno.EEXIST, "what has this name is not a file", str(path))
            self._file = path.open("ab")
        except OSError as error:
            raise output_error(path, error) from error
        try:
            # on a network file system without locks, work as before there were any
            try_lock(self._file)
        except BlockingIOError as error:
            self._file.close()
            raise WorkspaceError(
                busy or f"{path.parent} is being segmented by another run of vfx-matte",
                hint=hint
                or f"wait until it is done or stop it, or use another {option('workspace')}",
            ) from error

    def release(self) -> None:
        """Let others in; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
