"""Reads local histograms, as `codebook` and `cues` say."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.functions import logarithm
from vfx_matte.compiling.jit import compiled

F = np.float32


@compiled
def read(table: Array, codewords: Array, rows: Array, columns: Array) -> Array:
    """`codebook.Grid.read`: float32 (h, w).

    Args:
        table: float32 (cells_y, cells_x, N).
        codewords: int32 (h, w).
        rows: float32 (h,), where each row of pixels reads, in cells.
        columns: float32 (w,), the same of columns.
    """
    cells_y, cells_x = table.shape[:2]
    height, width = codewords.shape
    found = np.empty((height, width), np.float32)
    first, rights = np.empty(width, np.int64), np.empty(width, np.float32)
    for j in range(width):
        at = min(max(columns[j], F(0)), F(cells_x - 1))
        first[j] = min(int(at), max(cells_x - 2, 0))
        rights[j] = at - F(first[j])
    beside = 1 if cells_x > 1 else 0
    for i in range(height):
        at = min(max(rows[i], F(0)), F(cells_y - 1))
        top = min(int(at), max(cells_y - 2, 0))
        down = at - F(top)
        upper, lower = table[top], table[top + 1 if cells_y > 1 else top]
        for j in range(width):
            word, left, right = codewords[i, j], first[j], rights[j]
            above = upper[left, word] * (F(1) - right) + upper[left + beside, word] * right
            below = lower[left, word] * (F(1) - right) + lower[left + beside, word] * right
            found[i, j] = above + (below - above) * down
    return found


@compiled
def add_ratios(
    table: Array,
    inside: Array,
    every: Array,
    top: int,
    left: int,
    little: np.float32,
    weight: np.float32,
) -> None:
    """Add `cues.local_ratio` of a class and all others to a table, weighted.

    Args:
        table: float32 (cells_y, cells_x, N).
        inside: the same shape, counts of the class.
        every: float32, counts of all classes, of a window in which the table's begins at (top,
            left).
        top: see above.
        left: see above.
        little: what keeps the ratio near 0 where little was seen.
        weight: what it is multiplied by.
    """
    for i in range(table.shape[0]):
        for j in range(table.shape[1]):
            own, others, sums = inside[i, j], every[top + i, left + j], table[i, j]
            for word in range(sums.size):
                # blurred apart, a class may seem more than all by a rounding error
                outside = max(others[word] - own[word], F(0))
                sums[word] += weight * logarithm((own[word] + little) / (outside + little))


@compiled
def count(
    counts: Array, codewords: Array, layer: Array, rows: Array, columns: Array, box: Array
) -> None:
    """Count the codewords of a class in every cell.

    Args:
        counts: float32 (cells_y, cells_x, N), all 0, filled.
        codewords: int32 (h, w).
        layer: float32 (h, w), how much each pixel counts.
        rows: int32 (h,), the row of cells that holds each row of pixels.
        columns: int32 (w,), the same of columns.
        box: a window outside of which nothing counts, (top, bottom, left, right).
    """
    for i in range(box[0], box[1]):
        for j in range(box[2], box[3]):
            counts[rows[i], columns[j], codewords[i, j]] += layer[i, j]


@compiled
def fade_in(
    new: Array, old: Array, box: Array, rate: np.float32, rest: np.float32, nothing: np.float32
) -> None:
    """`walk._fade_in` in a window of cells (top, bottom, left, right).

    Args:
        new: float32 (cells_y, cells_x, N), replaced.
        old: the same shape.
        box: the window.
        rate: the share of the new.
        rest: that of the old.
        nothing: what is not above it becomes 0.
    """
    for i in range(box[0], box[1]):
        for j in range(box[2], box[3]):
            now, before = new[i, j], old[i, j]
            for word in range(now.size):
                value = now[word] * rate + rest * before[word]
                now[word] = value if value > nothing else F(0)
