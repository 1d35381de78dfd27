"""Lays a legend of the objects into a corner of an overlay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vfx_matte.composite import mix
from vfx_matte.drawing.legend import small_legend
from vfx_matte.drawing.sheet import BACKGROUND
from vfx_matte.masks import Matte, ObjectLabel
from vfx_matte.media.pixels import as_layout
from vfx_matte.picture import Picture, PixelLayout
from vfx_matte.pipeline.clip import SegmentedClip
from vfx_matte.pipeline.progress import Reporter

# 24 px at 1080 lines, read without effort when the whole picture is looked at
_TEXTS_PER_SIDE = 45
# below it the letters cannot be told from each other
_LEAST_TEXT_PX = 9
_MOST_SHARE = 3
"""The legend has at most this part of the picture's width, and of its height."""

# the signal of graphics white (ITU-R BT.2408): white itself would be as bright as the sun there
_GRAPHICS_WHITE = {"smpte2084": 0.58, "arib-std-b67": 0.75}


def with_legend(
    clip: SegmentedClip,
    objects: tuple[int, ...],
    layout: PixelLayout,
    *,
    wanted: bool | None,
    reporter: Reporter,
) -> Callable[[Picture], Picture]:
    """What lays a legend over pictures of a clip: colour, id, name, class and score of objects.

    It is drawn once, top left. Where it is not wanted, or has no room, pictures stay as they are.

    Args:
        clip: a segmented clip, whose manifest knows what its objects are.
        objects: the ids that are shown.
        layout: of the pictures, with colours and without alpha.
        wanted: None is where any of the objects has a label.
        reporter: receives a notice where it does not fit.
    """
    known = clip.store.manifest.labels
    is_wanted = any(one in known for one in objects) if wanted is None else wanted
    if not is_wanted or not objects:
        return lambda picture: picture
    height, width = clip.info.shape
    text_px = max(_LEAST_TEXT_PX, round(min(width, height) / _TEXTS_PER_SIDE))
    drawn = small_legend(
        {one: known.get(one, ObjectLabel("")) for one in objects},
        clip.palette,
        most_px=(width // _MOST_SHARE, height // _MOST_SHARE),
        text_px=text_px,
        white=_GRAPHICS_WHITE.get(clip.info.color.transfer, 1.0),
    )
    if drawn is None:
        reporter.notify(f"pictures of {width}×{height} have no room for a legend of the objects")
        return lambda picture: picture
    # on whole chroma samples, so that none is shared with the picture around it
    steps = tuple(1 << shift for shift in layout.chroma_shift[::-1])
    corner = tuple(-(-(text_px // 2) // step) * step for step in steps)
    rows, columns = (
        slice(first, -(-(first + size) // step) * step)
        for first, size, step in zip(corner, drawn.shape[:2], steps, strict=True)
    )
    # as large as the picture: the matrix of an untagged clip depends on its height
    sheet = np.empty((height, width, 3), np.uint8)
    sheet[:] = BACKGROUND
    sheet[corner[0] : corner[0] + drawn.shape[0], corner[1] : corner[1] + drawn.shape[1]] = drawn
    planes = tuple(np.ascontiguousarray(sheet[..., channel]) for channel in range(3))
    legend = as_layout(Picture(planes, mix.RGB8, mix.FULL_RGB), layout, color=clip.info.color)
    alpha = np.zeros((height, width), np.uint8)
    alpha[rows, columns] = 255
    matte = Matte(alpha)
    return lambda picture: picture.with_planes(mix.over_picture(legend, matte, picture).planes)
