"""Compiles functions of plain loops, each once on a machine: the one place that knows how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit
from numba.core import event

from vfx_matte.matting.compiled.notice import compiling

Function = TypeVar("Function", bound=Callable[..., object])


class Kept:
    """What is known of the place for what is compiled."""

    everything = True
    """False as soon as a function has no place."""


class _Told(event.Listener):
    """Hears Numba: of functions that are loaded it says nothing."""

    def on_start(self, _: object) -> None:
        """A function begins to be compiled."""
        compiling(is_kept=Kept.everything)

    def on_end(self, _: object) -> None:
        """It is compiled."""


event.register("numba:compile", _Told())  # type: ignore[no-untyped-call]


def compiled(function: Function) -> Function:
    """Compile a function at its first call; what is compiled is kept on disk for the next time.

    Loops run without the interpreter's lock, division by zero gives what it gives in NumPy, and a
    product and a sum may be rounded once instead of twice.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"contract"},
    }
    try:
        kept: Function = njit(cache=True, **options)(function)
    except RuntimeError:
        # neither the installation nor the user's own cache can be written: compiled every time
        Kept.everything = False
        kept = njit(**options)(function)
    return kept
