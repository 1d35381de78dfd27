"""Compiled functions give what the array versions beside their callers give, on drawn inputs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.noise_masks import random_mask

from vfx_matte import compiling
from vfx_matte.backend import box_mean, enlarged
from vfx_matte.masks import Image, Mask, Matte
from vfx_matte.matting import compiled, estimate_foreground, make_matte
from vfx_matte.matting.compiled import state
from vfx_matte.matting.guided import GuidedAlpha
from vfx_matte.matting.local_colors import learn_by_arrays, learn_colors
from vfx_matte.matting.picture_edges import find_edge, smoothed_edge
from vfx_matte.matting.pieces import without_loose_pieces
from vfx_matte.matting.problem import UNKNOWN
from vfx_matte.matting.trimap import signed_distance
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.settings.options import MatteSettings

pytestmark = pytest.mark.skipif(
    not compiled.usable(np.zeros(1)), reason="Numba is not installed: there is nothing to compare"
)
ONE = 65535
Result = TypeVar("Result")
GUIDED = MatteSettings(edges="guided")
drawn = settings(max_examples=20)
seeds, sides = st.integers(0, 2**32 - 1), st.integers(1, 90)


def noise_mask(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """Blobs of any size, or blocks; now and then nothing at all."""
    if rng.random() < 0.3:
        return random_mask(int(rng.integers(2**32)), shape)
    noise = rng.normal(0, 1, shape).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(1, 20)))
    return (blurred > rng.uniform(-0.5, 0.5) * blurred.std()).astype(np.uint8)


def picture(seed: int, shape: tuple[int, int]) -> tuple[Image, Mask]:
    """A mask of blobs of any size, and a picture of two colours with texture along it."""
    rng = np.random.default_rng(seed)
    mask = noise_mask(rng, shape)
    front, back = rng.uniform(0, 255, (2, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), float(rng.uniform(0.3, 4)))[..., None]
    texture = rng.normal(0, rng.uniform(0, 40), (*shape, 3))
    return np.clip(soft * front + (1 - soft) * back + texture, 0, 255).astype(np.uint8), mask


def by_arrays(work: Callable[[], Result]) -> Result:
    """What a function gives where nothing is compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "usable", lambda _: False)
        return work()


@drawn
@given(seeds, sides, sides, st.sampled_from([1, 2, 4, 6, 12, 18]), st.floats(4, 64))
def test_colors_are_learned_alike(
    seed: int, height: int, width: int, block_px: int, band_px: float
) -> None:
    image, mask = picture(seed, (height, width))
    distance = signed_distance(mask)
    learned = learn_colors(image, distance, band_px=band_px, scale=block_px / 6)
    wanted = learn_by_arrays(image, distance, band_px=band_px, block_px=block_px)
    assert learned.block_px == block_px
    assert learned.shape == wanted.shape
    np.testing.assert_array_equal(learned.means, wanted.means)
    # where both sides are told apart at all: elsewhere alpha is noise of the last bits
    told = wanted.sure > 0.05
    assert learned.model.shape == wanted.model.shape
    np.testing.assert_allclose(learned.alpha[told], wanted.alpha[told], atol=4e-3)
    np.testing.assert_allclose(learned.sure, wanted.sure, atol=4e-3)


@drawn
@given(seeds, sides, sides)
def test_distances_are_the_same(seed: int, height: int, width: int) -> None:
    mask = noise_mask(np.random.default_rng(seed), (height, width))
    if seed % 7 == 0:
        mask[:] = seed % 2  # no edge at all
    wanted = by_arrays(lambda: signed_distance(mask))
    distance = signed_distance(mask)
    assert distance.dtype == wanted.dtype
    np.testing.assert_allclose(distance, wanted, rtol=1e-6)


@drawn
@given(
    seeds,
    sides,
    sides,
    st.sampled_from([(0, 0), (1, 1), (1, 0), (0, 1), (2, 0), (2, 2)]),
    st.sampled_from([8, 10]),
)
def test_the_subjects_colors_are_the_same(
    seed: int, height: int, width: int, shift: tuple[int, int], bits: int
) -> None:
    rng, layout = np.random.default_rng(seed), PixelLayout("yuv", bits, shift)
    soft = cv2.GaussianBlur(noise_mask(rng, (height, width)).astype(np.float32), (0, 0), 2)
    matte = Matte(np.rint(np.clip(soft * 1.4 - 0.2, 0, 1) * ONE).astype(np.uint16))
    code = np.uint8 if bits == 8 else np.uint16
    planes = tuple(
        rng.integers(0, layout.full + 1, layout.plane_shape(at, height, width)).astype(code)
        for at in range(3)
    )
    given_picture = Picture(planes, layout, ColorTags("bt709", "tv"))
    wanted = by_arrays(lambda: estimate_foreground(given_picture, matte))
    found = estimate_foreground(given_picture, matte)
    for plane, other in zip(found.planes, wanted.planes, strict=True):
        assert plane.dtype == other.dtype
        # means of uint8 samples are rounded once less
        np.testing.assert_allclose(plane.astype(int), other.astype(int), atol=1)


@drawn
@given(seeds, sides, sides, st.sampled_from([3, 5, 7, 13, 21]))
def test_a_masks_own_edge_is_smoothed_alike(
    seed: int, height: int, width: int, window_px: int
) -> None:
    mask = noise_mask(np.random.default_rng(seed), (height, width))
    wanted = by_arrays(lambda: smoothed_edge(mask, signed_distance(mask), window_px))
    smoothed = smoothed_edge(mask, signed_distance(mask), window_px)
    np.testing.assert_allclose(smoothed, wanted, atol=2e-5)


@drawn
@given(seeds, st.integers(20, 120), st.integers(20, 120), st.sampled_from([None, 9, 30]))
def test_unknown_pixels_are_judged_alike(
    seed: int, height: int, width: int, band: int | None
) -> None:
    image, mask = picture(seed, (height, width))
    edge = find_edge(mask, image, settings=replace(GUIDED, band=band))
    if edge is None:
        return
    down, across = edge.trimap.shape
    whole = slice(0, down), slice(0, across)
    part = slice(down // 4, down), slice(0, max(1, across // 2))
    for region in (whole, part):
        problem = edge.part(region)
        unknown = problem.trimap == UNKNOWN
        alpha, wanted = GuidedAlpha()(problem), GuidedAlpha.by_arrays(problem)
        np.testing.assert_allclose(alpha[unknown], wanted[unknown], atol=1e-3)


@drawn
@given(seeds, sides, sides, st.integers(1, 60), st.booleans())
def test_loose_pieces_are_the_same(
    seed: int, height: int, width: int, area_px: int, anchored: bool
) -> None:
    rng = np.random.default_rng(seed)
    alpha = cv2.GaussianBlur(noise_mask(rng, (height, width)).astype(np.float32), (0, 0), 1.5)
    codes, mask = np.rint(alpha * ONE).astype(np.uint16), noise_mask(rng, (height, width))

    def tidy() -> np.ndarray:
        return without_loose_pieces(
            codes, mask, specks_px=area_px, holes_px=area_px, anchored=anchored
        )

    np.testing.assert_array_equal(tidy(), by_arrays(tidy))


@pytest.mark.parametrize("shape", [(180, 240), (540, 720)])
@pytest.mark.parametrize("seed", range(4))
def test_mattes_are_the_same_to_a_fraction_of_a_code(seed: int, shape: tuple[int, int]) -> None:
    image, mask = picture(seed, shape)
    soft = {1: cv2.blur(mask * np.uint8(255), (9, 9))} if seed % 2 else None

    def matte() -> np.ndarray:
        return make_matte(mask, image=image, soft=soft, settings=GUIDED).alpha.astype(int)

    alpha, wanted = matte(), by_arrays(matte)
    codes = np.abs(alpha - wanted) / (ONE / 255)
    assert np.quantile(codes, 0.999) < 0.1
    # a pixel whose alpha is on the brink of being seen joins a piece or does not
    assert np.count_nonzero(codes > 0.5) <= 3
    # otherwise nothing was compared
    assert np.count_nonzero((wanted > 0) & (wanted < ONE)) > 100


@drawn
@given(seeds, sides, sides, st.integers(0, 20), st.floats(0, 1))
def test_windows_are_averaged_where_it_is_wanted(
    seed: int, height: int, width: int, half: int, share: float
) -> None:
    from vfx_matte.matting.compiled.windows import (
        count_pixels,
        gathered,
        laid,
        list_runs,
        window_means,
    )

    rng = np.random.default_rng(seed)
    values = rng.random((height, width), np.float32)
    wanted = (rng.random((height, width)) < share).astype(np.uint8)
    runs = list_runs(wanted)
    means, taken = np.empty((2, count_pixels(runs)), np.float32)
    window_means(values, runs, 2 * half + 1, means)
    gathered(values, runs, taken)
    inside = wanted != 0
    np.testing.assert_allclose(means, box_mean(values, 2 * half + 1)[inside], atol=1e-6)
    np.testing.assert_array_equal(taken, values[inside])
    plane = np.zeros_like(values)
    laid(taken, runs, plane)
    np.testing.assert_array_equal(plane, np.where(inside, values, 0))


@drawn
@given(seeds, st.integers(1, 9), st.integers(1, 9), st.integers(1, 13))
def test_numbers_of_blocks_are_interpolated_alike(
    seed: int, down: int, across: int, block_px: int
) -> None:
    from vfx_matte.matting.compiled.windows import between_centres, interpolated_row

    blocks = np.random.default_rng(seed).random((down, across, 4), np.float32)
    shape = down * block_px, across * block_px
    wanted = enlarged(blocks, block_px, shape)
    line = np.empty((across, 4), np.float32)
    at, share = np.empty(shape[1], np.int64), np.empty(shape[1], np.float32)
    between_centres(0, shape[1], block_px, across, at, share)
    for y in range(shape[0]):
        interpolated_row(blocks, 4, (y + 0.5) / block_px - 0.5, line)
        after = line[np.minimum(at + 1, across - 1)]
        found = line[at] + share[:, None] * (after - line[at])
        np.testing.assert_allclose(found, wanted[y], atol=1e-5)


def test_functions_are_those_of_mathematics() -> None:
    from vfx_matte.compiling.functions import exponential, logarithm

    for x in np.linspace(-86, 0, 997, dtype=np.float32):
        assert exponential(x) == pytest.approx(np.exp(np.float64(x)), rel=2e-6)
    assert exponential(np.float32(-1e30)) < 1e-37
    for x in np.geomspace(1e-30, 1e30, 997, dtype=np.float32):
        assert logarithm(x) == pytest.approx(np.log(np.float64(x)), abs=1e-6, rel=1e-6)


def test_without_numba_arrays_do_the_work() -> None:
    """Nothing of Numba is imported where it is not installed, and mattes are made all the same."""
    script = (
        "import importlib.util, sys\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'numba' else found(name)\n"
        "import numpy as np\n"
        "from vfx_matte.matting import make_matte\n"
        "from vfx_matte.settings.options import MatteSettings\n"
        "mask = np.zeros((60, 60), np.uint8)\n"
        "mask[20:40, 20:40] = 1\n"
        "image = np.dstack([mask * 200] * 3)\n"
        "alpha = make_matte(mask, image=image, settings=MatteSettings(edges='guided')).alpha\n"
        "assert alpha[30, 30] == 65535 and alpha[0, 0] == 0\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.slow
def test_who_waits_for_the_compiler_is_told_once(tmp_path: Path) -> None:
    script = (
        "import numpy as np\n"
        "from vfx_matte.compiling.notice import tell_when_compiling\n"
        "from vfx_matte.matting.compiled.state import compiler\n"
        "from vfx_matte.matting.trimap import signed_distance\n"
        "tell_when_compiling(print)\n"
        "for dtype in (np.uint8, bool):\n"  # of another type it is another function
        "    signed_distance(np.eye(9).astype(dtype))\n"
        "print(compiler())\n"
    )

    def lines() -> list[str]:
        ran = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return ran.stdout.splitlines()

    told, state = lines()
    assert "is compiled, once on a machine for each kind of work and clip" in told
    # one function is there, the others are not
    assert "is_ready=False" in state
    assert str(tmp_path) in state
    # loaded, and not compiled
    (again,) = lines()
    assert again == state


def test_the_compiler_is_ready_when_an_edge_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = picture(1, (80, 80))
    mask[20:60, 20:60] = 1
    matte = make_matte(mask, image=image, settings=replace(GUIDED, fill_holes=9, remove_specks=9))
    plane = image[..., 0].copy()
    layout = PixelLayout("gray", 8)
    estimate_foreground(Picture((plane,), layout, ColorTags()), matte)
    found = state.compiler()
    assert found is not None
    assert found.is_ready
    monkeypatch.setattr(compiling, "has_compiler", lambda: False)
    assert state.compiler() is None


def test_numba_is_loaded_without_linear_algebra() -> None:
    """SciPy's takes longer to import than Numba itself, and nothing here needs it."""
    script = (
        "import gc, sys; import vfx_matte.matting.compiled.clouds as clouds; assert gc.isenabled();"
        "assert gc.get_freeze_count() > 10_000;"
        "assert 'numba.np.arraymath' in sys.modules; assert 'scipy.linalg' not in sys.modules;"
        "from numba.np import linalg; linalg.ensure_blas(); assert 'scipy.linalg' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
