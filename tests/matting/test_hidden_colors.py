"""Colours under alpha 0: the subject's near it, flat beyond, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples
from support.mixtures import LAYOUTS, footprints, mixed, soft_disc

from vfx_matte.backend import Device, to_device, to_numpy
from vfx_matte.masks import Matte
from vfx_matte.matting import fill_hidden
from vfx_matte.picture import ColorTags, Picture, PixelLayout

SHAPES = [(120, 160), (121, 163), (1, 5), (64, 2)]


def noisy(layout: PixelLayout, shape: tuple[int, int], seed: int = 3) -> Picture:
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if layout.bit_depth == 8 else np.uint16
    planes = (
        rng.integers(0, layout.full + 1, layout.plane_shape(i, *shape)).astype(dtype)
        for i in range(layout.plane_count)
    )
    return Picture(tuple(planes), layout, ColorTags())


@examples(40)
@given(st.integers(0, 2**32 - 1), st.sampled_from(LAYOUTS), st.sampled_from(SHAPES), st.booleans())
def test_what_shows_anything_of_the_subject_stays_bit_for_bit(
    seed: int, layout: PixelLayout, shape: tuple[int, int], is_deep: bool
) -> None:
    """Whatever the smallest alpha is; and what is given is not changed."""
    picture, rng = noisy(layout, shape, seed), np.random.default_rng(seed)
    alpha = np.where(rng.random(shape) < 0.8, 0, rng.choice([1, 7, 255], shape))
    alpha[: shape[0] // 2] = 0
    matte = Matte(alpha.astype(np.uint16 if is_deep else np.uint8))
    before = [plane.copy() for plane in picture.planes]
    done = fill_hidden(picture, matte)
    assert done.layout == layout
    for index in range(layout.plane_count):
        np.testing.assert_array_equal(picture.planes[index], before[index])
        assert done.planes[index].dtype == before[index].dtype
        kept = footprints(alpha, layout, index) > 0
        np.testing.assert_array_equal(done.planes[index][kept], before[index][kept])
    if layout.has_alpha:
        np.testing.assert_array_equal(done.planes[-1], before[-1])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_subjects_colour_goes_on_and_nothing_of_the_background_is_left(
    layout: PixelLayout,
) -> None:
    """A subject of one colour: that one is everywhere where alpha is 0, in every plane."""
    alpha = soft_disc((121, 163), 1)
    hard = np.where(alpha > 30000, 65535, 0).astype(np.uint16)
    picture = mixed(layout, hard, [0.7, 0.35, 0.6], [0.2, 0.6, 0.45])
    done = fill_hidden(picture, Matte(hard))
    for index in range(layout.plane_count - layout.has_alpha):
        covered = footprints(hard, layout, index)
        inside, hidden = picture.planes[index][covered == 1][0], done.planes[index][covered == 0]
        # a subsampled sample on the border holds background too, by the share that its footprint
        # has; it stays as it is
        assert np.abs(hidden.astype(int) - int(inside)).max() <= (
            0 if layout.plane_shift(index) == (0, 0) else layout.full / 10
        )


def test_each_sides_colour_goes_on_beside_it_and_runs_out_without_a_step() -> None:
    """A subject dark on its left and bright on its right."""
    alpha = np.zeros((200, 320), np.uint8)
    alpha[60:140, 100:220] = 255
    plane = np.full((200, 320), 120, np.uint8)
    plane[:, :100] = plane[:, 220:] = 255
    plane[60:140, 100:160], plane[60:140, 160:220] = 40, 200
    (done,) = fill_hidden(
        Picture((plane,), PixelLayout("gray", 8), ColorTags()), Matte(alpha)
    ).planes
    row = done[100].astype(int)
    assert np.abs(row[97:100] - 40).max() <= 4
    assert np.abs(row[220:223] - 200).max() <= 4
    assert np.abs(np.diff(row[:100])).max() <= 50, "it runs out over some pixels"
    beyond = np.ones(alpha.shape, bool)
    beyond[60 - 8 : 140 + 8, 100 - 8 : 220 + 8] = False
    assert (done[beyond] == 120).all(), "the mean of the subject"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_without_subject_is_black(layout: PixelLayout) -> None:
    done = fill_hidden(noisy(layout, (33, 47)), Matte(np.zeros((33, 47), np.uint8)))
    black = {"gray": (16,), "rgb": (0, 0, 0), "yuv": (16, 128, 128)}[layout.model]
    for plane, code in zip(done.planes, black, strict=False):
        assert (plane == code << (layout.bit_depth - 8)).all()


def test_a_matte_without_a_hidden_pixel_changes_nothing() -> None:
    picture = noisy(LAYOUTS[0], (20, 30))
    assert fill_hidden(picture, Matte(np.full((20, 30), 1, np.uint8))) is picture


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(60, 80\)"):
        fill_hidden(noisy(LAYOUTS[0], (60, 80)), Matte(np.zeros((80, 60), np.uint8)))


@pytest.mark.gpu
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gpu_gives_the_same(layout: PixelLayout, gpu_device: Device) -> None:
    picture, alpha = noisy(layout, (121, 163)), soft_disc((121, 163))
    host = fill_hidden(picture, Matte(alpha))
    there = fill_hidden(
        picture.with_planes(tuple(to_device(plane, gpu_device) for plane in picture.planes)),
        Matte(to_device(alpha, gpu_device)),
    )
    for one, other in zip(host.planes, there.planes, strict=True):
        assert np.abs(one.astype(int) - to_numpy(other).astype(int)).max() <= 1
