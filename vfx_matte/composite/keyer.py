"""Keys a green screen as an editing program would, and measures how far that is off.

The keyer is the plain one of the textbooks, so that its result can be foretold: linear chroma
keying with an acceptance angle, K. Jack, "Video Demystified", chapter "Digital video processing",
section "Chroma keying". With an angle of 120° it takes nearly what the colour-difference keyer G −
max(R, B) of P. Vlahos (US patent 3 595 987) takes. Arrays are NumPy or CuPy; files, time and codecs
are not known here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from vfx_matte.backend import Array, box_sum, to_numpy, xp
from vfx_matte.errors import UsageError
from vfx_matte.masks import RGB, hex_color
from vfx_matte.picture import LUMA_WEIGHTS, ColorTags, Picture, PixelLayout, code_values

Siting = Literal["left", "center"]

HOLE = 0.9
"""A pixel that is all subject and is keyed to less than this has been keyed out: what is behind it
shows through.
"""

RESIDUE = 0.1
"""A pixel that is all background and is keyed to more than this has been left in."""

_NEUTRAL = 0.02  # chroma, of 0.5 at most, below which a key has no colour to tell it by
_LEVELS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyer:
    """A chroma keyer's settings.

    Raises:
        UsageError: for values out of range, and for a key without colour, which no chroma keyer can
            key.
    """

    key: RGB
    """The screen's colour."""

    acceptance_degrees: float = 120.0
    """Hues within half of this on either side of the key's are taken for mixtures with it: 0 to
    180, exclusive.
    """

    clip_black: float = 0.0
    """Alpha at and below this becomes 0; 0 to 1."""

    clip_white: float = 1.0
    """Alpha at and above this becomes 1; 0 to 1, above `clip_black`."""

    siting: Siting = "left"
    """Where the samples of subsampled chroma lie in a row, "left" on a luma sample as H.264, H.265
    and ProRes have it (ITU-T H.273, chroma sample location type 0) or "center" between two; in a
    column they always lie between two.
    """

    def __post_init__(self) -> None:
        if not 0 < self.acceptance_degrees < 180:
            hint = "120 suits most pictures"
            raise UsageError(
                f"acceptance angle is {self.acceptance_degrees}, expected between 0 and 180",
                hint=hint,
            )
        if not 0 <= self.clip_black < self.clip_white <= 1:
            clips = f"{self.clip_black} and {self.clip_white}"
            raise UsageError(
                f"clip black and white are {clips}, expected 0 to 1, black below white",
                hint="0 and 1 clip nothing",
            )
        # black, white and grey lie in the middle of the plane, from where every hue is equally near
        if math.hypot(*_key_chroma(self.key, "bt709")) < _NEUTRAL:
            raise UsageError(
                f"key {hex_color(self.key)} has no colour that a keyer could tell",
                hint="use green, blue or magenta",
            )

    def alpha(self, picture: Picture) -> Array:
        """Key a decoded picture: float32 (H, W) in [0, 1], 1 = subject, on the picture's device.

        With the chroma (Cb, Cr) turned so that X lies along the key's and Z across it, and |K| the
        key's own: α = 1 − max(0, X − |Z| / tan(θ / 2)) / |K|, then α' = (α − black) / (white −
        black), clipped. Neutral colours mixed with the key in any part come out exactly. A gray
        picture has no chroma: all of it is subject.
        """
        module = xp(picture.planes[0])
        if picture.layout.model == "gray":
            opaque: Array = module.ones(picture.shape, np.float32)
            return opaque
        matrix = picture.color.luma_matrix(picture.shape[0])
        # turn the plane (Cb, Cr) until the key lies on its X axis
        blue, red = full_chroma(picture, siting=self.siting)
        key_blue, key_red = _key_chroma(self.key, matrix)
        length = math.hypot(key_blue, key_red)
        along = (blue * np.float32(key_blue) + red * np.float32(key_red)) / np.float32(length)
        across = module.abs(blue * np.float32(key_red) - red * np.float32(key_blue)) / np.float32(
            length
        )
        # how much of the key is in a pixel: hues off the key's by half the angle hold none
        screen = along - across / np.float32(math.tan(math.radians(self.acceptance_degrees / 2)))
        alpha = 1 - module.maximum(screen, 0) / np.float32(length)
        clipped: Array = module.clip(
            (alpha - self.clip_black) / (self.clip_white - self.clip_black), 0, 1
        ).astype(np.float32)
        return clipped


def full_chroma(picture: Picture, *, siting: Siting = "left") -> tuple[Array, Array]:
    """Cb and Cr of every pixel, by linear interpolation as editing programs do it.

    Args:
        picture: Y'CbCr of any subsampling, or RGB, which is converted with the matrix that its size
            suggests.
        siting: see `Keyer.siting`.

    Returns:
        Two float32 (H, W) in about [−0.5, 0.5].

    Raises:
        ValueError: for a gray picture.
    """
    layout, color = picture.layout, picture.color
    if layout.model == "gray":
        raise ValueError("a gray picture has no chroma")
    if layout.model == "rgb":
        low, high = (
            _codes((0, 0, 0), layout, color, picture)[0],
            _codes((255, 255, 255), layout, color, picture)[0],
        )
        red, green, blue = (
            (plane.astype(np.float32) - low) / np.float32(high - low)
            for plane in picture.planes[:3]
        )
        kr, kb = LUMA_WEIGHTS[color.luma_matrix(picture.shape[0])]
        luma = np.float32(kr) * red + np.float32(1 - kr - kb) * green + np.float32(kb) * blue
        return (blue - luma) / np.float32(2 * (1 - kb)), (red - luma) / np.float32(2 * (1 - kr))
    # middle grey has neutral chroma in every range and depth
    neutral = _codes((128, 128, 128), layout, color, picture)[1]
    # one unit of chroma in code values: the whole range, or 224 of 256 in limited range
    unit = np.float32(layout.full if color.range == "pc" else 224 << (layout.bit_depth - 8))
    planes = []
    for plane in picture.planes[1:3]:
        levels = (plane.astype(np.float32) - neutral) / unit
        for axis, shift in enumerate(reversed(layout.chroma_shift)):
            # along a column samples always lie between two rows, along a row as `siting` says
            between = axis == 0 or siting == "center"
            levels = _interpolated(levels, axis, picture.shape[axis], shift, between=between)
        planes.append(levels)
    return planes[0], planes[1]


def edge_band(alpha: Array, *, width_px: int) -> Array:
    """Where a matte's edge is: its soft pixels and all near to where it passes ½.

    Args:
        alpha: float (H, W) in [0, 1].
        width_px: rows and columns to either side that still belong to it.

    Returns:
        bool (H, W).
    """
    size = 2 * width_px + 1
    inside = (alpha >= 0.5).astype(np.uint8)
    # a window that is neither all inside nor all outside has the edge in it
    count = box_sum(inside, size)
    band: Array = ((count > 0) & (count < size * size)) | ((alpha > 0) & (alpha < 1))
    return band


@dataclass(slots=True)
class KeyAccuracy:
    """How far keyed alpha is from the true one, over any number of frames in fixed memory.

    Errors are |keyed − true| in 0 to 1, counted in steps of 1/255.
    """

    width_px: int
    """Width of the edge band to either side (see `edge_band`)."""

    _everywhere: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(_LEVELS, np.int64))
    """How many pixels have each error."""

    _edge: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(_LEVELS, np.int64))
    """The same in the edge band."""

    _subject: int = 0
    """Pixels that are all subject."""

    _holes: int = 0
    """Those of them that came out below HOLE."""

    _background: int = 0
    """Pixels that are all background."""

    _residues: int = 0
    """Those of them that came out above RESIDUE."""

    def add(self, true: Array, keyed: Array) -> float:
        """Count one frame.

        Args:
            true: float (H, W) in [0, 1].
            keyed: the same of what was keyed.

        Returns:
            The frame's mean error in the edge band, 0 without an edge.
        """
        module = xp(true)
        steps = module.rint(module.abs(keyed - true) * (_LEVELS - 1)).astype(np.int64)
        at_edge = steps[edge_band(true, width_px=self.width_px)]
        # histograms add up over frames, so that memory does not grow
        here = to_numpy(module.bincount(at_edge, minlength=_LEVELS))
        self._everywhere += to_numpy(module.bincount(steps.ravel(), minlength=_LEVELS))
        self._edge += here
        subject, background = true >= 1, true <= 0
        self._subject += int(subject.sum())
        self._holes += int((subject & (keyed < HOLE)).sum())
        self._background += int(background.sum())
        self._residues += int((background & (keyed > RESIDUE)).sum())
        return _mean(here)

    @property
    def mean(self) -> float:
        """Mean error over all pixels."""
        return _mean(self._everywhere)

    @property
    def edge_mean(self) -> float:
        """Mean error in the edge band."""
        return _mean(self._edge)

    @property
    def edge_95(self) -> float:
        """The error that 95 % of the pixels in the edge band stay below or reach."""
        # no edge, no error at one
        total = int(self._edge.sum())
        if not total:
            return 0.0
        return float(np.searchsorted(np.cumsum(self._edge), 0.95 * total)) / (_LEVELS - 1)

    @property
    def keyed_out(self) -> float:
        """Part of the pixels that are all subject and came out below HOLE."""
        return self._holes / max(1, self._subject)

    @property
    def left_in(self) -> float:
        """Part of the pixels that are all background and came out above RESIDUE."""
        return self._residues / max(1, self._background)


def _mean(counts: npt.NDArray[np.int64]) -> float:
    total = int(counts.sum())
    return float(counts @ np.arange(_LEVELS)) / (_LEVELS - 1) / total if total else 0.0


def _interpolated(plane: Array, axis: int, size: int, shift: int, *, between: bool) -> Array:
    """Stretch float32 (h, w) along one axis; beyond the ends the first and the last sample repeat.

    Args:
        plane: float32 (h, w).
        axis: 0 or 1.
        size: wanted along that axis.
        shift: power of two by which the plane is smaller.
        between: samples lie midway in their pixels, not on the first.
    """
    if not shift:
        return plane
    module, step = xp(plane), 1 << shift

    def part(first: int, stop: int | None, every: int = 1) -> tuple[slice, slice]:
        along = slice(first, stop, every)
        return (along, slice(None)) if axis == 0 else (slice(None), along)

    # one sample more at both ends
    samples = module.concatenate([plane[part(0, 1)], plane, plane[part(-1, None)]], axis=axis)
    shape = (size, plane.shape[1]) if axis == 0 else (plane.shape[0], size)
    stretched: Array = module.empty(shape, np.float32)
    # every step-th pixel lies alike between its two samples, so that their weights are one number
    for pixel in range(min(step, size)):
        position = (pixel - ((step - 1) / 2 if between else 0)) / step
        first = math.floor(position)
        weight = np.float32(position - first)
        count = -(-(size - pixel) // step)
        low, high = (
            samples[part(first + 1 + next_one, first + 1 + next_one + count)] for next_one in (0, 1)
        )
        mixed = low if weight == 0 else low * (1 - weight) + high * weight
        stretched[part(pixel, None, step)] = mixed
    return stretched


def _codes(rgb: RGB, layout: PixelLayout, color: ColorTags, picture: Picture) -> tuple[int, ...]:
    return code_values(rgb, layout, color, height=picture.shape[0])


def _key_chroma(rgb: RGB, matrix: str) -> tuple[float, float]:
    """(Cb, Cr) of an R'G'B' colour. Equations: ITU-T H.273 (2021), 8.3."""
    red, green, blue = (value / 255 for value in rgb)
    kr, kb = LUMA_WEIGHTS[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
