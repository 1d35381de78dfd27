"""Matches pixels near an edge with those of the references.

The classifier (`classifier`) knows what an object looks like anywhere; this knows what it
looks like *there*: a pixel asks the pixels of the references that look like it, in its surroundings
too, and lie at about the same place of the object, whether they were inside. Nearest-neighbour
matching as in VideoMatch and PML (Hu et al., ECCV 2018; Chen et al., CVPR 2018), with hand-made
descriptors and a place; what is unlike everything that was seen says little. Works at half the
working size, where a frame costs one small matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.propagate.builtin.codebook import BORDER_PX, SmallFrame
from vfx_matte.propagate.builtin.cues import Pose, pose_of
from vfx_matte.propagate.builtin.window import HalfMask

_GROUPS = 8
_RING_PX, _RING_SCALE = BORDER_PX, 0.6
"""How far from a pixel (at half size) its surroundings are looked at, and how much their colour
counts.
"""

_POSITION_SCALE = 30.0
"""How much a step of one √area counts against colours, in units of the descriptor."""

_SOFTNESS = (
    60.0  # squared distance beyond the nearest one at which a neighbour's vote has fallen to e^-½
)
_OUTLIER_SCALE = 900.0  # squared distance of the nearest one at which all votes have
_KNOWN_PX, _ASKED_PX = 48, 14
"""How far from its edge, in working pixels, an object and its surroundings are remembered, and
asked about.
"""

# bounds the product of a frame, whatever the number of references
_SAMPLES = 3000  # of all references together
_CROSS = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
_AT_ONCE, _TILE = 256, 16
"""How many pixels are asked about in one product, and what the products' sides are multiples of:
libraries round the last, incomplete part of a product in another way, and where that begins may
depend on what other threads do.
"""


@dataclass(frozen=True)
class PixelMemory:
    """Pixels of references inside and outside of an object: float32 (27, _GROUPS · n) each.

    A column holds -2·f and |f|² of a pixel's features f, so that its product with (g, 1) is |f -
    g|² - |g|².
    """

    inside: Array
    outside: Array


def build_memory(references: Sequence[tuple[SmallFrame, Array]]) -> PixelMemory | None:
    """Keep the pixels around an object's edge; None when there are none on one of its sides.

    references: frames, each with the object's soft mask, float32 (h, w).
    """
    features: list[Array] = []
    chances: list[Array] = []
    # evenly spaced samples, the same number of each reference
    for small, layer in references:
        half = HalfMask.of(layer, small.texture_shape)
        near = _around_edge(half, _KNOWN_PX / 2)
        most = max(1, _SAMPLES // len(references))
        if near.size > most:
            near = near[np.linspace(0, near.size - 1, most).astype(np.intp)]
        features.append(_features(small, near, pose_of(layer)))
        chances.append(half.inside.reshape(-1)[near])
    if not features:
        return None
    shown = np.concatenate(chances) >= 0.5
    if not shown.any() or shown.all():
        return None
    every = np.concatenate(features)
    return PixelMemory(_columns(every[shown]), _columns(every[~shown]))


def _columns(features: Array) -> Array:
    """What `PixelMemory` holds of float32 (M, 26): group by group, every _GROUPS-th pixel; some
    come twice to fill them.
    """
    count = -(-len(features) // (_GROUPS * _TILE)) * _GROUPS * _TILE
    filled = features[np.arange(count).reshape(-1, _GROUPS).T.reshape(-1) % len(features)]
    return np.concatenate([-2 * filled, (filled**2).sum(axis=1)[:, None]], axis=1).T.copy()


def neighbour_evidence(
    small: SmallFrame, memory: PixelMemory, prior: HalfMask, pose: Pose, *, every: int = 1
) -> Array:
    """What the references say of the pixels near the warped mask's edge: float32 (h/2, w/2) within
    ±1; 0 elsewhere.

    pose: of the warped mask at full size. every: 2 asks every other pixel, as on a chessboard; the
    others have the mean of the four beside them.
    """
    shape = prior.inside.shape
    evidence = np.zeros(prior.inside.size, np.float32)
    asked = _around_edge(prior, _ASKED_PX / 2)
    rows, columns = np.divmod(asked, shape[1])
    asked = asked[(rows + columns) % every == 0]
    if asked.size:
        filled = np.resize(asked, -(-asked.size // _AT_ONCE) * _AT_ONCE)
        features = _features(small, filled, pose)
        for begin in range(0, filled.size, _AT_ONCE):
            evidence[filled[begin : begin + _AT_ONCE]] = _votes(
                features[begin : begin + _AT_ONCE], memory
            )
    said = evidence.reshape(shape)
    if every > 1:
        crossed = cv2.filter2D(said, -1, _CROSS)
        said = np.zeros_like(said)
        said[rows, columns] = crossed[rows, columns]
    return cv2.GaussianBlur(said, (0, 0), 0.8)


def _votes(features: Array, memory: PixelMemory) -> Array:
    """How likely each pixel is inside, judged by its nearest neighbours: float32 (N, 26) → (N,),
    within ±1.

    A side's likelihood is the sum, over _GROUPS parts of its pixels, of exp(-d² / 2s) of the part's
    nearest one.
    """
    asked = np.concatenate([features, np.ones((len(features), 1), np.float32)], axis=1).T
    square = (features**2).sum(axis=1)
    # a row for each pixel that is known, so that the least is found row against row
    inside, outside = (
        (side.T @ asked).reshape(_GROUPS, -1, len(features)).min(axis=1) + square
        for side in (memory.inside, memory.outside)
    )
    least = np.maximum(np.minimum(inside.min(axis=0), outside.min(axis=0)), 0)
    own, other = (
        np.exp((least - side) / np.float32(2 * _SOFTNESS)).sum(axis=0) for side in (inside, outside)
    )
    votes: Array = (own - other) / (own + other) * np.exp(least / np.float32(-2 * _OUTLIER_SCALE))
    return votes


def _features(small: SmallFrame, pixels: Array, pose: Pose) -> Array:
    """Descriptor, colour in four directions and place on an object of some pixels, flat indices:
    float32 (N, 26).
    """
    height, width, channels = small.descriptor.shape
    color = small.bordered.reshape(-1, 3)
    rows, columns = np.divmod(pixels, width)
    ring = [
        color[(rows + _RING_PX + down) * (width + 2 * _RING_PX) + columns + _RING_PX + right]
        * np.float32(_RING_SCALE)
        for right, down in ((_RING_PX, 0), (-_RING_PX, 0), (0, _RING_PX), (0, -_RING_PX))
    ]
    # appearance, surroundings and place weigh by their scales in one squared distance
    own = small.descriptor.reshape(-1, channels)[pixels]
    return np.concatenate(
        [own, *ring, _positions_on(rows, columns, (height, width), small.shape, pose)], axis=1
    )


def _positions_on(
    rows: Array, columns: Array, half: tuple[int, int], full: tuple[int, ...], pose: Pose
) -> Array:
    """Where pixels of the half-size picture lie on an object, from its centre in units of its
    √area, scaled: (N, 2).
    """
    unit = _POSITION_SCALE / max(pose.area, 1.0) ** 0.5
    x = ((columns + 0.5) * (full[1] / half[1]) - 0.5 - pose.x) * unit
    y = ((rows + 0.5) * (full[0] / half[0]) - 0.5 - pose.y) * unit
    return np.stack([x, y], axis=1).astype(np.float32)


def _around_edge(half: HalfMask, reach: float) -> Array:
    """The flat indices of the pixels within `reach` of an object's edge."""
    box = half.around(reach)
    apart = np.maximum(half.outside(box), half.within(box))
    return half.flat(apart <= reach, box)
