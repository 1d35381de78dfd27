"""Classifies pixels by what objects of this clip look like.

The codebook (`codebook`) counts what was seen; a classifier generalises from it. For each object a
least-squares classifier tells its pixels from those around it: first from the references, then also
from the frames that were segmented since. That is the discriminative target model of ATOM and FRTM
(Danelljan et al., CVPR 2019; Robinson et al., CVPR 2020) with hand-made descriptors in place of a
network: they are spread over random Fourier features (Rahimi & Recht, NIPS 2007), so that the best
classifier is the solution of one small linear system (kernel ridge regression, approximately).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.propagate.builtin import compiled
from vfx_matte.propagate.builtin.window import HalfMask

# Colour alone as a second group, and four directions of detail: 0.7 of J&F together. Twice as many
# features were within noise (docs/builtin.md).
_GROUPS = ((slice(0, 12), 128, (15.0, 30.0)), (slice(0, 6), 64, (10.0, 20.0)))
"""Which channels of `SmallFrame.descriptor` go together, into how many features, at which two
bandwidths.
"""

_LINEAR_SCALE = 0.02  # brings descriptors, of some tens, to the size of a cosine
_RIDGE = 1e-3
# background from the whole frame lost 0.4 of J&F
_SURROUNDINGS_PX = 50
_SAMPLES, _FEWER_SAMPLES = 5000, 2500


@functools.cache
def _projection(channels: int) -> tuple[Array, int]:
    """What a descriptor and a 1 are multiplied by: float32 (channels + 1, N), and how many of the N
    are angles, whose cosines count.

    The random frequencies and phases of every group, always the same ones; then the descriptor, and
    a constant.
    """
    random = np.random.default_rng(0)
    waves = sum(count for _, count, _ in _GROUPS)
    projection = np.zeros((channels + 1, waves + channels + 1), np.float32)
    begin = 0
    for group, count, bandwidths in _GROUPS:
        frequencies = random.standard_normal((group.stop - group.start, count))
        frequencies /= np.repeat(bandwidths, count // len(bandwidths))
        columns = slice(begin, begin + count)
        projection[group, columns] = frequencies
        projection[-1, columns] = random.uniform(0, 2 * np.pi, count)
        begin += count
    projection[:-1, waves:-1] = _LINEAR_SCALE * np.eye(channels)
    projection[-1, -1] = 1
    return projection, waves


def _features(descriptor: Array) -> Array:
    """Spread descriptors over cosines of random frequencies, themselves and a constant: float32 (M,
    12) → (M, N).
    """
    count, channels = descriptor.shape
    projection, waves = _projection(channels)
    extended = np.ones((count, channels + 1), np.float32)
    extended[:, :-1] = descriptor
    features: Array = extended @ projection
    if compiled.usable(features):
        from vfx_matte.propagate.builtin.compiled.waves import take_cosines

        take_cosines(features, waves)
    else:
        np.cos(features[:, :waves], out=features[:, :waves])
    return features


@dataclass(frozen=True)
class TrainingBatch:
    """What frames teach about one object, as the normal equations of least squares.

    Object and surroundings weigh the same, whatever their size.
    """

    gram: Array
    """float32 (N, N), Σ w·φφᵀ."""

    answer: Array
    """float32 (N,), Σ w·φ·y with y = 1 inside and -1 outside."""

    def mixed(self, new: TrainingBatch, rate: float) -> TrainingBatch:
        """This batch, faded by `rate` in favour of a new one."""
        return TrainingBatch(
            (1 - rate) * self.gram + rate * new.gram, (1 - rate) * self.answer + rate * new.answer
        )

    def solve(self) -> Array:
        """The classifier that these frames ask for: float32 (N,)."""
        ridged = self.gram.copy()
        np.einsum("ii->i", ridged)[:] += np.float32(_RIDGE)
        return np.linalg.solve(ridged, self.answer).astype(np.float32)


def samples(*, thorough: bool) -> int:
    """How many pixels of a frame teach, at most.

    Half as many are as good in half the time of one reference, and where another walk counts more
    (docs/builtin.md).
    """
    return _SAMPLES if thorough else _FEWER_SAMPLES


def training_batch(
    descriptor: Array, layer: Array, *, certain: bool, samples: int = _SAMPLES
) -> TrainingBatch:
    """Learn from one frame, from the object and what is within `_SURROUNDINGS_PX` of it.

    Args:
        descriptor: float32 (h/2, w/2, 12).
        layer: float32 (h, w), the object's soft mask.
        certain: the mask was given, so that every pixel counts in full; in a predicted one a pixel
            counts by how sure it is, |2p - 1|.
        samples: how many pixels teach at most.
    """
    # evenly spaced samples, so that a frame costs the same whatever the object's size
    half = HalfMask.of(layer, descriptor.shape)
    near = _surroundings(half, _SURROUNDINGS_PX)
    if near.size > samples:
        near = near[np.linspace(0, near.size - 1, samples).astype(np.intp)]
    chance = half.inside.reshape(-1)[near]
    answer = 2 * chance - 1
    trust = np.ones_like(answer) if certain else np.abs(answer)
    # both sides weigh 1 in sum, so that a small object is not outvoted
    weight = trust * (chance / max(float((chance * trust).sum()), 1.0))
    weight += trust * (1 - chance) / max(float(((1 - chance) * trust).sum()), 1.0)
    root = np.sqrt(weight / 2)
    # by the weights' roots: of a matrix with itself BLAS computes one half
    weighted = _features(descriptor.reshape(-1, descriptor.shape[2])[near])
    weighted *= root[:, None]
    return TrainingBatch(weighted.T @ weighted, weighted.T @ (root * answer))


def average(batches: Sequence[TrainingBatch]) -> TrainingBatch:
    """The mean of at least one batch."""
    gram = np.mean([one.gram for one in batches], axis=0)
    return TrainingBatch(gram, np.mean([one.answer for one in batches], axis=0))


def learned_evidence(
    descriptor: Array, classifier: Array, prior: HalfMask, reach_px: float
) -> Array:
    """What a classifier says of every pixel within `reach_px` of the warped mask: float32 (h/2,
    w/2), within ±1.2; 0 elsewhere.

    descriptor: float32 (h/2, w/2, 12); classifier: float32 (N,).
    """
    near = _surroundings(prior, reach_px)
    scores = np.zeros(prior.inside.size, np.float32)
    scores[near] = np.clip(
        _features(descriptor.reshape(-1, descriptor.shape[2])[near]) @ classifier, -1.2, 1.2
    )
    return scores.reshape(prior.inside.shape)


def _surroundings(half: HalfMask, reach_px: float) -> Array:
    """The flat indices of pixels within `reach_px` (of full size) of an object."""
    box = half.around(reach_px / 2)
    return half.flat(half.outside(box) < reach_px / 2, box)
