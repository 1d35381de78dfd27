"""Clips with every kind of soft edge, whose alpha and colours are known exactly.

A clip is known by its kind and its seed.

A subject moves over a background that moves otherwise. Kinds: "hair" (down to single strands),
"motion blur" (an exposure of fast limbs), "defocus" (seen through a disc), "glass" (a translucent
rim), "hard" (only the pixels' own softness). What is drawn depends on the seed: colours, shapes,
background. It serves measuring and tests; it never touches a file.

Frames are composed in R'G'B' as displayed: image = alpha · foreground + (1 - alpha) · background,
rounded. Sensor noise is part of both, so that an opaque pixel kept as it is has no error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from bench.scenes.backdrops import paint_backdrop
from bench.scenes.subjects import SPRITE_SCALE, SUBJECTS, paint_subject
from vfx_matte.masks import Image
from vfx_matte.scene.landscape import Layer
from vfx_matte.scene.paint import Floats, Rng

EDGE_KINDS = tuple(SUBJECTS)

_EXPOSURES = {"motion blur": 24}
_FEW_EXPOSURES = 3
_UNIT = 0.9  # the subject's unit as a part of the height
_NOISE = 1.5  # standard deviation of the sensor noise in code values


@dataclass(frozen=True, slots=True)
class EdgeFrame:
    """One frame and its truth.

    image: uint8 (H, W, 3) R'G'B'. alpha: float32 (H, W) in [0, 1]. covered: float32 (H, W, 3),
    about 0..255, the foreground's colours times alpha. background: float32 (H, W, 3), about 0..255,
    what is behind, also where it is hidden.
    """

    image: Image
    alpha: Floats
    covered: Floats
    background: Floats

    def over(self, background: Floats) -> Floats:
        """The exact composite of the foreground over another background, float32 (H, W, 3)."""
        return np.asarray(self.covered + background * (1 - self.alpha[..., None]), np.float32)


@dataclass(frozen=True)
class EdgeScene:
    """A clip of one kind of edge; equal arguments give equal clips, and any frame can be asked for
    at any time.

    kind: one of EDGE_KINDS. width, height: at least 64 px. seed: at least 0. ValueError otherwise.
    """

    kind: str
    width: int = 960
    height: int = 540
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in EDGE_KINDS:
            raise ValueError(
                f"kind {self.kind!r} is unknown, expected one of {', '.join(EDGE_KINDS)}"
            )
        if self.width < 64 or self.height < 64 or self.seed < 0:
            raise ValueError(
                f"{self.width} × {self.height} px, seed {self.seed}: expected at least 64 × 64"
                " and 0"
            )

    def frame(self, index: int) -> EdgeFrame:
        """The frame at 0-based `index`; ValueError when it is negative."""
        if index < 0:
            raise ValueError(f"frame {index} is negative")
        count = _EXPOSURES.get(self.kind, _FEW_EXPOSURES)
        times = index + (np.arange(count) + 0.5) / count * 0.5  # a shutter of 180 degrees
        subject: Floats = np.asarray(
            np.mean([self._posed(float(time)) for time in times], axis=0), np.float32
        )
        if self.kind == "defocus":
            subject = _through_disc(subject, self._disc_px)
        alpha = np.asarray(subject[..., 3].clip(0, 1), np.float32)
        noise = self._rng(4, index).standard_normal((*alpha.shape, 3), np.float32) * np.float32(
            _NOISE
        )
        covered = np.asarray(subject[..., :3] + noise * alpha[..., None], np.float32)
        background = self.backdrop(index) + noise
        image = covered + background * (1 - alpha[..., None])
        return EdgeFrame(np.rint(image.clip(0, 255)).astype(np.uint8), alpha, covered, background)

    def backdrop(self, index: int) -> Floats:
        """What is behind the subject on a frame: float32 (H, W, 3), 0..255."""
        picture = np.zeros((self.height, self.width, 3), np.float32)
        speed = self.height / 540 * float(self._rng(3).uniform(1.5, 5))
        for layer in self._layers:
            offsets = [layer.nearness * speed * (index + part) for part in (0.0, 0.25, 0.5)]
            strip = layer.view(offsets, self.width)[: self.height - layer.top]
            rows = slice(layer.top, layer.top + len(strip))
            picture[rows] = picture[rows] * (1 - strip[..., 3:] / 255) + strip[..., :3]
        return picture

    def _rng(self, *purpose: int) -> Rng:
        """Random numbers for one purpose, so that no part shifts another."""
        return np.random.default_rng((self.seed, EDGE_KINDS.index(self.kind), *purpose))

    @property
    def _unit_px(self) -> float:
        return _UNIT * min(self.height, self.width)

    @property
    def _disc_px(self) -> float:
        return self._unit_px * float(self._rng(5).uniform(0.006, 0.013))

    def _posed(self, time: float) -> Floats:
        """The subject at a time in frames: premultiplied float32 (H, W, 4)."""
        rng = self._rng(2)
        phase, pace = rng.uniform(0, math.tau, 3), rng.uniform(0.08, 0.16, 3)
        fast = 2.6 if self.kind == "motion blur" else 1.0
        swing = np.sin(phase + pace * time * fast)
        turn = 0.05 * fast**2 * float(swing[2])
        x, y = (
            self.width * (0.5 + 0.045 * fast * float(swing[0])),
            self.height * (0.53 + 0.01 * fast * float(swing[1])),
        )
        scale = SPRITE_SCALE * self._unit_px / self._unit_px
        column, row = np.meshgrid(
            np.arange(self.width, dtype=np.float32) - x,
            np.arange(self.height, dtype=np.float32) - y,
        )
        across = (column * math.cos(turn) + row * math.sin(turn)) * scale
        down = (row * math.cos(turn) - column * math.sin(turn)) * scale
        if self.kind in ("hair", "defocus"):  # loose ends sway in the wind
            away = (
                np.hypot(across, down + 0.22 * scale * self._unit_px) / (scale * self._unit_px)
                - 0.2
            ).clip(0, 0.3)
            across += (
                away
                * scale
                * self._unit_px
                * 0.12
                * math.sin(0.5 * time + float(phase[1]))
                * (down < 0)
            )
        middle = self._sprite.shape[0] / 2 - 0.5
        place = np.asarray(across + middle, np.float32), np.asarray(down + middle, np.float32)
        return np.asarray(cv2.remap(self._sprite, *place, cv2.INTER_LINEAR), np.float32)

    @cached_property
    def _sprite(self) -> Floats:
        return paint_subject(self.kind, self._rng(1), self._unit_px)

    @cached_property
    def _layers(self) -> tuple[Layer, ...]:
        return paint_backdrop(self._rng(6), self.width, self.height)


def _through_disc(picture: Floats, radius_px: float) -> Floats:
    """The mean over a disc, which is what a lens out of focus makes of every point."""
    reach = math.ceil(radius_px + 1)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc: npt.NDArray[np.floating] = (radius_px + 0.5 - np.hypot(x, y)).clip(0, 1)
    kernel = np.asarray(disc / disc.sum(), np.float32)
    return np.asarray(
        cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32
    )
