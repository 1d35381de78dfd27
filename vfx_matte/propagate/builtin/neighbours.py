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
from vfx_matte.propagate.builtin.cues import Pose, pose_of

_GROUPS = 8
_RING_PX, _RING_SCALE = 3, 0.6
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


def build_memory(references: Sequence[tuple[Array, Array]]) -> PixelMemory | None:
    """Keep the pixels around an object's edge; None when there are none on one of its sides.

    references: descriptors, float32 (h/2, w/2, 12), each with the object's soft mask, float32 (h,
    w).
    """
    features: list[Array] = []
    chances: list[Array] = []
    # evenly spaced samples, the same number of each reference
    for descriptor, layer in references:
        inside, apart = _half(layer, descriptor.shape[:2])
        near = np.flatnonzero(apart <= _KNOWN_PX / 2)
        most = max(1, _SAMPLES // len(references))
        if near.size > most:
            near = near[np.linspace(0, near.size - 1, most).astype(np.intp)]
        features.append(_features(descriptor, near, layer))
        chances.append(inside.reshape(-1)[near])
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
    descriptor: Array, memory: PixelMemory, prior: Array, *, every: int = 1
) -> Array:
    """What the references say of the pixels near the warped mask's edge: float32 (h, w) within ±1;
    0 elsewhere.

    descriptor: float32 (h/2, w/2, 12); prior: float32 (h, w). every: 2 asks every other pixel, as
    on a chessboard; the others have the mean of the four beside them.
    """
    inside, apart = _half(prior, descriptor.shape[:2])
    evidence = np.zeros(inside.size, np.float32)
    near = apart <= _ASKED_PX / 2
    rows, columns = (np.arange(side) for side in near.shape)
    asked = np.flatnonzero(near & ((rows[:, None] + columns) % every == 0))
    if asked.size and (inside >= 0.5).any():
        filled = np.resize(asked, -(-asked.size // _AT_ONCE) * _AT_ONCE)
        features = _features(descriptor, filled, prior)
        for begin in range(0, filled.size, _AT_ONCE):
            evidence[filled[begin : begin + _AT_ONCE]] = _votes(
                features[begin : begin + _AT_ONCE], memory
            )
    said = evidence.reshape(inside.shape)
    if every > 1:
        said = np.where(near, cv2.filter2D(said, -1, _CROSS), np.float32(0))
    smooth = cv2.GaussianBlur(said, (0, 0), 0.8)
    return cv2.resize(smooth, (prior.shape[1], prior.shape[0]), interpolation=cv2.INTER_LINEAR)


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


def _features(descriptor: Array, pixels: Array, layer: Array) -> Array:
    """Descriptor, colour in four directions and place on the object of some pixels, flat indices:
    float32 (N, 26).
    """
    height, width, channels = descriptor.shape
    color = cv2.copyMakeBorder(descriptor[..., :3], *(_RING_PX,) * 4, cv2.BORDER_REPLICATE).reshape(
        -1, 3
    )
    rows, columns = np.divmod(pixels, width)
    ring = [
        color[(rows + _RING_PX + down) * (width + 2 * _RING_PX) + columns + _RING_PX + right]
        * np.float32(_RING_SCALE)
        for right, down in ((_RING_PX, 0), (-_RING_PX, 0), (0, _RING_PX), (0, -_RING_PX))
    ]
    # appearance, surroundings and place weigh by their scales in one squared distance
    pose = pose_of(layer)
    own = descriptor.reshape(-1, channels)[pixels]
    return np.concatenate(
        [own, *ring, _positions_on(rows, columns, (height, width), layer.shape, pose)], axis=1
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


def _half(layer: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """A soft mask at half size, and how far each pixel is from its edge there: two float32 (h/2,
    w/2).
    """
    inside = cv2.resize(layer, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    shown = (inside >= 0.5).astype(np.uint8)
    out, within = (cv2.distanceTransform(region, cv2.DIST_L2, 3) for region in (1 - shown, shown))
    return inside, np.maximum(out, within)
