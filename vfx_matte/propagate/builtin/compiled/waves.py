"""Spreads descriptors over cosines, as `classifier` says."""

from __future__ import annotations

from vfx_matte.backend import Array
from vfx_matte.compiling.functions import cosine
from vfx_matte.compiling.jit import compiled


@compiled
def take_cosines(features: Array, waves: int) -> None:
    """Replace the first `waves` columns of float32 (M, N) by their cosines."""
    for i in range(features.shape[0]):
        for j in range(waves):
            features[i, j] = cosine(features[i, j])
