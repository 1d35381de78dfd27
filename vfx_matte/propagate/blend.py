"""Blends the results of a forward and a backward walk.

Each walk starts on a reference and drifts away from the truth, so a result is trusted the more, the
nearer its reference, the better the forward walk arrived at the next reference, and the surer the
result is of itself.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vfx_matte.masks import Mask, Probabilities
from vfx_matte.propagate.confidence import expected_overlap

SPOOL_BYTES = 128 * 2**20
"""What waits for the backward walk in memory, compressed, at most; frames beyond that are not
blended.
"""

# Where the forward walk was not measured either, only its ratio to _LEAST_ERROR below matters: at 4
# a walk at its end counts 1/25 of one at its reference.
USUAL_DRIFT = 0.2
"""How much of an object a walk has lost at the next reference, 1 - IoU, where it was not
measured.
"""

# Floors of a result's error and doubt: with 0 one walk alone would count beside its reference, and
# wherever it is wholly sure of itself.
_LEAST_ERROR, _LEAST_DOUBT = 0.05, 0.02


class Waiting(NamedTuple):
    """A frame of the forward walk that waits for the backward one."""

    frame_index: int

    shape: tuple[int, ...]
    """(K+1, H, W)."""

    layers: tuple[tuple[int, int, int, int, bytes], ...]
    """Per object: top, bottom, left and right of its bounding box, and the deflated 8-bit
    probabilities in it.
    """

    certainty: tuple[float, ...]
    """`certainties` of the result."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(len(data) for *_, data in self.layers)


class Spool:
    """Results that wait, compressed, in at most `SPOOL_BYTES`. Frames come in ascending order."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, frame_index: int, probabilities: Probabilities, mask: Mask) -> Iterator[Waiting]:
        """Keep a result, float32 (K+1, H, W); yields the earliest ones when they no longer fit."""
        # at least the newest one stays, however large it is
        self._waiting.append(pack(frame_index, probabilities, certainties(probabilities, mask)))
        self._size += self._waiting[-1].size
        while self._size > SPOOL_BYTES and len(self._waiting) > 1:
            evicted = self._waiting.popleft()
            self._size -= evicted.size
            yield evicted

    @property
    def first(self) -> int:
        """The earliest frame that waits."""
        return self._waiting[0].frame_index

    def take(self, frame_index: int) -> Waiting | None:
        """Remove a frame, from the last one on, and those after it; None when it does not wait."""
        # the backward walk comes from above, so what lies above this frame is not asked for again
        while self._waiting and self._waiting[-1].frame_index > frame_index:
            self._size -= self._waiting.pop().size
        if not self._waiting or self._waiting[-1].frame_index != frame_index:
            return None
        taken = self._waiting.pop()
        self._size -= taken.size
        return taken


def pack(frame_index: int, probabilities: Probabilities, certainty: tuple[float, ...]) -> Waiting:
    """Compress a result: each object's probabilities in 8 bits, cut to its bounding box,
    deflated.
    """
    layers = []
    for layer in probabilities[1:]:
        # 8 bits: the blend is hardened to ids, and soft results have no more
        coarse = np.rint(layer * 255).astype(np.uint8)
        rows, columns = np.flatnonzero(coarse.any(axis=1)), np.flatnonzero(coarse.any(axis=0))
        top, bottom = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)
        left, right = (int(columns[0]), int(columns[-1]) + 1) if columns.size else (0, 0)
        data = zlib.compress(coarse[top:bottom, left:right].tobytes(), level=1)
        layers.append((top, bottom, left, right, data))
    return Waiting(frame_index, probabilities.shape, tuple(layers), certainty)


def unpack(waiting: Waiting) -> Probabilities:
    """The result again, to 1/255: float32 (K+1, H, W), background first."""
    probabilities = np.zeros(waiting.shape, np.float32)
    for target, (top, bottom, left, right, data) in zip(
        probabilities[1:], waiting.layers, strict=True
    ):
        coarse: npt.NDArray[np.uint8] = np.frombuffer(zlib.decompress(data), np.uint8).reshape(
            bottom - top, right - left
        )
        target[top:bottom, left:right] = coarse * np.float32(1 / 255)
    return _normalize(probabilities)


def certainties(probabilities: Probabilities, mask: Mask) -> tuple[float, ...]:
    """How far each object of a result can be trusted: its expected overlap, and 0 where it has no
    pixel.
    """
    overlaps = expected_overlap(probabilities, mask)
    return tuple(value if (mask == k).any() else 0.0 for k, value in enumerate(overlaps, start=1))


def drifts(arrived: Mask, reference: Mask) -> dict[int, float]:
    """How much of each object of a reference a walk that arrives there has lost: id → 1 - IoU."""
    # of the reference's own objects: the walk may carry others
    lost = {}
    for k in np.unique(reference[reference > 0]).tolist():
        here, there = arrived == k, reference == k
        lost[k] = 1 - float(np.count_nonzero(here & there)) / float(np.count_nonzero(here | there))
    return lost


def backward_share(nearness: float, certainty: tuple[float, float], drift: float | None) -> float:
    """How much the backward walk counts, in [0, 1].

    A result's error is modelled as growing evenly from its reference on, times its own doubt;
    shares go with 1/error².

    Args:
        nearness: how far the frame is from the earlier reference, 0, to the later one, 1.
        certainty: of the forward and the backward result.
        drift: how much the forward walk had lost at the later reference; None where that was not
            measured.
    """
    # the backward walk is not compared with the earlier reference: it is taken for a usual one
    forward = (_LEAST_ERROR + (USUAL_DRIFT if drift is None else drift) * nearness) * (
        1 + _LEAST_DOUBT - certainty[0]
    )
    backward = (_LEAST_ERROR + USUAL_DRIFT * (1 - nearness)) * (1 + _LEAST_DOUBT - certainty[1])
    return forward**2 / (forward**2 + backward**2)


def blend(
    forward: Probabilities, backward: Probabilities, shares: Mapping[int, float]
) -> Probabilities:
    """Mix two results.

    Args:
        forward: float32 (K+1, H, W), background first.
        backward: likewise.
        shares: id → 0 = forward alone … 1 = backward alone.
    """
    mixed = np.zeros_like(backward)
    for index, share in shares.items():
        mixed[index] = forward[index] * np.float32(1 - share) + backward[index] * np.float32(share)
    return _normalize(mixed)


def _normalize(probabilities: Probabilities) -> Probabilities:
    """Fill in the background, and bring the objects down where they sum to more than 1.

    In place.
    """
    # 8 bits per object, and shares of its own for each, may bring the sum above 1
    total = probabilities[1:].sum(axis=0)
    probabilities[0] = np.maximum(1 - total, 0)
    probabilities[1:] /= np.maximum(total, 1)
    return probabilities
