"""Draw the pictures of docs/matting.md: true alpha beside what each edge method makes of a
network-like mask, and composites.

    python bench/pictures/matte.py            # writes docs/matting.jpg and docs/matting-over.jpg

Clips and masks are those of bench/matte.py ("blocky" masks); methods whose packages are missing are
left out. Each row shows the same part of one frame.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

from bench.matte import VITMATTE, Shot, edge_method, known_methods, shots_of, shown
from bench.scenes.edges import EdgeScene
from vfx_matte.composite.mix import over_picture
from vfx_matte.drawing.sheet import contact_sheet
from vfx_matte.masks import Image
from vfx_matte.workspace import save_picture

SIZE, FRAME = (1280, 720), 3
ROWS = {  # kind: seed, and the part that is shown as left, top, side
    "hair": (103, 310, 0, 460),
    "motion blur": (102, 390, 190, 300),
    "defocus": (101, 500, 60, 260),
    "glass": (100, 400, 120, 260),
    "hard": (101, 430, 60, 340),
}
OVER = ("hair", "motion blur", "defocus")


def gray(alpha: np.ndarray) -> Image:
    """Alpha in 0..1 as a picture."""
    return np.repeat(np.rint(alpha * 255).astype(np.uint8)[..., None], 3, axis=2)


def part(image: Image, kind: str) -> Image:
    """The part of a frame that is shown of this kind."""
    _, left, top, side = ROWS[kind]
    return image[top : top + side, left : left + side]


def shot_of(kind: str) -> tuple[Shot, np.ndarray]:
    """The frame of a kind with its mask, and the truth over the new background."""
    seed = ROWS[kind][0]
    scene, other = EdgeScene(kind, *SIZE, seed=seed), EdgeScene(kind, *SIZE, seed=seed + 500)
    shot = next(shots_of([scene.frame(FRAME)], [other.backdrop(FRAME)], "blocky", seed))
    return shot, shot.truth


def main() -> None:
    """Parse the command line, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("docs"))
    parser.add_argument("--width", type=int, default=190)
    options = parser.parse_args()
    names = known_methods(
        ["hard", "median", "guided", "closed-form", *(["vitmatte"] if VITMATTE.is_dir() else [])]
    )
    alphas, composites = [], []
    for kind in ROWS:
        shot, truth = shot_of(kind)
        made = [edge_method(name)(shot) for name in names]
        mattes = [gray(matte.alpha / matte.full) for matte, _ in made]
        alphas.append(
            (kind, [part(image, kind) for image in (shot.image, gray(shot.alpha), *mattes)])
        )
        if kind in OVER:
            laid = [shown(over_picture(picture, matte, shot.behind)) for matte, picture in made]
            raw = shown(over_picture(shot.picture, edge_method("truth")(shot)[0], shot.behind))
            composites.append((kind, [part(image, kind) for image in (truth, raw, *laid)]))
    for name, rows, columns in (
        ("matting.jpg", alphas, ["frame", "true alpha", *names]),
        ("matting-over.jpg", composites, ["truth", "true alpha, old colours", *names]),
    ):
        save_picture(
            options.folder / name,
            contact_sheet(rows, column_labels=columns, thumb_width_px=options.width),
        )
        print(options.folder / name)


if __name__ == "__main__":
    main()
