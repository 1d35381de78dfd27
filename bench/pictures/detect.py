r"""Draw what `detect` finds in clips: nothing is given, every row is one clip.

    python bench/pictures/detect.py docs/detect.jpg --model model \
        dog.mp4:0,20,40,60 juggler.mp4:0,30,60,90

A clip is FILE:FRAMES, or FILE:FRAMES:FIRST-STOP for a part of it. What was found is tinted and
outlined; objects, scores and how many frames the detector looked at are printed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from vfx_matte.drawing.sheet import contact_sheet, outlined, tinted
from vfx_matte.masks import Image, Palette
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.detect.request import DetectRequest
from vfx_matte.pipeline.detect.run import detect_clip
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions, helping_weights
from vfx_matte.pipeline.sampling import pictures_at
from vfx_matte.workspace import load_mask, save_picture


def row_of(text: str, model: Path) -> tuple[str, list[Image]]:
    """A clip's label and its pictures."""
    name, frames, *part = text.split(":")
    shown = sorted(int(number) for number in frames.split(","))
    start, stop = map(int, part[0].split("-")) if part else (0, shown[-1] + 1)
    clip = open_source(Path(name), reporter=SilentReporter())
    request = DetectRequest(
        model=model,
        start=start,
        stop=stop,
        propagator=PropagatorOptions(values=helping_weights(), model=model),
    )
    with tempfile.TemporaryDirectory() as folder:
        found = detect_clip(clip, request, workspace=Path(folder), reporter=SilentReporter())
        print(f"{name}: {found.frames} looks")
        for one in found.objects:
            print(f"  {one.id} {one.name} {one.score:.2f}, references {one.references}")
        pictures = []
        for index, image in pictures_at(clip.reader, shown):
            if found.masks is None:
                pictures.append(image)
                continue
            mask, palette = load_mask(found.masks / f"{index:07d}.png"), Palette.davis()
            pictures.append(outlined(tinted(image, mask, palette), mask, palette))
    return f"{clip.path.stem}: {', '.join(one.name for one in found.objects)}", pictures


def main() -> None:
    """Parse the command line, detect, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("clips", nargs="+", metavar="FILE:FRAMES[:FIRST-STOP]")
    parser.add_argument("--model", type=Path, default=Path("model"), help="folder of weights")
    options = parser.parse_args()
    rows = [row_of(text, options.model) for text in options.clips]
    save_picture(options.picture, contact_sheet(rows, thumb_width_px=360))


if __name__ == "__main__":
    main()
