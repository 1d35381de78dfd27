"""Learns from references what an object looks like: the same for every walk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.propagate.builtin.classifier import (
    TrainingBatch,
    average,
    samples,
    training_batch,
)
from vfx_matte.propagate.builtin.codebook import (
    Codebook,
    QuantizedFrame,
    SmallFrame,
    count_locally,
    learn_codebook,
    quantize,
)
from vfx_matte.propagate.builtin.neighbours import PixelMemory, build_memory
from vfx_matte.propagate.builtin.pieces import in_one_piece
from vfx_matte.propagate.builtin.redetect import Descriptor, Redetector


@dataclass(frozen=True)
class Reference:
    """A frame with known objects."""

    small: SmallFrame

    objects: Array
    """float32 (K, h, w), soft masks at working size."""

    ids: tuple[int, ...]
    """The objects that were given."""


@dataclass(frozen=True)
class Appearance:
    """What references teach. Per-object entries are None for an object that no reference shows."""

    codebook: Codebook

    color: Array
    """float32 (2, K, N), how many pixels of each object, then of the rest of the same frames, have
    each colour codeword.
    """

    texture: Array
    """The same of texture codewords."""

    batches: tuple[TrainingBatch | None, ...]
    memories: tuple[PixelMemory | None, ...]

    single: tuple[bool, ...]
    """Whether an object is in one piece wherever it is shown."""

    ids: frozenset[int]
    """The objects that were shown."""

    several: bool
    """Whether there are several references: what is learned of them is sure enough to find more
    in whole frames and in every pixel (docs/builtin.md).
    """


def with_background(objects: Array) -> Array:
    """Put the background before the objects: float32 (K, h, w) → (K+1, h, w), summing to 1 where
    objects sum to ≤ 1.
    """
    return np.concatenate([np.maximum(1 - objects.sum(axis=0, keepdims=True), 0), objects])


def learn_appearance(references: Sequence[Reference]) -> Appearance:
    """Learn codewords, histograms, classifiers and matches from frames with known objects.

    An object's outside is counted only on the references that show it: on others it may hide in
    what their masks leave out.
    """
    codebook = learn_codebook([(reference.small, reference.objects) for reference in references])
    num_objects = references[0].objects.shape[0]
    totals = [
        np.zeros((2, num_objects, count), np.float32)
        for count in (codebook.color_count, codebook.texture_count)
    ]
    for reference in references:
        frame = quantize(reference.small, codebook)
        counts = count_locally(
            frame,
            with_background(reference.objects),
            codebook.color_count,
            codebook.texture_count,
        )
        # 1. histograms, of the objects that this one shows
        rows = [object_id - 1 for object_id in reference.ids]
        for total, local in zip(totals, counts[:2], strict=True):
            classes = local.sum(axis=(1, 2))
            inside = classes[1:][rows]
            total[0, rows] += inside
            total[1, rows] += classes.sum(axis=0) - inside
    batches, memories, single = [], [], []
    several = len(references) > 1
    for index in range(num_objects):
        shown = [one for one in references if index + 1 in one.ids]
        taught = [
            training_batch(
                one.small.descriptor,
                one.objects[index],
                certain=True,
                samples=samples(thorough=several),
            )
            for one in shown
        ]
        batches.append(average(taught) if taught else None)
        memories.append(build_memory([(one.small, one.objects[index]) for one in shown]))
        single.append(all(in_one_piece(one.objects[index]) for one in shown))
    color, texture = totals
    ids = frozenset().union(*(reference.ids for reference in references))
    return Appearance(
        codebook, color, texture, tuple(batches), tuple(memories), tuple(single), ids, several
    )


def build_redetector(references: Sequence[Reference], appearance: Appearance) -> Redetector:
    """Prepare to find objects again, from the frames that show them."""
    descriptors: list[Descriptor | None] = [None] * references[0].objects.shape[0]
    for index in (object_id - 1 for object_id in appearance.ids):
        areas = [float(one.objects[index].sum()) for one in references if index + 1 in one.ids]
        descriptors[index] = Descriptor.of(
            appearance.color[:, index], appearance.texture[:, index], sum(areas) / len(areas)
        )
    redetector = Redetector(descriptors)
    for one in references:
        frame = quantize(one.small, appearance.codebook)
        redetector.calibrate(
            *codeword_planes(frame), one.objects, known=[object_id - 1 for object_id in one.ids]
        )
    return redetector


def codeword_planes(frame: QuantizedFrame) -> tuple[Array, Array]:
    """The codewords of a frame as pictures: int32 (h, w) of colours and (h/2, w/2) of textures."""
    return frame.color.reshape(frame.small.shape), frame.texture.reshape(frame.small.texture_shape)
