"""Measure a propagator on a folder laid out like DAVIS.

JPEGImages/480p and Annotations/480p are read; the paper's table is printed.

    # DAVIS 2016: the first frame's mask is given
    OMP_NUM_THREADS=1 python bench/davis.py DAVIS_DIR
    # masks of five evenly spaced frames are given
    OMP_NUM_THREADS=1 python bench/davis.py DAVIS_DIR --references 5
    # the built-in one, helped by U²-Netp
    OMP_NUM_THREADS=1 python bench/davis.py DAVIS_DIR --network model/u2netp.onnx
    # DAVIS 2017
    python bench/davis.py DAVIS_DIR --objects multi --propagator xmem --weights model/XMem.pth

The protocol is that of DAVIS: J and F of every frame but the first, the last and the references;
mean, recall (share of frames above 0.5) and decay (first quarter minus last) per object; then the
mean over objects. `--references N` gives the masks of the frames floor(i·n/N), i = 0 … N-1, of a
sequence of n frames: evenly spaced, the first among them, the last not (it counts for nothing
anyway).
The spread is the sample standard deviation over sequences. With `--objects single` any value but 0
is the object; with `multi` values are object ids and 255 is left out; each takes the sequences of
its year's ImageSets list where there is one.

ms/frame is the wall time of the propagator and the driver for a sequence over its number of frames,
both walks included, without reading pictures and scoring. Every process computes with one thread;
set OMP_NUM_THREADS=1 for PyTorch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, stdev

import cv2
import numpy as np
from scipy.stats import spearmanr

from vfx_matte.blas_threads import one_blas_thread
from vfx_matte.errors import MaskError, UsageError, VfxMatteError
from vfx_matte.masks import Image, Mask, Palette
from vfx_matte.measure.accuracy import (
    MaskPair,
    SequenceScore,
    Summary,
    score_sequence,
    unscored_frames,
)
from vfx_matte.pipeline.confidence import LOW_CONFIDENCE, path_confidence
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.review.evaluate import save_frame_csv, sequence_record
from vfx_matte.propagate.confidence import witnessed_overlap
from vfx_matte.propagate.driver import Segmented, propagate
from vfx_matte.settings.options import MEMORIES
from vfx_matte.workspace import load_mask, save_mask

RESOLUTION = "480p"
VOID = 255
YEARS = {"single": "2016", "multi": "2017"}


@dataclass(frozen=True, slots=True)
class Sequence480:
    """One sequence.

    images, truths: files of its frames, in order; truths have the images' names.
    """

    name: str
    images: tuple[Path, ...]
    truths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured on every sequence.

    multi: values are object ids. save: where masks go, or None.
    """

    options: PropagatorOptions
    references: int
    multi: bool
    save: Path | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One sequence's scores and the wall time of a frame."""

    score: SequenceScore
    milliseconds: float
    sureness: tuple[tuple[float, float], ...]
    """Confidence, per cent, as `segment` ranks frames by it, and the true overlap (J), of every
    frame and object that counts.
    """


class Images:
    """The pictures of a sequence, read when they are asked for, for the driver.

    seconds: the time that reading took.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self.seconds = 0.0

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """Frames start, start + 1, …"""
        return ((index, self.image(index)) for index in range(start, stop))

    def backward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """The same frames, from stop - 1 down."""
        return ((index, self.image(index)) for index in range(stop - 1, start - 1, -1))

    def image(self, index: int) -> Image:
        """One frame: uint8 (H, W, 3) RGB."""
        started = time.perf_counter()
        picture = cv2.imread(str(self._files[index]), cv2.IMREAD_COLOR_RGB)
        if picture is None:
            raise MaskError(f"cannot read picture {self._files[index]}", hint="check the data set")
        self.seconds += time.perf_counter() - started
        return np.asarray(picture, np.uint8)


class Stopwatch:
    """Adds up the wall time that making frames takes, without the time `images` spends on
    reading.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self.seconds = 0.0

    def timed(self, frames: Iterable[Segmented]) -> Iterator[Segmented]:
        """The same frames."""
        iterator = iter(frames)
        while True:
            started = time.perf_counter() - self._images.seconds
            frame = next(iterator, None)
            self.seconds += time.perf_counter() - self._images.seconds - started
            if frame is None:
                return
            yield frame


def spaced(length: int, count: int) -> tuple[int, ...]:
    """`count` evenly spaced frames of `length`, which includes frame 0; what follows the last one
    is as long as the gaps.
    """
    if not 1 <= count <= length:
        raise UsageError(
            f"{count} references do not fit into {length} frames",
            hint="give a smaller --references",
        )
    return tuple(index * length // count for index in range(count))


def read_truth(path: Path, *, multi: bool) -> Mask:
    """Read an annotation: uint8 (H, W) of object ids (with VOID), or 1 where it is not zero."""
    values = load_mask(path)
    return values if multi else (values > 0).astype(np.uint8)


def measure(sequence: Sequence480, plan: Plan) -> Measured:
    """Run the propagator over one sequence and score it."""
    cv2.setNumThreads(1)
    length = len(sequence.images)
    at = spaced(length, plan.references)
    references = {index: read_truth(sequence.truths[index], multi=plan.multi) for index in at}
    for mask in references.values():
        mask[mask == VOID] = 0
    images = Images(sequence.images)
    watch = Stopwatch(images)
    most = max((int(mask.max()) for mask in references.values()), default=0)
    carrier = plan.options.open(num_objects=max(most, 1), notify=partial(print, file=sys.stderr))
    made = propagate(
        carrier, images, references, start=0, stop=length, remember=plan.options.remembers
    )
    with one_blas_thread(), closing(made):
        expected: dict[int, tuple[float, ...]] = {}
        pairs = (_pair(frame, sequence, plan, expected) for frame in watch.timed(made))
        unscored = unscored_frames(range(length), references=at, protocol="davis")
        score = score_sequence(pairs, name=sequence.name, unscored=unscored)
    return Measured(score, 1000 * watch.seconds / length, _sureness(score, expected, at))


def _sureness(
    score: SequenceScore, expected: Mapping[int, tuple[float, ...]], at: Sequence[int]
) -> tuple[tuple[float, float], ...]:
    """See `Measured`. expected: of every frame, how sure each object is, 0 … 1."""
    ways = [
        path_confidence([round(100 * expected[index][k]) for index in sorted(expected)], at)
        for k in range(len(expected[0]))
    ]
    return tuple(
        (ways[frame.object_id - 1][frame.frame_index], frame.score.region)
        for frame in score.frames
        if frame.score is not None
    )


def print_sureness(pairs: Sequence[tuple[float, float]]) -> None:
    """Print how well confidence tells bad frames. pairs: see `Measured`."""
    if not pairs:
        print("confidence: no frame is scored")
        return
    sure, true = (np.array(values) for values in zip(*pairs, strict=True))
    low = sure < LOW_CONFIDENCE
    # values that are all equal have no ranks
    correlation = (
        f"rank correlation with J {float(spearmanr(sure, true).statistic):.2f}"
        if np.ptp(sure) > 0 and np.ptp(true) > 0
        else f"no rank correlation, as {'J' if np.ptp(sure) > 0 else 'it'} is the same everywhere"
    )
    print(
        f"confidence: {correlation}; below {LOW_CONFIDENCE} % are {low.sum()} of {low.size} frames"
        f" ({low.mean():.0%})"
    )
    for bad in (0.6, 0.7):
        print(f"  of {(true < bad).sum()} frames with J < {bad}: {(low & (true < bad)).sum()}")
    if low.any():
        print(f"  of those below, J < 0.7 in {float((true[low] < 0.7).mean()):.0%}")


def _pair(
    frame: Segmented, sequence: Sequence480, plan: Plan, expected: dict[int, tuple[float, ...]]
) -> MaskPair:
    """A finished frame beside its truth; saved on the way. expected: takes how sure it is."""
    expected[frame.frame_index] = witnessed_overlap(
        frame.probabilities, frame.mask, frame.agreement
    )
    path = sequence.truths[frame.frame_index]
    truth = read_truth(path, multi=plan.multi)
    if plan.save is not None:
        save_mask(plan.save / sequence.name / path.name, frame.mask, Palette.davis())
    void = truth == VOID
    return MaskPair(frame.frame_index, frame.mask, np.where(void, np.uint8(0), truth), void)


def find_sequences(
    davis: Path, names: Sequence[str], *, year: str, subset: str
) -> list[Sequence480]:
    """The named sequences, or those of the year's list, or all.

    Raises UsageError for what is not there.
    """
    root = davis / "JPEGImages" / RESOLUTION
    if not root.is_dir():
        raise UsageError(
            f"there is no folder {root}", hint=f"give the folder that holds JPEGImages/{RESOLUTION}"
        )
    listed = davis / "ImageSets" / year / f"{subset}.txt"
    chosen = list(names) or (
        listed.read_text().split()
        if listed.is_file()
        else sorted(path.name for path in root.iterdir())
    )
    found = []
    for name in chosen:
        images = tuple(sorted((root / name).glob("*.jpg")))
        truths = tuple(
            davis / "Annotations" / RESOLUTION / name / f"{path.stem}.png" for path in images
        )
        missing = next(
            (path for path in truths if not path.is_file()), None if images else root / name
        )
        if missing is not None:
            raise UsageError(
                f"sequence {name} lacks {missing}", hint="name others with --sequences"
            )
        found.append(Sequence480(name, images, truths))
    return found


def run(sequences: Sequence[Sequence480], plan: Plan, workers: int) -> Iterator[Measured]:
    """Measure sequences in order; with several workers, side by side in processes."""
    if workers == 1:
        yield from (measure(sequence, plan) for sequence in sequences)
        return
    os.environ["OMP_NUM_THREADS"] = (
        "1"  # for the processes, which read it when NumPy and PyTorch load
    )
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(partial(measure, plan=plan), sequences)


def print_row(name: str, numbers: Iterable[float], milliseconds: float | None) -> None:
    """Print one line of the table, in per cent."""
    cells = "".join(f"{round(100 * number, 1) + 0.0:7.1f}" for number in numbers)
    print(
        f"{name:<22}{cells}" + ("" if milliseconds is None else f"{milliseconds:10.1f}"), flush=True
    )


def numbers_of(summary: Summary) -> tuple[float, ...]:
    """The columns of the table: mean, recall and decay of J and of F, then J&F."""
    region, edges = summary.region, summary.boundary
    return (
        region.mean,
        region.recall,
        region.decay,
        edges.mean,
        edges.recall,
        edges.decay,
        summary.mean,
    )


def print_table(results: Iterable[Measured]) -> list[Measured]:
    """Print a row for each sequence as it comes, then mean and spread; gives the results back."""
    print(f"{'':<22}{'J':>7}{'':14}{'F':>7}")
    print(
        f"{'sequence':<22}"
        + "".join(f"{name:>7}" for name in ("mean", "recall", "decay") * 2)
        + f"{'J&F':>7}{'ms/frame':>10}"
    )
    done = []
    for result in results:
        print_row(result.score.name, numbers_of(result.score.summary), result.milliseconds)
        done.append(result)
    objects = [one.summary for result in done for one in result.score.objects]
    print_row(
        f"mean of {len(objects)}",
        numbers_of(Summary.mean_of(objects)),
        fmean(one.milliseconds for one in done),
    )
    if len(done) > 1:
        columns = zip(*(numbers_of(one.score.summary) for one in done), strict=True)
        print_row(
            "spread", (stdev(column) for column in columns), stdev(one.milliseconds for one in done)
        )
    return done


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "davis_dir",
        type=Path,
        help=f"folder with JPEGImages/{RESOLUTION} and Annotations/{RESOLUTION}",
    )
    parser.add_argument("--sequences", default="", help="names, separated by commas")
    parser.add_argument("--set", default="val", dest="subset", help="which list of ImageSets (val)")
    parser.add_argument(
        "--objects",
        choices=sorted(YEARS),
        default="single",
        help="one object, or several as in DAVIS 2017",
    )
    parser.add_argument(
        "--references",
        type=int,
        default=1,
        metavar="N",
        help="how many masks are given (1: the first frame's)",
    )
    parser.add_argument("--propagator", default="builtin", help="builtin or xmem")
    parser.add_argument(
        "--network", type=Path, metavar="FILE", help="U²-Netp, to help builtin; without, none does"
    )
    parser.add_argument(
        "--weights", type=Path, default=Path("model/XMem.pth"), help="weights of xmem"
    )
    parser.add_argument(
        "--size", type=int, default=480, help="short side that xmem works at; -1: the pictures' own"
    )
    parser.add_argument("--device", default="auto", help="where xmem runs: auto, cpu or cuda")
    parser.add_argument(
        "--memory",
        choices=MEMORIES,
        default="permanent",
        help="permanent: XMem++; xmem: the original XMem",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="sequences at a time, each in a process of one thread",
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write J and F of every frame; -1 where it does not count",
    )
    parser.add_argument(
        "--confidence", action="store_true", help="print how well confidence tells bad frames"
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="DIR",
        help="write the masks as palette PNG, a folder for each sequence",
    )
    found = parser.parse_args(arguments)
    if found.workers < 1:
        parser.error(f"--workers is {found.workers}, expected at least 1")
    return found


def main() -> int:
    """Parse the command line, run, print; returns the exit code."""
    chosen = parse(None)
    try:
        options = PropagatorOptions(
            name=chosen.propagator,
            memory=chosen.memory,
            values={
                "weights": chosen.weights,
                "size": chosen.size,
                "device": chosen.device,
                "network": chosen.network,
            },
        )
        names = [name for name in chosen.sequences.split(",") if name]
        sequences = find_sequences(
            chosen.davis_dir, names, year=YEARS[chosen.objects], subset=chosen.subset
        )
        plan = Plan(options, chosen.references, chosen.objects == "multi", chosen.save)
        results = print_table(run(sequences, plan, chosen.workers))
        if chosen.workers > 1:
            print(
                f"note: {chosen.workers} sequences ran side by side, so ms/frame is longer than"
                " alone"
            )
        if chosen.confidence:
            print_sureness([pair for result in results for pair in result.sureness])
        if chosen.csv is not None:
            save_frame_csv(chosen.csv, (sequence_record(result.score) for result in results))
    except VfxMatteError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
