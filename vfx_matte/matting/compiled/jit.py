"""Compiles functions of plain loops, each once on a machine: the one place that knows how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


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
        kept = njit(**options)(function)
    return kept
