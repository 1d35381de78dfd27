"""How good edges are, measured: hard masks of subjects with a known alpha go in, every way to make
edges is scored.

    # the table of docs/matting.md: seeds 200 to 203 at 720 lines
    python bench/matte.py
    python bench/matte.py --seeds 0 --kind hair --size 960x540 --methods median,guided --by mask
    python bench/matte.py --speed                      # milliseconds for 1080p frames instead
    # real frames and masks (DAVIS): what edges do harm
    python bench/matte.py --davis DIR

Clips are those of bench.scenes.edges: hair, motion blur, defocus, glass and a hard-edged control,
over moving backgrounds; seeds below 200 were for development, those of the table took no part in
it. The true alpha is cut at 0.5 and made worse in several ways (see MASKS). A method gets the mask
and the frame as a YUV 4:2:0 picture, through the functions that renders
call: make_matte, estimate_foreground, over_picture. Scores are those of bench.matte_scores, over
whole frames. The composite is over another moving background; its truth takes the same way through
4:2:0. "×" is how many times smaller an error is than that of the first method.

With --davis the given mask is right but hard, so that no score of softness is possible; what is
measured is harm: alpha that is wrong more than 2 px from the true edge, summed up and divided by
1000, with the right mask and with one whose edge wanders.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from bench.matte_scores import MatteScore, MatteTally
from bench.scenes.edges import EDGE_KINDS, EdgeFrame, EdgeScene
from vfx_matte.composite.mix import over_picture
from vfx_matte.errors import VfxMatteError
from vfx_matte.masks import Image, Mask, Matte
from vfx_matte.matting import Stabilizer, estimate_foreground, make_matte, open_estimator
from vfx_matte.media.pixels import as_layout
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.settings.options import MatteSettings

RGB8, YUV8 = PixelLayout("rgb", 8), PixelLayout("yuv", 8, (1, 1))
BT709 = ColorTags("bt709", "tv", "bt709", "bt709")
HELD_OUT = (200, 201, 202, 203)
VITMATTE = Path("model/vitmatte")
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Shot:
    """One frame of a bench: what methods get, and the truth. behind: the new background."""

    picture: Picture
    image: Image
    mask: Mask
    alpha: Floats
    behind: Picture
    truth: Image


Method = Callable[[Shot], tuple[Matte, Picture]]
"""Gives the matte and the picture with the subject's own colours, for the frames of one clip in
order.
"""


def brush(radius: float) -> npt.NDArray[np.uint8]:
    """A round brush."""
    reach = max(1, round(radius))
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(x * x + y * y <= reach * reach + reach // 2, np.uint8)


def cut(alpha: Floats) -> Mask:
    """1 where alpha is at least 0.5: the best that any mask can be."""
    return np.asarray(alpha >= 0.5, np.uint8)


def eroded(alpha: Floats, _seed: tuple[int, ...]) -> Mask:
    """The cut mask, 3 px too small at 1080 lines."""
    return np.asarray(
        cv2.erode(cut(alpha), brush(min(alpha.shape) / 360), borderType=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def dilated(alpha: Floats, _seed: tuple[int, ...]) -> Mask:
    """The cut mask, 3 px too large at 1080 lines."""
    return np.asarray(cv2.dilate(cut(alpha), brush(min(alpha.shape) / 360)), np.uint8)


def jittered(alpha: Floats, seed: tuple[int, ...]) -> Mask:
    """The cut mask with an edge that wanders by 3 px at 1080 lines, differently on every frame."""
    height, width = alpha.shape
    pixel, rng = min(alpha.shape) / 1080, np.random.default_rng((11, *seed))
    cells = max(3, round(height / (50 * pixel))), max(3, round(width / (50 * pixel)))
    steps = (rng.normal(0, 3 * pixel, cells).astype(np.float32) for _ in range(2))
    push = [
        np.asarray(cv2.resize(step, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
        for step in steps
    ]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(
        cut(alpha), x + push[0], y + push[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)


def blocky(alpha: Floats, seed: tuple[int, ...]) -> Mask:
    """What a network leaves: alpha on cells of 9 px at 1080 lines, with noise, made larger again
    and cut.
    """
    height, width = alpha.shape
    cell, rng = 9 * min(alpha.shape) / 1080, np.random.default_rng((12, *seed))
    size = max(2, round(width / cell)), max(2, round(height / cell))
    small = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32)
    noisy = small + rng.normal(0, 0.06, small.shape).astype(np.float32)
    return cut(
        np.asarray(cv2.resize(noisy, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    )


MASKS: dict[str, Callable[[Floats, tuple[int, ...]], Mask]] = {
    "cut": lambda alpha, _seed: cut(alpha),
    "eroded": eroded,
    "dilated": dilated,
    "jittered": jittered,
    "blocky": blocky,
}


def subsampled(image: Image) -> Picture:
    """R'G'B' as the 4:2:0 picture that a clip would hold."""
    planes = tuple(np.ascontiguousarray(image[..., channel]) for channel in range(3))
    return as_layout(Picture(planes, RGB8, ColorTags("gbr", "pc")), YUV8, color=BT709)


def shown(picture: Picture) -> Image:
    """A picture as R'G'B'."""
    return np.dstack(as_layout(picture, RGB8).planes)


def shots_of(
    frames: Sequence[EdgeFrame], behind: Sequence[Floats], mask: str, seed: int
) -> Iterator[Shot]:
    """The frames with a mask of one kind, over a new background."""
    for index, (frame, below) in enumerate(zip(frames, behind, strict=True)):
        picture = subsampled(frame.image)
        truth = np.rint(frame.over(below).clip(0, 255)).astype(np.uint8)
        new = subsampled(np.rint(below.clip(0, 255)).astype(np.uint8))
        found = MASKS[mask](frame.alpha, (seed, index))
        yield Shot(picture, shown(picture), found, frame.alpha, new, shown(subsampled(truth)))


def edge_method(name: str) -> Method:
    """A method by its name: an edge method, with "+stable" for a stabilised one, "+raw" for the
    picture's own colours, "+median5" for another window of the median. "truth" is the true alpha:
    what estimated colours alone cost.
    """
    if name == "truth":
        return _true
    parts = name.split("+")
    windows = [int(part.removeprefix("median")) for part in parts[1:] if part.startswith("median")]
    options = MatteSettings(edges=parts[0], median=windows[0] if windows else None)
    estimator = None
    if options.method.from_picture:
        estimator = (
            open_estimator(parts[0], weights=VITMATTE)
            if parts[0] == "vitmatte"
            else open_estimator(parts[0])
        )
    steady = Stabilizer(0.5 if "stable" in parts else 0.0)

    def made(shot: Shot) -> tuple[Matte, Picture]:
        matte = make_matte(shot.mask, image=shot.image, settings=options, estimator=estimator)
        matte = steady(matte, shot.image)
        return matte, shot.picture if "raw" in parts else estimate_foreground(shot.picture, matte)

    return made


def _true(shot: Shot) -> tuple[Matte, Picture]:
    matte = Matte(np.rint(shot.alpha * 65535).astype(np.uint16))
    return matte, estimate_foreground(shot.picture, matte)


def scored(method: Method, shots: Iterator[Shot]) -> MatteScore:
    """The mean errors of a method over the frames of one clip."""
    tally = MatteTally()
    for shot in shots:
        matte, colors = method(shot)
        composite = shown(over_picture(colors, matte, shot.behind))
        alpha = matte.alpha.astype(np.float32) / np.float32(matte.full)
        tally.add(
            alpha,
            shot.alpha,
            composite=(composite.astype(np.float32), shot.truth.astype(np.float32)),
        )
    return tally.score()


HEADER = (
    "| {:<12} | {:<18} |   SAD |    × |  MSE ‰ |   Grad |  Conn | dtSSD | colour |    × | colour² |"
    "     × |"
)
ROW = (
    "| {:<12} | {:<18} | {:5.2f} | {:4.1f} | {:6.2f} | {:6.2f} | {:5.2f} | {:5.2f} | {:6.3f} |"
    " {:4.1f} | {:7.2f} | {:5.1f} |"
)


def printed(group: str, name: str, score: MatteScore, first: MatteScore) -> str:
    """One line of the table."""

    def times(own: float, other: float) -> float:
        return other / own if own else float("inf")

    alpha = (
        score.sad,
        times(score.sad, first.sad),
        score.mse * 1000,
        score.gradient,
        score.connectivity,
        score.flicker,
    )
    colors = (
        score.color,
        times(score.color, first.color),
        score.color_mse,
        times(score.color_mse, first.color_mse),
    )
    return ROW.format(group, name, *alpha, *colors)


def bench_quality(options: argparse.Namespace) -> Iterator[str]:
    """Lines of the table: per kind of scene or mask, then the mean over all clips."""
    found: dict[tuple[str, str], list[MatteScore]] = {}
    groups: list[str] = []
    for kind in options.kind or EDGE_KINDS:
        for seed in options.seeds:
            scene, other = (
                EdgeScene(kind, options.size[0], options.size[1], seed=at)
                for at in (seed, seed + 500)
            )
            frames = [scene.frame(index) for index in range(options.frames)]
            behind = [other.backdrop(index) for index in range(options.frames)]
            for mask in options.masks:
                group = {"kind": kind, "mask": mask, "seed": str(seed)}[options.by]
                groups += [group] if group not in groups else []
                shots = list(shots_of(frames, behind, mask, seed))
                for name in options.methods:
                    found.setdefault((group, name), []).append(
                        scored(edge_method(name), iter(shots))
                    )
        if options.by == "kind":
            yield from _group_lines(kind, options.methods, found)
    if options.by != "kind":
        for group in groups:
            yield from _group_lines(group, options.methods, found)
    means = {
        name: MatteScore.mean_of([MatteScore.mean_of(found[group, name]) for group in groups])
        for name in options.methods
    }
    for name in options.methods:
        yield printed("mean", name, means[name], means[options.methods[0]])


def _group_lines(
    group: str, methods: Sequence[str], found: dict[tuple[str, str], list[MatteScore]]
) -> Iterator[str]:
    means = {name: MatteScore.mean_of(found[group, name]) for name in methods}
    for name in methods:
        yield printed(group, name, means[name], means[methods[0]])


def bench_speed(options: argparse.Namespace) -> Iterator[str]:
    """Lines about time at 1080p: matte and foreground of one frame, the fastest of some rounds,
    wall and CPU.
    """
    yield (
        f"1920x1080, fastest of {options.rounds} rounds on {cv2.getNumThreads()} threads, ms: matte"
        " + colours, wall (CPU)"
    )
    for kind in options.kind or EDGE_KINDS:
        scene = EdgeScene(kind, 1920, 1080, options.seeds[0])
        shot = next(shots_of([scene.frame(0)], [scene.backdrop(40)], "cut", 0))
        for name in options.methods:
            method = edge_method(name)
            times = [_timed(partial(method, shot)) for _ in range(options.rounds)]
            wall, cpu = (min(column) for column in zip(*times, strict=True))
            yield (
                f"| {kind:<12} | {name:<18} | {wall:6.0f} | {cpu:6.0f} | {wall / 2.0736:6.0f} ms"
                " per megapixel |"
            )


def bench_davis(options: argparse.Namespace) -> Iterator[str]:
    """Lines about harm on real footage: two frames of every sequence of a folder laid out
    as DAVIS.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for folder in sorted((options.davis / "JPEGImages" / "480p").iterdir()):
        names = sorted(path.stem for path in folder.glob("*.jpg"))
        for index in (len(names) // 4, 3 * len(names) // 4):
            image = np.asarray(Pillow.open(folder / f"{names[index]}.jpg").convert("RGB"))
            truth = np.asarray(
                Pillow.open(
                    options.davis / "Annotations" / "480p" / folder.name / f"{names[index]}.png"
                )
            )
            inside = np.asarray((truth if truth.ndim == 2 else truth.max(axis=2)) > 0, np.float32)
            picture = subsampled(image)
            to_edge = np.minimum(*(_distance(side) for side in (inside > 0, inside == 0)))
            for mask in ("cut", "jittered"):
                made = MASKS[mask](inside, (1, index))
                shot = Shot(picture, shown(picture), made, inside, picture, image)
                for name in options.methods:
                    matte, _ = edge_method(name)(shot)
                    wrong = np.abs(matte.alpha.astype(np.float32) / np.float32(matte.full) - inside)
                    found.setdefault((mask, name), []).append(
                        float(wrong[to_edge > 2].sum()) / 1000
                    )
    for (mask, name), errors in found.items():
        yield f"| {mask:<12} | {name:<18} | {sum(errors) / len(errors):6.3f} |"


def _distance(inside: npt.NDArray[np.bool_]) -> Floats:
    """Distance to the edge, half a pixel before the nearest pixel that is not inside; far away
    outside.
    """
    distance = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(np.where(inside, distance - 0.5, 1e6), np.float32)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    began, used = time.perf_counter(), time.process_time()
    work()
    return 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - used)


def known_methods(names: Sequence[str]) -> list[str]:
    """The names whose packages and weights are there; says which are not."""
    known = []
    for name in names:
        try:
            edge_method(name)
            known.append(name)
        except VfxMatteError as error:
            print(f"{name} is left out: {error.message}")
    return known


def main() -> None:
    """Parse the command line, print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--size", default="1280x720", type=lambda text: tuple(map(int, text.split("x")))
    )
    parser.add_argument(
        "--seeds", default=HELD_OUT, type=lambda text: tuple(map(int, text.split(",")))
    )
    parser.add_argument("--frames", default=2, type=int)
    parser.add_argument("--kind", action="append", choices=EDGE_KINDS)
    parser.add_argument("--masks", default=tuple(MASKS), type=lambda text: tuple(text.split(",")))
    parser.add_argument(
        "--methods", default="median,hard,feather,guided,guided+stable,closed-form,vitmatte,truth"
    )
    parser.add_argument("--by", default="kind", choices=("kind", "mask", "seed"))
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--davis", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(min(2, len(os.sched_getaffinity(0))))
    options.methods = known_methods(options.methods.split(","))
    if options.davis:
        lines = bench_davis(options)
    elif options.speed:
        lines = bench_speed(options)
    else:
        print(HEADER.format("scene", "edges"))
        lines = bench_quality(options)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
