"""Removes pieces of an object that stand still while the object moves.

A bystander in the object's colours is taken along while they touch. Once they part, he is a piece
by himself that moves as the background does, while the object does not: that is when he can be left
behind. What an occluder cut off moves on, and an object that comes in several pieces on a given
mask may do so anywhere.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.propagate.builtin.window import Box

LEAST_SHARE = 0.05
"""The least area of such a piece, as a part of the object's: a foot that stands on the ground does
not move either.
"""

STANDS, MOVES = math.log(2), math.log(4)
"""Mean `cues.motion_surprise` of a piece that stands, which the background's motion misses
by at most twice the median of the background's own pixels, and of an object that moves, which it
misses by three and a half times that.
"""


def in_one_piece(layer: Array) -> bool:
    """Whether a soft mask, float32 (h, w), is one piece, and all others together less than
    `LEAST_SHARE`.
    """
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        (layer >= 0.5).astype(np.uint8), connectivity=8
    )
    areas = stats[1:, cv2.CC_STAT_AREA]
    return len(areas) < 2 or int(areas.max()) > (1 - LEAST_SHARE) * int(areas.sum())


def without_strays(evidence: Array, near: Array, surprise: Array) -> Array:
    """Evidence that speaks against pieces that stand while the largest one moves: float32 (h, w).

    evidence: float32 (h, w), log odds. near: bool (h, w), where the object may be. surprise:
    float32 (h, w), how badly the background's motion explains each pixel's.
    """
    inside = (evidence > 0) & near
    # pieces are of what is near: the window is larger
    if (box := Box.around(inside)) is None:
        return evidence
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        inside[box.window].astype(np.uint8), connectivity=8
    )
    if count <= 2:
        return evidence
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = int(areas.argmax())
    surprise = surprise[box.window]
    if float(surprise[labels == 1 + largest].mean()) < MOVES:
        return evidence
    left = evidence.copy()
    part = left[box.window]
    for index in np.flatnonzero(areas >= LEAST_SHARE * areas.sum()):
        piece = labels == 1 + index
        if index != largest and float(surprise[piece].mean()) < STANDS:
            np.copyto(part, -np.abs(part), where=piece)
    return left
