"""Makes codes of alpha."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.jit import compiled

F = np.float32


@compiled
def fill_codes(values: Array, trimap: Array, unknown: int, codes: Array) -> None:
    """Alpha in 16 bits where a trimap is unknown.

    Args:
        values: float32 (h, w), limited to 0..1 here.
        trimap: uint8 (h, w).
        unknown: its value there.
        codes: uint16 (h, w), changed.
    """
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            if trimap[y, x] == unknown:
                codes[y, x] = np.rint(min(max(values[y, x], F(0)), F(1)) * F(65535))
