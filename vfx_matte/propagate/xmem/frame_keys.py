"""Chooses the frames to annotate next by the network's keys (XMem++).

Bekuzarov et al., "XMem++: Production-level Video Segmentation From Few Annotated Frames", ICCV
2023, section 3.3: the best next reference is the frame that is least like all frames chosen so far,
looking mostly at the objects.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vfx_matte.propagate.suggest import choose_next
from vfx_matte.propagate.xmem.store import BLOCK_ELEMENTS, Rows


class FrameKeys(NamedTuple):
    """One frame as the memory would see it."""

    rows: Rows
    """P positions, with selection."""

    presence: Tensor
    """float32 (P, 1), 1 where an object is."""

    coverage_percent: float
    """Share of the source mask's pixels with an object."""

    def composite(self, alpha: float) -> Rows:
        """Keys of which the share `alpha` counts only where an object is: α·key·mask + (1 −
        α)·key.
        """
        key = alpha * self.rows.key * self.presence + (1 - alpha) * self.rows.key
        return Rows(key, self.rows.shrinkage, self.rows.selection)


def next_references(
    frames: Sequence[FrameKeys],
    *,
    previous: Collection[int],
    count: int,
    alpha: float = 0.5,
    min_mask_percent: float = 0.25,
) -> list[int]:
    """Choose frames to annotate, the most useful one first.

    Costs two P×P similarities, in blocks, for every frame and chosen frame; beside the keys one
    number per frame is kept.

    Args:
        frames: every frame of the clip, of one size.
        previous: indices of frames that have a reference, at least one.
        count: how many to choose; fewer come back when there are not enough candidates.
        alpha: 0 looks at the whole picture, 1 only at objects.
        min_mask_percent: frames whose mask covers less are no candidates.

    Returns:
        Indices; equally good frames go by their index.

    Raises:
        ValueError: options are out of range.
    """
    if not previous or not all(0 <= index < len(frames) for index in previous):
        raise ValueError(
            f"previous is {sorted(previous)}, expected at least one frame of [0, {len(frames)})"
        )
    if count < 1 or not 0 <= alpha <= 1:
        raise ValueError(
            f"count is {count} and alpha is {alpha}, expected at least 1 and a share in [0, 1]"
        )
    candidates = [
        index for index, frame in enumerate(frames) if frame.coverage_percent >= min_mask_percent
    ]

    def distance(index: int, other: int) -> float:
        return dissimilarity(frames[index].composite(alpha), frames[other].composite(alpha))

    return [
        choice.index
        for choice in choose_next(candidates, known=previous, count=count, distance=distance)
    ]


def dissimilarity(frame: Rows, known: Rows) -> float:
    """D: the mean of relu(S(known, frame) − S(frame, known)) over all pairs of positions, in the
    same order of indices.

    S (see `similarity`) is written as one product of P×(2·CK+1) matrices, so that a pair costs two
    of these and is touched by nothing else before the relu.
    """
    (asks, offers), (known_asks, known_offers) = _factors(frame), _factors(known)
    positions = len(frame.key)
    step = max(1, BLOCK_ELEMENTS // positions)
    total = 0.0
    # a block of positions at a time; both products go into one buffer
    for start in range(0, positions, step):
        part = slice(start, start + step)
        gap = torch.mm(asks[part], known_offers.T)
        total += float(gap.addmm_(known_asks[part], offers.T, alpha=-1).relu_().sum())
    return total / positions**2


def _factors(rows: Rows) -> tuple[Tensor, Tensor]:
    """A frame as query, [−e, 2qe, −Σ e q²], and as memory, [m², m, 1]·s/√CK: their product over
    2·CK + 1 columns is S.
    """
    key, shrinkage, selection = rows
    assert selection is not None
    asks = torch.cat(
        [-selection, 2 * key * selection, -(selection * key.square()).sum(1, keepdim=True)], 1
    )
    offers = torch.cat([key.square(), key, torch.ones_like(shrinkage)], 1)
    return asks, offers * (shrinkage / math.sqrt(key.shape[1]))
