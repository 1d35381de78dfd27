"""Finds loose pieces, as `pieces._kept_pieces` says."""

from __future__ import annotations

import cv2
import numpy as np

from vfx_matte.backend import Array, components
from vfx_matte.matting.compiled.jit import compiled


def kept_pieces(
    alpha: Array,
    binary: Array,
    area_px: int,
    *,
    faint: int,
    halo_px: int,
    anchored: bool,
    diagonal: bool,
    border: bool,
    inverted: bool,
) -> Array | None:
    """1 where alpha belongs to a piece that is kept, uint8 (H, W); None when none is dropped.

    Args:
        alpha: uint16 (H, W).
        binary: the mask, uint8 (H, W) of 0 and 1.
        area_px: the area up to which a piece is dropped.
        faint: alpha up to this makes no piece.
        halo_px: side of the window around a piece in which fainter alpha belongs to it.
        anchored: whether the area is that of the mask within a piece.
        diagonal: whether pieces are joined at corners, too.
        border: whether what meets the border is kept.
        inverted: whether the pieces of the background are meant: holes.
    """
    visible = np.empty(alpha.shape, np.uint8)
    _see(alpha, faint, inverted, visible)
    labels, count = components(visible, diagonal=diagonal)
    areas = np.zeros(count + 1, np.int64)
    _measure(labels, binary, anchored, inverted, areas)
    drop = areas <= area_px
    if border:
        for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            drop[side] = False
    drop[0] = False
    if not drop.any():
        return None
    kept = np.empty(alpha.shape, np.uint8)
    _keep(labels, drop, kept)
    # with what is too faint to join anything around a piece that is kept: its soft end
    near = cv2.dilate(kept, np.ones((halo_px, halo_px), np.uint8))
    _end_softly(visible, kept, near)
    return near


@compiled
def _see(alpha: Array, faint: int, inverted: bool, visible: Array) -> None:
    """Where alpha, or what lacks of it, is seen."""
    for y in range(alpha.shape[0]):
        for x in range(alpha.shape[1]):
            value = np.int32(alpha[y, x])
            visible[y, x] = (65535 - value if inverted else value) > faint


@compiled
def _measure(labels: Array, binary: Array, anchored: bool, inverted: bool, areas: Array) -> None:
    """The area of every piece, or of the mask within it."""
    side = 0 if inverted else 1
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if not anchored or binary[y, x] == side:
                areas[labels[y, x]] += 1


@compiled
def _keep(labels: Array, drop: Array, kept: Array) -> None:
    """1 where something is seen that is not dropped."""
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            label = labels[y, x]
            kept[y, x] = label != 0 and not drop[label]


@compiled
def _end_softly(visible: Array, kept: Array, near: Array) -> None:
    """Of what is near a piece that is kept only itself and what is not seen, in place."""
    for y in range(near.shape[0]):
        for x in range(near.shape[1]):
            if visible[y, x] and not kept[y, x]:
                near[y, x] = 0
