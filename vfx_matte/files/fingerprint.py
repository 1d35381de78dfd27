"""Recognises a clip by its bytes, as names and dates change with copies and clouds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

WHOLE_BYTES = 16 * 2**20
"""Files up to this size are read whole; of longer ones the two ends and BLOCKS blocks between are.
"""


# few enough to be read at once from a network disk; what changes a clip (an export, a cut, another
# grade) changes nearly every one of them
BLOCKS, BLOCK_BYTES = 64, 2**16
SAMPLED_FILES = 256
"""Of a longer sequence of pictures this many are read, evenly spaced; the sizes of all count."""


def file_sha256(path: Path) -> str:
    """SHA-256, in hexadecimal, of a whole file, read in pieces.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(files: Sequence[Path]) -> str:
    """SHA-256, in hexadecimal, of what a clip's files hold, in this order.

    Raises:
        OSError: when one cannot be read.
    """
    digest = hashlib.sha256()
    sizes = [path.stat().st_size for path in files]
    digest.update(" ".join(map(str, sizes)).encode())
    # the first and the last file are always among those that are read
    count = min(len(files), SAMPLED_FILES)
    for number in range(count):
        at = number * (len(files) - 1) // max(1, count - 1)
        if not files[at].is_file():  # a pipe would never end
            continue
        with files[at].open("rb") as file:
            if sizes[at] <= WHOLE_BYTES:
                digest.update(file.read())
                continue
            for block in range(BLOCKS + 1):
                file.seek((sizes[at] - BLOCK_BYTES) * block // BLOCKS)
                digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()


class Watch:
    """Whether files are still what they were when this was made."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Begin to watch the files of a clip.

        Raises:
            OSError: when one is not there.
        """
        self._files = tuple(files)
        self._facts, self._print = self._now(), fingerprint(self._files)

    def has_changed(self) -> bool:
        """True when a file is gone or holds other bytes.

        A date alone, or the same bytes in another file, is no change.
        """
        try:
            facts = self._now()
            # the system's facts cost nothing; bytes are read only when these have changed
            if facts == self._facts:
                return False
            if fingerprint(self._files) != self._print:
                return True
        except OSError:
            return True
        self._facts = facts
        return False

    def _now(self) -> list[tuple[int, int, int, int]]:
        stats = (path.stat() for path in self._files)
        return [(one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for one in stats]
