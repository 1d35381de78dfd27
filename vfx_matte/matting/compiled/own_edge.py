"""Smooths a mask's own edge, as `picture_edges._smoothed` says, in the band alone where it
changes.
"""

from __future__ import annotations

import math

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.jit import compiled
from vfx_matte.matting.compiled.windows import (
    count_pixels,
    gathered,
    laid,
    list_runs_within,
    window_means,
)

F = np.float32


def smoothed(
    binary: Array,
    distance: Array,
    *,
    wide_px: int,
    narrow_px: int,
    thin: tuple[float, float],
    steepness: float,
) -> Array:
    """The mask without its steps, thin parts smoothed over less: float32 (h, w) in 0..1.

    Args:
        binary: uint8 (h, w) of 0 and 1.
        distance: signed distance to its edge in px, float32 (h, w).
        wide_px: odd side of the window.
        narrow_px: odd side of that of thin parts.
        thin: the mean difference between both up to which the wide one counts, and from which on
            the narrow one does.
        steepness: how steep the edge is made again.
    """
    low, high = thin
    reaches = np.array([_reach(wide_px), _reach(narrow_px)], np.float32)
    return _smoothed(
        np.ascontiguousarray(binary), distance, wide_px, narrow_px, reaches, F(low),
        F(1 / (high - low)), F(steepness),
    )  # fmt: skip


@compiled
def _smoothed(
    binary: Array, distance: Array, wide_px: int, narrow_px: int, reaches: Array, low: np.float32,
    per: np.float32, steepness: np.float32,
) -> Array:  # fmt: skip
    """What `smoothed` gives; `reaches` is how far from the edge what both windows give is not the
    mask itself, in px, `per` 1 / (high - low) of `thin`.
    """
    # farther away windows give the mask itself. Two smoothings with the narrow one reach farther
    # than one with the wide one, so that two lists of runs do for all four.
    runs, fewer = list_runs_within(distance, reaches[0]), list_runs_within(distance, reaches[1])
    wide = _softened(binary, fewer, runs, wide_px, steepness)
    narrow = _softened(binary, fewer, fewer, narrow_px, steepness)
    # both differ where the wider one is not the mask itself, and only there a mean is wanted
    count = count_pixels(runs)
    apart = np.zeros(binary.shape, np.float32)
    edge, other, means = (
        np.empty(count, np.float32),
        np.empty(count, np.float32),
        np.empty(count, np.float32),
    )
    gathered(wide, runs, edge)
    gathered(narrow, runs, other)
    for i in range(count):
        means[i] = abs(other[i] - edge[i])
    laid(means, runs, apart)
    window_means(apart, runs, wide_px, means)
    _mix(edge, other, means, low, per)
    laid(edge, runs, wide)
    return wide


@compiled
def _softened(
    binary: Array, near: Array, far: Array, window_px: int, steepness: np.float32
) -> Array:
    """Smooth twice in a window, once in the runs `near`, once in `far`, and make the edge steep
    again.
    """
    edge = binary.astype(np.float32)
    once, twice = np.empty(count_pixels(near), np.float32), np.empty(count_pixels(far), np.float32)
    window_means(edge, near, window_px, once)
    laid(once, near, edge)
    window_means(edge, far, window_px, twice)
    _steepen(twice, steepness)
    laid(twice, far, edge)
    return edge


def _reach(window_px: int) -> float:
    """How far from the edge a mask that is smoothed twice is still not the mask itself, in px."""
    # farther away than a window's corner nothing but the pixel's own side is in it; distances are
    # measured half a pixel before the edge
    return 2 * (window_px // 2 * math.sqrt(2) + 1)


@compiled
def _steepen(values: Array, steepness: np.float32) -> None:
    """Make a ramp steeper around one half, in place."""
    half = F(0.5)
    for i in range(values.size):
        values[i] = min(max(half + steepness * (values[i] - half), F(0)), F(1))


@compiled
def _mix(wide: Array, narrow: Array, means: Array, low: np.float32, per: np.float32) -> None:
    """The narrow edge instead of the wide one as far as a part is thin, in place."""
    for i in range(wide.size):
        share = min(max((means[i] - low) * per, F(0)), F(1))
        wide[i] += share * (narrow[i] - wide[i])
