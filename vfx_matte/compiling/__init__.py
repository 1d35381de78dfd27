"""Compiles loops of plain numbers, and knows where that can be done.

Whatever is compiled does for NumPy arrays what an array version beside its caller does for every
device, within rounding; tests hold it to that. Numba compiles it, which takes seconds once on a
machine. Where Numba is not installed, and on a GPU, the array versions do the work.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache

import numpy as np

from vfx_matte.backend import Array, xp

_COMPILER = "vfx_matte.compiling.jit"


def usable(on: Array) -> bool:
    """Whether compiled functions can be called for an array: it is NumPy's, and Numba is there."""
    return xp(on) is np and has_compiler()


@cache
def has_compiler() -> bool:
    """Whether Numba is there."""
    return importlib.util.find_spec("numba") is not None


def is_loaded() -> bool:
    """Whether Numba is imported, so that calling what is compiled does not wait for that."""
    return _COMPILER in sys.modules


def load_compiler() -> None:
    """Import Numba, where it is there: what calls compiled loops would do so at its first frame,
    which takes as long as to make a dozen of them.
    """
    if has_compiler():
        importlib.import_module(_COMPILER)
