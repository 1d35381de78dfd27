"""Sizes of edge treatment, which follow the frame where nobody chose them.

A size that was chosen is in pixels of the source; one that was not is given at 1080 lines and
scaled with the frame's shorter side, so that a portrait clip is treated as the same clip lying
down.
"""

from __future__ import annotations

import math

from vfx_matte.settings.options import MatteSettings

AUTOMATIC_FEATHER_PX = 6.0
"""Width of the feather of methods that feather, when none is chosen, at 1080 lines."""

USUAL_MEDIAN_PX = 21
"""Side of the median's window when none is chosen, at 1080 lines."""

BAND_PX, LEAST_BAND_PX = 32, 8
"""Width of the band when none is chosen, before it widens along hair, at 1080 lines; and at least.
"""


def usual_window_px(shape: tuple[int, int]) -> int:
    """The odd side of the median's window when none is chosen, in a frame of this (H, W)."""
    # odd: the window has a middle
    return int(USUAL_MEDIAN_PX * min(shape) / 1080) | 1


def window_px(settings: MatteSettings, shape: tuple[int, int]) -> int:
    """The odd side of the median's window for a frame of this (H, W); 1 = off."""
    if settings.median is not None:
        return max(1, settings.median)
    return usual_window_px(shape) if settings.method.smooths else 1


def specks_px(settings: MatteSettings, shape: tuple[int, int]) -> int:
    """Largest area of a piece of the matte that is dropped, in a frame of this (H, W); 0 = none."""
    return _area_px(settings, settings.remove_specks, shape)


def holes_px(settings: MatteSettings, shape: tuple[int, int]) -> int:
    """Largest area of a hole of the matte that is filled, in a frame of this (H, W); 0 = none."""
    return _area_px(settings, settings.fill_holes, shape)


def _area_px(settings: MatteSettings, chosen: int | None, shape: tuple[int, int]) -> int:
    """The area that was chosen; by default that of the usual median, for methods of the picture."""
    if chosen is not None or not settings.method.from_picture:
        return chosen or 0
    # a median drops a piece that fills no more than half of its window
    return usual_window_px(shape) ** 2 // 2


def mean_px(settings: MatteSettings, shape: tuple[int, int]) -> int:
    """The odd side of the window in which `refine_soft` averages probabilities: half of the
    median's; 1 = off.
    """
    return (window_px(settings, shape) - 1) // 2 | 1


def blur_px(settings: MatteSettings, shape: tuple[int, int]) -> float:
    """The width of the feather for a frame of this (H, W); 0 = none."""
    if settings.method.feathers and not settings.feather:
        return AUTOMATIC_FEATHER_PX * min(shape) / 1080
    return settings.feather


def reach_px(settings: MatteSettings) -> int:
    """How far the result can lie outside the bounding box of the mask; at least 1, a frame of
    background.
    """
    return 1 + max(0, settings.grow) + math.ceil(settings.feather / 2)
