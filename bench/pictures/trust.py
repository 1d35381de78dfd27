r"""Draw what it brings not to believe the network everywhere: one clip's masks from one mask, with
and without.

    python bench/pictures/trust.py CLIP FRAME=MASK.png u2netp.onnx docs/trust.jpg \
        --frames 0,28,31,34,40,59

Above the network is believed everywhere, below where it was not wrong on the given mask, and not of
background that is still there (`vfx_matte.propagate.builtin.network.saliency`). Prints each
object's share of the picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest import mock

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.drawing.sheet import contact_sheet, tinted
from vfx_matte.masks import Image, Mask, Palette
from vfx_matte.media.open import open_clip
from vfx_matte.propagate import open_propagator
from vfx_matte.propagate.builtin import propagator as builtin
from vfx_matte.propagate.builtin.network.saliency import salient_evidence
from vfx_matte.workspace import load_mask, save_picture


def walked(images: list[Image], mask: Mask, network: SalientNetwork) -> list[Mask]:
    """The masks of a walk from the first image: uint8 (H, W)."""
    propagator = open_propagator("builtin", num_objects=int(mask.max()), network=network)
    steps = [propagator.step(image, None if index else mask) for index, image in enumerate(images)]
    return [np.argmax(step, axis=0).astype(np.uint8) for step in steps]


def everywhere(
    seen: Array, prior: Array, others: Array, *, trust: float | None = None, **_: object
) -> Array:
    """What the network means where nothing speaks against it."""
    return salient_evidence(seen, prior, others, trust=trust)


def main() -> None:
    """Parse the command line, walk twice, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("mask", help="FRAME=PNG")
    parser.add_argument("network", type=Path, help="u2netp.onnx")
    parser.add_argument("picture", type=Path)
    parser.add_argument(
        "--frames",
        default="0,28,31,34,40,59",
        help="which ones are shown; the given mask's is the first",
    )
    parser.add_argument(
        "--part", default="", metavar="LEFT,TOP,RIGHT,BOTTOM", help="of the picture"
    )
    options = parser.parse_args()
    at, name = options.mask.split("=", 1)
    shown = [int(index) for index in options.frames.split(",")]
    reader = open_clip(options.clip, notify=lambda _: None)
    images = [frame.image for frame in reader.frames(int(at), max(shown) + 1)]
    mask, network = load_mask(Path(name)), SalientNetwork(options.network)
    left, top, right, bottom = (
        map(int, options.part.split(",")) if options.part else (0, 0, mask.shape[1], mask.shape[0])
    )
    rows = []
    for label, evidence in (("believed everywhere", everywhere), ("as it is", salient_evidence)):
        with mock.patch.object(builtin, "salient_evidence", evidence):
            masks = walked(images, mask, network)
        found = {index: masks[index - int(at)] for index in shown}
        for index, one in found.items():
            print(
                label,
                index,
                *(f"{100 * (one == k).mean():.1f} %" for k in range(1, int(mask.max()) + 1)),
            )
        drawn = [
            tinted(images[index - int(at)], one, Palette.davis()) for index, one in found.items()
        ]
        rows.append((label, [picture[top:bottom, left:right] for picture in drawn]))
    columns = [f"frame {index}" for index in shown]
    save_picture(options.picture, contact_sheet(rows, column_labels=columns, thumb_width_px=240))


if __name__ == "__main__":
    main()
