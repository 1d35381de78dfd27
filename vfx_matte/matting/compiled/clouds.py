"""Learns the colours of both sides around every block, as `local_colors.learn_colors` says."""

from __future__ import annotations

from typing import Any

import numpy as np

from vfx_matte.backend import Array, box_mean
from vfx_matte.compiling.jit import compiled
from vfx_matte.matting.compiled.windows import fill, fill_plane

F = np.float32

MOMENTS = 10
"""Of every side: its weight, weighted colours (3) and their weighted products (6)."""

MODEL = 10
"""Numbers of the model of a block, see `LocalColors.model`."""

AT_ONCE = 64
"""Blocks that are modelled together."""

LUMA = (0.2126, 0.7152, 0.0722)
"""As `local_colors.luma` weighs."""


def learn(
    image: Array,
    means: Array | None,
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
) -> tuple[Array, Array, Array, Array]:
    """Model, alpha, sureness and mean colours of all blocks, as LocalColors holds them.

    Args:
        image: R'G'B', uint8 (H, W, 3).
        means: its means over blocks, uint8 (h, w, 3); None has them found on the way, where every
            pixel of a block is looked at: `step` 1.
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
    halves = np.array([size // 2 for size, _ in windows])
    shares = np.array([share / size**2 for size, share in windows])
    is_found = means is None
    if means is None:
        means = np.empty((*side.shape, 3), np.uint8)
    model, alpha, sure, likely = _learn(
        np.ascontiguousarray(image), means, is_found, side, block_px, step, band_px / 2, halves,
        shares, F(noise), F(1 / sure_from), passes, F(far * band_px),
    )  # fmt: skip
    model[..., 6] = box_mean(likely, around)
    return model, alpha, sure, means


@compiled
def _learn(
    image: Array, means: Array, is_found: bool, side: Array, block_px: int, step: int, half: float,
    halves: Array, shares: Array, noise: np.float32, per_sure: np.float32, passes: int,
    far: np.float32,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """What `learn` gives, without the mean of alpha around, and the alpha that it is taken of.

    `is_found` says whether `means` are found here, `half` is half the band's width, `halves` how
    far the windows reach in blocks, int64 (3,), `shares` the weight of one block in each, float64
    (3,), and `far` the distance in px from which on pixels count as known.
    """
    down, across = side.shape
    base = np.empty((down, across, MOMENTS - 1), np.float32)
    _spread(image, means, is_found, block_px, step, base)
    model = np.empty((down, across, MODEL), np.float32)
    alpha, sure = np.empty((down, across), np.float32), np.empty((down, across), np.float32)
    weights = np.empty((down, across, 2), np.float32)
    moments = np.empty((down, across * 2 * MOMENTS), np.float32)
    for number in range(passes):
        _weigh(side, alpha, sure, half, number == 0, weights)
        _weighted(base, weights, moments)
        is_last = number == passes - 1
        _models(moments, base, halves, shares, noise, per_sure, is_last, model, alpha, sure)
    # far from the edge the mask decides, whatever colours say
    likely = np.empty((down, across), np.float32)
    for i in range(down):
        for j in range(across):
            known = F(1) if side[i, j] > 0 else F(0)
            likely[i, j] = alpha[i, j] if abs(side[i, j]) < far else known
    return model, alpha, sure, likely


@compiled
def _spread(
    image: Array, means: Array, is_found: bool, block_px: int, step: int, base: Array
) -> None:
    """Of every block its mean colour in 0..1, and the products of colours with the covariance of
    the pixels in it. With `is_found` `means` are changed: the mean codes, rounded as `shrunk` does.
    """
    share = F(1 / (block_px * block_px))
    height, width = image.shape[0], image.shape[1]
    # beyond the region's end its last sample repeats
    last_row, last_column = (height - 1) // step, (width - 1) // step
    per = block_px // step
    one = 1.0 / (per * per * 255.0)
    two = one / 255.0
    across = base.shape[1]
    # sums of the samples of every column in a row of blocks: three colours, their six products
    sums = np.empty((9, across * per), np.int32)
    colors = np.empty((3, across * per), np.int32)
    for i in range(base.shape[0]):
        fill_plane(sums, 0)
        for y in range(i * per, i * per + per):
            samples = image[min(y, last_row) * step]
            for x in range(last_column + 1):
                colors[0, x] = samples[x * step, 0]
                colors[1, x] = samples[x * step, 1]
                colors[2, x] = samples[x * step, 2]
            for k in range(3):
                fill(colors[k, last_column + 1 :], colors[k, last_column])
            for x in range(across * per):
                r, g, b = colors[0, x], colors[1, x], colors[2, x]
                sums[0, x] += r
                sums[1, x] += g
                sums[2, x] += b
                sums[3, x] += r * r
                sums[4, x] += r * g
                sums[5, x] += r * b
                sums[6, x] += g * g
                sums[7, x] += g * b
                sums[8, x] += b * b
        for j in range(across):
            red = green = blue = rr = rg = rb = gg = gb = bb = np.int32(0)
            for x in range(j * per, j * per + per):
                red += sums[0, x]
                green += sums[1, x]
                blue += sums[2, x]
                rr += sums[3, x]
                rg += sums[4, x]
                rb += sums[5, x]
                gg += sums[6, x]
                gb += sums[7, x]
                bb += sums[8, x]
            if is_found:
                means[i, j, 0] = np.uint8(np.rint(F(red) * share))
                means[i, j, 1] = np.uint8(np.rint(F(green) * share))
                means[i, j, 2] = np.uint8(np.rint(F(blue) * share))
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
    """The moments of both sides that every block adds to a window, float32 (h, w · 20)."""
    for i in range(base.shape[0]):
        row = moments[i]
        for j in range(base.shape[1]):
            color = base[i, j]
            for which in range(2):
                weight = weights[i, j, which]
                block = row[(2 * j + which) * MOMENTS :]
                block[0] = weight
                for m in range(MOMENTS - 1):
                    block[1 + m] = weight * color[m]


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
    down, across = base.shape[0], base.shape[1]
    numbers = 2 * MOMENTS
    columns = np.zeros((3, across * numbers), np.float64)
    upto = np.zeros((3, (across + 2 * halves.max() + 1) * numbers), np.float64)
    total = np.empty(across * numbers, np.float32)
    # some blocks at once, all their numbers at distances that the compiler knows: it sees that no
    # result is a number that is still to be read
    given, found = np.zeros(23 * AT_ONCE, np.float32), np.empty(12 * AT_ONCE, np.float32)
    for i in range(down):
        for k in range(3):
            half, sums = halves[k], columns[k]
            if i == 0:
                for y in range(-half, half + 1):
                    row = moments[min(max(y, 0), down - 1)]
                    for at in range(sums.size):
                        sums[at] += row[at]
            else:
                new, old = moments[min(i + half, down - 1)], moments[max(i - half - 1, 0)]
                for at in range(sums.size):
                    sums[at] += np.float64(new[at]) - np.float64(old[at])
        _along_the_row(columns, halves, shares, upto, total)
        for start in range(0, across, AT_ONCE):
            count = min(AT_ONCE, across - start)
            some = total[start * numbers : (start + count) * numbers]
            for c in range(count):
                for m in range(numbers):
                    given[m * AT_ONCE + c] = some[c * numbers + m]
                for m in range(3):
                    given[(numbers + m) * AT_ONCE + c] = base[i, start + c, m]
            _model_some(given, noise, per_sure, found)
            for c in range(count):
                alpha[i, start + c] = found[10 * AT_ONCE + c]
                sure[i, start + c] = found[11 * AT_ONCE + c]
            if is_last:
                for c in range(count):
                    for m in range(MODEL):
                        model[i, start + c, m] = found[m * AT_ONCE + c]


@compiled
def _along_the_row(columns: Array, halves: Array, shares: Array, upto: Array, total: Array) -> None:
    """The weighted sum of all windows around every block of a row.

    Args:
        columns: of each window its sums of columns, float64 (3, w · 20).
        halves: how far each window reaches.
        shares: its weight.
        upto: room for sums from a row's beginning, float64 (3, more than w + 2 · halves, times 20).
        total: float32 (w · 20), changed.
    """
    across = total.size // (2 * MOMENTS)
    for k in range(3):
        sums, half, column = upto[k], halves[k], columns[k]
        fill(sums[: 2 * MOMENTS], 0.0)
        for x in range(half):
            for m in range(2 * MOMENTS):
                sums[(x + 1) * 2 * MOMENTS + m] = sums[x * 2 * MOMENTS + m] + column[m]
        before, after = sums[half * 2 * MOMENTS :], sums[(half + 1) * 2 * MOMENTS :]
        for at in range(across):
            for m in range(2 * MOMENTS):
                after[at * 2 * MOMENTS + m] = (
                    before[at * 2 * MOMENTS + m] + column[at * 2 * MOMENTS + m]
                )
        outermost = column[(across - 1) * 2 * MOMENTS :]
        for x in range(half + across, 2 * half + across):
            for m in range(2 * MOMENTS):
                sums[(x + 1) * 2 * MOMENTS + m] = sums[x * 2 * MOMENTS + m] + outermost[m]
    small, middle, large = upto[0], upto[1], upto[2]
    small_end = small[(2 * halves[0] + 1) * 2 * MOMENTS :]
    middle_end = middle[(2 * halves[1] + 1) * 2 * MOMENTS :]
    large_end = large[(2 * halves[2] + 1) * 2 * MOMENTS :]
    one, two, three = shares[0], shares[1], shares[2]
    for at in range(total.size):
        total[at] = F(
            (small_end[at] - small[at]) * one
            + (middle_end[at] - middle[at]) * two
            + (large_end[at] - large[at]) * three
        )


@compiled
def _cloud(
    given: Array, first: int, j: int, noise: np.float32
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Mean (3) and covariance (6, as `local_colors.PAIRS`) of one side's colours around block j,
    whose moments begin with row `first` of `given`; see `_model_some`.
    """
    share = F(1) / (given[first * AT_ONCE + j] + F(1e-9))
    r = given[(first + 1) * AT_ONCE + j] * share
    g = given[(first + 2) * AT_ONCE + j] * share
    b = given[(first + 3) * AT_ONCE + j] * share
    # float32 may leave variances a little below 0
    rr = max(given[(first + 4) * AT_ONCE + j] * share - r * r, F(0)) + noise
    rg = given[(first + 5) * AT_ONCE + j] * share - r * g
    rb = given[(first + 6) * AT_ONCE + j] * share - r * b
    gg = max(given[(first + 7) * AT_ONCE + j] * share - g * g, F(0)) + noise
    gb = given[(first + 8) * AT_ONCE + j] * share - g * b
    bb = max(given[(first + 9) * AT_ONCE + j] * share - b * b, F(0)) + noise
    return (r, g, b), (rr, rg, rb, gg, gb, bb)


@compiled
def _model_some(given: Array, noise: np.float32, per_sure: np.float32, found: Array) -> None:
    """The models of AT_ONCE blocks, and what they say of these.

    Args:
        given: the moments of both sides around every block and its mean colour, float32 (23 · n,).
        noise: variance that every colour has at least.
        per_sure: 1 / the squared distance of the means from which on a model is sure.
        found: float32 (12 · n,), changed: the model, but for the mean of alpha around, alpha and
            how sure that is.
    """
    half, two = F(0.5), F(2)
    for j in range(AT_ONCE):
        (fr, fg, fb), (faa, fab, fac, fbb, fbc, fcc) = _cloud(given, 0, j, noise)
        (br, bg, bb), (baa, bab, bac, bbb, bbc, bcc) = _cloud(given, MOMENTS, j, noise)
        # Fisher's direction by cofactors, then scaled so that alpha is 1 at F and 0 at B
        x, y, z = fr - br, fg - bg, fb - bb
        a, b, c = (faa + baa) * half, (fab + bab) * half, (fac + bac) * half
        d, e, f = (fbb + bbb) * half, (fbc + bbc) * half, (fcc + bcc) * half
        m11, m12, m13 = d * f - e * e, c * e - b * f, b * e - c * d
        m22, m23, m33 = a * f - c * c, b * c - a * e, a * d - b * b
        factor = F(1) / (a * m11 + b * m12 + c * m13)
        u = (m11 * x + m12 * y + m13 * z) * factor
        v = (m12 * x + m22 * y + m23 * z) * factor
        w = (m13 * x + m23 * y + m33 * z) * factor
        squared = u * x + v * y + w * z + F(1e-6)
        scale = F(1) / squared
        u *= scale
        v *= scale
        w *= scale
        constant = -(u * br + v * bg + w * bb)
        read = (
            u * given[20 * AT_ONCE + j]
            + v * given[21 * AT_ONCE + j]
            + w * given[22 * AT_ONCE + j]
            + constant
        )
        found[10 * AT_ONCE + j] = min(max(read, F(0)), F(1))
        certain = min(squared * per_sure, F(1))
        found[11 * AT_ONCE + j] = certain
        found[j] = u
        found[1 * AT_ONCE + j] = v
        found[2 * AT_ONCE + j] = w
        found[3 * AT_ONCE + j] = constant
        found[4 * AT_ONCE + j] = (
            faa * u * u
            + fbb * v * v
            + fcc * w * w
            + two * (fab * u * v + fac * u * w + fbc * v * w)
        )
        found[5 * AT_ONCE + j] = (
            baa * u * u
            + bbb * v * v
            + bcc * w * w
            + two * (bab * u * v + bac * u * w + bbc * v * w)
        )
        found[6 * AT_ONCE + j] = F(0)
        found[7 * AT_ONCE + j] = certain
        red, green, blue = F(LUMA[0]), F(LUMA[1]), F(LUMA[2])
        found[8 * AT_ONCE + j] = red * x + green * y + blue * z
        found[9 * AT_ONCE + j] = half * (red * (fr + br) + green * (fg + bg) + blue * (fb + bb))
