"""Two walks' results are kept small, trusted by distance, drift and certainty, and mixed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vfx_matte.propagate import blend as meeting
from vfx_matte.propagate.blend import (
    Spool,
    backward_share,
    blend,
    certainties,
    drifts,
    pack,
    unpack,
)
from vfx_matte.propagate.driver import harden

SHARES = st.floats(0, 1)


def result(place: int, value: float = 1.0) -> np.ndarray:
    """One object, 4×4 pixels at column `place` of 8×32."""
    probabilities = np.zeros((2, 8, 32), np.float32)
    probabilities[1, 2:6, place : place + 4] = value
    probabilities[0] = 1 - probabilities[1]
    return probabilities


@given(arrays(np.float32, (2, 7, 9), elements=st.floats(0, 0.5, width=32)))
def test_packing_keeps_a_255th(objects: np.ndarray) -> None:
    probabilities = np.concatenate([1 - objects.sum(axis=0, keepdims=True), objects])
    again = unpack(pack(3, probabilities, (1.0, 1.0)))
    assert np.abs(again - probabilities).max() <= 1.01 / 255
    assert again.sum(axis=0) == pytest.approx(np.ones((7, 9)), abs=1e-5)


def test_nothing_is_packed_into_next_to_nothing() -> None:
    packed = pack(0, result(0, 0.0), (0.0,))
    assert packed.size < 20
    assert not unpack(packed)[1].any()


def test_a_spool_gives_up_its_earliest(monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool()
    monkeypatch.setattr(meeting, "SPOOL_BYTES", 3 * pack(0, result(0), (1.0,)).size)
    evicted = [
        one.frame_index
        for index in range(5)
        for one in spool.put(index, result(0), harden(result(0)))
    ]
    assert evicted == [0, 1]
    assert (len(spool), spool.first) == (3, 2)
    assert spool.take(5) is None
    assert [one.frame_index for one in (spool.take(index) for index in (4, 2)) if one] == [4, 2]
    assert len(spool) == 0, "3 was passed over"
    assert not list(spool.put(9, result(0), harden(result(0))))


def test_an_object_that_is_nowhere_is_not_certain() -> None:
    assert certainties(result(0), harden(result(0))) == (1.0,)
    assert certainties(result(0, 0.0), harden(result(0, 0.0))) == (0.0,)


def test_drift_is_what_is_lost_of_each_object_that_the_reference_shows() -> None:
    arrived, reference = harden(result(2)), harden(result(0))
    assert drifts(arrived, reference) == {1: pytest.approx(1 - 8 / 24)}
    assert drifts(np.full((8, 32), 2, np.uint8), reference) == {1: 1.0}


@example(
    0.7586954357125584, 2.220446049250313e-16, 0.375
)  # doubt that a half of it leaves as it is
@given(st.floats(0.05, 0.95), SHARES, SHARES)
def test_a_surer_or_nearer_result_counts_more(nearness: float, one: float, two: float) -> None:
    share = backward_share(nearness, (one, two), None)
    assert 0 <= share <= 1
    rounding = 1e-12
    assert share <= backward_share(nearness + 0.05, (one, two), None) + rounding
    assert share <= backward_share(nearness, (one / 2, two), None) + rounding
    assert share >= backward_share(nearness, (one, two / 2), None) - rounding
    assert share >= backward_share(nearness, (one, two), 0.0) - rounding
    assert share <= backward_share(nearness, (one, two), 1.0) + rounding


def test_equal_walks_meet_in_the_middle() -> None:
    assert backward_share(0.5, (0.8, 0.8), None) == pytest.approx(0.5)
    assert backward_share(0.5, (0.8, 0.8), meeting.USUAL_DRIFT) == pytest.approx(0.5)
    assert backward_share(0.5, (0.0, 0.8), None) > 0.9


def test_blending_by_hand() -> None:
    mixed = blend(result(0), result(8, 0.5), {1: 0.25})
    assert mixed[1, 3, 1] == pytest.approx(0.75)
    assert mixed[1, 3, 9] == pytest.approx(0.125)
    assert mixed.sum(axis=0) == pytest.approx(np.ones((8, 32)))


def test_an_object_that_neither_walk_knows_is_left_out() -> None:
    assert not blend(result(0), result(8), {})[1].any()
