from __future__ import annotations

import numpy as np
import pytest

from vfx_matte.errors import UsageError
from vfx_matte.keycolor import KEY_COLORS, farthest_key, key_distance, parse_color


def flat(rgb: tuple[int, int, int], shape: tuple[int, int] = (20, 30)) -> np.ndarray:
    return np.full((*shape, 3), rgb, np.uint8)


EVERYWHERE = np.ones((20, 30), np.uint8)


@pytest.mark.parametrize(
    ("text", "rgb"),
    [
        ("green", (0, 255, 0)),
        (" Blue ", (0, 0, 255)),
        ("MAGENTA", (255, 0, 255)),
        ("#00b140", (0, 177, 64)),
        ("#FFaa00", (255, 170, 0)),
    ],
)
def test_colors_are_read(text: str, rgb: tuple[int, int, int]) -> None:
    assert parse_color(text) == rgb


@pytest.mark.parametrize("text", ["", "grün", "#fff", "#00ff0g", "00ff00", "#00ff00ff", "0,255,0", "#00ff00\n#"])
def test_nonsense_is_refused_with_the_bad_value(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_color(text)
    assert repr(text) in caught.value.message
    assert "#rrggbb" in caught.value.hint


def test_distances_are_those_of_the_tables() -> None:
    white = key_distance(flat((255, 255, 255)), EVERYWHERE)
    # sRGB green is Lab 87.7, -86.2, 83.2; blue 32.3, 79.2, -107.9; magenta 60.3, 98.2, -60.8; white 100, 0, 0
    assert white["green"] == pytest.approx(120.4, abs=0.2)
    assert white["blue"] == pytest.approx(150.0, abs=0.2)
    assert white["magenta"] == pytest.approx(122.2, abs=0.2)
    assert key_distance(flat((128, 128, 128)), EVERYWHERE)["green"] == pytest.approx(124.55, abs=0.1)  # Lab 53.585, 0, 0
    assert key_distance(flat(KEY_COLORS["blue"]), EVERYWHERE)["blue"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ((30, 160, 40), "blue"),
        ((200, 40, 190), "green"),
        ((20, 30, 200), "green"),
        ((250, 210, 20), "blue"),
        ((40, 60, 230), "green"),
    ],
)
def test_the_farthest_key_is_chosen(subject: tuple[int, int, int], key: str) -> None:
    assert farthest_key([(flat(subject), EVERYWHERE)]) == key


def test_only_the_subject_counts_and_strays_do_not() -> None:
    image = flat((0, 255, 0))
    image[5:15, 5:25] = (200, 40, 190)
    image[5, 5:10] = (0, 255, 0)  # 5 stray green pixels of 200
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 5:25] = 3
    assert farthest_key([(image, mask)]) == "green"
    image[5:7, 5:25] = (0, 255, 0)  # a fifth of the subject
    assert key_distance(image, mask)["green"] == pytest.approx(0, abs=1e-9)


def test_the_worst_sample_decides() -> None:
    purple, leaf = (flat((200, 40, 190)), EVERYWHERE), (flat((30, 200, 40)), EVERYWHERE)
    empty = (flat((0, 0, 255)), EVERYWHERE * 0)
    assert farthest_key([purple, empty]) == "green"
    assert farthest_key([purple, leaf]) == "blue"


def test_large_subjects_are_sampled_evenly() -> None:
    image = flat((30, 160, 40), (400, 300))
    image[:200] = (200, 40, 190)
    distances = key_distance(image, np.ones((400, 300), np.uint8))
    assert distances["green"] < 80
    assert distances["magenta"] < 80


def test_without_a_subject_there_is_no_answer() -> None:
    with pytest.raises(UsageError, match="mask is empty"):
        key_distance(flat((1, 2, 3)), EVERYWHERE * 0)
    with pytest.raises(UsageError, match="no mask shows a subject"):
        farthest_key([(flat((1, 2, 3)), EVERYWHERE * 0)])
    with pytest.raises(ValueError, match="expected"):
        key_distance(flat((1, 2, 3), (4, 4)), EVERYWHERE)
