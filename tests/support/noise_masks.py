"""Random masks for property tests of edges, and the settings that leave a mask as it is."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from vfx_matte.settings.options import MatteSettings

OFF = MatteSettings(edges="median", median=0)


SEEDS = st.integers(0, 2**32 - 1)


SIZES = st.tuples(st.integers(1, 24), st.integers(1, 24))


def random_mask(seed: int, shape: tuple[int, int], objects: int = 1) -> np.ndarray:
    """Blocky noise with some empty margin now and then, so that borders and crops are both met."""
    rng = np.random.default_rng(seed)
    cell = int(rng.integers(1, 5))
    coarse = rng.integers(
        0, objects + 1, (-(-shape[0] // cell), -(-shape[1] // cell)), dtype=np.uint8
    )
    mask = np.repeat(np.repeat(coarse, cell, 0), cell, 1)[: shape[0], : shape[1]].copy()
    margin = int(rng.integers(0, 4))
    if margin:
        mask[:margin] = 0
        mask[:, :margin] = 0
    return mask


def disk(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius).astype(np.uint8)
