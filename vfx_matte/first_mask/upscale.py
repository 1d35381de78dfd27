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


class Guide:
    """What the filter needs of a small picture, for any number of maps of it.

    Args:
        small: uint8 (h, w, 3) R'G'B'.
    """

    def __init__(self, small: Image) -> None:
        self.shape = small.shape
        self._colors = [
            np.ascontiguousarray(small[..., channel]) / np.float32(255) for channel in range(3)
        ]
        self._means = [_box(color) for color in self._colors]
        self._inverse = self._inverted()

    def _inverted(self) -> list[list[npt.NDArray[np.float32]]]:
        """The inverse of the colours' variance in each window, 3 × 3 maps (h, w)."""
        # differences of products that are nearly the same: of a grey picture, all of them are
        rr, rg, rb, gg, gb, bb = (
            np.asarray(
                _box(self._colors[one] * self._colors[other])
                - self._means[one] * self._means[other],
                np.float64,
            )
            for one, other in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
        )
        rr += _SMOOTHNESS
        gg += _SMOOTHNESS
        bb += _SMOOTHNESS
        # by cofactors, as a general solver takes ten times as long for so many small systems
        c_rr, c_rg, c_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
        c_gg, c_gb, c_bb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
        scale = 1 / (rr * c_rr + rg * c_rg + rb * c_rb)
        first, second, third, fourth, fifth, sixth = (
            np.asarray(cofactor * scale, np.float32)
            for cofactor in (c_rr, c_rg, c_rb, c_gg, c_gb, c_bb)
        )
        return [[first, second, third], [second, fourth, fifth], [third, fifth, sixth]]

    def models(
        self, probability: Probability
    ) -> tuple[list[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
        """Slopes, three (h, w), and offset (h, w) of the filter, averaged over the windows that
        hold a pixel.
        """
        # least squares in each window: probability ≈ slopes · colour + offset
        mean = _box(probability)
        covariance = [
            _box(color * probability) - own * mean
            for color, own in zip(self._colors, self._means, strict=True)
        ]
        slopes = [
            row[0] * covariance[0] + row[1] * covariance[1] + row[2] * covariance[2]
            for row in self._inverse
        ]
        offset = mean.copy()
        for slope, own in zip(slopes, self._means, strict=True):
            offset -= slope * own
        return [_box(slope) for slope in slopes], _box(offset)


def upscaled(
    probability: Probability, small: Image, full: Image, *, guide: Guide | None = None
) -> Probability:
    """A map of the small picture for the full one, its edges moved onto those that the full picture
    shows.

    A guided filter whose linear models are fitted in the small picture and used in the full one
    (He, Sun: "Fast guided filter", 2015).

    Args:
        probability: float32 (h, w), 0 … 1.
        small: uint8 (h, w, 3) R'G'B'.
        full: uint8 (H, W, 3) R'G'B'.
        guide: of the small picture, where more than one map of it is brought up.

    Returns:
        float32 (H, W), 0 … 1; a copy of the map where the sizes are the same.
    """
    if small.shape == full.shape:
        return probability.copy()
    height, width = full.shape[:2]
    # the models are fitted in the small picture, enlarged, and applied to the full one's colours
    slopes, offset = (guide or Guide(small)).models(probability)
    found = _enlarged(offset, width, height)
    for channel, slope in enumerate(slopes):
        found += _enlarged(slope, width, height) * (full[..., channel].astype(np.float32) / 255)
    # far from an edge the models are flat, and what they give strays a little from 0 and 1
    plain = _enlarged(probability, width, height)
    is_edge = cv2.dilate(
        np.asarray(np.abs(plain - 0.5) < 0.49, np.uint8), np.ones((3, 3), np.uint8)
    ).astype(bool)
    return np.where(is_edge, np.clip(found, 0, 1), plain).astype(np.float32)


def _box(array: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """The mean of each window of a map (h, w)."""
    side = (2 * _RADIUS_PX + 1, 2 * _RADIUS_PX + 1)
    return np.asarray(cv2.blur(array, side), np.float32)


def _enlarged(array: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.float32]:
    return np.asarray(
        cv2.resize(np.ascontiguousarray(array), (width, height), interpolation=cv2.INTER_LINEAR),
        np.float32,
    )
