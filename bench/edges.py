r"""How clean edges are on real pictures, measured and shown: what an eye sees first and a sum of
errors hides.

    python bench/edges.py --clip FILE=MASKS [--clip FILE=MASKS:2 …] --davis DIR \
        --propagated DIR --methods median,guided
    python bench/edges.py --clip FILE=MASKS --methods median,guided --sheet docs/edges.jpg \
        --part 590,60,220,220 --at 30

MASKS is the folder of masks that `vfx-matte segment` leaves, with the number of an object behind a
colon where not all are meant. The folder of --davis is laid out as DAVIS, and --propagated holds
what `bench/davis.py --save` leaves for it. Masks are as a propagator leaves them (clips, and DAVIS
with --propagated), right, or made worse as in bench/matte.py. Measured are runs of --length
consecutive frames, evenly spaced, and a table is printed with a line for each clip and method:

pieces    loose pieces in a frame: parts where alpha is above 8/255 that are joined to no part of
the mask worth the name
          (SPECK of its largest part), and their area in px; holes: the same the other way round
outside,  alpha farther than AWAY_PX outside the mask, and what lacks farther than that inside; with
a truth (DAVIS), farther lacking   than 2 px from the true edge. In thousands of px per frame
flicker   mean absolute difference of alpha from the frame before, moved along the optical flow of
the pictures, in the band
          BAND_PX to each side of the mask's edge, in per cent. Every method is measured in the same
          band.

A sheet shows parts of one frame at their own size: methods in columns, white, black, green and
another picture in rows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from bench.matte import MASKS, Shot, edge_method, known_methods, shown, subsampled
from bench.scenes.edges import EdgeScene
from vfx_matte.composite.mix import over_picture
from vfx_matte.drawing.sheet import contact_sheet
from vfx_matte.masks import Image, Mask
from vfx_matte.matting.sizes import usual_window_px
from vfx_matte.media.open import open_clip
from vfx_matte.picture import Picture
from vfx_matte.workspace import load_mask, save_picture

Floats = npt.NDArray[np.float32]

VISIBLE = 8 / 255
"""Alpha, or what lacks of it, that is seen."""

SPECK = 0.01
"""A part of the mask below this share of its largest is no subject of its own."""

AWAY_PX, TRUE_AWAY_PX, BAND_PX = 12, 2, 32
"""At 1080 lines the first and last; the middle one in px of the picture."""

FLOW_LINES = 360
"""Short side at which motion is measured."""

KINDS = ("cut", "jittered", "blocky")
"""Masks of DAVIS beside the propagated ones: right, with an edge that wanders, and as a coarse
network leaves them.
"""

BACKGROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0), "green": (0, 177, 64)}


@dataclass(frozen=True)
class Still:
    """One frame: its picture in 4:2:0, the same as R'G'B', the mask that methods get, 0 and 1, and
    the true one where known.
    """

    picture: Picture
    image: Image
    mask: Mask
    truth: Mask | None
    number: int


FIELDS = ("pieces", "area", "holes", "outside", "lacking", "flicker")


@dataclass(frozen=True)
class Score:
    """What a frame is worth; see the head of this file."""

    pieces: float
    area: float
    holes: float
    outside: float
    lacking: float
    flicker: float

    @classmethod
    def mean_of(cls, many: Sequence[Score]) -> Score:
        """The mean of each number; of flicker over the frames that have one before them."""
        rows = np.array([[getattr(one, name) for name in FIELDS] for one in many])
        return cls(
            *(
                float(np.nanmean(column)) if np.isfinite(column).any() else float("nan")
                for column in rows.T
            )
        )


def loose(alpha: Floats, mask: Mask) -> tuple[int, int]:
    """How many pieces of alpha hold too little of the mask to be the subject or a part of it, and
    their area in px.

    A piece is held by SPECK of the mask's largest part, or by most of a part that is no speck:
    larger than what the usual median drops. alpha: float32 (H, W) in 0..1. mask: uint8 (H, W), 0
    and 1.
    """
    count, labels, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = np.where(np.arange(count) == 0, 0, facts[:, cv2.CC_STAT_AREA])
    pieces, parts, facts, _ = cv2.connectedComponentsWithStats(
        (alpha > VISIBLE).astype(np.uint8), connectivity=8
    )
    within = np.bincount(parts.reshape(-1), weights=mask.reshape(-1), minlength=pieces)
    held = within >= max(1, SPECK * areas.max())
    shared = np.bincount(
        (labels * np.int64(pieces) + parts).reshape(-1), minlength=count * pieces
    ).reshape(count, pieces)
    large = areas > usual_window_px((mask.shape[0], mask.shape[1])) ** 2 // 2
    held |= (shared[large] * 2 >= areas[large, None]).any(axis=0)
    held[0] = True
    return int(np.count_nonzero(~held)), int(facts[~held, cv2.CC_STAT_AREA].sum())


def signed_distance(mask: Mask) -> Floats:
    """Distance to the mask's edge in px, positive inside, half a pixel before the nearest pixel of
    the other side.
    """
    inside, outside = (
        np.asarray(cv2.distanceTransform(side, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
        for side in (mask, 1 - mask)
    )
    return np.asarray(np.where(mask > 0, inside - 0.5, 0.5 - outside), np.float32)


def scored(alpha: Floats, still: Still, moved: Floats | None) -> Score:
    """Score a matte, float32 (H, W) in 0..1.

    moved: that of the frame before, where it is now; None when there is none.
    """
    scale = min(alpha.shape) / 1080
    pieces, area = loose(alpha, still.mask)
    holes, _ = loose(1 - alpha, 1 - still.mask)
    reference, away = (
        (still.mask, AWAY_PX * scale) if still.truth is None else (still.truth, TRUE_AWAY_PX)
    )
    distance = signed_distance(reference)
    outside, lacking = (
        float(alpha[distance < -away].sum()),
        float((1 - alpha[distance > away]).sum()),
    )
    flicker = float("nan")
    if moved is not None:
        band = np.abs(signed_distance(still.mask)) < BAND_PX * scale
        flicker = 100 * float(np.abs(alpha - moved)[band].mean()) if band.any() else float("nan")
    return Score(pieces, area, holes, outside / 1000, lacking / 1000, flicker)


def motion(before: Image, now: Image) -> Floats:
    """Where each pixel of `now` was in `before`: float32 (H, W, 2), x and y in px, for
    cv2.remap.
    """
    height, width = now.shape[:2]
    factor = min(1.0, FLOW_LINES / min(height, width))
    size = round(width * factor), round(height * factor)
    grays = [
        cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        for image in (now, before)
    ]
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = estimator.calc(grays[0], grays[1], np.zeros((size[1], size[0], 2), np.float32))
    large = np.asarray(
        cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )
    large *= np.array([width / size[0], height / size[1]], np.float32)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    large[..., 0] += x
    large[..., 1] += y
    return large


def spaced_runs(first: int, last: int, *, runs: int, length: int) -> list[range]:
    """Runs of consecutive numbers, evenly spaced between two numbers (the last one counts); fewer
    where they would touch.
    """
    count = last - first + 1
    length = min(length, count)
    runs = max(1, min(runs, count // length))
    starts = [
        first + round((at + 0.5) * (count - length * runs) / runs) + at * length
        for at in range(runs)
    ]
    return [range(start, start + length) for start in starts]


def clip_runs(text: str, *, runs: int, length: int) -> Iterator[list[Still]]:
    """Runs of a clip that was segmented. text: FILE=MASKS or FILE=MASKS:OBJECT."""
    name, _, rest = text.rpartition("=")
    folder, _, number = rest.partition(":")
    files = {int(path.stem): path for path in Path(folder).glob("*.png")}
    if not files:
        raise SystemExit(f"no masks in {folder!r}")
    reader = open_clip(Path(name), notify=lambda _: None)
    for numbers in spaced_runs(min(files), max(files), runs=runs, length=length):
        stills = []
        for frame in reader.frames(numbers.start, numbers.stop):
            ids = load_mask(files[frame.index])
            mask = ((ids == int(number)) if number else ids > 0).astype(np.uint8)
            stills.append(Still(frame.picture, frame.image, mask, None, frame.index))
        yield stills


def davis_runs(
    davis: Path, name: str, kind: str, propagated: Path | None, *, runs: int, length: int
) -> Iterator[list[Still]]:
    """Runs of a sequence of DAVIS with masks of a kind."""
    files = sorted((davis / "JPEGImages" / "480p" / name).glob("*.jpg"))
    for numbers in spaced_runs(1, len(files) - 1, runs=runs, length=length):
        stills = []
        for number in numbers:
            picture = subsampled(np.asarray(Pillow.open(files[number]).convert("RGB")))
            annotation = f"{files[number].stem}.png"
            truth = (load_mask(davis / "Annotations" / "480p" / name / annotation) > 0).astype(
                np.uint8
            )
            if kind == "propagated":
                assert propagated is not None
                mask = (load_mask(propagated / name / annotation) > 0).astype(np.uint8)
            else:
                mask = MASKS[kind](truth.astype(np.float32), (1, number))
            stills.append(Still(picture, shown(picture), mask, truth, number))
        yield stills


def measured(runs: Iterator[list[Still]], methods: Sequence[str]) -> dict[str, Score]:
    """The mean score of each method over runs."""
    found: dict[str, list[Score]] = {name: [] for name in methods}
    for stills in runs:
        flows = [motion(before.image, now.image) for before, now in pairwise(stills)]
        for name in methods:
            matte_of = alpha_by(name)
            before: Floats | None = None
            for index, still in enumerate(stills):
                alpha = matte_of(still)
                moved = None
                if before is not None:
                    x, y = (np.ascontiguousarray(flows[index - 1][..., axis]) for axis in (0, 1))
                    moved = np.asarray(cv2.remap(before, x, y, cv2.INTER_LINEAR), np.float32)
                found[name].append(scored(alpha, still, moved))
                before = alpha
    return {name: Score.mean_of(many) for name, many in found.items()}


def alpha_by(name: str) -> Callable[[Still], Floats]:
    """A method of bench/matte.py by its name, as alpha in 0..1; a fresh one for every run."""
    method = edge_method(name + "+raw" if name != "truth" else name)

    def made(still: Still) -> Floats:
        matte, _ = method(shot_of(still))
        return matte.alpha.astype(np.float32) * np.float32(1 / matte.full)

    return made


def shot_of(still: Still) -> Shot:
    """A frame as bench/matte.py wants it; there is no true alpha and no new background."""
    alpha = (still.mask if still.truth is None else still.truth).astype(np.float32)
    return Shot(still.picture, still.image, still.mask, alpha, still.picture, still.image)


HEADER = (
    "| clip | masks | edges | loose pieces | their area | holes | outside | lacking | flicker % |"
    "\n|---|---|---|---|---|---|---|---|---|"
)


def line(clip: str, masks: str, method: str, score: Score) -> str:
    """One line of the table."""
    numbers = (
        f"{score.pieces:.2f} | {score.area:.0f} | {score.holes:.2f} | {score.outside:.3f} |"
        f" {score.lacking:.3f}"
    )
    return f"| {clip} | {masks} | {method} | {numbers} | {score.flicker:.2f} |"


def table(options: argparse.Namespace) -> Iterator[str]:
    """Lines of the table: of each clip, then of DAVIS by the kind of masks, as means over its
    sequences.
    """
    size = {"runs": options.runs, "length": options.length}
    for text in options.clip:
        name = Path(text.rpartition("=")[0]).stem + (
            f" {text.rpartition(':')[2]}" if ":" in text else ""
        )
        for method, score in measured(clip_runs(text, **size), options.methods).items():
            yield line(name, "propagated", method, score)
    if options.davis is None:
        return
    names = options.sequences or sorted(
        path.name for path in (options.davis / "JPEGImages" / "480p").iterdir()
    )
    for kind in (*KINDS, *(["propagated"] if options.propagated else [])):
        each = [
            measured(
                davis_runs(options.davis, name, kind, options.propagated, **size), options.methods
            )
            for name in names
        ]
        if options.each:
            for name, scores in zip(names, each, strict=True):
                yield from (line(name, kind, method, scores[method]) for method in options.methods)
        for method in options.methods:
            yield line(
                f"DAVIS, {len(names)}",
                kind,
                method,
                Score.mean_of([scores[method] for scores in each]),
            )
        for method in options.methods[1:]:
            worst = max(range(len(each)), key=lambda at: each[at][method].pieces)
            spread = fmean(each[at][method].pieces for at in range(len(each)))
            if each[worst][method].pieces > spread:
                yield (
                    f"| most pieces: {names[worst]} | {kind} | {method} |"
                    f" {each[worst][method].pieces:.2f} | | | | | |"
                )


def sheet(options: argparse.Namespace) -> Image:
    """Parts of one frame of the first clip at their own size."""
    (stills,) = clip_runs_at(options.clip[0], options.at, options.before)
    last = stills[-1]
    height, width = last.image.shape[:2]
    behind = {
        name: subsampled(np.full(last.image.shape, rgb, np.uint8))
        for name, rgb in BACKGROUNDS.items()
    }
    backdrop = EdgeScene("hard", width, height, seed=701).backdrop(0)
    behind["picture"] = subsampled(np.rint(backdrop.clip(0, 255)).astype(np.uint8))
    made = []
    for name in options.methods:
        method = edge_method(name)
        for still in stills:
            matte, colors = method(shot_of(still))
        fit = {key: Picture(one.planes, one.layout, colors.color) for key, one in behind.items()}
        made.append({key: shown(over_picture(colors, matte, one)) for key, one in fit.items()})
    rows = []
    for left, top, wide, high in options.part:
        at = slice(top, top + high), slice(left, left + wide)
        rows += [(key, [last.image[at], *(one[key][at] for one in made)]) for key in behind]
    title = f"{Path(options.clip[0].rpartition('=')[0]).stem}, frame {options.at}"
    return contact_sheet(
        rows,
        column_labels=["the clip", *options.methods],
        thumb_width_px=max(part[2] for part in options.part),
        title=title,
    )


def clip_runs_at(text: str, at: int, before: int) -> Iterator[list[Still]]:
    """The frame of a clip and some before it."""
    name, _, rest = text.rpartition("=")
    folder, _, number = rest.partition(":")
    reader, stills = open_clip(Path(name), notify=lambda _: None), []
    for frame in reader.frames(max(0, at - before), at + 1):
        ids = load_mask(Path(folder) / f"{frame.index:07d}.png")
        mask = ((ids == int(number)) if number else ids > 0).astype(np.uint8)
        stills.append(Still(frame.picture, frame.image, mask, None, frame.index))
    yield stills


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", action="append", default=[], metavar="FILE=MASKS[:OBJECT]")
    parser.add_argument("--davis", type=Path)
    parser.add_argument("--sequences", default=[], type=lambda text: text.split(","))
    parser.add_argument(
        "--propagated", type=Path, help="masks of DAVIS, a folder for each sequence"
    )
    parser.add_argument("--methods", default="median,guided")
    parser.add_argument("--runs", default=3, type=int)
    parser.add_argument("--length", default=6, type=int)
    parser.add_argument("--each", action="store_true", help="a line for each sequence of DAVIS too")
    parser.add_argument("--sheet", type=Path, help="draw a sheet instead of printing the table")
    parser.add_argument("--at", default=30, type=int, help="the frame of the sheet")
    parser.add_argument(
        "--before", default=4, type=int, help="frames before it that methods with a memory see"
    )
    parser.add_argument(
        "--part", action="append", default=[], type=lambda text: tuple(map(int, text.split(",")))
    )
    return parser.parse_args(arguments)


def main() -> None:
    """Parse the command line, print the table or draw the sheet."""
    options = parse()
    cv2.setNumThreads(1)
    options.methods = known_methods(options.methods.split(","))
    if options.sheet is not None:
        save_picture(options.sheet, sheet(options))
        print(options.sheet)
        return
    print(HEADER)
    for text in table(options):
        print(text, flush=True)


if __name__ == "__main__":
    main()
