"""Draw README's picture of real clips cut out. A tool for developers.

    python bench/pictures/cuts.py 'juggler: …/clip.mp4 …/greenback.0000150.png 150' … docs/cuts.jpg

Each row is a clip: a name, the clip, then pictures that `vfx-matte greenback --frame N` wrote of
it, each followed by its N.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from vfx_matte.drawing.sheet import contact_sheet
from vfx_matte.masks import Image
from vfx_matte.media.open import open_clip
from vfx_matte.workspace import save_picture

WIDTH_PX = 300


def row(text: str) -> tuple[str, list[Image]]:
    """A clip's frames, each beside its green screen."""
    name, _, rest = text.partition(": ")
    clip, *pairs = rest.split()
    reader, images = open_clip(Path(clip), notify=lambda _: None), []
    for picture, number in zip(pairs[::2], pairs[1::2], strict=True):
        (frame,) = reader.frames(int(number), int(number) + 1)
        images += [frame.image, np.asarray(Pillow.open(picture).convert("RGB"))]
    return name, images


if __name__ == "__main__":
    *rows, output = sys.argv[1:]
    save_picture(Path(output), contact_sheet([row(text) for text in rows], thumb_width_px=WIDTH_PX))
