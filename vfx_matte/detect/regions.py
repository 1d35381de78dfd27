"""Measures and mends the regions of detections."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.detect.base import Region
from vfx_matte.masks import Image

# of the object: larger holes are what is behind it
_MOST_HOLE = 0.02

ColorHistogram = npt.NDArray[np.float32]
"""Histogram of colours, sums to 1."""


def color_histogram(image: Image, region: Region) -> ColorHistogram:
    """The colours of a region: 8 hues × 4 saturations × 4 values."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist(
        [hsv], [0, 1, 2], region.astype(np.uint8), [8, 4, 4], [0, 180, 0, 256, 0, 256]
    )
    return np.asarray(counts.ravel() / max(1.0, float(counts.sum())), np.float32)


def without_holes(region: Region) -> Region:
    """A region with its small holes filled, bool (H, W)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~region).astype(np.uint8))
    most = _MOST_HOLE * np.count_nonzero(region)
    height, width = region.shape
    filled = region.copy()
    for label in range(1, count):
        left, top, across, down, area = stats[label]
        is_inside = left > 0 and top > 0 and left + across < width and top + down < height
        if is_inside and area <= most:
            filled[labels == label] = True
    return filled


def shrunk_image(image: Image, size: tuple[int, int]) -> Image:
    """A picture at a smaller (width, height), uint8; one of that size as it is."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def shrunk_region(region: Region, size: tuple[int, int]) -> Region:
    """A region at a smaller (width, height): where half of a pixel's area was in it."""
    shares = cv2.resize(region.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(shares >= 0.5)
