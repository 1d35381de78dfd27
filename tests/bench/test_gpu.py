"""The bench for GPUs runs dry on the CPU: its sections are right before a card is at hand."""

from __future__ import annotations

import time

import numpy as np
import pytest

from bench import gpu

pytestmark = pytest.mark.slow


def task(minutes: float = 5) -> gpu.Task:
    return gpu.Task("cpu", small=True, reference=None, ends=time.monotonic() + 60 * minutes)


@pytest.mark.parametrize("name", ["machine", "arrays", "encoders"])
def test_a_section_says_something(name: str) -> None:
    lines = list(gpu.SECTIONS[name][0](task()))
    assert lines
    assert not any("failed" in line for line in lines)


def test_the_same_device_gives_the_same() -> None:
    rows = [line for line in gpu.section_arrays(task()) if line.startswith("| g")]
    assert len(rows) == 2
    assert all("| 0 of " in row and "| 0.000 % |" in row for row in rows)


def test_what_differs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(np.random.default_rng(1).integers(0, 255, (64, 64, 64), np.uint8))
    monkeypatch.setattr(gpu, "_arrays", lambda _: [next(made)])
    rows = [line for line in gpu.section_arrays(task()) if line.startswith("| g")]
    assert not any("| 0.000 % |" in row for row in rows)


@pytest.mark.parametrize("name", ["parity", "xmem", "long"])
def test_networks_run(name: str) -> None:
    pytest.importorskip("torch")
    lines = list(gpu.SECTIONS[name][0](task()))
    assert not any("failed" in line for line in lines)
    if name == "parity":
        assert "| float32 | 0.0e+00 |" in "\n".join(lines)
