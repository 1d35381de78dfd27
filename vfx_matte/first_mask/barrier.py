"""Minimum barrier distance of every pixel from seeds.

The barrier of a path is the range of values on it, its largest less its smallest; the distance of a
pixel is the least barrier of the paths that lead to it from a seed (Strand, Ciesielski, Malmberg,
Saha: "The minimum barrier distance", Computer Vision and Image Understanding 117, 2013). Where the
surroundings of an object are seeds, what they reach without crossing an edge is near. Scans in four
directions come close to it (Zhang, Sclaroff, Lin, Shen, Price, Mech: "Minimum barrier salient
object detection at 80 FPS", ICCV 2015); here each goes a row or column at a time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# each pass scans in four directions; a third one changes few pixels
_ROUNDS = 2

Values = npt.NDArray[np.float32]


def barrier_distance(values: Values, seeds: npt.NDArray[np.bool_]) -> Values:
    """The minimum barrier distance of every pixel from the seeds, of several channels together.

    Args:
        values: float32 (H, W, C).
        seeds: bool (H, W).

    Returns:
        float32 (H, W), the sum over the channels, in their unit; 0 at the seeds, infinite without
        any.
    """
    total = np.zeros(seeds.shape, np.float32)
    for channel in range(values.shape[2]):
        total += _of_channel(np.ascontiguousarray(values[..., channel]), seeds)
    return total


def _of_channel(values: Values, seeds: npt.NDArray[np.bool_]) -> Values:
    distance = np.where(seeds, 0, np.inf).astype(np.float32)
    # the largest and smallest value on the best path to each pixel that is known so far
    high, low = values.copy(), values.copy()
    # views: a scan from one row to the next goes in four directions over the same arrays
    arrays = (values, distance, high, low)
    transposed = tuple(array.T for array in arrays)
    for _ in range(_ROUNDS):
        for direction in (
            arrays,
            transposed,
            tuple(array[::-1] for array in arrays),
            tuple(array[::-1] for array in transposed),
        ):
            _scan(*direction)
    return distance


def _scan(values: Values, distance: Values, high: Values, low: Values) -> None:
    """Extend the paths of each row to the next one, where they are better than the known ones; in
    place.
    """
    for row in range(1, len(values)):
        highest, lowest = (
            np.maximum(high[row - 1], values[row]),
            np.minimum(low[row - 1], values[row]),
        )
        # a row that no seed has reached has no path to extend
        barrier = np.where(np.isinf(distance[row - 1]), np.float32(np.inf), highest - lowest)
        is_better = barrier < distance[row]
        distance[row][is_better] = barrier[is_better]
        high[row][is_better] = highest[is_better]
        low[row][is_better] = lowest[is_better]
