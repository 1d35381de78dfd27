"""Finds loose pieces, as `pieces._kept_pieces` says, by runs of pixels instead of single ones."""

from __future__ import annotations

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.jit import compiled
from vfx_matte.matting.compiled.windows import list_runs, rows_of


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
    # a code of alpha's own type: others are compared in 64 bits, a few at once
    _see(alpha, alpha.dtype.type(65535 - faint if inverted else faint), inverted, visible)
    kept, is_any_dropped = _keep_large(
        visible, np.ascontiguousarray(binary), area_px, anchored, diagonal, border, inverted
    )
    if not is_any_dropped:
        return None
    # with what is too faint to join anything around a piece that is kept: its soft end
    near = cv2.dilate(kept, np.ones((halo_px, halo_px), np.uint8))
    _end_softly(visible, kept, near)
    return near


@compiled
def _see(alpha: Array, limit: np.uint16, inverted: bool, visible: Array) -> None:
    """Where alpha is above the limit; with `inverted` where it is below."""
    for y in range(alpha.shape[0]):
        if inverted:
            for x in range(alpha.shape[1]):
                visible[y, x] = alpha[y, x] < limit
        else:
            for x in range(alpha.shape[1]):
                visible[y, x] = alpha[y, x] > limit


@compiled
def _keep_large(
    visible: Array, binary: Array, area_px: int, anchored: bool, diagonal: bool, border: bool,
    inverted: bool,
) -> tuple[Array, bool]:  # fmt: skip
    """1 in pieces of what is visible that are kept, uint8 (H, W), and whether any is dropped; where
    none is, nothing else is said.
    """
    height, width = visible.shape
    runs = list_runs(visible)
    count = runs.shape[0]
    pieces = _joined(runs, rows_of(runs, height), 1 if diagonal else 0)
    areas, is_kept = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    for index in range(count):
        y, start, stop, piece = runs[index, 0], runs[index, 1], runs[index, 2], pieces[index]
        if anchored:
            of_mask = np.int32(0)
            for value in binary[y, start:stop]:
                of_mask += value
            areas[piece] += stop - start - of_mask if inverted else of_mask
        else:
            areas[piece] += stop - start
        is_kept[piece] |= border and (y == 0 or y == height - 1 or start == 0 or stop == width)
    is_any_dropped = False
    for index in range(count):
        is_kept[index] |= areas[index] > area_px
        is_any_dropped |= pieces[index] == index and not is_kept[index]
    kept = np.zeros(visible.shape if is_any_dropped else (0, 0), np.uint8)
    if is_any_dropped:
        for index in range(count):
            if is_kept[pieces[index]]:
                kept[runs[index, 0], runs[index, 1] : runs[index, 2]] = 1
    return kept, is_any_dropped


@compiled
def _joined(runs: Array, rows: Array, reach: int) -> Array:
    """The number of the first run of the piece that each run belongs to, int64 (n,).

    Args:
        runs: of `list_runs`.
        rows: of `rows_of`.
        reach: 1 where runs are joined at corners, too, else 0.
    """
    pieces = np.arange(runs.shape[0])
    for y in range(1, rows.size - 1):
        upper, lower = rows[y - 1], rows[y]
        while upper < rows[y] and lower < rows[y + 1]:
            if runs[upper, 1] < runs[lower, 2] + reach and runs[lower, 1] < runs[upper, 2] + reach:
                one, other = _first_of(pieces, upper), _first_of(pieces, lower)
                pieces[max(one, other)] = min(one, other)
            # the one that ends first meets no other
            if runs[upper, 2] < runs[lower, 2]:
                upper += 1
            else:
                lower += 1
    # runs are gone through in order, so that what an earlier one belongs to is known already
    for index in range(pieces.size):
        pieces[index] = pieces[pieces[index]]
    return pieces


@compiled
def _first_of(pieces: Array, index: int) -> int:
    """The first run of a piece; the way to it becomes shorter."""
    while pieces[index] != index:
        pieces[index] = pieces[pieces[index]]
        index = pieces[index]
    return index


@compiled
def _end_softly(visible: Array, kept: Array, near: Array) -> None:
    """Of what is near a piece that is kept only itself and what is not seen, in place."""
    for y in range(near.shape[0]):
        for x in range(near.shape[1]):
            if visible[y, x] and not kept[y, x]:
                near[y, x] = 0
