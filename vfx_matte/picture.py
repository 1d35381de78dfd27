"""A picture in its own planes.

The subject's pixels stay bit-identical because compositing happens here, in the source's planes and
bit depth: only the *key colour* is converted (RGB → code values), with the matrix and range the
clip is tagged with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vfx_matte.backend import Array, Region

UNSPECIFIED = "unspecified"

# Kr, Kb of the luma equations, by H.273 matrix name. Sources: ITU-T H.273 (2021) table 4.
LUMA_WEIGHTS: dict[str, tuple[float, float]] = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
    "bt2020c": (0.2627, 0.0593),
}


@dataclass(frozen=True, slots=True)
class ColorTags:
    """How code values are to be understood, in the names of ITU-T H.273 as ffprobe prints them."""

    matrix: str = UNSPECIFIED
    """Such as "bt709", "smpte170m", "bt2020nc" or "gbr"; "unspecified" where it is not known."""

    range: str = UNSPECIFIED
    """Limited is "tv", full is "pc"."""

    primaries: str = UNSPECIFIED
    """Such as "bt709" or "bt2020"."""

    transfer: str = UNSPECIFIED
    """Such as "bt709", "arib-std-b67" (HLG) or "smpte2084" (PQ)."""

    def assumed_matrix(self, height: int) -> str:
        """The matrix to compute with: the tag, or by convention BT.709 from 720 lines up and BT.601
        below.
        """
        if self.matrix in LUMA_WEIGHTS or self.matrix == "gbr":
            return self.matrix
        # what players and editing programs assume of files that say nothing
        return "bt709" if height >= 720 else "smpte170m"

    def luma_matrix(self, height: int) -> str:
        """The key of LUMA_WEIGHTS to compute luma with; BT.709 for RGB, which has no luma."""
        matrix = self.assumed_matrix(height)
        return matrix if matrix in LUMA_WEIGHTS else "bt709"


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """Which planes a picture has."""

    model: Literal["yuv", "rgb", "gray"]
    """Planes Y, U, V of "yuv"; R, G, B of "rgb"; Y alone of "gray"."""

    bit_depth: int
    """Significant bits of a sample, 8 to 16; samples are uint8 for 8, else uint16 in the low bits.
    """

    chroma_shift: tuple[int, int] = (0, 0)
    """Powers of two (x, y) by which planes U and V are smaller: 4:2:0 = (1, 1), 4:2:2 = (1, 0)."""

    has_alpha: bool = False
    """One more plane, the last: alpha at full resolution and the same bit depth, always full range
    (0 to `full`).
    """

    def __post_init__(self) -> None:
        if not 8 <= self.bit_depth <= 16:
            raise ValueError(f"bit_depth {self.bit_depth} is outside 8..16")
        if self.model != "yuv" and self.chroma_shift != (0, 0):
            raise ValueError(f"{self.model} planes cannot be subsampled, got {self.chroma_shift}")

    @property
    def full(self) -> int:
        """Largest code value, e.g. 255 or 1023."""
        return (1 << self.bit_depth) - 1

    @property
    def plane_count(self) -> int:
        """How many planes there are, alpha included."""
        return (1 if self.model == "gray" else 3) + self.has_alpha

    def plane_shift(self, plane: int) -> tuple[int, int]:
        """(x, y) as powers of two by which this plane is smaller than the picture."""
        return self.chroma_shift if self.model == "yuv" and plane in (1, 2) else (0, 0)

    def plane_shape(self, plane: int, height: int, width: int) -> tuple[int, int]:
        """(H, W) of a plane of a picture of `height` × `width`; odd sizes round up, as
        FFmpeg does.
        """
        x, y = self.plane_shift(plane)
        return -(-height >> y), -(-width >> x)


@dataclass(frozen=True, slots=True)
class Picture:
    """Planes of one picture as displayed (rotation applied)."""

    planes: tuple[Array, ...]
    """Arrays uint8 or uint16 (see PixelLayout), each (H, W) or the subsampled shape; NumPy or CuPy.
    """

    layout: PixelLayout
    """Which planes these are."""

    color: ColorTags
    """How their code values are to be understood."""

    def __post_init__(self) -> None:
        if len(self.planes) != self.layout.plane_count:
            raise ValueError(
                f"picture has {len(self.planes)} planes, expected {self.layout.plane_count} for"
                f" {self.layout}"
            )
        dtype = np.uint8 if self.layout.bit_depth == 8 else np.uint16
        # a plane of the wrong shape would be broadcast further on, and a wrong type would wrap
        for index, plane in enumerate(self.planes):
            expected = self.layout.plane_shape(index, *self.shape)
            if plane.dtype != dtype or plane.shape != expected:
                raise ValueError(
                    f"plane {index} is {plane.dtype} {plane.shape}, expected {np.dtype(dtype)}"
                    f" {expected}"
                )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the full-resolution plane."""
        height, width = self.planes[0].shape
        return int(height), int(width)

    def with_planes(self, planes: tuple[Array, ...]) -> Picture:
        """The same layout and colour around other planes."""
        return replace(self, planes=planes)

    def opaque(self) -> Picture:
        """The same colours without an alpha plane (itself when there is none)."""
        if not self.layout.has_alpha:
            return self
        return replace(self, planes=self.planes[:-1], layout=replace(self.layout, has_alpha=False))


def require_same_size(picture: Picture, alpha: Array) -> None:
    """Raise ValueError unless a matte's alpha, or a mask, has the (H, W) of its picture."""
    if alpha.shape != picture.shape:
        raise ValueError(f"matte or mask is {alpha.shape}, expected {picture.shape} as the picture")


def subsampled(region: Region, shift: tuple[int, int]) -> Region:
    """A region of the full plane as a region of a plane that is smaller by `shift` (x, y), powers
    of two.
    """
    # outwards: a sample that is covered in part belongs to the region
    x, y = shift
    rows, columns = region
    return slice(rows.start >> y, -(-rows.stop >> y)), slice(
        columns.start >> x, -(-columns.stop >> x)
    )


def code_values(
    rgb: tuple[int, int, int], layout: PixelLayout, color: ColorTags, *, height: int
) -> tuple[int, ...]:
    """Convert one 8-bit R'G'B' colour to code values, one for each plane; an alpha plane is opaque.

    Equations: ITU-T H.273 (2021), 8.3 (E'Y, E'PB, E'PR and their quantisation).

    Args:
        rgb: 0..255 each, non-linear (as an editor types a colour).
        layout: which planes there are.
        color: the picture's tags; without a range, YUV and grey are limited and RGB is full.
        height: lines of the picture, which decide the matrix when the clip has no tag.
    """
    red, green, blue = (value / 255 for value in rgb)
    full_range = color.range == "pc" or (layout.model == "rgb" and color.range != "tv")
    # limited range is defined at 8 bits and shifted to greater depths: white is 235, 940, …
    scale = 1 << (layout.bit_depth - 8)

    def luma_code(value: float) -> int:
        # halves round up, as ffmpeg and the editing programs round; Python's round() goes to even
        code = value * layout.full if full_range else (219 * value + 16) * scale
        return min(layout.full, max(0, int(code + 0.5)))

    def chroma_code(value: float) -> int:
        code = (
            value * layout.full + (1 << (layout.bit_depth - 1))
            if full_range
            else (224 * value + 128) * scale
        )
        return min(layout.full, max(0, int(code + 0.5)))

    alpha = (layout.full,) if layout.has_alpha else ()
    # R'G'B' planes hold the colour as it is, a luma plane its weighted sum
    if layout.model == "rgb":
        return luma_code(red), luma_code(green), luma_code(blue), *alpha
    kr, kb = LUMA_WEIGHTS[color.luma_matrix(height)]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    if layout.model == "gray":
        return luma_code(luma), *alpha
    # colour differences, scaled so that each spans −0.5..0.5
    return (
        luma_code(luma),
        chroma_code((blue - luma) / (2 * (1 - kb))),
        chroma_code((red - luma) / (2 * (1 - kr))),
        *alpha,
    )
