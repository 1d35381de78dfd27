r"""How good first masks are on DAVIS 2016: from a box, from clicks by the standard robot, from
strokes, from nothing.

    python bench/first_mask.py DAVIS [--network FILE | --weight-free] \
        [--frames first middle] [--clicks 20]
    python bench/first_mask.py DAVIS --cold     seconds only, every frame in a process of its own

DAVIS holds JPEGImages/480p and Annotations/480p. The box is the true mask's, 4 % larger; the robot
clicks at the centre (the point farthest from the edge) of the largest error, as in RITM (Sofiiuk et
al. 2021); NoC@85 counts its clicks until an IoU of 0.85 is reached, 20 where it never is. A stroke
runs along the middle of the largest error. Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import Pool, get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.first_mask import Answer, Click, FirstMask, Marks, Stroke, open_first_mask

PLACES = {"first": 0.0, "quarter": 0.25, "middle": 0.5, "three-quarter": 0.75}
SHOWN_CLICKS = (1, 2, 3, 5, 10, 20)
MOST_CLICKS = 20

Region = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Result:
    """Of one frame. IoUs 0 … 1; seconds per answer."""

    name: str
    box: float
    clicks: list[float]
    strokes: list[float]
    auto: float
    mended: list[float]  # the box's mask after each click on it
    confidence: float  # of the first click
    box_seconds: float
    click_seconds: list[float]
    auto_seconds: float


def frames(root: Path, places: list[str]) -> Iterator[tuple[str, npt.NDArray[np.uint8], Region]]:
    """(name, picture R'G'B', true mask) of the asked frames of every sequence."""
    for folder in sorted((root / "Annotations/480p").iterdir()):
        pictures = sorted((root / "JPEGImages/480p" / folder.name).glob("*.jpg"))
        for place in places:
            picture = pictures[int(len(pictures) * PLACES[place])]
            image = np.asarray(Image.open(picture).convert("RGB"), np.uint8)
            truth = np.asarray(Image.open(folder / f"{picture.stem}.png").convert("L")) > 0
            yield f"{folder.name} {int(picture.stem)}", image, truth


def iou(found: Region, truth: Region) -> float:
    """Intersection over union."""
    union = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / union if union else 1.0


def box_of(truth: Region, grow: float = 0.04) -> tuple[int, int, int, int]:
    """The bounding box, larger by a share of its sides."""
    rows, columns = np.flatnonzero(truth.any(1)), np.flatnonzero(truth.any(0))
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    across, down = grow * (right - left) / 2, grow * (bottom - top) / 2
    height, width = truth.shape
    left, right = max(0, round(left - across)), min(width, round(right + across))
    top, bottom = max(0, round(top - down)), min(height, round(bottom + down))
    return left, top, right - left, bottom - top


def centre(error: Region) -> tuple[int, int, float]:
    """(x, y, distance) of the point of an error that is farthest from its edge."""
    depth = cv2.distanceTransform(np.pad(error.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(x), int(y), float(depth.max())


def worst(found: Region, truth: Region) -> tuple[Region, bool]:
    """The kind of error that reaches deepest, and whether the object is missing there."""
    missing, extra = truth & ~found, found & ~truth
    is_missing = centre(missing)[2] >= centre(extra)[2]
    return (missing if is_missing else extra), is_missing


def next_click(found: Region, truth: Region) -> Click:
    """Where the robot clicks."""
    error, is_missing = worst(found, truth)
    x, y, _ = centre(error)
    return Click(x, y, is_missing)


def next_stroke(found: Region, truth: Region) -> Stroke:
    """A straight stroke through the robot's click, along the longer axis of the error round it,
    well inside.
    """
    error, is_missing = worst(found, truth)
    x, y, depth = centre(error)
    _, labels = cv2.connectedComponents(error.astype(np.uint8))
    rows, columns = np.nonzero(labels == labels[y, x])
    values, vectors = np.linalg.eigh(
        np.cov(np.stack([columns, rows])) if len(rows) > 2 else np.eye(2)
    )
    along = vectors[:, int(np.argmax(values))]
    ends = []
    for sign in (-1, 1):
        end = (x, y)
        for step in range(1, 2000):
            at = (round(x + sign * step * along[0]), round(y + sign * step * along[1]))
            inside = 0 <= at[0] < error.shape[1] and 0 <= at[1] < error.shape[0]
            if not inside or not error[at[1], at[0]]:
                break
            end = at
        # a hand stops before the edge
        ends.append((round(x + 0.8 * (end[0] - x)), round(y + 0.8 * (end[1] - y))))
    return Stroke((ends[0], ends[1]) if depth > 0 else ((x, y),), is_missing)


def timed(work: Callable[[], Answer]) -> tuple[Answer, float]:
    """An answer and how long it took."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def walk(
    maker: FirstMask, truth: Region, count: int, *, strokes: bool
) -> tuple[list[float], list[float], float]:
    """IoU after each mark, seconds for each, and the confidence of the first answer."""
    marks, found = Marks(), np.zeros_like(truth)
    scores: list[float] = []
    seconds: list[float] = []
    first = 0.0
    for _ in range(count):
        if strokes:
            marks = Marks(strokes=(*marks.strokes, next_stroke(found, truth)))
        else:
            marks = Marks(clicks=(*marks.clicks, next_click(found, truth)))
        start = time.perf_counter()
        answer = maker.answer(marks)
        seconds.append(time.perf_counter() - start)
        found = answer.mask > 0
        first = first if scores else answer.confidence
        scores.append(iou(found, truth))
    return scores, seconds, first


def mend(
    image: npt.NDArray[np.uint8],
    truth: Region,
    given: Region,
    count: int,
    network: SalientNetwork | None,
) -> list[float]:
    """IoU after each click on a mask that is given, as `mask --from` takes one: every click is a
    command of its own.
    """
    scores, found = [], given
    for _ in range(count):
        marks = Marks(clicks=(next_click(found, truth),))
        maker = open_first_mask(image, network=network)
        found = maker.answer(marks, found.astype(np.float32)).mask > 0
        scores.append(iou(found, truth))
    return scores


def measure(job: tuple[str, npt.NDArray[np.uint8], Region, Path | None, int]) -> Result:
    """Everything about one frame, each question with a maker of its own."""
    cv2.setNumThreads(1)
    name, image, truth, path, count = job
    network = SalientNetwork(path) if path else None
    if network:
        network.probability(image)  # the first pass also builds the network
    box, box_seconds = timed(
        lambda: open_first_mask(image, network=network).answer(Marks(box=box_of(truth)))
    )
    clicks, click_seconds, confidence = walk(
        open_first_mask(image, network=network), truth, count, strokes=False
    )
    strokes, _, _ = walk(
        open_first_mask(image, network=network), truth, min(3, count), strokes=True
    )
    start = time.perf_counter()
    subjects = open_first_mask(image, network=network).subjects()
    auto_seconds = time.perf_counter() - start
    union = np.zeros_like(truth)
    for subject in subjects:
        union |= subject.mask > 0
    return Result(
        name,
        iou(box.mask > 0, truth),
        clicks,
        strokes,
        iou(union, truth),
        mend(image, truth, box.mask > 0, min(3, count), network),
        confidence,
        box_seconds,
        click_seconds,
        auto_seconds,
    )


def needed(scores: list[float], wanted: float) -> int:
    """Clicks until an IoU is reached; MOST_CLICKS where it never is."""
    return next((at + 1 for at, score in enumerate(scores) if score >= wanted), MOST_CLICKS)


def table(results: list[Result]) -> str:
    """Markdown: one line for each frame, then means."""
    count = len(results[0].clicks)
    shown = [at for at in SHOWN_CLICKS if at <= count]
    head = ["frame", "box", *(f"{at} click{'s' * (at > 1)}" for at in shown), "NoC@85", "NoC@90"]
    head += [f"{at + 1} stroke{'s' * (at > 0)}" for at in range(len(results[0].strokes))]
    head += [f"box + {at + 1} click{'s' * (at > 0)}" for at in range(len(results[0].mended))]
    head += ["auto", "confidence"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    rows = []
    for one in results:
        numbers = [one.box, *(one.clicks[at - 1] for at in shown)]
        noc = [needed(one.clicks, 0.85), needed(one.clicks, 0.9)]
        rows.append([*numbers, *noc, *one.strokes, *one.mended, one.auto, one.confidence])
        lines.append(f"| {one.name} | {' | '.join(_text(value) for value in rows[-1])} |")
    means = np.mean(rows, axis=0)
    lines.append(f"| **mean** | {' | '.join(f'{value:.3f}' for value in means)} |")
    spread = np.std(rows, axis=0)
    lines.append(f"| standard deviation | {' | '.join(f'{value:.3f}' for value in spread)} |")
    later = [value for one in results for value in one.click_seconds[1:]] or [0.0]
    times = {
        "box": [one.box_seconds for one in results],
        "first click": [one.click_seconds[0] for one in results],
        "further click": later,
        "auto": [one.auto_seconds for one in results],
    }
    return "\n".join([*lines, "", seconds_table(times)])


def seconds_table(times: dict[str, list[float]]) -> str:
    """Markdown: the middle and the longest of some seconds, one line for each kind."""
    lines = ["| seconds | median | longest |", "|---|---|---|"]
    lines += [
        f"| {what} | {np.median(values):.2f} | {max(values):.2f} |"
        for what, values in times.items()
    ]
    return "\n".join(lines)


def cold(job: tuple[npt.NDArray[np.uint8], Region, Path | None, str]) -> list[float]:
    """Seconds of the first answer of a process, the network's loading and the tables that libraries
    build included, and of five further clicks after it.
    """
    image, truth, path, kind = job
    start = time.perf_counter()
    maker = open_first_mask(image, network=SalientNetwork(path) if path else None)
    loading = time.perf_counter() - start
    if kind == "box":
        return [loading + timed(lambda: maker.answer(Marks(box=box_of(truth))))[1]]
    if kind == "auto":
        start = time.perf_counter()
        maker.subjects()
        return [loading + time.perf_counter() - start]
    _, seconds, _ = walk(maker, truth, 6, strokes=False)
    return [loading + seconds[0], *seconds[1:]]


def cold_table(jobs: list[tuple[npt.NDArray[np.uint8], Region, Path | None]]) -> str:
    """Markdown: seconds from a cold start, one process for each question."""
    times: dict[str, list[float]] = {"box": [], "first click": [], "further click": [], "auto": []}
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for kind, first in (("box", "box"), ("click", "first click"), ("auto", "auto")):
            for seconds in pool.imap(cold, [(*job, kind) for job in jobs], chunksize=1):
                times[first].append(seconds[0])
                times["further click"] += seconds[1:]
    return seconds_table(times)


def _text(value: float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("davis", type=Path, help="folder with JPEGImages and Annotations")
    parser.add_argument(
        "--network", type=Path, default=Path("model/u2netp.onnx"), help="(model/u2netp.onnx)"
    )
    parser.add_argument("--weight-free", action="store_true", help="without the network")
    parser.add_argument(
        "--frames", nargs="+", choices=PLACES, default=["first", "middle"], help="(first middle)"
    )
    parser.add_argument(
        "--clicks", type=int, default=MOST_CLICKS, help=f"of the robot ({MOST_CLICKS})"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="frames at the same time; seconds are true with 1 (1)"
    )
    parser.add_argument(
        "--cold", action="store_true", help="only seconds, every question in a process of its own"
    )
    given = parser.parse_args()
    network = None if given.weight_free else given.network
    if given.cold:
        print(
            cold_table(
                [(image, truth, network) for _, image, truth in frames(given.davis, given.frames)]
            )
        )
        return
    jobs = [(*one, network, given.clicks) for one in frames(given.davis, given.frames)]
    results = []
    with Pool(given.jobs) as pool:
        for one in pool.imap(measure, jobs):
            results.append(one)
            print(
                one.name,
                f"box {one.box:.2f}",
                "clicks",
                *(f"{score:.2f}" for score in one.clicks),
                file=sys.stderr,
                flush=True,
            )
    print(table(results))


if __name__ == "__main__":
    main()
