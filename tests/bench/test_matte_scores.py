"""evaluate.matte against values worked out by hand, and properties that every error measure has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.matte_scores import (
    MatteTally,
    color_error,
    color_mse,
    connectivity_error,
    flicker,
    gradient_error,
    mse,
    sad,
)

alphas = arrays(np.float64, (7, 9), elements=st.integers(0, 20).map(lambda value: value / 20))


def test_sad_and_mse_by_hand() -> None:
    alpha, truth = np.array([[0.0, 0.5], [1.0, 0.25]]), np.array([[0.25, 0.5], [0.0, 1.0]])
    assert sad(alpha, truth) == pytest.approx((0.25 + 0 + 1 + 0.75) / 1000)
    assert mse(alpha, truth) == pytest.approx((0.0625 + 0 + 1 + 0.5625) / 4)
    where = np.array([[True, True], [False, True]])
    assert sad(alpha, truth, where=where) == pytest.approx(0.001)
    assert mse(alpha, truth, where=where) == pytest.approx((0.0625 + 0.5625) / 3)


def test_the_gradient_of_a_slope_is_that_of_the_stated_kernel() -> None:
    """On a ramp alpha = x / 100 the response is known: the sum over x of slope·x, times the sum of
    the Gaussian.
    """
    sigma = 1.4
    reach = math.ceil(sigma * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * sigma * 0.01)))
    assert reach == 4
    x = range(-reach, reach + 1)
    bell = [math.exp(-(at**2) / (2 * sigma**2)) for at in x]
    slope = [at * value for at, value in zip(x, bell, strict=True)]
    norm = math.sqrt(sum(value**2 for value in bell)) * math.sqrt(sum(value**2 for value in slope))
    expected = sum(bell) * sum(at * value for at, value in zip(x, slope, strict=True)) / 100 / norm
    ramp = np.tile(np.arange(60) / 100, (40, 1))
    inner = np.zeros(ramp.shape, bool)
    inner[10, 20] = True
    assert gradient_error(ramp, np.zeros_like(ramp), where=inner) == pytest.approx(
        expected**2 / 1000, rel=1e-9
    )
    inner[10, 21] = True
    assert gradient_error(ramp, np.zeros_like(ramp), where=inner) == pytest.approx(
        2 * expected**2 / 1000, rel=1e-9
    )


def test_gradient_error_is_blind_to_direction_but_not_to_sharpness() -> None:
    edge = np.zeros((40, 40))
    edge[:, 20:] = 1
    assert gradient_error(1 - edge, edge) == pytest.approx(0, abs=1e-12)
    blurred = np.tile(np.clip((np.arange(40) - 15) / 10, 0, 1), (40, 1))
    assert gradient_error(blurred, edge) > 0.01


def test_connectivity_by_hand() -> None:
    """A loose pixel of alpha 0.6 has no connection from the lowest threshold on: its degree is 1 -
    0.6.
    """
    truth = np.zeros((5, 9))
    truth[:, :4] = 1
    alpha = truth.copy()
    alpha[2, 6] = 0.6
    assert connectivity_error(alpha, truth) == pytest.approx(0.6 / 1000)
    # within the tolerance of 0.15 it counts as connected
    alpha[2, 6] = 0.14
    assert connectivity_error(alpha, truth) == 0
    # attached at 0.6: connected up to 0 only, because the truth is 0 there
    alpha[2, 6], alpha[2, 4] = 0, 0.6
    assert connectivity_error(alpha, truth) == pytest.approx(0.6 / 1000)


def test_connectivity_counts_from_the_level_both_still_share() -> None:
    """Both have a bridge pixel, 0.75 and 0.4: shared up to 0.4, so one is 0.35 above, which is
    beyond the tolerance.
    """
    truth = np.zeros((3, 6))
    truth[:, :3] = 1
    truth[1, 3] = 0.4
    alpha = truth.copy()
    alpha[1, 3] = 0.75
    assert connectivity_error(alpha, truth) == pytest.approx(0.35 / 1000)


def test_flicker_is_the_wrong_part_of_a_change() -> None:
    truth = [np.zeros((2, 2)), np.full((2, 2), 0.5)]
    still = [np.zeros((2, 2)), np.zeros((2, 2))]
    assert flicker((truth[0], truth[0]), (truth[1], truth[1])) == 0
    assert flicker((still[0], truth[0]), (still[1], truth[1])) == pytest.approx(50)
    # wrong by as much on both frames does not flicker
    off = [
        np.full((2, 2), 0.3),
        np.full((2, 2), 0.8),
    ]
    assert flicker((off[0], truth[0]), (off[1], truth[1])) == pytest.approx(0, abs=1e-12)
    one = np.array([[0.9, 0.5], [0.5, 0.5]])
    assert flicker((truth[0], truth[0]), (one, truth[1])) == pytest.approx(
        100 * math.sqrt(0.16 / 4)
    )


def test_colour_errors_by_hand() -> None:
    ours, truth = np.zeros((1, 2, 3)), np.zeros((1, 2, 3))
    ours[0, 0] = (3, 0, 6)
    assert color_error(ours, truth) == pytest.approx(9 / 6)
    assert color_mse(ours, truth) == pytest.approx(45 / 6)
    assert color_error(ours, truth, where=np.array([[False, True]])) == 0


def test_a_tally_is_the_mean_of_its_frames() -> None:
    truth = [np.zeros((4, 4)), np.full((4, 4), 0.5), np.ones((4, 4))]
    alpha = [np.full((4, 4), 0.25), np.full((4, 4), 0.5), np.full((4, 4), 0.5)]
    tally = MatteTally()
    for one, other in zip(alpha, truth, strict=True):
        tally.add(one, other, composite=(np.full((4, 4, 3), 2.0), np.zeros((4, 4, 3))))
    score = tally.score()
    assert score.sad == pytest.approx(16 * (0.25 + 0 + 0.5) / 3 / 1000)
    assert score.mse == pytest.approx((0.0625 + 0 + 0.25) / 3)
    assert score.flicker == pytest.approx((25 + 50) / 2)
    assert (score.color, score.color_mse) == (2, 4)
    with pytest.raises(ValueError, match="no frame"):
        MatteTally().score()


def test_a_tally_does_not_notice_when_arrays_are_used_again() -> None:
    tally, alpha = MatteTally(), np.zeros((4, 4))
    tally.add(alpha, np.zeros((4, 4)))
    alpha += 0.5
    tally.add(alpha, np.zeros((4, 4)))
    assert tally.score().flicker == pytest.approx(50)


@given(alphas)
def test_the_truth_itself_has_no_error(alpha: np.ndarray) -> None:
    for measure in (sad, mse, gradient_error, connectivity_error):
        assert measure(alpha, alpha.copy()) == 0


@pytest.mark.slow
@given(alphas, alphas)
def test_errors_are_symmetric_and_above_zero(alpha: np.ndarray, truth: np.ndarray) -> None:
    for measure in (sad, mse, gradient_error, connectivity_error):
        assert measure(alpha, truth) >= 0
        assert measure(alpha, truth) == pytest.approx(measure(truth, alpha), abs=1e-12)
        if measure is not connectivity_error:  # among largest pieces of one size it takes the first
            assert measure(alpha[:, ::-1], truth[:, ::-1]) == pytest.approx(
                measure(alpha, truth), abs=1e-9
            )


def test_shapes_have_to_fit() -> None:
    for measure in (sad, mse, gradient_error, connectivity_error):
        with pytest.raises(ValueError, match="expected one shape"):
            measure(np.zeros((3, 4)), np.zeros((4, 3)))
