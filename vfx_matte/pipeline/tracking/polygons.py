"""Polygons of labelling tools: to a region and back."""

from __future__ import annotations

from collections.abc import Sequence

from vfx_matte.annotations.polygons import outlines
from vfx_matte.annotations.rle import Region, from_polygons


def region_in(polygon: Sequence[float], shape: tuple[int, int]) -> Region:
    """The region inside of a polygon.

    Args:
        polygon: x, y, x, y, … of its corners, in pixels.
        shape: (H, W) of the picture.

    Returns:
        bool (H, W); what lies outside of the picture is cut off.

    Raises:
        MaskError: it is no polygon.
    """
    return from_polygons([polygon], shape).region()


def outline_of(region: Region) -> list[float] | None:
    """The outer outline of a region's largest part, as x, y, x, y, … in pixels; None where it is
    empty.

    Holes and further parts are left out, as a polygon cannot have them.
    """
    return next(iter(outlines(region)), None)
