"""Outlines of regions, for programs that keep polygons and no masks."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.annotations.rle import Region

TOLERANCE_PX = 1.0
"""How far an outline may be from the region's edge, so that it has few corners to drag."""


def outlines(region: Region, *, tolerance: float = TOLERANCE_PX) -> list[list[float]]:
    """The outer outline of every connected part, the largest part first; holes are left out.

    Args:
        region: bool (H, W).
        tolerance: how far an outline may be from the edge, in pixels.

    Returns:
        Polygons as `rle.from_polygons` takes them: x, y, x, y, … of three corners or more, in
        pixels. A pixel covers x … x + 1 and y … y + 1.
    """
    # every pixel as 2×2, so that an outline goes between pixel centres, and round a line of single
    # pixels, too; OpenCV joins the centres of the outermost pixels, a quarter pixel inside the edge
    doubled = np.repeat(np.repeat(region.astype(np.uint8), 2, axis=0), 2, axis=1)
    found, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rings = sorted(found, key=lambda ring: -cv2.contourArea(ring))
    return [(_simplified(ring, 2 * tolerance) / 2 + 0.25).reshape(-1).tolist() for ring in rings]


def _simplified(ring: npt.NDArray[Any], tolerance: float) -> npt.NDArray[np.float64]:
    """A contour, int32 (N, 1, 2), with fewer corners, but three: float64 (M, 2)."""
    simple = cv2.approxPolyDP(ring, tolerance, closed=True)
    return np.asarray(simple if len(simple) > 2 else ring, np.float64).reshape(-1, 2)
