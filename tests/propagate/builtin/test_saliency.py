"""What the built-in propagator makes of a network: it helps where it means the object, and is not
heard where it does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.masks import Image, Mask
from vfx_matte.propagate import Foresighted, Witnessed, open_propagator
from vfx_matte.propagate.builtin import propagator as builtin
from vfx_matte.propagate.builtin.network import saliency as builtin_salient
from vfx_matte.propagate.builtin.network.saliency import (
    network_errors,
    salient_evidence,
    view_object,
    view_overlap,
)
from vfx_matte.propagate.confidence import Agreement, witnessed_overlap

SHAPE = (144, 192)
LENGTH = 7
WEIGHTS = Path(__file__).parents[3] / "../shared/weights/u2netp.onnx"

Layer = npt.NDArray[np.float32]


class Saying:
    """A network that says what a function of the picture says.

    shown: the shapes that it was shown.
    """

    def __init__(self, word: Callable[[Image], npt.NDArray[np.bool_]]) -> None:
        self._word = word
        self.shown: list[tuple[int, ...]] = []

    def rough(self, image: Image, *, size: int) -> Layer:
        """See `SalientNetwork.rough`."""
        assert size == builtin_salient.SIZE_PX
        self.shown.append(image.shape)
        return np.where(self._word(image), np.float32(0.9), np.float32(0.05))


def colorful(image: Image) -> npt.NDArray[np.bool_]:
    """Whatever is no shade of grey."""
    return image.max(axis=2).astype(int) - image.min(axis=2) > 60


def corner(image: Image) -> npt.NDArray[np.bool_]:
    """A thing in the upper left corner of what is shown."""
    found = np.zeros(image.shape[:2], bool)
    found[: len(found) // 4, : found.shape[1] // 4] = True
    return found


def box(top: int, bottom: int, left: int, right: int, shape: tuple[int, int] = SHAPE) -> Layer:
    layer = np.zeros(shape, np.float32)
    layer[top:bottom, left:right] = 1
    return layer


def meadow() -> Image:
    random = np.random.default_rng(3)
    return cv2.GaussianBlur(random.integers(60, 180, (*SHAPE, 1)).astype(np.uint8), (0, 0), 2)[
        ..., None
    ].repeat(3, axis=2)


def test_it_looks_at_the_object_and_a_quarter_around_it_at_full_size() -> None:
    image = np.zeros((288, 384, 3), np.uint8)
    image[80:160, 100:196] = (200, 40, 40)
    network = Saying(colorful)
    seen = view_object(network, image, box(40, 80, 50, 98))
    assert network.shown == [(120, 144, 3)], (
        "a box of 80 × 96 pixels and a quarter of it on each side"
    )
    assert (seen[45:75, 55:95] > 2.5).all()
    assert (seen[31:38, 40:108] < -2.5).all()
    assert not seen[:28].any()
    assert not seen[:, 116:].any()
    assert seen.dtype == np.float32


def test_it_does_not_look_where_nothing_is_and_knows_the_edge_of_the_picture() -> None:
    network = Saying(colorful)
    assert not view_object(network, meadow(), box(0, 0, 0, 0)).any()
    assert network.shown == []
    for corner in (box(0, 6, 0, 1), box(143, 144, 190, 192), box(0, 144, 0, 192)):
        assert view_object(network, meadow(), corner).shape == SHAPE


def test_who_means_something_else_or_is_unsure_is_not_heard() -> None:
    prior, nobody = box(40, 80, 50, 100), np.zeros(SHAPE, np.float32)

    def seen(layer: Layer, *, odds: float = 2.9) -> Layer:
        return np.where(
            box(20, 110, 30, 140) > 0, (2 * layer - 1) * np.float32(odds), np.float32(0)
        )

    same = salient_evidence(seen(prior), prior, nobody)
    assert same.max() > 2.8, "it is heard in full"
    assert same.min() < -2.8
    grown = salient_evidence(seen(box(40, 100, 50, 100)), prior, nobody)
    assert grown[85:95, 55:95].min() > 2.5, "a new part is taken from it"
    assert not salient_evidence(seen(box(80, 108, 40, 135)), prior, nobody).any(), "a bystander"
    assert np.abs(salient_evidence(seen(prior, odds=0.4), prior, nobody)).max() < 0.2, (
        "it does not know"
    )


def test_nothing_is_said_of_pixels_of_another_object() -> None:
    prior, other = box(40, 80, 50, 75), box(40, 80, 75, 100)
    seen = np.where(
        box(20, 110, 30, 140) > 0, (2 * (prior + other) - 1) * np.float32(2.9), np.float32(0)
    )
    evidence = salient_evidence(seen, prior, other)
    assert not evidence[other > 0].any()
    assert evidence[prior > 0].min() > 2.5


def walker(index: int, *, leg: bool) -> tuple[Image, Mask]:
    """A red body that goes right, and a leg of the ground's colours but green that comes out of it
    from frame 2 on.
    """
    image, mask = meadow(), np.zeros(SHAPE, np.uint8)
    left = 60 + 3 * index
    image[40:80, left : left + 40], mask[40:80, left : left + 40] = (200, 50, 40), 1
    if leg and index > 1:
        low = 80 + min(6 * (index - 1), 30)
        image[80:low, left + 12 : left + 26], mask[80:low, left + 12 : left + 26] = (60, 150, 60), 1
    return image, mask


def overlaps(network: Saying | None, draw: Callable[[int], tuple[Image, Mask]]) -> list[float]:
    propagator = open_propagator("builtin", num_objects=1, network=network)
    propagator.remember(*draw(0))
    found = []
    for index in range(LENGTH):
        image, truth = draw(index)
        mask = propagator.step(image, truth if index == 0 else None)[1] > 0.5
        found.append(np.count_nonzero(mask & (truth > 0)) / np.count_nonzero(mask | (truth > 0)))
    return found


def test_a_part_of_a_new_colour_that_turns_up_is_found() -> None:
    without, helped = (
        overlaps(one, lambda index: walker(index, leg=True)) for one in (None, Saying(colorful))
    )
    assert helped[-1] > 0.9
    assert helped[-1] > without[-1] + 0.04, "the leg"


def test_a_network_that_is_wrong_does_no_harm() -> None:
    def elsewhere(image: Image) -> npt.NDArray[np.bool_]:
        place = np.zeros(image.shape[:2], bool)
        place[: image.shape[0] // 5] = True
        return place

    without, misled = (
        overlaps(one, lambda index: walker(index, leg=False)) for one in (None, Saying(elsewhere))
    )
    assert min(misled) > min(without) - 0.01


def test_two_that_touch_are_seen_as_one_thing_and_stay_two() -> None:
    def pair(index: int) -> tuple[Image, Mask]:
        image, mask = meadow(), np.zeros(SHAPE, np.uint8)
        left = 50 + 3 * index
        image[40:90, left : left + 30], mask[40:90, left : left + 30] = (200, 50, 40), 1
        image[40:90, left + 30 : left + 60], mask[40:90, left + 30 : left + 60] = (40, 60, 210), 2
        return image, mask

    network = Saying(colorful)
    propagator = open_propagator("builtin", num_objects=2, network=network)
    propagator.remember(*pair(0))
    for index in range(LENGTH):
        image, truth = pair(index)
        found = propagator.step(image, truth if index == 0 else None).argmax(axis=0)
        assert all((found[truth == k] == k).mean() > 0.95 for k in (1, 2)), index
    looks = 2 + (LENGTH - 1) // builtin_salient.LOOKS_EVERY
    assert len(network.shown) == looks, "one at each given mask, then one in two frames, in turn"


@pytest.mark.slow
@pytest.mark.parametrize("objects", [1, 2])
def test_who_knows_the_next_frame_makes_the_same_masks_and_looks_before_the_step(
    objects: int,
) -> None:
    def scene(index: int) -> tuple[Image, Mask]:
        image, mask = walker(index, leg=True)
        image[90:120, 20:50] = (40, 60, 210)
        mask[90:120, 20:50] = objects
        return image, mask

    def masks(*, foresees: bool, misled: bool = False) -> tuple[list[Layer], Saying]:
        network = Saying(colorful)
        propagator = open_propagator("builtin", num_objects=objects, network=network)
        assert isinstance(propagator, Foresighted)
        images = [scene(index)[0] for index in range(LENGTH)]
        found = []
        for index, image in enumerate(images):
            if foresees and index + 1 < LENGTH:
                propagator.foresee(images[0 if misled and index % 3 == 0 else index + 1])
            found.append(
                propagator.step(
                    image, scene(0)[1] if index == 0 else None, last=index + 1 == LENGTH
                )
            )
        return found, network

    blind, _ = masks(foresees=False)
    for misled in (False, True):
        found, network = masks(foresees=True, misled=misled)
        assert all(np.array_equal(one, other) for one, other in zip(blind, found, strict=True)), (
            misled
        )
        looks = (
            objects + (LENGTH - 1) // builtin_salient.LOOKS_EVERY
        )  # at the given masks, and at one in every second frame
        assert misled or len(network.shown) == looks, "nothing is looked at twice"


def test_the_network_looks_at_a_foreseen_frame_while_the_caller_has_the_one_before() -> None:
    looked = threading.Event()

    def noting(image: Image) -> npt.NDArray[np.bool_]:
        looked.set()
        return colorful(image)

    propagator = open_propagator("builtin", num_objects=1, network=Saying(noting))
    assert isinstance(propagator, Foresighted)
    image, mask = walker(0, leg=False)
    propagator.foresee(walker(1, leg=False)[0])
    propagator.step(image, mask)
    assert looked.wait(timeout=30)


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the network's file is not beside the project")
def test_the_real_network_gives_the_same_bytes_on_one_core_and_on_two() -> None:
    image, mask = walker(4, leg=True)
    prior, before = (mask > 0).astype(np.float32), cv2.getNumThreads()
    try:
        found = []
        for threads in (1, 2, 2):
            cv2.setNumThreads(threads)
            found.append(view_object(SalientNetwork(WEIGHTS), image, prior))
    finally:
        cv2.setNumThreads(before)
    assert found[0].any()
    assert all(np.array_equal(found[0], one) for one in found[1:])


def test_agreement_is_the_overlap_of_mask_and_sight_where_nothing_else_is() -> None:
    seen = np.where(box(20, 60, 20, 60) > 0, np.float32(2.9), np.float32(-2.9))
    nobody = np.zeros(SHAPE, np.float32)
    assert view_overlap(seen, box(20, 60, 20, 60), nobody) == 1
    assert view_overlap(seen, box(20, 40, 20, 60), nobody) == 0.5
    assert view_overlap(seen, box(20, 40, 20, 60), box(40, 60, 20, 60)) == 1, (
        "the other half is another object"
    )
    assert view_overlap(np.zeros(SHAPE, np.float32), box(20, 60, 20, 60), nobody) == 1, (
        "it did not look"
    )


def test_a_step_tells_how_far_the_network_saw_its_result_and_not_of_a_given_mask() -> None:
    mask = box(40, 90, 60, 110).astype(np.uint8)
    image = meadow()
    image[mask > 0] = (200, 40, 40)
    words: list[Callable[[Image], npt.NDArray[np.bool_]]] = [colorful]
    with_network = open_propagator(
        "builtin",
        num_objects=1,
        network=Saying(lambda picture: words[0](picture)),  # noqa: PLW0108  what it says changes
    )
    without = open_propagator("builtin", num_objects=1)
    for propagator in (with_network, without):
        assert isinstance(propagator, Witnessed)
        propagator.step(image, mask)
    assert with_network.agreement == (Agreement(1.0, 1.0),)
    for propagator in (with_network, without):
        propagator.step(image)
    assert without.agreement is not None
    assert without.agreement[0].seen == 1, "there is no network"
    assert without.agreement[0].kept > 0.95, "nothing moved"
    assert with_network.agreement is not None
    assert with_network.agreement[0].seen > 0.9
    words[0] = corner
    for _ in range(builtin_salient.LOOKS_EVERY):
        with_network.step(image)
    assert with_network.agreement[0].seen < 0.3


def test_a_step_tells_how_much_of_the_mask_that_the_flow_brought_it_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segment = builtin._segment

    def upper_part(*arguments: Any, **options: Any) -> tuple[Layer, Layer]:  # noqa: ANN401
        objects, unchanged = segment(*arguments, **options)
        objects[:, 60:] = 0
        return objects, unchanged

    monkeypatch.setattr(builtin, "_segment", upper_part)
    propagator = open_propagator("builtin", num_objects=1)
    assert isinstance(propagator, Witnessed)
    propagator.step(*walker(0, leg=False))
    propagator.step(walker(1, leg=False)[0])
    assert propagator.agreement is not None
    assert propagator.agreement[0].kept == pytest.approx(0.5, abs=0.05), (
        "the rows from 60 on of 40 to 80 are gone"
    )


def test_a_step_tells_how_much_of_the_mask_lies_where_the_background_still_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segment = builtin._segment

    def flooded(*arguments: Any, **options: Any) -> tuple[Layer, Layer]:  # noqa: ANN401
        objects, unchanged = segment(*arguments, **options)
        objects[0, 100:125, 60:110] = 1
        return objects, unchanged

    mask = box(40, 90, 60, 110).astype(np.uint8)
    image = meadow()
    image[mask > 0] = (200, 40, 40)
    found = []
    for leaks in (False, True):
        if leaks:
            monkeypatch.setattr(builtin, "_segment", flooded)
        propagator = open_propagator("builtin", num_objects=1)
        assert isinstance(propagator, Witnessed)
        propagator.step(image, mask)
        propagator.step(image)
        assert propagator.agreement is not None
        found.append(propagator.agreement[0].founded)
    assert found[0] > 0.98, "nothing changed"
    assert found[1] == pytest.approx(2 / 3, abs=0.03), "a third of it is a part of the meadow"


def test_what_the_network_says_wrongly_of_a_given_mask_is_its_misses_and_its_false_alarms() -> None:
    nobody, own = np.zeros(SHAPE, np.float32), box(40, 90, 60, 110)
    sees = np.where(box(40, 70, 60, 150) > 0, np.float32(2.9), np.float32(-2.9))
    wrong = network_errors(sees, own, nobody)
    assert wrong[80, 80] == pytest.approx(-2.9), "a part that it does not see"
    assert wrong[50, 140] == pytest.approx(2.9), "a thing beside that it takes for a part"
    assert not wrong[50:60, 70:100].any()
    assert not wrong[110:].any()
    coarse = np.where(box(40, 90, 60, 112) > 0, np.float32(2.9), np.float32(-2.9))
    assert not network_errors(coarse, own, nobody).any(), "an edge that it sees less finely"
    assert not network_errors(sees, own, box(40, 70, 110, 150))[45:65, 120:].any(), (
        "that is another object"
    )
    assert not network_errors(nobody, own, nobody).any(), "it did not look"


def test_the_network_is_not_heard_where_it_is_wrong_nor_of_background_that_is_still_there() -> None:
    nobody, prior = np.zeros(SHAPE, np.float32), box(40, 90, 60, 110)
    sees = np.where(box(40, 85, 60, 115) > 0, np.float32(2.9), np.float32(-2.9))
    plain = salient_evidence(sees, prior, nobody)
    below, beside = box(85, 90, 60, 110) > 0, box(40, 85, 110, 115) > 0
    wrong = np.where(below, np.float32(-2.9), np.float32(0)) + np.where(
        beside, np.float32(1), np.float32(0)
    )
    checked = salient_evidence(sees, prior, nobody, wrong=wrong)
    assert not checked[below].any()
    assert np.allclose(checked[beside], plain[beside] - 1)
    assert np.array_equal(checked[~below & ~beside], plain[~below & ~beside])
    assert np.array_equal(salient_evidence(sees, prior, nobody, wrong=-wrong), plain), (
        "now it says something else"
    )
    still = salient_evidence(sees, prior, nobody, unchanged=(beside | below).astype(np.float32))
    assert not still[beside].any()
    assert np.array_equal(still[~beside], plain[~beside]), "what it does not take for the object"


def test_a_part_that_the_network_does_not_see_in_a_given_mask_stays() -> None:
    mask = (box(40, 95, 60, 110) + box(97, 110, 60, 110)).astype(np.uint8)
    image = meadow()
    image[40:95, 60:110] = (200, 40, 40)
    image[97:110, 60:110] += 10  # shoes that are little lighter than the meadow, and not colourful
    propagator = open_propagator("builtin", num_objects=1, network=Saying(colorful))
    propagator.step(image, mask)
    for _ in range(LENGTH):
        found = propagator.step(image)[1]
    assert (found[98:109, 62:108] > 0.5).mean() > 0.7


def test_a_network_that_changes_its_mind_does_not_make_an_object_of_the_table_beside_it() -> None:
    mask = box(20, 90, 60, 130).astype(np.uint8)
    image = meadow()
    image[85:130, 20:170] = (190, 170, 120)
    image[20:90, 60:130] = (200, 40, 40)
    image[55:90, 60:130] = (195, 165, 125)  # an apron, near the table's colour
    sees_the_table = False

    def word(picture: Image) -> npt.NDArray[np.bool_]:
        anything = picture.max(axis=2).astype(int) - picture.min(axis=2) > 30
        return anything if sees_the_table else picture[..., 1] < 50

    propagator = open_propagator("builtin", num_objects=1, network=Saying(word))
    for index in range(2 * LENGTH):
        found = propagator.step(image, mask if index == 0 else None)[1]
        sees_the_table = index > 0
    assert (found > 0.5).sum() < 1.1 * mask.sum()


def test_witnesses_that_have_something_else_cost_confidence_but_not_all_of_it() -> None:
    mask = box(40, 90, 60, 110).astype(np.uint8)
    probabilities = np.stack([1.0 - mask, mask]).astype(np.float32)
    assert witnessed_overlap(probabilities, mask, None) == (1.0,)
    assert witnessed_overlap(probabilities, mask, (Agreement(),)) == (1.0,)
    assert witnessed_overlap(probabilities, mask, (Agreement(seen=0.4),)) == (pytest.approx(0.91),)
    assert witnessed_overlap(probabilities, mask, (Agreement(kept=0.5),)) == (pytest.approx(0.7),)
    assert witnessed_overlap(probabilities, mask, (Agreement(founded=0.7),)) == (
        pytest.approx(0.7),
    )
    assert witnessed_overlap(probabilities, mask, (Agreement(0.5, 0.4),)) == (
        pytest.approx(0.7 * 0.91),
    )
