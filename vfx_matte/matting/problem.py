"""The problem that an alpha estimator solves, and the protocol of estimators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vfx_matte.backend import Array, Region, xp
from vfx_matte.matting.local_colors import LocalColors

RAMP_PX = 4.0
"""Width of the edge that is taken for likely where the colours of the picture tell nothing, at 1080
lines.
"""

BACKGROUND, UNKNOWN, SUBJECT = 0, 128, 255
"""Values of a trimap."""


@dataclass(frozen=True, slots=True)
class AlphaProblem:
    """A part of a picture in which alpha is to be found; all arrays on one device."""

    picture: Array
    """R'G'B', uint8 (h, w, 3)."""

    trimap: Array
    """BACKGROUND, UNKNOWN and SUBJECT, uint8 (h, w)."""

    likely: Array | None
    """Alpha as the probabilities say it: float32 (h, w), 0..1; None without them."""

    own_edge: Array
    """The mask's own edge, smoothed, or as the probabilities have it: float32 (h, w), 0..1."""

    distance: Array
    """Signed distance to the hard edge in px, positive inside: float32 (h, w)."""

    colors: LocalColors
    """What both sides look like nearby: `colors.sample(region)`."""

    rough: LocalColors
    """The same from farther away."""

    trusted: Array
    """How far colours tell the sides apart: float32 (h, w), 0..1."""

    hairy: Array
    """How hair-like the edge is: float32 (h, w), 0..1."""

    region: Region
    """Where this part lies in the region that the colours were learned of."""

    scale: float
    """Size of the whole frame against 1080 lines."""

    @property
    def prior(self) -> Array:
        """Alpha as the probabilities say it, or without them a narrow ramp: float32 (h, w), 0..1;
        the ramp is made anew every time.
        """
        if self.likely is not None:
            return self.likely
        width = np.float32(RAMP_PX * max(self.scale, 0.25))
        ramp: Array = xp(self.distance).clip(0.5 + self.distance / width, 0, 1)
        return ramp

    @property
    def image(self) -> Array:
        """R'G'B' in 0..1, float32 (h, w, 3); made anew every time."""
        unit: Array = self.picture.astype(np.float32) * np.float32(1 / 255)
        return unit


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
