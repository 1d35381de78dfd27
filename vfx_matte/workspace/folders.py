"""Folders that are whole or not there. Takes a place, lends a folder beside it, gives it its name once it is complete."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from vfx_matte.errors import OutputError
from vfx_matte.workspace.files import PART_SUFFIX, output_error
from vfx_matte.workspace.lock import WriterLock

_LOCK_NAME = ".lock"


@contextlib.contextmanager
def atomic_folder(final: Path, *, stranger: Callable[[Path], str]) -> Iterator[Path]:
    """Lend an empty folder beside `final`; it becomes `final` when the block ends well and is removed when it does not.

    An earlier `final` stays until then, whatever happens, and gives way only when all it holds is an earlier result: when
    `stranger` names nothing in it ("") that is not. What a run that was killed has left is removed, or put back.
    Raises OutputError for every OSError, in the block too, and for a `final` that holds something else; WorkspaceError while
    another run is making the same folder.
    """
    part, earlier = (final.with_name(f".{final.name}{suffix}") for suffix in (PART_SUFFIX, ".earlier"))
    lock = WriterLock(
        part / _LOCK_NAME,
        busy=f"{final} is being made by another run of vfx-matte",
        hint="wait until it is done or stop it, or choose another folder with -o",
    )
    try:
        if earlier.exists() and not final.exists():  # killed between the two renames below
            earlier.rename(final)
        _refuse_other_work(final, stranger)
        _empty(part)
        yield part
        lock.release()
        (part / _LOCK_NAME).unlink()
        _replace(final, part, earlier)
    except OSError as error:
        raise output_error(final, error) from error
    finally:
        lock.release()
        shutil.rmtree(part, ignore_errors=True)


def _refuse_other_work(final: Path, stranger: Callable[[Path], str]) -> None:
    if not final.exists():
        return
    if not final.is_dir():
        raise OutputError(f"{str(final)!r} is a file, expected a folder", hint="choose another name with -o")
    if other := stranger(final):
        raise OutputError(f"{str(final)!r} holds other files ({other}) and is left alone", hint="choose a new folder with -o")


def _empty(part: Path) -> None:
    for left in part.iterdir():
        if left.name == _LOCK_NAME:
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


def _replace(final: Path, part: Path, earlier: Path) -> None:
    shutil.rmtree(earlier, ignore_errors=True)
    if final.exists():
        final.rename(earlier)
    try:
        part.rename(final)
    except OSError:
        if earlier.exists():
            earlier.rename(final)
        raise
    shutil.rmtree(earlier, ignore_errors=True)
