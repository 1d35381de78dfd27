"""What a correction changed that may not be what was meant, in lines for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from vfx_matte.first_mask import Marks
from vfx_matte.first_mask.crop_maps import touching_points
from vfx_matte.first_mask.marks import mark_radius_px
from vfx_matte.masks import Mask
from vfx_matte.pipeline.first_mask.records import MaskedObject
from vfx_matte.wording import option

# of an object: where a correction takes more off, it may have taken a head for the wall behind it,
# and where it adds more, it may have brought back what an earlier call took off
_MUCH = 0.1
# a click that takes no more than so many of its own discs, and less than this part of the object,
# took its own place and not the piece that it was put on
_LITTLE_DISCS, _LITTLE = 2, 0.05


def change_lines(
    before: Mask, after: Mask, objects: Sequence[MaskedObject], marks: Marks, *, earlier: str
) -> Iterator[str]:
    """Lines about objects that changed by much, and about clicks that took next to nothing.

    Args:
        before: uint8 (H, W), object ids: the mask that was corrected.
        after: uint8 (H, W), object ids: what it became.
        objects: those that were marked.
        marks: what was marked; a box makes its object anew, which is no correction.
        earlier: what messages call the mask that was corrected; "" where it is there no more.
    """
    foreground, background = option("fg"), option("bg")
    for one in objects:
        had = one.pixels - one.gained + one.lost
        if had and one.lost > _MUCH * had:
            again = f", or begin again from {earlier} with a line along the piece alone"
            yield (
                f"object {one.object_id} lost {one.lost / had:.0%} of what it had: if that is more"
                f" than you marked, give {foreground} on what was right and the same {background}"
                " together in one call, as no call knows the marks of earlier ones"
                f"{again if earlier else ''}"
            )
        is_corrected = marks.box is None and not marks.is_empty
        if had and is_corrected and one.gained > _MUCH * had:
            yield (
                f"object {one.object_id} grew by {one.gained / had:.0%}: if that is more than you"
                f" marked, such as what an earlier call took off, give {foreground} and"
                f" {background} together in one call, which holds both, as no call knows the marks"
                " of earlier ones"
            )
        yield from _little_taken(before, after, one, marks)


def _little_taken(before: Mask, after: Mask, one: MaskedObject, marks: Marks) -> Iterator[str]:
    """A line for each background click in an object that took little more than its own disc."""
    had = before == one.object_id
    clicks = [click for click in marks.clicks if not click.is_object and had[click.y, click.x]]
    if not clicks or marks.box is not None:
        return
    taken = had & (after != one.object_id)
    most = min(
        _LITTLE_DISCS * math.pi * mark_radius_px(before.shape) ** 2,
        _LITTLE * np.count_nonzero(had),
    )
    for click in clicks:
        area = int(np.count_nonzero(touching_points(taken, [(click.x, click.y)])))
        if area < most:
            yield (
                f"the background click at {click.x},{click.y} took {area} px of object"
                f" {one.object_id} and no more: if a whole piece is too much, draw a line along it"
                f" ({option('bg_stroke')})"
            )
