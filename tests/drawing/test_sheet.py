from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfx_matte.drawing.sheet import (
    captioned,
    checkerboard,
    close_up,
    contact_sheet,
    outlined,
    thumbnail,
    tinted,
)
from vfx_matte.masks import Image, Palette


def flat(height: int, width: int, color: tuple[int, int, int]) -> Image:
    return np.full((height, width, 3), color, np.uint8)


def test_every_image_is_there_at_the_asked_width_in_a_regular_grid() -> None:
    colors = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10)]
    images = [flat(90, 160, color) for color in colors]
    sheet = contact_sheet([("", images[:2]), ("", images[2:])], thumb_width_px=64)
    boxes = []
    for color in colors:
        rows, columns = np.nonzero((sheet == color).all(axis=2))
        boxes.append((rows.min(), columns.min()))
        assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (36, 64)
        assert len(rows) == 36 * 64
    assert boxes[0][0] == boxes[1][0] < boxes[2][0] == boxes[3][0]
    assert boxes[0][1] == boxes[2][1] < boxes[1][1] == boxes[3][1]


def test_labels_and_title_are_drawn_beside_the_images_not_over_them() -> None:
    images = [flat(60, 90, (255, 0, 255))]
    bare = contact_sheet([("", images)], thumb_width_px=90)
    full = contact_sheet(
        [("row", images)],
        column_labels=["column"],
        thumb_width_px=90,
        title="A title that is longer than wide",
    )
    assert full.shape[0] > bare.shape[0]
    assert full.shape[1] > bare.shape[1]
    for sheet in (bare, full):
        assert (sheet == (255, 0, 255)).all(axis=2).sum() == 60 * 90
    top = int(np.nonzero((full == (255, 0, 255)).all(axis=2))[0].min())
    assert full[:top].max() > 120, "no text above the image"
    assert full[:, :3].max() < 60, "text runs out of the margin"
    assert full[:, -3:].max() < 60, "text runs out of the margin"


def test_rows_of_different_length_and_images_of_different_shape() -> None:
    tall, wide = flat(200, 100, (255, 0, 255)), flat(50, 100, (0, 255, 255))
    sheet = contact_sheet([("a", [tall, wide]), ("b", [wide]), ("c", [])], thumb_width_px=50)
    assert (sheet == (255, 0, 255)).all(axis=2).sum() == 100 * 50
    assert (sheet == (0, 255, 255)).all(axis=2).sum() == 2 * 25 * 50
    tall_rows = np.nonzero((sheet == (255, 0, 255)).all(axis=2))[0]
    wide_rows = np.nonzero((sheet == (0, 255, 255)).all(axis=2))[0]
    beside = wide_rows[wide_rows <= tall_rows.max()]
    assert abs((beside.min() + beside.max()) - (tall_rows.min() + tall_rows.max())) <= 1, (
        "not centred in its row"
    )


@settings(max_examples=25)
@given(st.text(alphabet=st.characters(), max_size=60))
def test_no_label_crashes(label: str) -> None:
    rows = [(label, [flat(18, 32, (9, 9, 9))])]
    sheet = contact_sheet(rows, column_labels=[label], thumb_width_px=32, title=label)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] <= 32 + 32 + 3 * 15  # a label never widens the sheet beyond one more cell


def test_scripts_and_broken_file_names() -> None:
    for label in ("蓬松的球", "пушистый", "كرة", "🙂", "name\udcff.mov", "\0"):
        contact_sheet([(label, [flat(18, 32, (9, 9, 9))])], column_labels=[label], title=label)
    two, one = (
        contact_sheet([(label, [flat(18, 32, (9, 9, 9))])])
        for label in ("two\n lines", "two lines")
    )
    assert np.array_equal(two, one)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="no images"):
        contact_sheet([("a", [])])
    with pytest.raises(ValueError, match=r"float64 \(4, 4, 3\)"):
        contact_sheet([("a", [np.zeros((4, 4, 3))])])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="thumb_width_px 4"):
        contact_sheet([("a", [flat(4, 4, (0, 0, 0))])], thumb_width_px=4)


def test_checkerboard_shows_the_image_where_opaque_and_squares_where_not() -> None:
    image = flat(32, 48, (200, 30, 90))
    alpha = np.zeros((32, 48), np.float32)
    alpha[:, 24:] = 1
    shown = checkerboard(image, alpha, square_px=8)
    assert (shown[:, 24:] == image[:, 24:]).all()
    assert (shown[:8, :8] == shown[0, 0]).all()
    assert (shown[:8, 8:16] == shown[8, 0]).all()
    assert (shown[0, 0] != shown[0, 8]).all()
    for dtype in (np.uint8, np.uint16):
        full = (alpha * np.iinfo(dtype).max).astype(dtype)
        assert (checkerboard(image, full, square_px=8) == shown).all()
    half = checkerboard(image, np.full((32, 48), 0.5, np.float32), square_px=8)
    np.testing.assert_allclose(half[0, 0], (image[0, 0].astype(float) + shown[0, 0]) / 2, atol=0.51)
    with pytest.raises(ValueError, match=r"\(4, 4\)"):
        checkerboard(image, np.zeros((4, 4), np.uint8))


def test_an_outline_lies_inside_the_objects_edge_with_black_around_it() -> None:
    image, mask = flat(60, 90, (90, 120, 150)), np.zeros((60, 90), np.uint8)
    mask[10:40, 20:60] = 1
    mask[45:55, 70:80] = 2
    before = mask.copy(), image.copy()
    shown = outlined(image, mask, Palette.davis(), line_px=3)
    for object_id, color in ((1, (255, 0, 0)), (2, (0, 255, 0))):
        rows, columns = np.nonzero((shown == color).all(axis=2))
        inside = np.argwhere(mask == object_id)
        assert (rows.min(), columns.min()) == tuple(inside.min(axis=0))
        assert (rows.max(), columns.max()) == tuple(inside.max(axis=0))
        assert (mask[rows, columns] == object_id).all()
    assert (shown[13:37, 23:57] == image[0, 0]).all(), "the object itself stays as it is"
    black = np.argwhere((shown == 0).all(axis=2))
    assert (mask[black[:, 0], black[:, 1]] == 0).all()
    assert len(black) == 2 * (30 + 40) + 4 + 2 * (10 + 10) + 4
    assert np.array_equal(mask, before[0])
    assert np.array_equal(image, before[1])


def test_an_outline_follows_a_mask_of_another_size() -> None:
    mask = np.zeros((600, 900), np.uint8)
    mask[100:400, 200:600] = 1
    small = np.zeros((60, 90), np.uint8)
    small[10:40, 20:60] = 1
    shown = (outlined(flat(60, 90, (9, 90, 9)), one, Palette.davis()) for one in (mask, small))
    assert np.array_equal(*shown)
    none = outlined(flat(60, 90, (9, 90, 9)), np.zeros((6, 9), np.uint8), Palette.davis())
    assert (none == (9, 90, 9)).all()


def test_a_caption_stands_below_its_image_and_marks_stand_out() -> None:
    image = flat(90, 160, (255, 0, 255))
    quiet, marked = (
        captioned(image, "frame 12, 0:00.400", marked=marked) for marked in (False, True)
    )
    for shown in (quiet, marked):
        assert shown.shape[1] == 160
        assert np.array_equal(shown[:90], image)
        assert shown.shape[0] > 90
        assert np.ptp(shown[90:].astype(int)) > 120, "no text"
        assert (shown[90:, :2] == shown[90, 0]).all(), "text runs out"
    assert quiet[90:].mean() + 60 < marked[90:].mean()
    assert captioned(image, "much too long for its image " * 5).shape == quiet.shape


def test_a_thumbnail_keeps_the_shape() -> None:
    assert np.array_equal(
        thumbnail(flat(900, 1600, (1, 2, 3)), width_px=160), flat(90, 160, (1, 2, 3))
    )
    with pytest.raises(ValueError, match=r"uint8 \(4, 4\)"):
        thumbnail(np.zeros((4, 4), np.uint8), width_px=20)


def test_a_tint_colours_the_inside_and_leaves_the_rest_but_for_the_outline() -> None:
    image, mask = flat(60, 90, (100, 100, 100)), np.zeros((60, 90), np.uint8)
    mask[10:40, 20:60] = 1
    shown = tinted(image, mask, Palette.davis(), strength=0.5)
    assert (shown[20:30, 30:50] == (178, 50, 50)).all()
    assert (shown[45:, :] == 100).all()
    assert (shown[10, 30] == (255, 0, 0)).all()
    with pytest.raises(ValueError, match=r"mask is \(6, 9\)"):
        tinted(image, np.zeros((6, 9), np.uint8), Palette.davis())


@given(st.integers(0, 59), st.integers(0, 89), st.integers(1, 60), st.integers(1, 90))
def test_a_close_up_holds_the_objects_in_the_pictures_shape(
    top: int, left: int, tall: int, wide: int
) -> None:
    mask = np.zeros((60, 90), np.uint8)
    mask[top : top + tall, left : left + wide] = 3
    rows, columns = close_up([mask, np.zeros_like(mask)])
    part = mask[rows, columns]
    assert np.count_nonzero(part) == np.count_nonzero(mask)
    assert part.shape[1] / part.shape[0] == pytest.approx(1.5, rel=0.05)
    assert part.shape[1] >= 31


def test_a_close_up_of_nothing_is_the_whole_picture() -> None:
    assert close_up([np.zeros((60, 90), np.uint8)]) == (slice(0, 60), slice(0, 90))
