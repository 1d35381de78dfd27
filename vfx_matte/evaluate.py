"""How good a mask is. Takes two masks, gives numbers in [0, 1]; never reads files.

The measures of DAVIS 2016 (Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation,
CVPR 2016, section 4): region similarity J, which is the intersection over union, and boundary accuracy F. Any non-zero
value of a mask is foreground: compare `mask == object_id` to measure one object of several.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

AnyMask = npt.NDArray[Any]
"""(H, W), bool or integer; not zero is foreground."""

BOUNDARY_TOLERANCE = 0.008
"""How far apart matching boundary pixels may be, as a part of the picture's diagonal (DAVIS 2016)."""


@dataclass(frozen=True, slots=True)
class MaskScore:
    """Agreement of one mask with the truth. region: J; boundary: F; both in [0, 1], 1 is perfect."""

    region: float
    boundary: float

    @property
    def mean(self) -> float:
        """J&F, the mean of both."""
        return (self.region + self.boundary) / 2


def iou(mask: AnyMask, truth: AnyMask) -> float:
    """Intersection over union of two foregrounds, in [0, 1]; 1 when both are empty. Raises ValueError when shapes differ."""
    a, b = _foregrounds(mask, truth)
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 1.0


def boundary_f(mask: AnyMask, truth: AnyMask, *, tolerance: float = BOUNDARY_TOLERANCE) -> float:
    """F-measure of boundary precision and recall, in [0, 1].

    A boundary pixel counts as found when the other boundary passes within `tolerance` × the diagonal, rounded up to whole
    pixels (morphological matching, Perazzi et al. 2016). 1 when both masks have no boundary, 0 when only one has.
    Raises ValueError when shapes differ.
    """
    a, b = (boundary(foreground) for foreground in _foregrounds(mask, truth))
    count_a, count_b = int(np.count_nonzero(a)), int(np.count_nonzero(b))
    if not count_a or not count_b:
        return float(count_a == count_b)
    radius_px = math.ceil(tolerance * math.hypot(*a.shape))
    precision = np.count_nonzero(a & _grown(b, radius_px)) / count_a
    recall = np.count_nonzero(b & _grown(a, radius_px)) / count_b
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def score(mask: AnyMask, truth: AnyMask) -> MaskScore:
    """J and F of one mask against the truth."""
    return MaskScore(iou(mask, truth), boundary_f(mask, truth))


def boundary(mask: AnyMask) -> npt.NDArray[np.bool_]:
    """Boundary pixels: those whose right, lower or lower-right neighbour is of the other kind. bool (H, W).

    The edge of the picture is no boundary. (The one-pixel contour of the DAVIS 2016 evaluation.)
    """
    inside = mask.astype(bool)
    padded = np.pad(inside, ((0, 1), (0, 1)), mode="edge")
    edges: npt.NDArray[np.bool_] = (inside ^ padded[:-1, 1:]) | (inside ^ padded[1:, :-1]) | (inside ^ padded[1:, 1:])
    return edges


def _foregrounds(mask: AnyMask, truth: AnyMask) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    if mask.shape != truth.shape or mask.ndim != 2:
        raise ValueError(f"masks are {mask.shape} and {truth.shape}, expected two of one shape (H, W)")
    return mask.astype(bool), truth.astype(bool)


def _grown(edges: npt.NDArray[np.bool_], radius_px: int) -> npt.NDArray[np.bool_]:
    """Pixels within `radius_px` of a set one."""
    distance = cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near: npt.NDArray[np.bool_] = distance <= radius_px
    return near
