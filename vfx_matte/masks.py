"""What an object id, a colour and an alpha are.

A *mask* is uint8 (H, W) with object ids, 0 = background. A *matte* is alpha with soft edges. A
*palette* says how ids look. Files and time are not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.backend import Array

Mask = npt.NDArray[np.uint8]
"""uint8 (H, W): object ids, 0 = background."""

Image = npt.NDArray[np.uint8]
"""uint8 (H, W, 3): R'G'B' in 0..255 as displayed."""

Probabilities = npt.NDArray[np.float32]
"""float32 (K+1, H, W) in [0, 1]: background first, then objects 1..K; sums to 1 over the first
axis.
"""


RGB = tuple[int, int, int]
"""One R'G'B' colour, 0..255 each."""


@dataclass(frozen=True, slots=True)
class Matte:
    """Alpha of what is kept."""

    alpha: Array
    """(H, W), uint8 or uint16, NumPy or CuPy; 0 is background and the dtype's largest value is 1.0
    (opaque).
    """

    def __post_init__(self) -> None:
        if self.alpha.ndim != 2 or self.alpha.dtype not in (np.uint8, np.uint16):
            raise ValueError(
                f"alpha is {self.alpha.dtype} {self.alpha.shape}, expected uint8 or uint16 (H, W)"
            )

    @property
    def full(self) -> int:
        """The value that stands for 1.0: 255 or 65535."""
        return int(np.iinfo(self.alpha.dtype).max)


@dataclass(frozen=True, slots=True)
class ObjectLabel:
    """What an object is, for people and for other programs."""

    name: str
    """As people call it: "dog 2"."""

    class_name: str = ""
    """What kind of thing it is: "dog"; "" where nobody said."""

    score: float | None = None
    """How sure a detector was of it, 0 … 1; None where none was asked."""


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours that object ids are shown in."""

    colors: npt.NDArray[np.uint8]
    """uint8 (256, 3), R'G'B', by id; row 0 is the background."""

    def __post_init__(self) -> None:
        if self.colors.shape != (256, 3) or self.colors.dtype != np.uint8:
            raise ValueError(
                f"palette is {self.colors.dtype} {self.colors.shape}, expected uint8 (256, 3)"
            )

    @classmethod
    def davis(cls) -> Palette:
        """The palette of PASCAL VOC and DAVIS: id bits 0, 1, 2 go to the high bits of R, G, B, the
        next three below them.
        """
        # the same loop as in the development kit of PASCAL VOC, over all ids at once
        ids = np.arange(256)
        colors = np.zeros((256, 3), np.uint8)
        for level in range(8):
            for channel in range(3):
                bit = (
                    (ids >> (3 * level + channel)) & 1
                    if 3 * level + channel < 8
                    else np.zeros(256, int)
                )
                colors[:, channel] |= (bit << (7 - level)).astype(np.uint8)
        return cls(colors)

    def paint(self, mask: Mask) -> Image:
        """Colour a mask: uint8 (H, W) → uint8 (H, W, 3)."""
        painted: Image = self.colors[mask]
        return painted


def object_ids(mask: Mask) -> tuple[int, ...]:
    """The ids present in a mask, ascending, without the background."""
    # at 4K five times as fast as np.bincount
    present = cv2.calcHist([mask], [0], None, [256], [0, 256])
    return tuple(int(value) for value in np.flatnonzero(present) if value)


def resize_nearest(mask: Mask, shape: tuple[int, int]) -> Mask:
    """A mask at another size, without ids that it does not have.

    Args:
        mask: uint8 (H, W).
        shape: (h, w) wanted.

    Returns:
        uint8 (h, w), contiguous: each pixel is the one on which its centre lies; `mask` itself
        when it has that size.
    """
    if mask.shape == shape:
        return mask
    # in whole numbers, as cv2's nearest does not sample at centres
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for new, old in zip(shape, mask.shape, strict=True)
    )
    return np.ascontiguousarray(mask[np.ix_(rows, columns)])


def hex_color(rgb: RGB) -> str:
    """A colour as people type it: (255, 128, 1) is "#ff8001"."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def parse_hex_color(text: str) -> RGB | None:
    """Read "#rrggbb", upper or lower case; None for anything else."""
    # the pattern first: fromhex also takes spaces
    if re.fullmatch("#[0-9a-fA-F]{6}", text) is None:
        return None
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def overlap(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """Intersection over union of two regions, bool (H, W); 1 where both are empty."""
    # two empty regions are the same region, so that frames without the object agree
    union = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / union if union else 1.0
