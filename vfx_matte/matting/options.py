"""How an edge is treated.

Takes what a user chose, gives checked options; never touches an array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vfx_matte.errors import UsageError

LARGEST_EDGE_PX = 500
"""Upper bound of feather, grow and band, so that distances are exact (see
backend.squared_distance).
"""

MASK_METHODS = ("hard", "median", "feather")
"""Edges from the mask (and its probabilities) alone."""

PICTURE_METHODS = ("guided", "closed-form", "vitmatte")
"""Edges from the picture: alpha is estimated in a band along the mask's edge
(refine.estimators).
"""

AUTOMATIC_FEATHER_PX = 6.0
"""Width of the feather of method "feather" when none is given, at 1080 lines; scaled with the
frame.
"""

USUAL_MEDIAN_PX = 21
"""Side of the median's window when none is given, at 1080 lines; scaled with the frame."""

BAND_PX, LEAST_BAND_PX = 32, 8
"""Width of the band when none is given, before it widens along hair: at 1080 lines, scaled with the
frame; and at least.
"""


def usual_window_px(shape: tuple[int, int]) -> int:
    """The odd side of the median's window when none is given, in a frame of this (H, W)."""
    return int(USUAL_MEDIAN_PX * min(shape) / 1080) | 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeOptions:
    """How a mask's edge is treated; all sizes in pixels of the source.

    The order is fixed: specks, holes, median, alpha from the picture, specks and holes again, grow
    or shrink, feather. Specks and holes go first so that they have no vote in the median, and again
    because what is made of the mask may have new ones; growing comes after it so that the distance
    is measured from the edge the eye sees.

    method: where alpha comes from. "hard": the mask as it is, its median off unless `median_px` is
    given. "median": the mask's edge smoothed. "feather": the same with a soft edge, whose width
    follows the frame when `feather_px` is 0. One of PICTURE_METHODS: estimated from the picture in
    a band along the edge.
    band_px: width of that band, half inside and half outside; None = as the frame's size and the
    edge ask for, wider along hair.
    remove_specks_area_px: a piece (8-connected) of at most this area, in pixels, is dropped; 0 =
    off. For PICTURE_METHODS pieces of the finished matte also go, whatever their area, that hold no
    more than this of the mask: nothing joins them to the subject. None does only that, with the
    area that the usual median would drop, and nothing for MASK_METHODS.
    fill_holes_area_px: a hole (4-connected, not touching the frame's edge) of at most this area is
    filled; 0 and None alike.
    median_px: odd side of the median's window, at most 255; 0 or 1 = off; None = 21 at 1080 lines,
    scaled with the frame, for "median" and "feather" and off for the others, as it takes single
    hairs from what the picture is asked about.
    grow_px: radius by which the edge moves outwards with a round brush; negative shrinks. Frame
    borders do not move.
    feather_px: width of the soft edge, half inside and half outside; alpha is 0.5 on the hard edge.
    0 = hard.

    Raises UsageError for values outside these ranges.
    """

    method: str = "median"
    band_px: float | None = None
    median_px: int | None = None
    feather_px: float = 0.0
    grow_px: int = 0
    fill_holes_area_px: int | None = None
    remove_specks_area_px: int | None = None

    def __post_init__(self) -> None:
        methods = (*MASK_METHODS, *PICTURE_METHODS)
        if self.method not in methods:
            raise UsageError(
                f"edges {self.method!r} are unknown", hint=f"use --edges {', '.join(methods)}"
            )
        if self.band_px is not None and not 1 <= self.band_px <= LARGEST_EDGE_PX:
            raise UsageError(f"band is {self.band_px} px, expected 1 to {LARGEST_EDGE_PX}")
        median = self.median_px
        if median is not None and median != 0 and (median % 2 == 0 or not 1 <= median <= 255):
            raise UsageError(
                f"median is {median} px, expected 0 (off) or an odd number from 1 to 255"
            )
        if not 0 <= self.feather_px <= LARGEST_EDGE_PX:
            raise UsageError(f"feather is {self.feather_px} px, expected 0 to {LARGEST_EDGE_PX}")
        if abs(self.grow_px) > LARGEST_EDGE_PX:
            raise UsageError(
                f"grow is {self.grow_px} px, expected -{LARGEST_EDGE_PX} to {LARGEST_EDGE_PX}"
            )
        for name, area in (
            ("holes", self.fill_holes_area_px),
            ("specks", self.remove_specks_area_px),
        ):
            if area is not None and area < 0:
                raise UsageError(f"area of {name} is {area} px, expected 0 (off) or more")

    def window_px(self, shape: tuple[int, int]) -> int:
        """The odd side of the median's window for a frame of this (H, W); 1 = off.

        The automatic size follows the shorter side, so that a portrait clip is treated as the same
        clip lying down.
        """
        if self.median_px is None and self.method not in ("median", "feather"):
            return 1
        if self.median_px is None:
            return usual_window_px(shape)
        return max(1, self.median_px)

    def specks_px(self, shape: tuple[int, int]) -> int:
        """The area up to which a piece of the matte is dropped, in a frame of this (H, W); 0 =
        none.
        """
        return self._area_px(self.remove_specks_area_px, shape)

    def holes_px(self, shape: tuple[int, int]) -> int:
        """The area up to which a hole of the matte is filled, in a frame of this (H, W); 0
        = none.
        """
        return self._area_px(self.fill_holes_area_px, shape)

    def _area_px(self, chosen: int | None, shape: tuple[int, int]) -> int:
        if chosen is not None or not self.needs_picture:
            return chosen or 0
        return usual_window_px(shape) ** 2 // 2

    def mean_px(self, shape: tuple[int, int]) -> int:
        """The odd side of the window in which `refine_soft` averages probabilities: half of the
        median's; 1 = off.
        """
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
        """How far the result can lie outside the bounding box of the mask; at least 1, a frame of
        background.
        """
        return 1 + max(0, self.grow_px) + math.ceil(self.feather_px / 2)
