"""What the start of the program does differently from its work."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_USUAL = gc.get_threshold()
_OBJECTS_BEFORE_A_LOOK = 100_000
_USUAL_TURN_SECONDS = sys.getswitchinterval()
_TURN_SECONDS = 0.0005
# numbers of mallopt(3)
_ARENA_MAX, _ONE = -8, 1


def share_one_heap() -> None:
    """Have all threads take memory from one heap, where the C library has a way to be asked
    (glibc) and nobody has asked it otherwise.

    Usually threads get up to eight heaps for each core, and what a stage has freed of one's own
    serves no other: a tenth of the memory of 4K renders and of `segment`. Only before there are
    threads: a heap that one has stays.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    try:
        ask = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    ask(_ARENA_MAX, _ONE)


def begin_loading() -> None:
    """Look for cycles rarely.

    Modules are objects that stay: looking through them every 700 takes a tenth of the start-up.
    """
    gc.set_threshold(_OBJECTS_BEFORE_A_LOOK)


def end_loading() -> None:
    """Look for cycles as Python does by itself, but not among what was loaded.

    A cycle may hold a frame, or the body of a request: looked for rarely they take gigabytes. Only
    after `begin_loading`: where one process runs many commands, cycles that an earlier one left
    would be set aside with what was loaded, and never be freed.
    """
    if gc.get_threshold()[0] != _OBJECTS_BEFORE_A_LOOK:
        return
    gc.freeze()
    gc.set_threshold(*_USUAL)


@contextmanager
def loading() -> Iterator[None]:
    """While a command imports what it works with: cycles are looked for rarely, and a thread that
    opens the clip meanwhile gets the interpreter as soon as it wants it.

    Such a thread needs it for a moment between two calls of FFmpeg. It would wait for it ten times
    as long as usual, as imports do not give it up by themselves.
    """
    begin_loading()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(_USUAL_TURN_SECONDS)
        gc.set_threshold(*_USUAL)
