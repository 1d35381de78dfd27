"""Finds alpha of the unknown pixels of a tile, as `guided` says."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.functions import exponential, logarithm
from vfx_matte.compiling.jit import compiled
from vfx_matte.matting.compiled.clouds import MODEL
from vfx_matte.matting.compiled.windows import (
    between_centres,
    count_pixels,
    fill,
    fill_plane,
    gathered,
    interpolated_row,
    laid,
    list_runs,
    window_means,
)

F = np.float32

BACKGROUND, UNKNOWN, SUBJECT = 0, 128, 255
"""Values of a trimap."""

ROUGH = 6
"""How many of them are looked at from farther away."""

ROWS = 18
"""Numbers of evidence, see `evidence.NAMES`."""

AT_ONCE = 256
"""Pixels that are judged together: their evidence lies in the processor's nearest cache."""


class Sizes(NamedTuple):
    """Windows in px and other constants of a tile, at its frame's scale."""

    small: int
    large: int
    gain: int
    unit: float
    """1 / half a band."""
    far: float
    """The bands beyond which pixels count as known."""
    variance: float
    faint: float
    per_decay: float
    common: float
    per_doubt: float
    per_near: float
    farthest: float
    per_hair: float


class Tile(NamedTuple):
    """What is known of a tile: arrays as in AlphaProblem, the picture uint8."""

    picture: Array
    trimap: Array
    own_edge: Array
    distance: Array
    trusted: Array
    hairy: Array
    top: int
    """Where the tile lies in the region."""
    left: int
    near: Array
    """The models of all blocks of the region, float32 (h, w, 10)."""
    near_px: int
    rough: Array
    rough_px: int


def alpha_of(tile: Tile, sizes: Sizes, judge: tuple[Array, Array, Array]) -> Array:
    """Alpha of the unknown pixels, float32 (h, w); what it says of others is not used.

    Pixels are looked at one after the other, without those that do not matter: the unknown ones,
    and those around them in which differences from the mask's own edge are measured.

    Args:
        tile: a tile with its margin.
        sizes: the constants.
        judge: of `predict`: slopes (units, 18), offsets (units,) and votes (units,).
    """
    # rows that follow each other: loops over parts of larger arrays take twice the time
    picture, trimap, own_edge, distance, trusted, hairy = map(
        np.ascontiguousarray,
        (tile.picture, tile.trimap, tile.own_edge, tile.distance, tile.trusted, tile.hairy),
    )
    unknown = (trimap == UNKNOWN).view(np.uint8)
    reached = cv2.dilate(unknown, np.ones((sizes.gain, sizes.gain), np.uint8))
    return _alpha_of(
        picture, trimap, own_edge, distance, trusted, hairy, unknown, reached, tile.top, tile.left,
        tile.near, tile.near_px, tile.rough, tile.rough_px, sizes, *judge,
    )  # fmt: skip


@compiled
def _alpha_of(
    picture: Array, trimap: Array, own_edge: Array, distance: Array, trusted: Array, hairy: Array,
    unknown: Array, reached: Array, top: int, left: int, near: Array, near_px: int, rough: Array,
    rough_px: int, sizes: Sizes, slopes: Array, offsets: Array, votes: Array,
) -> Array:  # fmt: skip
    """What `alpha_of` says, of the fields of Tile and of `predict`; `unknown` is 1 where the trimap
    is, `reached` there and where differences are measured.

    One function for the caller, as each that Python calls is loaded by itself when a program
    begins.
    """
    shape = trimap.shape
    runs, around = list_runs(unknown), list_runs(reached)
    count, all_count = count_pixels(runs), count_pixels(around)
    # numbers of the pixels around, and where the unknown ones are among them
    numbers = np.empty((13, all_count), np.float32)
    reading, says, front_variance, back_variance = numbers[0], numbers[1], numbers[2], numbers[3]
    front_like, back_like, away, edge = numbers[4], numbers[5], numbers[6], numbers[7]
    likely, near_front, near_back = numbers[8], numbers[9], numbers[10]
    alpha, power = numbers[11], numbers[12]
    inner, rows = np.empty(count, np.int64), np.empty((ROWS, count), np.float32)
    plane, squares = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    _read(
        picture, around, unknown, near, near_px, top, left, F(sizes.variance), F(sizes.faint),
        reading, says, front_variance, back_variance, inner, rows,
    )  # fmt: skip
    gathered(distance, around, away)
    _like(reading, front_variance, F(1), F(-1), front_like)
    _like(reading, back_variance, F(0), F(1), back_like)
    # evidence: the reading, that from farther away, and means around
    _look_far(picture, runs, rough, rough_px, top, left, F(sizes.variance), rows)
    gathered(own_edge, runs, rows[3])
    gathered(trusted, runs, rows[15])
    _pick(inner, reading, says, front_variance, back_variance, away, rows)
    _likeliest(reading, away, F(sizes.unit), F(2 * sizes.far), likely)
    laid(says, around, plane)
    window_means(plane, runs, sizes.small, rows[10])
    laid(likely, around, plane)
    window_means(plane, runs, sizes.small, rows[6])
    window_means(plane, runs, sizes.large, rows[7])
    for i in range(all_count):
        power[i] = likely[i] * likely[i]
    laid(power, around, squares)
    window_means(squares, runs, sizes.large, rows[17])
    _complete(F(sizes.unit), F(0.5 / sizes.far), rows)
    judged = np.empty(count, np.float32)
    _judge(rows, slopes, offsets, votes, judged)
    # what is certain by its own colour; known pixels are all of their own side
    front, back = likely, power
    _priors(away, F(sizes.per_decay), front, back)
    one, other = np.empty(count, np.float32), np.empty(count, np.float32)
    _certain(inner, front, back, front_like, back_like, one, other)
    certain = squares
    _see_known(trimap, SUBJECT, certain)
    laid(one, runs, certain)
    window_means(certain, around, sizes.large, near_front)
    _see_known(trimap, BACKGROUND, certain)
    laid(other, runs, certain)
    window_means(certain, around, sizes.large, near_back)
    for i in range(all_count):
        alpha[i] = min(max(reading[i], F(0)), F(1))
    for i in range(count):
        alpha[inner[i]] = judged[i]
    gathered(own_edge, around, edge)
    difference = reading
    _settle(
        front, back, near_front, near_back, front_like, back_like, front_variance, back_variance,
        F(sizes.common), F(sizes.per_doubt), alpha, edge, difference,
    )  # fmt: skip
    # how much of the difference from the mask's own edge is no noise
    fill_plane(squares, 0.0)
    for i in range(all_count):
        power[i] = difference[i] * difference[i]
    laid(power, around, squares)
    window_means(squares, runs, sizes.gain, one)
    gathered(hairy, runs, other)
    _blend(
        inner, away, front_variance, back_variance, difference, one, other, rows[3], rows[15],
        F(sizes.per_near), F(sizes.farthest), F(sizes.per_hair), judged,
    )  # fmt: skip
    # the last window took no notice of this plane
    laid(judged, runs, plane)
    return plane


@compiled
def _see_known(trimap: Array, value: int, known: Array) -> None:
    """1 where a trimap has a value, 0 elsewhere."""
    for y in range(trimap.shape[0]):
        for x in range(trimap.shape[1]):
            known[y, x] = F(1) if trimap[y, x] == value else F(0)


@compiled
def _read(
    picture: Array, around: Array, unknown: Array, near: Array, near_px: int, top: int, left: int,
    least: np.float32, faint: np.float32, reading: Array, says: Array, front_variance: Array,
    back_variance: Array, inner: Array, rows: Array,
) -> None:  # fmt: skip
    """Alpha of every pixel as the model says it, and as luma alone does; of unknown ones also what
    the model knows of its surroundings.
    """
    width = unknown.shape[1]
    at, share = np.empty(width, np.int64), np.empty(width, np.float32)
    between_centres(left, width, near_px, near.shape[1], at, share)
    line = np.empty((near.shape[1], MODEL), np.float32)
    model = np.empty(MODEL, np.float32)
    to_one, half = F(1 / 255), F(0.5)
    last = -1
    n, k = 0, 0
    for index in range(around.shape[0]):
        y, start, stop = around[index, 0], around[index, 1], around[index, 2]
        if y != last:
            interpolated_row(near, MODEL, (top + y + 0.5) / near_px - 0.5, line)
            last = y
        for x in range(start, stop):
            _interpolate(line, at[x], share[x], MODEL, model)
            r = picture[y, x, 0] * to_one
            g = picture[y, x, 1] * to_one
            b = picture[y, x, 2] * to_one
            reading[n] = r * model[0] + g * model[1] + b * model[2] + model[3]
            contrast = model[8]
            luma = F(0.2126) * r + F(0.7152) * g + F(0.0722) * b
            told = (luma - model[9]) * contrast / (contrast * contrast + faint)
            says[n] = min(max(told, F(-1)), F(1))
            front_variance[n] = model[4] + least
            back_variance[n] = model[5] + least
            if unknown[y, x]:
                inner[k] = n
                rows[8, k] = model[6] - half
                rows[16, k] = model[7]
                k += 1
            n += 1


@compiled
def _interpolate(line: Array, at: int, share: np.float32, count: int, model: Array) -> None:
    """The first `count` numbers of a model between a block's centre and the next one's."""
    other = min(at + 1, line.shape[0] - 1)
    for m in range(count):
        model[m] = line[at, m] + share * (line[other, m] - line[at, m])


@compiled
def _like(reading: Array, variance: Array, zero: np.float32, sign: np.float32, like: Array) -> None:
    """How likely readings are for a pixel of one side, whose own is `zero`; beyond it, away from
    the other side, they are as likely as there.
    """
    for i in range(reading.size):
        apart = max((reading[i] - zero) * sign, F(0))
        like[i] = exponential(apart * apart * F(-0.5) / variance[i]) / np.sqrt(
            variance[i] * F(2 * np.pi)
        )


@compiled
def _likeliest(
    reading: Array, away: Array, unit: np.float32, far: np.float32, likely: Array
) -> None:
    """Alpha by colour, and far from the edge by the mask."""
    for i in range(reading.size):
        clipped, side = min(max(reading[i], F(0)), F(1)), F(1) if away[i] > 0 else F(0)
        likely[i] = clipped if abs(away[i] * unit) < far else side


@compiled
def _look_far(
    picture: Array, runs: Array, rough: Array, rough_px: int, top: int, left: int,
    least: np.float32, rows: Array,
) -> None:  # fmt: skip
    """The rows of evidence that come from farther away."""
    width = picture.shape[1]
    at, share = np.empty(width, np.int64), np.empty(width, np.float32)
    between_centres(left, width, rough_px, rough.shape[1], at, share)
    line = np.empty((rough.shape[1], ROUGH), np.float32)
    model = np.empty(ROUGH, np.float32)
    to_one = F(1 / 255)
    last = -1
    n = 0
    for index in range(runs.shape[0]):
        y, start, stop = runs[index, 0], runs[index, 1], runs[index, 2]
        if y != last:
            interpolated_row(rough, ROUGH, (top + y + 0.5) / rough_px - 0.5, line)
            last = y
        for x in range(start, stop):
            _interpolate(line, at[x], share[x], ROUGH, model)
            read = (
                picture[y, x, 0] * to_one * model[0]
                + picture[y, x, 1] * to_one * model[1]
                + picture[y, x, 2] * to_one * model[2]
                + model[3]
            )
            rows[2, n] = min(max(read, F(-0.5)), F(1.5)) - F(0.5)
            rows[13, n] = model[4] + least
            rows[14, n] = model[5] + least
            n += 1


@compiled
def _pick(
    inner: Array, reading: Array, says: Array, front: Array, back: Array, away: Array, rows: Array
) -> None:
    """What was read of the unknown pixels, into rows of evidence that are not complete."""
    for i in range(inner.size):
        at = inner[i]
        rows[0, i] = reading[at]
        rows[4, i] = away[at]
        rows[9, i] = says[at]
        rows[11, i] = front[at]
        rows[12, i] = back[at]


@compiled
def _complete(unit: np.float32, per_far: np.float32, rows: Array) -> None:
    """Evidence of what was read, in place: see `evidence.evidence`."""
    half = F(0.5)
    for i in range(rows.shape[1]):
        alpha, away, mean = rows[0, i], rows[4, i] * unit, rows[7, i]
        rows[0, i] = min(max(alpha, F(-0.5)), F(1.5)) - half
        rows[1, i] = min(max(alpha, F(0)), F(1)) - half
        rows[3, i] -= half
        rows[4, i] = min(max(away, F(-2)), F(2))
        rows[5, i] = min(max(away * per_far, F(-1)), F(1))
        rows[6, i] -= half
        rows[7, i] = mean - half
        rows[10, i] = rows[9, i] - rows[10, i]
        rows[17, i] = np.sqrt(max(rows[17, i] - mean * mean, F(0)))
    # logarithms: variances span many powers of ten
    for j in range(11, 15):
        row = rows[j]
        for i in range(row.size):
            row[i] = logarithm(row[i])


@compiled
def _judge(rows: Array, slopes: Array, offsets: Array, votes: Array, judged: Array) -> None:
    """What `perceptron.predict` says.

    Each unit is asked twice, the second time with both sides exchanged: numbers that change their
    sign then, and the differences of those that change places, add the opposite of what they added
    before, all others the same. So both answers are a sum and a difference of the same two numbers.
    """
    count, units = rows.shape[1], slopes.shape[0]
    x = np.zeros((ROWS, AT_ONCE), np.float32)
    w = np.empty(ROWS, np.float32)
    sums = np.empty(AT_ONCE, np.float32)
    half = F(0.5)
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        for j in range(11):
            for c in range(size):
                x[j, c] = rows[j, start + c]
        for j in range(2):
            for c in range(size):
                one, other = rows[11 + 2 * j, start + c], rows[12 + 2 * j, start + c]
                x[11 + j, c] = (one - other) * half
                x[13 + j, c] = (one + other) * half
        for j in range(15, ROWS):
            for c in range(size):
                x[j, c] = rows[j, start + c]
        fill(sums, 0.0)
        for u in range(units):
            for j in range(ROWS):
                w[j] = slopes[u, j]
            for j in range(2):
                w[11 + j] = slopes[u, 11 + 2 * j] - slopes[u, 12 + 2 * j]
                w[13 + j] = slopes[u, 11 + 2 * j] + slopes[u, 12 + 2 * j]
            _ask(x, w, offsets[u], votes[u], sums)
        for c in range(size):
            alpha = sums[c] + (rows[1, start + c] + half)
            judged[start + c] = min(max(alpha, F(0)), F(1))


@compiled
def _ask(x: Array, w: Array, offset: np.float32, vote: np.float32, sums: Array) -> None:
    """Add what one unit says of AT_ONCE pixels."""
    w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
    w6, w7, w8, w9, w10, w11 = w[6], w[7], w[8], w[9], w[10], w[11]
    w12, w13, w14, w15, w16, w17 = w[12], w[13], w[14], w[15], w[16], w[17]
    # written out, so that the loop over pixels is the innermost one
    for c in range(AT_ONCE):
        odd = (
            w0 * x[0, c] + w1 * x[1, c] + w2 * x[2, c] + w3 * x[3, c] + w4 * x[4, c]
            + w5 * x[5, c] + w6 * x[6, c] + w7 * x[7, c] + w8 * x[8, c] + w9 * x[9, c]
            + w10 * x[10, c] + w11 * x[11, c] + w12 * x[12, c]
        )  # fmt: skip
        even = (
            w13 * x[13, c] + w14 * x[14, c] + w15 * x[15, c] + w16 * x[16, c] + w17 * x[17, c]
            + offset
        )  # fmt: skip
        sums[c] += vote * (max(even + odd, F(0)) - max(even - odd, F(0)))


@compiled
def _priors(away: Array, per_decay: np.float32, front: Array, back: Array) -> None:
    """How common subject and background are at a distance from the edge; the rest is mixed."""
    for i in range(away.size):
        far = min(abs(away[i]) * per_decay, F(1))
        own, other = F(0.35) + F(0.6) * far, F(0.36) - F(0.35) * far
        inside = away[i] > 0
        front[i] = own if inside else other
        back[i] = other if inside else own


@compiled
def _certain(
    inner: Array, front: Array, back: Array, front_like: Array, back_like: Array, one: Array,
    other: Array,
) -> None:  # fmt: skip
    """How likely unknown pixels are all subject, and all background, by their own colour."""
    for i in range(inner.size):
        at = inner[i]
        subject, background = front[at] * front_like[at], back[at] * back_like[at]
        share = F(1) / (subject + background + (F(1) - front[at] - back[at]))
        one[i] = subject * share
        other[i] = background * share


@compiled
def _settle(
    front: Array, back: Array, near_front: Array, near_back: Array, front_like: Array,
    back_like: Array, front_variance: Array, back_variance: Array, common: np.float32,
    per_doubt: np.float32, alpha: Array, edge: Array, difference: Array,
) -> None:  # fmt: skip
    """Make all but certain pixels 0 or 1 where colours leave little doubt; and how far that is from
    the mask's own edge.
    """
    for i in range(front.size):
        rest = (F(1) - front[i] - back[i] + common) * (F(1) - near_front[i] - near_back[i] + common)
        one = (front[i] + common) * (near_front[i] + common) * front_like[i]
        other = (back[i] + common) * (near_back[i] + common) * back_like[i]
        mixed = alpha[i]
        settled = (one + rest * mixed) / (one + other + rest)
        doubt = max(front_variance[i], back_variance[i]) * per_doubt
        difference[i] = mixed + (settled - mixed) / (F(1) + doubt * doubt) - edge[i]


@compiled
def _blend(
    inner: Array, away: Array, front_variance: Array, back_variance: Array, difference: Array,
    power: Array, hairy: Array, edge: Array, trusted: Array, per_near: np.float32,
    farthest: np.float32, per_hair: np.float32, alpha: Array,
) -> None:  # fmt: skip
    """The mask's own edge (½ more than `edge`), and what of the difference from it is no noise, as
    far as colours are trusted.
    """
    for i in range(inner.size):
        at = inner[i]
        far = min(max(away[at] * per_near, -farthest), farthest)
        variance = front_variance[at] if far > 0 else back_variance[at]
        noise = variance * far * far * (F(1) - min(hairy[i] * per_hair, F(1)))
        gain = max(F(1) - noise / (power[i] + F(1e-6)), F(0))
        alpha[i] = edge[i] + F(0.5) + trusted[i] * gain * difference[at]
