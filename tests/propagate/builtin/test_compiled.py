"""Compiled loops of the built-in propagator give what its array versions give, on drawn inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from vfx_matte.backend import Array
from vfx_matte.masks import Image
from vfx_matte.propagate.builtin import compiled, cues
from vfx_matte.propagate.builtin.classifier import training_batch
from vfx_matte.propagate.builtin.codebook import Grid, SmallFrame
from vfx_matte.propagate.builtin.cues import EdgeAware
from vfx_matte.propagate.builtin.propagator import BuiltinPropagator
from vfx_matte.propagate.builtin.upsample import enlarge, smooth_by_color
from vfx_matte.propagate.builtin.walk import _fade_in
from vfx_matte.propagate.builtin.window import Box

pytestmark = pytest.mark.skipif(
    not compiled.usable(np.zeros(1)), reason="Numba is not installed: there is nothing to compare"
)
Result = TypeVar("Result")
drawn = settings(max_examples=20)
seeds, sides = st.integers(0, 2**32 - 1), st.integers(1, 70)


def by_arrays(work: Callable[[], Result]) -> Result:
    """What a function gives where nothing is compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "usable", lambda _: False)
        return work()


def soft_mask(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """A soft blob, float32, with parts that are surely in it and surely not."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), 4)
    return np.clip(noise / max(float(noise.std()), 1e-6) + np.float32(0.3), 0, 1)


def picture(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Flat colours, noise, or both side by side."""
    image = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    if rng.random() < 0.5:
        image[:, : shape[1] // 2] = rng.integers(0, 256, 3)
    return image


def flow_of(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """A motion with outliers: float32 (h, w, 2)."""
    flow = rng.normal(0, 0.3, (*shape, 2)).astype(np.float32) + np.float32(rng.uniform(-9, 9))
    flow[rng.random(shape) < 0.1] *= 5
    return flow


@drawn
@given(seeds, sides, sides)
def test_motions_are_fitted_and_judged_alike(seed: int, height: int, width: int) -> None:
    rng, shape = np.random.default_rng(seed), (height, width)
    flow, mask = flow_of(rng, shape), soft_mask(rng, shape)
    smooth = flow_of(rng, shape)
    box = Box(height // 3, height, width // 4, width).begun_at(cues.EVERY_PX)

    def judged() -> tuple[Array, ...]:
        fit = cues.affine_fit(flow, mask, box)
        surprise = cues.background_surprise(flow, 1 - mask, box)
        return fit.solution, surprise, *cues.motion_evidence(flow, mask, smooth, surprise, box)

    for one, other in zip(judged(), by_arrays(judged), strict=True):
        assert_allclose(one, other, atol=1e-4)


@drawn
@given(seeds, sides, sides)
def test_pictures_are_smoothed_alike(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    rgb, mask = picture(rng, (height, width)), soft_mask(rng, (height, width))
    box = Box(height // 3, height, width // 4, width)
    part = np.ascontiguousarray(mask[box.window])

    def smoothed() -> tuple[Array, Array]:
        edge_aware = EdgeAware(rgb)
        return edge_aware(mask), edge_aware.within(box)(part)

    for one, other in zip(smoothed(), by_arrays(smoothed), strict=True):
        assert_allclose(one, other, atol=2e-4)


@drawn
@given(seeds, st.integers(8, 60), st.integers(8, 60), st.sampled_from([1.0, 2.0, 3.4]))
def test_masks_are_enlarged_alike(seed: int, height: int, width: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    small, mask = picture(rng, (height, width)), soft_mask(rng, (height, width))
    size = round(width * scale), round(height * scale)
    image = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)

    def enlarged() -> tuple[Array, Array]:
        out = np.zeros((1, *image.shape[:2]), np.float32)
        enlarge(mask[None], small, image, out)
        return out, smooth_by_color(mask, small)

    for one, other in zip(enlarged(), by_arrays(enlarged), strict=True):
        assert_allclose(one, other, atol=5e-4)


@drawn
@given(seeds)
def test_lessons_are_alike(seed: int) -> None:
    rng, shape = np.random.default_rng(seed), (40, 64)
    small = SmallFrame(cv2.GaussianBlur(picture(rng, shape), (0, 0), 2))
    mask = soft_mask(rng, shape)

    def found() -> Array:
        return training_batch(small.descriptor, mask, certain=True).gram

    assert_allclose(found(), by_arrays(found), atol=1e-5)


@drawn
@given(seeds, sides, sides, st.integers(1, 20))
def test_histograms_are_counted_and_read_alike(
    seed: int, height: int, width: int, words: int
) -> None:
    rng = np.random.default_rng(seed)
    grid = Grid.over((height, width))
    codewords = rng.integers(0, words, height * width).astype(np.int32)
    mask = soft_mask(rng, (height, width))
    classes = np.stack([1 - mask, mask])
    rows, columns = (side + np.float32(rng.normal()) for side in grid.centred)

    def found() -> tuple[Array, ...]:
        counts, places = grid.count(codewords, classes, words)
        every, own = counts.sum(axis=0), counts[1]
        table = np.zeros_like(own)
        cues.add_local_ratio(
            table,
            own,
            every,
            Box.whole(grid.cells),
            sigma_cells=1.5,
            cell_area_px=grid.cell_area_px,
            weight=-0.4,
        )
        faded = own.copy()
        _fade_in(faded, every, places[1])
        read = grid.read(table, codewords), grid.read(table, codewords, rows, columns)
        return counts, table, faded, *read

    for one, other in zip(found(), by_arrays(found), strict=True):
        assert_allclose(one, other, atol=1e-4)


def test_a_walk_finds_the_same_masks() -> None:
    rng = np.random.default_rng(5)
    still = cv2.GaussianBlur(rng.integers(0, 256, (150, 200, 3)).astype(np.uint8), (0, 0), 3)
    images = []
    for at in range(6):
        image = still.copy()
        cv2.circle(image, (60 + 6 * at, 70), 30, (230, 60, 40), -1)
        images.append(image)
    mask = np.zeros(still.shape[:2], np.uint8)
    cv2.circle(mask, (60, 70), 30, 1, -1)

    def walked() -> list[Array]:
        propagator = BuiltinPropagator(num_objects=1)
        propagator.remember(images[0], mask)
        return [propagator.step(images[0], mask), *(propagator.step(one) for one in images[1:])]

    apart = [
        ((one[1] > 0.5) != (other[1] > 0.5)).mean()
        for one, other in zip(walked(), by_arrays(walked), strict=True)
    ]
    assert max(apart) < 1e-4
