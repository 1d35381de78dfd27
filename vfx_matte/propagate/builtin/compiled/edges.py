"""Brings masks to the source's size along its edges, as `upsample` says."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.functions import exponential
from vfx_matte.compiling.jit import compiled
from vfx_matte.propagate.builtin.compiled.guided import mirrored

F = np.float32
NINTH = 1 / 9


@compiled
def average_alike(mask: Array, rgb: Array, voters: Array, scale: np.float32, out: Array) -> None:
    """Average uncertain pixels with neighbours of the same colour.

    Args:
        mask: float32 (h, w).
        rgb: uint8 (h, w, 3).
        voters: int (N, 2), the neighbours that a pixel asks, (x, y).
        scale: what a squared distance of colours is multiplied by to be an exponent.
        out: float32 (h, w), a copy of `mask`, of which uncertain pixels are replaced.
    """
    height, width = mask.shape
    for i in range(height):
        for j in range(width):
            if not 0 < mask[i, j] < 1:
                continue
            r, g, b = F(rgb[i, j, 0]), F(rgb[i, j, 1]), F(rgb[i, j, 2])
            votes, total = mask[i, j], F(1)
            for number in range(voters.shape[0]):
                # beyond the border the edge's pixels repeat
                x = min(max(j + voters[number, 0], 0), width - 1)
                y = min(max(i + voters[number, 1], 0), height - 1)
                apart_r, apart_g = F(rgb[y, x, 0]) - r, F(rgb[y, x, 1]) - g
                apart_b = F(rgb[y, x, 2]) - b
                apart = apart_r * apart_r + apart_g * apart_g + apart_b * apart_b
                weight = exponential(apart * scale)
                votes += mask[y, x] * weight
                total += weight
            out[i, j] = votes / total


@compiled
def _fit_line(rgb: Array, values: Array, i: int, j: int, epsilon: float, line: Array) -> None:
    """The linear function of (R, G, B) - 128 that fits a mask best around a node, regularised:
    three slopes and an offset.
    """
    height, width = values.shape
    r = g = b = p = rr = gg = bb = rg = rb = gb = rp = gp = bp = 0.0
    for down in range(-1, 2):
        y = mirrored(i + down, height)
        for right in range(-1, 2):
            x = mirrored(j + right, width)
            own = np.float64(values[y, x])
            red, green, blue = rgb[y, x, 0] - 128.0, rgb[y, x, 1] - 128.0, rgb[y, x, 2] - 128.0
            r, g, b, p = r + red, g + green, b + blue, p + own
            rr, gg, bb = rr + red * red, gg + green * green, bb + blue * blue
            rg, rb, gb = rg + red * green, rb + red * blue, gb + green * blue
            rp, gp, bp = rp + red * own, gp + green * own, bp + blue * own
    r, g, b, p = r * NINTH, g * NINTH, b * NINTH, p * NINTH
    # the covariances of the window, regularised, and the inverse of their matrix by cofactors
    rr, gg, bb = (
        rr * NINTH - r * r + epsilon,
        gg * NINTH - g * g + epsilon,
        bb * NINTH - b * b + epsilon,
    )
    rg, rb, gb = rg * NINTH - r * g, rb * NINTH - r * b, gb * NINTH - g * b
    rp, gp, bp = rp * NINTH - r * p, gp * NINTH - g * p, bp * NINTH - b * p
    c0, c1, c2 = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    d1, d2, e2 = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    share = 1 / (rr * c0 + rg * c1 + rb * c2)
    line[0] = (c0 * rp + c1 * gp + c2 * bp) * share
    line[1] = (c1 * rp + d1 * gp + d2 * bp) * share
    line[2] = (c2 * rp + d2 * gp + e2 * bp) * share
    line[3] = p - (line[0] * r + line[1] * g + line[2] * b)


@compiled
def fit_lines(rgb: Array, values: Array, near: Array, epsilon: float) -> Array:
    """`upsample._lines`, which finds them only where the mask is not constant.

    Args:
        rgb: uint8 (rows, columns, 3).
        values: float32 (rows, columns).
        near: bool (rows, columns), where it is not.
        epsilon: the regularisation, in squared code values.

    Returns:
        float32 (rows + 2, columns + 2, 4): slopes for R, G and B in code values, and the offset.
    """
    height, width = values.shape
    lines = np.zeros((height + 2, width + 2, 4), np.float32)
    found = np.zeros((height, width, 4), np.float64)
    is_known = np.zeros((height, width), np.uint8)
    for i in range(height):
        for j in range(width):
            lines[i + 1, j + 1, 3] = values[i, j]
            if not near[i, j]:
                continue
            # the mean of the functions of the nodes around
            s0 = s1 = s2 = s3 = 0.0
            for down in range(-1, 2):
                y = mirrored(i + down, height)
                for right in range(-1, 2):
                    x = mirrored(j + right, width)
                    if not is_known[y, x]:
                        _fit_line(rgb, values, y, x, epsilon, found[y, x])
                        is_known[y, x] = 1
                    line = found[y, x]
                    s0, s1, s2, s3 = s0 + line[0], s1 + line[1], s2 + line[2], s3 + line[3]
            offset = s3 - 128 * (s0 + s1 + s2)
            lines[i + 1, j + 1, 0], lines[i + 1, j + 1, 1] = s0 * NINTH, s1 * NINTH
            lines[i + 1, j + 1, 2], lines[i + 1, j + 1, 3] = s2 * NINTH, offset * NINTH
    # beyond the border the edge's functions repeat
    lines[0], lines[height + 1] = lines[1], lines[height]
    lines[:, 0], lines[:, width + 1] = lines[:, 1], lines[:, width]
    return lines


@compiled
def paint(
    target: Array, image: Array, lines: Array, weights: Array, blocks: Array, corners: Array
) -> None:
    """Evaluate linear functions of colour, bilinear between the nodes, in some blocks in turn.

    Args:
        target: float32 (H, W), painted.
        image: uint8 (H, W, 3).
        lines: of `fit_lines`.
        weights: float32 (4, step²), how much a block's corners count at each of its pixels.
        blocks: int (N, 2), the row and column in `lines` of each one's upper left corner.
        corners: int (N, 2), its first pixel's row and column.
    """
    step = int(np.sqrt(weights.shape[1]))
    for number in range(blocks.shape[0]):
        i, j = blocks[number, 0], blocks[number, 1]
        for down in range(step):
            y = corners[number, 0] + down
            for right in range(step):
                x, at = corners[number, 1] + right, down * step + right
                value = F(0)
                for k in range(4):
                    one = weights[0, at] * lines[i, j, k] + weights[1, at] * lines[i, j + 1, k]
                    two = weights[2, at] * lines[i + 1, j, k]
                    both = one + (two + weights[3, at] * lines[i + 1, j + 1, k])
                    value += both * F(image[y, x, k]) if k < 3 else both
                target[y, x] = min(max(value, F(0)), F(1))
