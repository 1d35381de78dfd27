"""Loose pieces and holes of masks and mattes.

Takes alpha and the mask that it was made from, gives it without them.

Both sides are treated alike: a hole is a loose piece of the background. Pieces are joined at
corners too (8-connected), holes are not (4-connected).
"""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array, box_sum, components, xp

ONE = 65535
"""Full alpha."""

FAINT = ONE * 8 // 255
"""Alpha up to this joins nothing and makes no piece: an eye does not see it."""

HALO_PX = 5
"""Side of the window around a piece in which fainter alpha belongs to it."""


def without_specks(binary: Array, area_px: int) -> Array:
    """Drop the pieces of at most this area: uint8 (H, W) of 0 and 1 to the same. 0 = keep all."""
    if not area_px:
        return binary
    labels, count = components(binary, diagonal=True)
    keep = xp(binary).bincount(labels.reshape(-1), minlength=count + 1) > area_px
    keep[0] = False
    kept: Array = keep[labels].view(np.uint8)
    return kept


def without_holes(binary: Array, area_px: int) -> Array:
    """Fill the holes of at most this area: uint8 (H, W) of 0 and 1 to the same. 0 = fill none.

    What meets the border is no hole: beyond it there is either the outer background or nothing.
    """
    if not area_px:
        return binary
    labels, count = components(1 - binary, diagonal=False)
    fill = xp(binary).bincount(labels.reshape(-1), minlength=count + 1) <= area_px
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        fill[border] = False
    fill[0] = False
    filled: Array = binary | fill[labels].view(np.uint8)
    return filled


def joined(alpha: Array, binary: Array, *, specks_px: int, holes_px: int, anchored: bool) -> Array:
    """Drop the loose pieces of a matte, and fill its holes.

    alpha: uint16 (H, W), 0..65535; binary: the mask that it was made from, uint8 (H, W) of 0 and 1.
    specks_px, holes_px: the area up to which a piece is dropped or a hole filled; 0 = off.
    anchored: the same for every piece, whatever its area, that holds no more of the mask than that
    (and holes of its background): alpha that no path of seen alpha joins to the subject. What meets
    the border is no hole. Returns uint16 (H, W); alpha is not changed.
    """
    inside = (
        _kept(alpha, binary, specks_px, anchored=anchored, diagonal=True, border=False)
        if specks_px
        else None
    )
    if inside is not None:
        alpha = alpha * inside
    outside = (
        _kept(ONE - alpha, 1 - binary, holes_px, anchored=anchored, diagonal=False, border=True)
        if holes_px
        else None
    )
    return alpha if outside is None else ONE - (ONE - alpha) * outside


def _kept(
    alpha: Array, binary: Array, area_px: int, *, anchored: bool, diagonal: bool, border: bool
) -> Array | None:
    """1 where alpha belongs to a piece that is kept, uint8 (H, W); None when there is nothing to
    drop.

    border: keep what meets the border.
    """
    module, seen = xp(alpha), (alpha > FAINT).view(np.uint8)
    labels, count = components(seen, diagonal=diagonal)
    own = labels if not anchored else labels * binary
    drop = module.bincount(own.reshape(-1), minlength=count + 1) <= area_px
    if border:
        for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            drop[side] = False
    drop[0] = False
    if not bool(drop.any()):
        return None
    kept = seen & (~drop[labels]).view(np.uint8)
    near: Array = (box_sum(kept, HALO_PX) > 0).view(np.uint8) & (kept | (1 - seen))
    return near
