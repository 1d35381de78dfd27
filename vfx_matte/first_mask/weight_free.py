"""First masks without trained weights.

Takes one picture and marks, gives masks by colours and a graph cut.
"""

from __future__ import annotations

import numpy as np

from vfx_matte.first_mask.corrections import LogOdds, log_odds
from vfx_matte.first_mask.graph_cut import cut_near, object_at, object_in_box
from vfx_matte.first_mask.maker import Maker, State
from vfx_matte.first_mask.marks import Answer, Box, Click, Probability
from vfx_matte.first_mask.witnesses import Crop
from vfx_matte.masks import Image

_CONFIDENCE = 0.4  # colours alone are seldom right at once: docs/first_mask.md
_SURE = 0.9  # how far a cut is believed: a mark near by may turn it


class WeightFreeFirstMask(Maker):
    """First masks of one picture by GrabCut; marks change them as they change learned ones, by
    colours and distance alone.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        is_part: clicks and strokes mean a part of something, told from the rest by its colours.
    """

    def __init__(self, image: Image, *, is_part: bool = False) -> None:
        super().__init__(image)
        self._is_part = is_part

    def subjects(self) -> list[Answer]:
        """Colours alone do not say what a subject is: none."""
        return []

    def _from_box(self, box: Box) -> State:
        within = Crop.around(box, 0, width=self._width, height=self._height)
        return self._settled(self._believed(object_in_box(self._image, box)), [], within=within)

    def _from_click(self, first: Click) -> State:
        if self._is_part:
            found = cut_near(self._image, first.x, first.y).astype(np.float32)
        else:
            found = object_at(self._image, first.x, first.y)
        return self._corrected(self._settled(self._believed(found), [], at=first), first)

    def _judged(self, state: State) -> tuple[float, str]:
        made = (
            "a part is told from the rest by its colours alone"
            if self._is_part
            else "colours alone made this mask"
        )
        advice = f"{made}: look at it, and mark what is missing and what is too much"
        return (_CONFIDENCE if state.mask.any() else 0.0), advice

    def _believed(self, found: Probability) -> LogOdds:
        return log_odds((1 - _SURE + (2 * _SURE - 1) * found).astype(np.float32))
