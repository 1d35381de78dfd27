"""Removes loose pieces and holes from masks and mattes.

Both sides are treated alike: a hole is a loose piece of the background. Pieces are joined at
corners too (8-connected), holes are not (4-connected).
"""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array, bounding_box, box_sum, components, xp
from vfx_matte.matting import compiled

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
    # label 0 is the background, whose area is none of a piece
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


def without_loose_pieces(
    alpha: Array, binary: Array, *, specks_px: int, holes_px: int, anchored: bool
) -> Array:
    """Drop the loose pieces of a matte, and fill its holes. What meets the border is no hole.

    Args:
        alpha: uint16 (H, W), 0..65535; it is not changed.
        binary: the mask that it was made from, uint8 (H, W) of 0 and 1.
        specks_px: the area up to which a piece is dropped; 0 = off.
        holes_px: the area up to which a hole is filled; 0 = off.
        anchored: whether the area counts that a piece holds of the mask (a hole of its background),
            not its own: alpha that no path of visible alpha joins to the subject goes, however
            large it is.

    Returns:
        Alpha without them, uint16 (H, W).
    """
    # outside of the box around all that is there, and a pixel more, is one background
    region = bounding_box(alpha, margin_px=1)
    if region is None or not (specks_px or holes_px):
        return alpha
    part, mask = alpha[region], binary[region]
    # pieces first: a hole may be open only through one of them
    inside = (
        _kept_pieces(
            part,
            mask,
            specks_px,
            anchored=anchored,
            diagonal=True,
            border=False,
            inverted=False,
        )
        if specks_px
        else None
    )
    if inside is not None:
        part = part * inside
    outside = (
        _kept_pieces(
            part,
            mask,
            holes_px,
            anchored=anchored,
            diagonal=False,
            border=True,
            inverted=True,
        )
        if holes_px
        else None
    )
    if outside is not None:
        part = ONE - (ONE - part) * outside
    if inside is None and outside is None:
        return alpha
    tidy = alpha.copy()
    tidy[region] = part
    return tidy


def _kept_pieces(
    alpha: Array,
    binary: Array,
    area_px: int,
    *,
    anchored: bool,
    diagonal: bool,
    border: bool,
    inverted: bool,
) -> Array | None:
    """1 where alpha belongs to a piece that is kept, uint8 (H, W); None when there is nothing to
    drop.

    Args:
        alpha: uint16 (H, W).
        binary: the mask.
        area_px: the area up to which a piece is dropped.
        anchored: see `without_loose_pieces`.
        diagonal: whether pieces are joined at corners, too.
        border: whether what meets the border is kept.
        inverted: whether the pieces of the background are meant: holes.
    """
    if compiled.usable(alpha) and alpha.dtype == np.uint16:
        from vfx_matte.matting.compiled.loose import kept_pieces

        return kept_pieces(
            alpha,
            binary,
            area_px,
            faint=FAINT,
            halo_px=HALO_PX,
            anchored=anchored,
            diagonal=diagonal,
            border=border,
            inverted=inverted,
        )
    if inverted:
        alpha, binary = ONE - alpha, 1 - binary
    module, visible = xp(alpha), (alpha > FAINT).view(np.uint8)
    labels, count = components(visible, diagonal=diagonal)
    # the area that is measured: of the piece, or of the mask within it
    own = labels if not anchored else labels * binary
    drop = module.bincount(own.reshape(-1), minlength=count + 1) <= area_px
    if border:
        for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            drop[side] = False
    drop[0] = False
    if not bool(drop.any()):
        return None
    # with what is too faint to join anything around a piece that is kept: its soft end
    kept = visible & (~drop[labels]).view(np.uint8)
    near: Array = (box_sum(kept, HALO_PX) > 0).view(np.uint8) & (kept | (1 - visible))
    return near
