"""Draw what the built-in propagator does well and where it fails.

The sheet shows clips that are made here.

The clips are the demo's scene with a known truth: as it is, with a bar passing in front, with the
subject away for a while, with a background of the subject's own colours, on two strings, and with a
twin that crosses behind. The first mask is given; outlines are results, numbers overlaps.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from vfx_matte.drawing.sheet import contact_sheet, outlined
from vfx_matte.masks import Image, Mask, Palette, overlap
from vfx_matte.propagate import open_propagator
from vfx_matte.propagate.driver import harden
from vfx_matte.scene import Scene
from vfx_matte.workspace import save_picture

Change = Callable[[Scene, int, Image, Mask], tuple[Image, Mask]]
FRAMES, COLUMNS = 60, 6


def unchanged(_scene: Scene, _index: int, image: Image, truth: Mask) -> tuple[Image, Mask]:
    """The scene as it is."""
    return image, truth


def with_a_bar(_scene: Scene, index: int, image: Image, truth: Mask) -> tuple[Image, Mask]:
    """A striped bar passes from left to right."""
    height, width = truth.shape
    left = round(width * (index - 15) / 30) - width // 8
    begin, end = max(0, left), max(0, min(width, left + width // 8))
    image, truth = image.copy(), truth.copy()
    stripes = 60 + 25 * ((np.arange(height) // 12) % 2)
    image[:, begin:end] = stripes[:, None, None]
    truth[:, begin:end] = 0
    return image, truth


def away(_scene: Scene, index: int, image: Image, truth: Mask) -> tuple[Image, Mask]:
    """The subject is gone on frames 20 to 35: the background is filled in from around it."""
    if not 20 <= index < 36:
        return image, truth
    hole = cv2.dilate(truth, np.ones((9, 9), np.uint8))
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    holes = cv2.resize(hole, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_NEAREST)
    filled = cv2.inpaint(small, holes, 5, cv2.INPAINT_TELEA)
    back = cv2.resize(filled, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.where(hole[..., None] > 0, back, image).astype(np.uint8), np.zeros_like(truth)


def camouflaged(_scene: Scene, _index: int, image: Image, truth: Mask) -> tuple[Image, Mask]:
    """The background has the subject's mean colour and contrast."""
    inside = truth > 0
    own, ground = image[inside].astype(np.float32), image[~inside].astype(np.float32)
    like = (image - ground.mean(axis=0)) / (ground.std(axis=0) + 1) * own.std(
        axis=0
    ) * 0.6 + own.mean(axis=0)
    return np.where(inside[..., None], image, np.clip(like, 0, 255)).astype(np.uint8), truth


def on_strings(_scene: Scene, _index: int, image: Image, truth: Mask) -> tuple[Image, Mask]:
    """The subject hangs on two strings, too thin for the size that the propagator works at."""
    rows, columns = np.nonzero(truth)
    x, y, line = int(columns.mean()), int(rows.mean()), max(1, truth.shape[0] // 240)
    strings = np.zeros_like(truth)
    for aside in (-1, 1):
        cv2.line(strings, (x, y), (x + aside * truth.shape[0] // 3, y - truth.shape[0]), 1, line)
    strings[truth > 0] = 0
    return np.where(strings[..., None] > 0, np.uint8(40), image).astype(np.uint8), truth | strings


def with_a_twin(scene: Scene, index: int, image: Image, truth: Mask) -> tuple[Image, Mask]:
    """The same subject comes the other way, behind the first one."""
    other = FRAMES - 1 - index
    twin, place = scene.frame(other)[0], scene.truth_mask(other) > 0
    return np.where((place & (truth == 0))[..., None], twin, image).astype(np.uint8), truth


def followed(change: Change, shown: set[int]) -> Iterator[tuple[Image, float]]:
    """The chosen frames with the result's outline, and its overlap with the truth."""
    scene, propagator = Scene(frame_count=FRAMES), open_propagator("builtin", num_objects=1)
    for index in range(FRAMES):
        image, truth = change(
            scene, index, scene.frame(index)[0], (scene.truth_mask(index) > 0).astype(np.uint8)
        )
        if index == 0:
            propagator.remember(image, truth)
        mask = harden(propagator.step(image, truth if index == 0 else None))
        if index in shown:
            yield outlined(image, mask, Palette.davis(), line_px=3), overlap(mask > 0, truth > 0)


def main() -> None:
    """Parse the command line, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, nargs="?", default=Path("docs/builtin.jpg"))
    arguments = parser.parse_args()
    indices = np.linspace(0, FRAMES - 1, COLUMNS).round().astype(int).tolist()
    changes = {
        "as it is": unchanged,
        "a bar passes": with_a_bar,
        "away, 20 to 35": away,
        "camouflage": camouflaged,
        "on strings": on_strings,
        "a twin crosses": with_a_twin,
    }
    rows = []
    for label, change in changes.items():
        results = list(followed(change, set(indices)))
        print(label, " ".join(f"{overlap:.2f}" for _, overlap in results))
        rows.append((f"{label}, last IoU {results[-1][1]:.2f}", [image for image, _ in results]))
    columns = [f"frame {index}" for index in indices]
    sheet = contact_sheet(
        rows,
        column_labels=columns,
        thumb_width_px=240,
        title="built-in propagator, first mask given",
    )
    save_picture(arguments.output, sheet)
    print(arguments.output)


if __name__ == "__main__":
    main()
