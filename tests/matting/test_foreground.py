"""The subject's own colours: exact where they are constant, the source's where alpha is full, as
good as PyMatting's.
"""

from __future__ import annotations

import importlib.util
import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.mixtures import LAYOUTS, ONE, footprints, mixed, soft_disc

from vfx_matte.composite.mix import over_color
from vfx_matte.masks import Matte
from vfx_matte.matting import FoundBefore, compiled, estimate_foreground
from vfx_matte.picture import ColorTags, Picture, PixelLayout

fast = settings(max_examples=25)


@pytest.mark.parametrize("shape", [(120, 160), (121, 163)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_constant_colours_are_found(layout: PixelLayout, shape: tuple[int, int]) -> None:
    """Nothing of the old background is left, in any plane, from the faintest alpha on."""
    alpha, fronts = soft_disc(shape), [0.7, 0.35, 0.6]
    picture = mixed(layout, alpha, fronts, [0.2, 0.6, 0.45])
    clean = estimate_foreground(picture, Matte(alpha))
    for index in range(layout.plane_count - layout.has_alpha):
        weight = footprints(alpha, layout, index)
        error = np.abs(clean.planes[index].astype(float) / layout.full - fronts[index])
        assert error[weight > 0.004].max() < 0.012
        assert (
            np.abs(picture.planes[index] / layout.full - fronts[index])[weight > 0.004].max()
        ) > 0.1


@fast
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(LAYOUTS),
    st.sampled_from([(40, 60), (33, 47), (1, 5), (64, 2)]),
)
def test_samples_of_full_alpha_stay_as_they_are(
    seed: int, layout: PixelLayout, shape: tuple[int, int]
) -> None:
    """Bit for bit, and so do those far outside; after laying over a key too.

    What is given is not changed.
    """
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if layout.bit_depth == 8 else np.uint16
    planes = tuple(
        rng.integers(0, layout.full + 1, layout.plane_shape(index, *shape)).astype(dtype)
        for index in range(layout.plane_count)
    )
    picture = Picture(planes, layout, ColorTags())
    noise = cv2.GaussianBlur(rng.random(shape).astype(np.float32), (0, 0), 2)
    alpha = np.rint(np.clip((noise - 0.4) * 5, 0, 1) * ONE).astype(np.uint16)
    before = [plane.copy() for plane in planes]
    clean = estimate_foreground(picture, Matte(alpha))
    over = over_color(clean, Matte(alpha), (0, 255, 0))
    for index in range(layout.plane_count):
        np.testing.assert_array_equal(planes[index], before[index])
        kept = footprints(alpha, layout, index) == 1
        np.testing.assert_array_equal(clean.planes[index][kept], planes[index][kept])
        if not layout.has_alpha and layout.model != "gray":
            np.testing.assert_array_equal(over.planes[index][kept], planes[index][kept])
    assert clean.layout == layout


def test_texture_under_nearly_full_alpha_is_kept() -> None:
    """A subject with a pattern finer than any window, seen through 0.9 of alpha: its pattern is
    there again, whole.
    """
    shape = (96, 128)
    y, x = np.mgrid[: shape[0], : shape[1]]
    pattern = 0.5 + 0.2 * ((x // 2 + y // 2) % 2)
    alpha = np.full(shape, 0.0)
    alpha[16:80, 16:112], alpha[24:72, 24:104] = 0.9, 1
    plane = np.rint((alpha * pattern + (1 - alpha) * 0.2) * 255).astype(np.uint8)
    picture = Picture((plane,), PixelLayout("gray", 8), ColorTags())
    clean = (
        estimate_foreground(picture, Matte(np.rint(alpha * ONE).astype(np.uint16))).planes[0] / 255
    )
    rim = alpha == 0.9
    assert np.abs(clean - pattern)[rim].mean() < 0.03
    assert np.abs(plane / 255 - pattern)[rim].mean() > 0.03


def test_a_hard_matte_changes_nothing() -> None:
    alpha = (soft_disc((60, 80)) > ONE // 2).astype(np.uint8) * np.uint8(255)
    picture = mixed(LAYOUTS[0], alpha * np.uint16(257), [0.7, 0.35, 0.6], [0.2, 0.6, 0.45])
    assert estimate_foreground(picture, Matte(alpha)) is picture


def test_far_outside_the_picture_stays() -> None:
    alpha = soft_disc((200, 300))
    picture = mixed(LAYOUTS[0], alpha, [0.7, 0.35, 0.6], [0.2, 0.6, 0.45])
    clean = estimate_foreground(picture, Matte(alpha))
    np.testing.assert_array_equal(clean.planes[0][:20], picture.planes[0][:20])
    np.testing.assert_array_equal(clean.planes[0][:, :40], picture.planes[0][:, :40])


def test_another_size_is_refused() -> None:
    picture = mixed(LAYOUTS[0], np.zeros((60, 80), np.uint16), [0.7, 0.35, 0.6], [0.2, 0.6, 0.45])
    with pytest.raises(ValueError, match=r"expected \(60, 80\)"):
        estimate_foreground(picture, Matte(np.zeros((80, 60), np.uint16)))


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("pymatting") is None, reason="PyMatting is not installed"
)
@pytest.mark.parametrize("blur", [1.5, 8])
def test_it_is_as_good_as_the_multi_level_method_of_pymatting(blur: float) -> None:
    """On textured colours of both sides with known truth; weighed with alpha, as
    compositing does.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pymatting import estimate_foreground_ml
    rng, shape = np.random.default_rng(4), (180, 240)
    alpha = soft_disc(shape, blur)
    weight = (alpha / ONE)[..., None]
    noise = [cv2.GaussianBlur(rng.standard_normal((*shape, 3)), (0, 0), 8) * 90 for _ in range(2)]
    front, back = (
        np.clip(base + one, 0, 255)
        for base, one in zip(([200, 120, 60], [60, 130, 190]), noise, strict=True)
    )
    image = (
        np.rint(weight * front + (1 - weight) * back + rng.normal(0, 1, (*shape, 3)))
        .clip(0, 255)
        .astype(np.uint8)
    )
    planes = tuple(np.ascontiguousarray(image[..., channel]) for channel in range(3))
    ours = np.dstack(
        estimate_foreground(
            Picture(planes, PixelLayout("rgb", 8), ColorTags()), Matte(alpha)
        ).planes
    )
    theirs = estimate_foreground_ml(image / 255.0, alpha / ONE) * 255
    soft = (alpha > 0) & (alpha < ONE)
    errors = [np.abs(weight * (one - front))[soft].mean() for one in (ours, theirs, image)]
    assert errors[0] < 1.1 * errors[1]
    assert errors[0] * 3 < errors[2]


def test_pictures_of_a_frame_share_what_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Luma that two layouts have alike is cleaned once and alpha's levels are found once; the
    pictures are those that each gets by itself, to the bit. Other luma is cleaned by itself.
    """
    if not compiled.usable(np.zeros(1)):
        pytest.skip("Numba is not installed")
    from vfx_matte.matting.compiled import subject

    alpha, rng = soft_disc((120, 160)), np.random.default_rng(3)
    matte = Matte(alpha)
    full, half = (PixelLayout("yuv", 10, shift) for shift in ((0, 0), (1, 0)))
    first, second, third = (
        mixed(layout, alpha, [0.7, 0.35, 0.6], [0.2, 0.6, 0.45]) for layout in (full, half, half)
    )
    noise = rng.integers(0, 9, third.planes[0].shape).astype(np.uint16)
    third = third.with_planes((third.planes[0] + noise, *third.planes[1:]))
    alone = [estimate_foreground(picture, matte) for picture in (first, second, third)]
    calls = {"clean": 0, "find_levels": 0}

    def count(name: str) -> None:
        original = getattr(subject, name)

        def counted(*given: object, **named: object) -> object:
            calls[name] += 1
            return original(*given, **named)

        monkeypatch.setattr(subject, name, counted)

    for name in calls:
        count(name)
    before = FoundBefore(matte)
    together = [estimate_foreground(picture, matte, before) for picture in (first, second, third)]
    assert calls == {"clean": 3 + 2 + 3, "find_levels": 1}
    for one, other in zip(alone, together, strict=True):
        assert all(
            np.array_equal(left, right)
            for left, right in zip(one.planes, other.planes, strict=True)
        )
    with pytest.raises(ValueError, match="another matte"):
        estimate_foreground(first, Matte(alpha.copy()), before)
