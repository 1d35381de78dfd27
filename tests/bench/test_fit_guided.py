"""bench/fit_guided.py: its gradient is that of its loss, and what it writes is what guided edges
compute.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest

from vfx_matte.matting import perceptron as judgement
from vfx_matte.matting.evidence import EVEN, NAMES, ODD, PAIRS, swapped


@pytest.fixture(scope="module")
def fit() -> ModuleType:
    return importlib.import_module("bench.fit_guided")


def pixels(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Evidence whose first row is alpha with noise, and the true alpha."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 0.3, (len(NAMES), count)).astype(np.float32)
    truth = rng.integers(0, 5, count).astype(np.float32) / 4
    rows[0] = truth - 0.5 + rng.normal(0, 0.1, count)
    # a quarter is not fully trusted
    rows[NAMES.index("trust")] = np.minimum(rng.uniform(0, 4, count), 1)
    return rows, truth


def test_the_gradient_is_that_of_the_loss(fit: ModuleType) -> None:
    rows, truth = pixels(400)
    inputs = np.concatenate([rows, rows, swapped(rows)]).astype(np.float64)
    net = fit.Perceptron.random(np.random.default_rng(1))
    net.values = [value.astype(np.float64) for value in net.values]
    _, gradients = net.gradient(inputs, truth)
    for value, gradient in zip(net.values, gradients, strict=True):
        for at in ((0, 0), (0, -1), (-1, 0)):
            value[at] += 1e-6
            above, _ = net.gradient(inputs, truth)
            value[at] -= 2e-6
            below, _ = net.gradient(inputs, truth)
            value[at] += 1e-6
            np.testing.assert_allclose(gradient[at], (above - below) / 2e-6, rtol=2e-3, atol=2e-5)


@pytest.mark.slow
def test_what_is_fitted_is_what_is_computed(
    fit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, truth = pixels(20_000)
    examples = fit.Examples(rows, truth, np.ones_like(truth))
    constants = fit.fitted(examples, examples, harm=0.5, steps=500)
    assert max(map(len, constants.splitlines())) <= 128
    monkeypatch.setattr(judgement, "CONSTANTS", constants)
    judgement._weights.cache_clear()
    try:
        fresh, true = pixels(3000, seed=9)
        error = np.abs(judgement.predict(fresh).clip(0, 1) - true).mean()
        assert error < 0.08, "the noise of the first row is what is left"
        assert error < np.abs(fresh[0] + 0.5 - true).mean() * 1.2
    finally:
        judgement._weights.cache_clear()


def test_a_fit_goes_on_with_the_constants_that_are_there(fit: ModuleType) -> None:
    """Without steps they stay what they are, up to the digits that are written."""
    rows, truth = pixels(2000)
    examples = fit.Examples(rows, truth, np.ones_like(truth))
    same = fit.fitted(examples, None, harm=0, steps=0, begin=judgement.CONSTANTS)
    shape = judgement.UNITS, len(NAMES) + 2
    one, other = (
        np.array(text.split(), np.float32).reshape(shape) for text in (judgement.CONSTANTS, same)
    )
    np.testing.assert_allclose(one, other, rtol=5e-3, atol=5e-3)


def test_every_number_has_its_place() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(ODD) + len(PAIRS) + len(EVEN)
    assert len(judgement.CONSTANTS.split()) == judgement.UNITS * (len(NAMES) + 2)
