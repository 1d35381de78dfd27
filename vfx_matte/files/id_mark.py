"""The mark in palette PNG files of this program: the index of every pixel is the id of an object.

A painted palette picture has to be interpreted: index 255 may be "undecided", as in DAVIS and
YouTube-VOS, many indices may be soft edges. Of a picture with this mark nothing is guessed, so that
all 255 ids are objects.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

_KEYWORD = "vfx-matte ids"
# of a palette, in bytes
_WHOLE = 256 * 3


def id_mark(palette: bytes) -> tuple[str, str]:
    """The keyword and the text of the mark, for a text chunk of the PNG file.

    Args:
        palette: the picture's whole one, 256 × R'G'B'.
    """
    # other programs keep texts and sort palettes anew: the mark holds for this palette alone
    return _KEYWORD, f"{zlib.crc32(palette):08x}"


def has_id_mark(texts: Mapping[Any, object], palette: Iterable[int] | None) -> bool:
    """Whether a picture is marked, and has the palette that it was marked with.

    Args:
        texts: keyword → text of its chunks.
        palette: R'G'B' of one index after another, 0 … 255 each; None where it has none.
    """
    if palette is None or _KEYWORD not in texts:
        return False
    whole = bytes(palette)
    return len(whole) == _WHOLE and texts[_KEYWORD] == id_mark(whole)[1]
