"""Alpha beside the planes of a picture, which may be subsampled."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vfx_matte.backend import Array, Region, side_by_side, xp
from vfx_matte.masks import Matte
from vfx_matte.picture import Picture


def block_scale(picture: Picture) -> int:
    """How much larger a frame is than 1080 lines, as the nearest power of two; at least 1."""
    # blocks and levels halve and double, so that in between there is nothing to choose
    return 1 << max(0, round(math.log2(min(picture.shape) / 1080)))


def alpha_in(matte: Matte, region: Region) -> Array:
    """Alpha of a region as float32 (h, w) in 0..1."""
    alpha: Array = matte.alpha[region].astype(np.float32) * np.float32(1 / matte.full)
    return alpha


def with_color_planes(picture: Picture, plane_of: Callable[[int], Array], *, on: Array) -> Picture:
    """The picture with other planes of colour: `plane_of` makes each from its index, side by side
    on the CPU. An alpha plane stays.
    """
    count = picture.layout.plane_count - picture.layout.has_alpha
    planes = side_by_side(plane_of, range(count), on=on)
    return picture.with_planes((*planes, *picture.planes[count:]))


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
