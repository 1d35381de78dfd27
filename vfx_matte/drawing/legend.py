"""Draws legends: which colour is which object.

A character that the font inside Pillow lacks becomes a box.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from vfx_matte.drawing.sheet import BACKGROUND, QUIET_TEXT, TEXT, fitted
from vfx_matte.masks import RGB, Image, ObjectLabel, Palette
from vfx_matte.printable import printable

_COLUMNS = ("", "id", "name", "class", "score")
_ID, _NAME, _CLASS, _SCORE = range(1, 5)
_TEXTS = (_NAME, _CLASS)
# what is shown in less and less width; the score goes first, as it is of the least use beside
# pictures
_NARROWER = ((_ID, _NAME, _CLASS, _SCORE), (_ID, _NAME, _CLASS), (_ID, _NAME), (_ID,))
# a name that is cut shorter tells nothing, in sizes of the text
_LEAST_TEXT = 4

_Row = tuple[str, ...]


def legend(
    labels: Mapping[int, ObjectLabel],
    palette: Palette,
    *,
    title: str = "",
    text_px: int = 18,
    most_width_px: int = 900,
) -> Image:
    """A picture of what objects are: colour, id, name, class and score, one line each.

    Args:
        labels: by id; no object makes a legend that says so.
        palette: the colour of each id, drawn as it is.
        title: above all.
        text_px: size of the text.
        most_width_px: names are shortened with "…" to fit.

    Returns:
        uint8 (H, W, 3).
    """
    font = ImageFont.load_default(text_px)
    line, gap = round(1.7 * text_px), text_px
    rows = _rows(labels)
    # columns that no object fills are left out; the first one holds the colours
    shown = [0, *_filled(rows)]
    table = [[_COLUMNS[place] for place in shown]] if rows else [["", "no object"]]
    table += [[row[place] for place in shown] for row in rows]
    # names and classes share what the rest leaves them
    longest = max(8 * text_px, (most_width_px - 12 * text_px) // 2)
    table = [[fitted(cell, font, longest) for cell in row] for row in table]
    widths = [
        max(round(font.getlength(row[column])) for row in table) for column in range(len(table[0]))
    ]
    widths[0] = line if rows else 0
    heading = fitted(title, font, max(longest, sum(widths) + gap * (len(widths) - 1)))
    width = max(sum(widths) + gap * (len(widths) + 1), round(font.getlength(heading)) + 2 * gap)
    first = gap // 2 + (line if heading else 0)
    sheet = Pillow.new("RGB", (width, first + line * len(table) + gap // 2), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((gap, gap // 2 + line / 2), heading, TEXT, font, anchor="lm")
    for place, row in enumerate(table):
        left, middle = gap, first + line * place + line / 2
        for cell, cell_width in zip(row, widths, strict=True):
            color = TEXT if place and rows else QUIET_TEXT
            draw.text((left, middle), cell, color, font, anchor="lm")
            left += cell_width + gap
        if place and rows:
            _draw_color(draw, (gap, middle), line, palette, int(row[1]))
    return np.asarray(sheet, np.uint8).copy()


def small_legend(
    labels: Mapping[int, ObjectLabel],
    palette: Palette,
    *,
    most_px: tuple[int, int],
    text_px: int,
    white: float = 1.0,
) -> Image | None:
    """A legend for the corner of a picture: as much of it as fits.

    What does not fit is left out in this order: the line of headings, objects (the last line says
    how many), the column of scores, that of classes, that of names.

    Args:
        labels: by id, at least one.
        palette: the colour of each id, drawn as it is.
        most_px: (width, height) that it may have.
        text_px: size of the text.
        white: brightness of the text, 0 to 1.

    Returns:
        uint8 (H, W, 3); None where there is no room for an object.
    """
    font = ImageFont.load_default(text_px)
    line, pad, gap = round(1.4 * text_px), round(0.4 * text_px), round(0.7 * text_px)
    lines, room = (most_px[1] - 2 * pad) // line, most_px[0] - 2 * pad
    # 1. which objects
    rows, more = _rows(labels), ""
    if len(rows) > lines:
        kept = max(lines - 1, 0)
        rows, more = rows[:kept], f"… and {len(rows) - kept} more"
    if not rows:
        return None
    headings = [_COLUMNS] if not more and len(rows) < lines else []
    # 2. which columns
    widths = None
    filled = _filled(rows)
    for columns in _NARROWER:
        shown = [place for place in columns if place in filled]
        widths = _shared_widths(
            [*headings, *rows], shown, font, room - line - gap * len(shown), _LEAST_TEXT * text_px
        )
        if widths is not None:
            break
    if widths is None:
        return None
    # 3. drawn
    more = fitted(more, font, room) if more else ""
    inner = max(line + sum(widths.values()) + gap * len(widths), round(font.getlength(more)))
    height = line * (len(headings) + len(rows) + bool(more)) + 2 * pad
    bright, quiet = (_dimmed(color, white) for color in (TEXT, QUIET_TEXT))
    sheet = Pillow.new("RGB", (inner + 2 * pad, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate([*headings, *rows]):
        left, middle = pad + line + gap, pad + line * number + line / 2
        color = quiet if number < len(headings) else bright
        for place, width in widths.items():
            draw.text((left, middle), fitted(row[place], font, width), color, font, anchor="lm")
            left += width + gap
        if number >= len(headings):
            _draw_color(draw, (pad, middle), line, palette, int(row[_ID]), rim=quiet)
    if more:
        draw.text((pad, height - pad - line / 2), more, quiet, font, anchor="lm")
    return np.asarray(sheet, np.uint8).copy()


def _rows(labels: Mapping[int, ObjectLabel]) -> list[_Row]:
    """What stands in the columns, by id."""
    return [
        (
            "",
            str(object_id),
            label.name,
            label.class_name,
            "" if label.score is None else f"{label.score:.2f}",
        )
        for object_id, label in sorted(labels.items())
    ]


def _filled(rows: Sequence[_Row]) -> list[int]:
    """The columns of text in which something stands."""
    return [place for place in range(1, 5) if any(row[place] for row in rows)]


def _shared_widths(
    rows: Sequence[_Row],
    shown: Sequence[int],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    room: int,
    least: int,
) -> dict[int, int] | None:
    """How wide columns are: as wide as their text, but names and classes share what is left.

    Args:
        rows: of the table.
        shown: the columns.
        font: of the text.
        room: for all of them together, px.
        least: to which names and classes may be shortened, px.

    Returns:
        {column: px}; None where they do not fit.
    """
    widths = {
        place: max(math.ceil(font.getlength(printable(row[place]))) for row in rows)
        for place in shown
    }
    texts = sorted((place for place in shown if place in _TEXTS), key=lambda place: widths[place])
    left = room - sum(width for place, width in widths.items() if place not in texts)
    # the shorter of the two takes no more than it needs, the other one the rest
    for number, place in enumerate(texts):
        given = min(widths[place], left // (len(texts) - number))
        if given < min(widths[place], least):
            return None
        widths[place] = given
        left -= given
    return widths if left >= 0 else None


def _dimmed(color: RGB, white: float) -> RGB:
    red, green, blue = (round(value * white) for value in color)
    return red, green, blue


def _draw_color(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    line: int,
    palette: Palette,
    object_id: int,
    *,
    rim: RGB = QUIET_TEXT,
) -> None:
    """A field of an object's colour.

    Args:
        draw: where it is drawn.
        at: (x, y) of the middle of its left edge.
        line: height of a line of the legend.
        palette: the colour of each id.
        object_id: whose colour it is.
        rim: colour of the line around it.
    """
    left, middle = at
    red, green, blue = (int(value) for value in palette.colors[object_id])
    half = line // 3
    # a rim, as a dark colour would not be seen on a dark ground
    draw.rectangle((left, middle - half, left + line - 1, middle + half), (red, green, blue), rim)
