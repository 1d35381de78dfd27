"""Makes and corrects first masks from clicks, strokes and boxes.

`open_marking` opens one frame for many calls, as an interactive tool makes them; `PictureOpener`
and `marking_of` open pictures of no clip. `save_first_mask` makes one mask and saves it, and
`first_mask` makes one in memory.
"""

from __future__ import annotations

from vfx_matte.first_mask import Box, Click, Marks, Stroke
from vfx_matte.pipeline.first_mask.making import first_mask, save_first_mask
from vfx_matte.pipeline.first_mask.marking import (
    Marking,
    PictureOpener,
    marking_of,
    open_marking,
)
from vfx_matte.pipeline.first_mask.records import (
    PROPAGATED,
    FirstMaskResult,
    MaskedObject,
    MaskRequest,
    MaskResult,
)

__all__ = [
    "PROPAGATED",
    "Box",
    "Click",
    "FirstMaskResult",
    "MaskRequest",
    "MaskResult",
    "MaskedObject",
    "Marking",
    "PictureOpener",
    "Marks",
    "Stroke",
    "first_mask",
    "marking_of",
    "open_marking",
    "save_first_mask",
]
