"""J and F against values worked out by hand, and laws that hold for any two masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vfx_matte.evaluate import boundary, boundary_f, iou, score

Bools = npt.NDArray[np.bool_]


def square(shape: tuple[int, int], top: int, left: int, side: int) -> Bools:
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def two_masks() -> st.SearchStrategy[tuple[Bools, Bools]]:
    shapes = st.tuples(st.integers(2, 24), st.integers(2, 24))
    return shapes.flatmap(lambda shape: st.tuples(hnp.arrays(bool, shape), hnp.arrays(bool, shape)))


def test_iou_of_shifted_squares() -> None:
    # 4×4 squares, two columns apart: 8 common pixels of 24.
    assert iou(square((10, 10), 2, 2, 4), square((10, 10), 2, 4, 4)) == pytest.approx(8 / 24)


def test_any_non_zero_value_is_foreground() -> None:
    mask = np.array([[0, 38, 255]], np.uint8)
    assert iou(mask, mask > 0) == 1


def test_empty_masks_agree_with_each_other_only() -> None:
    empty, full = np.zeros((8, 8), bool), square((8, 8), 2, 2, 3)
    assert score(empty, empty).mean == 1
    assert score(empty, full).mean == 0


def test_boundary_of_a_pixel_is_its_upper_left_corner() -> None:
    expected = np.zeros((4, 4), bool)
    expected[1:3, 1:3] = True
    expected_corner = square((4, 4), 2, 2, 1)
    assert np.array_equal(boundary(expected_corner), expected)


def test_edge_of_the_picture_is_no_boundary() -> None:
    assert not boundary(np.ones((5, 7), bool)).any()
    half = np.zeros((4, 6), bool)
    half[:, 3:] = True
    assert np.array_equal(np.flatnonzero(boundary(half).all(axis=0)), [2])
    assert boundary(half).sum() == 4


def test_boundary_f_tolerates_a_shift_within_the_radius_only() -> None:
    # Diagonal of 60×80 is 100, 0.8 px rounds up to 1 px.
    shape = (60, 80)
    truth = np.zeros(shape, bool)
    truth[:, 40:] = True
    assert boundary_f(np.roll(truth, 1, axis=1) & truth, truth) == 1
    shifted = truth.copy()
    shifted[:, 40:42] = False
    assert boundary_f(shifted, truth) == 0
    assert boundary_f(shifted, truth, tolerance=0.02) == 1


def test_boundary_f_is_the_harmonic_mean() -> None:
    # The truth is one vertical edge of 60 pixels; the mask has it and another one far away.
    truth = np.zeros((60, 80), bool)
    truth[:, 20:] = True
    mask = truth.copy()
    mask[:, 60:] = False
    assert boundary_f(mask, truth) == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(4, 4\).*\(4, 5\)"):
        iou(np.zeros((4, 4), bool), np.zeros((4, 5), bool))


@settings(deadline=None)
@given(two_masks())
def test_scores_are_symmetric_and_bounded(masks: tuple[Bools, Bools]) -> None:
    a, b = masks
    assert iou(a, b) == iou(b, a)
    assert boundary_f(a, b) == pytest.approx(boundary_f(b, a))
    assert 0 <= iou(a, b) <= 1
    assert 0 <= boundary_f(a, b) <= 1
    assert score(a, a).mean == 1
    assert (iou(a, b) == 1) == np.array_equal(a, b)
