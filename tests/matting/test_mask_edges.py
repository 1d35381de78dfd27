from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples
from support.noise_masks import OFF, SEEDS, SIZES, disk, random_mask

from vfx_matte.errors import UsageError
from vfx_matte.matting import refine, refine_objects, sizes
from vfx_matte.settings.options import MatteSettings

fast = examples(60)


@fast
@given(SEEDS, SIZES, st.sampled_from([3, 5, 7, 21]))
def test_median_is_exact(seed: int, shape: tuple[int, int], window: int) -> None:
    mask = random_mask(seed, shape)
    alpha = refine(mask, settings=MatteSettings(edges="median", median=window)).alpha
    padded = np.pad(mask, window // 2, mode="edge")
    brute = np.median(
        np.lib.stride_tricks.sliding_window_view(padded, (window, window)), axis=(2, 3)
    )
    np.testing.assert_array_equal(alpha, brute * 255)
    np.testing.assert_array_equal(alpha, cv2.medianBlur(mask * 255, window))


@pytest.mark.parametrize("window", [15, 21, 43])
def test_median_is_that_of_opencv_on_a_real_size(window: int) -> None:
    mask = np.zeros((270, 480), np.uint8)
    cv2.ellipse(mask, (20, 100), (90, 60), 20, 0, 360, 1, -1)
    cv2.ellipse(mask, (300, 250), (40, 50), 0, 0, 360, 1, -1)
    mask ^= (np.random.default_rng(0).random(mask.shape) < 0.05).astype(np.uint8)
    np.testing.assert_array_equal(
        refine(mask, settings=MatteSettings(edges="median", median=window)).alpha,
        cv2.medianBlur(mask * 255, window),
    )


@fast
@given(
    SEEDS,
    SIZES,
    st.sampled_from([0, 3, 5]),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, 2.5, 6.0]),
)
def test_the_complement_of_a_mask_gives_the_complement_of_its_matte(
    seed: int, shape: tuple[int, int], window: int, grow: int, feather: float
) -> None:
    mask = random_mask(seed, shape)
    one = refine(
        mask, settings=MatteSettings(edges="median", median=window, grow=grow, feather=feather)
    )
    other = refine(
        1 - mask, settings=MatteSettings(edges="median", median=window, grow=-grow, feather=feather)
    )
    np.testing.assert_array_equal(one.alpha, one.full - other.alpha)


def test_the_automatic_window_is_21_at_1080_lines_and_odd() -> None:
    windows = {1080: 21, 720: 15, 480: 9, 2160: 43, 360: 7, 30: 1}
    assert {
        lines: sizes.window_px(MatteSettings(edges="median"), (lines, lines * 16 // 9))
        for lines in windows
    } == windows
    assert sizes.window_px(MatteSettings(edges="median"), (1920, 1080)) == 21
    assert sizes.window_px(MatteSettings(edges="median", median=0), (1080, 1920)) == 1
    assert sizes.window_px(MatteSettings(edges="median", median=5), (1080, 1920)) == 5
    mask = random_mask(3, (120, 200))
    np.testing.assert_array_equal(
        refine(mask, settings=MatteSettings(edges="median")).alpha, cv2.medianBlur(mask * 255, 3)
    )


def test_chosen_objects_are_one_foreground() -> None:
    mask = np.array([[0, 1, 1, 2, 2, 3, 0]], np.uint8)
    assert refine(mask, settings=OFF).alpha.tolist() == [[0, 255, 255, 255, 255, 255, 0]]
    assert refine(mask, objects=(1, 3), settings=OFF).alpha.tolist() == [
        [0, 255, 255, 0, 0, 255, 0]
    ]
    assert not refine(mask, objects=(9,), settings=OFF).alpha.any()
    assert not refine(mask, objects=(), settings=OFF).alpha.any()
    together = refine(mask.repeat(5, 0), settings=MatteSettings(edges="median", median=3)).alpha
    assert together[:, 1:6].all(), "no gap may open between two chosen objects"


@pytest.mark.parametrize(("feather", "dtype"), [(0.0, np.uint8), (3.0, np.uint16)])
def test_an_empty_mask_gives_an_empty_matte_of_the_same_type(feather: float, dtype: type) -> None:
    empty = np.zeros((9, 13), np.uint8)
    alpha = refine(empty, settings=MatteSettings(edges="median", feather=feather)).alpha
    assert alpha.dtype == dtype
    assert alpha.shape == empty.shape
    assert not alpha.any()
    assert (
        refine(empty + 1, settings=MatteSettings(edges="median", feather=feather)).alpha.min()
        == np.iinfo(dtype).max
    )
    assert not refine_objects(empty, settings=MatteSettings(edges="median")).any()


@fast
@given(SEEDS, SIZES, st.integers(1, 5))
def test_growing_is_dilation_and_shrinking_erosion_by_a_disk(
    seed: int, shape: tuple[int, int], radius: int
) -> None:
    mask = random_mask(seed, shape)
    grown = refine(mask, settings=MatteSettings(edges="median", median=0, grow=radius)).alpha // 255
    shrunk = (
        refine(mask, settings=MatteSettings(edges="median", median=0, grow=-radius)).alpha // 255
    )
    kernel = disk(radius)
    np.testing.assert_array_equal(
        grown, cv2.dilate(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    )
    np.testing.assert_array_equal(
        shrunk, cv2.erode(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    )
    closed = (
        refine(grown, settings=MatteSettings(edges="median", median=0, grow=-radius)).alpha // 255
    )
    opened = (
        refine(shrunk, settings=MatteSettings(edges="median", median=0, grow=radius)).alpha // 255
    )
    assert (closed >= mask).all()
    assert (opened <= mask).all()


@fast
@given(SEEDS, SIZES, st.floats(0.1, 12.0))
def test_a_feathered_edge_is_half_on_the_hard_edge(
    seed: int, shape: tuple[int, int], feather: float
) -> None:
    mask = random_mask(seed, shape)
    hard = refine(mask, settings=OFF).alpha
    soft = refine(mask, settings=MatteSettings(edges="median", median=0, feather=feather)).alpha
    np.testing.assert_array_equal(soft > 32767, hard == 255)
    wider = refine(
        mask, settings=MatteSettings(edges="median", median=0, feather=feather * 2)
    ).alpha
    assert (wider[hard == 255] <= soft[hard == 255]).all()
    assert (wider[hard == 0] >= soft[hard == 0]).all()


def test_a_feather_has_the_stated_width_and_shape() -> None:
    mask = np.zeros((3, 20), np.uint8)
    mask[:, 10:] = 1
    row = refine(mask, settings=MatteSettings(edges="median", median=0, feather=8)).alpha[1]
    t = np.clip((np.arange(20) - 9.5) / 8 + 0.5, 0, 1)
    np.testing.assert_allclose(row, 65535 * (3 * t**2 - 2 * t**3), atol=0.5)
    assert row[:6].max() == 0
    assert row[14:].min() == 65535
    assert 0 < row[6] < row[7] < row[8] < row[9] < row[10] < row[13] < 65535


def test_specks_and_holes_go_by_area() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[4:16, 4:20] = 1
    mask[6:8, 6:8] = 0  # a hole of 4
    mask[10:13, 10:13] = 0  # a hole of 9
    mask[2, 25] = mask[3, 26] = 1  # a speck of 2, joined at a corner
    mask[0:3, 0:1] = 1  # a speck of 3 at the frame's edge

    def cleaned(**areas: int) -> np.ndarray:
        return refine(mask, settings=MatteSettings(edges="median", median=0, **areas)).alpha // 255

    filled = cleaned(fill_holes=4)
    assert filled[6:8, 6:8].all()
    assert not filled[10:13, 10:13].any()
    assert not cleaned(fill_holes=3)[6:8, 6:8].any()
    assert cleaned(fill_holes=9)[4:16, 4:20].all()
    assert (cleaned(fill_holes=10_000) == 0).sum() == (mask == 0).sum() - 13, (
        "the outside is not a hole"
    )
    assert cleaned(remove_specks=1).sum() == mask.sum()
    assert cleaned(remove_specks=2)[2:4, 25:27].sum() == 0
    assert cleaned(remove_specks=2)[0:3, 0].all()
    assert cleaned(remove_specks=3)[0:3, 0].sum() == 0


def test_background_that_meets_the_frame_is_no_hole() -> None:
    mask = np.ones((10, 10), np.uint8)
    mask[0, 4] = 0
    mask[5, 5] = 0
    alpha = refine(mask, settings=MatteSettings(edges="median", median=0, fill_holes=5)).alpha
    assert alpha[0, 4] == 0
    assert alpha[5, 5] == 255


def test_a_ring_and_its_diagonal_gap() -> None:
    ring = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0]], np.uint8)
    assert (
        refine(ring, settings=MatteSettings(edges="median", median=0, fill_holes=2)).alpha[1].all()
    ), "holes are 4-connected"
    assert refine(
        ring, settings=MatteSettings(edges="median", median=0, remove_specks=5)
    ).alpha.any(), "pieces are 8-connected"


@fast
@given(SEEDS, SIZES, st.sampled_from([0, 3, 5, 9]), st.integers(-3, 3))
def test_objects_alone_are_refined_like_a_matte(
    seed: int, shape: tuple[int, int], window: int, grow: int
) -> None:
    mask = random_mask(seed, shape) * np.uint8(7)
    options = MatteSettings(edges="median", median=window, grow=grow, fill_holes=5, remove_specks=4)
    objects = refine_objects(mask, settings=options)
    np.testing.assert_array_equal(objects, refine(mask, settings=options).alpha // 255 * 7)


@fast
@given(SEEDS, SIZES, st.sampled_from([3, 5]))
def test_every_pixel_takes_the_most_frequent_id_of_its_window(
    seed: int, shape: tuple[int, int], window: int
) -> None:
    mask = random_mask(seed, shape, objects=4)
    padded = np.pad(mask, window // 2, mode="edge")
    result = refine_objects(mask, settings=MatteSettings(edges="median", median=window))
    for (y, x), own in np.ndenumerate(mask):
        votes = np.bincount(padded[y : y + window, x : x + window].reshape(-1), minlength=5)
        winners = np.flatnonzero(votes == votes.max())
        assert result[y, x] == (own if own in winners else winners[0])


@fast
@given(SEEDS, SIZES, st.integers(-4, 4))
def test_growing_objects_takes_background_only(
    seed: int, shape: tuple[int, int], grow: int
) -> None:
    mask = random_mask(seed, shape, objects=3)
    result = refine_objects(mask, settings=MatteSettings(edges="median", median=0, grow=grow))
    union = refine(mask, settings=MatteSettings(edges="median", median=0, grow=grow)).alpha // 255
    np.testing.assert_array_equal(result != 0, union != 0)
    kept = (mask != 0) & (result != 0)
    np.testing.assert_array_equal(result[kept], mask[kept])
    assert set(np.unique(result)) <= set(np.unique(mask)) | {0}


def test_a_grown_pixel_goes_to_the_nearest_object_and_to_the_lower_id_between_two() -> None:
    mask = np.array([[9, 0, 0, 0, 4]], np.uint8)
    assert refine_objects(
        mask, settings=MatteSettings(edges="median", median=0, grow=2)
    ).tolist() == [[9, 9, 4, 4, 4]]


def test_a_hole_filled_for_one_object_does_not_swallow_another() -> None:
    mask = np.ones((7, 7), np.uint8)
    mask[2:5, 2:5] = 0
    mask[3, 3] = 2
    result = refine_objects(mask, settings=MatteSettings(edges="median", median=0, fill_holes=9))
    assert result[3, 3] == 2
    assert (result == 1).sum() == 48


def test_the_mask_given_is_left_as_it_was() -> None:
    mask = random_mask(1, (20, 20), objects=3)
    before = mask.copy()
    options = MatteSettings(
        edges="median", median=3, grow=2, fill_holes=9, remove_specks=9, feather=2
    )
    refine(mask, settings=options)
    refine_objects(mask, settings=options)
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize(
    "bad",
    [
        {"median": 4},
        {"median": -1},
        {"median": 257},
        {"feather": -0.5},
        {"feather": float("nan")},
        {"grow": 501},
        {"grow": -501},
        {"fill_holes": -1},
        {"remove_specks": -1},
    ],
)
def test_impossible_options_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=str(next(iter(bad.values())))):
        MatteSettings(**bad)


@pytest.mark.parametrize("bad", [np.zeros((4, 4), np.int64), np.zeros((4, 4, 3), np.uint8)])
def test_only_masks_are_refined(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W\)"):
        refine(bad, settings=OFF)
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W\)"):
        refine_objects(bad, settings=OFF)
