"""Subjects that mattes are judged by.

Each is a sprite with true alpha, drawn from random numbers for a size.

A sprite is premultiplied float32 (S, S, 4): colours 0..255, alpha 0..1, its middle the subject's.
Lengths below are parts of the unit, which is about the height of what is seen; x goes right and y
down from the middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.scene.paint import Floats, Rng, cloud_noise, mix, paint_strands, ramp

SPRITE_SCALE = 2  # sprite pixels to a picture pixel
_INK_SCALE = 2  # pixels of the drawing to a sprite pixel
_SIDE = 1.7  # of a sprite, in units

_HAIR = ((38, 28, 26), (92, 58, 36), (196, 156, 96), (150, 70, 36), (170, 166, 160))
_SKIN = ((236, 196, 170), (198, 148, 112), (134, 92, 66), (92, 62, 46))
_CLOTH = (
    (178, 44, 52),
    (36, 74, 140),
    (224, 218, 204),
    (52, 56, 60),
    (58, 120, 84),
    (220, 158, 48),
)

Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Pen:
    """A square RGBA canvas; `unit` in its pixels."""

    canvas: npt.NDArray[np.uint8]
    unit: float

    @classmethod
    def for_unit(cls, unit_px: float) -> _Pen:
        unit = unit_px * SPRITE_SCALE * _INK_SCALE
        size = math.ceil(_SIDE * unit_px * SPRITE_SCALE) * _INK_SCALE
        return cls(np.zeros((size, size, 4), np.uint8), unit)

    def to_canvas(self, points: npt.ArrayLike) -> Floats:
        """Canvas pixels of points in units."""
        return np.asarray(
            np.asarray(points) * self.unit + self.canvas.shape[0] / 2 - 0.5, np.float32
        )

    def polygon(self, points: npt.ArrayLike, color: Color) -> None:
        cv2.fillPoly(
            self.canvas,
            [np.round(self.to_canvas(points) * 16).astype(np.int32)],
            (*color, 255),
            shift=4,
        )

    def ellipse(self, center: tuple[float, float], axes: tuple[float, float], color: Color) -> None:
        turn = np.linspace(0, math.tau, 180, endpoint=False)
        self.polygon(
            np.stack(
                [center[0] + axes[0] * np.cos(turn), center[1] + axes[1] * np.sin(turn)], axis=1
            ),
            color,
        )

    def erase(self, points: npt.ArrayLike) -> None:
        cv2.fillPoly(
            self.canvas,
            [np.round(self.to_canvas(points) * 16).astype(np.int32)],
            (0, 0, 0, 0),
            shift=4,
        )

    def sprite(self, rng: Rng) -> Floats:
        """What was drawn, in the light: premultiplied."""
        size = self.canvas.shape[0] // _INK_SCALE
        pixels = np.asarray(
            cv2.resize(self.canvas, (size, size), interpolation=cv2.INTER_AREA), np.float32
        )
        pixels[..., 3] /= 255
        x = np.linspace(-1, 1, size, dtype=np.float32)[None, :]
        texture = cloud_noise(rng, (size, size), (size / 12, size / 12), 5)
        light = (1.02 - 0.3 * x * float(rng.choice((-1.0, 1.0))))[..., None] * (
            0.8 + 0.4 * texture[..., None]
        )
        pixels[..., :3] = np.minimum(pixels[..., :3] * light, pixels[..., 3:] * 255)
        return pixels


def paint_subject(kind: str, rng: Rng, unit_px: float) -> Floats:
    """A sprite of one of the kinds of SUBJECTS, for pictures in which the unit has so many
    pixels.
    """
    return SUBJECTS[kind](rng, unit_px)


def _long_haired(rng: Rng, unit_px: float) -> Floats:
    """Head, shoulders and loose hair down to single strands."""
    return _portrait(rng, unit_px, locks=1500, single=0.25)


def _short_haired(rng: Rng, unit_px: float) -> Floats:
    """Head, shoulders and a few hairs."""
    return _portrait(rng, unit_px, locks=300, single=0.0)


def _portrait(rng: Rng, unit_px: float, *, locks: int, single: float) -> Floats:
    pen = _Pen.for_unit(unit_px)
    hair = np.array(_HAIR[int(rng.integers(len(_HAIR)))], np.float64)
    _hair(rng, pen, hair, count=locks, behind=True, singles=single)
    skin = _SKIN[int(rng.integers(len(_SKIN)))]
    _bust(rng, pen, skin)
    pen.ellipse((0, -0.25), (0.178, 0.17), tuple(int(value * 0.8) for value in hair))  # type: ignore[arg-type]
    _face(pen, skin)
    _hair(rng, pen, hair, count=900, behind=False, singles=single / 2)
    return pen.sprite(rng)


def _bust(rng: Rng, pen: _Pen, skin: Color) -> None:
    cloth = _CLOTH[int(rng.integers(len(_CLOTH)))]
    pen.polygon([(-0.07, -0.1), (0.07, -0.1), (0.09, 0.16), (-0.09, 0.16)], skin)
    wide = float(rng.uniform(0.34, 0.42))
    right = [(0.09, 0.1), (0.2, 0.15), (wide - 0.06, 0.21), (wide, 0.34), (wide + 0.02, 0.84)]
    outline = [(-x, y) for x, y in right[::-1]] + [(0.0, 0.16), *right]
    before = pen.canvas.copy()
    pen.polygon(outline, cloth)
    changed = (pen.canvas != before).any(axis=2)
    y, x = np.nonzero(changed)
    band = 0.03 * pen.unit * float(rng.uniform(0.8, 1.6))
    stripes = (
        ((y // band).astype(int) % 2 == 0)
        if rng.random() < 0.5
        else ((x // band + y // band).astype(int) % 3 == 0)
    )
    if rng.random() < 0.7:
        other = np.array(_CLOTH[int(rng.integers(len(_CLOTH)))], np.uint8)
        pen.canvas[y[stripes], x[stripes], :3] = other


def _face(pen: _Pen, skin: Color) -> None:
    pen.ellipse((0, -0.2), (0.135, 0.175), skin)
    for side in (-1, 1):
        pen.ellipse((0.055 * side, -0.22), (0.024, 0.012), (246, 244, 240))
        pen.ellipse((0.055 * side, -0.22), (0.011, 0.012), (48, 36, 34))
    pen.ellipse((0, -0.11), (0.035, 0.01), (158, 70, 70))


def _hair(
    rng: Rng, pen: _Pen, color: npt.NDArray[np.float64], *, count: int, behind: bool, singles: float
) -> None:
    """Locks, and from the outline single strands that stand off; behind the head they reach to the
    shoulders.
    """
    turn = (
        rng.uniform(-0.1, 1.1, count) * math.pi
        if behind
        else rng.uniform(0.08, 0.92, count) * math.pi
    )
    outward = np.stack([np.cos(turn), -np.sin(turn)], axis=1)
    roots = np.array([0.0, -0.22]) + outward * np.array([0.15, 0.185]) * rng.uniform(
        0.86, 1.0, (count, 1)
    )
    single = rng.random(count) < singles
    longest = 0.28 if behind and singles else 0.1
    length = np.where(single, rng.uniform(0.05, 0.24, count), rng.uniform(0.04, longest, count))
    fall = np.where(single, rng.normal(0.25, 0.5, count), rng.uniform(0.5, 1.3, count))
    fall *= np.abs(np.cos(turn)) if not behind else 0.35 + 0.65 * np.abs(np.cos(turn))
    swing = rng.normal(0, 0.2, (count, 2)) + outward * np.where(single, 0.7, 0.25)[:, None]
    ends = roots + length[:, None] * (swing + np.stack([np.zeros(count), fall], axis=1))
    bends = rng.normal(0, 0.14, (count, 2)) * length[:, None]
    widths = np.where(single, rng.uniform(0.0012, 0.0024, count), rng.uniform(0.003, 0.009, count))
    shade = color * rng.uniform(0.7, 1.25, (count, 1))
    colors = np.stack(
        [shade, mix(shade, (255, 236, 200), rng.uniform(0, 0.3, count))], axis=1
    ).clip(0, 255)
    paint_strands(
        pen.canvas,
        roots=pen.to_canvas(roots),
        ends=pen.to_canvas(ends),
        bends=bends * pen.unit,
        widths=widths * pen.unit,
        colors=colors,
    )


def _dancer(rng: Rng, unit_px: float) -> Floats:
    """A figure with outstretched arms, to be moved fast."""
    pen = _Pen.for_unit(unit_px)
    skin = _SKIN[int(rng.integers(len(_SKIN)))]
    cloth, trousers = (_CLOTH[int(one)] for one in rng.choice(len(_CLOTH), 2, replace=False))
    reach, bend = float(rng.uniform(0.34, 0.44)), float(rng.uniform(-0.2, 0.1))
    for side in (-1, 1):
        pen.polygon(
            [(0.02 * side, 0.05), (0.13 * side, 0.05), (0.2 * side, 0.46), (0.12 * side, 0.46)],
            trousers,
        )
        pen.polygon(
            [
                (0.1 * side, -0.2),
                (reach * side, bend - 0.09),
                (reach * side, bend),
                (0.1 * side, -0.1),
            ],
            cloth,
        )
        pen.ellipse((reach * side, bend - 0.045), (0.05, 0.05), skin)
    pen.polygon([(-0.12, -0.21), (0.12, -0.21), (0.14, 0.1), (-0.14, 0.1)], cloth)
    pen.ellipse((0, -0.31), (0.09, 0.11), skin)
    pen.ellipse((0, -0.36), (0.092, 0.07), _HAIR[int(rng.integers(len(_HAIR)))])
    return pen.sprite(rng)


def _vase(rng: Rng, unit_px: float) -> Floats:
    """An opaque core whose rim is glass: translucent, streaked, brighter and denser at its very
    end.
    """
    size = math.ceil(_SIDE * unit_px * SPRITE_SCALE)
    unit = unit_px * SPRITE_SCALE
    y, x = (np.mgrid[:size, :size].astype(np.float32) - size / 2 + 0.5) / unit
    turn, radius = np.arctan2(y, x), np.hypot(x, y)
    outline = 0.34 + sum(
        float(rng.uniform(0.1, 0.4))
        * 0.1
        / wave
        * np.cos(wave * turn + float(rng.uniform(0, math.tau)))
        for wave in (2, 3, 5)
    )
    inside = (outline - radius) * unit  # sprite pixels, along the radius
    rim = float(rng.uniform(0.018, 0.034)) * unit
    depth = (inside / rim).clip(0, 1)
    streaks = ramp(
        np.sin(
            turn * float(rng.integers(40, 90))
            + 9 * cloud_noise(rng, (size, size), (size / 6, size / 6), 3)
        ),
        0,
        1,
    )
    thin = float(rng.uniform(0.3, 0.45))
    glass = thin + 0.15 * streaks + 0.25 * np.exp(-depth * 9)
    alpha = (glass + (1 - glass) * ramp(depth, 0.55, 1.0)) * (inside + 0.5).clip(0, 1)
    core = _CLOTH[int(rng.integers(len(_CLOTH)))]
    glaze = mix(
        core, (255, 255, 255), 0.25 * cloud_noise(rng, (size, size), (size / 9, size / 9), 5)
    )
    colors = mix(mix((214, 232, 236), (255, 255, 255), streaks), glaze, ramp(depth, 0.4, 1.0))
    return np.dstack([colors * alpha[..., None], alpha]).astype(np.float32)


def _machine(rng: Rng, unit_px: float) -> Floats:
    """Straight edges, corners, teeth, bars and a hole: no softness but the pixels' own."""
    pen = _Pen.for_unit(unit_px)
    teeth, metal = int(rng.integers(9, 15)), _CLOTH[int(rng.integers(len(_CLOTH)))]
    turn = np.arange(4 * teeth) * (math.tau / (4 * teeth))
    radius = np.where(np.arange(4 * teeth) % 4 < 2, 0.27, 0.33)
    pen.polygon(np.stack([radius * np.cos(turn), radius * np.sin(turn) - 0.06], axis=1), metal)
    pen.polygon([(-0.3, 0.16), (0.34, 0.16), (0.4, 0.44), (-0.36, 0.44)], (196, 188, 176))
    pen.polygon([(0.1, -0.46), (0.125, -0.46), (0.14, -0.2), (0.115, -0.2)], (60, 62, 66))
    pen.polygon([(-0.46, 0.02), (-0.2, 0.05), (-0.2, 0.08), (-0.46, 0.06)], (214, 120, 40))
    around = np.linspace(0, math.tau, 120, endpoint=False)
    pen.erase(np.stack([0.09 * np.cos(around), 0.09 * np.sin(around) - 0.06], axis=1))
    return pen.sprite(rng)


SUBJECTS: Mapping[str, Callable[[Rng, float], Floats]] = {
    "hair": _long_haired,
    "motion blur": _dancer,
    "defocus": _short_haired,
    "glass": _vase,
    "hard": _machine,
}
