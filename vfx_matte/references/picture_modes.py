"""Reads the pixels of a picture, whatever mode Pillow opened it in, as a mask picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vfx_matte.files.id_mark import has_id_mark
from vfx_matte.references.reading import MaskPicture

# TIFF's tag; 0 = the smallest value is white
_PHOTOMETRIC = 262
_MOST_ID = 2**32 - 1


def as_mask_picture(picture: Image.Image, *, is_min_white: bool = False) -> MaskPicture:
    """Convert a picture to arrays of grey, colours, alpha or palette indices.

    Transparency by a palette index or by one colour becomes alpha; premultiplied alpha becomes
    straight; 16- and 32-bit numbers and whole floats stay as they are, since they may be object
    ids.

    Args:
        picture: opened.
        is_min_white: see `has_min_white`.
    """
    mode = picture.mode
    if mode == "P":
        return _palette_picture(picture)
    if mode in ("1", "L", "RGB") and "transparency" in picture.info:
        return MaskPicture(np.array(picture.convert("RGBA")))
    if mode in ("1", "L", "RGB", "RGBA"):
        return MaskPicture(np.array(picture))
    if mode == "F":
        return MaskPicture(_from_float(np.array(picture, np.float32)))
    if mode.startswith("I"):
        return MaskPicture(_from_whole(np.array(picture), is_inverted=is_min_white))
    if mode == "La":
        picture = _straight_gray(picture)
    has_alpha = {"A", "a"} & set(picture.getbands()) and mode != "LAB"
    return MaskPicture(np.array(picture.convert("RGBA" if has_alpha else "RGB")))


def has_min_white(picture: Image.Image) -> bool:
    """Whether 0 is white in a deep grey TIFF, which Pillow inverts for 8 bits only."""
    tags = getattr(picture, "tag_v2", None)
    return tags is not None and tags.get(_PHOTOMETRIC) == 0 and "16" in picture.mode


def is_id_picture(picture: Image.Image) -> bool:
    """Whether a picture says that its indices are object ids, as this program writes masks."""
    return picture.mode == "P" and has_id_mark(picture.info, picture.getpalette("RGB"))


def _palette_picture(picture: Image.Image) -> MaskPicture:
    """Indices and palette, or colours with alpha where some indices are transparent."""
    indices = np.array(picture)
    palette = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if is_id_picture(picture):
        return MaskPicture(indices, palette, are_ids=True)
    # one index, or the alpha of each (PNG's tRNS)
    alphas = np.full(256, 255, np.uint8)
    transparent = picture.info.get("transparency")
    if isinstance(transparent, bytes):
        alphas[: len(transparent)] = np.frombuffer(transparent, np.uint8)[:256]
    elif isinstance(transparent, int) and 0 <= transparent < 256:
        alphas[transparent] = 0
    used = np.flatnonzero(np.bincount(indices.reshape(-1), minlength=256))
    hidden = [int(index) for index in used if alphas[index] < 255]
    if not hidden:
        return MaskPicture(indices, palette)
    if hidden == [0] and alphas[0] < 128:
        # the background is transparent, whatever its colour
        palette[0] = 0
        return MaskPicture(indices, palette)
    table = np.zeros((256, 4), np.uint8)
    table[: len(palette), :3] = palette[:256]
    table[:, 3] = alphas
    return MaskPicture(table[indices])


def _from_float(values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Convert floats: whole numbers above 1 are kept; otherwise 0 … 1, or 0 … 255 for larger
    values, becomes 16 bits.
    """
    values = np.clip(np.nan_to_num(values, nan=0, posinf=0, neginf=0), 0, float(_MOST_ID))
    top = float(values.max(initial=0))
    if top > 1 and bool((values == np.rint(values)).all()):
        return _from_whole(values.astype(np.int64), is_inverted=False)
    # a little above 1 is a highlight of a picture in 0 … 1, not one in 0 … 255
    full = 1.0 if top <= 2 else 255.0 if top <= 256 else 65535.0
    levels: npt.NDArray[np.uint16] = np.rint(np.clip(values / full, 0, 1) * 65535).astype(np.uint16)
    return levels


def _from_whole(values: npt.NDArray[Any], *, is_inverted: bool) -> npt.NDArray[Any]:
    """Negative numbers, which some programs write for "not labelled", become 0: uint16 where that
    holds them, else uint32.
    """
    if is_inverted:
        values = 65535 - values.astype(np.int64)
    if values.dtype != np.uint16:
        values = np.clip(values, 0, _MOST_ID)
        values = values.astype(np.uint16 if int(values.max(initial=0)) <= 65535 else np.uint32)
    return values


def _straight_gray(picture: Image.Image) -> Image.Image:
    """Grey with premultiplied alpha, which Pillow cannot convert by itself."""
    # two bytes per pixel, grey and alpha
    gray, alpha = np.split(
        np.frombuffer(picture.tobytes(), np.uint8).reshape(picture.height, picture.width, -1),
        2,
        axis=2,
    )
    straight = np.minimum(gray.astype(np.uint16) * 255 // np.maximum(alpha, 1), 255).astype(
        np.uint8
    )
    return Image.fromarray(np.concatenate([straight, alpha], axis=2), "LA")
