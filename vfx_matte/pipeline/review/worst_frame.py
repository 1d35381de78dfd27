"""The picture of a key test.

Takes true and keyed alpha of the worst frame, gives a contact sheet; never saves it.
"""

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

_FRAME = (255, 60, 60)
_BLOCK_PX = 16

Alpha = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Closeup:
    """One way's worst frame.

    image: uint8 (H, W, 3); true and keyed alpha: float32 (H, W) in [0, 1].

    frame: its number, see `Timeline.number`. place: what is enlarged.
    """

    name: str
    frame: int
    place: tuple[slice, slice]
    image: Image
    true: Alpha
    keyed: Alpha


def worst_place(error: Alpha) -> tuple[slice, slice]:
    """The part of the picture, a twelfth of its width, with the most error.

    error: float (H, W), 0 or more.
    """
    height, width = error.shape
    wide = min(width, max(96, width // 12))
    high = min(height, max(1, wide * 9 // 16))
    sums = np.add.reduceat(
        np.add.reduceat(error, range(0, height, _BLOCK_PX), 0), range(0, width, _BLOCK_PX), 1
    )
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
    top, left = min(int(row) * _BLOCK_PX, height - high), min(int(column) * _BLOCK_PX, width - wide)
    return slice(top, top + high), slice(left, left + wide)


def keytest_sheet(title: str, closeups: Sequence[Closeup]) -> Image:
    """The whole frame as first keyed, with the enlarged part marked, above that part for
    every way.
    """
    first = closeups[0]
    whole = [_marked(image, first.place) for image in _views(first, (slice(None), slice(None)))]
    rows = [(f"{first.name}, whole", whole)]
    rows += [
        (each.name, [_enlarged(image) for image in _views(each, each.place)]) for each in closeups
    ]
    heading = f"{title}: frame {first.frame}, where the keyed edge is worst"
    return contact_sheet(rows, column_labels=COLUMNS, thumb_width_px=THUMB_WIDTH_PX, title=heading)


def _views(closeup: Closeup, place: tuple[slice, slice]) -> list[Image]:
    true, keyed = closeup.true[place], closeup.keyed[place]
    return [
        closeup.image[place],
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


def _marked(image: Image, place: tuple[slice, slice]) -> Image:
    rows, columns = place
    line = max(2, image.shape[1] // 300)
    marked = image.copy()
    marked[
        max(0, rows.start - line) : rows.stop + line,
        max(0, columns.start - line) : columns.stop + line,
    ] = _FRAME
    marked[place] = image[place]
    return marked
