"""Fit the constants of guided edges (vfx_matte/matting/perceptron.py) to pictures whose alpha is
known. A tool for developers.

    # as the constants here were made
    python bench/fit_guided.py --davis DIR --propagated DIR --seeds 20-32 --go-on

--go-on begins with the constants that are there. --propagated are masks of the same sequences as
bench/davis.py --save leaves them.

Pictures are clips of bench.scenes.edges, with seeds below 200 only, and real frames with hard masks
(DAVIS), other frames than those on which bench/matte.py measures harm. Masks are made worse as in
that bench. Of real frames only pixels more than 2 px from the true edge count, as the mask tells
nothing of softness nearer than that. The loss is the absolute error and 1.5 times its square (0.3
times for real frames, where haze is worse than a decision), summed over a frame; that of real
frames counts `--harm` times.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from PIL import Image as Pillow

from bench.matte import MASKS, shown, subsampled
from bench.scenes.edges import EDGE_KINDS, EdgeScene
from vfx_matte.masks import Image, Mask
from vfx_matte.matting import perceptron
from vfx_matte.matting.evidence import NAMES, evidence, read, swapped
from vfx_matte.matting.picture_edges import find_edge
from vfx_matte.matting.problem import UNKNOWN
from vfx_matte.settings.options import MatteSettings
from vfx_matte.workspace import load_mask

Floats = npt.NDArray[np.float32]
OWN, TRUST, READING = NAMES.index("own"), NAMES.index("trust"), NAMES.index("clipped")
SHARE_OF_SQUARES, REAL_SHARE_OF_SQUARES, STRAY = 1.5, 0.3, 0.5
LOOKS = ((1280, 720, 0), (960, 540, 5), (1280, 720, 0), (640, 360, 12))
"""Width, height, and the standard deviation of added grain in code values, by turns."""

AT_ONCE = 6144
"""Pixels of each kind in one step."""

FRAMES = (0.05, 0.1, 0.15, 0.33, 0.38, 0.44, 0.5, 0.56, 0.62, 0.68, 0.83, 0.88, 0.94)
FRAME_MASKS = ("cut", "jittered", "eroded", "dilated")


@dataclass(frozen=True)
class Examples:
    """Pixels: rows float32 (len(NAMES), n), truth float32 (n,), and how many pixels each stands
    for, float32 (n,).
    """

    rows: Floats
    truth: Floats
    weight: Floats

    @classmethod
    def together(cls, many: list[Examples]) -> Examples:
        """All pixels of several."""
        rows = np.concatenate([one.rows for one in many], axis=1)
        return cls(
            rows,
            np.concatenate([one.truth for one in many]),
            np.concatenate([one.weight for one in many]),
        )


def examples(
    image: Image, mask: Mask, truth: Floats, *, count: int, rng: np.random.Generator, where: Floats
) -> Examples | None:
    """A sample of the pixels that an estimator is asked about, three in four from where they are
    hard to tell.
    """
    edge = find_edge(mask, image, settings=MatteSettings(edges="guided"))
    if edge is None:
        return None
    problem = edge.part((slice(0, edge.trimap.shape[0]), slice(0, edge.trimap.shape[1])))
    rows = evidence(problem, read(problem))
    unknown = edge.trimap == UNKNOWN
    true, counts = truth[edge.region][unknown], where[edge.region][unknown] > 0
    hard = (abs(true - 0.5) < 0.49) | (abs(rows[1]) < 0.45) | (abs(rows[4]) < 1)
    picked, weights = [], []
    for chosen, number in ((hard & counts, count * 3 // 4), (~hard & counts, count // 4)):
        at = np.flatnonzero(chosen)
        taken = rng.choice(at, min(number, at.size), replace=False)
        picked.append(taken)
        weights.append(np.full(taken.size, at.size / max(1, taken.size), np.float32))
    at = np.concatenate(picked)
    return Examples(rows[:, at], true[at], np.concatenate(weights))


def drawn(seeds: range) -> Iterator[Examples | None]:
    """Pixels of drawn clips."""
    rng = np.random.default_rng(0)
    for kind in EDGE_KINDS:
        for seed in seeds:
            width, height, grain = LOOKS[seed % len(LOOKS)]
            frame = EdgeScene(kind, width, height, seed=seed).frame(0)
            noisy = frame.image + rng.normal(0, grain, frame.image.shape) if grain else frame.image
            image = shown(subsampled(np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)))
            everywhere = np.ones_like(frame.alpha)
            for mask in MASKS.values():
                yield examples(
                    image,
                    mask(frame.alpha, (seed, 0)),
                    frame.alpha,
                    count=4000,
                    rng=rng,
                    where=everywhere,
                )


def real(folder: Path, sequences: list[str], propagated: Path | None) -> Iterator[Examples | None]:
    """Pixels of real frames, of the sequences with these names or of all; propagated: a folder of
    masks to use too.
    """
    rng = np.random.default_rng(1)
    for clip in sorted((folder / "JPEGImages" / "480p").iterdir()):
        names = sorted(path.stem for path in clip.glob("*.jpg"))
        for part in FRAMES if not sequences or clip.name in sequences else ():
            index = int(part * len(names))
            index += (
                4 if min(abs(index - len(names) // 4), abs(index - 3 * len(names) // 4)) < 3 else 0
            )
            image = shown(
                subsampled(np.asarray(Pillow.open(clip / f"{names[index]}.jpg").convert("RGB")))
            )
            mask = np.asarray(
                Pillow.open(folder / "Annotations" / "480p" / clip.name / f"{names[index]}.png")
            )
            inside = np.asarray((mask if mask.ndim == 2 else mask.max(axis=2)) > 0, np.uint8)
            apart = [
                cv2.distanceTransform(side, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - 0.5
                for side in (inside, 1 - inside)
            ]
            far, truth = np.asarray(np.maximum(*apart) > 2, np.float32), inside.astype(np.float32)
            masks = [MASKS[name](truth, (1, index)) for name in FRAME_MASKS]
            if propagated is not None:
                masks.append(
                    (load_mask(propagated / clip.name / f"{names[index]}.png") > 0).astype(np.uint8)
                )
            for made in masks:
                yield examples(image, made, truth, count=3000, rng=rng, where=far)


@dataclass
class Perceptron:
    """alpha = ½ + its reading + g(x) − g(x′) of normalised evidence, and Adam's memory."""

    values: list[Floats]
    means: list[Floats]
    squares: list[Floats]
    step: int = 0

    @classmethod
    def random(cls, rng: np.random.Generator) -> Perceptron:
        """Small random slopes, no votes to speak of."""
        width, units = len(NAMES), perceptron.UNITS
        bound = width**-0.5
        shapes = ((units, width, bound), (units, 1, bound), (1, units, units**-0.5))
        values = [
            rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)
            for rows, columns, limit in shapes
        ]
        return cls(values, [value * 0 for value in values], [value * 0 for value in values])

    def gradient(
        self, rows: Floats, truth: Floats, squares: float = SHARE_OF_SQUARES
    ) -> tuple[float, list[Floats]]:
        """The mean loss and its gradient.

        rows: evidence as it is, with its normalised form and the counterpart's below it.
        """
        width, (slopes, offsets, votes) = len(NAMES), self.values
        inputs = rows[width : 2 * width], rows[2 * width :]
        hidden = [np.maximum(slopes @ one + offsets, 0) for one in inputs]
        alpha = 0.5 + rows[READING] + (votes @ (hidden[0] - hidden[1]))[0]
        own, believed = rows[OWN] + 0.5, rows[TRUST]
        alpha = own + believed * (alpha - own)
        error = alpha.clip(0, 1) - truth
        stray = ((alpha < 0) & (truth > 0.02)) | ((alpha > 1) & (truth < 0.98))
        loss = np.abs(error) + squares * error**2 + STRAY * stray * np.abs(alpha - alpha.clip(0, 1))
        inside = (alpha >= 0) & (alpha <= 1)
        slope = np.where(
            inside, np.sign(error) + 2 * squares * error, STRAY * stray * np.sign(alpha - 0.5)
        )
        slope = (slope * believed / truth.size)[None].astype(np.float32)
        back = [
            slope * votes.T * (one > 0) * sign for one, sign in zip(hidden, (1, -1), strict=True)
        ]
        gradients = [
            back[0] @ inputs[0].T + back[1] @ inputs[1].T,
            (back[0] + back[1]).sum(axis=1, keepdims=True),
            slope @ (hidden[0] - hidden[1]).T,
        ]
        return float(loss.mean()), gradients

    def descend(self, gradients: list[Floats], rate: float) -> None:
        """One step of Adam (Kingma and Ba, ICLR 2015)."""
        self.step += 1
        for at, gradient in enumerate(gradients):
            self.means[at] += 0.1 * (gradient - self.means[at])
            self.squares[at] += 0.001 * (gradient**2 - self.squares[at])
            mean, square = (
                self.means[at] / (1 - 0.9**self.step),
                self.squares[at] / (1 - 0.999**self.step),
            )
            self.values[at] -= np.float32(rate) * mean / (np.sqrt(square) + 1e-8)


def fitted(
    synthetic: Examples,
    real: Examples | None,
    *,
    harm: float,
    steps: int,
    rate: float = 2e-3,
    begin: str | None = None,
) -> str:
    """The constants as text, one line per unit: W, b and v for evidence as it is.

    begin: constants to begin with, as text.
    """
    rng = np.random.default_rng(0)
    both = np.concatenate([synthetic.rows, swapped(synthetic.rows)], axis=1)
    middle, deviation = (
        both.mean(axis=1, keepdims=True),
        np.maximum(both.std(axis=1, keepdims=True), 1e-3),
    )
    net = Perceptron.random(rng)
    if begin is not None:
        net.values = as_normalised(begin, middle, deviation)
    sets = []
    for part, share, squares in (
        (synthetic, 1.0, SHARE_OF_SQUARES),
        (real, harm, REAL_SHARE_OF_SQUARES),
    ):
        if part is None:
            continue
        normal = [(rows - middle) / deviation for rows in (part.rows, swapped(part.rows))]
        chances = np.cumsum(part.weight, dtype=np.float64)
        sets.append(
            (
                np.concatenate([part.rows, *normal]).T.copy(),
                part.truth,
                chances / chances[-1],
                share,
                squares,
            )
        )
    for step in range(steps):
        now = rate * (1 + np.cos(np.pi * step / steps))
        gradients, total = [value * 0 for value in net.values], 0.0
        for rows, truth, chances, share, squares in sets:
            at = np.searchsorted(chances, rng.random(AT_ONCE)).clip(0, truth.size - 1)
            loss, found = net.gradient(np.ascontiguousarray(rows[at].T), truth[at], squares)
            gradients = [one + share * other for one, other in zip(gradients, found, strict=True)]
            total += share * loss
        net.descend(gradients, now)
        if step % 1000 == 999:
            print(f"step {step + 1}: {total:.4f}", flush=True)
    slopes, offsets, votes = net.values
    table = np.concatenate(
        [slopes / deviation.T, offsets - slopes @ (middle / deviation), votes.T], axis=1
    )
    return "\n".join(
        textwrap.fill(" ".join(f"{value:.4g}" for value in line), width=128) for line in table
    )


def as_normalised(constants: str, middle: Floats, deviation: Floats) -> list[Floats]:
    """Constants for evidence as it is, as those for normalised evidence."""
    width = len(NAMES)
    table = np.array(constants.split(), np.float32).reshape(-1, width + 2)
    slopes, offsets, votes = table[:, :width], table[:, width : width + 1], table[:, width + 1 :]
    values = slopes * deviation.T, offsets + slopes @ middle, votes.T
    return [np.asarray(value, np.float32).copy() for value in values]


def collected(parts: Iterator[Examples | None], store: Path | None) -> Examples:
    """All pixels, from the file when it is there, which is otherwise written."""
    if store is not None and store.exists():
        with np.load(store) as file:
            return Examples(file["rows"], file["truth"], file["weight"])
    found = Examples.together([part for part in parts if part is not None])
    if store is not None:
        np.savez(store, rows=found.rows, truth=found.truth, weight=found.weight)
    return found


def main() -> None:
    """Parse the command line, fit, write the module anew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="20-60", help="first-stop, below 200")
    parser.add_argument("--davis", type=Path)
    parser.add_argument(
        "--propagated", type=Path, help="masks of DAVIS, as bench/davis.py --save leaves them"
    )
    parser.add_argument("--sequences", default="", help="of DAVIS, by name; all when not given")
    parser.add_argument("--harm", default=1.8, type=float)
    parser.add_argument("--steps", default=12000, type=int)
    parser.add_argument("--rate", default=2e-3, type=float)
    parser.add_argument(
        "--go-on", action="store_true", help="begin with the constants that are there"
    )
    parser.add_argument(
        "--store", type=Path, help="a folder in which the pixels are kept for the next time"
    )
    parser.add_argument(
        "--out",
        default=Path(perceptron.__file__),
        type=Path,
        help="the module whose constants are replaced",
    )
    options = parser.parse_args()
    start, stop = map(int, options.seeds.split("-"))
    if stop > 200:
        parser.error("seeds from 200 on are for measuring")
    store = options.store
    synthetic = collected(
        drawn(range(start, stop)), store / f"drawn-{start}-{stop}.npz" if store else None
    )
    sequences = [name for name in options.sequences.split(",") if name]
    harmless = None
    if options.davis:
        kept = store / f"real-{'-'.join(sequences) or 'all'}.npz" if store else None
        harmless = collected(real(options.davis, sequences, options.propagated), kept)
    begin = perceptron.CONSTANTS if options.go_on else None
    constants = fitted(
        synthetic, harmless, harm=options.harm, steps=options.steps, rate=options.rate, begin=begin
    )
    head, _, _ = Path(perceptron.__file__).read_text(encoding="utf-8").partition('CONSTANTS = """')
    fresh = options.out.with_suffix(".part")
    fresh.write_text(f'{head}CONSTANTS = """\n{constants}\n"""\n', encoding="utf-8")
    fresh.replace(options.out)


if __name__ == "__main__":
    main()
