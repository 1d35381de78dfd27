"""Measures distances to an edge, as `trimap.signed_distance` says."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.jit import compiled
from vfx_matte.matting.compiled.windows import fill

FAR = 1 << 20
"""More than the side of any picture."""


def signed_distance(binary: Array) -> Array:
    """Distance of every pixel to the edge of uint8 0 and 1, positive inside: float32 (h, w)."""
    return _signed_distance(np.ascontiguousarray(binary))


@compiled
def _signed_distance(binary: Array) -> Array:
    """What `signed_distance` gives of an array whose rows follow each other."""
    away, distance = np.empty(binary.shape, np.int32), np.empty(binary.shape, np.float32)
    _down_the_columns(binary, away)
    _along_the_rows(binary, away, distance)
    return distance


@compiled
def _down_the_columns(binary: Array, away: Array) -> None:
    """How many rows every pixel is away from one in its column that touches the other side."""
    height, width = binary.shape
    for y in range(height):
        row, above, below = binary[y], binary[max(y - 1, 0)], binary[min(y + 1, height - 1)]
        rows, before = away[y], away[max(y - 1, 0)]
        for x in range(width):
            rows[x] = (row[x] == above[x]) & (row[x] == below[x])
        for x in range(1, width):
            rows[x] &= row[x] == row[x - 1]
        for x in range(width - 1):
            rows[x] &= row[x] == row[x + 1]
        # 0 where it touches the other side, 1 elsewhere: so far the distance is one more than that
        # of the row above
        for x in range(width):
            rows[x] *= (before[x] if y else FAR) + 1
    for y in range(height - 2, -1, -1):
        rows, after = away[y], away[y + 1]
        for x in range(width):
            rows[x] = min(rows[x], after[x] + 1)


@compiled
def _along_the_rows(binary: Array, away: Array, distance: Array) -> None:
    """The nearest pixel of any column: the distance to it, half a pixel more, and its sign.

    (x − c)² + away(c)² is smallest for the same c as away(c)² + c² − 2xc, and that is smallest at a
    corner of the lower hull of the points (c, away(c)² + c²), from left to right as x grows.
    """
    height, width = binary.shape
    corners, heights = np.empty(width, np.int64), np.empty(width, np.int64)
    squares = np.empty(width, np.int32)
    half = np.float32(0.5)
    for y in range(height):
        count = 0
        # the last corner and the one before it
        two, two_height, one, one_height = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        column = away[y]
        for c in range(width):
            rows = np.int64(column[c])
            if rows >= FAR:
                continue
            h = rows * rows + c * c
            # a corner that is not below the line from the one before it to the new point is none
            while count > 1:
                if (two_height - one_height) * (c - two) < (h - two_height) * (two - one):
                    break
                count -= 1
                two, two_height = one, one_height
                if count > 1:
                    one, one_height = corners[count - 2], heights[count - 2]
            one, one_height = two, two_height
            two, two_height = np.int64(c), h
            corners[count] = c
            heights[count] = h
            count += 1
        row, side = distance[y], binary[y]
        if count == 0:
            fill(row, float(np.float32(np.sqrt(np.float32(2147483647))) + half))
        # each corner is the nearest one up to where the next one is as near; its pixels are a loop
        # without branches, which several are computed in at once
        start = 0
        for k in range(count):
            stop = width
            if k + 1 < count:
                rise, apart = heights[k + 1] - heights[k], corners[k + 1] - corners[k]
                # without a sign, which makes a division cheaper
                before = np.int64(np.uint64(rise) // np.uint64(2 * apart))
                stop = min(before + 1, width) if rise >= 0 else 0
            if stop <= start:
                continue
            corner = np.int32(corners[k])
            squared = np.int32(heights[k] - corners[k] * corners[k])
            for x in range(start, stop):
                across = np.int32(x) - corner
                squares[x] = across * across + squared
            start = stop
        for x in range(start):
            row[x] = np.sqrt(np.float32(squares[x])) + half
        for x in range(width):
            row[x] = row[x] if side[x] else -row[x]
