"""Means of square windows and numbers between blocks, at the pixels alone where they are wanted."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.jit import compiled

F = np.float32


# Written out: NumPy's way to set a part of an array is compiled in three times the time, and again
# into every function that calls the one where it stands.
@compiled
def fill(values: Array, value: float) -> None:
    """Set all numbers of a row, (n,)."""
    for x in range(values.size):
        values[x] = value


@compiled
def fill_plane(plane: Array, value: float) -> None:
    """Set all numbers of a plane, (H, W)."""
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            plane[y, x] = value


@compiled
def list_runs(wanted: Array) -> Array:
    """Where a mask is not 0, as runs in the order of the array: int32 (n, 3), each its row, its
    first column and the one after its last.

    Args:
        wanted: uint8 (H, W) of 0 and 1.
    """
    height, width = wanted.shape
    # a row of whole words, so that eight pixels are passed at once where nothing changes
    row = np.zeros(-(-width // 8) * 8, np.uint8)
    words = row.view(np.uint64)
    none, every = np.uint64(0), np.uint64(0x0101010101010101)
    runs = np.empty((max(64, 4 * height), 3), np.int32)
    at = 0
    for y in range(height):
        seen = wanted[y]
        for x in range(width):
            row[x] = seen[x]
        # at most so many runs in a row
        if at + width // 2 + 1 > runs.shape[0]:
            longer = np.empty((2 * runs.shape[0] + width, 3), np.int32)
            for index in range(at):
                for m in range(3):
                    longer[index, m] = runs[index, m]
            runs = longer
        before = False
        for word in range(words.size):
            if words[word] == (every if before else none):
                continue
            for x in range(8 * word, 8 * word + 8):
                now = row[x] != 0
                if now != before:
                    if now:
                        runs[at, 0] = y
                        runs[at, 1] = x
                    else:
                        runs[at, 2] = x
                        at += 1
                    before = now
        if before:
            runs[at, 2] = width
            at += 1
    return runs[:at]


@compiled
def list_runs_within(distance: Array, limit: np.float32) -> Array:
    """Where a signed distance, float32 (H, W), is at most `limit` from 0, as `list_runs`."""
    near = np.empty(distance.shape, np.uint8)
    for y in range(distance.shape[0]):
        row, found = distance[y], near[y]
        for x in range(row.size):
            found[x] = np.uint8(abs(row[x]) <= limit)
    return list_runs(near)


@compiled
def rows_of(runs: Array, height: int) -> Array:
    """The number of the first run of every row, and how many there are: int64 (height + 1,)."""
    firsts = np.zeros(height + 1, np.int64)
    for index in range(runs.shape[0]):
        firsts[runs[index, 0] + 1] += 1
    for y in range(height):
        firsts[y + 1] += firsts[y]
    return firsts


@compiled
def count_pixels(runs: Array) -> int:
    """How many pixels runs hold."""
    count = 0
    for index in range(runs.shape[0]):
        count += runs[index, 2] - runs[index, 1]
    return count


@compiled
def gathered(plane: Array, runs: Array, values: Array) -> None:
    """Take what a plane holds in the runs, one after the other.

    Args:
        plane: (H, W).
        runs: of `list_runs`.
        values: (n,), changed.
    """
    n = 0
    for index in range(runs.shape[0]):
        row = plane[runs[index, 0], runs[index, 1] : runs[index, 2]]
        taken = values[n : n + row.size]
        for x in range(row.size):
            taken[x] = row[x]
        n += row.size


@compiled
def laid(values: Array, runs: Array, plane: Array) -> None:
    """The opposite of `gathered`: `plane` changes in the runs."""
    n = 0
    for index in range(runs.shape[0]):
        row = plane[runs[index, 0], runs[index, 1] : runs[index, 2]]
        given = values[n : n + row.size]
        for x in range(row.size):
            row[x] = given[x]
        n += row.size


@compiled
def window_means(plane: Array, runs: Array, size: int, means: Array) -> None:
    """What `box_mean` gives, in the runs, one after the other.

    Args:
        plane: float32 (H, W).
        runs: of `list_runs`.
        size: odd side of the window.
        means: float32 (n,), changed.
    """
    height, width = plane.shape
    half = size // 2
    share = 1.0 / (size * size)
    # sums of columns, moved down row by row: in float64, so that what is taken off was added; at
    # both ends the outermost ones repeat
    columns = np.zeros(width + 2 * half, np.float64)
    middle = columns[half : half + width]
    last = -2
    n = 0
    for index in range(runs.shape[0]):
        y, start, stop = runs[index, 0], runs[index, 1], runs[index, 2]
        if y == last + 1:
            new, old = plane[min(y + half, height - 1)], plane[max(y - half - 1, 0)]
            for x in range(width):
                middle[x] += np.float64(new[x]) - np.float64(old[x])
        elif y != last:
            # after rows where nothing is wanted sums begin anew
            fill(middle, 0.0)
            for row in range(y - half, y + half + 1):
                inside = plane[min(max(row, 0), height - 1)]
                for x in range(width):
                    middle[x] += inside[x]
        if y != last:
            fill(columns[:half], middle[0])
            fill(columns[half + width :], middle[width - 1])
        last = y
        window = columns[start : stop + 2 * half]
        running = 0.0
        for x in range(size):
            running += window[x]
        found = means[n : n + stop - start]
        found[0] = F(running * share)
        for x in range(1, found.size):
            running += window[x + size - 1] - window[x - 1]
            found[x] = F(running * share)
        n += found.size


@compiled
def interpolated_row(blocks: Array, numbers: int, row: float, row_numbers: Array) -> None:
    """The first numbers of blocks in one row between their centres, linear: what `enlarged` does
    down the columns.

    Args:
        blocks: float32 (h, w, C).
        numbers: how many of C.
        row: in blocks, 0 the centre of the first.
        row_numbers: float32 (w, numbers), changed.
    """
    at = int(np.floor(row))
    share = F(row - at)
    below = min(max(at + 1, 0), blocks.shape[0] - 1)
    above = min(max(at, 0), blocks.shape[0] - 1)
    for column in range(blocks.shape[1]):
        for number in range(numbers):
            one = blocks[above, column, number]
            row_numbers[column, number] = one + share * (blocks[below, column, number] - one)


@compiled
def between_centres(
    first: int, count: int, block_px: int, blocks: int, at: Array, share: Array
) -> None:
    """For pixels first … first + count: the block whose centre lies before each, and how far the
    pixel is on its way to the next one, 0..1.
    """
    for index in range(count):
        place = (first + index + 0.5) / block_px - 0.5
        before = int(np.floor(place))
        if before < 0:
            at[index], share[index] = 0, F(0)
        elif before >= blocks - 1:
            at[index], share[index] = max(blocks - 2, 0), F(1) if blocks > 1 else F(0)
        else:
            at[index], share[index] = before, F(place - before)
