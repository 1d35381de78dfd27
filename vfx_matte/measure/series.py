"""Series over the frames of one object: changes of its area, and where it passes the border."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from vfx_matte.measure.measures import Bools
from vfx_matte.measure.meter import LEAST_OVERLAP_PX, MOTION_LINES, ObjectMeasures, Series

BEFORE_FRAMES = 5
"""A jump of area is measured against the median of so many frames before."""

PASSING_SHARE = 0.6
"""Of its usual area: an object with less may be entering or leaving, see `passing_the_border`."""


SMALL_SHARE = 0.25
"""Of its usual area: a mask of a frame that shows less of an object teaches little."""


def hardly_there(measures: ObjectMeasures, picture: tuple[int, int]) -> Bools:
    """Frames whose mask shows little of an object: less than SMALL_SHARE of its usual area, or less
    than LEAST_OVERLAP_PX at MOTION_LINES. At the picture's border it is entering or leaving; away
    from there it may have been lost.

    Args:
        measures: of the object.
        picture: (height, width), px.

    Returns:
        bool (frames,); False where nothing of it is there.
    """
    area = np.nan_to_num(measures.area_px)
    if not area.any():
        return np.zeros(len(area), bool)
    limit = least_there(float(np.median(area[area > 0])), picture)
    return np.asarray((area > 0) & (area < limit), np.bool_)


def least_there(usual_px: float, picture: tuple[int, int]) -> float:
    """The area below which an object is hardly there, see `hardly_there`; px."""
    # an area at MOTION_LINES, in pixels of the source
    least = LEAST_OVERLAP_PX * max(1.0, picture[0] / MOTION_LINES) ** 2
    return max(SMALL_SHARE * usual_px, least)


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
        frames before; NaN without either. Frames before with less than SMALL_SHARE of the usual
        area do not count: where an object comes back to it, the frame is right.
    """
    known = area_px[area_px > 0]
    least = SMALL_SHARE * float(np.median(known)) if len(known) else 0.0
    changes = np.full(len(area_px), np.nan, np.float32)
    for shot in shots:
        for index in shot:
            before = area_px[max(shot.start, index - BEFORE_FRAMES) : index]
            before = before[before > least]
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
