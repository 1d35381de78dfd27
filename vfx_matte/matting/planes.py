"""Regions and arrays of the full plane on subsampled planes."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array, Region, xp


def subsampled(region: Region, shift: tuple[int, int]) -> Region:
    """A region of the full plane as a region of a plane that is smaller by `shift` (x, y), powers
    of two.
    """
    # outwards: a sample that is covered in part belongs to the region
    x, y = shift
    rows, columns = region
    return slice(rows.start >> y, -(-rows.stop >> y)), slice(
        columns.start >> x, -(-columns.stop >> x)
    )


def footprint_means(values: Array, shift: tuple[int, int]) -> Array:
    """Mean of float32 (h, w) over the pixels that each sample of a smaller plane covers.

    Beyond an odd edge the last row or column repeats. (0, 0) gives `values` itself.
    """
    x, y = shift
    missing = (-values.shape[0] % (1 << y), -values.shape[1] % (1 << x))
    if any(missing):
        values = xp(values).pad(values, ((0, missing[0]), (0, missing[1])), mode="edge")
    # one halving after the other: the same sums in the same order on every device
    for axis, halvings in ((0, y), (1, x)):
        for _ in range(halvings):
            even, odd = (values[at::2] if axis == 0 else values[:, at::2] for at in (0, 1))
            values = (even + odd) * np.float32(0.5)
    return values
