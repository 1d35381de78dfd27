"""Estimates the subject's own colours, as `foreground` says."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.matting.compiled.jit import compiled
from vfx_matte.matting.compiled.windows import between_centres

F = np.float32

WINDOW = 5
"""Side of the windows in which both colours are constant: written out below."""


def block_means(plane: Array, factor: int, peak: int, shape: tuple[int, ...]) -> Array:
    """Means of blocks of `factor` × `factor` samples in 0..1, float32 of `shape` (h, w); incomplete
    blocks repeat the edge.

    Args:
        plane: code values, uint8 or uint16 (H, W).
        factor: side of a block.
        peak: the code of 1.
        shape: of the result.
    """
    means = np.empty(shape, np.float32)
    _average(plane, factor, F(1 / (peak * factor * factor)), means)
    return means


@compiled
def _average(plane: Array, factor: int, share: np.float32, means: Array) -> None:
    """Average blocks."""
    last_row, last_column = plane.shape[0] - 1, plane.shape[1] - 1
    sums = np.empty(means.shape[1] * factor, np.int32)
    for i in range(means.shape[0]):
        # rows first, which several columns are added with at once
        sums[:] = 0
        for y in range(i * factor, i * factor + factor):
            row = plane[min(y, last_row)]
            for x in range(min(row.size, sums.size)):
                sums[x] += row[x]
        sums[last_column + 1 :] = sums[last_column]
        for j in range(means.shape[1]):
            total = np.int32(0)
            for x in range(j * factor, j * factor + factor):
                total += sums[x]
            means[i, j] = F(total) * share


@compiled
def solve_windows(
    colors: Array, weighted: Array, mean: Array, squared: Array, tight: float, front: Array,
    back: Array,
) -> None:  # fmt: skip
    """F and B of every window by least squares, in place of those of the coarser level.

    Args:
        colors: of the blocks of a level, float32 (h, w).
        weighted: the same, weighted with alpha.
        mean: of alpha in the windows.
        squared: mean of its squares there.
        tight: how strongly both keep to those of the coarser level.
        front: those of the coarser level; they become F.
        back: likewise for B.
    """
    height, width = colors.shape
    # sums of five rows; at both ends the outermost columns repeat
    sums, weights = np.empty(width + 4, np.float32), np.empty(width + 4, np.float32)
    lean, one, share = F(tight), F(1), F(1 / (WINDOW * WINDOW))
    for y in range(height):
        first, second = max(y - 2, 0), max(y - 1, 0)
        fourth, fifth = min(y + 1, height - 1), min(y + 2, height - 1)
        for x in range(width):
            sums[x + 2] = (
                colors[first, x] + colors[second, x] + colors[y, x] + colors[fourth, x]
                + colors[fifth, x]
            )  # fmt: skip
            weights[x + 2] = (
                weighted[first, x] + weighted[second, x] + weighted[y, x] + weighted[fourth, x]
                + weighted[fifth, x]
            )  # fmt: skip
        for values in (sums, weights):
            values[:2] = values[2]
            values[width + 2 :] = values[width + 1]
        for x in range(width):
            image = (sums[x] + sums[x + 1] + sums[x + 2] + sums[x + 3] + sums[x + 4]) * share
            part = (
                weights[x] + weights[x + 1] + weights[x + 2] + weights[x + 3] + weights[x + 4]
            ) * share
            # the 2 × 2 normal equations, by Cramer's rule
            both = mean[y, x] - squared[y, x]
            a, d = squared[y, x] + lean, one + lean - mean[y, x] - both
            right_front, right_back = part + lean * front[y, x], image - part + lean * back[y, x]
            factor = one / (a * d - both * both)
            front[y, x] = (d * right_front - both * right_back) * factor
            back[y, x] = (a * right_back - both * right_front) * factor


@compiled
def replace_soft(
    plane: Array, alpha: Array, shift: int, near: Array, front: Array, back: Array, factor: int,
    peak: int, damping: float, result: Array,
) -> None:  # fmt: skip
    """Put the subject's colour into the samples near a soft edge whose alpha is not full.

    Args:
        plane: code values of the region, (h, w).
        alpha: of the full plane, float32.
        shift: how many times a sample is halved, the same in both directions.
        near: above 0 in blocks near a soft edge, float32.
        front: F of the blocks.
        back: B of the blocks.
        factor: side of a block in samples.
        peak: the code of 1.
        damping: how little is given of what F and B do not explain.
        result: like `plane`, changed.
    """
    height, width = plane.shape
    down, across = near.shape
    last_row, last_column = alpha.shape[0] - 1, alpha.shape[1] - 1
    size = 1 << shift
    unit, share, one, top = F(1 / peak), F(1 / (size * size)), F(1), F(peak)
    loose = F(damping)
    at, part = np.empty(width, np.int64), np.empty(width, np.float32)
    between_centres(0, width, factor, across, at, part)
    row_at, row_part = np.empty(height, np.int64), np.empty(height, np.float32)
    between_centres(0, height, factor, down, row_at, row_part)
    # the first pixel of the stretch between the centres of each block and the next one
    begins = np.empty(across + 1, np.int64)
    begins[:] = width
    for x in range(width - 1, -1, -1):
        begins[at[x]] = x
    for j in range(across - 1, -1, -1):
        begins[j] = min(begins[j], begins[j + 1])
    line = np.empty(across, np.float32)
    for y in range(height):
        above, t = row_at[y], row_part[y]
        below = min(above + 1, down - 1)
        is_any = False
        for j in range(across):
            line[j] = near[above, j] + t * (near[below, j] - near[above, j])
            is_any |= line[j] > 0
        if not is_any:
            continue
        for left in range(across):
            right = min(left + 1, across - 1)
            # most stretches are far from any soft edge
            if not (line[left] > 0 or line[right] > 0):
                continue
            for x in range(begins[left], begins[left + 1]):
                s = part[x]
                if not line[left] + s * (line[right] - line[left]) > 0:
                    continue
                weight = F(0)
                for i in range(y * size, y * size + size):
                    for j in range(x * size, x * size + size):
                        weight += alpha[min(i, last_row), min(j, last_column)]
                weight *= share
                if weight >= one:
                    continue
                upper = front[above, left] + s * (front[above, right] - front[above, left])
                lower = front[below, left] + s * (front[below, right] - front[below, left])
                f = upper + t * (lower - upper)
                upper = back[above, left] + s * (back[above, right] - back[above, left])
                lower = back[below, left] + s * (back[below, right] - back[below, left])
                b = upper + t * (lower - upper)
                # the remainder, which F and B do not explain
                rest = one - weight
                error = plane[y, x] * unit - weight * f - rest * b
                f += weight * error / (weight * weight + rest * rest + loose * rest)
                result[y, x] = np.rint(min(max(f, F(0)), one) * top)
