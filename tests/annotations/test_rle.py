from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco
from support.annotated import masks_of_clips

from vfx_matte.annotations.records import compose
from vfx_matte.annotations.rle import (
    encode_objects,
    encode_region,
    from_crop,
    from_json,
    from_polygons,
    from_runs,
    to_crop,
)
from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask

# pycocotools of today says so about NumPy 2 when it decodes
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@given(masks_of_clips(ids=(0, 0, 1, 2, 255)))
def test_regions_are_what_pycocotools_makes_of_them(masks: list[Mask]) -> None:
    for mask in masks:
        found = encode_objects(mask)
        assert list(found) == [int(value) for value in np.unique(mask) if value]
        for object_id, region in found.items():
            theirs = coco.encode(np.asfortranarray(mask == object_id))
            assert region.to_json() == {
                "size": list(mask.shape),
                "counts": theirs["counts"].decode(),
            }
            np.testing.assert_array_equal(region.region(), mask == object_id)
            assert region.area == coco.area(theirs)
            assert region.box == tuple(coco.toBbox(theirs))
        np.testing.assert_array_equal(compose(mask.shape, list(found.items())), mask)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_large_regions_with_long_and_short_runs(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = np.zeros((300, 700), bool)
    for _ in range(4):
        y, x = random.integers(0, 300), random.integers(0, 700)
        mask[y : y + random.integers(1, 200), x : x + random.integers(1, 400)] ^= True
    mask ^= random.random(mask.shape) < random.choice([0, 0.001, 0.3])
    region = encode_region(mask)
    assert region.counts == coco.encode(np.asfortranarray(mask))["counts"].decode()
    np.testing.assert_array_equal(region.region(), mask)
    # the uncompressed form says the same
    assert from_json({"size": [300, 700], "counts": region.runs().tolist()}) == region
    assert from_json(region.to_json()) == region


@given(masks_of_clips(ids=(0, 1)))
def test_a_box_with_rows_as_cvat_has_them(masks: list[Mask]) -> None:
    for mask in masks:
        region = encode_region(mask == 1)
        if region.area:
            runs, (left, top, width, height) = to_crop(region)
            assert sum(runs) == width * height
            rows = (mask == 1)[top : top + height, left : left + width].reshape(-1)
            np.testing.assert_array_equal(np.repeat(np.arange(len(runs)) % 2 == 1, runs), rows)
            assert from_crop(runs, region.box, mask.shape) == region


def test_rows_may_end_before_the_last_pixels_outside() -> None:
    region = from_crop([1, 2], (1, 1, 2, 2), (4, 5))
    assert region.region().nonzero()[0].tolist() == [1, 2]
    assert region.region().nonzero()[1].tolist() == [2, 1]


def test_a_polygon_is_filled() -> None:
    region = from_polygons([[1, 1, 6, 1, 6, 4, 1, 4], [0, 7, 2, 7, 2, 8, 0, 8]], (10, 12))
    assert region.region()[1:4, 1:6].all()
    assert region.region()[7, :2].all()
    assert region.area == 17
    # a corner that lies light years outside costs no memory
    assert from_polygons([[0, 0, 1e300, 0, 1e300, 1e300, 0, 1e300]], (10, 12)).area == 120


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "expected size and counts"),
        ({"counts": "0"}, "expected \\[H, W\\]"),
        ({"size": [2], "counts": "0"}, "expected \\[H, W\\]"),
        ({"size": ["2", 2], "counts": "0"}, "expected \\[H, W\\]"),
        ({"size": [0, 2], "counts": "0"}, "expected \\[H, W\\]"),
        ({"size": [2, 2], "counts": None}, "expected text"),
        ({"size": [2, 2], "counts": [1, "3"]}, "expected text"),
        ({"size": [2, 2], "counts": [1, 2]}, "of 3 pixels do not fill a mask of 2×2"),
        ({"size": [2, 2], "counts": [-1, 5]}, "do not fill"),
        ({"size": [2, 2], "counts": ""}, "compressed run lengths are"),
        ({"size": [2, 2], "counts": "µ"}, "compressed run lengths are"),
        ({"size": [2, 2], "counts": "4T"}, "end in the middle"),
        ({"size": [2, 2], "counts": "5"}, "of 5 pixels do not fill"),
        ({"size": [2, 2], "counts": "T" * 12 + "1"}, "end in the middle"),
        ({"size": [2, 2], "counts": "O"}, "out of range"),
        ({"size": [10**9, 10**9], "counts": "0"}, "expected \\[H, W\\]"),
        ({"size": [10**8, 10**8], "counts": "0"}, "cannot be"),
    ],
)
def test_damaged_run_lengths_are_refused(data: object, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        from_json(data)


@given(st.text("".join(map(chr, range(48, 112))), max_size=30), st.integers(1, 20))
def test_any_text_is_a_region_or_refused(counts: str, side: int) -> None:
    try:
        region = from_json({"size": [side, side], "counts": counts})
    except MaskError:
        return
    assert region.region().shape == (side, side)
    theirs = coco.decode({"size": [side, side], "counts": region.counts.encode()})
    np.testing.assert_array_equal(theirs.astype(bool), region.region())


@pytest.mark.parametrize("polygon", [[1, 2, 3, 4], [1, 2, 3, 4, 5], ["a"] * 6, [float("nan")] * 6])
def test_what_is_no_polygon_is_refused(polygon: list[float]) -> None:
    with pytest.raises(MaskError, match="is none"):
        from_polygons([polygon], (4, 4))


def test_a_box_outside_of_the_picture_is_refused() -> None:
    with pytest.raises(MaskError, match="does not lie inside of 5×4"):
        from_crop([4], (4, 0, 2, 2), (4, 5))
    with pytest.raises(MaskError, match="do not fill"):
        from_crop([4, 3], (0, 0, 2, 2), (4, 5))
    with pytest.raises(MaskError, match="do not fill"):
        from_runs((4, 5), [])
