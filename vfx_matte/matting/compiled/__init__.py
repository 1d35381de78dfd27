"""Compiled forms of what takes the time of edges from the picture.

Each does for NumPy arrays what an array version beside its caller does for every device, within
rounding; tests hold them to it. Numba compiles them, which takes seconds once on a machine. Where
Numba is not installed, and on a GPU, the array versions do the work.
"""

from __future__ import annotations

import importlib.util
from functools import cache

import numpy as np

from vfx_matte.backend import Array, xp


def usable(on: Array) -> bool:
    """Whether compiled functions can be called for an array: it is NumPy's, and Numba is there."""
    return xp(on) is np and _has_numba()


@cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None
