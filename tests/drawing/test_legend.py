from __future__ import annotations

import numpy as np

from vfx_matte.drawing.legend import legend
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
