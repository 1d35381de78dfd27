"""Pieces that stand while their object moves are left behind, and no others."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vfx_matte.masks import Image, Mask
from vfx_matte.propagate import open_propagator
from vfx_matte.propagate.builtin.pieces import in_one_piece, without_strays

SHAPE = (144, 256)
EVERYWHERE = np.ones(SHAPE, bool)
Layer = npt.NDArray[np.float32]


def evidence(*boxes: tuple[int, int, int, int]) -> Layer:
    found = np.full(SHAPE, -2, np.float32)
    for top, bottom, left, right in boxes:
        found[top:bottom, left:right] = 2
    return found


BODY, BYSTANDER, FOOT = (20, 100, 40, 90), (40, 100, 120, 150), (110, 118, 60, 72)


def surprise(*, body: float, rest: float) -> Layer:
    found = np.full(SHAPE, rest, np.float32)
    found[:, :100] = body
    found[105:] = rest
    return found


def test_who_stands_apart_from_a_moving_object_is_left_behind_and_its_foot_is_not() -> None:
    given = evidence(BODY, BYSTANDER, FOOT)
    left = without_strays(given, EVERYWHERE, surprise(body=2.5, rest=0.3))
    assert np.array_equal(left > 0, evidence(BODY, FOOT) > 0)


@pytest.mark.parametrize(("body", "rest"), [(0.3, 0.3), (2.5, 1.5)], ids=["all stand", "all move"])
def test_where_both_do_the_same_nothing_is_left(body: float, rest: float) -> None:
    given = evidence(BODY, BYSTANDER, FOOT)
    assert np.array_equal(without_strays(given, EVERYWHERE, surprise(body=body, rest=rest)), given)


def test_what_is_joined_stays() -> None:
    given = evidence(BODY, BYSTANDER, (60, 62, 90, 120))
    assert np.array_equal(without_strays(given, EVERYWHERE, surprise(body=2.5, rest=0.3)), given)


def test_one_piece_and_specks_beside_it_are_one_piece_and_two_people_are_not() -> None:
    assert in_one_piece(np.zeros(SHAPE, np.float32))
    assert in_one_piece((evidence(BODY, FOOT) > 0).astype(np.float32))
    assert not in_one_piece((evidence(BODY, BYSTANDER) > 0).astype(np.float32))


def couple(index: int, *, apart_px: int) -> tuple[Image, Mask, Mask]:
    """Two in the same colours, the left one walks to the left: image, both, and who walks."""
    random = np.random.default_rng(3)
    ground = cv2.GaussianBlur(random.integers(60, 180, (*SHAPE, 3)).astype(np.uint8), (0, 0), 2)
    cloth = (
        cv2.GaussianBlur(random.integers(0, 255, (60, 40, 1)).astype(np.uint8), (0, 0), 1.5).astype(
            np.float32
        )
        / 4
    )
    who = np.zeros(SHAPE, np.uint8)
    for value, left in ((1, 100 - apart_px - 4 * index), (2, 140)):
        ground[40:100, left : left + 40] = (
            np.clip(np.array((150, 40, 30)) + cloth[..., None], 0, 255)
            .astype(np.uint8)
            .reshape(60, 40, 3)
        )
        who[40:100, left : left + 40] = value
    return ground, (who > 0).astype(np.uint8), (who == 1).astype(np.uint8)


@pytest.mark.parametrize("apart_px", [0, 20])
def test_a_propagator_leaves_who_parts_and_keeps_two_that_were_given_apart(apart_px: int) -> None:
    image, both, _ = couple(0, apart_px=apart_px)
    propagator = open_propagator("builtin", num_objects=1)
    propagator.remember(image, both)
    propagator.step(image, both)
    for index in range(1, 8):
        found = propagator.step(couple(index, apart_px=apart_px)[0])[1] > 0.5
    _, both, walks = couple(7, apart_px=apart_px)
    stays = both - walks
    assert found[walks > 0].mean() > 0.9
    assert (found[stays > 0].mean() < 0.1) == (apart_px == 0)
    assert (found[stays > 0].mean() > 0.9) == (apart_px > 0)
