"""What landscape and creature are painted with.

Takes numbers and colours, gives arrays; knows neither of the two, nor time.
"""

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
    """Colours between `a` and `b`, each (3,) or (H, W, 3) in 0..255: share 0 is `a`, 1 is `b`;
    share is (H, W) or (N,).
    """
    weight = share[..., None].astype(np.float32)
    return np.asarray(a, np.float32) * (1 - weight) + np.asarray(b, np.float32) * weight


def cloud_noise(
    rng: Rng, shape: tuple[int, int], cell: tuple[float, float], octaves: int
) -> Floats:
    """Value noise, float32 of `shape` (H, W) in about 0..1, that repeats sideways.

    cell: (height, width) px of the coarsest octave's cells; each further octave has half the cell
    and half the weight.
    """
    total, weight = np.zeros(shape, np.float32), 0.0
    for octave in range(octaves):
        rows = max(2, round(shape[0] / cell[0] * 2**octave)) + 1
        columns = max(2, round(shape[1] / cell[1] * 2**octave))
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
    """Paint tapering strands in order, opaque, onto an RGBA canvas, uint8 (H, W, 4).

    roots, ends: (N, 2) px, x first. bends: (N, 2) px, how far the middle leaves the straight line.
    widths: (N,) px at the root. colors: (N, 2, 3) in 0..255, the colour of the strand and of its
    outer half.
    """
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
        cv2.fillPoly(canvas, [points], (*color, 255), shift=4)
        cv2.fillPoly(canvas, [points[3:9]], (*tip, 255), shift=4)
