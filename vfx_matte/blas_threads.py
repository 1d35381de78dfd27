"""Keeps NumPy's matrix products to one thread.

So their last bits are the same on one core and on many. The products here are small: shared out
over cores they take twice the time, too. The command line asks OpenBLAS for one thread before it is
loaded (`cli.main`); a Python program that uses this package has loaded it already.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

# the names that builds of OpenBLAS give its functions: NumPy's packages put "scipy_" before them
# and, with 64-bit integers, "64_" behind
_NAMES = (
    "scipy_openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads64_",
    "openblas_{}_num_threads",
)


class _Blocks:
    """The blocks that run just now."""

    lock = threading.Lock()
    count = 0
    before = 0
    """How many threads there were before the first of them."""


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """While the block runs, NumPy's own OpenBLAS uses one thread, in the whole process; then as
    many as before.

    Without the OpenBLAS that comes with NumPy's packages (a system's own, or Accelerate) nothing
    changes.
    """
    library = _openblas()
    # blocks of several threads may overlap: the first one sets, the last one sets back
    with _Blocks.lock:
        if library is not None and not _Blocks.count:
            _Blocks.before = library[0]()
            library[1](1)
        _Blocks.count += 1
    try:
        yield
    finally:
        with _Blocks.lock:
            _Blocks.count -= 1
            if library is not None and not _Blocks.count:
                library[1](_Blocks.before)


def _openblas() -> tuple[ctypes._NamedFuncPointer, ctypes._NamedFuncPointer] | None:
    """How to get and set the number of threads of the library that NumPy has loaded."""
    package = Path(np.__file__).parent
    # beside the package on Linux and Windows, inside of it on macOS
    folders = (package.parent / "numpy.libs", package / ".dylibs")
    for path in (
        path for folder in folders if folder.is_dir() for path in folder.glob("*openblas*")
    ):
        with contextlib.suppress(OSError):
            library = ctypes.CDLL(str(path))
            for name in _NAMES:
                if hasattr(library, name.format("set")):
                    return getattr(library, name.format("get")), getattr(
                        library, name.format("set")
                    )
    return None
