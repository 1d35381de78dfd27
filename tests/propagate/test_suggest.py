"""The choice of frames to annotate, and how unlike frames are to the built-in propagator."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfx_matte.errors import UsageError
from vfx_matte.masks import Image, Mask
from vfx_matte.propagate.builtin.describer import BuiltinDescriber, BuiltinKeys
from vfx_matte.propagate.suggest import choose_next, count_distances, open_describer

Floats = npt.NDArray[np.float64]
SHAPE = (90, 160)


# ---------------------------------------------------------------- the choice


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[list[float]], list[int], list[int], int]:
    """Distances with many ties and zeros, not symmetric; candidates in any order, some of them
    known; known frames; a count.
    """
    size = draw(st.integers(1, 9))
    value = st.sampled_from([0.0, 0.0, 0.5, 1.0, 1.5])
    distances = draw(
        st.lists(st.lists(value, min_size=size, max_size=size), min_size=size, max_size=size)
    )
    candidates = draw(st.lists(st.integers(0, size - 1), unique=True))
    known = draw(st.lists(st.integers(0, size - 1), unique=True, min_size=1))
    return distances, candidates, known, draw(st.integers(1, size + 2))


@given(problems())
def test_the_choice_is_that_of_a_naive_double_loop(
    problem: tuple[list[list[float]], list[int], list[int], int],
) -> None:
    distances, candidates, known, count = problem
    taken, expected = list(known), []
    for _ in range(count):
        best: tuple[int, float] | None = None
        for frame in sorted(candidates):
            if frame in taken:
                continue
            nearest = min(distances[frame][other] for other in taken)
            if best is None or nearest > best[1]:
                best = frame, nearest
        if best is not None:
            taken.append(best[0])
            expected.append(best)
    asked = []

    def distance(frame: int, other: int) -> float:
        asked.append((frame, other))
        return distances[frame][other]

    found = choose_next(candidates, known=known, count=count, distance=distance)
    assert [(one.index, one.distance) for one in found] == expected
    assert (
        len(asked)
        == len(set(asked))
        == count_distances(len(set(candidates) - set(known)), len(known), count)
    )
    for _, order in zip(range(3), itertools.permutations(candidates), strict=False):
        assert (
            choose_next(
                order, known=known[::-1], count=count, distance=lambda a, b: distances[a][b]
            )
            == found
        )


def test_all_zero_goes_by_index_and_never_repeats_a_frame() -> None:
    found = choose_next(range(6), known=[1, 4], count=9, distance=lambda _frame, _other: 0.0)
    assert [one.index for one in found] == [0, 2, 3, 5]
    assert choose_next([1, 4], known=[1, 4], count=3, distance=lambda _frame, _other: 1.0) == []


@pytest.mark.parametrize(("known", "count"), [([], 1), ([0], 0), ([0], -2)])
def test_nothing_known_and_nothing_asked_for_are_refused(known: list[int], count: int) -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        choose_next([1, 2], known=known, count=count, distance=lambda _frame, _other: 1.0)


def test_unknown_describers_are_named() -> None:
    with pytest.raises(UsageError, match="unknown propagator 'sam'"):
        open_describer("sam")


# ---------------------------------------------------------------- built-in features


def lab(light: int, a: int, b: int) -> tuple[int, int, int]:
    """R'G'B' of a colour given as CIE L*a*b* with L in 0..255."""
    red, green, blue = cv2.cvtColor(
        np.array([[[light, 128 + a, 128 + b]]], np.uint8), cv2.COLOR_LAB2RGB
    )[0, 0]
    return int(red), int(green), int(blue)


def ball(
    color: tuple[int, int, int],
    x: float = 80,
    *,
    y: float = 45,
    radius: float = 18,
    shape: tuple[int, int] = SHAPE,
) -> tuple[Image, Mask]:
    """A flat disc on flat grey, and its mask."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    mask = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
    image = np.full((*shape, 3), 119, np.uint8)
    image[mask] = color
    return image, mask.astype(np.uint8)


RED, YELLOW = lab(150, 50, 0), lab(150, 0, 50)
"""Equally bright and equally far from grey."""


@pytest.fixture
def describer() -> BuiltinDescriber:
    return BuiltinDescriber()


def mean_rise(frame: Floats, known: Floats, selections: Floats) -> float:
    """D by loops over all pairs of positions: keys (N, C), and for each query position its
    selection (Q, C) and key row.
    """
    rises = []
    for e, query in zip(selections, itertools.cycle(range(len(frame))), strict=False):
        for memory in range(len(frame)):
            into_frame = -float((e * (known[memory] - frame[query]) ** 2).sum())
            into_known = -float((e * (frame[memory] - known[query]) ** 2).sum())
            rises.append(max(0.0, into_frame - into_known))
    return float(np.mean(rises))


def one_feature_each(positions: int, features: int) -> Floats:
    """Every position once for each feature, which alone it selects: (features · positions,
    features).
    """
    return np.eye(features).repeat(positions, axis=0)


def test_the_distance_is_the_formula_with_one_feature_selected_at_a_time(
    describer: BuiltinDescriber,
) -> None:
    random = np.random.default_rng(3)
    frame, known = (
        BuiltinKeys(
            random.random((5, 3)).astype(np.float32), random.random((4, 3)).astype(np.float32)
        )
        for _ in range(2)
    )
    for alpha in (0.0, 0.3, 1.0):
        rows = [
            np.concatenate([(1 - alpha) * one.picture, alpha * one.objects]).astype(np.float64)
            for one in (frame, known)
        ]
        expected = mean_rise(*rows, one_feature_each(9, 3))
        assert describer.distance(frame, known, alpha=alpha) == pytest.approx(expected, rel=1e-4)
        assert describer.distance(known, known, alpha=alpha) == 0


@pytest.mark.slow
def test_a_change_of_hue_shows_that_unit_selection_does_not_see(
    describer: BuiltinDescriber,
) -> None:
    """Why the selection is not simply 1: then only the length of a key would count, and these two
    are equally long.
    """
    red, yellow = (describer.describe(*ball(color)) for color in (RED, YELLOW))
    darker = describer.describe(*ball(lab(130, 50, 0)))
    rows = [one.composite(0.5).astype(np.float64) for one in (red, yellow, darker)]
    unit = np.ones((len(rows[0]), 5))
    assert mean_rise(rows[0], rows[1], unit) < 0.25 * mean_rise(rows[0], rows[2], unit)
    for one, other in ((red, yellow), (yellow, red)):
        hue = describer.distance(one, other, alpha=0.5)
        assert hue > 2 * describer.distance(red, darker, alpha=0.5)
        assert hue > 20 * describer.distance(red, describer.describe(*ball(RED)), alpha=0.5)


@pytest.mark.parametrize(
    "colors",
    [
        (RED, YELLOW),
        (YELLOW, RED),
        ((60, 60, 60), (160, 110, 90)),
        (lab(120, 50, 0), lab(120, -50, 0)),
    ],
)
def test_moving_and_growing_count_less_than_another_look(
    describer: BuiltinDescriber, colors: tuple[tuple[int, int, int], tuple[int, int, int]]
) -> None:
    usual, other = colors
    reference = describer.describe(*ball(usual, 40))
    same = [
        describer.describe(*ball(usual, x, radius=radius))
        for x in (40, 60, 90, 120)
        for radius in (15, 18, 22)
    ]
    changed = [describer.describe(*ball(other, x)) for x in (40, 80, 120)]
    farthest = max(describer.distance(one, reference, alpha=0.5) for one in same)
    assert min(describer.distance(one, reference, alpha=0.5) for one in changed) > farthest


def test_alpha_says_what_is_looked_at(describer: BuiltinDescriber) -> None:
    here, there, another = (
        describer.describe(*ball(*given)) for given in ((RED, 40.0), (RED, 100.0), (YELLOW, 40.0))
    )
    moved, changed = (
        lambda alpha: describer.distance(there, here, alpha=alpha),
        lambda alpha: describer.distance(another, here, alpha=alpha),
    )
    assert moved(1.0) < 0.05 * changed(1.0)
    assert moved(0.0) > changed(0.0) > 0


def test_the_surroundings_alone_are_nothing_when_only_objects_count(
    describer: BuiltinDescriber,
) -> None:
    image, mask = ball(RED)
    behind = image.copy()
    behind[:20] = (20, 90, 200)
    one, other = describer.describe(image, mask), describer.describe(behind, mask)
    seen = describer.distance(other, one, alpha=0.5)
    assert seen > 0
    # a blur reaches a little over the edge
    assert describer.distance(other, one, alpha=1.0) < 1e-3 * seen


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 300), (90, 160), (160, 90), (480, 640), (1080, 1920)]
)
def test_descriptions_are_small_and_positive_whatever_the_picture(
    describer: BuiltinDescriber, shape: tuple[int, int]
) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (*shape, 3), np.uint8)
    mask = np.zeros(shape, np.uint8)
    empty = describer.describe(image, mask)
    mask[shape[0] // 2, shape[1] // 2] = 7
    found = describer.describe(image, mask)
    for keys in (empty, found):
        assert keys.picture.dtype == keys.objects.dtype == np.float32
        assert keys.picture.shape[1] == keys.objects.shape[1] == 5
        assert 100 <= len(keys.picture) <= 400 or min(shape) < 10
        assert len(keys.objects) == 144
        assert keys.picture.min() > 0
        assert np.isfinite(keys.composite(0.5)).all()
    assert not empty.objects.any()
    assert found.objects.max() > 0, "a single pixel is an object"
    assert (found.objects >= 0).all()


def test_the_deepest_blue_is_positive_too(describer: BuiltinDescriber) -> None:
    for color in itertools.product((0, 255), repeat=3):
        image = np.full((32, 48, 3), color, np.uint8)
        assert describer.describe(image, np.ones((32, 48), np.uint8)).picture.min() > 0


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_the_same_frame_is_described_the_same(seed: int) -> None:
    random = np.random.default_rng(seed)
    image, mask = (
        random.integers(0, 256, (40, 64, 3), np.uint8),
        random.integers(0, 3, (40, 64), np.uint8),
    )
    one, other = (BuiltinDescriber().describe(image.copy(), mask.copy()) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))
    assert BuiltinDescriber().distance(one, other, alpha=0.5) == 0


def test_wrong_arrays_are_named(describer: BuiltinDescriber) -> None:
    image, mask = ball(RED)
    with pytest.raises(ValueError, match=r"image is uint8 \(90, 160\)"):
        describer.describe(image[..., 0], mask)
    with pytest.raises(ValueError, match=r"mask is bool \(90, 160\), expected uint8 \(90, 160\)"):
        describer.describe(image, mask > 0)
    with pytest.raises(ValueError, match=r"mask is uint8 \(90, 80\)"):
        describer.describe(image, mask[:, :80])
