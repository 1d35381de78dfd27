"""Draws contact sheets and other labelled pictures for people.

The only font is the one inside Pillow, so a sheet looks the same on every machine; a character it
lacks becomes a box.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from vfx_matte.backend import Array
from vfx_matte.masks import Image, Mask, Palette, resize_nearest
from vfx_matte.printable import printable

# dark and without a tint, as the surround of a picture is in a grading room
BACKGROUND = (30, 31, 34)
_CELL = (44, 45, 49)
TEXT = (228, 228, 224)
QUIET_TEXT = (158, 160, 164)
_MARK = (240, 180, 41)
_OBJECT_MARK = (26, 152, 80)
_BACKGROUND_MARK = (204, 41, 41)
_BLACK = (0, 0, 0)
_WHITE = (255, 255, 255)
# the greys of the transparency pattern that people know from image editors
_CHECKER = (np.float32(178), np.float32(128))

_Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[Image]]],
    *,
    column_labels: Sequence[str] = (),
    thumb_width_px: int = 320,
    title: str = "",
) -> Image:
    """Arrange images in a labelled grid on a dark, neutral ground.

    Labels may be in any script and are shortened with "…" where they do not fit.

    Args:
        rows: (label, images) from top to bottom; images are uint8 (H, W, 3) R'G'B' of any sizes,
            and rows may differ in length.
        column_labels: above the columns, left to right; none, or as many as there should be names.
        thumb_width_px: each image is scaled to this width and keeps its shape.
        title: above all.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: when there is no image at all, or one is not an image.
    """
    if thumb_width_px < 16:
        raise ValueError(f"thumb_width_px {thumb_width_px} is below 16")
    columns = max((len(images) for _, images in rows), default=0)
    if columns == 0:
        raise ValueError("a contact sheet of no images")
    # every image to one width; a row is as high as its highest
    thumbs = [[_thumbnail(image, thumb_width_px) for image in images] for _, images in rows]
    heights = [max((thumb.height for thumb in line), default=0) for line in thumbs]
    # text grows with the images; below 11 px Pillow's font cannot be read
    text_px = max(11, thumb_width_px // 18)
    margin, gap, line = text_px + 4, max(4, text_px // 2), round(1.7 * text_px)
    font, title_font = ImageFont.load_default(text_px), ImageFont.load_default(round(1.5 * text_px))
    labels = [fitted(label, font, thumb_width_px) for label, _ in rows]
    # what goes around the grid: labels at the left, title and column labels above
    gutter = max(_width(label, font) for label in labels)
    left = margin + (gutter + margin if gutter else 0)
    top = margin + (round(2.6 * text_px) if title else 0) + (line if any(column_labels) else 0)
    width = left + columns * (thumb_width_px + gap) - gap + margin
    # the sheet with its texts
    sheet = Pillow.new(
        "RGB", (width, top + sum(heights) + gap * (len(rows) - 1) + margin), BACKGROUND
    )
    draw = ImageDraw.Draw(sheet)
    draw.text((margin, margin), fitted(title, title_font, width - 2 * margin), TEXT, title_font)
    for column, name in enumerate(column_labels[:columns]):
        middle = left + column * (thumb_width_px + gap) + thumb_width_px / 2
        draw.text(
            (middle, top - line / 2),
            fitted(name, font, thumb_width_px),
            QUIET_TEXT,
            font,
            anchor="mm",
        )
    # row by row: a cell for each image, in whose middle it lies
    for label, images, height in zip(labels, thumbs, heights, strict=True):
        draw.text((left - margin, top + height / 2), label, TEXT, font, anchor="rm")
        for column, thumb in enumerate(images):
            x = left + column * (thumb_width_px + gap)
            draw.rectangle((x, top, x + thumb_width_px - 1, top + height - 1), _CELL)
            sheet.paste(thumb, (x, top + (height - thumb.height) // 2))
        top += height + gap
    return np.asarray(sheet, np.uint8).copy()


def thumbnail(image: Image, *, width_px: int) -> Image:
    """Scale an image to a width and keep its shape.

    Args:
        image: uint8 (H, W, 3).
        width_px: wanted.

    Returns:
        uint8 (h, width_px, 3).
    """
    return np.array(_thumbnail(image, width_px))


def outlined(image: Image, mask: Mask, palette: Palette, *, line_px: int = 2) -> Image:
    """Draw the outline of every object of a mask, inside its edge and in its colour made bright,
    with a black line around.

    Args:
        image: uint8 (h, w, 3).
        mask: uint8 (H, W), ids, of any size, brought to the image's by nearest pixel.
        palette: the colour of each id.
        line_px: width of the coloured line.

    Returns:
        uint8 (h, w, 3); pixels farther than `line_px` from an edge stay as they are.
    """
    height, width = image.shape[:2]
    small = resize_nearest(mask, (height, width))
    edge, around = np.zeros((height, width), bool), np.zeros((height, width), bool)
    # compare with every neighbour within the line's width; the black line is one pixel wide
    padded = np.pad(small, line_px, mode="edge")
    for down in range(2 * line_px + 1):
        for right in range(2 * line_px + 1):
            neighbour = padded[down : down + height, right : right + width]
            edge |= (small > 0) & (neighbour != small)
            if abs(down - line_px) <= 1 and abs(right - line_px) <= 1:
                around |= (small == 0) & (neighbour > 0)
    drawn = image.copy()
    drawn[around] = _BLACK
    # twice as bright: the colours of DAVIS are made for masks, not for lines on a dark picture
    drawn[edge] = np.minimum(palette.colors.astype(np.uint16) * 2, 255).astype(np.uint8)[
        small[edge]
    ]
    return drawn


def tinted(image: Image, mask: Mask, palette: Palette, *, strength: float = 0.35) -> Image:
    """Colour every object of a mask, and outline it.

    Args:
        image: uint8 (h, w, 3).
        mask: uint8 (h, w), ids.
        palette: the colour of each id.
        strength: of the colour, in [0, 1].

    Returns:
        uint8 (h, w, 3).
    """
    if mask.shape != image.shape[:2]:
        raise ValueError(f"mask is {mask.shape}, expected {image.shape[:2]}")
    bright = np.minimum(palette.colors.astype(np.uint16) * 2, 255).astype(np.float32)
    drawn, inside = image.copy(), mask > 0
    drawn[inside] = np.rint(
        image[inside] * (1 - strength) + bright[mask[inside]] * strength
    ).astype(np.uint8)
    return outlined(drawn, mask, palette)


def with_marks(
    image: Image,
    *,
    box: tuple[int, int, int, int] | None = None,
    lines: Sequence[tuple[Sequence[tuple[int, int]], bool]] = (),
    points: Sequence[tuple[tuple[int, int], bool]] = (),
) -> Image:
    """Draw what was marked in a picture: a box, lines and points, each a plus for the object or a
    minus for the background.

    Args:
        image: uint8 (H, W, 3).
        box: (x, y, width, height).
        lines: coordinates (x, y) of each, and whether it is the object.
        points: coordinates (x, y), and whether it is the object.

    Returns:
        uint8 (H, W, 3).
    """
    sheet = Pillow.fromarray(np.ascontiguousarray(image))
    draw = ImageDraw.Draw(sheet)
    # large enough on the largest picture, small enough on the smallest; a black rim keeps every
    # mark visible on any ground
    radius = max(4, round(min(image.shape[:2]) / 110))
    thin = max(1, radius // 3)
    if box is not None:
        left, top, width, height = box
        corners = (left, top, left + width - 1, top + height - 1)
        draw.rectangle(corners, outline=_BLACK, width=thin + 2)
        draw.rectangle(corners, outline=_MARK, width=thin)
    for line, is_object in lines:
        ends = [tuple(point) for point in line]
        color = _OBJECT_MARK if is_object else _BACKGROUND_MARK
        for shown, width in ((_BLACK, radius + 2), (color, radius)):
            draw.line(ends if len(ends) > 1 else ends * 2, fill=shown, width=width, joint="curve")
        for x, y in ends[:1] + ends[-1:]:
            draw.circle((x, y), radius / 2, fill=color)
    for (x, y), is_object in points:
        draw.circle((x, y), radius + 1, fill=_BLACK)
        draw.circle((x, y), radius, fill=_OBJECT_MARK if is_object else _BACKGROUND_MARK)
        arm = radius // 2 + 1
        # a minus, to which a second stroke makes a plus: not by colour alone
        draw.line((x - arm, y, x + arm, y), fill=_WHITE, width=thin)
        if is_object:
            draw.line((x, y - arm, x, y + arm), fill=_WHITE, width=thin)
    return np.array(sheet)


def close_up(
    masks: Sequence[Mask], *, margin: float = 0.3, least: float = 0.35
) -> tuple[slice, slice]:
    """The part of a picture in which all objects of some masks are seen, in the picture's shape.

    Args:
        masks: at least one, uint8 (H, W) of one shape.
        margin: on each side, as a part of the objects' box.
        least: the smallest part, as a part of the picture's width.

    Returns:
        (rows, columns); the whole picture when no mask shows an object.
    """
    height, width = masks[0].shape
    shown = np.logical_or.reduce([mask > 0 for mask in masks])
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(rows):
        return slice(0, height), slice(0, width)
    tall, wide = (int(at[-1] - at[0] + 1) * (1 + 2 * margin) for at in (rows, columns))
    # one share for both sides, so that the part keeps the picture's shape
    share = min(1.0, max(least, tall / height, wide / width))
    size = max(1, round(height * share)), max(1, round(width * share))
    # around the box's middle, moved inwards where it would leave the picture
    firsts = [
        min(max(0, (int(at[0]) + int(at[-1]) + 1 - part) // 2), full - part)
        for at, part, full in zip((rows, columns), size, (height, width), strict=True)
    ]
    return slice(firsts[0], firsts[0] + size[0]), slice(firsts[1], firsts[1] + size[1])


def captioned(image: Image, caption: str, *, marked: bool = False) -> Image:
    """Put a line of text under an image.

    Args:
        image: uint8 (H, W, 3).
        caption: the text, shortened with "…" where it does not fit.
        marked: on a bright ground, to stand out.

    Returns:
        uint8 (H + one line, W, 3).
    """
    height, width = image.shape[:2]
    text_px = max(11, width // 20)
    font = ImageFont.load_default(text_px)
    below = round(1.8 * text_px)
    sheet = Pillow.new("RGB", (width, height + below), _MARK if marked else _CELL)
    sheet.paste(Pillow.fromarray(np.ascontiguousarray(image)), (0, 0))
    text = fitted(caption, font, width - 6)
    ImageDraw.Draw(sheet).text(
        (width / 2, height + below / 2), text, BACKGROUND if marked else TEXT, font, anchor="mm"
    )
    return np.array(sheet)


def checkerboard(image: Image, alpha: Array, *, square_px: int = 12) -> Image:
    """Show transparency: the image over grey squares, as editors draw it.

    Args:
        image: uint8 (H, W, 3), straight (not premultiplied).
        alpha: (H, W), float in [0, 1], or an integer type whose largest value is 1.0.
        square_px: side of a square.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: when the shapes do not fit each other.
    """
    if alpha.shape != image.shape[:2]:
        raise ValueError(f"alpha is {alpha.shape}, expected {image.shape[:2]}")
    if square_px < 1:
        raise ValueError(f"square_px {square_px} is below 1")
    full = np.iinfo(alpha.dtype).max if np.issubdtype(alpha.dtype, np.integer) else 1
    cover = (alpha.astype(np.float32) / np.float32(full)).clip(0, 1)[..., None]
    y, x = np.ogrid[: alpha.shape[0], : alpha.shape[1]]
    squares = np.where((y // square_px + x // square_px) % 2 == 0, *_CHECKER)[..., None]
    return np.asarray(np.rint(image * cover + squares * (1 - cover)), np.uint8)


def _thumbnail(image: Image, width: int) -> Pillow.Image:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return Pillow.fromarray(np.ascontiguousarray(image)).resize(
        (width, height), Pillow.Resampling.LANCZOS
    )


def _width(text: str, font: _Font) -> int:
    return round(font.getlength(text))


def fitted(text: str, font: _Font, limit_px: int) -> str:
    """`text` as one line (Pillow cannot measure several), at most `limit_px` wide."""
    line = printable(" ".join(text.split()))
    if _width(line, font) <= limit_px:
        return line
    # measuring takes long: the most letters that fit are halved for, then those that kerning moved
    kept = bisect.bisect_right(
        range(1, len(line)), limit_px, key=lambda length: _width(line[:length] + "…", font)
    )
    while kept and _width(line[:kept] + "…", font) > limit_px:
        kept -= 1
    return line[:kept].rstrip() + "…"
