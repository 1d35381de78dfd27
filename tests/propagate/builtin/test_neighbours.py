"""Matching with the references: what it recalls, where it speaks, and when it keeps quiet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vfx_matte.propagate.builtin import propagator as builtin
from vfx_matte.propagate.builtin.codebook import SmallFrame
from vfx_matte.propagate.builtin.cues import pose_of
from vfx_matte.propagate.builtin.neighbours import PixelMemory, build_memory, neighbour_evidence
from vfx_matte.propagate.builtin.window import HalfMask, enlarged

HEIGHT, WIDTH = 96, 160


def scene(
    x: int = 70, *, colour: tuple[int, int, int] = (200, 60, 50)
) -> tuple[SmallFrame, np.ndarray]:
    """A box on blotches that stay, its upper half of another colour: the look and the true mask,
    float32 (h, w).
    """
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    blotches = np.random.default_rng(0).integers(70, 110, (12, 20, 3)).astype(np.uint8)
    image = blotches.repeat(8, axis=0).repeat(8, axis=1)
    mask = (abs(columns - x) < 20) & (abs(rows - 50) < 24)
    image[mask] = colour
    image[mask & (rows < 50)] = (60, 60, 200)
    return SmallFrame(image), mask.astype(np.float32)


def memory_of(*scenes: tuple[SmallFrame, np.ndarray]) -> PixelMemory:
    memory = build_memory(scenes)
    assert memory is not None
    return memory


def said_of(
    small: SmallFrame, memory: PixelMemory, mask: np.ndarray, *, every: int = 1
) -> np.ndarray:
    """At the frame's size."""
    half = HalfMask.of(mask, small.texture_shape)
    return enlarged(neighbour_evidence(small, memory, half, pose_of(mask), every=every), mask.shape)


def test_the_edge_is_found_beside_a_warped_mask_that_is_off() -> None:
    memory = memory_of(scene(70), scene(80))
    small, mask = scene(75)
    off = np.roll(mask, 5, axis=1)
    said = said_of(small, memory, off)
    assert said.dtype == np.float32
    assert np.abs(said).max() <= 1
    wrong = (mask > 0) != (off > 0)
    assert np.mean((said[wrong] > 0) == (mask[wrong] > 0)) > 0.9


def test_far_from_the_edge_nothing_is_said() -> None:
    small, mask = scene()
    said = said_of(small, memory_of((small, mask)), mask)
    assert (said[:, :20] == 0).all()
    assert (said[:, 130:] == 0).all()
    assert np.abs(said[:, 50:90]).max() > 0.9


def test_where_all_looks_the_same_the_place_decides() -> None:
    small = SmallFrame(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    _, mask = scene()
    said = said_of(small, memory_of((small, mask)), mask)
    spoken = np.abs(said) > 0.3
    assert spoken.sum() > 300
    assert np.mean((said[spoken] > 0) == (mask[spoken] > 0)) > 0.95


def test_what_was_never_seen_says_little() -> None:
    memory = memory_of(scene(colour=(200, 60, 50)))
    known, mask = scene()
    strange = SmallFrame(255 - known.rgb)
    lower = (np.mgrid[:HEIGHT, :WIDTH][0] > 56) & (mask > 0)
    known_says, strange_says = (
        np.abs(said_of(small, memory, mask))[lower] for small in (known, strange)
    )
    assert strange_says.mean() < 0.25 * known_says.mean()


def test_mirroring_mirrors() -> None:
    small, mask = scene()
    there = (
        SmallFrame(np.ascontiguousarray(small.rgb[:, ::-1])),
        np.ascontiguousarray(mask[:, ::-1]),
    )
    one = said_of(small, memory_of((small, mask)), np.roll(mask, 3, axis=0))
    other = said_of(there[0], memory_of(there), np.roll(there[1], 3, axis=0))
    assert np.abs(one - other[:, ::-1]).mean() < 0.02


def test_nothing_known_or_nothing_there() -> None:
    small, mask = scene()
    empty = np.zeros_like(mask)
    assert build_memory([(small, empty)]) is None
    assert build_memory([]) is None
    assert (said_of(small, memory_of((small, mask)), empty) == 0).all()
    both = memory_of((small, empty), (small, mask))
    assert 0 < both.inside.shape[1] + both.outside.shape[1] <= 1500 + 2 * 128, (
        "references share the room"
    )


def test_old_references_speak_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence fades with the distance in frames to the nearest reference that the walk began with
    or goes towards.
    """
    ages: list[int] = []
    segment = builtin._segment

    def noted(*arguments: Any, age: int, **options: Any) -> Any:  # noqa: ANN401
        ages.append(age)
        return segment(*arguments, age=age, **options)

    monkeypatch.setattr(builtin, "_segment", noted)
    small, mask = scene()
    ids = (mask > 0).astype(np.uint8)
    propagator = builtin.BuiltinPropagator(num_objects=1)
    for _ in range(2):
        propagator.remember(small.rgb, ids)
    propagator.attend({0: 0, 1: 5})
    propagator.step(small.rgb, ids)
    for _ in range(4):
        propagator.step(small.rgb)
    assert ages == [1, 2, 2, 1]
    propagator.attend({0: 0})
    propagator.step(small.rgb, ids)
    for index in range(6):
        propagator.step(small.rgb, ids if index == 3 else None)
    assert ages[4:] == [1, 2, 3, 1, 2]


def test_every_other_pixel_says_nearly_the_same() -> None:
    memory = memory_of(scene(70), scene(80))
    small, mask = scene(75)
    off = np.roll(mask, 5, axis=1)
    said, sparse = (said_of(small, memory, off, every=n) for n in (1, 2))
    assert np.abs(said - sparse).max() > 0.01, "it asks fewer"
    sure = np.abs(said) > 0.5
    assert sure.sum() > 300
    assert np.mean(np.sign(said[sure]) == np.sign(sparse[sure])) > 0.98
    assert np.abs(said - sparse).mean() < 0.03
