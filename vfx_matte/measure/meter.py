"""Measures every frame of a clip: a number per frame, object and measure.

One small frame is kept at a time. Pictures are reduced: motion, and what depends on it, is measured
at no more than 270 lines, edges at 540. Areas, holes and specks are counted on the masks as they
are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.masks import Image, Mask
from vfx_matte.measure.measures import (
    EDGE_LINES,
    Bools,
    Gray,
    changed_sides,
    edge_agreement,
    edge_width,
    filling,
    find_flicker,
    in_specks_and_holes,
    motion,
    pieces,
    touches_border,
    unchanged,
    warped,
)

MOTION_LINES = 270
"""The picture's height for motion, at most; for edges `EDGE_LINES`."""

LEAST_OVERLAP_PX = 48
"""Area at MOTION_LINES; the overlap of a smaller object is noise."""

LEAST_FLICKER_PX = 400
"""Area at MOTION_LINES; of a smaller object an edge that trembles by a pixel along a quarter of its
length is more than 5 %, the least flicker that stands out.
"""

Series = npt.NDArray[np.float32]
"""float32 (frames,): a number per frame, NaN where there is none."""


@dataclass(frozen=True, slots=True)
class ObjectMeasures:
    """One object on every frame of a clip; each float32 (frames,), NaN where it is not known."""

    area_px: Series
    """0 = not on the frame; NaN = the frame has no mask."""
    overlap: Series
    """Intersection over union, 0 … 1, with the mask of the frame before, warped by optical flow."""
    sides: Series
    """The largest piece that joins (above 0) or leaves (below 0) the object though the picture
    there stays the same, as a part of the object's area, see `measures.changed_sides`.
    """
    sides_specks: Series
    """How much of that piece, 0 … 1, is a speck, on this frame or the one before."""
    sides_holes: Series
    """How much of that piece, 0 … 1, fills or makes a hole."""
    holes: Series
    """How many, see `measures.pieces`."""
    holes_px: Series
    """Their area."""
    specks: Series
    """How many, see `measures.pieces`."""
    specks_px: Series
    """Their area."""
    speck_px: Series
    """Area of the largest one."""
    edgeless: Series
    """How many holes have no edge of the picture along them, see `measures.filling`."""
    edgeless_px: Series
    """Their area."""
    faults_px: Series
    """Area of those of them in which the picture shows the object."""
    fault_px: Series
    """Area of the largest one."""
    open_px: Series
    """Area of the smallest hole in which background may be seen; 0 = none."""
    flicker_px: Series
    """Pixels that change on this frame alone (A-B-A), the masks of both neighbours warped to it by
    optical flow; NaN where the object is smaller than LEAST_FLICKER_PX.
    """
    flicker_specks: Series
    """How much of them, 0 … 1, are specks."""
    flicker_holes: Series
    """How much of them, 0 … 1, are holes."""
    edge_agreement: Series
    """0 … 1, see `measures.edge_agreement`."""
    edge_width_px: Series
    """See `measures.edge_width`; where probabilities are kept."""
    at_border: Series
    """1 = it touches the picture's border, else 0."""

    @classmethod
    def unknown(cls, frame_count: int) -> ObjectMeasures:
        """Nothing known yet."""
        return cls(*(np.full(frame_count, np.nan, np.float32) for _ in cls.__slots__))

    def separate(self, cuts: Collection[int]) -> None:
        """Drop the values that compare a frame with one of another shot.

        Args:
            cuts: frames that begin a shot.
        """
        for cut in cuts:
            self.overlap[cut] = self.sides[cut] = np.nan
            # flicker looks at both neighbours
            self.flicker_px[cut - 1 : cut + 1] = np.nan


@dataclass(frozen=True, slots=True)
class _SmallFrame:
    """A frame at MOTION_LINES."""

    index: int
    """The frame index."""
    mask: Mask
    """Object ids."""
    picture: Gray
    """Its brightness."""
    colors: Image
    """The same in colours, R'G'B'."""
    expected: Mask | None
    """The mask of the frame before it, warped to it; None when there is no such frame."""
    same: Bools | None
    """Where the picture is as on the frame before, see `measures.unchanged`; None when that has no
    mask.
    """


class Meter:
    """Measures frames one by one: `add` each in ascending order; the numbers are in `objects`.

    Args:
        object_ids: those to measure.
        frame_count: of the clip.
    """

    def __init__(self, *, object_ids: Collection[int], frame_count: int) -> None:
        self.objects: Mapping[int, ObjectMeasures] = {
            one: ObjectMeasures.unknown(frame_count) for one in object_ids
        }
        self._past: _SmallFrame | None = None

    def add(
        self, index: int, image: Image, mask: Mask | None, soft: Mapping[int, Gray] | None = None
    ) -> None:
        """Measure a frame.

        Args:
            index: of the frame.
            image: uint8 (H, W, 3) R'G'B'.
            mask: uint8 (H, W), object ids; None = the frame has none.
            soft: object id → uint8 (H, W), 255 = certain, where probabilities are kept.
        """
        # the frame after it has nothing to be compared with
        if mask is None:
            self._past = None
            return
        edges = _gray(image, EDGE_LINES)
        picture = _shrunk(edges, MOTION_LINES)
        small = _nearest(mask, picture.shape)
        colors = _small_colors(image, picture.shape)
        now = _SmallFrame(index, small, picture, colors, *self._brought(index, picture, colors))
        lines = _nearest(mask, edges.shape)
        # what the frame alone shows; areas on the mask as it is
        for object_id, found in self.objects.items():
            # 0 counts: an object that is not there; its other numbers stay NaN
            found.area_px[index] = area = np.count_nonzero(mask == object_id)
            if not area:
                continue
            (
                found.holes[index],
                found.holes_px[index],
                found.specks[index],
                found.specks_px[index],
                found.speck_px[index],
            ) = pieces(mask, object_id)
            (
                found.edgeless[index],
                found.edgeless_px[index],
                found.faults_px[index],
                found.fault_px[index],
                found.open_px[index],
            ) = filling(mask, object_id, image) if found.holes[index] else (0, 0, 0, 0, 0)
            found.edge_agreement[index] = edge_agreement(lines == object_id, edges)
            found.at_border[index] = touches_border(lines == object_id)
            if soft is not None:
                found.edge_width_px[index] = edge_width(soft[object_id])
        # what needs the frames before
        self._measure_overlap(now)
        self._measure_flicker(now, mask.size / now.mask.size)
        self._past = now

    def _brought(
        self, index: int, picture: Gray, colors: Image
    ) -> tuple[Mask | None, Bools | None]:
        """What the frame before brings to a frame: its warped mask, and where the picture stays."""
        before = self._past
        # frames that were left out, as where a range begins anew
        if before is None or before.index != index - 1:
            return None, None
        # what is empty stays empty, wherever it moves
        if not before.mask.any():
            return before.mask, None
        flow = motion(picture, before.picture)
        return warped(before.mask, flow), unchanged(colors, before.colors, flow)

    def _measure_overlap(self, now: _SmallFrame) -> None:
        if now.expected is None or not now.expected.any() or not now.mask.any():
            return
        for object_id, found in self.objects.items():
            there, here = now.expected == object_id, now.mask == object_id
            # also where one of both is empty: an object that vanishes overlaps by 0
            union = np.count_nonzero(there | here)
            if union >= LEAST_OVERLAP_PX:
                found.overlap[now.index] = np.count_nonzero(there & here) / union
            if now.same is not None and union >= LEAST_OVERLAP_PX and here.any():
                piece = changed_sides(here, there, now.same)
                found.sides[now.index] = piece.area_px / np.count_nonzero(here)
                found.sides_specks[now.index] = piece.in_specks
                found.sides_holes[now.index] = piece.in_holes

    def _measure_flicker(self, after: _SmallFrame, scale: float) -> None:
        """Measure the flicker of the frame before, now that the one after it is known.

        Args:
            after: the frame after it.
            scale: pixels of the source per pixel of a reduced mask.
        """
        now = self._past
        if now is None or now.expected is None or now.index != after.index - 1:
            return
        if not (now.expected.any() and now.mask.any() and after.mask.any()):
            return
        # both neighbours at this frame: one came along with the frame before, one is warped back
        back = warped(after.mask, motion(now.picture, after.picture))
        for object_id, found in self.objects.items():
            # an object that comes or goes does not flicker
            there = found.area_px[[now.index - 1, now.index, after.index]] > 0
            here = now.mask == object_id
            if there.all() and np.count_nonzero(here) >= LEAST_FLICKER_PX:
                before = now.expected == object_id
                changed = find_flicker(before, here, back == object_id)
                found.flicker_px[now.index] = scale * np.count_nonzero(changed)
                (
                    found.flicker_specks[now.index],
                    found.flicker_holes[now.index],
                ) = in_specks_and_holes(changed, here, before)


def _gray(image: Image, lines: int) -> Gray:
    """Brightness at no more than `lines` lines: uint8 (h, w)."""
    # every second, third … line of a large picture first, so that less is converted
    step = max(1, image.shape[0] // (2 * lines))
    return _shrunk(
        np.asarray(
            cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_RGB2GRAY), np.uint8
        ),
        lines,
    )


def _small_colors(image: Image, shape: tuple[int, ...]) -> Image:
    """A picture at MOTION_LINES: uint8 (h, w, 3)."""
    step = max(1, image.shape[0] // (2 * MOTION_LINES))
    size = shape[1], shape[0]
    return np.asarray(
        cv2.resize(image[::step, ::step], size, interpolation=cv2.INTER_AREA), np.uint8
    )


def _shrunk(gray: Gray, lines: int) -> Gray:
    height, width = gray.shape
    if height <= lines:
        return gray
    size = max(1, round(width * lines / height)), lines
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)


def _nearest(mask: Mask, shape: tuple[int, ...]) -> Mask:
    # not `masks.resize_nearest`: where a centre lies between two pixels it takes the other one, and
    # numbers would differ from those of earlier runs
    return np.asarray(
        cv2.resize(mask, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8
    )
