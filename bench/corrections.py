r"""How well one click corrects a propagated mask, on DAVIS 2016.

    python bench/davis.py DAVIS --network FILE --save MASKS
    python bench/corrections.py DAVIS MASKS [--network FILE | --weight-free]

Of each sequence four frames (a fifth, 45, 70 and 95 % in) are corrected, whose masks were
propagated from the first one. The errors are connected pieces of what the mask lacks or has too
much, the three largest by how deep they are; each is clicked at its middle and at places picked at
random in its inner part, every click on the propagated mask as it was. Prints Markdown: one line
for clicks on the object, one for those on the background, and one for all.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.first_mask import Click, Marks, open_first_mask
from vfx_matte.masks import overlap

PLACES = (0.2, 0.45, 0.7, 0.95)
MOST_ERRORS, RANDOM_CLICKS = 3, 3
# an error that is nowhere deeper than this is an edge, which nobody clicks on
LEAST_DEPTH_PX = 4.0
# a click that turns so much of the object wrongly has spoiled the mask
SPOILED = 0.05

Region = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Corrected:
    """What one click did."""

    name: str
    click: Click
    error_px: int
    turned: float  # of the error, 0 … 1
    right_px: int
    wrong_px: int
    object_px: int  # of the true object
    gained: float  # of IoU
    alike: float  # overlap with what the click in the error's middle changed


@dataclass(frozen=True)
class Job:
    """One frame."""

    name: str
    picture: Path
    truth: Path
    mask: Path
    network: Path | None


def jobs(davis: Path, masks: Path, network: Path | None) -> Iterator[Job]:
    """The frames that are corrected."""
    for folder in sorted(path for path in masks.iterdir() if path.is_dir()):
        truths = sorted((davis / "Annotations/480p" / folder.name).glob("*.png"))
        for place in PLACES:
            truth = truths[int(place * len(truths))]
            picture = davis / "JPEGImages/480p" / folder.name / f"{truth.stem}.jpg"
            name = f"{folder.name} {int(truth.stem)}"
            yield Job(name, picture, truth, folder / truth.name, network)


def errors(found: Region, truth: Region) -> list[tuple[Region, bool]]:
    """The deepest errors, the deepest first: bool (H, W), and whether the object lacks there."""
    pieces = []
    for wrong, is_missing in ((truth & ~found, True), (found & ~truth, False)):
        depths = depth_of(wrong)
        count, labels = cv2.connectedComponents(wrong.astype(np.uint8))
        for label in range(1, count):
            piece = labels == label
            pieces.append((float(depths[piece].max()), piece, is_missing))
    pieces.sort(key=lambda one: -one[0])
    return [(piece, kind) for deep, piece, kind in pieces[:MOST_ERRORS] if deep >= LEAST_DEPTH_PX]


def depth_of(region: Region) -> npt.NDArray[np.float32]:
    """How far each pixel is from the region's edge, px."""
    padded = np.pad(region.astype(np.uint8), 1)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)


def clicks_on(error: Region, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(x, y) of the middle of an error, then of places in its inner part."""
    depths = depth_of(error)
    y, x = np.unravel_index(int(depths.argmax()), depths.shape)
    rows, columns = np.nonzero(depths > depths.max() / 2)
    picked = rng.integers(len(rows), size=RANDOM_CLICKS)
    return [(int(x), int(y)), *((int(columns[at]), int(rows[at])) for at in picked)]


def measure(job: Job) -> list[Corrected]:
    """Every click on one frame."""
    cv2.setNumThreads(1)
    image = np.asarray(Image.open(job.picture).convert("RGB"), np.uint8)
    truth = np.asarray(Image.open(job.truth).convert("L")) > 0
    given = np.asarray(Image.open(job.mask)) > 0
    network = SalientNetwork(job.network) if job.network else None
    maker = open_first_mask(image, network=network)
    rng = np.random.default_rng(0)
    results = []
    for error, is_missing in errors(given, truth):
        middle: Region | None = None
        for x, y in clicks_on(error, rng):
            click = Click(x, y, is_missing)
            found = maker.answer(Marks(clicks=(click,)), given.astype(np.float32)).mask > 0
            changed = found != given
            middle = changed if middle is None else middle
            right = changed & (found == truth)
            results.append(
                Corrected(
                    job.name,
                    click,
                    int(np.count_nonzero(error)),
                    np.count_nonzero(right & error) / np.count_nonzero(error),
                    int(np.count_nonzero(right)),
                    int(np.count_nonzero(changed & ~right)),
                    int(np.count_nonzero(truth)),
                    overlap(found, truth) - overlap(given, truth),
                    overlap(changed, middle),
                )
            )
    return results


def table(results: Sequence[Corrected]) -> str:
    """Markdown: means over clicks."""
    lines = [
        "| clicks | count | of the error, turned | rightly, px | wrongly, px | IoU gained | made"
        f" worse | spoiled {SPOILED:.0%} of the object | the same |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    kinds = {
        "on the object": [one for one in results if one.click.is_object],
        "on the background": [one for one in results if not one.click.is_object],
        "all": list(results),
    }
    for name, chosen in kinds.items():
        if chosen:
            spoiled = [one.wrong_px > SPOILED * one.object_px for one in chosen]
            lines.append(
                f"| {name} | {len(chosen)} | {np.mean([one.turned for one in chosen]):.2f}"
                f" | {np.mean([one.right_px for one in chosen]):.0f}"
                f" | {np.mean([one.wrong_px for one in chosen]):.0f}"
                f" | {np.mean([one.gained for one in chosen]):.4f}"
                f" | {np.mean([one.gained < 0 for one in chosen]):.0%}"
                f" | {np.mean(spoiled):.1%} | {np.mean([one.alike for one in chosen]):.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("davis", type=Path, help="folder with JPEGImages and Annotations")
    parser.add_argument("masks", type=Path, help="propagated masks, as bench/davis.py saves them")
    parser.add_argument(
        "--network", type=Path, default=Path("model/u2netp.onnx"), help="(model/u2netp.onnx)"
    )
    parser.add_argument("--weight-free", action="store_true", help="without the network")
    parser.add_argument("--jobs", type=int, default=1, help="frames at the same time (1)")
    parser.add_argument("--worst", type=int, default=0, help="also name the N worst clicks (0)")
    given = parser.parse_args()
    network = None if given.weight_free else given.network
    with Pool(given.jobs) as pool:
        results = [
            one
            for those in pool.imap(measure, jobs(given.davis, given.masks, network))
            for one in those
        ]
    print(table(results))
    for one in sorted(results, key=lambda one: -one.wrong_px)[: given.worst]:
        kind = "fg" if one.click.is_object else "bg"
        print(
            f"- {one.name}, {kind} {one.click.x},{one.click.y}: {one.right_px} px rightly,"
            f" {one.wrong_px} px wrongly"
        )


if __name__ == "__main__":
    main()
