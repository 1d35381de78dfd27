"""Compiles functions of plain loops, each once on a machine: the one place that knows how."""

from __future__ import annotations

import contextlib
import gc
import importlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

from vfx_matte.compiling.interrupts import hold, let_go
from vfx_matte.compiling.notice import compiling
from vfx_matte.errors import UsageError


def _load_numba() -> None:
    """Load Numba and what it knows of types, in two thirds of the time that it takes by itself.

    It looks whether SciPy has linear algebra, for functions of arrays that none here calls: that
    alone imports for a tenth of a second. And nothing that is loaded is ever freed: cycles are not
    looked for meanwhile, nor later among all that. What was there before is looked through first,
    so that no cycle is set aside that holds a frame.
    """
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        try:
            importlib.import_module("numba")
        except ValueError as error:
            raise UsageError(
                f"Numba does not take its settings: {error}",
                hint="look at the environment variables that begin with NUMBA_",
            ) from error
        # these are its own matters: a version that has them elsewhere loads as it does by itself
        with contextlib.suppress(ImportError, AttributeError):
            linalg: Any = importlib.import_module("numba.np.linalg")
            looks, linalg.ensure_blas = linalg.ensure_blas, _no_blas
            try:
                importlib.import_module("numba.np.arraymath")
            finally:
                linalg.ensure_blas = looks
            target = importlib.import_module("numba.core.registry").cpu_target
            # the first function that is loaded or compiled would do this
            target.typing_context.refresh()
            target.target_context.refresh()
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def _no_blas() -> None:
    raise ImportError("linear algebra is not wanted")


_load_numba()

from numba import njit  # noqa: E402  what is imported first decides what else is
from numba.core import event  # noqa: E402

from vfx_matte.compiling.kept import KeptFunction  # noqa: E402  it imports Numba

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
        # Numba asks Python's parser, which in Python 3.11 fails where two threads ask it at once;
        # so does this module when it is imported, which `np.unique` does at its first call
        importlib.import_module("numpy.ma")
        hold()

    def on_end(self, _: object) -> None:
        """It is compiled."""
        let_go()


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
    kept: Any = njit(**options)(function)
    try:
        # as `cache=True` would, but for what it does with damaged files and full disks
        kept._cache = KeptFunction(function, on_failure=_is_not_kept)
    except RuntimeError:
        # neither the installation nor the user's own cache can be written: compiled every time
        _is_not_kept()
    return cast(Function, kept)


def _is_not_kept() -> None:
    Kept.everything = False
