"""Keeps what is compiled on disk, whatever becomes of the files there."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from typing import Any

from numba.core import caching

from vfx_matte.compiling.interrupts import hold, let_go


class KeptFunction:
    """What is compiled of a function, as Numba keeps it. Where it cannot be read it is compiled
    anew, and where it cannot be written it serves this run alone: Numba itself fails then, in every
    run.
    """

    def __init__(self, function: Callable[..., object], *, on_failure: Callable[[], None]) -> None:
        """Find a folder for a function.

        Args:
            function: what is compiled.
            on_failure: called when it cannot be written.

        Raises:
            RuntimeError: there is no folder that can be written.
        """
        made: Callable[..., Any] = caching.FunctionCache
        self._cache, self._on_failure = made(function), on_failure

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  all else is Numba's
        return getattr(self._cache, name)

    def load_overload(self, sig: Any, target_context: Any) -> Any:  # noqa: ANN401  Numba's own
        """What is kept for some types of arguments; None where there is nothing, or where it is
        damaged.
        """
        hold()
        try:
            return self._cache.load_overload(sig, target_context)
        except Exception:  # noqa: BLE001  a damaged pickle may raise anything
            # a list of what is kept that is damaged, or names what is, would be in the way
            with contextlib.suppress(OSError):
                self._cache.flush()
            return None
        finally:
            let_go()

    def save_overload(self, sig: Any, data: Any) -> None:  # noqa: ANN401  Numba's own
        """Keep what was compiled for some types of arguments, if that is possible."""
        try:
            self._cache.save_overload(sig, data)
        except (OSError, EOFError, pickle.UnpicklingError):
            self._on_failure()
