"""Estimates the subject's own colours, as `foreground` says."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from vfx_matte.backend import Array, Region
from vfx_matte.compiling.jit import compiled
from vfx_matte.matting.compiled.windows import (
    between_centres,
    fill,
    fill_plane,
    list_runs,
    rows_of,
)

F = np.float32

WINDOW = 5
"""Side of the windows in which both colours are constant: written out below."""


class Levels(NamedTuple):
    """What all planes of a picture share: the levels of alpha, one after the other in flat arrays,
    the finest first.
    """

    codes: Array
    """Alpha of the frame, unsigned (H, W)."""

    full: int
    """The code of 1."""

    top: int
    """Where the blocks begin in the frame."""

    left: int
    """Likewise."""

    block_px: int
    """Side of the finest blocks."""

    shapes: Array
    """(h, w) of every level, int64 (n, 2)."""

    alpha: Array
    """Means of alpha over the blocks of every level, float32."""

    mean: Array
    """Means of that in the windows."""

    squared: Array
    """Means of its square in the windows."""

    near: Array
    """1 in the finest blocks in which samples are replaced, uint8 (h, w)."""

    wanted: Array
    """1 in the blocks whose colours are wanted, uint8, flat like `alpha`: those near, and around
    them what their colours lean on.
    """


def soft_box(alpha: Array, full: int) -> tuple[int, int, int, int] | None:
    """Where alpha is soft: the first row, the one after the last, and the columns likewise.

    Args:
        alpha: unsigned (H, W).
        full: the code of 1.
    """
    # a code of alpha's own type: others are compared in 64 bits, a few at once
    top, bottom, left, right = _soft_box(np.ascontiguousarray(alpha), alpha.dtype.type(full))
    return (top, bottom, left, right) if top < bottom else None


@compiled
def _soft_box(alpha: Array, full: int) -> tuple[int, int, int, int]:
    """What `soft_box` gives; no rows where there is none."""
    height, width = alpha.shape
    top, bottom, left, right = height, 0, width, 0
    for y in range(height):
        row = alpha[y]
        if not _is_soft(row, full):
            continue
        top, bottom = min(top, y), y + 1
        # what is asked of a whole stretch is asked of many pixels at once
        if _is_soft(row[:left], full):
            left = 0
            while row[left] == 0 or row[left] == full:
                left += 1
        if _is_soft(row[right:], full):
            right = width
            while row[right - 1] == 0 or row[right - 1] == full:
                right -= 1
    return top, bottom, left, right


@compiled
def _is_soft(row: Array, full: Any) -> bool:  # noqa: ANN401  a number of the row's type
    """Whether any alpha of a row is neither 0 nor `full`."""
    found = False
    for x in range(row.size):
        found |= (row[x] != 0) & (row[x] != full)
    return found


def find_levels(
    codes: Array, full: int, region: Region, *, block_px: int, reach: int, most: int
) -> Levels:
    """The levels of alpha.

    Args:
        codes: alpha of the frame, unsigned (H, W).
        full: the code of 1.
        region: the part that is looked at: it begins at whole blocks, and ends at some or with the
            frame.
        block_px: side of the finest blocks.
        reach: how many blocks around a soft one samples are replaced.
        most: how many levels there are at most.
    """
    codes = np.ascontiguousarray(codes)
    shape = [-(-(side.stop - side.start) // block_px) for side in region]
    shapes = [shape]
    while max(shape) > 2 and len(shapes) < most:
        shape = [-(-side // 2) for side in shape]
        shapes.append(shape)
    listed, (rows, columns) = np.array(shapes, np.int64), region
    found = _find_levels(codes, full, rows.start, columns.start, listed, block_px, reach)
    return Levels(codes, full, rows.start, columns.start, block_px, listed, *found)


def clean(
    plane: Array,
    levels: Levels,
    *,
    shift: tuple[int, int],
    peak: int,
    tight: float,
    damping: float,
) -> Array:
    """A plane in which the subject's colours stand in the samples near a soft edge whose alpha is
    not full.

    Args:
        plane: code values of the frame, uint8 or uint16 (H, W).
        levels: of the frame's alpha.
        shift: powers of two (x, y) by which the plane is smaller.
        peak: the code of 1.
        tight: how strongly both colours of a window keep to those of the coarser level.
        damping: how little is given of what both do not explain.
    """
    result: Array = _clean(np.ascontiguousarray(plane), levels, *shift, peak, F(tight), F(damping))
    return result


@compiled
def _find_levels(
    codes: Array, full: int, top: int, left: int, shapes: Array, block_px: int, reach: int
) -> tuple[Array, Array, Array, Array, Array]:
    """The arrays of `Levels` that are not given."""
    size = 0
    for level in range(shapes.shape[0]):
        size += shapes[level, 0] * shapes[level, 1]
    alpha, squares = np.empty(size, np.float32), np.empty(size, np.float32)
    mean, squared = np.empty(size, np.float32), np.empty(size, np.float32)
    wanted = np.empty(size, np.uint8)
    finest = _level(alpha, shapes, 0)
    share = F(1.0 / (full * block_px * block_px))
    _average(codes, top, left, block_px, block_px, share, finest)
    # α² is averaged by itself: the square of a mean is not the mean of squares
    for i in range(finest.size):
        squares[i] = alpha[i] * alpha[i]
    for level in range(shapes.shape[0]):
        if level:
            _halve(_level(alpha, shapes, level - 1), _level(alpha, shapes, level))
            _halve(_level(squares, shapes, level - 1), _level(squares, shapes, level))
        _window_means(_level(alpha, shapes, level), _level(mean, shapes, level))
        _window_means(_level(squares, shapes, level), _level(squared, shapes, level))
    soft = np.zeros(finest.shape, np.uint8)
    _see_soft(codes, full, top, left, block_px, soft)
    near = np.empty(finest.shape, np.uint8)
    _widen(soft, reach, near)
    # colours are taken between the centres of blocks, so that those around count
    _widen(near, 1, _level(wanted, shapes, 0))
    for level in range(1, shapes.shape[0]):
        finer, coarser = _level(wanted, shapes, level - 1), _level(wanted, shapes, level)
        halved = np.zeros(coarser.shape, np.uint8)
        for i in range(finer.shape[0]):
            for j in range(finer.shape[1]):
                halved[i // 2, j // 2] |= finer[i, j]
        _widen(halved, 1, coarser)
    return alpha, mean, squared, near, wanted


@compiled
def _level(flat: Array, shapes: Array, level: int) -> Array:
    """One level of a flat array, (h, w)."""
    start = 0
    for finer in range(level):
        start += shapes[finer, 0] * shapes[finer, 1]
    height, width = shapes[level, 0], shapes[level, 1]
    return flat[start : start + height * width].reshape((height, width))


@compiled
def _average(
    plane: Array, top: int, left: int, rows: int, columns: int, share: np.float32, means: Array
) -> None:
    """Sums of blocks of `rows` × `columns` samples times `share`, float32 (h, w), from (top, left)
    on; beyond the plane's end its last samples repeat.
    """
    height, width = plane.shape
    down, across = means.shape
    sums = np.empty(across * columns, np.int32)
    inside = min(width - left, across * columns)
    for i in range(down):
        # rows first, which several columns are added with at once
        fill(sums, 0)
        for y in range(i * rows, i * rows + rows):
            row = plane[min(top + y, height - 1), left : left + inside]
            for x in range(inside):
                sums[x] += row[x]
        fill(sums[inside:], sums[inside - 1])
        found = means[i]
        # the two usual sides by themselves, so that several blocks are summed up at once
        if columns == 1:
            for j in range(across):
                found[j] = F(sums[j]) * share
        elif columns == 2:
            for j in range(across):
                found[j] = F(sums[2 * j] + sums[2 * j + 1]) * share
        else:
            for j in range(across):
                total = np.int32(0)
                for x in range(j * columns, j * columns + columns):
                    total += sums[x]
                found[j] = F(total) * share


@compiled
def _halve(finer: Array, coarser: Array) -> None:
    """Means of blocks of 2 × 2; incomplete ones repeat the edge."""
    height, width = finer.shape
    quarter = F(0.25)
    for i in range(coarser.shape[0]):
        upper, lower = finer[2 * i], finer[min(2 * i + 1, height - 1)]
        row = coarser[i]
        for j in range(width // 2):
            row[j] = (upper[2 * j] + upper[2 * j + 1] + lower[2 * j] + lower[2 * j + 1]) * quarter
        if width % 2:
            row[width // 2] = (upper[width - 1] + lower[width - 1]) * F(0.5)


@compiled
def _window_means(values: Array, means: Array) -> None:
    """Means of windows of 5 × 5; at the border the outermost values repeat."""
    height, width = values.shape
    sums = np.empty(width + 4, np.float32)
    share = F(1 / (WINDOW * WINDOW))
    for y in range(height):
        _sum_rows(values, y, 0, width, sums)
        row = means[y]
        for x in range(width):
            row[x] = (sums[x] + sums[x + 1] + sums[x + 2] + sums[x + 3] + sums[x + 4]) * share


@compiled
def _sum_rows(values: Array, y: int, start: int, stop: int, sums: Array) -> None:
    """Sums of five rows around y, of the columns from start - 2 to stop + 2; at the border the
    outermost ones repeat.

    Args:
        values: float32 (h, w).
        y: the row.
        start: the first column of which a window is wanted.
        stop: the one after the last.
        sums: float32 (stop - start + 4 or more), changed.
    """
    height, width = values.shape
    one, two = values[max(y - 2, 0)], values[max(y - 1, 0)]
    three = values[y]
    four, five = values[min(y + 1, height - 1)], values[min(y + 2, height - 1)]
    first, last = max(start - 2, 0), min(stop + 2, width)
    shift = first - (start - 2)
    inside = sums[shift : shift + last - first]
    for x in range(inside.size):
        at = first + x
        inside[x] = one[at] + two[at] + three[at] + four[at] + five[at]
    fill(sums[:shift], inside[0])
    fill(sums[shift + inside.size : stop - start + 4], inside[inside.size - 1])


@compiled
def _see_soft(codes: Array, full: int, top: int, left: int, factor: int, soft: Array) -> None:
    """1 in the blocks that hold an alpha that is neither 0 nor 1, uint8 (h, w)."""
    height, width = codes.shape
    down, across = soft.shape
    seen = np.empty(across * factor, np.uint8)
    inside = min(width - left, across * factor)
    for i in range(down):
        fill(seen, 0)
        for y in range(i * factor, min(i * factor + factor, height - top)):
            row = codes[top + y, left : left + inside]
            for x in range(inside):
                seen[x] |= np.uint8((row[x] != 0) & (row[x] != full))
        found = soft[i]
        if factor == 2:
            for j in range(across):
                found[j] = seen[2 * j] | seen[2 * j + 1]
        else:
            for j in range(across):
                for x in range(j * factor, j * factor + factor):
                    found[j] |= seen[x]


@compiled
def _widen(values: Array, reach: int, wide: Array) -> None:
    """1 in `wide` where a 1 is within `reach` columns and rows of `values`, else 0: uint8 (h, w)
    of 0 and 1.
    """
    height, width = values.shape
    along = np.empty(values.shape, np.uint8)
    fill_plane(wide, 0)
    for y in range(height):
        row, found = values[y], along[y]
        for x in range(width):
            found[x] = row[x]
        for step in range(1, min(reach, width - 1) + 1):
            for x in range(width - step):
                found[x] |= row[x + step]
            for x in range(width - step):
                found[x + step] |= row[x]
    for y in range(height):
        found = wide[y]
        for at in range(max(y - reach, 0), min(y + reach + 1, height)):
            row = along[at]
            for x in range(width):
                found[x] |= row[x]


@compiled
def _clean(
    plane: Array, levels: Levels, shift_x: int, shift_y: int, peak: int, tight: np.float32,
    damping: np.float32,
) -> Array:  # fmt: skip
    """What `clean` gives."""
    shapes = levels.shapes
    rows, columns = levels.block_px >> shift_y, levels.block_px >> shift_x
    top, left = levels.top >> shift_y, levels.left >> shift_x
    count = shapes.shape[0]
    size = levels.alpha.size
    colors, weighted = np.empty(size, np.float32), np.empty(size, np.float32)
    finest = _level(colors, shapes, 0)
    _average(plane, top, left, rows, columns, F(1.0 / (peak * rows * columns)), finest)
    for i in range(finest.size):
        weighted[i] = levels.alpha[i] * colors[i]
    for level in range(1, count):
        _halve(_level(colors, shapes, level - 1), _level(colors, shapes, level))
        _halve(_level(weighted, shapes, level - 1), _level(weighted, shapes, level))
    # coarse to fine: the coarsest level leans on grey, each other one on the level before
    front, back = np.empty(size, np.float32), np.empty(size, np.float32)
    fill_plane(_level(front, shapes, count - 1), 0.5)
    fill_plane(_level(back, shapes, count - 1), 0.5)
    for level in range(count - 1, -1, -1):
        runs = list_runs(_level(levels.wanted, shapes, level))
        if level < count - 1:
            _double(_level(front, shapes, level + 1), runs, _level(front, shapes, level))
            _double(_level(back, shapes, level + 1), runs, _level(back, shapes, level))
        _solve_windows(
            _level(colors, shapes, level), _level(weighted, shapes, level),
            _level(levels.mean, shapes, level), _level(levels.squared, shapes, level), runs, tight,
            _level(front, shapes, level), _level(back, shapes, level),
        )  # fmt: skip
    result = plane.copy()
    _replace_soft(
        plane, levels.codes, levels.full, top, left, shift_x, shift_y, rows, columns, levels.near,
        _level(front, shapes, 0), _level(back, shapes, 0), peak, damping, result,
    )  # fmt: skip
    return result


@compiled
def _double(coarser: Array, runs: Array, finer: Array) -> None:
    """Twice the size, bilinear between the blocks' centres, in the runs of the finer one."""
    height, width = coarser.shape
    near, far = F(0.75), F(0.25)
    line = np.empty(width, np.float32)
    for index in range(runs.shape[0]):
        y, start, stop = runs[index, 0], runs[index, 1], runs[index, 2]
        # a block's centre is a quarter of the coarser block's side from that one's
        own, other = coarser[y // 2], coarser[min(max(y // 2 + 2 * (y % 2) - 1, 0), height - 1)]
        first, last = max(start // 2 - 1, 0), min((stop - 1) // 2 + 2, width)
        for x in range(first, last):
            line[x] = own[x] * near + other[x] * far
        row = finer[y]
        for x in range(start, stop):
            at = x // 2
            beside = min(max(at + 2 * (x % 2) - 1, 0), width - 1)
            row[x] = line[at] * near + line[beside] * far


@compiled
def _solve_windows(
    colors: Array, weighted: Array, mean: Array, squared: Array, runs: Array, tight: np.float32,
    front: Array, back: Array,
) -> None:  # fmt: skip
    """F and B of every window by least squares, in place of those of the coarser level.

    Args:
        colors: of the blocks of a level, float32 (h, w).
        weighted: the same, weighted with alpha.
        mean: of alpha in the windows.
        squared: mean of its squares there.
        runs: where they are wanted.
        tight: how strongly both keep to those of the coarser level.
        front: those of the coarser level; they become F.
        back: likewise for B.
    """
    width = colors.shape[1]
    sums, weights = np.empty(width + 4, np.float32), np.empty(width + 4, np.float32)
    one, share = F(1), F(1 / (WINDOW * WINDOW))
    for index in range(runs.shape[0]):
        y, start, stop = runs[index, 0], runs[index, 1], runs[index, 2]
        _sum_rows(colors, y, start, stop, sums)
        _sum_rows(weighted, y, start, stop, weights)
        means, squares = mean[y, start:stop], squared[y, start:stop]
        fronts, backs = front[y, start:stop], back[y, start:stop]
        for x in range(stop - start):
            image = (sums[x] + sums[x + 1] + sums[x + 2] + sums[x + 3] + sums[x + 4]) * share
            part = (
                weights[x] + weights[x + 1] + weights[x + 2] + weights[x + 3] + weights[x + 4]
            ) * share
            # the 2 × 2 normal equations, by Cramer's rule
            both = means[x] - squares[x]
            a, d = squares[x] + tight, one + tight - means[x] - both
            right_front, right_back = part + tight * fronts[x], image - part + tight * backs[x]
            factor = one / (a * d - both * both)
            fronts[x] = (d * right_front - both * right_back) * factor
            backs[x] = (a * right_back - both * right_front) * factor


@compiled
def _replace_soft(
    plane: Array, codes: Array, full: int, top: int, left: int, shift_x: int, shift_y: int,
    rows: int, columns: int, near: Array, front: Array, back: Array, peak: int,
    loose: np.float32, result: Array,
) -> None:  # fmt: skip
    """Put the subject's colour into the samples near a soft edge whose alpha is not full.

    Args:
        plane: code values, (H, W).
        codes: alpha of the full plane.
        full: its code of 1.
        top: the sample where the blocks begin.
        left: likewise.
        shift_x: the power of two by which the plane is narrower than alpha.
        shift_y: likewise lower.
        rows: of samples in a block.
        columns: likewise.
        near: 1 in blocks near a soft edge, uint8.
        front: F of the blocks.
        back: B of the blocks.
        peak: the code of 1.
        loose: how little is given of what F and B do not explain.
        result: like `plane`, changed.
    """
    down, across = near.shape
    height, width = (
        min(plane.shape[0] - top, down * rows),
        min(plane.shape[1] - left, across * columns),
    )
    most = np.int32(full << (shift_x + shift_y))
    unit, share, one, peak_code = F(1 / peak), F(1.0 / most), F(1), F(peak)
    # where samples are not square a block is several square ones of one colour
    factor = min(rows, columns)
    more_rows, more_columns = rows // factor, columns // factor
    at, part = np.empty(width, np.int64), np.empty(width, np.float32)
    between_centres(0, width, factor, across * more_columns, at, part)
    row_at, row_part = np.empty(height, np.int64), np.empty(height, np.float32)
    between_centres(0, height, factor, down * more_rows, row_at, row_part)
    beside = np.empty(width, np.int64)
    for x in range(width):
        beside[x] = min((at[x] + 1) // more_columns, across - 1)
        at[x] //= more_columns
    fronts, backs = np.empty(across, np.float32), np.empty(across, np.float32)
    f, b = np.empty(width, np.float32), np.empty(width, np.float32)
    totals = np.empty(width, np.int32)
    # where blocks count that are near, or near in the row below: those beside a sample's centre
    both = np.empty((down - 1, across), np.uint8)
    for i in range(down - 1):
        for j in range(across):
            both[i, j] = near[i, j] | near[i + 1, j]
    alone, either = list_runs(near), list_runs(both)
    alone_rows, either_rows = rows_of(alone, down), rows_of(either, down)
    for y in range(height):
        above, t = row_at[y] // more_rows, row_part[y]
        below = min((row_at[y] + 1) // more_rows, down - 1)
        is_between = above != below and t > 0 and t < 1
        row = above if t < 1 else below
        runs, firsts = (either, either_rows) if is_between else (alone, alone_rows)
        if firsts[row] == firsts[row + 1]:
            continue
        upper_front, lower_front = front[above], front[below]
        upper_back, lower_back = back[above], back[below]
        for index in range(firsts[row], firsts[row + 1]):
            # a block counts up to the centres of those beside it
            first, end = runs[index, 1] * more_columns, runs[index, 2] * more_columns
            start = max(0, (first * 2 * factor - factor - 1) // 2 + 1)
            stop = min(width, (end * 2 * factor + factor) // 2)
            for j in range(at[start], beside[stop - 1] + 1):
                fronts[j] = upper_front[j] + t * (lower_front[j] - upper_front[j])
                backs[j] = upper_back[j] + t * (lower_back[j] - upper_back[j])
            count, parts = stop - start, part[start:stop]
            places, others = at[start:stop], beside[start:stop]
            for x in range(count):
                block, other = places[x], others[x]
                f[x] = fronts[block] + parts[x] * (fronts[other] - fronts[block])
                b[x] = backs[block] + parts[x] * (backs[other] - backs[block])
            _add_codes(codes, top + y, left + start, 1 << shift_x, 1 << shift_y, totals[:count])
            given = plane[top + y, left + start : left + stop]
            taken = result[top + y, left + start : left + stop]
            # without branches and gathers, so that several samples are computed at once
            for x in range(count):
                weight, code = F(totals[x]) * share, F(given[x])
                # the remainder, which F and B do not explain
                rest = one - weight
                error = code * unit - weight * f[x] - rest * b[x]
                own = f[x] + weight * error / (weight * weight + rest * rest + loose * rest)
                found = np.rint(min(max(own, F(0)), one) * peak_code)
                f[x] = code if totals[x] == most else found
            for x in range(count):
                taken[x] = np.int32(f[x])


@compiled
def _add_codes(codes: Array, y: int, x: int, columns: int, rows: int, totals: Array) -> None:
    """Sums of alpha over the pixels that samples of a row cover; beyond the end of the frame its
    last pixels repeat.

    Args:
        codes: alpha of the frame.
        y: the samples' row in their plane.
        x: the first sample's column there.
        columns: pixels across a sample.
        rows: pixels down a sample.
        totals: int32 (n,), changed.
    """
    last_row, width = codes.shape[0] - 1, codes.shape[1]
    # the last sample may be incomplete
    whole = min(totals.size, width // columns - x)
    fill(totals, 0)
    for i in range(y * rows, y * rows + rows):
        row = codes[min(i, last_row), x * columns :]
        # the two usual widths by themselves, so that several samples are added at once
        if columns == 1:
            for k in range(whole):
                totals[k] += row[k]
        elif columns == 2:
            for k in range(whole):
                totals[k] += np.int32(row[2 * k]) + np.int32(row[2 * k + 1])
        else:
            for k in range(whole * columns):
                totals[k // columns] += row[k]
        for k in range(whole * columns, totals.size * columns):
            totals[k // columns] += row[min(k, row.size - 1)]
