"""The landscape of a scene: layers of several depths, each repeating sideways.

Colours are R'G'B' in 0..255, lengths pixels of the finished picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.scene.paint import Floats, Rng, cloud_noise, mix, paint_strands, ramp


@dataclass(frozen=True, slots=True)
class Layer:
    """One depth of the landscape."""

    strip: Floats
    """Premultiplied float32 (h, period + margin, 4), 0..255, repeating every `period` columns."""

    top: int
    """The picture's row where it begins."""

    nearness: float
    """Its share of the camera's movement."""

    period: int
    """Columns after which it repeats."""

    @classmethod
    def wrap(cls, painted: Floats, top: int, nearness: float, width: int) -> Layer:
        """Make a layer of one painted period.

        Args:
            painted: float32 (h, period, 4), premultiplied.
            top: the picture's row where it begins.
            nearness: its share of the camera's movement.
            width: of the pictures.
        """
        margin = width + width // 8
        return cls(
            np.concatenate([painted, painted[:, :margin]], axis=1), top, nearness, painted.shape[1]
        )

    def view(self, offsets: list[float], width: int) -> Floats:
        """The mean of what is seen from several offsets (linear between columns).

        Args:
            offsets: first columns.
            width: of what is seen.

        Returns:
            float32 (h, width, 4).
        """
        first = math.floor(min(offsets))
        # one filter along the row does the work of all offsets
        taps = np.zeros(math.floor(max(offsets)) - first + 2, np.float32)
        for offset in offsets:
            whole = math.floor(offset) - first
            taps[whole] += (1 - offset % 1) / len(offsets)
            taps[whole + 1] += (offset % 1) / len(offsets)
        start = first % self.period
        columns = self.strip[:, start : start + width + len(taps)]
        return np.asarray(cv2.filter2D(columns, -1, taps[None], anchor=(0, 0)), np.float32)[
            :, :width
        ]


def paint_layers(rng: Rng, width: int, height: int) -> tuple[Layer, ...]:
    """Paint sky, hills and meadow, far to near; the first layer is opaque.

    Args:
        rng: decides what they look like.
        width: of the pictures.
        height: of the pictures.
    """
    horizon = int(0.6 * height)
    parts = (
        (_sky, 0, 0.7 * height, 0.12),
        (_hills, int(0.28 * height), 0.42 * height, 0.4),
        (_meadow, horizon, height - horizon, 1.0),
    )
    return tuple(
        # twice the picture's width, so that no hill is seen twice at once
        Layer.wrap(paint(rng, 2 * width, int(rows)), top, near, width)
        for paint, top, rows, near in parts
    )


def _opaque(colors: Floats, cover: Floats | None = None) -> Floats:
    """Premultiplied (h, w, 4) in 0..255 of colours (h, w, 3) under a cover in 0..1."""
    cover = np.ones(colors.shape[:2], np.float32) if cover is None else cover
    return np.dstack([colors * cover[..., None], cover * 255]).astype(np.float32)


def _sky(rng: Rng, width: int, height: int) -> Floats:
    """Blue to a warm horizon, a low sun's glow, and sunlit clouds."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / height
    colors = mix((74, 134, 208), (188, 214, 232), ramp(y, -0.1, 0.75))
    colors = mix(colors, (255, 226, 178), 0.9 * ramp(y, 0.35, 1.0))
    clouds = cloud_noise(rng, (height, width), (height * 0.24, height * 0.75), 6)
    lit = cloud_noise(rng, (height, width), (height * 0.2, height * 0.5), 4)
    cover = ramp(clouds, 0.5, 0.68) * (1 - ramp(y, 0.62, 0.9)) * 0.92
    colors = mix(colors, mix((226, 214, 222), (255, 250, 240), ramp(lit, 0.35, 0.6)), cover)
    # the distance to the sun around the seam, too
    half = width / height / 2
    sun = ((x - 0.62 + half) % (2 * half) - half) ** 2 + (y - 0.2) ** 2
    return _opaque(
        mix(
            colors,
            (255, 248, 222),
            0.45 * np.exp(-sun / 0.3) + 0.55 * np.exp(-((sun / 0.009) ** 0.8)),
        )
    )


def _ridge(rng: Rng, width: int, waves: tuple[int, ...]) -> Floats:
    """A periodic outline in about -1..1."""
    x = np.arange(width) * (math.tau / width)
    total = sum(np.sin(wave * x + rng.uniform(0, math.tau)) * waves[0] / wave for wave in waves)
    return np.asarray(total / 2, np.float32)


def _hills(rng: Rng, width: int, height: int) -> Floats:
    """Three ranges of hills, paler with distance, the nearest with bushes on its back."""
    y = np.arange(height, dtype=np.float32)[:, None] / height
    layer: Floats = np.zeros((height, width, 4), np.float32)
    # height of the range, swing of its outline, waves per period, shaded and sunny colour, bushes
    ranges = (
        (0.30, 0.13, (3, 5, 8, 13), (146, 166, 196), (172, 184, 200), 0.0),
        (0.50, 0.10, (2, 5, 9, 14), (108, 146, 134), (150, 174, 140), 0.0),
        (0.70, 0.09, (2, 3, 7, 11), (82, 122, 62), (158, 172, 84), 0.05),
    )
    for base, swing, waves, dark, bright, bushes in ranges:
        bumps = cloud_noise(rng, (2, width), (2.0, height * 0.14), 3)[0]
        edge = base - swing * _ridge(rng, width, waves) - bushes * ramp(bumps, 0.4, 0.75)
        cover = ((y - edge) * height + 0.5).clip(0, 1)
        texture = cloud_noise(rng, (height, width), (height * 0.1, height * 0.22), 4)
        sun = ramp(0.6 * texture + 0.6 * (0.75 - (y - edge) * 2.2), 0.3, 0.85)
        painted = _opaque(mix(dark, bright, sun), cover.astype(np.float32))
        layer = np.asarray(layer * (1 - painted[..., 3:] / 255) + painted, np.float32)
    return layer


def _meadow(rng: Rng, width: int, height: int) -> Floats:
    """Grass blades from the far edge to the near one, in patches of green and gold, with small
    flowers.
    """
    ink = 2
    headroom = round(0.1 * height)
    canvas = np.zeros((ink * height, ink * width, 4), np.uint8)
    patches = cloud_noise(rng, (height, width), (height * 0.3, height * 1.1), 4)
    y = np.arange(height, dtype=np.float32)[:, None] / height
    # soil below, so that no gap between blades shows the hills
    soil = mix(
        mix((92, 112, 46), (168, 158, 70), ramp(patches, 0.35, 0.65)),
        (60, 92, 36),
        ramp(y, 0.2, 1.2),
    )
    canvas[ink * headroom :] = np.repeat(
        np.repeat(_opaque(soil)[headroom:], ink, axis=0), ink, axis=1
    )
    count = round(2300 * width / height)
    # blades from far to near, each longer, wider and brighter than those behind it
    depth = np.sort(rng.random(count).astype(np.float32) ** 1.25)
    roots = np.stack(
        [rng.random(count) * width, headroom + depth * (height - headroom) * 1.06], axis=1
    )
    tall = height * (0.035 + 0.11 * depth) * rng.uniform(0.6, 1.25, count)
    lean = rng.normal(0.16, 0.3, count) * tall
    ends = roots + np.stack([lean, -tall], axis=1)
    bends = np.stack([-0.25 * lean, np.zeros(count)], axis=1)
    patch = patches[roots[:, 1].astype(int).clip(0, height - 1), roots[:, 0].astype(int)]
    gold = ramp(patch + rng.normal(0, 0.08, count), 0.38, 0.66)
    colors = (
        mix((66, 118, 38), (186, 168, 72), gold)
        * rng.uniform(0.72, 1.12, (count, 1))
        * (1.06 - 0.22 * depth[:, None])
    )
    colors = np.stack(
        [colors, mix(colors, (246, 236, 138), rng.uniform(0.1, 0.45, count))], axis=1
    ).clip(0, 255)
    widths = height * (0.007 + 0.022 * depth)
    # blades that cross the seam are painted on both sides of it
    for shift in (-width, 0, width):
        near = np.abs(roots[:, 0] + shift - width / 2) < width / 2 + 0.2 * height
        moved = np.array([shift, 0])
        paint_strands(
            canvas,
            roots=ink * (roots + moved)[near],
            ends=ink * (ends + moved)[near],
            bends=ink * bends[near],
            widths=ink * widths[near],
            colors=colors[near],
        )
    _flowers(rng, canvas, headroom * ink)
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _flowers(rng: Rng, canvas: npt.NDArray[np.uint8], top: int) -> None:
    """Daisies and poppies in clusters, larger when nearer."""
    height, width = canvas.shape[:2]
    for _ in range(width // 14):
        depth = float(rng.random()) ** 0.8
        size = height * (0.006 + 0.018 * depth)
        x, y = (
            int(rng.integers(width // 40, width - width // 40)),
            int(top + depth * (height - top) * 0.96),
        )
        petal = ((250, 246, 236), (250, 246, 236), (236, 112, 60), (240, 186, 62))[
            int(rng.integers(4))
        ]
        for turn in np.arange(5) * (math.tau / 5) + rng.random():
            center = round(x + size * math.cos(turn)), round(y + 0.6 * size * math.sin(turn))
            cv2.ellipse(
                canvas,
                center,
                (max(1, round(size * 0.62)), max(1, round(size * 0.42))),
                0,
                0,
                360,
                (*petal, 255),
                -1,
            )
        cv2.circle(canvas, (x, y), max(1, round(size * 0.42)), (236, 176, 44, 255), -1)
