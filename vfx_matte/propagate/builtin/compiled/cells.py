"""Means over cells, as `cues.smooth_flow` says."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.jit import compiled


@compiled
def mean_flow(flow: Array, weight: Array, down: Array, right: Array, box: Array) -> Array:
    """The weighted flow of a class and its weight, averaged over cells: float32 (cells_y, cells_x,
    3).

    Args:
        flow: float32 (h, w, 2).
        weight: float32 (h, w), 0 outside of the window.
        down: float32 (cells_y, h), how much of each row of cells every row of pixels covers.
        right: float32 (cells_x, w), the same of columns.
        box: the window, (top, bottom, left, right), of which the rows count.
    """
    means = np.zeros((down.shape[0], right.shape[0], 3), np.float32)
    height, width = flow.shape[:2]
    sums = np.empty((3, width), np.float32)
    across, below, own = sums[0], sums[1], sums[2]
    for row in range(down.shape[0]):
        # 1. the pixels of a row of cells, summed downwards
        sums[:] = 0
        for i in range(max(box[0], 0), min(box[1], height)):
            share = down[row, i]
            if share == 0:
                continue
            weights, moved = weight[i], flow[i]
            for j in range(width):
                own[j] += weights[j] * share
            for j in range(width):
                across[j] += moved[j, 0] * (weights[j] * share)
            for j in range(width):
                below[j] += moved[j, 1] * (weights[j] * share)
        # 2. and these across
        for column in range(right.shape[0]):
            shares = right[column]
            # a pixel more on both sides, of which nothing is there
            begin = max(column * width // right.shape[0] - 1, 0)
            end = min((column + 1) * width // right.shape[0] + 2, width)
            for k in range(3):
                for j in range(begin, end):
                    means[row, column, k] += sums[k, j] * shares[j]
    return means
