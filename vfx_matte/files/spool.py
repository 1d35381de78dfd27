"""Keeps bytes on disk for as long as the program runs, within a bound.

Its files have no name where the system allows that (and are removed when they are closed
elsewhere), so that a program that is killed leaves nothing behind.
"""

from __future__ import annotations

import tempfile
import threading

from vfx_matte.errors import OutputError


class SpoolSpace:
    """How many bytes some spools may hold together. Safe to use from any thread."""

    def __init__(self, most_bytes: int) -> None:
        """Begin with all of it free."""
        self.most_bytes = most_bytes
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        return self._used

    def take(self, size: int) -> None:
        """Take some of it.

        Raises:
            OutputError: so much is not free.
        """
        with self._lock:
            if self._used + size > self.most_bytes:
                raise OutputError(
                    f"the space for frames and results is full: {_megabytes(size)} do not fit,"
                    f" {_megabytes(self._used)} of {_megabytes(self.most_bytes)} are taken",
                    hint="wait until other work is done, or end some of it",
                )
            self._used += size

    def give_back(self, size: int) -> None:
        """Set some of it free."""
        with self._lock:
            self._used -= size


def _megabytes(size: int) -> str:
    """For people: "4096 MB", "0.25 MB"; what is there is never 0."""
    return f"{max(size / 2**20, 0.01 if size else 0):.{0 if size >= 100 << 20 else 2}f} MB".replace(
        ".00 MB", " MB"
    )


class Spool:
    """A list of byte strings on disk, which only grows. Safe to use from any thread.

    Args:
        space: what it takes its bytes from.
        most_bytes: of this spool alone; None is as many as the space has.
    """

    def __init__(self, space: SpoolSpace, *, most_bytes: int | None = None) -> None:
        self._space, self._most_bytes = space, most_bytes
        # not a context manager: it is open for as long as the spool lives
        self._file = tempfile.TemporaryFile(prefix="vfx-matte-")  # noqa: SIM115
        self._ends = [0]
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> bytes:
        """One of them.

        Raises:
            IndexError: it is not there, or the spool is closed.
        """
        with self._lock:
            if self._file.closed or not 0 <= index < len(self):
                raise IndexError(f"the spool has no entry {index}")
            self._file.seek(self._ends[index])
            return self._file.read(self._ends[index + 1] - self._ends[index])

    def append(self, data: bytes) -> None:
        """Keep one more.

        Raises:
            OutputError: there is no space for it, or the spool is closed.
        """
        with self._lock:
            if self._file.closed:
                raise OutputError("what these bytes are for has ended", hint="begin it again")
            end = self._ends[-1] + len(data)
            if self._most_bytes is not None and end > self._most_bytes:
                raise OutputError(
                    f"there is more than {_megabytes(self._most_bytes)} of it",
                    hint="ask for fewer frames at a time",
                )
            self._space.take(len(data))
            try:
                self._file.seek(self._ends[-1])
                self._file.write(data)
            except OSError as error:
                self._space.give_back(len(data))
                raise OutputError(
                    f"the folder for temporary files is full: {error.strerror}",
                    hint="free some of it, or name another with the variable TMPDIR",
                ) from error
            self._ends.append(end)

    def close(self) -> None:
        """Forget all of them, and free the disk. A second call does nothing."""
        with self._lock:
            if not self._file.closed:
                self._file.close()
                self._space.give_back(self._ends[-1])
