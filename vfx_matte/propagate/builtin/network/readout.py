"""Reads a salient network's inner layers for one object of this clip.

The network's own map tells what stands out. Its layers hold more: what a place looks like, in
small and in large, learned from ten thousand pictures. Where masks of several frames are given,
a least-squares classifier of the layers learns what in them means *this* object, as `classifier`
does of hand-made descriptors: so it tells a dog from the poles beside it, which stand out as much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.propagate.builtin.classifier import TrainingBatch, average

SUREST = 1.2
"""A reading is within ± this; the masks that it learns from are -1 and 1."""

BEYOND = 0.5
"""How much a readout counts where a walk leaves all references behind: there what it learned holds
less and less, and the network's map is heard as well.
"""

# frames between references up to which they show much the same scene, and from which on they do not
_ONE_SCENE, _TWO_SCENES = 40, 100
# what a readout loses at a reference then, and in how many frames that fades to 1/e: a shirt that
# was whole on the given mask had holes seven frames later, as the layers had learned from a mask
# 225 frames away that what is white is table (docs/builtin.md)
_LESS_NEAR, _NEAR_FRAMES = 0.6, 30.0

_SAMPLES = 6000  # bounds the time that a reference takes
_RIDGE = 0.06
"""How much the squared weights cost, each in units of its feature's variance, so that a layer of
small numbers is no dearer to use than one of large numbers.
"""


def counts_near(age: int, span: int) -> float:
    """How much readouts count at some place of a walk, 0 … 1.

    Near a given mask everything else knows what belongs to the object; what layers learned from a
    mask of another scene must not overrule that.

    Args:
        age: how many frames away the nearest reference is.
        span: how many frames the references that teach are apart.
    """
    apart = min(max((span - _ONE_SCENE) / (_TWO_SCENES - _ONE_SCENE), 0.0), 1.0)
    return 1 - _LESS_NEAR * apart * math.exp(-age / _NEAR_FRAMES)


@dataclass(frozen=True)
class Readout:
    """A weight for each channel of each layer, and what is added."""

    weights: tuple[Array, ...]
    """float32 (C,) per layer."""

    offset: float

    extent: tuple[int, int] = (0, 0)
    """Height and width of the object's box where it was least of those that were given, in working
    pixels.
    """

    weight: float = 1.0
    """How much it counts."""

    def __call__(self, layers: Sequence[Array]) -> Array:
        """What the layers say of the object: float32 (S, S), within ±`SUREST` times the weight, of
        the size of the first.

        layers: float32 (C, s, s) each, the first being the largest.
        """
        side = layers[0].shape[1]
        score = np.full((side, side), self.offset, np.float32)
        for layer, weights in zip(layers, self.weights, strict=True):
            # first summed, then enlarged: the same as the other way round, and less
            own = np.einsum("c,cij->ij", weights, layer)
            if own.shape != score.shape:
                own = cv2.resize(own, (side, side), interpolation=cv2.INTER_LINEAR)
            score += own
        return np.clip(score, -SUREST, SUREST) * np.float32(self.weight)


def lesson(layers: Sequence[Array], inside: Array) -> TrainingBatch:
    """What one given mask teaches.

    Object and surroundings weigh the same. layers: see `Readout`; inside: float32 (S, S), the soft
    mask at the size of the first.
    """
    side = layers[0].shape[1]
    cells = np.linspace(0, side * side - 1, min(_SAMPLES, side * side)).astype(np.intp)
    chance = inside.reshape(-1)[cells]
    weight = chance / max(float(chance.sum()), 1.0)
    weight += (1 - chance) / max(float((1 - chance).sum()), 1.0)
    rows, columns = np.divmod(cells, side)
    seen = np.concatenate(
        [*(_read(layer, rows, columns, side) for layer in layers), np.ones((1, cells.size))]
    ).T.astype(np.float32)
    weighted = seen * (weight / 2)[:, None]
    return TrainingBatch(weighted.T @ seen, weighted.T @ (2 * chance - 1))


def learn(
    lessons: Sequence[tuple[Sequence[Array], Array]],
    extent: tuple[int, int] = (0, 0),
    weight: float = 1.0,
) -> Readout:
    """The readout that at least one given mask asks for; see `lesson` for each one's layers and
    mask, and `Readout` for the rest.
    """
    channels = [len(layer) for layer in lessons[0][0]]
    found = solve(average([lesson(*one) for one in lessons]), channels)
    return replace(found, extent=extent, weight=weight)


def solve(batch: TrainingBatch, channels: Sequence[int]) -> Readout:
    """The readout that some lessons ask for. channels: how many each layer has."""
    gram = batch.gram.astype(np.float64)
    # the last feature is constant, so its row holds the sums of all others
    total = max(float(gram[-1, -1]), 1e-6)
    variance = np.diag(gram) / total - (gram[-1] / total) ** 2
    cost = _RIDGE * np.maximum(variance, 0) + 1e-9
    solution = np.linalg.solve(gram + np.diag(cost), batch.answer.astype(np.float64))
    parts = np.split(solution.astype(np.float32), np.cumsum(channels))
    return Readout(tuple(parts[:-1]), float(parts[-1][0]))


def _read(layer: Array, rows: Array, columns: Array, side: int) -> Array:
    """A layer, float32 (C, s, s), at some cells of a finer grid of `side`², bilinearly: (C, N)."""
    if layer.shape[1] == side:
        return layer[:, rows, columns]
    scale, most = layer.shape[1] / side, layer.shape[1] - 1
    y, x = (np.clip((cells + 0.5) * scale - 0.5, 0, most) for cells in (rows, columns))
    top, left = y.astype(np.intp), x.astype(np.intp)
    below, beside = np.minimum(top + 1, most), np.minimum(left + 1, most)
    down, right = (y - top).astype(np.float32), (x - left).astype(np.float32)
    upper = layer[:, top, left] * (1 - right) + layer[:, top, beside] * right
    lower = layer[:, below, left] * (1 - right) + layer[:, below, beside] * right
    value: Array = upper + (lower - upper) * down
    return value
