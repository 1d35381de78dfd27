"""Measure `detect` on a folder laid out like DAVIS 2016: no mask, no click, nothing is given.

    OMP_NUM_THREADS=1 python bench/detect.py DAVIS_DIR --network model/u2netp.onnx --workers 2

Of each sequence: the overlap (IoU) of the main object, the one that overlaps the truth most, with
the truth on the first frame; J, F and J&F of all that was found against the truth, over every
frame but the first and the last, as DAVIS counts; J&F of the main object alone; how many objects
were found, and how many of them were invented (less than half of what they cover is the object of
the truth, over all frames); how many frames the detector looked at, and seconds, of one process
with one thread. The time is of the whole run: looking, carrying, propagating, writing results.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from bench.davis import Sequence480, find_sequences, read_truth
from vfx_matte.masks import Mask, overlap
from vfx_matte.measure.accuracy import MaskPair, score_sequence, unscored_frames
from vfx_matte.pipeline.clip import open_source
from vfx_matte.pipeline.detect.request import DetectRequest
from vfx_matte.pipeline.detect.run import detect_clip
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions, helping_weights
from vfx_matte.settings.options import DetectSettings
from vfx_matte.workspace import load_mask

FOUND_OVERLAP = 0.7
"""The main object is found where its overlap on the first frame is at least this."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One sequence."""

    first: float
    region: float
    boundary: float
    mean: float
    main: float
    objects: int
    invented: int
    looks: int
    seconds: float


def measure(sequence: Sequence480, *, settings: DetectSettings, model: Path) -> Measured:
    """Run `detect` on one sequence and score it."""
    cv2.setNumThreads(1)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        reporter = SilentReporter()
        clip = open_source(sequence.images[0].parent, reporter=reporter)
        request = DetectRequest(
            settings=settings,
            model=model,
            propagator=PropagatorOptions(values=helping_weights(), model=model),
            fetch=False,
        )
        found = detect_clip(clip, request, workspace=Path(folder), reporter=reporter)
        seconds = time.perf_counter() - began
        masks = (
            [load_mask(path) for path in sorted(found.masks.glob("*.png"))] if found.masks else []
        )
    truths = [read_truth(path, multi=False) for path in sequence.truths]
    masks = masks or [np.zeros_like(truth) for truth in truths]
    ids = [one.id for one in found.objects]
    covered = {
        number: np.array(
            [
                (np.count_nonzero((mask == number) & (truth > 0)), np.count_nonzero(mask == number))
                for mask, truth in zip(masks, truths, strict=True)
            ]
        ).sum(axis=0)
        for number in ids
    }
    main = max(ids, key=lambda number: covered[number][0], default=0)
    all_found, only_main = (
        _summary(masks, truths, sequence.name, chosen=chosen) for chosen in (None, main)
    )
    return Measured(
        first=overlap(masks[0] == main, truths[0] > 0) if main else 0.0,
        region=all_found[0],
        boundary=all_found[1],
        mean=all_found[2],
        main=only_main[2],
        objects=len(ids),
        invented=sum(inside < 0.5 * area for inside, area in covered.values()),
        looks=found.frames,
        seconds=seconds,
    )


def _summary(
    masks: Sequence[Mask], truths: Sequence[Mask], name: str, *, chosen: int | None
) -> tuple[float, float, float]:
    """J, F and J&F of all objects as one, or of one of them."""

    def pairs() -> Iterator[MaskPair]:
        for index, (mask, truth) in enumerate(zip(masks, truths, strict=True)):
            shown = mask > 0 if chosen is None else mask == chosen
            yield MaskPair(index, shown.astype(np.uint8), truth)

    unscored = unscored_frames(range(len(truths)), references=(0,), protocol="davis")
    summary = score_sequence(pairs(), name=name, unscored=unscored).summary
    return summary.region.mean, summary.boundary.mean, summary.mean


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("davis_dir", type=Path)
    parser.add_argument("--sequences", default="", help="names, separated by commas")
    parser.add_argument(
        "--network", type=Path, required=True, metavar="FILE", help="U²-Netp, in a folder of models"
    )
    parser.add_argument("--detector", default="salient")
    parser.add_argument("--every", type=int, default=0)
    parser.add_argument("--threshold", type=float, default=DetectSettings().threshold)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    names = [name for name in chosen.sequences.split(",") if name]
    sequences = find_sequences(chosen.davis_dir, names, year="2016", subset="val")
    settings = DetectSettings(
        detector=chosen.detector, every=chosen.every, threshold=chosen.threshold
    )
    job = partial(measure, settings=settings, model=chosen.network.parent)
    columns = ("first", "J", "F", "J&F", "main J&F", "objects", "invented", "looks", "seconds")
    print(f"{'sequence':<22}" + "".join(f"{name:>10}" for name in columns), flush=True)
    done: list[Measured] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(chosen.workers, mp_context=context) as pool:
        for sequence, result in zip(sequences, pool.map(job, sequences), strict=True):
            done.append(result)
            _print_row(sequence.name, astuple(result))
    _print_row("mean", [fmean(column) for column in zip(*map(astuple, done), strict=True)])
    hits = sum(one.first >= FOUND_OVERLAP for one in done)
    print(f"main object found on the first frame: {hits} of {len(done)}")


def _print_row(name: str, values: Sequence[float]) -> None:
    shares, counts = values[:5], values[5:]
    cells = "".join(f"{100 * value:10.1f}" for value in shares)
    print(f"{name:<22}{cells}" + "".join(f"{value:10.1f}" for value in counts), flush=True)


if __name__ == "__main__":
    main()
