"""Files and folders that are whole or not there.

What is being made lies in a folder of its own beside its final path until it is complete:
`.vfx-matte-`, eight random characters, `.part`. Nothing that was there before is opened, followed
or removed, and two runs never share such a folder. A run holds a lock in its folder for as long as
it lives; the next run that writes beside it removes what a killed one has left, and only that: its
own user's, made on this machine, with the lock let go.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import itertools
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Self

from vfx_matte.errors import OutputError, VerifyError, VfxMatteError
from vfx_matte.wording import either, option

PREFIX, SUFFIX = ".vfx-matte-", ".part"
FAILED = ".failed-verification"
"""Stands before the suffix of a file that differs from its source, and after the name of a folder.
"""

_OURS = re.compile(rf"{re.escape(PREFIX)}[a-z0-9_]{{8}}{re.escape(SUFFIX)}")
# inside of such a folder: what is being made, what it replaces, and the lock before it is held
_NEW, _EARLIER, _UNLOCKED = "new", "earlier", "lock.new"
# the numbers that different systems give for it
_HELD_BY_ANOTHER = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
# other runs may come between two steps; so many times in a row they do not
_TRIES = 8

# those of this process that are not kept or discarded yet
_being_made: weakref.WeakSet[AtomicOutput] = weakref.WeakSet()

_FULL = (errno.ENOSPC, errno.EDQUOT)
_ELSEWHERE = f"with {either('output', 'workspace')}"
_HINTS = {
    errno.EACCES: f"choose a folder you may write to {_ELSEWHERE}",
    errno.EPERM: f"choose a folder you may write to {_ELSEWHERE}",
    errno.EROFS: f"the folder is read-only: choose another place {_ELSEWHERE}",
    errno.ENOENT: f"the folder does not exist: create it, or choose another place {_ELSEWHERE}",
    errno.EEXIST: f"part of the path is a file: choose another place {_ELSEWHERE}",
    errno.ENOTDIR: f"part of the path is a file: choose another place {_ELSEWHERE}",
    errno.EISDIR: "that is a folder: give a file name",
    errno.ENAMETOOLONG: f"choose a shorter name {_ELSEWHERE}",
}


def output_error(path: Path, error: Exception, *, other: str = "") -> OutputError:
    """Say in one line why a path could not be written, with what to do about it.

    Args:
        path: as people know it.
        error: a system error, or one of a library that has an errno (FFmpeg's do) or none (a format
            that an encoder refuses).
        other: the hint where the number of the error has none of its own; "" = the usual one.
    """
    number = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or str(error)
    if number in _FULL:
        hint = f"free some space, or choose another disk {_ELSEWHERE}"
        return OutputError(f"the disk is full: cannot write {str(path)!r}", hint=hint)
    if not other and isinstance(number, int):
        other = f"try another place {_ELSEWHERE}, or another {option('codec')}"
    return OutputError(
        f"{str(path)!r} cannot be written: {reason}", hint=_HINTS.get(number or 0, other)
    )


def discard_unfinished() -> None:
    """Remove what is being made, before a process ends without waiting for its threads."""
    with contextlib.suppress(RuntimeError):  # another one is begun just now
        for output in list(_being_made):
            output.discard_unfinished()


class AtomicOutput:
    """A file or folder that is being made.

    Its `part` is where it is made, its `final` where it belongs.
    """

    def __init__(self, final: Path, *, shown: Path | None = None, clean_up: bool = True) -> None:
        """Make the folders that lead to `final`, and the one for `part`.

        Args:
            final: what will be made.
            shown: `final` as people know it.
            clean_up: remove what killed runs have left beside it.

        Raises:
            OSError: as the system raises it.
        """
        _being_made.add(self)
        # all that `discard` looks at, before anything can fail
        self._lock: IO[bytes] | None = None
        self._folder: Path | None = None
        self._made: list[Path] = []
        self.final, self._shown = final, shown or final
        self._made = _make_folders(final.parent)
        try:
            if clean_up:
                remove_leftovers(final.parent)
            folder = self._make_own_folder(final.parent)
            (folder / _NEW).mkdir()
        except BaseException:
            self.discard()
            raise
        self.part = folder / _NEW / final.name

    def _make_own_folder(self, parent: Path) -> Path:
        """Make a folder that is ours as long as we live, and hold its lock."""
        for attempt in itertools.count(1):
            # known before it exists: Ctrl-C between any two steps, even before a `with` is entered,
            # leaves nothing
            folder = self._folder = parent / f"{PREFIX}{secrets.token_hex(4)}{SUFFIX}"
            try:
                folder.mkdir(mode=0o700)
                self._lock = _lock_folder(folder)
                break
            except (FileNotFoundError, FileExistsError, BlockingIOError):
                # another run's `remove_leftovers` took it for one that a killed run had left: it
                # had no lock yet
                self._folder = None
                if attempt == _TRIES or not parent.is_dir():
                    raise
        return folder

    def __del__(self) -> None:
        if hasattr(self, "_made"):  # else it was refused before anything was made
            self.discard()

    def keep_failed(self) -> Path:
        """Put what was made beside `final`, under a name that says that it failed; what has that
        name stays.

        Returns:
            Its path.

        Raises:
            OutputError: when it cannot be put there.
        """
        kept = _free_name(self.final, is_folder=self.part.is_dir())
        try:
            self.part.rename(kept)
        except OSError as error:
            raise output_error(kept, error) from error
        self._made = []
        self.discard()
        return kept

    def discard(self) -> None:
        """Remove what was not kept, and the folders that were made for it.

        A second call does nothing.
        """
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._folder is not None:
            _remove(self._folder)
            self._folder = None
        while self._made:
            with contextlib.suppress(OSError):  # somebody else's files are in it by now
                self._made.pop().rmdir()

    def discard_unfinished(self) -> None:
        """Like `discard`, but from another thread than the one that is making it."""
        # half an exchange holds the earlier result, which the next run puts back
        if self._folder is not None and not (self._folder / _EARLIER).exists():
            self.discard()

    @contextlib.contextmanager
    def naming_final(self) -> Iterator[None]:
        """Make errors that name `part` name `final` instead."""
        try:
            yield
        except VfxMatteError as error:
            error.message = error.message.replace(str(self.part), str(self._shown))
            error.hint = error.hint.replace(str(self.part), str(self._shown))
            error.args = (error.message,)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


class AtomicFile(AtomicOutput):
    """One file that is being made.

    Use as a context manager; leaving it removes what was not kept.
    """

    def __init__(self, final: Path, *, clean_up: bool = True) -> None:
        """Lend `part`, which does not exist yet; missing folders are made.

        Args:
            final: the file.
            clean_up: look for what killed runs have left beside `final`; False where many files are
                written into one folder.

        Raises:
            OutputError: when it cannot be made, also for a `final` that is a folder, pipe,
                socket or device.
        """
        try:
            _refuse_other_than_file(final)
            super().__init__(final, clean_up=clean_up)
        except OSError as error:
            raise output_error(final, error) from error

    def keep(self, *, durable: bool = True) -> None:
        """Give the file its name, in place of an earlier one, which stays when that fails.

        Args:
            durable: whether it is flushed to the disk before this returns.

        Raises:
            OutputError: when it cannot be put there.
        """
        try:
            if durable:
                _flush(self.part)
            self.part.replace(self.final)
        except OSError as error:
            raise output_error(self.final, error) from error
        self._made = []
        self.discard()


def _refuse_other_than_file(final: Path) -> None:
    if final.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(final))
    if final.exists() and not final.is_file():
        # a file in its place would take /dev/null from the whole system
        raise OSError(errno.EINVAL, "is a pipe, socket or device, expected a file", str(final))


class AtomicFolder(AtomicOutput):
    """One folder that is being made.

    Use as a context manager; leaving it removes what was not kept.
    """

    def __init__(self, final: Path, *, foreign_file: Callable[[Path], str]) -> None:
        """Lend `part`, an empty folder. A link to a folder stands for that folder.

        Args:
            final: the folder.
            foreign_file: names something in a folder that is not of an earlier result, "" =
                nothing.

        Raises:
            OutputError: when it cannot be made, also for a `final` that holds anything else
                than an earlier result.
        """
        self._foreign_file = foreign_file
        try:
            super().__init__(final.resolve(), shown=final)
            try:
                self._refuse_other_work()
                self.part.mkdir()
            except BaseException:
                self.discard()
                raise
        except OSError as error:
            raise output_error(final, error) from error

    def keep(self) -> None:
        """Give the folder its name, in place of an earlier result, which stays when that fails.

        Raises:
            OutputError: when it cannot be put there.
        """
        try:
            self._replace()
        except OSError as error:
            raise output_error(self._shown, error) from error
        self._made = []
        self.discard()

    def _replace(self) -> None:
        """If two runs end at once, the last one wins; each looks again if the other was faster."""
        for attempt in range(_TRIES):
            self._refuse_other_work()
            try:
                if self.final.exists():
                    self._exchange()
                else:
                    self.part.rename(self.final)
                return
            except OSError as error:
                if (
                    error.errno not in (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY)
                    or attempt == _TRIES - 1
                ):
                    raise

    def _exchange(self) -> None:
        # in one step where the system can, so that at no moment there is nothing
        if _swap(self.part, self.final):
            return
        assert self._folder is not None
        # otherwise the earlier result steps aside, within this folder: should this run be killed
        # here, `remove_leftovers` puts it back
        earlier = self._folder / _EARLIER / self.final.name
        # of an attempt that another run outran, with a newer result
        shutil.rmtree(earlier.parent, ignore_errors=True)
        earlier.parent.mkdir()
        self.final.rename(earlier)
        try:
            self.part.rename(self.final)
        except OSError:
            if not self.final.exists():
                earlier.rename(self.final)
            raise

    def _refuse_other_work(self) -> None:
        try:  # asked once: another run may take it away between two questions
            is_folder = stat.S_ISDIR(self.final.stat().st_mode)
            other = self._foreign_file(self.final) if is_folder else ""
        except FileNotFoundError:
            return
        if not is_folder:
            raise OutputError(
                f"{str(self._shown)!r} is a file, expected a folder",
                hint=f"choose another name {_ELSEWHERE}",
            )
        if other:
            raise OutputError(
                f"{str(self._shown)!r} holds other files ({other}) and is left alone",
                hint=f"choose a new folder {_ELSEWHERE}",
            )


@contextlib.contextmanager
def atomic_path(final: Path, *, durable: bool = False, clean_up: bool = True) -> Iterator[Path]:
    """Lend a temporary path beside `final`; it becomes `final` when the block ends well and is
    removed when it does not.

    Missing folders are made; an earlier `final` stays when the block fails.

    Args:
        final: the file.
        durable: whether it is flushed to the disk when the block ends.
        clean_up: as in `AtomicFile`.

    Raises:
        OutputError: for every OSError, in the block too.
    """
    with AtomicFile(final, clean_up=clean_up) as output, output.naming_final():
        try:
            yield output.part
        except OSError as error:
            raise output_error(final, error) from error
        output.keep(durable=durable)


@contextlib.contextmanager
def atomic_folder(final: Path, *, foreign_file: Callable[[Path], str]) -> Iterator[Path]:
    """Lend an empty folder beside `final`; it becomes `final` when the block ends well and is
    removed when it does not.

    An earlier `final` stays until then, and gives way only when all it holds is an earlier result.
    After a VerifyError the new folder is kept beside it, as NAME.failed-verification.

    Args:
        final: the folder.
        foreign_file: names something in a folder that is not of an earlier result, "" = nothing.

    Raises:
        OutputError: for every OSError, in the block too, and for a `final` that holds something
            else.
    """
    with AtomicFolder(final, foreign_file=foreign_file) as output, output.naming_final():
        try:
            yield output.part
        except OSError as error:
            raise output_error(final, error) from error
        except VerifyError as error:
            error.hint = (
                f"{str(output.keep_failed())!r} is kept for inspection, no earlier result was"
                " replaced"
            )
            raise
        output.keep()


@contextlib.contextmanager
def atomic_files(folder: Path, *, stale: Sequence[str]) -> Iterator[Path]:
    """Lend an empty folder for files that belong together; they move to `folder` when the block
    ends well.

    A `folder` that is not there yet gets its name with all of them in it. One that is there keeps
    its other files. After a VerifyError the files that failed are kept in `folder`.

    Args:
        folder: where they belong.
        stale: names of files that say that the rest is complete; they are removed first and come
            last.

    Raises:
        OutputError: for every OSError, in the block too.
    """
    target = folder.resolve()  # "sub/.." is a place too
    if target.exists() and not target.is_dir():
        # now, not after the work: nothing may be noted of files that never get there
        raise output_error(folder, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    final = target / "files" if target.is_dir() else target
    with (
        _AtomicFiles(final, folder=folder, target=target, stale=stale) as files,
        files.naming_final(),
    ):
        try:
            yield files.part
            files.keep()
        except OSError as error:
            raise output_error(folder, error) from error
        except VerifyError as error:
            files.keep_failures(error)
            raise


class _AtomicFiles(AtomicOutput):
    """Files that belong together, being made."""

    def __init__(self, final: Path, *, folder: Path, target: Path, stale: Sequence[str]) -> None:
        try:
            super().__init__(final, shown=folder)
            self.part.mkdir()
        except OSError as error:
            raise output_error(folder, error) from error
        self._target, self._stale = target, stale

    def keep(self) -> None:
        try:
            if not self._target.exists():
                self.part.rename(self._target)
                self._made = []
                return
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        # what says that the result is complete goes first and comes last, so that a reader never
        # sees it beside a mixture of two results
        with _moving_files_into(self._target):
            for name in self._stale:
                (self._target / name).unlink(missing_ok=True)
            for path in sorted(
                self.part.iterdir(), key=lambda path: (path.name in self._stale, path.name)
            ):
                path.replace(self._target / path.name)
        self._made = []

    def keep_failures(self, error: VerifyError) -> None:
        for path in sorted(self.part.glob(f"*{FAILED}*")):
            self._target.mkdir(exist_ok=True)
            kept = _free_name(self._target / path.name.replace(FAILED, ""), is_folder=path.is_dir())
            path.rename(kept)
            error.hint = error.hint.replace(str(path), str(kept))
            self._made = []


def _free_name(final: Path, *, is_folder: bool) -> Path:
    """NAME.failed-verification.SUFFIX, or with a number where something has that name."""
    suffix = "" if is_folder else final.suffix
    stem = final.name.removesuffix(suffix)
    names = (
        f"{stem}{FAILED}{'' if number == 1 else f'-{number}'}{suffix}"
        for number in itertools.count(1)
    )
    return next(path for name in names if not os.path.lexists(path := final.with_name(name)))


@contextlib.contextmanager
def _moving_files_into(folder: Path) -> Iterator[None]:
    """Wait until no other run moves files into a folder, where the system lets folders be
    locked.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs have left in a folder, where it is certain that they are ours and
    dead; leave all else.

    A folder that was killed between the two renames of its exchange is put back.
    """
    try:
        with os.scandir(folder) as entries:
            left = [
                Path(entry.path)
                for entry in entries
                if _OURS.fullmatch(entry.name) and _is_own_folder(entry)
            ]
    except OSError:
        return
    for leftover in left:
        with contextlib.suppress(OSError):
            _remove_dead(leftover)


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and (sys.platform == "win32" or found.st_uid == os.getuid())


def _remove_dead(folder: Path) -> None:
    lock = folder / _lock_name()
    # anything unexpected inside: not made by this program, or by a later version of it
    names = {path.name for path in folder.iterdir()}
    if not names:  # killed before it had a lock; one that is alive makes itself another
        folder.rmdir()
        return
    if names == {_NEW}:  # killed while it was removed, if nothing is in it
        (folder / _NEW).rmdir()
        folder.rmdir()
        return
    if names == {_UNLOCKED}:  # killed before the lock had its name
        lock = folder / _UNLOCKED
    elif not names <= {lock.name, _NEW, _EARLIER}:
        return
    # a link would lock, and open for writing, somebody else's file
    if lock.is_symlink():
        return
    with lock.open("rb+") as file:
        if not try_lock(file):
            return
        # the run was killed between two renames: what it was to replace has no other name
        for earlier in folder.glob(f"{_EARLIER}/*"):
            final = folder.parent / earlier.name
            if not os.path.lexists(final):
                earlier.rename(final)
        # as long as it is locked: a run that has made it and not locked it yet goes elsewhere
        if sys.platform != "win32":
            shutil.rmtree(folder, ignore_errors=True)
    # Windows removes no open file
    if sys.platform == "win32":
        shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Remove the folder of something that was made, whose lock has been let go.

    Once what was made has its name nothing but the lock is left, as after each mask of a run: three
    calls of the system are a fifth of looking for what there might be.
    """
    try:
        # killed on the way, what is left is told for dead by its lock, or is empty
        (folder / _NEW).rmdir()
        (folder / _lock_name()).unlink()
        folder.rmdir()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _lock_name() -> str:
    """The lock's name, which differs by machine: where locks do not reach other machines, nobody
    can know whether their runs are alive.
    """
    return f"{hashlib.sha256(platform.node().encode()).hexdigest()[:12]}.lock"


def _lock_folder(folder: Path) -> IO[bytes]:
    """Hold the lock of a folder.

    It gets its name only once it is held, so that nobody takes a new folder for a dead one.
    """
    named_at_once = sys.platform == "win32"  # which renames no open file
    file = (folder / (_lock_name() if named_at_once else _UNLOCKED)).open("xb")
    try:
        if try_lock(file) and not named_at_once:
            (folder / _UNLOCKED).rename(folder / _lock_name())
    except BaseException:
        file.close()
        raise
    return file


def try_lock(file: IO[bytes]) -> bool:
    """Lock an open file without waiting, until it is closed or the process ends.

    Returns:
        False where the system knows no locks.

    Raises:
        BlockingIOError: when another holds it.
    """
    try:
        _lock(file)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            raise BlockingIOError(error.errno, "another process holds it") from error
        return False
    return True


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _flush(path: Path) -> None:
    """Flush a file to the disk.

    Raises:
        OSError: as when the disk turns out to be full only now.
    """
    with path.open("rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in (
                errno.EINVAL,
                errno.ENOSYS,
                errno.ENOTSUP,
            ):
                # a file system that knows no such thing
                raise


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder with those above it; the ones that were not there, outermost first."""
    missing = []
    above = folder
    while not above.exists():
        missing.append(above)
        above = above.parent
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _swap(one: Path, two: Path) -> bool:
    """Exchange two paths in one step. False where the system cannot."""
    if sys.platform != "linux":
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    # the constants of Linux's renameat2, which Python has no name for
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if rename(here, os.fsencode(one), here, os.fsencode(two), exchange) == 0:
        return True
    # a file system without the exchange answers EINVAL or ENOSYS, and the two renames are tried
    if ctypes.get_errno() == errno.ENOENT:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(two))
    return False
