"""Corrections of masks that are given, as `mask --from` and the studio make them: how far a click
reaches, what several do together, and how sure the answer is.
"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.first_mask import Click, Marks, Stroke
from vfx_matte.first_mask.corrections import FeatureMap
from vfx_matte.first_mask.crop_maps import Crop
from vfx_matte.first_mask.learned import LearnedFirstMask
from vfx_matte.masks import overlap

Pixels = npt.NDArray[Any]
HEIGHT, WIDTH = 240, 320


class Brightest:
    """A network that takes what is bright for salient and sees brightness alone."""

    def probability(self, image: Pixels, *, size: int = 320) -> Pixels:  # noqa: ARG002
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return np.clip((gray - 130) / 60, 0.02, 0.98).astype(np.float32)

    rough = probability

    def describe(self, image: Pixels, *, size: int = 320) -> tuple[Pixels, list[Pixels]]:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        layers = [
            np.repeat(cv2.resize(gray, (size >> at, size >> at))[None], 64, 0) for at in (1, 2, 3)
        ]
        return self.probability(image), layers


def ellipse(x: int, y: int, across: int, down: int) -> Pixels:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(found, (x, y), (across, down), 0, 0, 360, 1, cv2.FILLED)
    return found > 0


SUBJECT = ellipse(160, 80, 50, 55)
SHADOW = ellipse(150, 175, 75, 22)  # long and low
HAND = ellipse(245, 80, 30, 18) & ~SUBJECT


def scene() -> Pixels:
    """A bright subject on a dark ground, with a shadow a little darker than the ground and a hand
    that looks like the subject.
    """
    image = np.full((HEIGHT, WIDTH, 3), (100, 102, 104), np.uint8)
    image[SHADOW] = (70, 70, 74)
    image[SUBJECT] = (225, 215, 205)
    image[HAND] = (205, 180, 160)
    noise = np.random.default_rng(3).integers(-2, 3, image.shape)
    return np.clip(image.astype(int) + noise, 0, 255).astype(np.uint8)


def changed(given: Pixels, *clicks: Click, strokes: tuple[Stroke, ...] = ()) -> Pixels:
    """What marks change."""
    maker = LearnedFirstMask(scene(), cast(SalientNetwork, Brightest()))
    answer = maker.answer(Marks(clicks=clicks, strokes=strokes), given.astype(np.float32))
    return (answer.mask > 0) != given


@pytest.mark.parametrize(
    ("given", "region", "is_object", "places"),
    [
        (SUBJECT | SHADOW, SHADOW, False, [(150, 175), (95, 175), (205, 178), (120, 185)]),
        (SUBJECT, HAND, True, [(245, 80), (228, 80), (264, 82), (240, 90)]),
    ],
    ids=["the shadow goes", "the hand comes"],
)
def test_a_click_changes_the_whole_of_what_it_is_on_wherever_on_it_it_is(
    given: Pixels, region: Pixels, is_object: bool, places: list[tuple[int, int]]
) -> None:
    found = [changed(given, Click(x, y, is_object)) for x, y in places]
    wanted = region & (given != is_object)
    for one in found:
        assert overlap(one, wanted) > 0.9
        # what was right stays
        assert np.count_nonzero(one & ~cv2.dilate(wanted.astype(np.uint8), np.ones((7, 7)))) == 0
    assert min(overlap(one, other) for one, other in combinations(found, 2)) > 0.95


def test_a_click_beside_a_head_that_the_network_does_not_see_leaves_the_head() -> None:
    """The head is as dark as the ground, and the edge to it fainter than the one to the body; but
    the body has patches of the head's colour, and the ground has none.
    """
    body, head = ellipse(170, 160, 75, 55), ellipse(120, 80, 34, 40)
    wall = ellipse(160, 70, 30, 38) & ~body & ~head
    image = np.full((HEIGHT, WIDTH, 3), (104, 104, 106), np.uint8)
    image[body] = (225, 215, 205)
    image[head & ~body | ellipse(150, 170, 25, 18) | ellipse(200, 150, 18, 25)] = (150, 88, 60)
    noise = np.random.default_rng(3).integers(-2, 3, image.shape)
    image = np.clip(image.astype(int) + noise, 0, 255).astype(np.uint8)
    given = body | head | wall
    for x, y in ((172, 62), (165, 50), (178, 75)):
        maker = LearnedFirstMask(image, cast(SalientNetwork, Brightest()))
        marks = Marks(clicks=(Click(x, y, is_object=False),))
        lost = given & ~(maker.answer(marks, given.astype(np.float32)).mask > 0)
        assert np.count_nonzero(lost & wall) > 0.8 * np.count_nonzero(wall)
        assert np.count_nonzero(lost & (head | body)) < 0.05 * np.count_nonzero(head)


def test_several_marks_do_what_each_does_alone_in_any_order() -> None:
    given = SUBJECT | SHADOW
    clicks = (Click(100, 175, False), Click(200, 176, False), Click(245, 80, True))
    alone = np.any([changed(given, one) for one in clicks], axis=0)
    for order in permutations(clicks):
        np.testing.assert_array_equal(changed(given, *order), alone)
    stroke = Stroke(((100, 175), (200, 176)), is_object=False)
    np.testing.assert_array_equal(
        changed(given, clicks[2], strokes=(stroke,)),
        changed(given, strokes=(stroke,)) | changed(given, clicks[2]),
    )


def test_a_mark_on_what_is_right_holds_it_against_another() -> None:
    given = SUBJECT | SHADOW
    held = changed(given, Click(150, 175, False), Click(210, 175, True))
    assert not held[170:180, 206:214].any()
    assert held[175, 150]


def test_a_right_mask_of_what_the_network_does_not_see_is_not_called_unsure() -> None:
    maker = LearnedFirstMask(scene(), cast(SalientNetwork, Brightest()))

    def confidence(given: Pixels) -> float:
        click = Click(150, 178, True)
        return maker.answer(Marks(clicks=(click,)), given.astype(np.float32)).confidence

    right = SHADOW & ~SUBJECT
    assert confidence(right) > 0.7
    # far too large, and across the subject's edge
    too_much = cv2.dilate(right.astype(np.uint8), np.ones((61, 61), np.uint8)) > 0
    assert confidence(too_much) < confidence(right) - 0.1


def test_a_mask_that_ends_where_looks_change_is_found_again_by_its_features() -> None:
    image = scene()
    features = FeatureMap(Crop(0, 0, WIDTH, HEIGHT), (), image)
    assert features.agreement(SUBJECT) > 0.8
    across = np.zeros((HEIGHT, WIDTH), bool)
    across[60:200, 140:170] = True
    assert features.agreement(across) < 0.6
    # a mask of everything or nothing leaves nothing to tell apart
    assert features.agreement(np.ones((HEIGHT, WIDTH), bool)) == 1.0


def test_every_place_of_a_piece_has_the_same_piece() -> None:
    features = FeatureMap(Crop(0, 0, WIDTH, HEIGHT), (), scene())
    everywhere = np.ones((HEIGHT, WIDTH), bool)
    pieces = [
        features.piece(Click(x, y), everywhere, reach_px=500)
        for x, y in ((150, 175), (95, 175), (205, 178))
    ]
    for one in pieces[1:]:
        np.testing.assert_array_equal(one, pieces[0])
    near = features.piece(Click(150, 175), everywhere, reach_px=20)
    assert 0 < np.count_nonzero(near) < np.count_nonzero(pieces[0])
    assert not (near & ~pieces[0]).any()


def test_a_tiny_mask_can_be_corrected() -> None:
    given = np.zeros((HEIGHT, WIDTH), bool)
    given[3, 3] = True
    assert changed(given, Click(160, 80, True))[80, 160]
