"""Tracked frames as tools take them: run lengths that are the mask to the pixel, and polygons."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.labelling_server import region_of

from vfx_matte.masks import Mask
from vfx_matte.pipeline.tracking import TrackedFrame, object_polygons, object_results


@given(
    mask=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12),
                       elements=st.sampled_from([0, 0, 1, 7, 255])),
    confidence=st.floats(0, 1),
)  # fmt: skip
def test_run_lengths_are_the_mask_read_without_pycocotools(mask: Mask, confidence: float) -> None:
    ids = (1, 7, 255)
    results = object_results(TrackedFrame(4, mask, dict.fromkeys(ids, confidence)))
    assert tuple(one.id for one in results) == ids
    for one in results:
        region = mask == one.id
        assert one.rle["size"] == list(mask.shape)
        assert np.array_equal(region_of(one.rle), region)
        assert one.area == region.sum()
        ys, xs = np.nonzero(region)
        box = (0, 0, 0, 0)
        if len(xs):
            box = (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1)
        assert one.box == box
        assert one.confidence == pytest.approx(confidence, abs=1e-4)


def test_polygons_are_near_the_mask_and_have_no_specks() -> None:
    mask = np.zeros((120, 160), np.uint8)
    cv2.circle(mask, (60, 60), 40, 2, -1)
    cv2.circle(mask, (130, 20), 8, 2, -1)
    mask[100, 150] = 2  # a speck
    fine, coarse = (object_polygons(mask, 2, fineness=one) for one in (0.0, 0.02))
    assert [len(fine), len(coarse)] == [2, 2]
    assert len(coarse[0]) < len(fine[0])
    drawn = np.zeros_like(mask)
    for ring in fine:
        cv2.fillPoly(drawn, [np.floor(np.array(ring)).astype(np.int32)], 2)
    mask[100, 150] = 0
    both = (drawn == 2) & (mask == 2)
    assert both.sum() / ((drawn == 2) | (mask == 2)).sum() > 0.95
    assert object_polygons(mask, 3) == []
