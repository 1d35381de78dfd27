"""Correcting one object of a mask: the other objects, and the way in which the file is painted,
stay as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vfx_matte.first_mask import Click, Marks, Stroke
from vfx_matte.first_mask.objects import marked_points, place_object
from vfx_matte.masks import Palette
from vfx_matte.references.painting import (
    load_painted,
    read_note,
    repainted,
    save_noted_mask,
    save_noted_picture,
)
from vfx_matte.references.reading import read_references

Pixels = npt.NDArray[Any]
SHAPE = (48, 64)
OURS = ((0, 0, 0), (250, 120, 10), (10, 120, 250), (200, 200, 200))


def blocks() -> Pixels:
    """Objects 1 and 2 beside each other on background: uint8 (48, 64)."""
    ids = np.zeros(SHAPE, np.uint8)
    ids[8:40, 6:26] = 1
    ids[8:40, 26:46] = 2
    return ids


def square(top: int, left: int, size: int) -> Pixels:
    found = np.zeros(SHAPE, bool)
    found[top : top + size, left : left + size] = True
    return found


# ---------------------------------------------------------------- one object beside others


def test_an_object_gets_background_and_its_own_pixels_only() -> None:
    before, found = blocks(), square(4, 20, 20)
    placed = place_object(before, found, 1, Marks(clicks=(Click(22, 20),)))
    assert (placed.taken_from, placed.left_to) == ((), (2,))
    np.testing.assert_array_equal(placed.mask == 2, before == 2)
    np.testing.assert_array_equal(placed.mask == 1, found & (before != 2))


def test_a_mark_in_another_object_takes_its_piece() -> None:
    before = blocks()
    found = square(4, 20, 20) | square(36, 40, 4)
    for marks in (Marks(clicks=(Click(30, 12),)), Marks(strokes=(Stroke(((20, 12), (34, 12))),))):
        placed = place_object(before, found, 1, marks)
        assert (placed.taken_from, placed.left_to) == ((2,), (2,)), "the far piece is not marked"
        assert placed.mask[12, 30] == 1
        assert placed.mask[37, 41] == 2
    placed = place_object(before, found, 1, Marks(clicks=(Click(30, 12, is_object=False),)))
    assert placed.taken_from == ()


def test_a_part_of_another_object_is_the_marked_piece_alone() -> None:
    """What was found has a far piece on background: not where a part is marked, but where the
    object is there, or boxed.
    """
    found = square(4, 28, 12) | square(2, 50, 5) | square(12, 20, 9)
    placed = place_object(blocks(), found, 3, Marks(clicks=(Click(30, 12),)))
    np.testing.assert_array_equal(placed.mask == 3, found & (blocks() == 2))
    assert placed.taken_from == (2,)
    over = Marks(strokes=(Stroke(((28, 7), (28, 30))),))
    (
        np.testing.assert_array_equal(
            place_object(blocks(), found, 3, over).mask == 3, found & (blocks() == 2)
        ),
        "a little beside",
    )
    boxed = place_object(blocks(), found, 3, Marks(box=(20, 0, 40, 30), clicks=(Click(30, 12),)))
    np.testing.assert_array_equal(boxed.mask == 3, found & (blocks() != 1))


def test_an_object_that_has_no_other_pixels_is_left_out() -> None:
    placed = place_object(blocks(), square(10, 8, 10), 3, Marks(box=(8, 10, 10, 10)))
    np.testing.assert_array_equal(placed.mask, blocks())
    assert placed.left_to == (1,)


def test_a_stroke_is_all_of_its_line() -> None:
    marks = Marks(
        clicks=(Click(9, 9, is_object=False),),
        strokes=(Stroke(((0, 0), (4, 2), (4, 2))), Stroke(((7, 7),))),
    )
    assert set(marked_points(marks)) == {(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (7, 7)}
    assert marked_points(marks, is_object=False) == [(9, 9)]


# ---------------------------------------------------------------- the file


def painted(path: Path, mode: str, ids: Pixels) -> Path:
    """A mask file of a mode, as painting programs make them."""
    if mode == "P":
        picture = Image.fromarray(ids)
        picture.putpalette([part for color in OURS for part in color])
        picture.save(path)
        return path
    if mode == "P, white first":
        picture = Image.fromarray(np.where(ids == 0, 1, 0).astype(np.uint8))
        picture.putpalette([255, 255, 255, 0, 0, 0])
        picture.save(path)
        return path
    if mode == "I;16":
        Image.fromarray(np.asarray(ids, np.uint16) * 300).save(path)
        return path
    colors = np.array(OURS, np.uint8)[ids]
    if mode == "L":
        gray = np.where(ids > 0, 255, 0).astype(np.uint8)
        gray[8:40, 5] = 100  # a soft edge
        Image.fromarray(gray).save(path)
    elif mode == "1":
        Image.fromarray(ids > 0).save(path)
    elif mode == "RGBA":
        Image.fromarray(
            np.dstack([np.full_like(colors, 90), np.where(ids > 0, 255, 0).astype(np.uint8)])
        ).save(path)
    elif mode == "LA":
        alpha = np.where(ids > 0, 255, 0).astype(np.uint8)
        Image.fromarray(np.dstack([np.full_like(alpha, 200), alpha])).save(path)
    else:
        Image.fromarray(colors).save(path)
    return path


def read(content: Any) -> Pixels:  # noqa: ANN401
    ((_, reading),) = read_references([(0, content)], shape=SHAPE)
    return reading.mask


@pytest.mark.parametrize("mode", ["P", "P, white first", "RGB", "L", "1", "RGBA", "LA", "I;16"])
def test_a_corrected_file_keeps_its_mode_and_every_other_pixel(tmp_path: Path, mode: str) -> None:
    one_object = mode not in ("P", "RGB", "I;16")
    ids = np.where(blocks() == 1, 1, 0).astype(np.uint8) if one_object else blocks()
    path = painted(tmp_path / "m.png", mode, ids)
    with Image.open(path) as picture:
        before, palette = np.array(picture), picture.getpalette()
    start = load_painted(path, shape=SHAPE)
    mask = read(start.content)
    np.testing.assert_array_equal(mask, ids)
    after = mask.copy()
    after[square(2, 8, 8) & (mask == 0)] = 1
    after[30:40, 6:12] = 0
    made = repainted(start, mask, after)
    assert made is not None
    save_noted_mask(tmp_path / "n.png", made, {"frame": 3})
    assert read_note(tmp_path / "n.png") == {"frame": 3}
    with Image.open(tmp_path / "n.png") as picture:
        assert picture.mode == mode.partition(",")[0]
        assert picture.getpalette() == palette
        now = np.array(picture)
    np.testing.assert_array_equal(now[after == mask], before[after == mask])
    np.testing.assert_array_equal(
        read(load_painted(tmp_path / "n.png", shape=SHAPE).content), after
    )


@pytest.mark.parametrize("mode", ["P", "RGB", "I;16"])
def test_a_new_object_is_painted_beside_the_others(tmp_path: Path, mode: str) -> None:
    ids = blocks()
    path = painted(tmp_path / "m.png", mode, ids)
    start = load_painted(path, shape=SHAPE)
    after = read(start.content).copy()
    after[42:47, 30:60] = 3
    made = repainted(start, ids, after)
    assert made is not None
    save_noted_mask(tmp_path / "n.png", made, {})
    np.testing.assert_array_equal(
        read(load_painted(tmp_path / "n.png", shape=SHAPE).content), after
    )
    with Image.open(path) as before, Image.open(tmp_path / "n.png") as now:
        np.testing.assert_array_equal(np.array(now)[after == ids], np.array(before)[after == ids])


def test_what_a_mode_cannot_say_is_none(tmp_path: Path) -> None:
    ids = np.where(blocks() == 1, 1, 0).astype(np.uint8)
    after = ids.copy()
    after[42:47, 30:60] = 2
    for mode in ("L", "1", "RGBA", "LA"):
        assert (
            repainted(load_painted(painted(tmp_path / "m.png", mode, ids), shape=SHAPE), ids, after)
            is None
        )
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(tmp_path / "small.png")
    assert repainted(load_painted(tmp_path / "small.png", shape=SHAPE), ids, after) is None


def test_notes_are_read_from_our_files_only(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    save_noted_mask(path, blocks(), {"clip": "ä", "frame": 7})
    assert read_note(path) == {"clip": "ä", "frame": 7}
    with Image.open(path) as picture:
        assert picture.getpalette() == Palette.davis().colors.ravel().tolist()
    save_noted_picture(path, np.zeros((4, 4, 3), np.uint8), {"preview": "m.png"})
    assert read_note(path) == {"preview": "m.png"}
    Image.fromarray(blocks()).save(path)
    for content in (path.read_bytes(), b"", b"\x89PNG\r\n\x1a\nno", b"text"):
        path.write_bytes(content)
        assert read_note(path) == {}
    assert read_note(tmp_path / "none.png") == {}
