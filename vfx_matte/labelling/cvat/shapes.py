"""CVAT's shapes, and the regions that they are.

A mask's points are run lengths along the rows of a box, outside first, and then the box as x1, y1,
x2, y2, the last column and row included. A polygon's are x, y, x, y, …
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from cvat_sdk.masks import decode_mask, encode_mask

from vfx_matte.errors import MaskError
from vfx_matte.pipeline.tracking import outline_of, region_in

MASK, POLYGON = "mask", "polygon"
TYPES = (MASK, POLYGON)

Region = npt.NDArray[np.bool_]
"""bool (H, W)."""


def region_of(kind: str, points: Sequence[float], shape: tuple[int, int]) -> Region:
    """The region of a shape.

    Args:
        kind: "mask" or "polygon".
        points: as CVAT has them.
        shape: (H, W) of the picture.

    Raises:
        MaskError: the points are damaged, or outside of the picture.
    """
    if kind == POLYGON:
        return region_in(points, shape)
    height, width = shape
    try:
        found: Region = decode_mask(_complete(points), image_width=width, image_height=height)
    except ValueError as error:
        raise MaskError(
            f"the mask is damaged: {error}", hint=f"the picture has {width}×{height} pixels"
        ) from error
    return found


def points_of(kind: str, region: Region) -> list[float] | None:
    """The points of a region as a shape of a kind; None where it is empty."""
    if not region.any():
        return None
    return outline_of(region) if kind == POLYGON else [float(one) for one in encode_mask(region)]


def _complete(points: Sequence[float]) -> Sequence[float]:
    """The points of a mask with the last run, which files leave out where it is outside.

    Raises ValueError where there is more than the box holds.
    """
    if len(points) < 5:
        return points
    *given, left, top, right, bottom = points
    runs: list[float] = list(given)
    missing = (right - left + 1) * (bottom - top + 1) - sum(runs)
    # before they are unpacked: a damaged length would ask for the whole memory
    if missing < 0:
        raise ValueError("its runs are longer than its box")
    if not missing:
        return points
    # runs at even places are outside
    if len(runs) % 2:
        runs[-1] += missing
    else:
        runs.append(missing)
    return [*runs, left, top, right, bottom]
