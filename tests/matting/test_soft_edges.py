"""Mattes from masks and probabilities, against the formulas of their docstrings and against
OpenCV.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples
from support.noise_masks import OFF, SEEDS, SIZES, disk, random_mask

from vfx_matte.matting import SOFT_LEVELS, refine, refine_soft, sizes, soft_reach_px
from vfx_matte.settings.options import MatteSettings

ONE = 65535
fast = examples(60)


def random_soft(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """Probabilities with flat and steep parts, and often exactly 0 and 255: uint8 (H, W)."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random(shape), (0, 0), float(rng.uniform(0.3, 3)))
    spread = (noise - noise.mean()) / (noise.std() + 1e-9) * rng.uniform(40, 200) + rng.uniform(
        60, 200
    )
    return np.clip(np.rint(spread), 0, 255).astype(np.uint8)


def distance(binary: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the edge, which lies half a pixel before the other side; large
    where there is none.
    """
    to_zero, to_one = (
        cv2.distanceTransform(one, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        if not one.all()
        else np.full(one.shape, 1e6, np.float32)
        for one in (binary, 1 - binary)
    )
    return np.where(binary != 0, to_zero, to_one).astype(np.float64) - 0.5


def by_the_formula(mask: np.ndarray, soft: np.ndarray, *, window: int, mean: int) -> np.ndarray:
    """Alpha in 0..1 by what `refine_soft` promises, over the whole frame and in floats."""
    binary = cv2.medianBlur(mask, window) if window > 1 else mask
    q = (
        cv2.boxFilter(soft.astype(np.float64), -1, (mean, mean), borderType=cv2.BORDER_REPLICATE)
        / 255
    )
    low, high = SOFT_LEVELS
    t = np.clip((q - low) / (high - low), 0, 1)
    s = np.where(binary != 0, 1, -1) * distance(binary) / soft_reach_px(mask.shape)
    return np.maximum(np.minimum(3 * t**2 - 2 * t**3, np.clip(1 + s, 0, 1)), np.clip(s, 0, 1))


# ---------------------------------------------------------------- the edge itself


@fast
@given(SEEDS, SIZES, st.sampled_from([(0, 1), (3, 1), (5, 3), (9, 5), (21, 11)]))
def test_alpha_is_what_the_formula_says(
    seed: int, shape: tuple[int, int], windows: tuple[int, int]
) -> None:
    """Cropping to the objects changes nothing, and what is rounded is the result alone."""
    mask, soft = (
        np.pad(random_mask(seed, shape), 30),
        np.pad(random_soft(seed, shape), 30, mode="reflect"),
    )
    if min(shape) > 12:  # objects that meet the frame's border, too
        mask, soft = mask[30:-9, 30:], soft[30:-9, 30:]
    mask, soft = np.ascontiguousarray(mask), np.ascontiguousarray(soft)
    options = MatteSettings(edges="median", median=windows[0])
    assert sizes.mean_px(options, mask.shape) == windows[1]
    alpha = refine_soft(mask, {1: soft}, settings=options).alpha
    wanted = by_the_formula(mask, soft, window=windows[0], mean=windows[1])
    np.testing.assert_allclose(alpha, wanted * ONE if mask.any() else 0, atol=3)


@fast
@given(SEEDS, st.integers(0, 80), st.integers(175, 255))
def test_no_haze_outside_and_no_hole_inside(seed: int, haze: int, doubt: int) -> None:
    """However far low probabilities spread and high ones sag, alpha is exactly 0 and 1 away from
    the edge.
    """
    mask = np.zeros((96, 120), np.uint8)
    cv2.ellipse(mask, (60, 48), (34, 26), seed % 180, 0, 360, 1, -1)
    soft = np.where(mask != 0, doubt, haze).astype(np.uint8)
    alpha = refine_soft(mask, {1: soft}, settings=MatteSettings(edges="median")).alpha
    far = distance(mask) >= soft_reach_px(mask.shape)
    assert (alpha[far & (mask == 0)] == 0).all()
    assert (alpha[far & (mask == 1)] == ONE).all()
    np.testing.assert_array_equal(alpha > ONE // 2, mask != 0)


def test_the_reach_scales_with_the_frame() -> None:
    assert soft_reach_px((1080, 1920)) == soft_reach_px((1920, 1080)) == 16
    assert soft_reach_px((2160, 3840)) == 32
    assert soft_reach_px((64, 96)) == 4
    assert sizes.mean_px(MatteSettings(edges="median"), (1080, 1920)) == 11
    assert sizes.mean_px(MatteSettings(edges="median", median=0), (1080, 1920)) == 1


@fast
@given(SEEDS, SIZES, st.sampled_from([0, 3, 5]), st.integers(-3, 3), st.sampled_from([0.0, 2.5]))
def test_more_probability_never_gives_less_alpha(
    seed: int, shape: tuple[int, int], window: int, grow: int, feather: float
) -> None:
    mask, soft = random_mask(seed, shape), random_soft(seed, shape)
    more = np.minimum(soft.astype(int) + random_soft(seed + 1, shape) // 3, 255).astype(np.uint8)
    options = MatteSettings(edges="median", median=window, grow=grow, feather=feather)
    less_alpha, more_alpha = (
        refine_soft(mask, {1: one}, settings=options).alpha for one in (soft, more)
    )
    assert (less_alpha <= more_alpha).all()


@fast
@given(SEEDS, SIZES, st.sampled_from([0, 3, 5]), st.integers(-3, 3))
def test_complements_give_the_complement(
    seed: int, shape: tuple[int, int], window: int, grow: int
) -> None:
    mask, soft = random_mask(seed, shape), random_soft(seed, shape)
    if not mask.any() or mask.all():
        return  # a frame of one kind has no edge to shape
    pads = ((9, 9), (9, 9))  # so that both sides see the same crop: the whole frame
    mask, soft = np.pad(mask, pads, mode="edge"), np.pad(soft, pads, mode="edge")
    one = refine_soft(
        mask, {1: soft}, settings=MatteSettings(edges="median", median=window, grow=grow)
    ).alpha
    other = refine_soft(
        1 - mask, {1: 255 - soft}, settings=MatteSettings(edges="median", median=window, grow=-grow)
    ).alpha
    np.testing.assert_array_equal(one, ONE - other)


@pytest.mark.parametrize("scale", [2.25, 4.5])
def test_a_smooth_edge_keeps_its_place_its_area_and_its_width(scale: float) -> None:
    """Probabilities as propagators give them: an edge of two cells of a smaller picture,
    enlarged.
    """
    shape = (540, 720)
    small = np.zeros((round(540 / scale), round(720 / scale)), np.float32)
    y, x = np.mgrid[: small.shape[0], : small.shape[1]]
    small[:] = 1 / (
        1
        + np.exp(
            2 * (np.hypot(x - small.shape[1] / 2, y - small.shape[0] / 2) - small.shape[0] / 3)
        )
    )
    probability = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR)
    mask, soft = (probability > 0.5).astype(np.uint8), np.rint(probability * 255).astype(np.uint8)
    alpha = refine_soft(mask, {1: soft}, settings=MatteSettings(edges="median")).alpha / ONE
    assert alpha.sum() == pytest.approx(mask.sum(), rel=0.01)
    assert np.count_nonzero((alpha > 0.5) != (mask != 0)) < 0.002 * mask.sum()
    between = [np.count_nonzero((one > 0.05) & (one < 0.95)) for one in (alpha, probability)]
    assert 0.4 < between[0] / between[1] < 1.1
    row = alpha[270, : 360 - 1]
    assert (np.diff(row) >= 0).all()
    assert np.abs(np.diff(row)).max() < 0.35, "no step is left"


# ---------------------------------------------------------------- objects


@fast
@given(SEEDS, SIZES, st.permutations([1, 2, 3]))
def test_the_numbers_and_the_order_of_objects_mean_nothing(
    seed: int, shape: tuple[int, int], order: list[int]
) -> None:
    mask = random_mask(seed, shape, objects=3)
    soft = {object_id: random_soft(seed + object_id, shape) // 2 for object_id in (1, 2, 3)}
    new = dict(zip((1, 2, 3), (order[0] * 20, order[1] * 20, order[2] * 20), strict=True))
    renamed = np.array([0, *new.values()], np.uint8)[mask]
    for chosen in (None, (1, 3), (2,), ()):
        one = refine_soft(
            mask, soft, objects=chosen, settings=MatteSettings(edges="median", median=3)
        ).alpha
        ids = None if chosen is None else tuple(sorted(new[object_id] for object_id in chosen))
        named = {new[object_id]: soft[object_id] for object_id in order}
        np.testing.assert_array_equal(
            one,
            refine_soft(
                renamed, named, objects=ids, settings=MatteSettings(edges="median", median=3)
            ).alpha,
        )


def test_no_gap_between_two_chosen_objects() -> None:
    """Each is unsure where they touch; together they are certain."""
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 10:40], mask[10:50, 40:70] = 1, 2
    ramp = np.clip(np.rint(255 * ((np.arange(80) - 34) / 12)), 0, 255).astype(np.uint8)
    inside = (mask != 0).astype(np.uint8)
    soft = {1: inside * (255 - ramp), 2: inside * ramp}
    together = refine_soft(mask, soft, settings=OFF).alpha
    np.testing.assert_array_equal(together, inside.astype(np.uint16) * ONE)
    left = refine_soft(mask, soft, objects=(1,), settings=OFF).alpha[30]
    assert left[20] == ONE
    assert 0 < left[42] < left[38] < ONE
    assert left[50] == 0
    certain = dict.fromkeys((1, 2), np.full(mask.shape, 200, np.uint8))
    assert (refine_soft(mask, certain, settings=OFF).alpha[mask != 0] == ONE).all(), (
        "a sum above certainty is certainty"
    )


def test_an_object_that_is_not_there_adds_nothing() -> None:
    mask = random_mask(4, (30, 40))
    soft, nothing = random_soft(4, (30, 40)), np.zeros((30, 40), np.uint8)
    one = refine_soft(mask, {1: soft}, settings=MatteSettings(edges="median", median=3)).alpha
    np.testing.assert_array_equal(
        one,
        refine_soft(
            mask, {1: soft, 9: nothing}, settings=MatteSettings(edges="median", median=3)
        ).alpha,
    )
    assert not refine_soft(mask, {9: nothing + 90}, objects=(9,), settings=OFF).alpha.any(), (
        "the mask says where it is"
    )


# ---------------------------------------------------------------- the other steps


@fast
@given(SEEDS, SIZES, st.integers(-4, 4))
def test_certain_probabilities_are_the_mask(seed: int, shape: tuple[int, int], grow: int) -> None:
    """On a frame whose mask was given nothing is invented, whatever comes after."""
    mask = random_mask(seed, shape)
    options = MatteSettings(edges="median", median=0, grow=grow, fill_holes=0)
    soft = refine_soft(mask, {1: mask * 255}, settings=options)
    assert soft.full == ONE
    np.testing.assert_array_equal(
        soft.alpha, refine(mask, settings=options).alpha.astype(np.uint16) * 257
    )


def test_a_given_mask_gets_an_edge_too() -> None:
    """With the median on, steps of a few pixels are averaged away: no frame stands out by its hard
    edge.
    """
    mask = np.zeros((400, 400), np.uint8)
    cv2.fillPoly(mask, [np.array([(40, 60), (370, 190), (120, 360)], np.int32)], 1)
    alpha = refine_soft(
        mask, {1: mask * 255}, settings=MatteSettings(edges="median", median=9)
    ).alpha
    steps = [np.abs(np.diff(one.astype(float), axis=1)).max() for one in (alpha / ONE, mask)]
    assert steps[1] == 1
    assert steps[0] < 0.5
    assert alpha.sum() / ONE == pytest.approx(mask.sum(), rel=0.01)


def test_specks_and_holes_follow_the_mask() -> None:
    mask = np.zeros((80, 100), np.uint8)
    mask[20:60, 20:70] = 1
    mask[40:43, 40:43] = 0
    mask[70:72, 90:92] = 1
    soft = mask * np.uint8(255)
    kept = refine_soft(mask, {1: soft}, settings=OFF).alpha
    assert kept[71, 91] == ONE
    assert kept[41, 41] == 0
    options = MatteSettings(edges="median", median=0, remove_specks=4, fill_holes=9)
    clean = refine_soft(mask, {1: soft}, settings=options).alpha
    assert not clean[66:, 80:].any()
    assert (clean[24:56, 24:66] == ONE).all()


@fast
@given(SEEDS, SIZES, st.integers(1, 7))
def test_growing_is_grey_dilation_by_a_disk(seed: int, shape: tuple[int, int], radius: int) -> None:
    mask, soft = random_mask(seed, shape), random_soft(seed, shape)
    before = refine_soft(mask, {1: soft}, settings=OFF).alpha
    grown = refine_soft(
        mask, {1: soft}, settings=MatteSettings(edges="median", median=0, grow=radius)
    ).alpha
    shrunk = refine_soft(
        mask, {1: soft}, settings=MatteSettings(edges="median", median=0, grow=-radius)
    ).alpha
    kernel = disk(radius)
    np.testing.assert_array_equal(
        grown, cv2.dilate(before, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    )
    np.testing.assert_array_equal(
        shrunk, cv2.erode(before, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=ONE)
    )


@pytest.mark.parametrize("feather", [0.4, 1.0, 2.5, 8.0, 31.0])
def test_the_feather_of_a_straight_edge_is_the_same_as_without_probabilities(
    feather: float,
) -> None:
    mask = np.zeros((7, 120), np.uint8)
    mask[:, 60:] = 1
    options = MatteSettings(edges="median", median=0, feather=feather)
    for turned in (mask, np.ascontiguousarray(mask.T)):
        hard = refine(turned, settings=options).alpha.astype(int)
        soft = refine_soft(turned, {1: turned * 255}, settings=options).alpha.astype(int)
        np.testing.assert_allclose(soft, hard, atol=4)


def test_the_feather_comes_last() -> None:
    """A line of one pixel is grown to seven, so that its middle stays opaque under a feather of
    four.
    """
    mask = np.zeros((40, 60), np.uint8)
    mask[:, 30] = 1
    alpha = refine_soft(
        mask, {1: mask * 255}, settings=MatteSettings(edges="median", median=0, grow=3, feather=4)
    ).alpha
    assert alpha[20, 30] == ONE
    assert 0 < alpha[20, 33] < ONE


@fast
@given(SEEDS, st.sampled_from([1.0, 3.0, 6.5]))
def test_the_feather_keeps_the_area_and_stays_near_the_edge(seed: int, feather: float) -> None:
    soft = random_soft(seed, (40, 40))
    soft[:12], soft[-12:], soft[:, :12], soft[:, -12:] = 0, 0, 0, 0
    mask = (soft > 127).astype(np.uint8)
    plain = refine_soft(mask, {1: soft}, settings=OFF).alpha
    blurred = refine_soft(
        mask, {1: soft}, settings=MatteSettings(edges="median", median=0, feather=feather)
    ).alpha
    assert blurred.sum(dtype=np.int64) == pytest.approx(
        plain.sum(dtype=np.int64), rel=1e-3, abs=2 * ONE
    )
    near = cv2.dilate(plain, np.ones((9, 9), np.uint8))
    assert not blurred[near == 0].any()


# ---------------------------------------------------------------- what goes in and out


@pytest.mark.parametrize(("grow", "feather"), list(itertools.product([0, 3, -3], [0.0, 4.0])))
def test_the_type_is_always_the_same(grow: int, feather: float) -> None:
    options = MatteSettings(edges="median", grow=grow, feather=feather)
    empty = np.zeros((9, 13), np.uint8)
    for mask, soft, value in ((empty, empty + 200, 0), (empty + 1, empty, ONE)):
        alpha = refine_soft(mask, {1: soft}, settings=options).alpha
        assert alpha.dtype == np.uint16
        assert alpha.shape == mask.shape
        assert (alpha == value).all(), "the mask has no edge"


def test_what_is_given_is_left_as_it_was() -> None:
    mask, soft = (
        random_mask(1, (40, 50), objects=2),
        {1: random_soft(1, (40, 50)), 2: random_soft(2, (40, 50))},
    )
    before = mask.copy(), {object_id: one.copy() for object_id, one in soft.items()}
    options = MatteSettings(
        edges="median", median=3, grow=2, feather=2, fill_holes=9, remove_specks=9
    )
    refine_soft(mask, soft, settings=options)
    refine_soft(mask, soft, objects=(1,), settings=MatteSettings(edges="median", median=0))
    np.testing.assert_array_equal(mask, before[0])
    for object_id, one in soft.items():
        np.testing.assert_array_equal(one, before[1][object_id])


def test_probabilities_of_another_kind_are_refused() -> None:
    mask = np.ones((4, 6), np.uint8)
    for soft in ({}, {1: np.zeros((6, 4), np.uint8)}, {1: np.zeros((4, 6), np.float32)}):
        with pytest.raises(ValueError, match="object 1 is not there, or not uint8"):
            refine_soft(mask, soft, objects=(1,), settings=OFF)
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W\)"):
        refine_soft(mask.astype(int), {1: mask}, settings=OFF)
