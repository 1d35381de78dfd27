"""Brings maps of a shrunken picture to full size, with the edges of the full picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.first_mask.marks import Probability
from vfx_matte.masks import Image

# of the guided filter's window, in the small picture
_RADIUS_PX = 3
# variance of colours, 0 … 1, below which an edge counts as noise
_SMOOTHNESS = 1e-4


def shrunk(image: Image, most_pixels: int) -> Image:
    """A picture with at most so many pixels; the same where it has no more."""
    height, width = image.shape[:2]
    scale = math.sqrt(most_pixels / (height * width))
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def upscaled(probability: Probability, small: Image, full: Image) -> Probability:
    """A map of the small picture for the full one, its edges moved onto those that the full picture
    shows.

    A guided filter whose linear models are fitted in the small picture and used in the full one
    (He, Sun: "Fast guided filter", 2015).

    Args:
        probability: float32 (h, w), 0 … 1.
        small: uint8 (h, w, 3) R'G'B'.
        full: uint8 (H, W, 3) R'G'B'.

    Returns:
        float32 (H, W), 0 … 1; a copy of the map where the sizes are the same.
    """
    if small.shape == full.shape:
        return probability.copy()
    height, width = full.shape[:2]
    # the models are fitted in the small picture, enlarged, and applied to the full one's colours
    slopes, offset = _linear_models(probability, (small / np.float32(255)).astype(np.float32))
    found = _enlarged(offset, width, height)
    for channel in range(3):
        found += _enlarged(slopes[..., channel], width, height) * (
            full[..., channel].astype(np.float32) / 255
        )
    # far from an edge the models are flat, and what they give strays a little from 0 and 1
    plain = _enlarged(probability, width, height)
    is_edge = cv2.dilate(
        np.asarray(np.abs(plain - 0.5) < 0.49, np.uint8), np.ones((3, 3), np.uint8)
    ).astype(bool)
    return np.where(is_edge, np.clip(found, 0, 1), plain).astype(np.float32)


def _linear_models(
    probability: Probability, guide: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Slopes (h, w, 3) and offset (h, w) of the guided filter, averaged over the windows that hold
    a pixel.
    """
    # least squares in each window: probability ≈ slopes · colour + offset
    mean_guide, mean = _box(guide), _box(probability)
    covariance = _box(guide * probability[..., None]) - mean_guide * mean[..., None]
    products = _box((guide[..., :, None] * guide[..., None, :]).reshape(*mean.shape, 9)).reshape(
        *mean.shape, 3, 3
    )
    variance = (
        products
        - mean_guide[..., :, None] * mean_guide[..., None, :]
        + _SMOOTHNESS * np.eye(3, dtype=np.float32)
    )
    slopes = np.linalg.solve(variance, covariance[..., None])[..., 0].astype(np.float32)
    offset = mean - (slopes * mean_guide).sum(-1)
    return _box(slopes), _box(offset)


def _box(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of each window; channels one by one, as OpenCV takes four at most."""
    side = (2 * _RADIUS_PX + 1, 2 * _RADIUS_PX + 1)
    if array.ndim == 2:
        return np.asarray(cv2.blur(array, side), np.float32)
    return np.stack(
        [cv2.blur(np.ascontiguousarray(array[..., at]), side) for at in range(array.shape[-1])], -1
    )


def _enlarged(array: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.float32]:
    return np.asarray(
        cv2.resize(np.ascontiguousarray(array), (width, height), interpolation=cv2.INTER_LINEAR),
        np.float32,
    )
