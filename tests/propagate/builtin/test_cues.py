"""Each cue against a value worked out by hand or by the definition, slowly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfx_matte.masks import overlap
from vfx_matte.propagate.builtin import cues
from vfx_matte.propagate.builtin import propagator as builtin
from vfx_matte.propagate.builtin.cues import GuidedFilter, Plate, Pose
from vfx_matte.propagate.builtin.window import Box


def test_local_ratio_is_zero_where_nothing_was_seen_and_signed_elsewhere() -> None:
    inside, outside = np.array([[[0, 9, 0]]], np.float32), np.array([[[0, 0, 9]]], np.float32)
    ratio = cues.local_ratio(inside, outside, 1.5, 64)[0, 0]
    little = 0.02 * 64 / (2 * np.pi * 1.5**2)
    assert ratio == pytest.approx(
        [0, np.log((9 + little) / little), -np.log((9 + little) / little)], rel=1e-5
    )


def test_global_ratio_compares_classes_of_any_size() -> None:
    ratio = cues.global_ratio(np.array([1, 1], np.float32), np.array([900, 100], np.float32))
    assert ratio == pytest.approx([np.log(0.51 / 0.91), np.log(0.51 / 0.11)], rel=1e-4)
    assert np.isfinite(cues.global_ratio(np.zeros(2, np.float32), np.ones(2, np.float32))).all()


def test_pose_and_relative_positions() -> None:
    mask = np.zeros((20, 30), np.float32)
    mask[4:8, 10:14] = 1
    pose = cues.pose_of(mask)
    assert pose == (11.5, 5.5, 16)
    then = Pose(4.0, 3.0, 4.0)
    # Twice as large now, so one cell here is half a cell there; the centroids fall together.
    rows, columns = cues.relative_positions(
        (np.array([[5.5], [7.5]]), np.array([[11.5, 12.5]])), pose, then, (1.0, 1.0)
    )
    assert rows[:, 0] == pytest.approx([3, 4])
    assert columns[0] == pytest.approx([4, 4.5])
    assert cues.pose_of(np.zeros((3, 3), np.float32)).area == 0


def test_affine_flow_ignores_outliers() -> None:
    rows, columns = np.mgrid[0:80, 0:100].astype(np.float32)
    true = np.dstack([1 + 0.02 * columns - 0.01 * rows, -2 + 0.03 * rows])
    flow = true.copy()
    flow[:20, :20] += 30
    fitted = cues.affine_fit(flow, np.ones((80, 100), np.float32)).everywhere(Box.whole(flow.shape))
    assert np.abs(fitted - true)[30:, 30:].max() < 0.1


def test_affine_flow_of_nothing_is_rest() -> None:
    flow = np.ones((32, 32, 2), np.float32)
    fitted = cues.affine_fit(flow, np.zeros((32, 32), np.float32))
    assert not fitted.everywhere(Box.whole(flow.shape)).any()


def test_smooth_flow_keeps_classes_apart() -> None:
    flow = np.zeros((64, 64, 2), np.float32)
    flow[:, 32:, 0] = 8
    right = np.zeros((64, 64), np.float32)
    right[:, 32:] = 1
    smooth = cues.smooth_flow(flow, np.stack([1 - right, right]), (8, 8))
    assert smooth.shape == (2, 8, 8, 2)
    assert np.abs(smooth[0]).max() < 0.01
    assert np.abs(smooth[1, ..., 0] - 8).max() < 0.01


def test_motion_surprise_is_measured_against_the_usual_residual() -> None:
    flow = np.zeros((1, 40, 2), np.float32)
    flow[0, :, 0] = 2.0
    flow[0, 0, 0] = 8.0
    still, members = np.zeros_like(flow), np.ones((1, 40), bool)
    surprise = cues.motion_surprise(flow, still, members)[0]
    assert surprise[1:] == pytest.approx(np.log(1.25))  # σ is 2 px, the median
    assert surprise[0] == pytest.approx(np.log(5))
    nearly = cues.motion_surprise(flow / 100, still, members)[0]
    assert nearly[0] == pytest.approx(np.log1p(0.08**2))  # never below half a pixel


def test_motion_speaks_for_the_object_where_it_moves_alone_and_against_a_leak() -> None:
    flow = np.zeros((64, 96, 2), np.float32)
    prior = np.zeros((64, 96), np.float32)
    prior[16:48, 16:64] = 1
    flow[16:48, 16:48, 0] = 6  # the mask has leaked: a third of it lies still
    background = cues.motion_surprise(flow, np.zeros_like(flow), prior < 0.5)
    smooth = np.zeros_like(flow)
    smooth[:, :48, 0] = 6
    here, whole = cues.motion_evidence(flow, prior, smooth, background)
    assert here[32, 24] > 3
    assert whole[32, 24] == 0
    assert whole[32, 60] < -2
    assert whole[32, 60] < here[32, 60]
    assert whole.max() == 0


@given(offset=st.floats(-3, 3), spread=st.floats(0.1, 3))
def test_size_is_kept_near_the_warped_mask(offset: float, spread: float) -> None:
    random = np.random.default_rng(7)
    prior = np.zeros((60, 90), np.float32)
    prior[20:40, 30:60] = 1
    near = np.ones(prior.shape, bool)
    evidence = (
        np.where(prior > 0, 2, -2) + offset + spread * random.standard_normal(prior.shape)
    ).astype(np.float32)
    kept = cues.limit_growth(evidence, prior, near)
    shift = kept - evidence
    assert float(np.ptp(shift)) < 1e-5
    assert abs(float(shift[0, 0])) <= cues.MAX_SHIFT
    before, after = (float(cues.sigmoid(1.5 * one).sum()) for one in (evidence, kept))
    low, high = cues.SHRINKAGE * prior.sum(), cues.GROWTH * prior.sum()
    if low < 0.9 * before < 1.1 * before < high:
        assert shift[0, 0] == 0
    elif before > 1.1 * high:
        assert shift[0, 0] < 0
    elif before < 0.9 * low:
        assert shift[0, 0] > 0
    if shift[0, 0] and abs(float(shift[0, 0])) < 0.9 * cues.MAX_SHIFT:
        assert after == pytest.approx(high if before > high else low, rel=0.15)


def test_distance_is_positive_inside() -> None:
    prior = np.zeros((40, 40), np.float32)
    prior[10:30, 10:30] = 1
    evidence = cues.distance_evidence(*cues.edge_distances(prior))
    assert evidence[20, 20] > 1
    assert evidence[20, 5] < 0
    assert np.abs(evidence).max() <= 3


def test_plate_tells_what_is_new_and_nothing_where_it_is_unknown() -> None:
    lab = np.full((24, 24, 3), 100, np.uint8)
    clear = np.ones((24, 24), bool)
    clear[:, 16:] = False
    plate = Plate.empty((24, 24)).updated(lab, clear)
    other = lab.copy()
    other[4:12, 4:12] = 160
    difference = plate.difference(other)
    assert difference[8, 8] == pytest.approx(
        np.log1p(150 / 2) - 0.6 if np.log1p(150 / 2) < 3 else 2.4
    )
    assert difference[20, 4] == pytest.approx(-0.6)
    assert not difference[:, 16:].any()


def test_plate_forgives_a_shift_of_two_pixels() -> None:
    lab = np.full((24, 24, 3), 100, np.uint8)
    lab[:, 12:] = 180
    plate = Plate.empty((24, 24)).updated(lab, np.ones((24, 24), bool))
    assert plate.difference(np.roll(lab, 2, axis=1))[:, 5:20].max() == pytest.approx(-0.6)


def test_plate_averages_what_it_knows_and_travels() -> None:
    dark, light = (np.full((16, 16, 3), value, np.uint8) for value in (100, 120))
    clear = np.ones((16, 16), bool)
    plate = Plate.empty((16, 16)).updated(dark, clear).updated(light, clear)
    assert (plate.lab == 110).all()
    moved = plate.warped(np.full((16, 16, 2), (-4, 0), np.float32))
    assert not moved.known[:, :4].any()
    assert moved.known[:, 4:].all()


def test_guided_filter_is_the_window_by_window_regression() -> None:
    random = np.random.default_rng(3)
    guide = random.integers(0, 255, (12, 13, 3)).astype(np.uint8)
    picture = random.random((12, 13)).astype(np.float32)
    radius, epsilon = 1, 40.0
    slope, offset = np.zeros((12, 13, 3)), np.zeros((12, 13))
    for row in range(1, 11):
        for column in range(1, 12):
            window = np.s_[row - 1 : row + 2, column - 1 : column + 2]
            colors, values = guide[window].reshape(-1, 3).astype(float), picture[window].reshape(-1)
            covariance = np.cov(colors.T, bias=True) + epsilon * np.eye(3)
            cross = (colors * values[:, None]).mean(axis=0) - colors.mean(axis=0) * values.mean()
            slope[row, column] = np.linalg.solve(covariance, cross)
            offset[row, column] = values.mean() - slope[row, column] @ colors.mean(axis=0)
    filtered = GuidedFilter(guide, radius_px=radius, epsilon=epsilon)(picture)
    for row in range(2, 10):
        for column in range(2, 11):
            window = np.s_[row - 1 : row + 2, column - 1 : column + 2]
            expected = slope[window].mean(axis=(0, 1)) @ guide[row, column] + offset[window].mean()
            assert filtered[row, column] == pytest.approx(expected, abs=1e-3)


def test_smoothing_keeps_a_small_part_that_has_the_colours_around_it() -> None:
    """A shoe on pale ground: the picture shows no edge, all evidence says object."""
    noise = np.random.default_rng(5).normal(150, 6, (60, 80, 3))
    part = np.zeros((60, 80), bool)
    part[30:38, 30:48] = True
    evidence = np.where(part, np.float32(4.5), np.float32(-4.5))
    smooth = GuidedFilter(noise.clip(0, 255).astype(np.uint8), radius_px=builtin.SMOOTH_PX)
    first = smooth(cues.sigmoid(evidence))
    kept = smooth(cues.sigmoid(evidence / 2 + cues.logit(first, 0.01))) >= 0.5
    assert overlap(kept, part) > 0.85


def test_optical_flow_points_to_where_things_were() -> None:
    before = (
        np.random.default_rng(1)
        .integers(0, 255, (12, 12))
        .repeat(6, axis=0)
        .repeat(6, axis=1)
        .astype(np.uint8)
    )
    flow = cues.optical_flow(np.roll(before, 3, axis=1), before)
    assert np.median(flow[10:-10, 10:-10, 0]) == pytest.approx(-3, abs=0.2)
    assert cues.optical_flow(before[:5, :9], before[:5, :9]).shape == (5, 9, 2)
