from __future__ import annotations

import numpy as np
import pytest

from vfx_matte.composite.key_color import (
    KEY_COLORS,
    color_name,
    farthest_key,
    key_distance,
    near_share,
    parse_color,
    subject_chroma,
)
from vfx_matte.errors import UsageError


def flat(rgb: tuple[int, int, int], shape: tuple[int, int] = (20, 30)) -> np.ndarray:
    return np.full((*shape, 3), rgb, np.uint8)


EVERYWHERE = np.ones((20, 30), np.uint8)


@pytest.mark.parametrize(
    ("text", "rgb"),
    [
        ("green", (0, 255, 0)),
        (" Blue ", (0, 0, 255)),
        ("MAGENTA", (255, 0, 255)),
        ("yellow", (255, 255, 0)),
        ("#00b140", (0, 177, 64)),
        ("#FFaa00", (255, 170, 0)),
    ],
)
def test_colors_are_read(text: str, rgb: tuple[int, int, int]) -> None:
    assert parse_color(text) == rgb


@pytest.mark.parametrize(
    "text", ["", "grün", "#fff", "#00ff0g", "00ff00", "#00ff00ff", "0,255,0", "#00ff00\n#"]
)
def test_nonsense_is_refused_with_the_bad_value(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_color(text)
    assert repr(text) in caught.value.message
    assert "#rrggbb" in caught.value.hint


def test_colors_have_names() -> None:
    assert color_name((0, 255, 0)) == "green"
    assert color_name((0, 177, 64)) == "#00b140"
    assert all(parse_color(color_name(rgb)) == rgb for rgb in KEY_COLORS.values())


def seen(image: np.ndarray, mask: np.ndarray = EVERYWHERE) -> np.ndarray:
    return subject_chroma(image, mask)


def test_chroma_is_that_of_the_tables() -> None:
    # OKLab of sRGB red, green and blue: CSS Color Module Level 4, sample code, to four digits
    for name, expected in {
        "red": (0.2249, 0.1258),
        "green": (-0.2339, 0.1795),
        "blue": (-0.0325, -0.3115),
    }.items():
        np.testing.assert_allclose(seen(flat(KEY_COLORS[name]))[0], expected, atol=1e-4)
    np.testing.assert_allclose(seen(flat((119, 119, 119))), 0, atol=1e-4)
    assert key_distance(seen(flat((40, 40, 40))), KEY_COLORS["green"]) == pytest.approx(
        0.2948, abs=1e-3
    )
    assert key_distance(seen(flat(KEY_COLORS["blue"])), KEY_COLORS["blue"]) == pytest.approx(
        0, abs=1e-6
    )


def test_lightness_does_not_count() -> None:
    for name, (red, green, blue) in KEY_COLORS.items():
        dark = seen(flat((red // 2, green // 2, blue // 2)))
        other = next(rgb for key, rgb in KEY_COLORS.items() if key != name)
        assert key_distance(dark, KEY_COLORS[name]) < key_distance(dark, other)


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ((128, 128, 128), "green"),  # equal: the usual one
        ((220, 170, 140), "green"),  # skin
        ((90, 60, 45), "green"),
        ((30, 160, 40), "blue"),  # a green shirt; magenta is farther, but hardly
        ((110, 140, 50), "blue"),
        ((200, 40, 190), "green"),
        ((20, 30, 200), "green"),
        ((250, 210, 20), "blue"),
        ((0, 128, 128), "magenta"),
    ],
)
def test_the_farthest_key_is_chosen(subject: tuple[int, int, int], key: str) -> None:
    assert farthest_key([seen(flat(subject))]) == key


def test_a_subject_of_green_blue_and_magenta_has_another_key() -> None:
    image = flat((10, 220, 30))
    image[:6], image[6:12] = (20, 40, 230), (230, 20, 220)
    assert farthest_key([seen(image)]) == "red"


def test_only_the_subject_counts_and_strays_do_not() -> None:
    image = flat((0, 255, 0))
    image[5:15, 5:25] = (200, 40, 190)
    image[5, 5] = (0, 255, 0)  # one stray green pixel of 200
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 5:25] = 3
    assert farthest_key([seen(image, mask)]) == "green"
    assert near_share(seen(image, mask), KEY_COLORS["green"]) == pytest.approx(1 / 200)
    image[5, 5:15] = (0, 255, 0)  # a twentieth of the subject
    assert farthest_key([seen(image, mask)]) != "green"
    assert key_distance(seen(image, mask), KEY_COLORS["green"]) == pytest.approx(0, abs=1e-6)
    assert near_share(seen(image, mask), KEY_COLORS["green"]) == pytest.approx(1 / 20)
    assert near_share(seen(image, mask), KEY_COLORS["magenta"]) == pytest.approx(19 / 20)


def test_the_worst_sample_decides() -> None:
    purple, leaf = seen(flat((200, 40, 190))), seen(flat((30, 200, 40)))
    nothing = seen(flat((0, 0, 255)), EVERYWHERE * 0)
    assert nothing.shape == (0, 2)
    assert farthest_key([purple, nothing]) == "green"
    assert farthest_key([purple, leaf]) not in ("green", "magenta")


def test_large_subjects_are_sampled_evenly() -> None:
    image = flat((30, 160, 40), (400, 300))
    image[:200] = (200, 40, 190)
    sampled = seen(image, np.ones((400, 300), np.uint8))
    assert 10_000 <= len(sampled) <= 20_000
    assert near_share(sampled, KEY_COLORS["green"]) == pytest.approx(0.5, abs=0.01)


def test_without_a_subject_there_is_no_answer() -> None:
    with pytest.raises(UsageError, match="no mask shows a subject"):
        farthest_key([seen(flat((1, 2, 3)), EVERYWHERE * 0)])
    with pytest.raises(ValueError, match="expected"):
        seen(flat((1, 2, 3), (4, 4)))
