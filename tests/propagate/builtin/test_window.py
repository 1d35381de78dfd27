"""Work in windows gives what work on whole frames gives."""

from __future__ import annotations

import numpy as np
import pytest

from vfx_matte.backend import Array
from vfx_matte.masks import overlap
from vfx_matte.propagate.builtin import cues
from vfx_matte.propagate.builtin import propagator as builtin
from vfx_matte.propagate.builtin.codebook import Grid
from vfx_matte.propagate.builtin.window import Box

SHAPE = (96, 137)
BOX = Box(20, 71, 32, 100)


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random(shape, np.float32)


def test_windows() -> None:
    inside = np.zeros(SHAPE, bool)
    inside[30:40, 5:50] = True
    box = Box.around(inside)
    assert box == (30, 40, 5, 50)
    assert Box.around(inside & False) is None
    assert box.grown(8, SHAPE) == (22, 48, 0, 58)
    assert box.begun_at(4) == (28, 40, 4, 50)
    assert box.shape == (10, 45)
    assert Box.hull([box, BOX]) == (20, 71, 5, 100)
    assert BOX.within(Box.hull([box, BOX])) == (0, 51, 27, 95)
    assert inside[box.window].all()
    assert inside[box.window].sum() == inside.sum()


@pytest.mark.parametrize("to", [(48, 68), (12, 17), (1, 1)])
def test_a_smaller_picture_is_read_where_the_window_needs_it(to: tuple[int, int]) -> None:
    part = BOX.scaled(SHAPE, to)
    for small, size, begin, end, first, stop in (
        (to[0], SHAPE[0], BOX.top, BOX.bottom, part.top, part.bottom),
        (to[1], SHAPE[1], BOX.left, BOX.right, part.left, part.right),
    ):
        position = (np.arange(begin, end) + 0.5) * small / size - 0.5
        needed = np.clip(np.concatenate([np.floor(position), np.floor(position) + 1]), 0, small - 1)
        assert first <= needed.min()
        assert needed.max() < stop
        assert stop - first <= np.ptp(needed) + 3, "and little more"


def test_histograms_are_blurred_in_a_window_as_everywhere() -> None:
    grid = Grid.over(SHAPE)
    histograms, part = noise(2, *grid.cells, 7), Box(2, 7, 4, 11)
    some = grid.blur(histograms, 1.5, part)
    np.testing.assert_allclose(some, grid.blur(histograms, 1.5)[:, 2:7, 4:11], rtol=1e-5)


def test_a_part_of_a_table_is_read_as_the_whole() -> None:
    grid = Grid.over(SHAPE)
    table = noise(*grid.cells, 5)
    words = np.random.default_rng(1).integers(0, 5, SHAPE).astype(np.int32)
    cells = BOX.scaled(SHAPE, grid.cells)
    rows, columns = grid.centred
    part = grid.read(
        table[cells.window],
        words[BOX.window],
        rows[BOX.window[0]] - np.float32(cells.top),
        columns[:, BOX.window[1]] - np.float32(cells.left),
    )
    np.testing.assert_array_equal(part, grid.read(table, words)[BOX.window])


def test_filter_and_plate_are_the_same_away_from_the_windows_border() -> None:
    rgb = (noise(*SHAPE, 3) * 255).astype(np.uint8)
    picture, inner = noise(*SHAPE, seed=2), np.s_[14:-14, 14:-14]
    whole = cues.GuidedFilter(rgb, radius_px=6)
    some = whole.within(BOX)(picture[BOX.window])
    np.testing.assert_allclose(some[inner], whole(picture)[BOX.window][inner], atol=1e-3)
    plate = cues.Plate.empty(SHAPE).updated(rgb, noise(*SHAPE, seed=3) > 0.3)
    other = (noise(*SHAPE, 3, seed=4) * 255).astype(np.uint8)
    some = plate.within(BOX).difference(other[BOX.window])
    np.testing.assert_allclose(some[inner], plate.difference(other)[BOX.window][inner], atol=1e-5)


def test_motion_is_fitted_and_judged_in_a_window_as_everywhere() -> None:
    flow = noise(*SHAPE, 2) + np.array([3, -2], np.float32)
    prior = np.zeros(SHAPE, np.float32)
    prior[30:60, 44:90] = 1
    flow[prior > 0] += 4
    box = BOX.begun_at(cues.EVERY_PX)
    surprise = cues.background_surprise(flow, 1 - prior)
    np.testing.assert_array_equal(
        cues.background_surprise(flow, 1 - prior, box), surprise[box.window]
    )
    smooth = cues.smooth_flow(flow, prior[None], (12, 17))[0]
    whole = cues.motion_evidence(flow, prior, smooth, surprise)
    some = cues.motion_evidence(flow, prior, smooth, surprise[box.window], box)
    for one, other in zip(some, whole, strict=True):
        np.testing.assert_allclose(one, other[box.window], atol=1e-4)
        assert np.abs(one).max() > 1


def test_frames_are_segmented_in_windows_as_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A textured block walks over a textured ground; the reach is set to all of the picture."""
    ground = (noise(144, 256, 3) * 120).astype(np.uint8).repeat(2, 0)[:200].repeat(2, 1)[:, :320]
    block = (noise(30, 40, 3, seed=1) * 130 + 110).astype(np.uint8)

    def masks() -> list[Array]:
        propagator = builtin.BuiltinPropagator(num_objects=1)
        found = []
        for index in range(5):
            image, left = ground.copy(), 60 + 4 * index
            image[80:110, left : left + 40] = block
            mask = np.zeros(image.shape[:2], np.uint8)
            mask[80:110, left : left + 40] = 1
            given = mask if index == 0 else None
            found.append(propagator.step(image, given)[1] >= 0.5)
        return found

    some = masks()
    monkeypatch.setattr(cues, "REACH_PX", 1000)
    for one, other in zip(some, masks(), strict=True):
        assert overlap(one, other) > 0.995
        assert one.sum() > 1000
