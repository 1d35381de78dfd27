"""bench/edges.py: its measures are right where they are known."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return importlib.import_module("bench.edges")


def still(bench: ModuleType, mask: np.ndarray, truth: np.ndarray | None = None) -> object:
    return bench.Still(None, np.zeros((*mask.shape, 3), np.uint8), mask, truth, 0)


def test_loose_pieces_hold_too_little_of_the_mask(bench: ModuleType) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[20:100, 20:100] = 1
    mask[40:44, 120:125] = 1  # 20 px: a part of its own, larger than what the median drops here
    alpha = mask.astype(np.float32)
    assert bench.loose(alpha, mask) == (0, 0)
    alpha[60, 100:110] = 0.1  # joined
    alpha[60:62, 130:133] = 0.5  # loose
    alpha[5, 5] = 8 / 255  # not seen
    assert bench.loose(alpha, mask) == (1, 6)
    alpha[30, 20:100] = alpha[20:30, 30] = 0  # a corner of 100 px comes off: more than a hundredth
    assert bench.loose(alpha, mask) == (1, 6)
    alpha[35:100, 22] = 0
    alpha[34, 20:23] = 0  # and a strip of two columns, 132 px
    assert bench.loose(alpha, mask)[0] == 1
    assert bench.loose(alpha * 0, mask * 0) == (0, 0)


def test_a_matte_is_scored_against_the_mask_or_the_truth(bench: ModuleType) -> None:
    mask = np.zeros((108, 200), np.uint8)
    mask[:, :100] = 1
    alpha = mask.astype(np.float32)
    alpha[:, 110:112] = 0.5
    alpha[50, 50] = 0
    score = bench.scored(alpha, still(bench, mask), np.zeros_like(alpha))
    assert score.outside == pytest.approx(108 / 1000)
    assert score.lacking == pytest.approx(1 / 1000)
    assert (score.pieces, score.area, score.holes) == (1, 216, 1)
    assert score.flicker == pytest.approx(50), "half of the band was nothing before"
    truth = np.zeros_like(mask)
    truth[:, :110] = 1
    assert bench.scored(alpha, still(bench, mask, truth), None).lacking == pytest.approx(
        (8 * 108 + 1) / 1000
    )
    assert np.isnan(bench.scored(alpha, still(bench, mask), None).flicker)


def test_what_moves_with_the_picture_does_not_flicker(bench: ModuleType) -> None:
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(0, 256, (30, 40, 3), np.uint8), np.ones((6, 6, 1), np.uint8))
    now = np.roll(ground, 4, axis=1)
    flow = bench.motion(ground, now)
    x = np.arange(240, dtype=np.float32)
    assert np.median(flow[20:-20, 20:-20, 0] - x[None, 20:-20]) == pytest.approx(-4, abs=0.2)


def test_runs_are_spaced(bench: ModuleType) -> None:
    assert bench.spaced_runs(0, 99, runs=2, length=4) == [range(23, 27), range(73, 77)]
    assert bench.spaced_runs(5, 7, runs=3, length=6) == [range(5, 8)]
    assert bench.spaced_runs(0, 0, runs=2, length=4) == [range(1)]
