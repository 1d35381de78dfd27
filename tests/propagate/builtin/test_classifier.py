"""The classifier that is trained on the clip itself."""

from __future__ import annotations

import numpy as np
import pytest

from vfx_matte.backend import Array
from vfx_matte.masks import Image
from vfx_matte.propagate.builtin.classifier import (
    TrainingBatch,
    average,
    learned_evidence,
    training_batch,
)
from vfx_matte.propagate.builtin.codebook import SmallFrame
from vfx_matte.propagate.builtin.window import HalfMask


def scene(seed: int, left: int) -> tuple[SmallFrame, Array]:
    """A ground of two colours, and a block of a third one at column `left`."""
    image: Image = np.random.default_rng(seed).integers(0, 30, (64, 96, 3)).astype(np.uint8)
    image[:, ::2] += np.array([30, 120, 40], np.uint8)
    image[16:48, left : left + 32] += np.array([90, 10, 90], np.uint8)
    layer = np.zeros((64, 96), np.float32)
    layer[16:48, left : left + 32] = 1
    return SmallFrame(image), layer


def half_of(layer: Array) -> HalfMask:
    return HalfMask.of(layer, (layer.shape[0] // 2, layer.shape[1] // 2))


def test_a_lesson_finds_the_object_elsewhere() -> None:
    small, layer = scene(0, 10)
    taught = training_batch(small.descriptor, layer, certain=True)
    elsewhere, truth = scene(1, 50)
    said = learned_evidence(elsewhere.descriptor, taught.solve(), half_of(np.ones_like(truth)), 10)
    assert said.shape == (32, 48)
    assert said[10:22, 27:39].mean() > 0.5
    assert said[2:30, 2:20].mean() < -0.5
    assert np.abs(said).max() <= 1.2


def test_it_says_nothing_far_from_the_warped_mask() -> None:
    small, layer = scene(0, 10)
    said = learned_evidence(
        small.descriptor,
        training_batch(small.descriptor, layer, certain=True).solve(),
        half_of(layer),
        8,
    )
    assert not said[:, 30:].any()
    assert said[10:22, 7:19].all()


def test_classes_weigh_the_same_whatever_their_size() -> None:
    small, layer = scene(0, 10)
    little = np.zeros_like(layer)
    little[20:28, 14:22] = 1
    for mask in (layer, little):
        taught = training_batch(small.descriptor, mask, certain=True)
        # the constant feature is the last one: Σ w·y over both classes is 0, Σ w is 1
        assert taught.gram[-1, -1] == pytest.approx(1, abs=1e-4)
        assert taught.answer[-1] == pytest.approx(0, abs=0.05)


def test_unsure_pixels_of_a_prediction_teach_nothing() -> None:
    small, layer = scene(0, 10)
    unsure = np.where(layer > 0, layer, np.float32(0.5))
    taught = training_batch(small.descriptor, unsure, certain=False)
    alone = training_batch(small.descriptor, unsure, certain=True)
    assert taught.gram[-1, -1] == pytest.approx(0.5, abs=0.05)  # the object's half only
    assert alone.gram[-1, -1] == pytest.approx(1, abs=1e-4)


def test_lessons_fade_and_average() -> None:
    one, two = (
        TrainingBatch(np.eye(2, dtype=np.float32), np.ones(2, np.float32)),
        TrainingBatch(np.zeros((2, 2)), np.zeros(2)),
    )
    faded = one.mixed(two, 0.25)
    assert faded.gram[0, 0] == pytest.approx(0.75)
    assert faded.answer == pytest.approx([0.75, 0.75])
    assert average([one, two]).gram == pytest.approx(one.gram / 2)


def test_an_object_that_fills_the_frame_can_be_learned() -> None:
    small, _ = scene(0, 10)
    everywhere = np.ones(small.shape, np.float32)
    said = learned_evidence(
        small.descriptor,
        training_batch(small.descriptor, everywhere, certain=True).solve(),
        half_of(everywhere),
        8,
    )
    assert said.min() > 0


def test_an_object_of_one_pixel_teaches_nothing() -> None:
    small, layer = scene(0, 10)
    tiny = np.zeros_like(layer)
    tiny[31, 30] = 1
    taught = training_batch(small.descriptor, tiny, certain=True)
    assert not taught.solve().any()
    assert not learned_evidence(small.descriptor, taught.solve(), half_of(tiny), 8).any()
