"""J and F against values worked out by hand, and laws that hold for any two masks."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vfx_matte.errors import UsageError
from vfx_matte.masks import Mask
from vfx_matte.measure.accuracy import (
    FrameScore,
    MaskPair,
    MaskScore,
    Statistics,
    Summary,
    boundary,
    boundary_f,
    region_similarity,
    score,
    score_sequence,
    unscored_frames,
)

Bools = npt.NDArray[np.bool_]
Pixels = set[tuple[int, int]]


def square(shape: tuple[int, int], top: int, left: int, side: int) -> Bools:
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def two_masks() -> st.SearchStrategy[tuple[Bools, Bools]]:
    shapes = st.tuples(st.integers(2, 24), st.integers(2, 24))
    return shapes.flatmap(lambda shape: st.tuples(hnp.arrays(bool, shape), hnp.arrays(bool, shape)))


def test_iou_of_shifted_squares() -> None:
    # 4×4 squares, two columns apart: 8 common pixels of 24.
    assert region_similarity(square((10, 10), 2, 2, 4), square((10, 10), 2, 4, 4)) == pytest.approx(
        8 / 24
    )


def test_any_non_zero_value_is_foreground() -> None:
    mask = np.array([[0, 38, 255]], np.uint8)
    assert region_similarity(mask, mask > 0) == 1


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
        region_similarity(np.zeros((4, 4), bool), np.zeros((4, 5), bool))


@given(two_masks())
def test_scores_are_symmetric_and_bounded(masks: tuple[Bools, Bools]) -> None:
    a, b = masks
    assert region_similarity(a, b) == region_similarity(b, a)
    assert boundary_f(a, b) == pytest.approx(boundary_f(b, a))
    assert 0 <= region_similarity(a, b) <= 1
    assert 0 <= boundary_f(a, b) <= 1
    assert score(a, a).mean == 1
    assert (region_similarity(a, b) == 1) == np.array_equal(a, b)


# ---------------------------------------------------------------- the boundary measure, told once
# more in another way


def pixels(mask: npt.NDArray[np.bool_]) -> Pixels:
    return {(int(y), int(x)) for y, x in np.argwhere(mask)}


def edge_pixels(mask: Bools) -> Pixels:
    """Every pixel one of whose three later neighbours, where there is one, is of the other kind."""
    found = np.zeros(mask.shape, bool)
    found[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    found[:-1] |= mask[:-1] != mask[1:]
    found[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return pixels(found)


def f_by_disks(mask: Bools, truth: Bools, radius: int) -> float:
    """The DAVIS measure with its structuring element, the disk x² + y² ≤ r², laid around every
    boundary pixel.
    """
    disk = [
        (y, x)
        for y, x in itertools.product(range(-radius, radius + 1), repeat=2)
        if y * y + x * x <= radius * radius
    ]
    mine, true = edge_pixels(mask), edge_pixels(truth)
    grown_mine, grown_true = (
        {(y + v, x + u) for y, x in edges for v, u in disk} for edges in (mine, true)
    )
    # where only one side has a boundary one ratio is 1 and the other 0, where none has both are 1
    precision = len(mine & grown_true) / len(mine) if mine else 1.0
    recall = len(true & grown_mine) / len(true) if true else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@given(two_masks(), st.sampled_from([0.008, 0.1, 0.25, 0.6]))
def test_boundary_f_is_that_of_davis(masks: tuple[Bools, Bools], tolerance: float) -> None:
    a, b = masks
    radius = math.ceil(tolerance * math.sqrt(a.shape[0] ** 2 + a.shape[1] ** 2))
    assert pixels(boundary(a)) == edge_pixels(a)
    assert boundary_f(a, b, tolerance=tolerance) == pytest.approx(f_by_disks(a, b, radius))


@pytest.mark.parametrize("shape", [(120, 160), (300, 400), (33, 170)])
def test_boundary_f_of_blobs_at_real_tolerances(shape: tuple[int, int]) -> None:
    """Radii of 2, 4 and 2 pixels; blobs in the middle, over the edge of the picture and in its
    corner.
    """
    y, x = np.mgrid[: shape[0], : shape[1]]
    truth = (x / shape[1] - 0.4) ** 2 + (y / shape[0] - 0.5) ** 2 < 0.09
    radius = math.ceil(0.008 * math.hypot(*shape))
    values = set()
    for dx, dy in ((0.0, 0.01), (0.02, 0.0), (0.5, 0.1), (0.6, 0.5)):
        mask = (x / shape[1] - 0.4 - dx) ** 2 + (y / shape[0] - 0.5 - dy) ** 2 < 0.09
        expected = f_by_disks(mask, truth, radius)
        assert boundary_f(mask, truth) == pytest.approx(expected)
        values.add(round(expected, 3))
    assert len(values) >= 3, "the cases differ"


def test_a_mask_of_the_whole_picture_has_no_boundary() -> None:
    full, part = np.ones((20, 30), bool), square((20, 30), 4, 4, 8)
    assert boundary_f(full, full) == boundary_f(full, ~full) == 1
    assert boundary_f(full, part) == boundary_f(part, full) == 0


@given(st.integers(4, 20), st.integers(0, 19))
def test_the_farther_a_square_is_the_smaller_j_and_f(side: int, shift: int) -> None:
    shape = (40, 80)
    truth = square(shape, 10, 10, side)
    near, far = (score(square(shape, 10, 10 + moved, side), truth) for moved in (shift, shift + 1))
    assert near.region >= far.region
    if 2 * shift + 4 < side:
        # farther away the left edge of one comes near the right edge of the other
        assert near.boundary >= far.boundary
    assert near.region == pytest.approx(max(side - shift, 0) / (side + min(shift, side)))


# ---------------------------------------------------------------- pixels that do not count


def test_void_pixels_are_in_neither_mask() -> None:
    shape = (20, 30)
    truth, mask, void = square(shape, 4, 4, 8), square(shape, 4, 4, 8), np.zeros(shape, bool)
    mask[15:, 20:] = True
    assert region_similarity(mask, truth) == pytest.approx(64 / 114)
    void[14:, 19:] = True
    assert score(mask, truth, void=void) == MaskScore(1, 1)
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        region_similarity(mask, truth, void=np.zeros((3, 3), bool))


@given(two_masks(), st.integers(0, 99))
def test_void_is_the_same_as_background_on_both_sides(
    masks: tuple[Bools, Bools], seed: int
) -> None:
    a, b = masks
    void = np.random.default_rng(seed).random(a.shape) < 0.3
    assert score(a, b, void=void) == score(a & ~void, b & ~void)


# ---------------------------------------------------------------- over frames


def test_statistics_by_hand() -> None:
    # Nine values: the quarters' edges are values 0, 2, 4, 6 and 8, so that the first three count
    # against the last three.
    found = Statistics.of([0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.4, 0.3, 0.2])
    assert found.mean == pytest.approx(4.9 / 9)
    assert found.recall == pytest.approx(4 / 9), "0.5 itself is not above 0.5"
    assert found.decay == pytest.approx(0.8 - 0.3)
    assert Statistics.of([0.7]) == Statistics(0.7, 1, 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=600))
def test_decay_is_that_of_davis(values: list[float]) -> None:
    """Its quarters, counted from 1: linspace(1, n, 5) rounded to the nearest, halves up; both edges
    belong to a quarter.
    """
    edges = [int(edge + 0.5 + 1e-10) for edge in np.linspace(1, len(values), 5)]
    first, last = values[edges[0] - 1 : edges[1]], values[edges[3] - 1 : edges[4]]
    found = Statistics.of(values)
    assert found.decay == pytest.approx(np.mean(first) - np.mean(last))
    assert found.recall == pytest.approx(np.mean(np.array(values) > 0.5))
    assert min(values) - 1e-9 <= found.mean <= max(values) + 1e-9


def test_which_frames_do_not_count() -> None:
    frames = [3, 4, 5, 9]
    assert unscored_frames(frames, references=(), protocol="all") == frozenset()
    assert unscored_frames(frames, references=(4,), protocol="all") == {4}
    assert unscored_frames(frames, references=(4,), protocol="davis") == {3, 4, 9}
    with pytest.raises(ValueError, match="'2016'"):
        unscored_frames(frames, references=(), protocol="2016")  # type: ignore[arg-type]


def ids(*columns: int, shape: tuple[int, int] = (12, 12)) -> Mask:
    """A mask with object k in the columns [columns[k - 1], columns[k - 1] + 2)."""
    mask = np.zeros(shape, np.uint8)
    for object_id, column in enumerate(columns, start=1):
        if column >= 0:
            mask[2:8, column : column + 2] = object_id
    return mask


def test_a_sequence_by_hand() -> None:
    """Object 1 is found, half found and lost; object 2 is to be seen on frame 7 alone, where it is
    not found.
    """
    truths = {5: ids(1), 6: ids(1), 7: ids(1, 6), 8: ids(1)}
    guesses = {5: ids(1), 6: ids(2), 7: ids(1), 8: ids()}
    pairs = [MaskPair(index, guesses[index], truths[index]) for index in (8, 5, 7, 6)]
    found = score_sequence(pairs, name="dog", unscored={5, 77})
    assert (found.name, found.scored_frames, found.only_predicted, found.only_true) == (
        "dog",
        3,
        (),
        (2,),
    )
    assert [(one.frame_index, one.object_id) for one in found.frames] == list(
        itertools.product((5, 6, 7, 8), (1, 2))
    )
    assert [one.score.region if one.score else None for one in found.frames] == [
        None,
        None,
        pytest.approx(1 / 3),
        1,
        1,
        0,
        0,
        1,
    ]
    assert found.frames[0] == FrameScore(5, 1, None)
    first, second = (one.summary for one in found.objects)
    assert first.region == Statistics(
        pytest.approx(4 / 9), pytest.approx(1 / 3), pytest.approx((1 / 3 + 1) / 2 - 0)
    )
    assert second.region.mean == second.boundary.mean == pytest.approx(2 / 3)
    assert found.summary.region.mean == pytest.approx((4 / 9 + 2 / 3) / 2)
    assert found.summary.mean == pytest.approx((first.mean + second.mean) / 2)
    assert Summary.mean_of([first]) == first


def test_an_object_that_only_the_prediction_shows_has_no_score() -> None:
    found = score_sequence([MaskPair(0, ids(1, 6), ids(1)), MaskPair(1, ids(1), ids(1))])
    assert [one.object_id for one in found.objects] == [1]
    assert found.only_predicted == (2,)
    assert found.summary.mean == 1


def test_the_order_of_frames_does_not_matter() -> None:
    pairs = [MaskPair(index, ids(1 + index), ids(1, 8 if index == 4 else -1)) for index in range(6)]
    expected = score_sequence(pairs)
    assert len({one.score for one in expected.frames}) > 3
    assert all(score_sequence(order) == expected for order in (pairs[::-1], pairs[3:] + pairs[:3]))


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"no frame of dog is left to score: 1 given"):
        score_sequence([MaskPair(3, ids(1), ids(1))], name="dog", unscored=[3])
    with pytest.raises(UsageError, match="shows no object"):
        score_sequence([MaskPair(3, ids(1), ids())])


def test_pairs_check_themselves() -> None:
    with pytest.raises(ValueError, match=r"\(12, 12\).*\(12, 14\)"):
        MaskPair(0, ids(1), ids(1, shape=(12, 14)))
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        MaskPair(0, ids(1), ids(1), np.zeros((2, 2), bool))


def test_masks_are_let_go() -> None:
    alive: set[int] = set()
    most = 0

    def pairs() -> Iterator[MaskPair]:
        nonlocal most
        for index in range(40):
            mask = ids(1 + index % 8)
            alive.add(index)
            weakref.finalize(mask, alive.discard, index)
            most = max(most, len(alive))
            yield MaskPair(index, mask, ids(3))

    assert score_sequence(pairs()).scored_frames == 40
    assert most <= 2
