"""How far the network is believed in a clip: as far as it helps on the references, and not
beyond.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vfx_matte.masks import Image, Mask
from vfx_matte.propagate import SelectiveMemory, open_propagator
from vfx_matte.propagate.builtin import neighbours
from vfx_matte.propagate.builtin import propagator as builtin_propagator
from vfx_matte.propagate.builtin.appearance import Reference
from vfx_matte.propagate.builtin.codebook import SmallFrame
from vfx_matte.propagate.builtin.network import saliency
from vfx_matte.propagate.builtin.network.calibration import network_share

SHAPE = (144, 192)
Layer = npt.NDArray[np.float32]


def frame(index: int, *, colorful: bool) -> tuple[Image, Layer]:
    """A square that goes right, in a colour of its own or in those of the ground; its soft mask,
    float32 (144, 192).
    """
    random = np.random.default_rng(index)
    image = cv2.GaussianBlur(random.integers(60, 180, (*SHAPE, 1)).astype(np.uint8), (0, 0), 2)[
        ..., None
    ].repeat(3, axis=2)
    layer = np.zeros(SHAPE, np.float32)
    layer[50:95, 60 + 4 * index : 110 + 4 * index] = 1
    if colorful:
        image[layer > 0] = (200, 50, 40)
    return image, layer


def reference(index: int, *, colorful: bool) -> Reference:
    image, layer = frame(index, colorful=colorful)
    return Reference(SmallFrame(image), layer[None], (1,))


def word(layer: Layer) -> Layer:
    return (2 * layer - 1) * np.float32(2.9)


def share(*, colorful: bool, right: bool) -> float:
    """What is believed after two references, of a network that sees the object, or what lies beside
    it, too.
    """
    references = [reference(index, colorful=colorful) for index in (0, 3)]
    views = []
    for one in references:
        seen = one.objects[0].copy()
        if not right:
            seen[:, 20:] = np.maximum(seen[:, 20:], seen[:, :-20])
        views.append(word(seen))
    return network_share(list(zip(references, views, strict=True)), 0)


def test_it_is_believed_where_it_sees_what_colours_confuse_and_not_where_they_know_better() -> None:
    assert share(colorful=False, right=True) == 1
    assert share(colorful=True, right=False) < 0.3
    assert share(colorful=False, right=True) > share(colorful=False, right=False)


def test_one_reference_teaches_nothing_of_it() -> None:
    one = reference(0, colorful=True)
    assert network_share([], 0) == 1
    assert network_share([(one, word(1 - one.objects[0]))], 0) == 1


def test_what_another_object_holds_does_not_count() -> None:
    pairs = []
    for index in (0, 3):
        image, layer = frame(index, colorful=True)
        other = np.zeros_like(layer)
        other[:, 20:] = np.maximum(layer[:, :-20] - layer[:, 20:], 0)
        alone, both = (
            Reference(SmallFrame(image), np.stack([layer, second]), (1, 2))
            for second in (np.zeros_like(other), other)
        )
        pairs.append((alone, both, word(np.maximum(layer, other))))
    alone = network_share([(one, view) for one, _, view in pairs], 0)
    assert network_share([(both, view) for _, both, view in pairs], 0) > alone


class TakesMore:
    """A network that surely takes a grey thing below the object for a part of it."""

    def __init__(self) -> None:
        self.looks, self.sizes = 0, set[int]()

    def rough(self, image: Image, *, size: int) -> Layer:
        self.sizes.add(size)
        self.looks += 1
        apart = image.max(axis=2).astype(int) - image.min(axis=2) > 60
        bright = image.min(axis=2) > 215
        return np.where(apart | bright, np.float32(0.97), np.float32(0.02))


def scene(index: int) -> tuple[Image, Mask]:
    image, layer = frame(index, colorful=True)
    image[95:115, 60 + 4 * index : 110 + 4 * index] = 235
    return image, layer.astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2])
def test_with_two_references_a_propagator_does_not_listen_to_what_is_wrong_on_both(
    count: int,
) -> None:
    network = TakesMore()
    found = []
    for helper in (network, None):
        propagator = open_propagator("builtin", num_objects=1, network=helper)
        assert isinstance(propagator, SelectiveMemory)
        for index in (0, 8)[:count]:
            propagator.remember(*scene(index))
        propagator.attend(dict(zip(range(count), (0, 8), strict=False)))
        for index in range(3):
            image, truth = scene(index)
            probabilities = propagator.step(image, truth if index == 0 else None)
        found.append(probabilities)
    assert network.sizes == {saliency.CLOSE_PX if count == 2 else saliency.SIZE_PX}
    assert network.looks == (3 if count == 2 else 2), (
        "at a frame, and at several references, or at the given mask of the walk, where it counts"
    )
    assert np.array_equal(*found) == (count == 2)


class Knows:
    """A network that sees the object, which has the colours of the ground, by a mark that nobody
    else looks at.
    """

    def __init__(self) -> None:
        self.looks = 0

    def rough(self, image: Image, *, size: int) -> Layer:
        self.looks += 1
        assert size in (saliency.SIZE_PX, saliency.CLOSE_PX)
        return np.where(
            image[..., 0].astype(int) > image[..., 2], np.float32(0.97), np.float32(0.02)
        )


@pytest.mark.parametrize("count", [1, 2])
def test_where_it_proves_its_worth_it_looks_in_every_frame(count: int) -> None:
    def camouflaged(index: int) -> tuple[Image, Mask]:
        image, layer = frame(index, colorful=False)
        image[..., 0][layer > 0] += 1
        return image, layer.astype(np.uint8)

    network, steps = Knows(), 4
    propagator = open_propagator("builtin", num_objects=1, network=network)
    for index in (0, 5)[:count]:
        propagator.remember(*camouflaged(index))
    propagator.step(*camouflaged(0))
    for index in range(1, 1 + steps):
        propagator.step(camouflaged(index)[0])
    at_masks = 1 + (
        0 if count == 1 else 2
    )  # the walk's, and several references to be calibrated by
    assert network.looks == at_masks + (steps // saliency.LOOKS_EVERY if count == 1 else steps)


@pytest.mark.parametrize("shows_all", [True, False])
def test_past_the_middle_to_the_next_reference_it_looks_less_often(*, shows_all: bool) -> None:
    """But for objects that no other walk brings."""

    def camouflaged(index: int) -> tuple[Image, Mask]:
        image, layer = frame(index, colorful=False)
        image[..., 0][layer > 0] += 1
        mask = layer.astype(np.uint8)
        if index == 0 or shows_all:
            mask[:20, :20] = 2
        return image, mask

    network = Knows()
    propagator = open_propagator("builtin", num_objects=2, network=network)
    assert isinstance(propagator, SelectiveMemory)
    for index in (0, 8):
        propagator.remember(*camouflaged(index))
    propagator.attend({0: 0, 1: 8})
    propagator.step(*camouflaged(0))
    looks = []
    for index in range(1, 8):
        propagator.step(camouflaged(index)[0])
        looks.append(network.looks)
    # frames 2, 3, 4, and beyond the middle 5; the next would be 9
    assert np.diff(looks).tolist() == [1, 1, 1, 1, *((0, 0) if shows_all else (1, 1))]


def test_past_the_middle_every_other_pixel_is_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    matched: list[int] = []

    def watched(*arguments: Any, every: int) -> Any:  # noqa: ANN401
        matched.append(every)
        return neighbours.neighbour_evidence(*arguments, every=every)

    monkeypatch.setattr(builtin_propagator, "neighbour_evidence", watched)
    propagator = open_propagator("builtin", num_objects=1)
    assert isinstance(propagator, SelectiveMemory)
    for index in (0, 6):
        propagator.remember(*scene(index))
    propagator.attend({0: 0, 1: 6})
    propagator.step(*scene(0))
    for index in range(1, 6):
        propagator.step(scene(index)[0])
    assert matched == [1, 1, 1, 2, 2]


def test_a_walk_that_goes_on_to_a_reference_is_not_calibrated_as_one_that_leads_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that was stopped between them begins with the second one."""
    learned: list[dict[int, int] | None] = []
    real = builtin_propagator.BuiltinPropagator._calibrate

    def watched(self: builtin_propagator.BuiltinPropagator) -> None:
        learned.append(self._attended)
        real(self)

    monkeypatch.setattr(builtin_propagator.BuiltinPropagator, "_calibrate", watched)
    propagator = open_propagator("builtin", num_objects=1, network=Knows())
    assert isinstance(propagator, SelectiveMemory)
    for index in (2, 8):
        propagator.remember(*scene(index))
    walks = {0: 0, 1: -6}, {0: 0, 1: 6}, {0: 6, 1: 0}, {0: -6, 1: 0}
    for walk in walks:
        propagator.attend(walk)
        propagator.step(*scene(2))
    assert learned == [walks[0], walks[1], walks[3]]
