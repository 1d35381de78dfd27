"""Pictures of two constant colours mixed by a soft matte, in every layout of planes."""

from __future__ import annotations

import cv2
import numpy as np

from vfx_matte.picture import ColorTags, Picture, PixelLayout

ONE = 65535


LAYOUTS = [
    PixelLayout("yuv", 8, (1, 1)),
    PixelLayout("yuv", 10, (1, 1)),
    PixelLayout("yuv", 10, (1, 0)),
    PixelLayout("yuv", 8, (2, 0)),
    PixelLayout("yuv", 12),
    PixelLayout("rgb", 8),
    PixelLayout("gray", 8),
    PixelLayout("yuv", 8, (1, 1), has_alpha=True),
]


def soft_disc(shape: tuple[int, int], blur: float = 6) -> np.ndarray:
    """Alpha of a soft disc: uint16 (H, W), exactly 0 and full away from its edge."""
    hard = np.zeros(shape, np.float32)
    cv2.circle(hard, (shape[1] // 2, shape[0] // 2), min(shape) // 4, 1, -1)
    soft = cv2.GaussianBlur(hard, (0, 0), blur)
    soft = np.clip((soft - 0.02) / 0.96, 0, 1)
    return np.rint(soft * ONE).astype(np.uint16)


def footprints(alpha: np.ndarray, layout: PixelLayout, index: int) -> np.ndarray:
    """Mean alpha, 0..1, over what each sample of a plane covers."""
    x, y = layout.plane_shift(index)
    padded = np.pad(
        alpha / ONE, ((0, -alpha.shape[0] % (1 << y)), (0, -alpha.shape[1] % (1 << x))), mode="edge"
    )
    return padded.reshape(padded.shape[0] >> y, 1 << y, padded.shape[1] >> x, 1 << x).mean(
        axis=(1, 3)
    )


def mixed(
    layout: PixelLayout, alpha: np.ndarray, fronts: list[float], backs: list[float]
) -> Picture:
    """Constant colours of both sides, mixed by alpha in every plane."""
    planes = []
    for index in range(layout.plane_count):
        weight = footprints(alpha, layout, index)
        value = (weight * fronts[index % 3] + (1 - weight) * backs[index % 3]) * layout.full
        planes.append(np.rint(value).astype(np.uint8 if layout.bit_depth == 8 else np.uint16))
    return Picture(tuple(planes), layout, ColorTags())
