"""Alpha from the picture: its promises outside the band, its accuracy where the truth is known, and
what it refuses.
"""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.noise_masks import disk

from vfx_matte.errors import UsageError
from vfx_matte.masks import Image, Mask
from vfx_matte.matting import (
    estimate_foreground,
    make_matte,
    open_estimator,
    refine,
    refine_soft,
)
from vfx_matte.matting.evidence import NAMES, evidence, read, swapped
from vfx_matte.matting.guided import GuidedAlpha
from vfx_matte.matting.local_colors import LocalColors, learn_colors
from vfx_matte.matting.perceptron import predict
from vfx_matte.matting.picture_edges import find_edge
from vfx_matte.matting.problem import BACKGROUND, SUBJECT, UNKNOWN, AlphaProblem
from vfx_matte.matting.trimap import (
    TRUST_SCALE,
    band_px,
    hairiness,
    signed_distance,
    trimap_of,
    trust,
)
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.settings.edge_methods import EDGE_METHODS
from vfx_matte.settings.options import MatteSettings

ONE = 65535
GUIDED = MatteSettings(edges="guided")
fast = settings(max_examples=25)
needs_pymatting = pytest.mark.skipif(
    importlib.util.find_spec("pymatting") is None, reason="PyMatting is not installed"
)


def scene(
    kind: str, *, seed: int = 0, shape: tuple[int, int] = (360, 480), grain: float = 1.5
) -> tuple[Image, np.ndarray, Mask]:
    """A reddish subject over a bluish background, both textured: uint8 picture, float32 true alpha,
    the mask alpha >= 0.5.
    """
    rng, (height, width) = np.random.default_rng(seed), shape
    large = np.zeros((height * 2, width * 2), np.uint8)
    cv2.ellipse(large, (width, height), (width // 2, int(height * 0.6)), 15, 0, 360, 255, -1)
    if kind == "hair":
        for angle in rng.uniform(0, 2 * np.pi, 160):
            start = np.array(
                [width + width / 2.1 * np.cos(angle), height + height * 0.57 * np.sin(angle)]
            )
            bends = np.cumsum(rng.normal(0, 0.15, 8)) + angle
            steps = np.stack([np.cos(bends), np.sin(bends)], axis=-1) * rng.uniform(4, 9)
            strand = np.cumsum(np.vstack([start, steps]), axis=0).astype(np.int32)
            cv2.polylines(large, [strand], False, 255, 2, cv2.LINE_AA)
    alpha = (
        cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    )
    if kind == "motion":
        alpha = cv2.blur(alpha, (9, 1))
    if kind == "defocus":
        alpha = cv2.GaussianBlur(alpha, (0, 0), 2)
    noise = [
        cv2.GaussianBlur(rng.standard_normal((*shape, 3)).astype(np.float32), (0, 0), 5) * 60
        for _ in range(2)
    ]
    front, back = np.float32([190, 90, 60]) + noise[0], np.float32([70, 110, 170]) + noise[1]
    image = (
        alpha[..., None] * front + (1 - alpha[..., None]) * back + rng.normal(0, grain, (*shape, 3))
    )
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), alpha, (alpha >= 0.5).astype(np.uint8)


def error(alpha: np.ndarray, truth: np.ndarray) -> float:
    """Sum of absolute differences, in pixels."""
    return float(np.abs(alpha.astype(np.float32) / np.iinfo(alpha.dtype).max - truth).sum())


# ---------------------------------------------------------------- how good it is


@pytest.mark.parametrize(
    ("kind", "times"), [("hair", 8), ("motion", 5), ("defocus", 4), ("plain", 8)]
)
def test_guided_is_nearer_to_the_truth_than_the_median(kind: str, times: float) -> None:
    image, truth, mask = scene(kind)
    guided = make_matte(mask, image=image, settings=GUIDED).alpha
    median = make_matte(mask, settings=MatteSettings(edges="median")).alpha
    assert error(guided, truth) * times < error(median, truth)


def test_grain_is_told_from_structure() -> None:
    """What the distance from the edge explains is freed of it."""
    image, truth, mask = scene("motion", grain=14)
    guided = make_matte(mask, image=image, settings=GUIDED).alpha
    assert error(guided, truth) * 3.1 < error(
        make_matte(mask, settings=MatteSettings(edges="median")).alpha, truth
    )


@pytest.mark.parametrize("kind", ["hair", "motion", "defocus"])
def test_gray_pictures_are_enough(kind: str) -> None:
    image, truth, mask = scene(kind)
    gray = np.repeat(image[..., :1], 3, axis=2)
    guided = make_matte(mask, image=gray, settings=GUIDED).alpha
    assert error(guided, truth) * 3 < error(
        make_matte(mask, settings=MatteSettings(edges="median")).alpha, truth
    )


def test_a_displaced_mask_is_put_right() -> None:
    image, truth, mask = scene("plain")
    for wrong in (
        np.roll(mask, 3, axis=1),
        cv2.erode(mask, np.ones((5, 5), np.uint8)),
        cv2.dilate(mask, np.ones((5, 5), np.uint8)),
    ):
        guided = make_matte(wrong, image=image, settings=GUIDED).alpha
        assert error(guided, truth) * 3 < error(wrong * np.uint8(255), truth)


@pytest.mark.slow
@needs_pymatting
@pytest.mark.parametrize("kind", ["motion", "defocus"])
def test_closed_form_is_nearer_to_the_truth_than_the_median(kind: str) -> None:
    image, truth, mask = scene(kind, shape=(180, 240))
    closed = make_matte(mask, image=image, settings=MatteSettings(edges="closed-form")).alpha
    assert error(closed, truth) * 3 < error(
        make_matte(mask, settings=MatteSettings(edges="median")).alpha, truth
    )


def test_probabilities_decide_where_colours_say_nothing() -> None:
    """One grey everywhere: alpha follows the prior, which is the probabilities where there
    are any.
    """
    mask = np.zeros((120, 160), np.uint8)
    mask[:, 80:] = 1
    image = np.full((120, 160, 3), 128, np.uint8)
    shares = [np.clip((np.arange(160) - 80 + shift) / 12 + 0.5, 0, 1) for shift in (4, -4)]
    more, less = (
        make_matte(
            mask,
            image=image,
            soft={1: np.tile(np.rint(255 * share).astype(np.uint8), (120, 1))},
            settings=GUIDED,
        ).alpha
        for share in shares
    )
    assert more[60, 70:90].mean() > less[60, 70:90].mean() + ONE / 10


# ---------------------------------------------------------------- what holds always


@fast
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([2.0, 9.0, 40.0]),
    st.sampled_from([(40, 60), (90, 37), (1, 30)]),
)
def test_alpha_is_exactly_0_and_1_outside_the_band(
    seed: int, band: float, shape: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 2, (-(-shape[0] // 9), -(-shape[1] // 9)), dtype=np.uint8)
    mask = np.kron(coarse, np.ones((9, 9), np.uint8))[: shape[0], : shape[1]]
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    alpha = make_matte(
        mask, image=image, settings=MatteSettings(edges="guided", band=band, median=0)
    ).alpha
    assert alpha.dtype == np.uint16
    far = np.abs(signed_distance(mask)) >= band / 2
    np.testing.assert_array_equal(alpha[far], mask[far] * np.uint16(ONE))


@pytest.mark.parametrize("kind", ["hair", "defocus"])
def test_complements_give_the_complement(kind: str) -> None:
    image, _, mask = scene(kind)
    mask[0, 0], mask[-1, -1] = 1, 1  # so that both sides see the same crop: the whole frame
    for corner in (mask[:9, :9], mask[-9:, -9:]):
        corner[:] = np.eye(9, dtype=np.uint8)
    # pieces join at corners and holes do not, so these are left as they are
    options = MatteSettings(edges="guided", median=0, remove_specks=0, fill_holes=0)
    one, other = (
        make_matte(given_mask, image=image, settings=options).alpha
        for given_mask in (mask, 1 - mask)
    )
    np.testing.assert_allclose(one.astype(int), ONE - other.astype(int), atol=ONE * 0.004)


@pytest.mark.slow
@pytest.mark.parametrize("soft", [False, True])
def test_threads_give_the_bytes_of_one_thread(soft: bool) -> None:
    """However many threads there are, alpha and the subject's colours are the same to the
    last bit.
    """
    image, _, mask = scene("hair", shape=(540, 720))
    given_soft = {1: cv2.blur(mask * np.uint8(255), (9, 9))} if soft else None
    before, results = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 4, 4):
            cv2.setNumThreads(threads)
            matte = make_matte(
                mask,
                image=image,
                soft=given_soft,
                settings=GUIDED,
                estimator=GuidedAlpha(tile_px=96),
            )
            planes = tuple(np.ascontiguousarray(image[..., channel]) for channel in range(3))
            picture = Picture(planes, PixelLayout("rgb", 8), ColorTags("gbr", "pc"))
            results.append((matte.alpha, *estimate_foreground(picture, matte).planes))
    finally:
        cv2.setNumThreads(before)
    for other in results[1:]:
        for one, another in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, another)


def test_evidence_has_a_counterpart() -> None:
    """Seen with both sides changed, the numbers are those that `swapped` tells, and what is judged
    of them is 1 − alpha.
    """
    image, _, mask = scene("hair", shape=(180, 240))
    mask[0, 0], mask[-1, -1] = 1, 1  # so that both sides see the same crop: the whole frame
    for corner in (mask[:9, :9], mask[-9:, -9:]):
        corner[:] = np.eye(9, dtype=np.uint8)
    whole = slice(0, 180), slice(0, 240)
    edges = [find_edge(given_mask, image, settings=GUIDED) for given_mask in (mask, 1 - mask)]
    problems = [edge.part(whole) for edge in edges if edge is not None]
    one, other = (evidence(problem, read(problem)) for problem in problems)
    assert one.shape == (len(NAMES), np.count_nonzero(problems[0].trimap == UNKNOWN))
    np.testing.assert_allclose(swapped(one), other, atol=2e-3)
    np.testing.assert_array_equal(swapped(swapped(one)), one)
    np.testing.assert_allclose(predict(one) + predict(swapped(one)), 1, atol=1e-4)
    assert np.ptp(predict(one)) > 0.9


@fast
@given(st.integers(0, 700), st.integers(0, 2**32 - 1))
def test_a_pixel_is_judged_alone(count: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(0, 0.5, (len(NAMES), 700)).astype(np.float32)
    np.testing.assert_allclose(predict(rows[:, :count]), predict(rows)[:count], atol=1e-4)


def test_tiles_leave_no_seam() -> None:
    image, _, mask = scene("hair")
    whole = make_matte(mask, image=image, settings=GUIDED).alpha
    tiled = make_matte(mask, image=image, settings=GUIDED, estimator=GuidedAlpha(tile_px=64)).alpha
    np.testing.assert_allclose(tiled.astype(int), whole.astype(int), atol=ONE * 0.002)


def test_the_steps_keep_their_order() -> None:
    """Specks are gone before alpha is estimated, growing and feathering come after it."""
    image, _, mask = scene("defocus")
    mask[5:8, 5:8] = 1
    plain = make_matte(
        mask, image=image, settings=MatteSettings(edges="guided", remove_specks=20)
    ).alpha
    assert not plain[:20, :20].any()
    grown = make_matte(
        mask, image=image, settings=MatteSettings(edges="guided", remove_specks=20, grow=3)
    ).alpha
    assert (grown >= cv2.dilate(plain, disk(3)) - ONE * 0.02).all()
    soft = make_matte(
        mask,
        image=image,
        settings=MatteSettings(edges="guided", remove_specks=20, feather=9),
    ).alpha
    assert np.abs(np.diff(soft.astype(int))).max() < np.abs(np.diff(plain.astype(int))).max()


def test_chosen_objects_are_one_subject() -> None:
    image, _, mask = scene("plain")
    halves = mask.copy()
    halves[:, 240:] *= 2
    one = make_matte(mask, image=image, settings=GUIDED).alpha
    np.testing.assert_array_equal(
        make_matte(halves, image=image, objects=(1, 2), settings=GUIDED).alpha, one
    )
    assert not make_matte(halves, image=image, objects=(9,), settings=GUIDED).alpha.any()


def test_frames_of_one_kind_have_no_edge() -> None:
    image, _, mask = scene("plain", shape=(40, 60))
    assert not make_matte(mask * 0, image=image, settings=GUIDED).alpha.any()
    assert (make_matte(mask * 0 + 1, image=image, settings=GUIDED).alpha == ONE).all()


# ---------------------------------------------------------------- the band


def test_the_band_widens_along_hair_only() -> None:
    for kind, wider in (("hair", True), ("plain", False)):
        image, truth, _ = scene(kind, seed=2)
        mask = (cv2.medianBlur((truth * 255).astype(np.uint8), 15) > 127).astype(np.uint8)
        distance = signed_distance(mask)
        colors = learn_colors(image, distance, band_px=12, scale=1 / 3)
        fixed = trimap_of(distance, half_px=6)
        hairy = hairiness(
            distance, colors, np.ones(mask.shape, np.float32), half_px=6, widest_px=32
        )
        adapted = trimap_of(distance, half_px=6, hairy=hairy, widest_px=32)
        assert (fixed != UNKNOWN)[adapted != UNKNOWN].all(), "it never narrows"
        share = (adapted == UNKNOWN).sum() / (fixed == UNKNOWN).sum()
        assert share > 2 if wider else share < 1.15


def test_colours_that_are_on_both_sides_are_not_believed() -> None:
    """Where the background has the subject's colour all over, the mask keeps its own edge and
    nothing is taken from there.
    """
    image, _, mask = scene("plain", shape=(240, 320))
    distance = signed_distance(mask)
    rim = np.abs(distance) < 6

    def trusted() -> np.ndarray:
        return trust(
            distance, learn_colors(image, distance, band_px=12, scale=TRUST_SCALE / 3), half_px=6
        )

    assert trusted()[rim].mean() > 0.99
    patches = np.random.default_rng(5).integers(0, 2, (30, 40)).astype(np.uint8)
    patches = cv2.resize(patches, (320, 240), interpolation=cv2.INTER_NEAREST) == 1
    image[patches & (mask == 0)] = np.median(image[mask != 0], axis=0)
    assert trusted()[rim].mean() < 0.05
    alpha = make_matte(mask, image=image, settings=GUIDED).alpha
    share = cv2.blur(cv2.blur(mask.astype(np.float32), (5, 5)), (5, 5))
    own_edge = np.clip(0.5 + 5 * (share - 0.5), 0, 1)
    assert np.abs(alpha / ONE - own_edge)[rim].mean() < 0.002
    assert np.abs(alpha / ONE - own_edge).max() < 0.35


def test_colours_are_tried_in_thin_subjects_too() -> None:
    """A leg is nowhere as thick as hair may reach; patches of the background's colour in it tear no
    holes all the same.
    """
    mask = np.zeros((240, 320), np.uint8)
    mask[100:140] = 1
    base = np.where(mask[..., None] > 0, np.float32([190, 90, 60]), np.float32([70, 110, 170]))
    image = np.clip(base + np.random.default_rng(6).normal(0, 4, base.shape), 0, 255).astype(
        np.uint8
    )
    distance = signed_distance(mask)
    rim = np.abs(distance) < 6

    def trusted() -> float:
        colors = learn_colors(image, distance, band_px=12, scale=TRUST_SCALE / 3)
        return float(trust(distance, colors, half_px=6)[rim].mean())

    assert trusted() > 0.99
    for left in range(0, 320, 40):
        image[106:134, left : left + 20] = 70, 110, 170
    assert trusted() < 0.05
    alpha = make_matte(mask, image=image, settings=GUIDED).alpha
    assert (alpha[distance > 5] == ONE).all()


@pytest.mark.parametrize("width_px", [5, 6, 8])
def test_paws_in_the_backgrounds_colour_stay(width_px: int) -> None:
    """Colours that say nothing leave the mask's own edge, and that must not lose more of a thin
    part than the median does; nor may gaps as thin fill up.
    """
    mask = np.zeros((480, 640), np.uint8)
    mask[100:300, 100:380] = 1
    for left in (130, 200, 300):
        mask[300:380, left : left + width_px] = 1
    noise = np.random.default_rng(9).normal(0, 6, (*mask.shape, 3))
    image = np.clip(205 + noise, 0, 255).astype(np.uint8)
    legs = np.zeros(mask.shape, bool)
    legs[310:376] = mask[310:376] != 0
    legs &= np.abs(signed_distance(mask)) > 1
    for shown in (mask, 1 - mask):
        lost = []
        for chosen in (GUIDED, MatteSettings(edges="median")):
            matte = make_matte(shown, image=image, settings=chosen)
            lost.append(float(np.abs(matte.alpha / matte.full - shown)[legs].mean()))
        assert lost[0] < lost[1] + 0.05


@pytest.mark.parametrize("inverse", [False, True])
def test_shoes_in_the_backgrounds_colour_stay_beside_a_body_that_is_told_apart(
    inverse: bool,
) -> None:
    """Everywhere else colours are right, so they are trusted on the whole; not at the shoes, that
    are read as background to their middle. Neither is a gap torn that has the subject's colour.
    """
    mask, shoes = np.zeros((360, 480), np.uint8), np.zeros((360, 480), np.uint8)
    mask[60:230, 170:310] = 1
    for left in (190, 275):
        mask[230:262, left : left + 20] = 1
        cv2.ellipse(shoes, (left + 10, 262), (24, 5), 0, 0, 360, 1, -1)
    mask |= shoes
    ground = np.float32([170, 165, 155])
    base = np.where(mask[..., None] > shoes[..., None], np.float32([60, 80, 150]), ground)
    noise = np.random.default_rng(12).normal(0, 5, base.shape)
    image = np.clip(base + noise, 0, 255).astype(np.uint8)
    distance = signed_distance(mask)
    subject = 1 - mask if inverse else mask
    alpha = make_matte(subject, image=image, settings=GUIDED).alpha / ONE
    within = (shoes > 0) & (distance > 1.5)
    assert np.abs(alpha - subject)[within].max() < 0.1
    # the body's own edge is still taken from the picture
    edge = find_edge(subject, image, settings=GUIDED)
    assert edge is not None
    trusted = np.ones(mask.shape, np.float32)
    trusted[edge.region] = edge.trusted
    assert trusted[60:220][np.abs(distance[60:220]) < 4].min() > 0.99
    assert trusted[within].mean() < 0.15


@pytest.mark.parametrize(("share", "expected"), [(0.06, 1), (0.074, 0.5), (0.088, 0)])
def test_trust_ends_where_one_in_twelve_is_misread(share: float, expected: float) -> None:
    """Shares of both sides are added up; edges that are half trusted flicker more than the
    median's.
    """
    mask = np.zeros((240, 320), np.uint8)
    mask[:, :160] = 1
    distance = signed_distance(mask)
    side = distance[2::4, 2::4]
    alpha = np.where(side > 0, 1 - share / 3, share * 2 / 3).astype(np.float32)
    colors = LocalColors(
        np.zeros((*alpha.shape, 10), np.float32),
        alpha,
        np.ones_like(alpha),
        4,
        mask.shape,
        np.zeros((*alpha.shape, 3), np.uint8),
    )
    trusted = trust(distance, colors, half_px=6)
    assert np.allclose(trusted[np.abs(distance) < 6], expected, atol=0.02)


def test_colours_are_tried_far_from_the_edge_too() -> None:
    """The subject's colour is nowhere near the subject, but farther off it is all over: it may be
    in the band as well.
    """
    image, _, mask = scene("plain", shape=(360, 640))
    distance = signed_distance(mask)
    rim = np.abs(distance) < 6

    def trusted() -> float:
        colors = learn_colors(image, distance, band_px=12, scale=TRUST_SCALE / 3)
        return float(trust(distance, colors, half_px=6)[rim].mean())

    assert trusted() > 0.99
    strewn = np.random.default_rng(5).integers(0, 2, (36, 64)).astype(np.uint8)
    strewn = cv2.resize(strewn, (640, 360), interpolation=cv2.INTER_NEAREST) == 1
    image[strewn & (distance < -70)] = np.median(image[mask != 0], axis=0)
    assert trusted() < 0.2


def test_what_does_not_stand_out_from_noise_leaves_no_smudge() -> None:
    """Two sides whose colours overlap: beside the edge nothing faint is left, where a strand in a
    clear colour stays.
    """
    rng = np.random.default_rng(8)
    mask = np.zeros((240, 320), np.uint8)
    mask[60:, 100:220] = 1
    level = np.where(mask, 90, 120)[..., None] + rng.normal(0, 40, (240, 320, 1))
    image = np.clip(level, 0, 255).astype(np.uint8).repeat(3, axis=2)
    alpha = make_matte(mask, image=image, settings=GUIDED).alpha / ONE
    away = np.abs(signed_distance(mask)) > 3
    assert np.abs(alpha - mask)[away].max() < 0.1
    clear = np.where(mask[..., None] > 0, (200, 40, 40), (40, 40, 200)) + rng.normal(
        0, 4, (240, 320, 3)
    )
    clear[150:154, 80:100] = 200, 40, 40
    image = np.clip(clear, 0, 255).astype(np.uint8)
    alpha = (
        make_matte(mask, image=image, settings=MatteSettings(edges="guided", band=48)).alpha / ONE
    )
    assert alpha[151:153, 93:99].mean() > 0.4


def test_the_band_scales_with_the_frame_unless_it_is_chosen() -> None:
    assert (
        band_px(MatteSettings(edges="median"), (1080, 1920))
        == band_px(MatteSettings(edges="median"), (1920, 1080))
        == 32
    )
    assert band_px(MatteSettings(edges="median"), (2160, 3840)) == 64
    assert band_px(MatteSettings(edges="median"), (64, 96)) == 8
    assert band_px(MatteSettings(edges="median", band=11), (2160, 3840)) == 11


def test_the_signed_distance_of_a_straight_edge_is_exact() -> None:
    mask = np.zeros((9, 30), np.uint8)
    mask[:, 12:] = 1
    np.testing.assert_array_equal(signed_distance(mask), np.tile(np.arange(30) - 11.5, (9, 1)))
    assert (signed_distance(mask * 0) < -1000).all()


# ---------------------------------------------------------------- one way to a matte


def test_each_method_is_what_it_says() -> None:
    image, _, mask = scene("plain", shape=(120, 160))
    soft = {1: cv2.blur(mask * np.uint8(255), (9, 9))}

    def made(**options: float | str) -> np.ndarray:
        return make_matte(
            mask, image=image, soft=soft, settings=MatteSettings(**{"edges": "median"} | options)
        ).alpha

    np.testing.assert_array_equal(made(edges="hard"), mask * np.uint8(255))
    np.testing.assert_array_equal(
        made(edges="hard", median=5),
        refine(mask, settings=MatteSettings(edges="median", median=5)).alpha,
    )
    np.testing.assert_array_equal(
        made(), refine_soft(mask, soft, settings=MatteSettings(edges="median")).alpha
    )
    np.testing.assert_array_equal(made(edges="feather", feather=7), made(feather=7))
    np.testing.assert_array_equal(made(edges="feather"), made(feather=6 * 120 / 1080))


def test_the_methods_are_one_list() -> None:
    for name, method in EDGE_METHODS.items():
        assert MatteSettings(edges=name).method is method
    with pytest.raises(UsageError, match="unknown edges 'sharp'"):
        MatteSettings(edges="sharp")
    with pytest.raises(UsageError, match="unknown edge method 'sharp'"):
        open_estimator("sharp")
    with pytest.raises(UsageError, match="'median' do not look at the picture"):
        open_estimator("median")
    with pytest.raises(UsageError, match="band is 0"):
        MatteSettings(band=0)


def test_closed_form_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="PyMatting") as caught:
        open_estimator("closed-form")
    assert "pip install" in caught.value.hint


def test_wrong_arrays_are_refused() -> None:
    mask = np.ones((8, 9), np.uint8)
    with pytest.raises(ValueError, match="need the picture"):
        make_matte(mask, settings=GUIDED)
    for bad in (np.zeros((9, 8, 3), np.uint8), np.zeros((8, 9, 3), np.float32)):
        with pytest.raises(ValueError, match="image is"):
            make_matte(mask, image=bad, settings=GUIDED)
    with pytest.raises(ValueError, match="object 1 is not there"):
        make_matte(
            mask, image=np.zeros((8, 9, 3), np.uint8), soft={}, objects=(1,), settings=GUIDED
        )


def test_an_estimator_of_ones_own_is_asked_tile_by_tile() -> None:
    """What it says counts in the band and nowhere else; it sees the picture, the trimap and the
    prior of its tile.
    """

    class Half:
        margin_px, tile_px, in_threads = 5, 100, False

        def __init__(self) -> None:
            self.seen = 0

        def __call__(self, problem: AlphaProblem) -> np.ndarray:
            self.seen += 1
            assert problem.image.shape == (*problem.trimap.shape, 3)
            assert problem.image.max() <= 1
            assert set(np.unique(problem.trimap)) <= {BACKGROUND, UNKNOWN, SUBJECT}
            assert problem.prior.shape == problem.distance.shape == problem.trimap.shape
            return np.full(problem.trimap.shape, 0.5, np.float32)

    image, _, mask = scene("plain")
    half = Half()
    alpha = make_matte(
        mask, image=image, settings=MatteSettings(edges="guided", band=10), estimator=half
    ).alpha
    assert half.seen >= 2
    assert set(np.unique(alpha)) == {0, ONE // 2 + 1, ONE}
