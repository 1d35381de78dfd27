"""The first mask of a clip: from a box, clicks, strokes or nothing.

Takes one picture and what was marked, gives a mask.
"""

from __future__ import annotations

from typing import Protocol

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.first_mask.marks import Answer, Box, Click, Marks, Point, Probability, Stroke
from vfx_matte.masks import Image

__all__ = [
    "Answer",
    "Box",
    "Click",
    "FirstMask",
    "Marks",
    "Point",
    "Probability",
    "Stroke",
    "open_first_mask",
]


class FirstMask(Protocol):
    """Finds masks in the one picture that it was opened with, and remembers what it computed for
    the next question.
    """

    def answer(self, marks: Marks, previous: Probability | None = None) -> Answer:
        """The mask of what is marked.

        Args:
            marks: at least one object mark or a box, unless `previous` is given; all that was
            marked so far.
            previous: float32 (H, W), 0 … 1: a mask to start from; marks then change it where they
            are.

        Returns:
            The answer; its mask may be empty where nothing was found.

        Raises:
            UsageError: marks outside the picture, or nothing to start from.
        """

    def subjects(self) -> list[Answer]:
        """What stands out without any mark: one answer for each subject, largest first; may be
        empty.
        """


def open_first_mask(
    image: Image, *, network: SalientNetwork | None, is_part: bool = False
) -> FirstMask:
    """Open the best method that is there.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        network: the salient network, or None for the method that needs no trained weights.
        is_part: what will be marked is a part of something, which the network would see as a whole:
        colours tell them apart.
    """
    from vfx_matte.first_mask.learned import LearnedFirstMask
    from vfx_matte.first_mask.weight_free import WeightFreeFirstMask

    if network is None or is_part:
        return WeightFreeFirstMask(image, is_part=is_part)
    return LearnedFirstMask(image, network)
