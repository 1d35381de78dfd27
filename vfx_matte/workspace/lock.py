"""A lock for one writer at a time, which the system drops when its process ends."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Self

from vfx_matte.errors import WorkspaceError
from vfx_matte.files.atomic import output_error, try_lock
from vfx_matte.wording import option


class WriterLock:
    """A lock that is held from construction to `release`.

    The empty file stays: removing it would let a third process lock another one.

    Args:
        path: the lock file; its folder is created.
        busy: the message when another run holds the lock; "" speaks of `segment`.
        hint: the hint of that message.

    Raises:
        WorkspaceError: another run holds the lock.
        OutputError: the file cannot be created.
    """

    def __init__(self, path: Path, *, busy: str = "", hint: str = "") -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # opening a pipe would wait for a reader
            if path.exists() and not path.is_file():
                raise FileExistsError(errno.EEXIST, "what has this name is not a file", str(path))
            # for appending: opening must not change a file that another run has locked
            self._file = path.open("ab")
        except OSError as error:
            raise output_error(path, error) from error
        try:
            # on a network file system without locks, work as before there were any
            self.excludes = try_lock(self._file)
            """Whether others are kept out; False where the file system has no locks."""
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

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.release()
