"""Lets Ctrl-C wait while LLVM works: it calls Python back, and what is raised there is printed and
lost, so that a program would go on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any


class _Held:
    """How often signals are held at present, and what came meanwhile. The main thread's alone: no
    other one is interrupted.
    """

    depth = 0
    has_come = False
    usual: Callable[[int, Any], object] | None = None
    """What handles the signal else; None where nothing of Python's does."""


def hold() -> None:
    """Begin to let Ctrl-C wait. May be called again before `let_go`."""
    if threading.current_thread() is not threading.main_thread():
        return
    _Held.depth += 1
    usual = signal.getsignal(signal.SIGINT)
    if _Held.depth == 1 and callable(usual):
        _Held.usual = usual
        signal.signal(signal.SIGINT, _note)


def let_go() -> None:
    """End what `hold` began.

    Raises:
        KeyboardInterrupt: Ctrl-C came meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    _Held.depth -= 1
    usual = _Held.usual
    if _Held.depth == 0 and usual is not None:
        signal.signal(signal.SIGINT, usual)
        _Held.usual = None
    # also in the midst of functions that call each other: here it is Python that is running
    if _Held.has_come and usual is not None:
        _Held.has_come = False
        usual(signal.SIGINT, None)


def _note(_: int, __: object) -> None:
    _Held.has_come = True
