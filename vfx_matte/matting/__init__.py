"""Makes mattes of masks: alpha at the edge, and colours without background.

`make_matte` is the one way from a mask to a matte; `refine`, `refine_soft` and `refine_picture` are
its three kinds.
"""

from vfx_matte.matting.despill import despill
from vfx_matte.matting.estimators import open_estimator
from vfx_matte.matting.foreground import FoundBefore, estimate_foreground
from vfx_matte.matting.hidden_colors import fill_hidden
from vfx_matte.matting.mask_edges import (
    SOFT_LEVELS,
    refine,
    refine_objects,
    refine_soft,
    soft_reach_px,
)
from vfx_matte.matting.picture_edges import make_matte, refine_picture, tidied
from vfx_matte.matting.problem import AlphaEstimator, AlphaProblem
from vfx_matte.matting.stabilize import Stabilizer

__all__ = [
    "SOFT_LEVELS",
    "AlphaEstimator",
    "AlphaProblem",
    "FoundBefore",
    "Stabilizer",
    "despill",
    "refine_picture",
    "estimate_foreground",
    "fill_hidden",
    "make_matte",
    "open_estimator",
    "refine",
    "refine_objects",
    "refine_soft",
    "soft_reach_px",
    "tidied",
]
