"""Files that are read: whether a path is a file at all, and small ones whole.

Nothing here waits or reads without a bound: opening a named pipe waits for a writer, and a device
such as /dev/zero never ends; neither is a file that anybody means.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vfx_matte.errors import UsageError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def other_than_file(path: Path) -> str:
    """What is at a path when it is no file: "a named pipe", "a folder" …; "" for a file, a link to
    one, and for nothing.

    Raises:
        OSError: when the system cannot tell, as for a name that is too long.
        ValueError: for a name with a NUL.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "")


def require_file(path: Path, *, what: str, error: type[UsageError] = UsageError) -> None:
    """Raise an error when there is something other than a file at a path, or the system cannot
    tell.

    Args:
        path: what was given.
        what: what it was given as, such as "mask".
        error: the kind of error.
    """
    try:
        other = other_than_file(path)
    except (OSError, ValueError) as found:
        reason = getattr(found, "strerror", None) or str(found)
        raise error(
            f"{what} {str(path)!r} cannot be used: {reason}", hint="check the path"
        ) from found
    if other:
        raise error(f"{what} {str(path)!r} is {other}, expected a file", hint="give a file")


def read_small_file(
    path: Path, *, what: str, most_bytes: int, error: type[UsageError] = UsageError
) -> bytes:
    """All bytes of a small file.

    Args:
        path: the file.
        what: what it was given as, such as "mask".
        most_bytes: a larger file is not the one that is meant.
        error: the kind of error for a larger one and for what is no file.

    Raises:
        OSError: when it cannot be read.
    """
    require_file(path, what=what, error=error)
    with open(path, "rb", opener=_without_waiting) as file:
        # one byte more tells a larger file, which may still be growing
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise error(
            f"{what} {str(path)!r} has more than {most_bytes} bytes",
            hint="this is not the file that is meant",
        )
    return content


def _without_waiting(path: str, flags: int) -> int:
    # what was a file a moment ago may be a pipe by now
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
