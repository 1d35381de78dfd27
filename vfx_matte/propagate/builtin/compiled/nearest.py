"""Finds the nearest codeword of textures, as `codebook` says."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.jit import compiled

CHANNELS = 8
"""Numbers of a texture."""

_AT_ONCE = 64  # pixels whose numbers stay in the processor's nearest cache


@compiled
def nearest(features: Array, columns: Array) -> Array:
    """Index of the nearest codeword of each feature: int32 (M,).

    Args:
        features: float32 (M, 8).
        columns: float32 (9, N), -2·c and |c|² of every codeword c.
    """
    count = features.shape[0]
    found = np.empty(count, np.int32)
    x = np.zeros((CHANNELS, _AT_ONCE), np.float32)
    least, which = np.empty(_AT_ONCE, np.float32), np.empty(_AT_ONCE, np.int32)
    for begin in range(0, count, _AT_ONCE):
        size = min(_AT_ONCE, count - begin)
        for i in range(size):
            for k in range(CHANNELS):
                x[k, i] = features[begin + i, k]
        for i in range(_AT_ONCE):
            least[i], which[i] = np.inf, 0
        # written out: so one pass over the pixels compares them with a codeword
        for code in range(columns.shape[1]):
            c0, c1, c2 = columns[0, code], columns[1, code], columns[2, code]
            c3, c4, c5 = columns[3, code], columns[4, code], columns[5, code]
            c6, c7, square = columns[6, code], columns[7, code], columns[8, code]
            for i in range(_AT_ONCE):
                one = x[0, i] * c0 + x[1, i] * c1 + x[2, i] * c2 + x[3, i] * c3
                apart = one + x[4, i] * c4 + x[5, i] * c5 + x[6, i] * c6 + x[7, i] * c7 + square
                is_nearer = apart < least[i]
                least[i] = apart if is_nearer else least[i]
                which[i] = np.int32(code) if is_nearer else which[i]
        for i in range(size):
            found[begin + i] = which[i]
    return found
