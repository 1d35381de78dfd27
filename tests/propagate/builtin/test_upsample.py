"""Full-size edges: exact where a mask is certain, on the source's own edge where it is not,
whatever the sizes.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.backend import Array
from vfx_matte.masks import Image
from vfx_matte.propagate.builtin import upsample as edges
from vfx_matte.propagate.builtin.cues import GuidedFilter
from vfx_matte.propagate.builtin.propagator import working_shape
from vfx_matte.propagate.builtin.upsample import Box, Lattice

SIZES = [(480, 854), (1080, 1920), (1081, 1913), (600, 997), (240, 427), (17, 40)]
LATTICES = [((48, 86), (24, 43)), ((108, 192), (24, 43)), ((109, 191), (24, 43)), ((216, 384), (24,
43)), ((23, 31), (23, 31)),
            ((41, 29), (16, 16))]  # fmt: skip


def enlarged(objects: Array, image: Image) -> Array:
    out = np.zeros((objects.shape[0], *image.shape[:2]), np.float32)
    edges.enlarge(objects, edges.shrunk(image, objects.shape[1:]), image, out)
    return out


def disk(shape: tuple[int, int], y: float, x: float, radius: float) -> Array:
    """A disk by its area in each pixel of (h, w), places and radius as parts of the height:
    float32.
    """
    scale = 4
    rows, columns = np.ogrid[: shape[0] * scale, : shape[1] * scale]
    side = shape[0] * scale
    inside = (rows + 0.5 - y * side) ** 2 + (columns + 0.5 - x * side) ** 2 < (radius * side) ** 2
    return np.asarray(
        cv2.resize(inside.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    )


def two_colors(mask: Array, *, noise: int = 3) -> Image:
    """A grainy picture, orange where the mask is 1 and blue where it is 0."""
    grain = np.random.default_rng(0).integers(-noise, noise + 1, (*mask.shape, 3))
    picture = (
        mask[..., None] * np.array([200, 120, 40])
        + (1 - mask[..., None]) * np.array([60, 90, 160])
        + grain
    )
    return np.rint(picture).astype(np.uint8)


@pytest.mark.parametrize(("shape", "working"), LATTICES)
def test_every_pixel_lies_in_one_block_or_is_covered_by_a_moved_one(
    shape: tuple[int, int], working: tuple[int, int]
) -> None:
    lattice = Lattice.over(shape, working)
    rows, columns = (
        index.reshape(-1) for index in np.mgrid[: lattice.rows + 1, : lattice.columns + 1]
    )
    painter = np.full(shape, -1)
    for y, x, row, column in zip(
        *lattice.corners(*(ordered := lattice.outermost_first(rows, columns))),
        *ordered,
        strict=True,
    ):
        painter[y : y + lattice.step, x : x + lattice.step] = row * (lattice.columns + 1) + column
    # who painted a pixel last is who it belongs to: the block between the nodes around it
    half = (lattice.step - 1) / 2
    places = [
        np.floor((np.arange(size) - start - half) / lattice.step).astype(int) + 1
        for size, start in zip(shape, (lattice.top, lattice.left), strict=True)
    ]
    assert np.array_equal(painter, places[0][:, None] * (lattice.columns + 1) + places[1])


@pytest.mark.parametrize(("shape", "working"), LATTICES)
def test_nodes_read_what_lies_at_their_place(
    shape: tuple[int, int], working: tuple[int, int]
) -> None:
    lattice = Lattice.over(shape, working)
    ramp = np.add.outer(np.arange(working[0]), 2 * np.arange(working[1])).astype(np.float32)
    values = lattice.read(ramp, Box(0, lattice.rows, 0, lattice.columns))
    for row, column in (
        (lattice.rows // 2, lattice.columns // 3),
        (lattice.rows // 4, lattice.columns // 2),
    ):
        y, x = (
            start + lattice.step * (at + 0.5)
            for start, at in ((lattice.top, row), (lattice.left, column))
        )
        expected = y * working[0] / shape[0] - 0.5 + 2 * (x * working[1] / shape[1] - 0.5)
        assert values[row, column] == pytest.approx(expected, abs=1e-2)
    assert 0.85 < lattice.columns / working[1] < 2
    part = Box(3, 9, 5, 20).grown(2, values.shape)
    assert np.array_equal(lattice.read(ramp, part), values[part.window])


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        # at every size, and at every place
        pytest.param(shape, place, marks=[pytest.mark.slow] * (shape[0] > 1000 and place[1] != 0.6))
        for place in ((0.5, 0.6), (0.0, 0.0), (1.0, 0.4))
        for shape in SIZES
    ],
)
def test_an_edge_is_found_where_the_source_has_it(
    shape: tuple[int, int], place: tuple[float, float]
) -> None:
    truth = disk(shape, *place, 0.3)
    coarse = np.asarray(cv2.resize(truth, working_shape(shape)[::-1], interpolation=cv2.INTER_AREA))
    found = enlarged(cv2.GaussianBlur(coarse, (0, 0), 1.2)[None], two_colors(truth))[0]
    wrong = np.count_nonzero((found > 0.5) != (truth > 0.5))
    contour = np.count_nonzero((truth > 0) & (truth < 1))
    assert wrong <= 0.25 * contour  # a quarter of a pixel off on average, whatever the scale
    assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize("shape", [(480, 854), (1081, 1913)])
def test_teeth_as_fine_as_working_pixels_come_out(shape: tuple[int, int]) -> None:
    working = working_shape(shape)
    scale = shape[0] / working[0]
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    teeth = 3 * scale * np.abs(columns / (2.5 * scale) % 1 * 2 - 1)
    truth = ((rows > shape[0] / 2 + teeth) & (columns > 100)).astype(np.float32)
    coarse = cv2.GaussianBlur(
        cv2.resize(truth, working[::-1], interpolation=cv2.INTER_AREA), (0, 0), 1.2
    )
    plain = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR)
    found = enlarged(coarse[None], two_colors(truth))[0]
    assert np.count_nonzero((found > 0.5) != (truth > 0.5)) < 0.05 * np.count_nonzero(
        (plain > 0.5) != (truth > 0.5)
    )


def test_far_from_edges_a_mask_is_exactly_0_or_1_whatever_the_texture() -> None:
    truth = disk((540, 960), 0.5, 0.8, 0.3)
    image = np.random.default_rng(1).integers(0, 256, (540, 960, 3)).astype(np.uint8)
    coarse = np.asarray(
        cv2.resize(truth, working_shape(truth.shape)[::-1], interpolation=cv2.INTER_AREA)
    )
    found = enlarged(coarse[None], image)[0]
    # 5 working pixels: of a window, its neighbours, and two of the enlargement
    reach = np.ones((25, 25), np.uint8)
    assert (found[cv2.erode(truth, reach) == 1] == 1).all()
    assert (found[cv2.dilate(truth, reach) == 0] == 0).all()
    # and noise does not pull it
    assert np.count_nonzero((found > 0.5) != (truth > 0.5)) < 0.03 * np.count_nonzero(truth)


def test_in_flat_colour_the_edge_is_the_mask_s_own_and_does_not_ring() -> None:
    coarse = cv2.GaussianBlur(disk(working_shape((1080, 1920)), 0.5, 0.8, 0.3), (0, 0), 1.5)
    found = enlarged(coarse[None], np.full((1080, 1920, 3), 90, np.uint8))[0]
    plain = cv2.resize(coarse, (1920, 1080), interpolation=cv2.INTER_LINEAR)
    assert np.count_nonzero((found > 0.5) != (plain > 0.5)) < 0.01 * np.count_nonzero(plain > 0.5)
    across = found[540, 960 - 60 :]
    fall = across[np.argmax(across < 1) :]
    assert (np.diff(fall) <= 1e-4).all()


def test_the_linear_functions_are_those_of_the_guided_filter() -> None:
    shape = (96, 128)  # smaller than the working picture: nodes are pixels
    truth = disk(shape, 0.5, 0.6, 0.3)
    image, mask = two_colors(truth, noise=20), cv2.GaussianBlur(truth, (0, 0), 2)
    stretched = np.clip((mask - edges.CERTAIN) / (1 - 2 * edges.CERTAIN), 0, 1).astype(np.float32)
    stretched = edges.smooth_by_color(stretched, image)
    expected = GuidedFilter(image, radius_px=edges.RADIUS_PX, epsilon=edges.EPSILON)(
        stretched
    ).clip(0, 1)
    found = enlarged(mask[None], image)[0]
    uncertain = (stretched > 0) & (stretched < 1)
    assert uncertain.sum() > 500
    np.testing.assert_allclose(found[uncertain], expected[uncertain], atol=1e-3)


def test_an_uncertain_pixel_sides_with_its_own_colour() -> None:
    truth = np.zeros((40, 40), np.float32)
    truth[:, 20:] = 1
    image, mask = two_colors(truth), truth.copy()
    mask[20, 17], mask[10, 22] = 0.7, 0.3
    agreed = edges.smooth_by_color(mask, image)
    assert agreed[20, 17] < 0.2
    assert agreed[10, 22] > 0.8
    mask[20, 17], mask[10, 22] = 0, 1
    assert np.array_equal(edges.smooth_by_color(mask, image), mask)  # certain pixels ask nobody


@examples(40)
@given(st.data())
def test_probabilities_whatever_the_sizes_masks_and_pictures(data: st.DataObject) -> None:
    shape = data.draw(st.integers(9, 200)), data.draw(st.integers(9, 200))
    working = tuple(data.draw(st.integers(max(4, side // 10), side)) for side in shape)
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    num_objects = data.draw(st.integers(1, 3))
    objects = np.stack(
        [
            cv2.GaussianBlur(random.random(working, np.float32), (0, 0), 2)
            for _ in range(num_objects)
        ]
    )
    objects = np.clip((objects - 0.45) * 8, 0, 1)
    objects /= np.maximum(objects.sum(axis=0), 1)
    image = random.integers(0, 256, (*shape, 3)).astype(np.uint8)
    found = enlarged(objects, image)
    assert found.min() >= 0
    assert found.sum(axis=0).max() <= 1 + 1e-5
    swapped = enlarged(objects[::-1], image)
    np.testing.assert_allclose(swapped, found[::-1], atol=1e-6)
    np.testing.assert_allclose(enlarged(objects, np.asfortranarray(image)), found, atol=1e-6)


def test_objects_sum_to_one_where_only_one_has_an_edge() -> None:
    random = np.random.default_rng(84)
    objects = np.stack(
        [cv2.GaussianBlur(random.random((27, 82), np.float32), (0, 0), 2) for _ in range(3)]
    )
    objects = np.clip((objects - 0.45) * 8, 0, 1)
    objects /= np.maximum(objects.sum(axis=0), 1)
    found = enlarged(objects, random.integers(0, 256, (47, 82, 3)).astype(np.uint8))
    assert found.sum(axis=0).max() <= 1 + 1e-5


def test_each_window_holds_its_object() -> None:
    working = working_shape((720, 1280))
    objects = np.stack(
        [disk(working, 0.3, 0.4, 0.2), np.zeros(working, np.float32), disk(working, 0.9, 1.7, 0.2)]
    )
    image = np.random.default_rng(1).integers(0, 256, (720, 1280, 3)).astype(np.uint8)
    out = np.zeros((3, 720, 1280), np.float32)
    windows = edges.enlarge(objects, edges.shrunk(image, working), image, out)
    for layer, window in zip(out, windows, strict=True):
        inside = np.count_nonzero(layer[window])
        assert inside == np.count_nonzero(layer)
        assert layer[window].size < 0.3 * layer.size
    assert not out[1].any()


@pytest.mark.parametrize("shape", [(480, 854), (1080, 1920), (1081, 1917), (250, 430)])
def test_shrinking_in_steps_is_an_area_average(shape: tuple[int, int]) -> None:
    small = working_shape(shape)
    noise = (
        np.random.default_rng(2)
        .integers(0, 256, (shape[0] // 16, shape[1] // 16, 3))
        .astype(np.uint8)
    )
    image = np.asarray(cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    direct = cv2.resize(image.astype(np.float32), small[::-1], interpolation=cv2.INTER_AREA)
    found = edges.shrunk(image, small)
    assert found.shape == (*small, 3)
    assert np.abs(found - direct).mean() < 1
    assert np.abs(found.mean() - image.mean()) < 0.5
