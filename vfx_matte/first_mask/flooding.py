"""Where a change of a mask ends: at the edges of the picture.

Two places grow over a region at once, first where the picture is smooth (watershed; Meyer: "Color
image segmentation", International Conference on Image Processing and its Applications, 1992). Where
they meet there is the strongest edge between them.
"""

from __future__ import annotations

import cv2
import numpy as np

from vfx_matte.first_mask.crop_maps import Region
from vfx_matte.masks import Image

# noise of a camera and of a codec makes edges everywhere
_BLUR_PX = 1.0
# around the region, so that what borders on it is seen
_MARGIN_PX = 6
_MARK, _REST, _OTHER = 1, 2, 3


def nearer(image: Image, region: Region, mark: Region, rest: Region) -> Region:
    """The part of a region that belongs to a mark rather than to the rest, as the picture's edges
    lie.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        region: bool (H, W), not empty: what may change.
        mark: bool (H, W): a place that certainly does.
        rest: bool (H, W): what is as the region is, and certainly stays so.

    Returns:
        bool (H, W), within `region`; the edge itself belongs to it.
    """
    left, top, width, height = cv2.boundingRect(region.astype(np.uint8))
    window = (
        slice(max(0, top - _MARGIN_PX), top + height + _MARGIN_PX),
        slice(max(0, left - _MARGIN_PX), left + width + _MARGIN_PX),
    )
    smooth = cv2.GaussianBlur(np.ascontiguousarray(image[window]), (0, 0), _BLUR_PX)
    # what the region is joined to anyway is no rival: it keeps its own side
    labels = np.where(region[window], 0, _OTHER).astype(np.int32)
    labels[rest[window]] = _REST
    labels[mark[window]] = _MARK
    flooded = cv2.watershed(smooth, labels)
    found = np.zeros_like(region)
    found[window] = (flooded != _REST) & region[window]
    return found
