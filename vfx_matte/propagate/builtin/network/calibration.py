"""Calibrates the weight of the salient network on the references of a clip, for each object.

On a reference the truth is known, so what the network says there can be judged: beside what the
other cues would have said. Each reference is asked as if its mask were not known: the classifier
and the matching learn from the one next to it and say what they find here, the network's evidence
is added with a share of 0 … 1, and the share that makes the true mask most likely counts (maximum
likelihood, cross-validated on references). So it is heard in full where it sees what the other cues
confuse, and little where they know better, or where it means something else.

One reference can tell nothing of this: on it the other cues know the answer. And how well the
network sees the first frame hardly tells how well it sees the rest (docs/builtin.md).

This is for a network that gives no layers; of one that does they are read instead (`readout`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.propagate.builtin.appearance import Reference
from vfx_matte.propagate.builtin.classifier import learned_evidence, training_batch
from vfx_matte.propagate.builtin.cues import GATE_PX, WEIGHTS, edge_distances, pose_of
from vfx_matte.propagate.builtin.neighbours import build_memory, neighbour_evidence
from vfx_matte.propagate.builtin.window import HalfMask, enlarged

_SHARES = np.linspace(0, 1, 9, dtype=np.float32)

_SUREST = 7.0
"""Log odds beyond which a pixel is no surer: a few sure errors do not decide."""


def network_share(seen: Sequence[tuple[Reference, Array]], index: int) -> float:
    """The share of the network's evidence that counts for an object: 0 … 1, and 1 for fewer than
    two references.

    seen: references that show the object, neighbours beside each other, each with what the network
    saw of it there: float32 (h, w), log odds, see `saliency.view_object`. index: the object's,
    from 0.
    """
    likely = [
        _likelihoods(teacher, judged, view, index)
        for pair in itertools.pairwise(seen)
        for (teacher, _), (judged, view) in (pair, pair[::-1])
    ]
    return float(_SHARES[int(np.mean(likely, axis=0).argmax())]) if likely else 1.0


def _likelihoods(teacher: Reference, judged: Reference, view: Array, index: int) -> Array:
    """The mean log likelihood of the mask of `judged` near its edge, for each of `_SHARES`; the
    other cues learn from `teacher`.
    """
    # 1. what the other cues say, learned from the neighbour, as if this mask were not known
    truth = judged.objects[index]
    classifier = training_batch(
        teacher.small.descriptor, teacher.objects[index], certain=True
    ).solve()
    half = HalfMask.of(truth, judged.small.texture_shape)
    said = WEIGHTS.learned * learned_evidence(
        judged.small.descriptor, classifier, half, GATE_PX + 4
    )
    memory = build_memory([(teacher.small, teacher.objects[index])])
    if memory is not None:
        said += WEIGHTS.nearest * neighbour_evidence(judged.small, memory, half, pose_of(truth))
    evidence = enlarged(said, truth.shape)
    # 2. only near the edge, and not where another object is: elsewhere all know the answer
    depth, outside = edge_distances(truth)
    asked = (np.maximum(depth, outside) <= GATE_PX) & (judged.objects.sum(axis=0) - truth < 0.5)
    if not asked.any():
        return np.zeros_like(_SHARES)
    # 3. log odds of what is right, with each share of the network's evidence
    right = np.where(truth[asked] >= 0.5, np.float32(1), np.float32(-1))
    own, seen = right * evidence[asked], right * np.float32(WEIGHTS.salient) * view[asked]
    odds = np.clip(own + _SHARES[:, None] * seen, -_SUREST, _SUREST)
    likelihoods: Array = -np.log1p(np.exp(-odds)).mean(axis=1)
    return likelihoods
