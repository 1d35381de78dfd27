"""Masks that a client sent with its request."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vfx_matte.errors import MaskError, MediaError, UsageError
from vfx_matte.files.still_header import still_header_of
from vfx_matte.masks import Mask, hex_color
from vfx_matte.references.files import load_mask_picture
from vfx_matte.references.reading import read_mask_colors


@dataclass(frozen=True, slots=True)
class GivenObject:
    """An object of a mask that was sent."""

    id: int
    color: str
    """The colour that it is painted in, "#rrggbb"."""
    pixels: int


@dataclass(frozen=True, slots=True)
class GivenMask:
    """A mask that was sent."""

    mask: Mask
    """uint8 (H, W), object ids."""
    objects: tuple[GivenObject, ...]
    notices: tuple[str, ...]
    """What was assumed, for people."""


def read_given_mask(png: bytes, *, shape: tuple[int, int]) -> GivenMask:
    """Read a mask, as `read_mask_colors` reads painted ones.

    Args:
        png: a PNG file.
        shape: (H, W) of the frames, which the mask has to have.

    Raises:
        MaskError: it is no PNG, is damaged, empty or of another size.
    """
    try:
        header = still_header_of(png, "the mask")
    except (MediaError, UsageError) as error:
        raise MaskError(error.message, hint=error.hint) from error
    if header.kind != "png":
        raise MaskError(f"the mask is {header.kind.upper()}", hint="send a PNG")
    if (header.height, header.width) != shape:
        raise MaskError(
            f"the mask is {header.width}×{header.height}, the frames are {shape[1]}×{shape[0]}",
            hint="send the mask at the frames' size",
        )
    # the reader of masks takes files
    with tempfile.TemporaryDirectory(prefix="vfx-matte-") as folder:
        file = Path(folder) / "mask.png"
        file.write_bytes(png)
        try:
            reading = read_mask_colors(load_mask_picture(file, shape=shape), shape=shape)
        except MaskError as error:
            # whoever sent it knows no such file
            error.message = error.message.replace(str(file), "of the request")
            raise
    objects = tuple(
        GivenObject(object_id, hex_color(reading.colors[object_id]), pixels)
        for object_id, pixels in reading.coverage.items()
    )
    return GivenMask(reading.mask, objects, reading.notices)


class PackedMasks(Mapping[int, Mask]):
    """Masks by frame index, packed: a track that waits for its turn takes no memory to speak of."""

    def __init__(self, masks: Mapping[int, Mask]) -> None:
        self._packed = {index: _packed(mask) for index, mask in masks.items()}

    def __getitem__(self, frame_index: int) -> Mask:
        packed, shape = self._packed[frame_index]
        return np.frombuffer(bytearray(zlib.decompress(packed)), np.uint8).reshape(shape)

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def _packed(mask: Mask) -> tuple[bytes, tuple[int, ...]]:
    return zlib.compress(np.ascontiguousarray(mask).tobytes(), 1), mask.shape
