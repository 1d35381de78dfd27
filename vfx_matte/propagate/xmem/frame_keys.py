"""Compares frames by the network's keys (XMem++).

Bekuzarov et al., "XMem++: Production-level Video Segmentation From Few Annotated Frames", ICCV
2023, section 3.3: the best next reference is the frame that is least like all frames chosen so far,
looking mostly at the objects.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vfx_matte.propagate.xmem.store import BLOCK_ELEMENTS, Rows


class FrameKeys(NamedTuple):
    """One frame as the memory would see it."""

    rows: Rows
    """P positions, with selection."""

    presence: Tensor
    """float32 (P, 1), 1 where an object is."""

    def composite(self, alpha: float) -> Rows:
        """Keys of which the share `alpha` counts only where an object is: α·key·mask + (1 −
        α)·key.
        """
        key = alpha * self.rows.key * self.presence + (1 - alpha) * self.rows.key
        return Rows(key, self.rows.shrinkage, self.rows.selection)


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
