"""Tools to paint landscape and creature with: ramps, mixtures, noise and strands."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""float32, of the shape and range that each function states."""

Rng = np.random.Generator


def ramp(value: npt.NDArray[np.floating], low: float, high: float) -> Floats:
    """Smoothstep from 0 at `low` to 1 at `high`."""
    part = ((value - low) / (high - low)).clip(0, 1)
    smooth: Floats = (part * part * (3 - 2 * part)).astype(np.float32)
    return smooth


def mix(a: npt.ArrayLike, b: npt.ArrayLike, share: npt.NDArray[np.floating]) -> Floats:
    """Colours between two.

    Args:
        a: (3,) or (H, W, 3) in 0..255, where `share` is 0.
        b: the same, where `share` is 1.
        share: (H, W) or (N,).
    """
    weight = share[..., None].astype(np.float32)
    return np.asarray(a, np.float32) * (1 - weight) + np.asarray(b, np.float32) * weight


def cloud_noise(
    rng: Rng, shape: tuple[int, int], cell: tuple[float, float], octaves: int
) -> Floats:
    """Value noise that repeats sideways.

    Args:
        rng: decides it.
        shape: (H, W).
        cell: (height, width) px of the coarsest octave's cells.
        octaves: each has half the cell and half the weight of the one before.

    Returns:
        float32 of `shape` in about 0..1.
    """
    total, weight = np.zeros(shape, np.float32), 0.0
    for octave in range(octaves):
        rows = max(2, round(shape[0] / cell[0] * 2**octave)) + 1
        columns = max(2, round(shape[1] / cell[1] * 2**octave))
        # two columns of the other side, as a cubic filter reaches so far
        grid = np.pad(rng.random((rows, columns), np.float32), ((0, 0), (2, 2)), mode="wrap")
        x = np.arange(shape[1], dtype=np.float32) * (columns / shape[1]) + 2
        y = np.arange(shape[0], dtype=np.float32) * ((rows - 1) / shape[0])
        map_x, map_y = np.meshgrid(x, y)
        total += 0.5**octave * np.asarray(
            cv2.remap(grid, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        )
        weight += 0.5**octave
    return np.asarray(total / weight, np.float32)


def paint_strands(
    canvas: npt.NDArray[np.uint8],
    *,
    roots: npt.NDArray[np.floating],
    ends: npt.NDArray[np.floating],
    bends: npt.NDArray[np.floating],
    widths: npt.NDArray[np.floating],
    colors: npt.NDArray[np.floating],
) -> None:
    """Paint tapering strands in order, opaque, onto a canvas.

    Args:
        canvas: RGBA, uint8 (H, W, 4), changed.
        roots: (N, 2) px, x first.
        ends: (N, 2) px.
        bends: (N, 2) px, how far the middle leaves the straight line.
        widths: (N,) px at the root.
        colors: (N, 2, 3) in 0..255, of the strand and of its outer half.
    """
    # a parabola through six points, and its two sides, which meet at the tip
    s = np.linspace(0, 1, 6)[None, :, None]
    middle = roots[:, None] * (1 - s) + ends[:, None] * s + bends[:, None] * (4 * s * (1 - s))
    along = ends - roots
    normal = (
        np.stack([-along[:, 1], along[:, 0]], axis=1)
        / np.maximum(np.hypot(*along.T), 1e-3)[:, None]
    )
    side = normal[:, None] * (widths[:, None, None] / 2) * (1 - s**1.5)
    outline = np.round(
        np.concatenate([middle + side, (middle - side)[:, ::-1]], axis=1) * 16
    ).astype(np.int32)
    for points, (color, tip) in zip(outline, colors.tolist(), strict=True):
        # in sixteenths of a pixel (shift=4), so that hairs thinner than a pixel keep their place
        cv2.fillPoly(canvas, [points], (*color, 255), shift=4)
        cv2.fillPoly(canvas, [points[3:9]], (*tip, 255), shift=4)
