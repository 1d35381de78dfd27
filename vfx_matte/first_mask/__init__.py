"""The first mask of a clip, from a box, clicks, strokes or nothing."""

from __future__ import annotations

from vfx_matte.first_mask.marks import Answer, Box, Click, Marks, Point, Probability, Stroke
from vfx_matte.first_mask.methods import (
    METHODS,
    FirstMask,
    FirstMaskMethod,
    choose_method,
    method_named,
    method_names,
    open_first_mask,
)

__all__ = [
    "METHODS",
    "Answer",
    "Box",
    "Click",
    "FirstMask",
    "FirstMaskMethod",
    "Marks",
    "Point",
    "Probability",
    "Stroke",
    "choose_method",
    "method_named",
    "method_names",
    "open_first_mask",
]
