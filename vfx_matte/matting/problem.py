"""What an alpha estimator is given, and what it has to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vfx_matte.backend import Array, Region
from vfx_matte.matting.local_colors import LocalColors

BACKGROUND, UNKNOWN, SUBJECT = 0, 128, 255
"""Values of a trimap."""


@dataclass(frozen=True, slots=True)
class AlphaProblem:
    """A part of a picture in which alpha is to be found; all arrays on one device.

    image: float32 (h, w, 3), R'G'B' in 0..1. trimap: uint8 (h, w) of BACKGROUND, UNKNOWN and
    SUBJECT.
    prior: float32 (h, w) in 0..1, alpha as the probabilities say it, or without them a narrow ramp.
    own_edge: float32 (h, w) in 0..1, the mask's own edge: smoothed, or as the probabilities have
    it.
    distance: float32 (h, w), signed distance to the hard edge in px, positive inside.
    colors, rough, place: what both sides look like, nearby and from farther away, and where in its
    region this part lies: colors.at(place).
    trusted: float32 (h, w) in 0..1, how far colours tell the sides apart.
    hairy: float32 (h, w) in 0..1, how hair-like the edge is.
    scale: size of the whole frame against 1080 lines.
    """

    image: Array
    trimap: Array
    prior: Array
    own_edge: Array
    distance: Array
    colors: LocalColors
    rough: LocalColors
    trusted: Array
    hairy: Array
    place: Region
    scale: float


class AlphaEstimator(Protocol):
    """Finds alpha where a trimap is UNKNOWN."""

    @property
    def margin_px(self) -> int:
        """How far around a pixel the result may look, at 1080 lines; tiles overlap by this much."""

    @property
    def tile_px(self) -> int:
        """Side of the tiles that it is given, without that overlap."""

    @property
    def in_threads(self) -> bool:
        """Whether it may be called in several threads at once: small in memory, without state, and
        no threads of its own.
        """

    def __call__(self, problem: AlphaProblem) -> Array:
        """Alpha as float32 (h, w) in 0..1 on the problem's device; what it says outside UNKNOWN is
        not used.
        """
