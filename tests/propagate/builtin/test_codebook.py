"""Words and histograms: counting, reading, moving and blurring are what their definitions say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.propagate.builtin.codebook import Grid, SmallFrame, learn_codebook
from vfx_matte.propagate.builtin.window import Box


def test_colours_of_different_things_are_different_words() -> None:
    rgb = np.full((64, 64, 3), (40, 120, 40), np.uint8)
    rgb[20:40, 20:40] = (200, 40, 40)
    objects = np.zeros((1, 64, 64), np.float32)
    objects[0, 20:40, 20:40] = 1
    small = SmallFrame(rgb)
    codebook = learn_codebook([(small, objects)])
    codewords = codebook.color_indices(small).reshape(64, 64)
    assert codewords[30, 30] != codewords[5, 5]
    assert len(np.unique(codewords)) == 2
    assert codebook.texture_indices(small).shape == (32 * 32,)


def test_an_object_smaller_than_a_pixel_gets_words() -> None:
    rgb = np.random.default_rng(0).integers(90, 110, (32, 32, 3)).astype(np.uint8)
    rgb[16, 16] = (250, 20, 20)
    objects = np.zeros((1, 32, 32), np.float32)
    objects[0, 16, 16] = 0.2
    codebook = learn_codebook([(SmallFrame(rgb), objects)])
    codewords = codebook.color_indices(SmallFrame(rgb))
    assert np.flatnonzero(codewords == codewords[16 * 32 + 16]).tolist() == [16 * 32 + 16]
    assert codewords[16 * 32 + 16] == 0  # the first word is the object's


def test_words_are_shared_out_among_objects() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)
    counts = []
    for num_objects in (1, 2, 8):
        objects = np.zeros((num_objects, 96, 96), np.float32)
        for index in range(num_objects):
            objects[index, 8 * index : 8 * index + 8] = 1
        counts.append(learn_codebook([(SmallFrame(rgb), objects)]).color_count)
    assert counts == [128, 128, 16 * 8 + 64]


@examples(30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_counting_and_blurring_keep_what_they_count(
    height: int, width: int, num_codewords: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    grid = Grid.over((height, width))
    codewords = random.integers(0, num_codewords, height * width).astype(np.int32)
    weights = random.random((2, height, width)).astype(np.float32)
    counted, places = grid.count(codewords, weights, num_codewords)
    assert places == (Box.whole(grid.cells),) * 2
    assert counted.shape == (2, *grid.cells, num_codewords)
    for codeword in range(num_codewords):
        expected = weights.reshape(2, -1)[:, codewords == codeword].sum(axis=1)
        assert counted[..., codeword].sum(axis=(1, 2)) == pytest.approx(
            expected, rel=1e-4, abs=1e-4
        )
    flat = np.ones_like(counted)
    np.testing.assert_allclose(grid.blur(flat, 1.5), flat, rtol=1e-4)


def test_reading_interpolates_between_cell_centres() -> None:
    grid = Grid((16, 32), (2, 4))
    table = np.zeros((2, 4, 2), np.float32)
    table[..., 1] = np.arange(4)  # word 1 grows to the right
    values = grid.read(table, np.ones(16 * 32, np.int32))
    assert values[8, 4:28] == pytest.approx((np.arange(4, 28) + 0.5) / 8 - 0.5, abs=1e-5)
    assert values[0, 0] == 0
    assert values[15, 31] == pytest.approx(3)
    assert not grid.read(table, np.zeros(16 * 32, np.int32)).any()


def test_reading_elsewhere() -> None:
    grid = Grid((16, 16), (2, 2))
    table = np.arange(4, dtype=np.float32).reshape(2, 2, 1)
    rows, columns = np.full((16, 1), 1, np.float32), np.full((1, 16), 0.5, np.float32)
    assert grid.read(table, np.zeros(256, np.int32), rows, columns) == pytest.approx(
        np.full((16, 16), 2.5)
    )


def test_histograms_move_with_the_flow() -> None:
    grid = Grid((32, 32), (4, 4))
    histograms = np.zeros((4, 4, 3), np.float32)
    histograms[1, 1] = (1, 2, 3)
    flow = np.zeros((4, 4, 2), np.float32)
    flow[..., 0], flow[..., 1] = -16, -8  # things came from two cells left and one up
    moved = np.zeros_like(histograms)
    place = grid.advect(histograms, flow, Box(1, 2, 1, 2), moved)
    assert place == (2, 3, 3, 4)
    assert moved[2, 3] == pytest.approx([1, 2, 3])
    assert moved.sum() == pytest.approx(6)


def test_blur_spreads_to_neighbours() -> None:
    grid = Grid((72, 72), (9, 9))
    histograms = np.zeros((1, 9, 9, 1), np.float32)
    histograms[0, 4, 4] = 1
    blurred = grid.blur(histograms, 1.0)[0, ..., 0]
    assert blurred[4, 4] == pytest.approx(1 / (2 * np.pi), rel=0.01)
    assert blurred[4, 5] / blurred[4, 4] == pytest.approx(np.exp(-0.5), rel=1e-3)


def test_blur_leaves_no_number_that_a_processor_is_slow_with() -> None:
    grid = Grid((320, 480), (40, 60))
    histograms = np.zeros((1, 40, 60, 2), np.float32)
    histograms[0, 20, 30] = 1
    blurred = grid.blur(histograms, 1.5)
    assert blurred[blurred > 0].min() > np.finfo(np.float32).tiny
    assert blurred.sum() == pytest.approx(2, rel=1e-5)
