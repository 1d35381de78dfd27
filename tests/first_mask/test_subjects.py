"""Subjects of a picture and of its mirror image become one list, each of its own pieces."""

from __future__ import annotations

import numpy as np

from vfx_matte.first_mask.marks import Probability
from vfx_matte.first_mask.subjects import _averaged

SHAPE = (40, 60)


def patches(*boxes: tuple[int, int, int, int], value: float = 0.99) -> Probability:
    found = np.zeros(SHAPE, np.float32)
    for top, left, bottom, right in boxes:
        found[top:bottom, left:right] = value
    return found


WOMAN, DOG, FOOT = (2, 2, 34, 14), (20, 34, 34, 54), (36, 4, 39, 12)


def test_a_piece_of_another_subject_does_not_join() -> None:
    # the picture shows two subjects, its mirror image takes them for one; 0.99 and 0.02 are a mean
    # above a half
    alone = np.maximum(patches(WOMAN), patches(DOG, value=0.02))
    both = patches(WOMAN, DOG)
    (woman, _), (dog, _) = _averaged([(alone, 0.9), (patches(DOG), 0.8)], [(both, 0.7)])
    assert np.array_equal(woman > 0.5, patches(WOMAN) > 0.5)
    assert np.array_equal(dog > 0.5, patches(DOG) > 0.5)


def test_a_piece_that_both_see_stays() -> None:
    one, other = patches(WOMAN, FOOT), patches(WOMAN, FOOT, value=0.8)
    ((found, score),) = _averaged([(one, 0.9)], [(other, 0.7)])
    assert np.array_equal(found > 0.5, patches(WOMAN, FOOT) > 0.5)
    assert score == 0.8


def test_subjects_that_one_alone_sees_stay_as_they_are() -> None:
    found = _averaged([(patches(WOMAN), 0.9)], [(patches(DOG), 0.7)])
    assert [score for _, score in found] == [0.9, 0.7]
    assert np.array_equal(found[1][0], patches(DOG))
