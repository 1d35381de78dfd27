"""Measure a propagator on a folder laid out like DAVIS 2016. Takes JPEGImages/480p and Annotations/480p, prints a table.

The protocol: the first frame's mask is given (any non-zero value is foreground); J and F are averaged over frames
2 … n-1 of a sequence, then over sequences (Perazzi et al., CVPR 2016). Run it with OMP_NUM_THREADS=1 for one core.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np

from vfx_matte.evaluate import MaskScore, score
from vfx_matte.masks import Image, Mask
from vfx_matte.propagate import Propagator, open_propagator


def read_image(path: Path) -> Image:
    """Read a picture as uint8 (H, W, 3) RGB."""
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def read_mask(path: Path) -> Mask:
    """Read a mask as uint8 (H, W): 1 where it is not zero."""
    picture = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    return (picture > 0).astype(np.uint8)


def run_sequence(propagator: Propagator, images: list[Path], truths: list[Path]) -> tuple[MaskScore, float]:
    """Score one sequence; returns its mean J and F, and milliseconds for one step."""
    first = read_image(images[0]), read_mask(truths[0])
    propagator.remember(*first)
    propagator.step(*first)
    scores, seconds = [], 0.0
    for image_path, truth_path in zip(images[1:-1], truths[1:-1], strict=True):
        image = read_image(image_path)
        started = time.perf_counter()
        mask = propagator.step(image).argmax(axis=0)
        seconds += time.perf_counter() - started
        scores.append(score(mask, read_mask(truth_path)))
    mean = MaskScore(fmean(s.region for s in scores), fmean(s.boundary for s in scores))
    return mean, 1000 * seconds / len(scores)


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis_dir", type=Path, help="folder with JPEGImages/480p and Annotations/480p")
    parser.add_argument("--sequences", help="names, separated by commas (default: all)")
    parser.add_argument("--propagator", default="builtin")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    root = arguments.davis_dir / "JPEGImages" / "480p"
    names = arguments.sequences.split(",") if arguments.sequences else sorted(path.name for path in root.iterdir())
    print(f"{'sequence':<22}{'J':>7}{'F':>7}{'J&F':>7}{'ms/frame':>10}")
    rows: list[tuple[MaskScore, float]] = []
    for name in names:
        images = sorted((root / name).glob("*.jpg"))
        truths = [arguments.davis_dir / "Annotations" / "480p" / name / f"{path.stem}.png" for path in images]
        mean, milliseconds = run_sequence(open_propagator(arguments.propagator, num_objects=1), images, truths)
        rows.append((mean, milliseconds))
        print_row(name, mean, milliseconds)
    total = MaskScore(fmean(mean.region for mean, _ in rows), fmean(mean.boundary for mean, _ in rows))
    print_row(f"mean of {len(rows)}", total, fmean(milliseconds for _, milliseconds in rows))


def print_row(name: str, mean: MaskScore, milliseconds: float) -> None:
    """Print one line of the table, in per cent."""
    print(f"{name:<22}{100 * mean.region:7.1f}{100 * mean.boundary:7.1f}{100 * mean.mean:7.1f}{milliseconds:10.0f}", flush=True)


if __name__ == "__main__":
    main()
