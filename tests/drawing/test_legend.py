from __future__ import annotations

import itertools

import numpy as np
import pytest

from vfx_matte.drawing.legend import legend, small_legend
from vfx_matte.masks import ObjectLabel, Palette

DAVIS = Palette.davis()


def test_every_object_has_a_field_of_its_colour_in_the_order_of_ids() -> None:
    labels = {9: ObjectLabel("x", "dog", 0.5), 1: ObjectLabel("y"), 200: ObjectLabel("人物\x1b")}
    picture = legend(labels, DAVIS)
    rows = []
    for object_id in (1, 9, 200):
        found = (picture == DAVIS.colors[object_id]).all(axis=2)
        assert found.sum() > 100
        rows.append(found.nonzero()[0].mean())
    assert rows == sorted(rows)
    assert np.ptp(np.diff(rows)) < 1


def test_columns_that_nobody_fills_are_left_out_and_a_title_is_above() -> None:
    bare = legend({1: ObjectLabel("dog")}, DAVIS)
    full = legend({1: ObjectLabel("dog", "dog", 0.25)}, DAVIS)
    titled = legend({1: ObjectLabel("dog")}, DAVIS, title="A clip")
    assert full.shape[1] > bare.shape[1]
    assert titled.shape[0] > bare.shape[0]
    assert titled[: titled.shape[0] - bare.shape[0]].max() > 150


def test_long_names_are_shortened_and_no_object_is_said() -> None:
    long = legend({1: ObjectLabel("a very long name " * 50, "class " * 90)}, DAVIS)
    assert long.shape[1] <= 900
    assert legend({}, DAVIS).max() > 100
    assert legend({one: ObjectLabel("x") for one in range(1, 256)}, DAVIS).shape[0] > 255 * 20


def corner(
    labels: dict[int, ObjectLabel], width: int, height: int, text_px: int = 12
) -> np.ndarray | None:
    return small_legend(labels, DAVIS, most_px=(width, height), text_px=text_px)


def colors_in(picture: np.ndarray | None) -> list[int]:
    assert picture is not None
    found, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    filled = {tuple(color) for color in found[counts > 40].tolist()}
    return [one for one in range(1, 256) if tuple(DAVIS.colors[one].tolist()) in filled]


@pytest.mark.parametrize("name", ["dog", "a very long name " * 50, "", "狗\x1b[31m\n人物", "אבג"])
@pytest.mark.parametrize("count", [1, 2, 9, 255])
@pytest.mark.parametrize("size", [(640, 360), (106, 60), (64, 300), (400, 30), (20, 20)])
def test_a_small_legend_keeps_its_limits(size: tuple[int, int], count: int, name: str) -> None:
    labels = {one: ObjectLabel(f"{name} {one}", name, 0.5) for one in range(1, count + 1)}
    picture = corner(labels, *size)
    if picture is None:
        assert size == (20, 20) or (size[1] == 30 and count > 1)
        return
    assert picture.shape[1] <= size[0]
    assert picture.shape[0] <= size[1]
    assert 1 in colors_in(picture)


def test_as_many_objects_as_fit_and_the_rest_is_counted() -> None:
    labels = {one: ObjectLabel(f"dog {one}", "dog", 0.5) for one in range(1, 21)}
    few = corner(labels, 400, 100)
    assert few is not None
    assert colors_in(few) == [1, 2, 3, 4]
    # the line below them says how many more
    assert (few[-22:] > 120).all(axis=2).any()
    assert colors_in(corner(labels, 400, 400)) == list(range(1, 21))


def test_a_narrow_legend_leaves_out_scores_then_classes_then_names() -> None:
    labels = {1: ObjectLabel("somebody", "person", 0.5), 2: ObjectLabel("nobody", "person", 0.5)}
    widths = []
    for room in range(400, 20, -1):
        picture = corner(labels, room, 100)
        if picture is not None:
            assert picture.shape[1] <= room
            widths.append(picture.shape[1])
    assert widths[0] < 400
    # each column that goes makes it narrower at once; in between texts shrink with the room
    drops = [a - b for a, b in itertools.pairwise(widths) if a - b > 4]
    assert len(drops) >= 2
    assert min(widths) < 50


def test_the_text_of_a_small_legend_can_be_darker() -> None:
    labels = {1: ObjectLabel("dog")}
    bright, dark = (
        small_legend(labels, DAVIS, most_px=(300, 100), text_px=12, white=white)
        for white in (1.0, 0.5)
    )
    assert bright is not None
    assert dark is not None
    assert bright.shape == dark.shape
    assert 200 < bright.max() <= 228
    # the object's colour stays as it is
    assert 110 < dark.max() <= 128
    assert colors_in(dark) == [1]
