from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from support.annotated import masks_of_clips

from vfx_matte.annotations.polygons import outlines
from vfx_matte.annotations.rle import from_polygons
from vfx_matte.masks import Mask, overlap


def filled(region: np.ndarray) -> np.ndarray:
    """The region without its holes: what cannot be reached from outside by sides."""
    ground = np.pad((~region).astype(np.uint8), 1, constant_values=1)
    _, labels = cv2.connectedComponents(ground, connectivity=4)
    return (labels != labels[0, 0])[1:-1, 1:-1]


@given(masks_of_clips(ids=(0, 0, 1)))
def test_exact_outlines_give_the_region_again_without_holes(masks: list[Mask]) -> None:
    for mask in masks:
        region = mask > 0
        rings = outlines(region, tolerance=0)
        assert all(len(ring) >= 6 for ring in rings)
        back = from_polygons(rings, region.shape).region()  # type: ignore[arg-type]
        np.testing.assert_array_equal(back, filled(region))


def test_the_largest_part_is_first_and_simple_outlines_are_near() -> None:
    region = np.zeros((120, 160), np.uint8)
    cv2.circle(region, (30, 30), 12, 1, -1)
    cv2.ellipse(region, (100, 70), (45, 30), 20, 0, 360, 1, -1)
    first, second = outlines(region > 0)
    assert len(first) < 60
    assert len(second) < 40
    assert 90 < np.mean(first[::2]) < 110
    back = from_polygons([first, second], (120, 160)).region()
    assert overlap(back, region > 0) > 0.97


def test_nothing_has_no_outline_and_one_pixel_has_one() -> None:
    region = np.zeros((5, 7), bool)
    assert outlines(region) == []
    region[4, 6] = True
    (ring,) = outlines(region)
    # round the pixel's centre, not on its corner
    assert (np.mean(ring[::2]), np.mean(ring[1::2])) == (6.5, 4.5)
    np.testing.assert_array_equal(from_polygons([ring], (5, 7)).region(), region)
