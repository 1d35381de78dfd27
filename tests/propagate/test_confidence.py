"""The expected overlap: arithmetic by hand, its range, and that it falls when a result gets
vaguer.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vfx_matte.propagate.confidence import expected_overlap
from vfx_matte.propagate.driver import harden


def with_background(*objects: np.ndarray) -> np.ndarray:
    layers = np.stack(objects).astype(np.float32)
    return np.concatenate([1 - layers.sum(axis=0, keepdims=True), layers])


def test_by_hand() -> None:
    probability = np.zeros((4, 4))
    probability[0] = 0.9  # 4 pixels in the mask
    probability[1] = 0.2  # 4 outside of it
    result = with_background(probability)
    assert expected_overlap(result, harden(result)) == pytest.approx([3.6 / (4 + 0.8)])


def test_certain_masks_and_certain_absence_are_one() -> None:
    mask = np.zeros((30, 40), np.uint8)
    mask[5:9, 5:9] = 2
    result = with_background(np.zeros((30, 40)), mask == 2)
    assert expected_overlap(result, mask) == (1.0, 1.0)


def test_an_object_that_is_nowhere_but_possible_is_doubted() -> None:
    result = with_background(np.full((30, 40), 0.4))
    assert expected_overlap(result, harden(result)) == (0.0,)


def test_large_pictures_give_the_same_as_small_ones() -> None:
    x = np.linspace(-4, 4, 480)
    probability = 1 / (1 + np.exp(2 * (x[None] ** 2 + x[:, None] ** 2 - 4)))
    small = with_background(probability)
    large = with_background(np.kron(probability, np.ones((4, 4))))
    assert expected_overlap(large, harden(large)) == pytest.approx(
        expected_overlap(small, harden(small)), abs=0.01
    )


@given(hnp.arrays(np.float32, (2, 6, 7), elements=st.floats(0, 0.5, width=32)), st.floats(0, 1))
def test_between_zero_and_one_and_lower_when_vaguer(objects: np.ndarray, vaguer: float) -> None:
    result = with_background(*objects)
    mask = harden(result)
    values = expected_overlap(result, mask)
    assert all(0 <= value <= 1 for value in values)
    inside = mask == 1
    blurred = result.copy()
    blurred[1] = np.where(inside, result[1] * (1 - vaguer), result[1])
    if inside.any():
        assert expected_overlap(blurred, mask)[0] <= values[0] + 1e-6
