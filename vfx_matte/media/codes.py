"""Converts code values from one quantisation or colour model to another.

The result is exact wherever the target can hold it. swscale is not used for this: above 8 bits it
maps white to 1020 of 1023, or to 943 instead of 940, and it takes every grey picture for full
range. Equations: ITU-T H.273 (2021), 8.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vfx_matte.backend import Array, look_up
from vfx_matte.picture import LUMA_WEIGHTS, ColorTags, PixelLayout


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How levels become code values."""

    bit_depth: int
    """Significant bits of a sample."""

    full: bool
    """Full range; otherwise limited ("tv")."""

    @classmethod
    def of(cls, layout: PixelLayout, color: ColorTags) -> Quantisation:
        """The quantisation of a picture's colour planes; without a tag YUV and grey are limited,
        RGB is full.
        """
        return cls(
            layout.bit_depth, color.range == "pc" or (layout.model == "rgb" and color.range != "tv")
        )

    def line(self, *, chroma: bool) -> tuple[float, float]:
        """(scale, offset) of code = level · scale + offset; luma levels are 0..1, chroma levels
        −0.5..0.5.
        """
        # limited range is defined at 8 bits; other depths are exact multiples
        unit = 1 << (self.bit_depth - 8)
        if self.full:
            return float(self.maximum), float(128 * unit if chroma else 0)
        return (224.0 * unit, 128.0 * unit) if chroma else (219.0 * unit, 16.0 * unit)

    @property
    def maximum(self) -> int:
        """Largest code value."""
        return (1 << self.bit_depth) - 1

    @property
    def dtype(self) -> type[np.uint8 | np.uint16]:
        """The type of a sample."""
        return np.uint8 if self.bit_depth == 8 else np.uint16

    def codes(self, levels: Array, *, chroma: bool) -> Array:
        """Float levels to code values, rounded and clipped."""
        scale, offset = self.line(chroma=chroma)
        # levels outside of the range are possible after a change of model
        rounded: Array = np.clip(
            np.rint(levels * np.float32(scale) + np.float32(offset)), 0, self.maximum
        ).astype(self.dtype)
        return rounded

    def levels(self, plane: Array, *, chroma: bool) -> Array:
        """Code values to float32 levels."""
        scale, offset = self.line(chroma=chroma)
        floats: Array = (plane.astype(np.float32) - np.float32(offset)) / np.float32(scale)
        return floats


@lru_cache(maxsize=32)
def _table(have: Quantisation, want: Quantisation, chroma: bool) -> Array:
    scale, offset = have.line(chroma=chroma)
    new_scale, new_offset = want.line(chroma=chroma)
    # in doubles, once for each code value: planes are then only looked up
    levels = (np.arange(have.maximum + 1) - offset) / scale
    table: Array = np.clip(np.floor(levels * new_scale + new_offset + 0.5), 0, want.maximum).astype(
        want.dtype
    )
    return table


def requantised(
    plane: Array, have: Quantisation, want: Quantisation, *, chroma: bool = False
) -> Array:
    """The same levels in another bit depth or range, rounded; the plane itself when nothing
    changes.

    Limited range widens by an exact shift (235 → 940), full range by its maximum (255 → 1023).

    Args:
        plane: code values.
        have: their quantisation.
        want: the one wanted.
        chroma: whether they are colour differences.
    """
    if have == want:
        return plane
    return look_up(_table(have, want, chroma), plane)


def rgb_from_yuv(
    planes: tuple[Array, ...], have: Quantisation, want: Quantisation, matrix: str
) -> tuple[Array, ...]:
    """R'G'B' planes of Y, Cb, Cr planes.

    Args:
        planes: Y, Cb, Cr at full resolution.
        have: their quantisation.
        want: the one wanted.
        matrix: a key of LUMA_WEIGHTS.
    """
    kr, kb = LUMA_WEIGHTS[matrix]
    luma = have.levels(planes[0], chroma=False)
    # E'B − E'Y = 2 (1 − KB) E'PB, likewise red; green is what is left of luma
    blue = luma + np.float32(2 * (1 - kb)) * have.levels(planes[1], chroma=True)
    red = luma + np.float32(2 * (1 - kr)) * have.levels(planes[2], chroma=True)
    green = (luma - np.float32(kr) * red - np.float32(kb) * blue) / np.float32(1 - kr - kb)
    return tuple(want.codes(levels, chroma=False) for levels in (red, green, blue))


def yuv_from_rgb(
    planes: tuple[Array, ...], have: Quantisation, want: Quantisation, matrix: str
) -> tuple[Array, ...]:
    """Y, Cb, Cr planes of R'G'B' planes, at full resolution.

    Args:
        planes: R, G, B.
        have: their quantisation.
        want: the one wanted.
        matrix: a key of LUMA_WEIGHTS.
    """
    kr, kb = LUMA_WEIGHTS[matrix]
    red, green, blue = (have.levels(plane, chroma=False) for plane in planes)
    # E'Y is the weighted sum, the differences are scaled to ±½
    luma = np.float32(kr) * red + np.float32(1 - kr - kb) * green + np.float32(kb) * blue
    return (
        want.codes(luma, chroma=False),
        want.codes((blue - luma) / np.float32(2 * (1 - kb)), chroma=True),
        want.codes((red - luma) / np.float32(2 * (1 - kr)), chroma=True),
    )
