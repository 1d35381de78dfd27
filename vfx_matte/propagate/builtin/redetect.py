"""Finds an object again that had left.

What stands out from the references' background is cut into regions, and each region's codewords are
compared with the object's as a whole. How alike is alike enough is measured, not set: on the
references and on frames where the object is followed, every region beside the object is a false
alarm, and what is found later must be better than the best of them by a margin.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.propagate.builtin.cues import global_ratio
from vfx_matte.propagate.builtin.window import NOWHERE, Box
from vfx_matte.propagate.walk_state import State

_SMALLEST, _LARGEST = 0.2, 4.0
"""Areas of a region to look at, in the object's own."""

_MARGIN = 0.5
"""How far between the best false alarm, 0, and the object itself, 1, a region's similarity must
lie: on its reference the object's is 1.
"""

MIN_SIMILARITY = 0.6
"""The similarity of what is beside an object, as long as nothing was seen there that is more
alike.
"""

_GONE = 0.05
"""An object with less than this share of its area has left."""

_DOUBTFUL, _ANOTHER, _PATIENCE_STEPS = 0.8, 0.5, 3
"""An object whose similarity falls below this share of its usual one is doubtful, and below that
share is another thing: when it stays so for some frames it is lost. On ten DAVIS 2016 sequences the
true masks' share is at least 0.8, but for one of an object that is nearly all covered in the end.
"""

# the usual similarity follows the object over some five frames
_USUAL_RATE = 0.2

_CALIBRATION_STEPS = 8
"""How often false alarms are measured while an object is followed."""


@dataclass(frozen=True)
class Descriptor:
    """An object as a whole."""

    color: Array
    """float32 (N,), how often it has each colour codeword, summing to 1."""

    texture: Array
    """The same of texture codewords."""

    color_ratio: Array
    """float32 (N,), log ratio of that to the background's."""

    texture_ratio: Array

    area: float
    """Pixels."""

    @classmethod
    def of(cls, color: Array, texture: Array, area: float) -> Descriptor:
        """From how often the object, and the rest, have each codeword: float32 (2, N), the object
        first.
        """
        inside = [counts[0] / max(float(counts[0].sum()), 1e-6) for counts in (color, texture)]
        return cls(
            inside[0],
            inside[1],
            global_ratio(color[0], color[1]),
            global_ratio(texture[0], texture[1]),
            area,
        )


class Candidate(NamedTuple):
    """A region that looks like the object: bool (h, w), its similarity in [0, 1]."""

    region: Array
    similarity: float


def regions(descriptor: Descriptor, color: Array, texture: Array) -> list[Candidate]:
    """Everything that stands out as the object would, best first.

    color, texture: int32 (h, w) and (h/2, w/2), the frame's codewords.
    """
    height, width = color.shape
    # smoothed by a share of its size, so that texture does not cut it into pieces
    sigma = max(1.0, 0.08 * float(np.sqrt(descriptor.area)))
    evidence = np.clip(descriptor.color_ratio, -3, 3)[color] + cv2.resize(
        np.clip(descriptor.texture_ratio, -3, 3)[texture],
        (width, height),
        interpolation=cv2.INTER_LINEAR,
    )
    smooth = cv2.GaussianBlur(evidence, (0, 0), sigma)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (smooth > 0).astype(np.uint8), connectivity=4
    )
    found = []
    for label in range(1, count):
        if (
            _SMALLEST * descriptor.area
            <= stats[label, cv2.CC_STAT_AREA]
            <= _LARGEST * descriptor.area
        ):
            region = labels == label
            found.append(Candidate(region, similarity(descriptor, color, texture, region)))
    return sorted(found, key=lambda one: -one.similarity)


def similarity(descriptor: Descriptor, color: Array, texture: Array, region: Array) -> float:
    """How alike a region's codewords and the object's are: geometric mean of two Bhattacharyya
    coefficients, in [0, 1].
    """
    height, width = texture.shape
    half = cv2.resize(region.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    product = 1.0
    for codewords, inside, expected in (
        (color, region, descriptor.color),
        (texture, half, descriptor.texture),
    ):
        # most objects are small
        part = (Box.around(inside) or NOWHERE).window
        counted = np.bincount(codewords[part][inside[part]], minlength=expected.size)
        counts = counted.astype(np.float32)
        counts /= max(float(counts.sum()), 1.0)
        product *= float(np.sqrt(counts * expected).sum())
    return float(np.sqrt(product))


class Match(NamedTuple):
    """What a frame shows of the objects, by index."""

    back: Mapping[int, Array] = MappingProxyType({})
    """Where one was found again: bool (h, w)."""

    doubtful: frozenset[int] = frozenset()
    """Of these nothing should be learned now, because they may be covered."""

    lost: frozenset[int] = frozenset()
    """What the walk follows is no longer the object."""


class Redetector:
    """Watches for objects that left, during one walk after the other from one set of references.

    descriptors: one for each object, None for one that no reference shows.
    """

    def __init__(self, descriptors: Sequence[Descriptor | None]) -> None:
        self._descriptors = tuple(descriptors)
        # best similarity of anything else on the references
        self._calibrated = [MIN_SIMILARITY] * len(descriptors)
        self._beside = list(self._calibrated)  # and in this walk so far
        self._usual = [1.0] * len(descriptors)  # similarity of what is followed
        self._unlike = [0] * len(descriptors)  # for how many steps it has been another thing
        self._before: dict[int, Array] = {}  # what was found one frame earlier
        self._steps = 0

    def calibrate(
        self, color: Array, texture: Array, objects: Array, *, known: Collection[int]
    ) -> None:
        """Measure similarity on a reference.

        objects: float32 (K, h, w); known: indices of the objects that it shows.
        """
        for index in known:
            self._measure(index, color, texture, objects)
        self._calibrated = list(self._beside)

    def restart(self) -> None:
        """Start another walk, which knows nothing of what was measured in others."""
        self._beside, self._steps = list(self._calibrated), 0
        self.begin()

    def begin(self) -> None:
        """Go on from a given mask; similarities of what is beside the objects stay."""
        self._usual, self._unlike = [1.0] * len(self._descriptors), [0] * len(self._descriptors)
        self._before = {}

    def walk_state(self) -> State:
        """What this walk has measured."""
        return {
            "beside": list(self._beside),
            "usual": list(self._usual),
            "unlike": list(self._unlike),
            "before": {str(index): region for index, region in self._before.items()},
            "steps": self._steps,
        }

    def restore_walk(self, state: State) -> None:
        """Go on from `walk_state`. Raises ValueError, KeyError or TypeError for something else."""
        count = len(self._descriptors)
        beside, usual = ([float(value) for value in state[name]] for name in ("beside", "usual"))
        unlike = [int(steps) for steps in state["unlike"]]
        if not len(beside) == len(usual) == len(unlike) == count:
            raise ValueError(
                f"state of {len(beside)}, {len(usual)} and {len(unlike)} objects, expected {count}"
            )
        self._beside, self._usual, self._unlike = beside, usual, unlike
        self._before = {
            int(index): np.asarray(region, bool) for index, region in state["before"].items()
        }
        self._steps = int(state["steps"])

    def observe(self, color: Array, texture: Array, objects: Array) -> Match:
        """Judge what the walk has on a new frame: float32 (K, h, w)."""
        self._steps += 1
        back: dict[int, Array] = {}
        doubtful, lost = set(), set()
        for index, descriptor in enumerate(self._descriptors):
            if descriptor is None:
                continue
            # 1. one that has left is searched for
            inside = objects[index] >= 0.5
            if np.count_nonzero(inside) < _GONE * descriptor.area:
                doubtful.add(index)
                if (region := self._search(index, descriptor, color, texture, objects)) is not None:
                    back[index] = region
                continue
            # 2. one that is followed is compared with what it usually is
            share = similarity(descriptor, color, texture, inside) / self._usual[index]
            self._unlike[index] = self._unlike[index] + 1 if share < _ANOTHER else 0
            if share < _DOUBTFUL:
                doubtful.add(index)
            else:
                self._usual[index] *= 1 + _USUAL_RATE * (share - 1)
            if self._unlike[index] >= _PATIENCE_STEPS:
                lost.add(index)
            elif self._steps % _CALIBRATION_STEPS == 0:
                self._measure(index, color, texture, objects)
        return Match(back, frozenset(doubtful), frozenset(lost))

    def _search(
        self, index: int, descriptor: Descriptor, color: Array, texture: Array, objects: Array
    ) -> Array | None:
        """The region of an object that is back.

        It must be found on two frames in a row, where the two overlap.
        """
        # once may be chance: what is found must be there on the next frame, too
        before = self._before.pop(index, None)
        taken = np.delete(objects, index, axis=0).sum(axis=0) >= 0.5
        best = next(
            (one for one in regions(descriptor, color, texture) if not (one.region & taken).any()),
            None,
        )
        if best is None or best.similarity < self._beside[index] + _MARGIN * (
            1 - self._beside[index]
        ):
            return None
        self._before[index] = best.region
        if before is None or not (before & best.region).any():
            return None
        self._usual[index], self._unlike[index] = best.similarity, 0
        return best.region

    def _measure(self, index: int, color: Array, texture: Array, objects: Array) -> None:
        """Bring the similarity of what is beside an object up to date with a frame where it
        is known.
        """
        descriptor = self._descriptors[index]
        assert descriptor is not None
        inside = objects[index] >= 0.5
        for one in regions(descriptor, color, texture):
            if not (one.region & inside).any():
                self._beside[index] = max(self._beside[index], one.similarity)
                break
