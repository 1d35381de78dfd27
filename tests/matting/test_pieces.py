"""Loose pieces and holes of mattes: what nothing joins to the subject goes, what is joined stays,
both sides alike.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples
from support.noise_masks import random_mask

from vfx_matte.errors import UsageError
from vfx_matte.masks import Matte
from vfx_matte.matting import make_matte, refine, tidied
from vfx_matte.matting.pieces import FAINT, ONE, without_loose_pieces
from vfx_matte.settings.options import MatteSettings

SEEDS = st.integers(0, 2**32 - 1)
fast = examples(40)


def both(alpha: np.ndarray, binary: np.ndarray, area: int, *, anchored: bool = True) -> np.ndarray:
    return without_loose_pieces(alpha, binary, specks_px=area, holes_px=area, anchored=anchored)


def subject() -> tuple[np.ndarray, np.ndarray]:
    """A square of 20 px in 60 × 60, as a mask and as full alpha."""
    binary = np.zeros((60, 60), np.uint8)
    binary[20:40, 20:40] = 1
    return binary.astype(np.uint16) * ONE, binary


def test_a_piece_is_joined_through_alpha_that_is_seen() -> None:
    alpha, binary = subject()
    alpha[30, 40:50] = 20000  # a hair that is thin but joined
    alpha[30, 50:56] = 30000
    alpha[10:14, 10:40] = 50000  # a fleck larger than any area, alone
    alpha[19, 41] = 9000  # another, a corner away from nothing
    alpha[45:50, 30] = FAINT  # joins nothing: it is not seen
    alpha[50, 30] = 9000
    tidy = both(alpha, binary, 50)
    wanted = alpha.copy()
    wanted[10:14, 10:40] = wanted[19, 41] = wanted[45:51, 30] = 0
    np.testing.assert_array_equal(tidy, wanted)
    assert both(alpha, binary, 0) is alpha


def test_a_piece_that_holds_mask_stays_and_a_speck_of_the_mask_does_not() -> None:
    alpha, binary = subject()
    binary[50:58, 2:12] = 1  # 80 px: another part of the subject
    binary[2:6, 2:8] = 1  # 24 px: a speck
    alpha[binary > 0] = ONE
    tidy = both(alpha, binary, 50)
    assert tidy[50:58, 2:12].all()
    assert not tidy[2:6, 2:8].any()


def test_areas_count_when_a_user_gives_them() -> None:
    alpha, binary = subject()
    binary[50:58, 2:12] = 1
    alpha[binary > 0] = ONE
    alpha[2:4, 2:7] = 30000  # 10 px without mask
    assert (both(alpha, binary, 9, anchored=False)[2:4, 2:7] == 30000).all()
    assert not both(alpha, binary, 10, anchored=False)[2:4, 2:7].any()
    assert not both(alpha, binary, 9, anchored=True)[2:4, 2:7].any()


def test_the_halo_of_what_stays_is_kept_and_that_of_a_fleck_goes() -> None:
    alpha, binary = subject()
    alpha[18:20, 20:40] = FAINT // 2
    alpha[5:8, 5:8] = FAINT // 2
    alpha[6, 6] = 40000
    tidy = both(alpha, binary, 50)
    assert (tidy[18:20, 20:40] == FAINT // 2).all()
    assert not tidy[5:8, 5:8].any()


@fast
@given(SEEDS, st.sampled_from([0, 1, 6, 40]), st.booleans())
def test_holes_are_pieces_of_the_other_side(seed: int, area: int, anchored: bool) -> None:
    """Away from the border the complement of alpha and mask gives the complement, up to how corners
    join.
    """
    rng = np.random.default_rng(seed)
    large = cv2.resize(random_mask(seed, (12, 12)), (48, 48), interpolation=cv2.INTER_NEAREST)
    binary = np.pad(large, 6)
    alpha = np.pad(
        np.rint(ONE * cv2.blur(large * rng.random((48, 48)).astype(np.float32), (2, 2))).astype(
            np.uint16
        ),
        6,
    )
    inside = without_loose_pieces(alpha, binary, specks_px=area, holes_px=0, anchored=anchored)
    outside = ONE - without_loose_pieces(
        ONE - alpha, 1 - binary, specks_px=0, holes_px=area, anchored=anchored
    )
    assert (inside <= alpha).all()
    assert (outside <= alpha).all()
    assert set(np.unique(outside - alpha)) <= set(np.unique(0 - alpha)) | {0}, (
        "a value stays or becomes full"
    )
    np.testing.assert_array_equal(
        without_loose_pieces(inside, binary, specks_px=area, holes_px=0, anchored=anchored), inside
    )


def test_what_meets_the_border_is_no_hole() -> None:
    binary = np.ones((30, 30), np.uint8)
    alpha = np.full((30, 30), ONE, np.uint16)
    alpha[0:3, 10:13] = alpha[15:18, 15:18] = 0
    tidy = both(alpha, binary, 20)
    assert not tidy[0:3, 10:13].any()
    assert (tidy[15:18, 15:18] == ONE).all()


# ---------------------------------------------------------------- through the methods


def picture() -> tuple[np.ndarray, np.ndarray]:
    """A dark disc with its mask, on a light ground with dark spots beside it that are not in the
    mask.
    """
    image, mask = np.full((200, 200, 3), (200, 190, 170), np.uint8), np.zeros((200, 200), np.uint8)
    cv2.circle(image, (100, 100), 50, (40, 50, 70), -1)
    cv2.circle(mask, (100, 100), 50, 1, -1)
    for angle in range(0, 360, 45):
        x, y = 100 + 56 * np.cos(np.radians(angle)), 100 + 56 * np.sin(np.radians(angle))
        cv2.circle(image, (round(x), round(y)), 1, (40, 50, 70), -1)
    return image, mask


def pieces(alpha: np.ndarray) -> int:
    return cv2.connectedComponents((alpha > FAINT).astype(np.uint8), connectivity=8)[0] - 1


def test_the_default_leaves_no_fleck_beside_the_subject() -> None:
    image, mask = picture()
    made = {area: make_matte(mask, image=image, settings=MatteSettings(edges="guided", band=20,
    remove_specks=area))
            for area in (0, None)}  # fmt: skip
    assert pieces(made[0].alpha) > 4, "or the scene shows nothing"
    assert pieces(made[None].alpha) == 1
    same = made[None].alpha > 0
    np.testing.assert_array_equal(made[None].alpha[same], made[0].alpha[same])


def test_a_mask_of_its_own_parts_keeps_them_with_edges_from_the_picture() -> None:
    image, mask = picture()
    mask[10:30, 10:30] = 1
    image[10:30, 10:30] = (40, 50, 70)
    alpha = make_matte(mask, image=image, settings=MatteSettings(edges="guided")).alpha
    assert (alpha[14:26, 14:26] == ONE).all()


def test_specks_and_holes_that_the_median_leaves_go_too() -> None:
    """A piece of 30 px is more than 25, what the median leaves of it is not."""
    mask = np.zeros((60, 60), np.uint8)
    mask[20:40, 20:40] = 1
    mask[5:11, 5:10] = 1
    mask[28:34, 28:33] = 0
    left = refine(mask, settings=MatteSettings(edges="median", median=5)).alpha // 255
    assert 0 < left[:15, :15].sum() <= 25
    assert 0 < (1 - left[21:39, 21:39]).sum() <= 25
    tidy = refine(
        mask, settings=MatteSettings(edges="median", median=5, remove_specks=25, fill_holes=25)
    ).alpha
    assert not tidy[:15, :15].any()
    assert tidy[21:39, 21:39].all()


def test_a_steadied_matte_is_tidied_by_the_same_rule() -> None:
    _, mask = picture()
    options = MatteSettings(edges="guided")
    alpha = mask.astype(np.uint16) * ONE
    alpha[3:6, 3:6] = 20000
    tidy = tidied(Matte(alpha), mask, settings=options)
    assert pieces(tidy.alpha) == 1
    assert (tidy.alpha[mask > 0] == ONE).all()
    assert (
        pieces(
            tidied(
                Matte(alpha), mask, settings=MatteSettings(edges="guided", remove_specks=0)
            ).alpha
        )
        == 2
    )
    assert pieces(tidied(Matte(alpha), mask, settings=MatteSettings(edges="feather")).alpha) == 2
    assert not tidied(Matte(alpha * 0), mask * 0, settings=options).alpha.any()
    small = Matte((alpha // 257).astype(np.uint8))
    np.testing.assert_array_equal(tidied(small, mask, settings=options).alpha, tidy.alpha // 257)


def test_impossible_areas_are_refused() -> None:
    with pytest.raises(UsageError, match="-2"):
        MatteSettings(remove_specks=-2)
