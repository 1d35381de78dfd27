"""Draws the contact sheet of a key test: true and keyed alpha of the worst frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfx_matte.drawing.sheet import contact_sheet
from vfx_matte.masks import Image

COLUMNS = ("green screen", "true alpha", "keyed alpha", "difference, 4 times")
THUMB_WIDTH_PX = 420
GAIN = 4
"""How much differences are amplified, to be seen."""

_FRAME = (255, 60, 60)
_BLOCK_PX = 16
"""Errors are summed over blocks of this size first, which is fast and fine enough."""

Alpha = npt.NDArray[np.float32]
Region = tuple[slice, slice]
"""Rows and columns of a picture."""


@dataclass(frozen=True, slots=True)
class Closeup:
    """The worst frame of one encoding."""

    name: str
    """The encoding's."""

    frame: int
    """Its number, see `Timeline.number`."""

    region: Region
    """What is enlarged."""

    image: Image
    """uint8 (H, W, 3)."""

    true: Alpha
    """float32 (H, W) in [0, 1]."""

    keyed: Alpha
    """The same shape and range."""


def worst_region(error: Alpha) -> Region:
    """The region with the most error, a twelfth of the picture's width and 16:9.

    Args:
        error: float (H, W), 0 or more.
    """
    # Of a small picture at least 96 pixels, so that there is something to see.
    height, width = error.shape
    wide = min(width, max(96, width // 12))
    high = min(height, max(1, wide * 9 // 16))
    # The sum over every window of blocks, from cumulative sums.
    sums = np.add.reduceat(
        np.add.reduceat(error, range(0, height, _BLOCK_PX), 0), range(0, width, _BLOCK_PX), 1
    )
    # The window in blocks, and no larger than the picture.
    rows, columns = max(1, high // _BLOCK_PX), max(1, wide // _BLOCK_PX)
    total = np.cumsum(np.cumsum(np.pad(sums, ((1, 0), (1, 0))), 0), 1)
    rows, columns = min(rows, sums.shape[0]), min(columns, sums.shape[1])
    windows = (
        total[rows:, columns:]
        - total[:-rows, columns:]
        - total[rows:, :-columns]
        + total[:-rows, :-columns]
    )
    row, column = np.unravel_index(int(np.argmax(windows)), windows.shape)
    # At the right and lower border the window begins earlier, to be inside.
    top, left = min(int(row) * _BLOCK_PX, height - high), min(int(column) * _BLOCK_PX, width - wide)
    return slice(top, top + high), slice(left, left + wide)


def keytest_sheet(title: str, closeups: Sequence[Closeup]) -> Image:
    """The whole frame as first keyed, with the enlarged region marked, above that region for every
    encoding.
    """
    # The first encoding is the one that was asked for.
    first = closeups[0]
    whole = [_marked(image, first.region) for image in _views(first, (slice(None), slice(None)))]
    rows = [(f"{first.name}, whole", whole)]
    # The same region for every encoding, so that rows differ by nothing else.
    rows += [
        (each.name, [_enlarged(image) for image in _views(each, each.region)]) for each in closeups
    ]
    heading = f"{title}: frame {first.frame}, where the keyed edge is worst"
    return contact_sheet(rows, column_labels=COLUMNS, thumb_width_px=THUMB_WIDTH_PX, title=heading)


def _views(closeup: Closeup, region: Region) -> list[Image]:
    true, keyed = closeup.true[region], closeup.keyed[region]
    return [
        closeup.image[region],
        _gray(true),
        _gray(keyed),
        _gray(np.minimum(1, GAIN * np.abs(keyed - true))),
    ]


def _gray(alpha: Alpha) -> Image:
    levels: Image = np.rint(alpha * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _enlarged(image: Image) -> Image:
    """Pixels as squares, so that they can be told apart once the sheet has scaled the picture."""
    times = max(1, -(-THUMB_WIDTH_PX // image.shape[1]))
    enlarged: Image = image.repeat(times, axis=0).repeat(times, axis=1)
    return enlarged


def _marked(image: Image, region: Region) -> Image:
    """The picture with a frame around a region."""
    rows, columns = region
    line = max(2, image.shape[1] // 300)
    marked = image.copy()
    marked[
        max(0, rows.start - line) : rows.stop + line,
        max(0, columns.start - line) : columns.stop + line,
    ] = _FRAME
    # the frame lies around the region, and hides none of it
    marked[region] = image[region]
    return marked
