"""Series over the frames of one object: changes of its area, and where it passes the border."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from vfx_matte.measure.measures import Bools
from vfx_matte.measure.meter import ObjectMeasures, Series

BEFORE_FRAMES = 5
"""A jump of area is measured against the median of so many frames before."""

PASSING_SHARE = 0.6
"""Of its usual area: an object with less may be entering or leaving, see `passing_the_border`."""


def passing_the_border(measures: ObjectMeasures) -> Bools:
    """Frames on which an object enters or leaves the picture, so that its area has to jump.

    It touches the border, has less than PASSING_SHARE of its usual area, and is not there at all
    just before or after; and it goes on growing away from there while it touches. One that always
    touches, a cropped person, does not pass.

    Returns:
        bool (frames,).
    """
    area = np.nan_to_num(measures.area_px)
    if not area.any():
        return np.zeros(len(area), bool)
    border = np.nan_to_num(measures.at_border) > 0
    is_little = (area < PASSING_SHARE * np.median(area[area > 0])) & (border | (area == 0))
    passing: Bools = np.zeros(len(area), bool)
    for run in runs_of(is_little):
        # little in the middle of the clip, and never nothing: a small object, not one on its way
        at_an_end = run.start == 0 or run.stop == len(area)
        if at_an_end or not area[run.start : run.stop].all():
            passing[run.start : run.stop] = True
            # on both sides, as long as it touches and grows away from there
            for order in (range(run.stop, len(area)), range(run.start - 1, -1, -1)):
                for index in order:
                    if not (border[index] and area[index] > area[index - order.step] > 0):
                        break
                    passing[index] = True
    return passing


def area_changes(area_px: Series, shots: Sequence[range]) -> Series:
    """How much larger an object is than on the frames before.

    Args:
        area_px: float32 (frames,).
        shots: ranges of frame indices; frames of different shots are not compared.

    Returns:
        float32 (frames,): the natural logarithm of the area over the median of the BEFORE_FRAMES
        frames before; NaN without either.
    """
    changes = np.full(len(area_px), np.nan, np.float32)
    for shot in shots:
        for index in shot:
            before = area_px[max(shot.start, index - BEFORE_FRAMES) : index]
            before = before[before > 0]
            if len(before) and area_px[index] > 0:
                changes[index] = math.log(area_px[index] / float(np.median(before)))
    return changes


def runs_of(chosen: Bools) -> Iterator[range]:
    """The ranges of frames that are True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    yield from (
        range(start, stop)
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    )
