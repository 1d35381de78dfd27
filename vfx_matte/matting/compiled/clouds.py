"""Learns the colours of both sides around every block, as `local_colors.learn_colors` says."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array, box_mean
from vfx_matte.matting.compiled.jit import compiled

F = np.float32

MOMENTS = 10
"""Of every side: its weight, weighted colours (3) and their weighted products (6)."""

LUMA = (0.2126, 0.7152, 0.0722)
"""As `local_colors.luma` weighs."""


def learn(
    image: Array,
    means: Array,
    side: Array,
    *,
    block_px: int,
    step: int,
    band_px: float,
    windows: tuple[tuple[int, float], ...],
    noise: float,
    sure_from: float,
    passes: int,
    around: int,
    far: float,
) -> tuple[Array, Array, Array]:
    """Model, alpha and sureness of all blocks, as LocalColors holds them.

    Args:
        image: R'G'B', uint8 (H, W, 3).
        means: its means over blocks, uint8 (h, w, 3).
        side: signed distance to the edge of every block, float32 (h, w).
        block_px: side of a block.
        step: every which pixel the spread of colours in a block is taken of.
        band_px: width of the band.
        windows: sides in blocks and weights, three of them.
        noise: variance that every colour has at least.
        sure_from: squared distance of the means from which on the model is sure.
        passes: how often the model is found.
        around: side in blocks of the window in which the mean of alpha is taken.
        far: the bands beyond which pixels count as known in that mean.
    """
    shape = means.shape[:2]
    base = np.empty((*shape, MOMENTS - 1), np.float32)
    _spread(np.ascontiguousarray(image), means, block_px, step, base)
    halves = np.array([size // 2 for size, _ in windows])
    shares = np.array([share / size**2 for size, share in windows])
    model = np.empty((*shape, 10), np.float32)
    alpha, sure = np.empty(shape, np.float32), np.empty(shape, np.float32)
    weights = np.empty((*shape, 2), np.float32)
    moments = np.empty((*shape, 2 * MOMENTS), np.float32)
    half = band_px / 2
    for number in range(passes):
        _weigh(side, alpha, sure, half, number == 0, weights)
        _weighted(base, weights, moments)
        is_last = number == passes - 1
        _models(
            moments, base, halves, shares, F(noise), F(1 / sure_from), is_last, model, alpha, sure
        )
    # far from the edge the mask decides, whatever colours say
    likely = np.where(np.abs(side) < far * band_px, alpha, side > 0).astype(np.float32)
    model[..., 6] = box_mean(likely, around)
    return model, alpha, sure


@compiled
def _spread(image: Array, means: Array, block_px: int, step: int, base: Array) -> None:
    """Of every block its mean colour in 0..1, and the products of colours with the covariance of
    the pixels in it.
    """
    height, width = image.shape[0], image.shape[1]
    # beyond the region's end its last sample repeats
    last_row, last_column = (height - 1) // step, (width - 1) // step
    per = block_px // step
    one = 1.0 / (per * per * 255.0)
    two = one / 255.0
    for i in range(base.shape[0]):
        for j in range(base.shape[1]):
            red = green = blue = np.int32(0)
            rr = rg = rb = gg = gb = bb = np.int32(0)
            for y in range(i * per, i * per + per):
                row = min(y, last_row) * step
                for x in range(j * per, j * per + per):
                    column = min(x, last_column) * step
                    r = np.int32(image[row, column, 0])
                    g = np.int32(image[row, column, 1])
                    b = np.int32(image[row, column, 2])
                    red += r
                    green += g
                    blue += b
                    rr += r * r
                    rg += r * g
                    rb += r * b
                    gg += g * g
                    gb += g * b
                    bb += b * b
            r_mean, g_mean, b_mean = red * one, green * one, blue * one
            unit = F(1 / 255)
            r_color = means[i, j, 0] * unit
            g_color = means[i, j, 1] * unit
            b_color = means[i, j, 2] * unit
            base[i, j, 0] = r_color
            base[i, j, 1] = g_color
            base[i, j, 2] = b_color
            base[i, j, 3] = r_color * r_color + F(rr * two - r_mean * r_mean)
            base[i, j, 4] = r_color * g_color + F(rg * two - r_mean * g_mean)
            base[i, j, 5] = r_color * b_color + F(rb * two - r_mean * b_mean)
            base[i, j, 6] = g_color * g_color + F(gg * two - g_mean * g_mean)
            base[i, j, 7] = g_color * b_color + F(gb * two - g_mean * b_mean)
            base[i, j, 8] = b_color * b_color + F(bb * two - b_mean * b_mean)


@compiled
def _weigh(
    side: Array, alpha: Array, sure: Array, half: float, is_first: bool, weights: Array
) -> None:
    """How much every block counts for the subject and for the background."""
    quarter = half / 2
    for i in range(side.shape[0]):
        for j in range(side.shape[1]):
            away = side[i, j]
            # what is known counts fully; a trace of the rest keeps windows without it solvable
            front = F(1) if away > half else F(0)
            back = F(1) if away < -half else F(0)
            if not is_first:
                # certain pixels of the band count, by how certain they are; where the model is
                # unsure only what the mask knows does
                certain, share = F(2) * alpha[i, j] - F(1), sure[i, j]
                squared = certain * certain * share
                front *= F(1) - share
                back *= F(1) - share
                if certain > 0 and away > quarter:
                    front += squared
                if certain < 0 and away < -quarter:
                    back += squared
            weights[i, j, 0] = front + (F(1e-4) if away > 0 else F(0))
            weights[i, j, 1] = back + (F(1e-4) if away < 0 else F(0))


@compiled
def _weighted(base: Array, weights: Array, moments: Array) -> None:
    """The moments of both sides that every block adds to a window."""
    for i in range(base.shape[0]):
        for j in range(base.shape[1]):
            for which in range(2):
                weight, at = weights[i, j, which], which * MOMENTS
                moments[i, j, at] = weight
                for m in range(MOMENTS - 1):
                    moments[i, j, at + 1 + m] = weight * base[i, j, m]


@compiled
def _models(
    moments: Array,
    base: Array,
    halves: Array,
    shares: Array,
    noise: np.float32,
    per_sure: np.float32,
    is_last: bool,
    model: Array,
    alpha: Array,
    sure: Array,
) -> None:
    """The model of every block from the moments in all windows around it.

    Sums run down the columns, then along the rows, in float64: what is added to them is taken off
    again. Beyond the border the outermost blocks repeat.
    """
    down, across = moments.shape[0], moments.shape[1]
    columns = np.zeros((3, across, 2 * MOMENTS), np.float64)
    running = np.zeros((3, 2 * MOMENTS), np.float64)
    total = np.empty(2 * MOMENTS, np.float32)
    cloud = np.empty((2, 6), np.float32)
    both = np.empty(6, np.float32)
    for k in range(3):
        for y in range(-halves[k], halves[k] + 1):
            row = min(max(y, 0), down - 1)
            for j in range(across):
                for m in range(2 * MOMENTS):
                    columns[k, j, m] += moments[row, j, m]
    for i in range(down):
        if i > 0:
            for k in range(3):
                new, old = min(i + halves[k], down - 1), max(i - halves[k] - 1, 0)
                for j in range(across):
                    for m in range(2 * MOMENTS):
                        columns[k, j, m] += np.float64(moments[new, j, m]) - np.float64(
                            moments[old, j, m]
                        )
        for k in range(3):
            for m in range(2 * MOMENTS):
                running[k, m] = 0
            for x in range(-halves[k], halves[k] + 1):
                column = min(max(x, 0), across - 1)
                for m in range(2 * MOMENTS):
                    running[k, m] += columns[k, column, m]
        for j in range(across):
            if j > 0:
                for k in range(3):
                    new, old = min(j + halves[k], across - 1), max(j - halves[k] - 1, 0)
                    for m in range(2 * MOMENTS):
                        running[k, m] += columns[k, new, m] - columns[k, old, m]
            for m in range(2 * MOMENTS):
                total[m] = F(
                    running[0, m] * shares[0]
                    + running[1, m] * shares[1]
                    + running[2, m] * shares[2]
                )
            # mean colours and covariances of both clouds
            for which in range(2):
                at = which * MOMENTS
                share = F(1) / (total[at] + F(1e-9))
                for m in range(1, MOMENTS):
                    total[at + m] *= share
                r, g, b = total[at + 1], total[at + 2], total[at + 3]
                # float32 may leave variances a little below 0
                cloud[which, 0] = max(total[at + 4] - r * r, F(0)) + noise
                cloud[which, 1] = total[at + 5] - r * g
                cloud[which, 2] = total[at + 6] - r * b
                cloud[which, 3] = max(total[at + 7] - g * g, F(0)) + noise
                cloud[which, 4] = total[at + 8] - g * b
                cloud[which, 5] = max(total[at + 9] - b * b, F(0)) + noise
            # Fisher's direction by cofactors, then scaled so that alpha is 1 at F and 0 at B
            x = total[1] - total[MOMENTS + 1]
            y = total[2] - total[MOMENTS + 2]
            z = total[3] - total[MOMENTS + 3]
            for m in range(6):
                both[m] = (cloud[0, m] + cloud[1, m]) * F(0.5)
            a, b, c, d, e, f = both[0], both[1], both[2], both[3], both[4], both[5]
            aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
            dd, ee, ff = a * f - c * c, b * c - a * e, a * d - b * b
            factor = F(1) / (a * aa + b * bb + c * cc)
            u = (aa * x + bb * y + cc * z) * factor
            v = (bb * x + dd * y + ee * z) * factor
            w = (cc * x + ee * y + ff * z) * factor
            squared = u * x + v * y + w * z + F(1e-6)
            scale = F(1) / squared
            u *= scale
            v *= scale
            w *= scale
            constant = -(u * total[MOMENTS + 1] + v * total[MOMENTS + 2] + w * total[MOMENTS + 3])
            read = u * base[i, j, 0] + v * base[i, j, 1] + w * base[i, j, 2] + constant
            alpha[i, j] = min(max(read, F(0)), F(1))
            sure[i, j] = min(squared * per_sure, F(1))
            if is_last:
                model[i, j, 0] = u
                model[i, j, 1] = v
                model[i, j, 2] = w
                model[i, j, 3] = constant
                for which in range(2):
                    model[i, j, 4 + which] = (
                        cloud[which, 0] * u * u
                        + cloud[which, 3] * v * v
                        + cloud[which, 5] * w * w
                        + F(2)
                        * (
                            cloud[which, 1] * u * v
                            + cloud[which, 2] * u * w
                            + cloud[which, 4] * v * w
                        )
                    )
                model[i, j, 7] = sure[i, j]
                red, green, blue = F(LUMA[0]), F(LUMA[1]), F(LUMA[2])
                model[i, j, 8] = red * x + green * y + blue * z
                model[i, j, 9] = F(0.5) * (
                    red * (total[1] + total[MOMENTS + 1])
                    + green * (total[2] + total[MOMENTS + 2])
                    + blue * (total[3] + total[MOMENTS + 3])
                )
