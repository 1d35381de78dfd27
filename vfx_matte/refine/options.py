"""How an edge is treated. Takes what a user chose, gives checked options; never touches an array."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vfx_matte.errors import UsageError

LARGEST_EDGE_PX = 500
"""Upper bound of feather, grow and band, so that distances are exact (see backend.squared_distance)."""

MASK_METHODS = ("hard", "median", "feather")
"""Edges from the mask (and its probabilities) alone."""

PICTURE_METHODS = ("guided", "closed-form", "vitmatte")
"""Edges from the picture: alpha is estimated in a band along the mask's edge (refine.estimators)."""

AUTOMATIC_FEATHER_PX = 6.0
"""Width of the feather of method "feather" when none is given, at 1080 lines; scaled with the frame."""

BAND_PX, LEAST_BAND_PX = 32, 8
"""Width of the band when none is given, before it widens along hair: at 1080 lines, scaled with the frame; and at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeOptions:
    """How a mask's edge is treated; all sizes in pixels of the source.

    The order is fixed: specks, holes, median, alpha from the picture, grow or shrink, feather. Specks and holes go first so
    that they have no vote in the median; growing comes after it so that the distance is measured from the edge the eye sees.

    method: where alpha comes from. "hard": the mask as it is, its median off unless `median_px` is given. "median": the
    mask's edge smoothed. "feather": the same with a soft edge, whose width follows the frame when `feather_px` is 0.
    One of PICTURE_METHODS: estimated from the picture in a band along the edge.
    band_px: width of that band, half inside and half outside; None = as the frame's size and the edge ask for, wider
    along hair.
    remove_specks_area_px: a piece (8-connected) of at most this area, in pixels, is dropped; 0 = off.
    fill_holes_area_px: a hole (4-connected, not touching the frame's edge) of at most this area is filled; 0 = off.
    median_px: odd side of the median's window, at most 255; 0 or 1 = off; None = 21 at 1080 lines, scaled with the frame, for
    "median" and "feather" and off for the others, as it takes single hairs from what the picture is asked about.
    grow_px: radius by which the edge moves outwards with a round brush; negative shrinks. Frame borders do not move.
    feather_px: width of the soft edge, half inside and half outside; alpha is 0.5 on the hard edge. 0 = hard.

    Raises UsageError for values outside these ranges.
    """

    method: str = "median"
    band_px: float | None = None
    median_px: int | None = None
    feather_px: float = 0.0
    grow_px: int = 0
    fill_holes_area_px: int = 0
    remove_specks_area_px: int = 0

    def __post_init__(self) -> None:
        methods = (*MASK_METHODS, *PICTURE_METHODS)
        if self.method not in methods:
            raise UsageError(f"edges {self.method!r} are unknown", hint=f"use --edges {', '.join(methods)}")
        if self.band_px is not None and not 1 <= self.band_px <= LARGEST_EDGE_PX:
            raise UsageError(f"band is {self.band_px} px, expected 1 to {LARGEST_EDGE_PX}")
        median = self.median_px
        if median is not None and median != 0 and (median % 2 == 0 or not 1 <= median <= 255):
            raise UsageError(f"median is {median} px, expected 0 (off) or an odd number from 1 to 255")
        if not 0 <= self.feather_px <= LARGEST_EDGE_PX:
            raise UsageError(f"feather is {self.feather_px} px, expected 0 to {LARGEST_EDGE_PX}")
        if abs(self.grow_px) > LARGEST_EDGE_PX:
            raise UsageError(f"grow is {self.grow_px} px, expected -{LARGEST_EDGE_PX} to {LARGEST_EDGE_PX}")
        for name, area in (("holes", self.fill_holes_area_px), ("specks", self.remove_specks_area_px)):
            if area < 0:
                raise UsageError(f"area of {name} is {area} px, expected 0 (off) or more")

    def window_px(self, shape: tuple[int, int]) -> int:
        """The odd side of the median's window for a frame of this (H, W); 1 = off.

        The automatic size follows the shorter side, so that a portrait clip is treated as the same clip lying down.
        """
        if self.median_px is None and self.method not in ("median", "feather"):
            return 1
        if self.median_px is None:
            return int(21 * min(shape) / 1080) | 1
        return max(1, self.median_px)

    def mean_px(self, shape: tuple[int, int]) -> int:
        """The odd side of the window in which `refine_soft` averages probabilities: half of the median's; 1 = off."""
        return (self.window_px(shape) - 1) // 2 | 1

    def blur_px(self, shape: tuple[int, int]) -> float:
        """The width of the feather for a frame of this (H, W); 0 = none."""
        if self.method == "feather" and not self.feather_px:
            return AUTOMATIC_FEATHER_PX * min(shape) / 1080
        return self.feather_px

    @property
    def needs_picture(self) -> bool:
        """Whether the edge is found in the picture."""
        return self.method in PICTURE_METHODS

    @property
    def reach_px(self) -> int:
        """How far the result can lie outside the bounding box of the mask; at least 1, a frame of background."""
        return 1 + max(0, self.grow_px) + math.ceil(self.feather_px / 2)
