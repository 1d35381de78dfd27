"""Draw what first masks are made of.

The sheet shows the first frame of the demo's clip; U²-Netp's file is needed.

Above with the network, below without; what was marked is drawn, numbers are overlaps with the
truth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.drawing.sheet import captioned, contact_sheet, tinted, with_marks
from vfx_matte.first_mask import Answer, Click, FirstMask, Marks, Stroke, open_first_mask
from vfx_matte.masks import Image, Mask, Palette, overlap
from vfx_matte.scene import Scene
from vfx_matte.workspace import save_picture

SHOWN = (slice(110, 350), slice(40, 360))
THUMB_WIDTH_PX = 320
STROKE = ((160, 250), (195, 200), (235, 250))
BESIDE = ((100, 190), (150, 150), (255, 150), (300, 220), (290, 320))

MARKS = {
    "--auto": Marks(),
    "--fg": Marks(clicks=(Click(195, 225),)),
    "--box": Marks(box=(104, 156, 190, 167)),
    "--fg-stroke, --bg-stroke": Marks(strokes=(Stroke(STROKE), Stroke(BESIDE, is_object=False))),
}


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("network", type=Path, help="u2netp.onnx")
    options = parser.parse_args()
    scene = Scene()
    image, truth = scene.frame(0)[0], scene.truth_mask(0)
    rows = []
    for name, network in (("network", SalientNetwork(options.network)), ("colours alone", None)):
        method = open_first_mask(image, network=network)
        rows.append(
            (
                name,
                [shown(image, truth, answered(method, marks), marks) for marks in MARKS.values()],
            )
        )
    title = "First masks: vfx-matte mask"
    save_picture(
        options.picture,
        contact_sheet(rows, column_labels=list(MARKS), thumb_width_px=THUMB_WIDTH_PX, title=title),
    )


def answered(method: FirstMask, marks: Marks) -> Answer | None:
    """The answer to marks, or the largest subject where there are none."""
    if not marks.is_empty:
        return method.answer(marks)
    return next(iter(method.subjects()), None)


def shown(image: Image, truth: Mask, answer: Answer | None, marks: Marks) -> Image:
    """A mask over the picture with its marks and its overlap."""
    mask = np.zeros_like(truth) if answer is None else answer.mask
    drawn = with_marks(
        tinted(image, mask, Palette.davis()),
        box=marks.box,
        lines=[(stroke.points, stroke.is_object) for stroke in marks.strokes],
        points=[((click.x, click.y), click.is_object) for click in marks.clicks],
    )[SHOWN]
    told = (
        "nothing found"
        if answer is None
        else f"IoU {overlap(mask > 0, truth > 0):.3f}, confidence {answer.confidence:.0%}"
    )
    return captioned(np.ascontiguousarray(drawn), told)


if __name__ == "__main__":
    main()
