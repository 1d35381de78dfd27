"""Smooths along a picture's edges within a pixel, as `cues.GuidedFilter` says."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.jit import compiled

F = np.float32

GUIDE, MEANS, INVERSE = 0, 3, 6
"""Where planes begin in what `look_at` returns: the guide, its means, and the six different
numbers of the inverse covariances.
"""

PLANES = 12


@compiled
def mirrored(index: int, size: int) -> int:
    """The element that stands in for one just beyond an end, as OpenCV's BORDER_REFLECT_101 has it:
    1 for -1, and size - 2 for `size`; other indices stay.
    """
    if index < 0:
        index = 1
    elif index >= size:
        index = size - 2
    return min(max(index, 0), size - 1)


@compiled
def _mean_across(sums: Array, means: Array, width: int) -> None:
    """The mean over three columns, mirrored at the ends.

    Args:
        sums: float32 (width + 2,), sums over three rows from the second element on.
        means: float32 (width,), filled.
        width: at least 1.
    """
    sums[0] = sums[1 + mirrored(-1, width)]
    sums[width + 1] = sums[1 + mirrored(width, width)]
    left, right = sums[: sums.size - 2], sums[2:]
    for x in range(means.size):
        means[x] = (left[x] + sums[x + 1] + right[x]) / F(9)


@compiled
def look_at(rgb: Array, epsilon: np.float32) -> Array:
    """What a guide is known by: float32 (PLANES, h, w).

    Args:
        rgb: uint8 (h, w, 3).
        epsilon: the regularisation, in squared code values.
    """
    height, width = rgb.shape[0], rgb.shape[1]
    planes = np.empty((PLANES, height, width), np.float32)
    for y in range(height):
        for x in range(width):
            for k in range(3):
                planes[k, y, x] = F(rgb[y, x, k]) - F(128)
    sums, means = np.empty(width + 2, np.float32), np.empty((6, width), np.float32)
    inside = sums[1 : width + 1]
    for y in range(height):
        above, below = mirrored(y - 1, height), mirrored(y + 1, height)
        # 1. means of the three channels and of their six products
        number = 0
        for k in range(3):
            a, b, c = planes[k, above], planes[k, y], planes[k, below]
            for x in range(width):
                inside[x] = a[x] + b[x] + c[x]
            _mean_across(sums, planes[MEANS + k, y], width)
            for other in range(k, 3):
                d, e, f = planes[other, above], planes[other, y], planes[other, below]
                for x in range(width):
                    inside[x] = a[x] * d[x] + b[x] * e[x] + c[x] * f[x]
                _mean_across(sums, means[number], width)
                number += 1
        # 2. the covariances, regularised, and the inverse of their matrix by cofactors
        number = 0
        for k in range(3):
            a = planes[MEANS + k, y]
            for other in range(k, 3):
                products, b = means[number], planes[MEANS + other, y]
                more = epsilon if other == k else F(0)
                for x in range(width):
                    products[x] = products[x] - a[x] * b[x] + more
                number += 1
        rr, rg, rb, gg, gb, bb = means[0], means[1], means[2], means[3], means[4], means[5]
        _minor(gg, bb, gb, gb, planes[INVERSE, y])
        _minor(rb, gb, rg, bb, planes[INVERSE + 1, y])
        _minor(rg, gb, rb, gg, planes[INVERSE + 2, y])
        _minor(rr, bb, rb, rb, planes[INVERSE + 3, y])
        _minor(rg, rb, rr, gb, planes[INVERSE + 4, y])
        _minor(rr, gg, rg, rg, planes[INVERSE + 5, y])
        c0, c1, c2 = planes[INVERSE, y], planes[INVERSE + 1, y], planes[INVERSE + 2, y]
        for x in range(width):
            inside[x] = F(1) / (rr[x] * c0[x] + rg[x] * c1[x] + rb[x] * c2[x])
        for number in range(6):
            minor = planes[INVERSE + number, y]
            for x in range(width):
                minor[x] *= inside[x]
    return planes


@compiled
def _minor(a: Array, b: Array, c: Array, d: Array, out: Array) -> None:
    """The difference a · b - c · d: float32 (w,) each."""
    for x in range(out.size):
        out[x] = a[x] * b[x] - c[x] * d[x]


@compiled
def smooth(planes: Array, picture: Array, top: int, left: int) -> Array:
    """Filter a window of the guide's picture which begins at (top, left): float32 (h, w).

    Args:
        planes: of `look_at`.
        picture: float32 (h, w), of the window.
        top: see above.
        left: see above.
    """
    height, width = picture.shape
    right = left + width
    out = np.empty((height, width), np.float32)
    sums, means = np.empty(width + 2, np.float32), np.empty((4, width), np.float32)
    inside = sums[1 : width + 1]
    # the functions of three rows, of which a row's are the mean
    lines = np.empty((3, 4, width), np.float32)
    for row in range(-1, height + 1):
        # 1. the functions of the row below the one that is filtered
        y = row + 1
        if y < height:
            above, below = mirrored(y - 1, height), mirrored(y + 1, height)
            p, q, s = picture[above], picture[y], picture[below]
            for x in range(width):
                inside[x] = p[x] + q[x] + s[x]
            _mean_across(sums, means[3], width)
            for k in range(3):
                a = planes[GUIDE + k, top + above, left:right]
                b = planes[GUIDE + k, top + y, left:right]
                c = planes[GUIDE + k, top + below, left:right]
                for x in range(width):
                    inside[x] = a[x] * p[x] + b[x] * q[x] + c[x] * s[x]
                _mean_across(sums, means[k], width)
            at = lines[y % 3]
            _fit_row(planes, means, top + y, left, at)
        # 2. their mean, applied to the row's own colours
        if row < 0 or row >= height:
            continue
        above, below = mirrored(row - 1, height) % 3, mirrored(row + 1, height) % 3
        filtered = out[row]
        for k in range(4):
            a, b, c = lines[above, k], lines[row % 3, k], lines[below, k]
            for x in range(width):
                inside[x] = a[x] + b[x] + c[x]
            _mean_across(sums, means[k], width)
        s0, s1, s2, offset = means[0], means[1], means[2], means[3]
        r = planes[GUIDE, top + row, left:right]
        g = planes[GUIDE + 1, top + row, left:right]
        b = planes[GUIDE + 2, top + row, left:right]
        for x in range(width):
            filtered[x] = s0[x] * r[x] + s1[x] * g[x] + s2[x] * b[x] + offset[x]
    return out


@compiled
def _fit_row(planes: Array, means: Array, y: int, left: int, lines: Array) -> None:
    """The linear functions of the colour that fit a picture in a row: float32 (4, w), three slopes
    and an offset. means: of its products with the channels, and its own.
    """
    rps, gps, bps, ps = means[0], means[1], means[2], means[3]
    s0, s1, s2, offset = lines[0], lines[1], lines[2], lines[3]
    right = left + ps.size
    r, g, b = (
        planes[MEANS, y, left:right],
        planes[MEANS + 1, y, left:right],
        planes[MEANS + 2, y, left:right],
    )
    i0, i1 = planes[INVERSE, y, left:right], planes[INVERSE + 1, y, left:right]
    i2, i3 = planes[INVERSE + 2, y, left:right], planes[INVERSE + 3, y, left:right]
    i4, i5 = planes[INVERSE + 4, y, left:right], planes[INVERSE + 5, y, left:right]
    # each loop writes one array: of more the compiler does not see that they are apart
    for k in range(3):
        products, channel = means[k], planes[MEANS + k, y, left:right]
        for x in range(ps.size):
            products[x] -= channel[x] * ps[x]
    for x in range(ps.size):
        s0[x] = i0[x] * rps[x] + i1[x] * gps[x] + i2[x] * bps[x]
    for x in range(ps.size):
        s1[x] = i1[x] * rps[x] + i3[x] * gps[x] + i4[x] * bps[x]
    for x in range(ps.size):
        s2[x] = i2[x] * rps[x] + i4[x] * gps[x] + i5[x] * bps[x]
    for x in range(ps.size):
        offset[x] = ps[x] - (s0[x] * r[x] + s1[x] * g[x] + s2[x] * b[x])
