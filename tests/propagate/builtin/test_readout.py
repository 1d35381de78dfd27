"""What a network's layers say of an object, once several masks have shown what they mean."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vfx_matte.masks import Image, Mask, overlap
from vfx_matte.propagate import SelectiveMemory, open_propagator
from vfx_matte.propagate.builtin.network import saliency
from vfx_matte.propagate.builtin.network.readout import SUREST, counts_near, learn, lesson
from vfx_matte.propagate.builtin.network.saliency import Crop
from vfx_matte.propagate.walk_state import ResumableWalk

SHAPE = (144, 192)
Layer = npt.NDArray[np.float32]


def scene(seed: int, left: int) -> tuple[list[Layer], Layer]:
    """Layers of 32² and 16² cells of a block at column `left` and one as large that is another
    thing: the finer layer tells both from the ground, the coarser one tells them apart, faintly;
    the block's mask, float32 (32, 32).
    """
    random = np.random.default_rng(seed)
    fine = random.normal(0, 0.3, (3, 32, 32)).astype(np.float32)
    coarse = random.normal(0, 0.003, (2, 16, 16)).astype(np.float32)
    inside = np.zeros((32, 32), np.float32)
    inside[8:24, left : left + 8] = 1
    other = np.roll(inside, 16, axis=1)
    fine[0] += 3 * (inside + other)
    coarse[1] += 0.05 * cv2.resize(other, (16, 16), interpolation=cv2.INTER_AREA)
    return [fine, coarse], inside


def test_a_readout_finds_the_object_elsewhere_and_not_what_stands_out_as_much() -> None:
    readout = learn([scene(0, 2), scene(1, 18)])
    layers, inside = scene(2, 6)
    said = readout(layers)
    assert said.shape == inside.shape
    assert np.abs(said).max() <= SUREST
    assert overlap(said > 0, inside > 0) > 0.8
    assert said[10:22, 24:28].mean() < -0.5, "the other thing"


def test_a_layer_of_small_numbers_counts_as_much_as_one_of_large_numbers() -> None:
    lessons = [scene(0, 2), scene(1, 18)]
    layers, _ = scene(2, 6)
    scaled = [([fine, 500 * coarse], inside) for (fine, coarse), inside in lessons]
    np.testing.assert_allclose(
        learn(lessons)(layers), learn(scaled)([layers[0], 500 * layers[1]]), atol=0.01
    )


def test_what_is_learned_of_a_coarse_layer_is_what_is_read_of_it() -> None:
    random = np.random.default_rng(5)
    layers = [random.normal(size=(2, size, size)).astype(np.float32) for size in (16, 8, 4)]
    batch = lesson(layers, np.full((16, 16), 0.5, np.float32))
    full = [
        cv2.resize(plane, (16, 16), interpolation=cv2.INTER_LINEAR).ravel()
        for layer in layers
        for plane in layer
    ]
    seen = np.stack([*full, np.ones(256, np.float32)])
    # half inside and half outside everywhere, so that every cell weighs the same
    np.testing.assert_allclose(batch.gram, seen @ seen.T / 256, atol=1e-5)


def test_a_flat_layer_and_a_mask_that_fills_the_crop_are_learned() -> None:
    flat = [np.zeros((4, 16, 16), np.float32)]
    said = learn([(flat, np.ones((16, 16), np.float32))] * 2)(flat)
    assert np.isfinite(said).all()
    assert (said > 0.9).all()


def test_an_object_that_is_half_hidden_is_looked_at_as_large_as_it_was_shown() -> None:
    image = np.zeros((*SHAPE, 3), np.uint8)
    prior = np.zeros(SHAPE, np.float32)
    prior[60:80, 90:100] = 1
    usual, wide = Crop.around(image, prior), Crop.around(image, prior, (20, 40))
    assert usual is not None
    assert wide is not None
    assert wide.rows == usual.rows
    assert wide.columns.start <= 90 - 30
    assert wide.columns.stop >= 100 + 30


def frame(index: int) -> tuple[Image, Mask]:
    """A red block that goes right, with a blue one that touches it and goes along."""
    random = np.random.default_rng(index)
    image = cv2.GaussianBlur(random.integers(60, 180, (*SHAPE, 1)).astype(np.uint8), (0, 0), 2)
    image = image[..., None].repeat(3, axis=2)
    mask = np.zeros(SHAPE, np.uint8)
    left = 40 + 3 * index
    mask[50:95, left : left + 40] = 1
    image[mask > 0] = (190, 60, 50)
    image[50:95, left + 40 : left + 70] = (50, 60, 190)
    return image, mask


class Layered:
    """A network to which both blocks stand out; its layers know red from blue.

    layered: whether it says so. only_red: whether its map knows that, too. least: how colourful a
    thing is that stands out. looks: how often its layers were asked for.
    """

    def __init__(self, *, layered: bool, only_red: bool = False, least: int = 60) -> None:
        self.layered, self.looks = layered, 0
        self._only_red, self._least = only_red, least

    def rough(self, image: Image, *, size: int) -> Layer:
        """See `SalientNetwork.rough`."""
        assert size in (saliency.SIZE_PX, saliency.CLOSE_PX)
        spread = image.max(axis=2).astype(int) - image.min(axis=2)
        if self._only_red:
            spread = image[..., 0].astype(int) - image[..., 2]
        return np.where(spread > self._least, np.float32(0.95), np.float32(0.03))

    def describe(self, image: Image, *, size: int, deeper: bool) -> tuple[Layer, list[Layer]]:
        """See `SalientNetwork.describe`."""
        assert self.layered, "it has no layers"
        assert deeper
        self.looks += 1
        small = cv2.resize(image, (size // 2, size // 2), interpolation=cv2.INTER_AREA)
        fine = small.astype(np.float32).transpose(2, 0, 1) / 255
        coarse = fine[:, 2::4, 2::4].copy()
        return self.rough(image, size=size), [fine, coarse]


@pytest.mark.parametrize("layered", [True, False])
def test_with_several_masks_the_layers_are_heard_where_there_are_some(*, layered: bool) -> None:
    network = Layered(layered=layered)
    propagator = open_propagator("builtin", num_objects=1, network=network)
    for index in (0, 6):
        propagator.remember(*frame(index))
    propagator.step(*frame(0))
    for index in (1, 2, 3):
        found = propagator.step(frame(index)[0])
        assert overlap(found[1] > 0.5, frame(index)[1] > 0) > 0.9
    assert network.looks == (2 + 3 if layered else 0), "two masks, and every frame"


def test_with_one_mask_the_layers_are_not_asked() -> None:
    network = Layered(layered=True)
    propagator = open_propagator("builtin", num_objects=1, network=network)
    propagator.remember(*frame(0))
    propagator.step(*frame(0))
    for index in (1, 2, 3):
        propagator.step(frame(index)[0])
    assert network.looks == 0


@pytest.mark.parametrize("ahead", [6, -6], ids=["between two masks", "beyond both"])
def test_the_map_is_heard_beside_the_layers_only_beyond_the_masks(ahead: int) -> None:
    found = []
    for least in (60, 250):  # to one of the networks nothing stands out
        network = Layered(layered=True, only_red=True, least=least)
        propagator = open_propagator("builtin", num_objects=1, network=network)
        assert isinstance(propagator, SelectiveMemory)
        for index in (0, 6):
            propagator.remember(*frame(index))
        propagator.attend({0: 0, 1: ahead})
        propagator.step(*frame(0))
        propagator.step(frame(1)[0])
        propagator.step(frame(2)[0])
        assert isinstance(propagator, ResumableWalk)
        state = propagator.walk_state()
        assert state is not None
        # the soft masks: at the source's size nearly all is surely one or the other
        found.append(state["walk"]["objects"])
    assert np.array_equal(*found) == (ahead > 0)


class Misled(Layered):
    """A network whose layers look otherwise on every frame than on the given masks' frames."""

    def describe(self, image: Image, *, size: int, deeper: bool) -> tuple[Layer, list[Layer]]:
        """See `SalientNetwork.describe`."""
        found, layers = super().describe(image, size=size, deeper=deeper)
        return found, layers if self.looks <= 2 else [1 - layer for layer in layers]


def test_near_a_mask_layers_that_learned_from_one_far_away_are_heard_less() -> None:
    kept = []
    for ahead in (30, 300):
        propagator = open_propagator("builtin", num_objects=1, network=Misled(layered=True))
        assert isinstance(propagator, SelectiveMemory)
        for index in (0, 6):
            propagator.remember(*frame(index))
        propagator.attend({0: 0, 1: ahead})
        propagator.step(*frame(0))
        image, truth = frame(1)
        kept.append(overlap(propagator.step(image)[1] > 0.5, truth > 0))
    assert kept[1] > 0.99 > kept[0]
    assert counts_near(0, 30) == counts_near(500, 30) == 1
    assert counts_near(0, 300) == pytest.approx(0.4)
    assert counts_near(30, 300) == pytest.approx(1 - 0.6 * np.exp(-1))
