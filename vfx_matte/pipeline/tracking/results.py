"""Tracked frames as labelling tools take them: run lengths or polygons for each object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vfx_matte.annotations.polygons import outlines
from vfx_matte.annotations.rle import encode_objects, from_runs
from vfx_matte.masks import Mask
from vfx_matte.pipeline.tracking.session import TrackedFrame

_LEAST_TOLERANCE_PX = 0.5
# of the largest part: smaller ones are specks, each of which somebody would have to delete
_LEAST_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """One object on one frame."""

    id: int

    rle: dict[str, object]
    """As COCO has it: {"size": [H, W], "counts": "…"}. Where the object is not seen, nothing is
    inside.
    """

    area: int
    """Pixels."""

    box: tuple[int, int, int, int]
    """x, y, width, height; all 0 where it is not seen."""

    confidence: float
    """The expected overlap with the truth, 0 … 1."""


def object_results(frame: TrackedFrame) -> list[ObjectResult]:
    """Every object of a track, ascending, also those that are not seen on this frame."""
    found = encode_objects(frame.mask)
    height, width = frame.mask.shape
    nothing = from_runs((height, width), [height * width])
    results = []
    for object_id, confidence in sorted(frame.confidence.items()):
        rle = found.get(object_id, nothing)
        results.append(
            ObjectResult(object_id, rle.to_json(), rle.area, rle.box, round(confidence, 4))
        )
    return results


def object_polygons(
    mask: Mask, object_id: int, *, fineness: float = 0.0
) -> list[list[tuple[float, float]]]:
    """The outer outlines of an object, the largest first; holes and specks are left out.

    Args:
        mask: uint8 (H, W).
        object_id: the object.
        fineness: how far an outline may be from the edge, as a share of its length, which is taken
            as that of a square of the object's area.

    Returns:
        Corners (x, y), in pixels, for each connected part.
    """
    region = mask == object_id
    tolerance = max(_LEAST_TOLERANCE_PX, fineness * 4 * float(np.sqrt(region.sum())))
    rings = [
        [(round(x, 2), round(y, 2)) for x, y in zip(ring[0::2], ring[1::2], strict=True)]
        for ring in outlines(region, tolerance=tolerance)
    ]
    areas = [_area(ring) for ring in rings]
    return [
        ring for ring, area in zip(rings, areas, strict=True) if area >= _LEAST_SHARE * max(areas)
    ]


def _area(ring: list[tuple[float, float]]) -> float:
    """The area inside of a polygon, by the trapezoids below its sides."""
    sides = zip(ring, (*ring[1:], ring[0]), strict=True)
    return abs(sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in sides))
