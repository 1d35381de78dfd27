"""First masks without trained weights, by colours and a graph cut."""

from __future__ import annotations

from functools import cache

import numpy as np

from vfx_matte.first_mask.base import BaseFirstMask, State
from vfx_matte.first_mask.corrections import LogOdds, log_odds
from vfx_matte.first_mask.crop_maps import Crop
from vfx_matte.first_mask.graph_cut import cut_near, object_at, object_in_box
from vfx_matte.first_mask.marks import Answer, Box, Click, Marks, Probability
from vfx_matte.masks import Image

# colours alone are seldom right at once: docs/first_mask.md
_CONFIDENCE = 0.4
# the probability inside of a cut; more, and a mark near by could not turn it
_SURE = 0.9
_TINY_PX = 48


class WeightFreeFirstMask(BaseFirstMask):
    """First masks of one picture by GrabCut; marks change them as they change learned ones, by
    colours and distance alone.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        is_part: clicks and strokes mark a part of something, which its colours tell from the rest.
    """

    def __init__(self, image: Image, *, is_part: bool = False) -> None:
        super().__init__(image)
        self._is_part = is_part

    def subjects(self) -> list[Answer]:
        """None: colours alone do not tell what a subject is."""
        return []

    def prepare(self) -> None:
        """Compute ahead; see `FirstMask.prepare`."""
        super().prepare()
        _load()

    def _from_box(self, box: Box) -> State:
        within = Crop.around(box, 0, width=self._width, height=self._height)
        return self._state_of(self._odds_of(object_in_box(self._image, box)), [], within=within)

    def _from_click(self, first: Click) -> State:
        if self._is_part:
            found = cut_near(self._image, first.x, first.y).astype(np.float32)
        else:
            found = object_at(self._image, first.x, first.y)
        return self._correct(self._state_of(self._odds_of(found), [], at=first), first)

    def _confidence_of(self, state: State) -> tuple[float, str]:  # noqa: ARG002  any is as unsure
        reason = (
            "a part is told from the rest by its colours alone"
            if self._is_part
            else "this mask is made by colours alone"
        )
        advice = f"{reason}: look at it, and mark what is missing and what is too much"
        return _CONFIDENCE, advice

    def _odds_of(self, found: Probability) -> LogOdds:
        """Log odds of a cut, between those of 1 − _SURE and _SURE."""
        return log_odds((1 - _SURE + (2 * _SURE - 1) * found).astype(np.float32))


@cache
def _load() -> None:
    """Have libraries loaded and OpenCV's tables of colours made, once, by a cut of a tiny picture:
    that takes a third of a second.
    """
    tiny = np.zeros((_TINY_PX, _TINY_PX, 3), np.uint8)
    tiny[_TINY_PX // 4 : _TINY_PX // 2, _TINY_PX // 4 : _TINY_PX // 2] = 200
    WeightFreeFirstMask(tiny).answer(
        Marks(clicks=tuple(Click(at, at, True) for at in (_TINY_PX // 3, _TINY_PX // 3 + 1)))
    )
