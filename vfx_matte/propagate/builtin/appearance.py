"""What the built-in propagator knows for good.

Takes references, gives what they teach; knows nothing of a walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.propagate.builtin.classifier import Lesson, average, lesson
from vfx_matte.propagate.builtin.codebook import (
    Frame,
    Look,
    Vocabulary,
    count_locally,
    in_words,
    learn_vocabulary,
)
from vfx_matte.propagate.builtin.neighbours import Memory, memorised
from vfx_matte.propagate.builtin.pieces import in_one_piece
from vfx_matte.propagate.builtin.redetect import Lookout, Portrait


@dataclass(frozen=True)
class Reference:
    """A frame with known objects.

    objects: float32 (K, h, w), soft masks at working size; ids: the ones that were given.
    """

    look: Look
    objects: Array
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Appearance:
    """What references teach: the words, and how often each object, and the rest of the same frames,
    have each of them.

    color, texture: float32 (2, K, N), soft pixel counts, inside first, outside second. lessons,
    memories: one for each object, None for one that no reference shows. single: objects that are in
    one piece wherever they are shown. ids: the objects that were shown.
    """

    vocabulary: Vocabulary
    color: Array
    texture: Array
    lessons: tuple[Lesson | None, ...]
    memories: tuple[Memory | None, ...]
    single: tuple[bool, ...]
    ids: frozenset[int]


def with_background(objects: Array) -> Array:
    """Put the background before the objects: float32 (K, h, w) → (K+1, h, w), summing to 1 where
    objects sum to ≤ 1.
    """
    return np.concatenate([np.maximum(1 - objects.sum(axis=0, keepdims=True), 0), objects])


def study(references: Sequence[Reference]) -> Appearance:
    """Learn words and histograms from frames with known objects.

    An object's outside is counted only on the references that show it: on others it may hide in
    what their masks leave out.
    """
    vocabulary = learn_vocabulary([(reference.look, reference.objects) for reference in references])
    num_objects = references[0].objects.shape[0]
    totals = [
        np.zeros((2, num_objects, count), np.float32)
        for count in (vocabulary.color_count, vocabulary.texture_count)
    ]
    for reference in references:
        frame = in_words(reference.look, vocabulary)
        counts = count_locally(
            frame,
            with_background(reference.objects),
            vocabulary.color_count,
            vocabulary.texture_count,
        )
        rows = [object_id - 1 for object_id in reference.ids]
        for total, local in zip(totals, counts, strict=True):
            classes = local.sum(axis=(1, 2))
            inside = classes[1:][rows]
            total[0, rows] += inside
            total[1, rows] += classes.sum(axis=0) - inside
    lessons, memories, single = [], [], []
    for index in range(num_objects):
        shown = [one for one in references if index + 1 in one.ids]
        taught = [lesson(one.look.descriptor, one.objects[index], certain=True) for one in shown]
        lessons.append(average(taught) if taught else None)
        memories.append(memorised([(one.look.descriptor, one.objects[index]) for one in shown]))
        single.append(all(in_one_piece(one.objects[index]) for one in shown))
    color, texture = totals
    ids = frozenset().union(*(reference.ids for reference in references))
    return Appearance(
        vocabulary, color, texture, tuple(lessons), tuple(memories), tuple(single), ids
    )


def watch(references: Sequence[Reference], appearance: Appearance) -> Lookout:
    """Prepare to find objects again, from the frames that show them."""
    portraits: list[Portrait | None] = [None] * references[0].objects.shape[0]
    for index in (object_id - 1 for object_id in appearance.ids):
        areas = [float(one.objects[index].sum()) for one in references if index + 1 in one.ids]
        portraits[index] = Portrait.of(
            appearance.color[:, index], appearance.texture[:, index], sum(areas) / len(areas)
        )
    lookout = Lookout(portraits)
    for one in references:
        frame = in_words(one.look, appearance.vocabulary)
        lookout.calibrate(
            *in_place(frame), one.objects, known=[object_id - 1 for object_id in one.ids]
        )
    return lookout


def in_place(frame: Frame) -> tuple[Array, Array]:
    """The words of a frame as pictures: int32 (h, w) of colours and (h/2, w/2) of textures."""
    return frame.color.reshape(frame.look.shape), frame.texture.reshape(frame.look.texture_shape)
