"""Work in windows gives what work on whole frames gives."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vfx_matte.backend import Array
from vfx_matte.masks import overlap
from vfx_matte.propagate.builtin import cues
from vfx_matte.propagate.builtin import propagator as builtin
from vfx_matte.propagate.builtin.codebook import Grid
from vfx_matte.propagate.builtin.walk import warp_masks
from vfx_matte.propagate.builtin.window import NOWHERE, Box, HalfMask, enlarged

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
    assert Box.around(inside[:0]) is None
    assert box.grown(8, SHAPE) == (22, 48, 0, 58)
    assert box.begun_at(4) == (28, 40, 4, 50)
    assert box.shape == (10, 45)
    assert box.moved(2, 3) == (32, 42, 8, 53)
    assert box.cut(BOX) == (30, 40, 32, 50)
    assert box.cut(box.moved(10, 0)) == NOWHERE
    assert Box.hull([NOWHERE, box]) == box
    assert Box.hull([NOWHERE, NOWHERE]) == NOWHERE
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


def wild_flow(*shape: int, largest: float) -> Array:
    """Some of it by halves of a pixel."""
    flow = (noise(*shape, 2, seed=7) * 2 - 1) * np.float32(largest)
    flow[::2] = np.round(flow[::2] * 2) / 2
    return flow


def test_histograms_move_as_if_their_place_were_not_known() -> None:
    grid = Grid.over(SHAPE)
    flow = wild_flow(*grid.cells, largest=30)
    for place in (Box(2, 5, 3, 8), Box(0, 3, 0, 4), Box(9, 12, 12, 17), Box.whole(grid.cells)):
        histograms = np.zeros((*grid.cells, 140), np.float32)
        histograms[place.window] = noise(*place.shape, 140, seed=place.top)
        some, whole = np.zeros_like(histograms), np.zeros_like(histograms)
        found = grid.advect(histograms, flow, place, some)
        grid.advect(histograms, flow, Box.whole(grid.cells), whole)
        np.testing.assert_array_equal(some, whole)
        assert whole.any()
        whole[found.window] = 0
        assert not whole.any(), "nothing lies elsewhere"
        assert found.shape[0] * found.shape[1] <= place.shape[0] * place.shape[1] + 130
    assert grid.advect(histograms, flow, NOWHERE, some) == NOWHERE


def test_histograms_are_blurred_as_if_their_place_were_not_known() -> None:
    grid = Grid.over(SHAPE)
    place, part = Box(3, 7, 5, 9), Box(2, 8, 4, 11)
    histograms = np.zeros((1, *grid.cells, 7), np.float32)
    histograms[(0, *place.window)] = noise(*place.shape, 7)
    some = grid.blur(histograms, 1.5, part, place)
    np.testing.assert_allclose(some, grid.blur(histograms, 1.5, part), rtol=1e-5)
    assert some.max() > 0.1
    assert not grid.blur(histograms, 1.5, part, NOWHERE).any()


@pytest.mark.parametrize("box", [BOX, BOX.moved(1, 1), Box(0, 30, 0, 41), Box(60, 96, 90, 137)])
@pytest.mark.parametrize("largest", [0.0, 7.5])
def test_masks_and_plates_move_as_if_their_place_were_not_known(box: Box, largest: float) -> None:
    flow, whole = wild_flow(*SHAPE, largest=largest), Box.whole(SHAPE)
    layer = np.zeros((1, *SHAPE), np.float32)
    layer[(0, *box.window)] = noise(*box.shape) + np.float32(0.01)
    columns, rows = cues.flow_positions(flow)
    # OpenCV 4 rounds the last bit by where in its rows a pixel lies
    np.testing.assert_allclose(
        warp_masks(layer, flow)[0],
        cv2.remap(layer[0], columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        atol=1e-6,
    )
    rgb = (noise(*SHAPE, 3, seed=3) * 254 + 1).astype(np.uint8)
    plate = cues.Plate.empty(SHAPE).updated(rgb, layer[0] > 0)
    assert plate.place == box
    some, every = plate.warped(flow), cues.Plate(plate.lab, plate.known, whole).warped(flow)
    np.testing.assert_array_equal(some.lab, every.lab)
    np.testing.assert_array_equal(some.known, every.known)
    assert some.place == every.place == cues.Plate.of(every.lab, every.known).place
    assert every.known.any()
    assert cues.Plate.empty(SHAPE).warped(flow).place == NOWHERE


def test_objects_share_pixels_in_their_windows_as_everywhere() -> None:
    objects, boxes = np.zeros((3, *SHAPE), np.float32), {0: BOX, 2: BOX.moved(20, 30)}
    for index, box in boxes.items():
        objects[(index, *box.window)] = noise(*box.shape, seed=index)
    expected = objects / (np.prod(1 - objects, axis=0) + objects.sum(axis=0))
    builtin._compete(objects, boxes)
    np.testing.assert_array_equal(objects, expected)
    assert 0.9 < objects.sum(axis=0).max() <= 1


def test_flow_is_smoothed_over_cells_as_opencv_averages_over_them() -> None:
    flow, weight = wild_flow(*SHAPE, largest=5), np.zeros(SHAPE, np.float32)
    weight[BOX.window] = noise(*BOX.shape)
    parts = np.dstack([flow * weight[..., None], weight])
    cells = cv2.resize(parts, (17, 12), interpolation=cv2.INTER_AREA)
    mean = parts.sum(axis=(0, 1))
    sums = cv2.GaussianBlur(cells, (0, 0), 2, borderType=cv2.BORDER_REPLICATE)
    expected = (sums[..., :2] + 1e-3 * mean[:2] / mean[2]) / (sums[..., 2:] + 1e-3)
    found, nothing = cues.smooth_flow(flow, [weight, weight * 0], (12, 17))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(found).max() > 0.1
    assert not nothing.any()


def test_half_a_mask_is_measured_in_a_window_as_everywhere() -> None:
    layer = np.zeros(SHAPE, np.float32)
    layer[40:61, 50:91] = 1
    for drawn in (layer, layer[::-1].copy(), np.roll(layer, 60, axis=1), np.ones_like(layer)):
        half = HalfMask.of(drawn, (48, 68))
        everywhere = Box.whole((48, 68))
        for reach in (7.0, 12.0):
            box = half.around(reach)
            for measured in (half.outside, half.within):
                np.testing.assert_array_equal(measured(box), measured(everywhere)[box.window])
            far = half.outside(everywhere) > reach
            far[box.window] = True
            assert far.all()
    nothing = HalfMask.of(np.zeros(SHAPE, np.float32), (48, 68))
    assert nothing.around(9) == NOWHERE
    assert not nothing.outside(NOWHERE).size


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
    smooth = enlarged(cues.smooth_flow(flow, prior[None], (12, 17))[0], SHAPE)
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
