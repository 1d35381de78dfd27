"""Draws a legend: which colour is which object."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from vfx_matte.drawing.sheet import BACKGROUND, QUIET_TEXT, TEXT, fitted
from vfx_matte.masks import Image, ObjectLabel, Palette

_COLUMNS = ("", "id", "name", "class", "score")


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
    rows = [
        (
            "",
            str(object_id),
            label.name,
            label.class_name,
            "" if label.score is None else f"{label.score:.2f}",
        )
        for object_id, label in sorted(labels.items())
    ]
    # columns that no object fills are left out; the first one holds the colours
    shown = [0] + [place for place in range(1, 5) if any(row[place] for row in rows)]
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


def _draw_color(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], line: int, palette: Palette, object_id: int
) -> None:
    """A field of an object's colour.

    Args:
        draw: where it is drawn.
        at: (x, y) of the middle of its left edge.
        line: height of a line of the legend.
        palette: the colour of each id.
        object_id: whose colour it is.
    """
    left, middle = at
    red, green, blue = (int(value) for value in palette.colors[object_id])
    half = line // 3
    # a rim, as a dark colour would not be seen on a dark ground
    draw.rectangle(
        (left, middle - half, left + line - 1, middle + half), (red, green, blue), QUIET_TEXT
    )
