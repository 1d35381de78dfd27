"""What is behind a subject.

Each is one opaque layer that repeats sideways, drawn from random numbers for a size.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from vfx_matte.scene.landscape import Layer, paint_layers
from vfx_matte.scene.paint import Floats, Rng, cloud_noise, mix, paint_strands, ramp


def paint_backdrop(rng: Rng, width: int, height: int) -> tuple[Layer, ...]:
    """Layers for pictures of `width` × `height`, far to near, the first opaque: a landscape, or one
    of BACKDROPS.
    """
    choice = int(rng.integers(len(BACKDROPS) + 1))
    if choice == len(BACKDROPS):
        return paint_layers(rng, width, height)
    colors = BACKDROPS[choice](rng, 2 * width, height).clip(0, 255)
    opaque = np.dstack([colors, np.full(colors.shape[:2], 255, np.float32)])
    return (Layer.wrap(np.asarray(opaque, np.float32), 0, 1.0, width),)


def _street(rng: Rng, width: int, height: int) -> Floats:
    """House fronts with windows and bricks: hard straight edges of every contrast."""
    canvas = np.full((height, width, 3), 150, np.float32)
    left = 0
    while left < width:
        wide = int(rng.integers(height // 4, height // 2))
        wall = rng.uniform(60, 220, 3) * np.array([1.0, 0.95, 0.9])
        canvas[:, left : left + wide] = wall
        row = max(4, height // 60)
        canvas[:: 2 * row, left : left + wide] *= 0.86
        step, pane = int(rng.integers(height // 9, height // 5)), float(rng.uniform(0.4, 0.7))
        for top in range(int(rng.integers(step)), height, step):
            for start in range(left + step // 5, left + wide - step // 2, step):
                lit = (
                    (250, 226, 160)
                    if rng.random() < 0.25
                    else tuple(rng.uniform(20, 90, 3).tolist())
                )
                cv2.rectangle(
                    canvas,
                    (start, top),
                    (start + int(step * pane * 0.7), top + int(step * pane)),
                    lit,
                    -1,
                )
        left += wide
    canvas *= 0.75 + 0.5 * cloud_noise(rng, (height, width), (height / 3, height / 3), 6)[..., None]
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.6, 1.6))), np.float32)


def _lights(rng: Rng, width: int, height: int) -> Floats:
    """A night out of focus: discs of light over dark blue."""
    glow = cloud_noise(rng, (height, width), (height / 2, height / 2), 4)
    canvas = np.ascontiguousarray(mix((14, 18, 34), (70, 52, 74), ramp(glow, 0.3, 0.8)))
    for _ in range(60):
        disc = np.zeros((height, width), np.float32)
        radius = int(rng.uniform(0.02, 0.06) * height)
        x, y = int(rng.integers(radius, width - radius)), int(rng.integers(height))
        cv2.circle(disc, (x, y), radius, 1.0, -1, cv2.LINE_AA)
        part = np.s_[
            max(0, y - radius - 2) : y + radius + 3, max(0, x - radius - 2) : x + radius + 3
        ]
        color = np.array(
            ((255, 190, 110), (240, 110, 90), (130, 190, 255), (255, 240, 220))[
                int(rng.integers(4))
            ]
        )
        canvas[part] += disc[part][..., None] * (color * rng.uniform(0.2, 0.7)).astype(np.float32)
    return canvas


def _foliage(rng: Rng, width: int, height: int) -> Floats:
    """Leaves and stalks of many greens and browns: texture finer than any edge band."""
    canvas = np.zeros((height, width, 4), np.uint8)
    canvas[...] = (46, 58, 34, 255)
    count = 5000
    roots = rng.uniform(0, 1, (count, 2)) * (width, height)
    turn, length = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.03, 0.12, count) * height
    ends = roots + length[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    greens = mix((52, 86, 38), (176, 178, 84), rng.random(count)) * rng.uniform(
        0.5, 1.25, (count, 1)
    )
    colors = np.stack([greens, greens * rng.uniform(0.8, 1.3, (count, 1))], axis=1).clip(0, 255)
    bends = rng.normal(0, 0.15, (count, 2)) * length[:, None]
    widths = rng.uniform(0.006, 0.03, count) * height
    paint_strands(canvas, roots=roots, ends=ends, bends=bends, widths=widths, colors=colors)
    soft = cv2.GaussianBlur(
        canvas[..., :3].astype(np.float32), (0, 0), float(rng.uniform(0.7, 3.0))
    )
    return np.asarray(soft, np.float32)


def _wall(rng: Rng, width: int, height: int) -> Floats:
    """A painted wall with slow shades and little texture: the easy case."""
    shade = cloud_noise(rng, (height, width), (height / 1.5, height / 1.5), 3)
    grain = cloud_noise(rng, (height, width), (height / 40, height / 40), 3)
    base = rng.uniform(70, 210, 3)
    return mix(base * 0.7, np.minimum(base * 1.25, 255), shade) * (0.94 + 0.12 * grain[..., None])


BACKDROPS: tuple[Callable[[Rng, int, int], Floats], ...] = (_street, _lights, _foliage, _wall)
