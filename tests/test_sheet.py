from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfx_matte.masks import Image
from vfx_matte.sheet import checkerboard, contact_sheet


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
        [("row", images)], column_labels=["column"], thumb_width_px=90, title="A title that is longer than wide"
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
    assert abs((beside.min() + beside.max()) - (tall_rows.min() + tall_rows.max())) <= 1, "not centred in its row"


@settings(deadline=None, max_examples=25)
@given(st.text(alphabet=st.characters(), max_size=60))
def test_no_label_crashes(label: str) -> None:
    rows = [(label, [flat(18, 32, (9, 9, 9))])]
    sheet = contact_sheet(rows, column_labels=[label], thumb_width_px=32, title=label)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] <= 32 + 32 + 3 * 15  # a label never widens the sheet beyond one more cell


def test_scripts_and_broken_file_names() -> None:
    for label in ("蓬松的球", "пушистый", "كرة", "🙂", "name\udcff.mov", "\0"):
        contact_sheet([(label, [flat(18, 32, (9, 9, 9))])], column_labels=[label], title=label)
    two, one = (contact_sheet([(label, [flat(18, 32, (9, 9, 9))])]) for label in ("two\n lines", "two lines"))
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
