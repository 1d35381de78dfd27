"""Measures how sure a result is of itself.

Confidence is one number per object, found without the truth.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.masks import Mask, Probabilities

# a ratio of areas hardly changes with the size, and confidence is asked of every frame
_SAMPLED_SIDE_PX = 270
_SEEN, _KEPT = 0.15, 0.6
"""What it costs when a witness has something else altogether; it may be the one that is wrong.

Chosen so that about a fifth of the frames of ten hard sequences is named (docs/builtin.md).
"""


class Agreement(NamedTuple):
    """How far witnesses have one object as a result has it: overlaps (IoU), 0 … 1, and 1 where a
    witness says nothing.

    kept: the mask of the frame before, where the flow moved it: what a frame has to correct much,
    it may get wrong. seen: what a network sees. founded: how much of the result is not where the
    picture still shows background that was clear before.
    """

    kept: float = 1.0
    seen: float = 1.0
    founded: float = 1.0


def expected_overlap(probabilities: Probabilities, mask: Mask) -> tuple[float, ...]:
    """The intersection over union that each object's mask would have, were the probabilities true;
    in [0, 1].

    probabilities: float32 (K+1, H, W), background first; mask: uint8 (H, W), the ids made of them.
    For an object with the pixels h that is Σ_h p / (|h| + Σ_not-h p), the ratio of the expected
    intersection to the expected union. An object that is nowhere, and not even possible anywhere,
    is certain: 1. Large pictures are sampled on a grid of about 270 lines.
    """
    # every n-th pixel as it is: an average would make hard edges look unsure
    step = max(1, min(mask.shape) // _SAMPLED_SIDE_PX)
    sampled = mask[::step, ::step]
    return tuple(
        _overlap(layer[::step, ::step], sampled == k)
        for k, layer in enumerate(probabilities[1:], start=1)
    )


def witnessed_overlap(
    probabilities: Probabilities, mask: Mask, agreement: tuple[Agreement, ...] | None
) -> tuple[float, ...]:
    """The expected overlap of each object, less where witnesses do not have it so; in [0, 1].

    probabilities, mask: as for `expected_overlap`. agreement: one for each object; None: there are
    no witnesses.
    """
    expected = expected_overlap(probabilities, mask)
    if agreement is None:
        return expected
    # each witness takes its share of what is left, so that no number falls below 0
    return tuple(
        value * (1 - _KEPT * (1 - found.kept)) * (1 - _SEEN * (1 - found.seen)) * found.founded
        for value, found in zip(expected, agreement, strict=True)
    )


def _overlap(probability: Probabilities, inside: npt.NDArray[np.bool_]) -> float:
    area = int(np.count_nonzero(inside))
    # most objects are possible in a part of the picture only
    left, top, width, height = cv2.boundingRect((probability > 0).view(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    probability, inside = probability[window], inside[window]
    # in float64, as float32 sums of many small probabilities stall
    within = float(probability[inside].sum(dtype=np.float64))
    union = area + float(probability[~inside].sum(dtype=np.float64))
    # less than half a pixel is possible at all
    return within / union if union > 0.5 else 1.0
