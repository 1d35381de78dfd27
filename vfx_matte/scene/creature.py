"""The creature of a scene: its picture with true alpha, in any pose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.scene.paint import Floats, Rng, mix, paint_strands, ramp

_SPRITE_SCALE = 2  # sprite pixels to a picture pixel
_INK_SCALE = 3  # pixels of the drawing to a sprite pixel


@dataclass(frozen=True, slots=True)
class Pose:
    """How the creature stands or flies at one moment; lengths in radii of its body."""

    x: float
    """Screen x of the feet, in pixels."""

    rise: float
    """Height of the feet over the ground."""

    stretch: float
    """Vertical stretch of the body: 1 is a ball."""

    trail: tuple[float, float]
    """Where (x, y) the hair's ends are drawn out to."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """The creature at rest."""

    pixels: Floats
    """Premultiplied float32 (S, S, 4), colours 0..255, alpha 0..1."""

    unit: float
    """Pixels per radius."""

    @classmethod
    def draw(cls, rng: Rng, radius: float, *, shut: bool) -> Sprite:
        """Draw the creature.

        Args:
            rng: decides its hair.
            radius: of its body in pixels of the finished picture.
            shut: whether its eyes are shut.
        """
        unit = radius * _SPRITE_SCALE
        size = math.ceil(4.6 * unit)
        pen = _Pen(np.zeros((size * _INK_SCALE, size * _INK_SCALE, 4), np.uint8), unit * _INK_SCALE)
        # feet and body, then hair over them, then the face
        for side in (-1, 1):
            pen.ellipse((0.42 * side + 0.06, 0.98), (0.27, 0.13), (128, 58, 40))
            pen.ellipse((0.42 * side + 0.08, 0.95), (0.22, 0.09), (170, 84, 54))
        pen.ellipse((0, 0), (0.93, 0.93), (176, 78, 40))
        _fur(rng, pen)
        _face(pen, shut=shut)
        pixels = np.asarray(
            cv2.resize(pen.canvas, (size, size), interpolation=cv2.INTER_AREA), np.float32
        )
        # light on colours that stay below alpha, as premultiplied ones have to
        pixels[..., 3] /= 255
        pixels[..., :3] = np.minimum(pixels[..., :3] * _light(size, unit), pixels[..., 3:] * 255)
        return cls(pixels, unit)

    def sample(self, pose: Pose, x: Floats, y: Floats) -> Floats:
        """Sample the sprite in a pose.

        Args:
            pose: how it stands.
            x: float32 (h, w), points in radii from the feet.
            y: the same, downwards.

        Returns:
            float32 (h, w, 4), premultiplied.
        """
        # from the points back to the sprite: undo the stretch, the tilt, and the pull on the hair
        tilt = 0.10 * pose.trail[1]
        across, up = x * math.sqrt(pose.stretch), y / pose.stretch + 1.06
        local_x = across * math.cos(tilt) + up * math.sin(tilt)
        local_y = up * math.cos(tilt) - across * math.sin(tilt)
        loose = (np.sqrt(local_x**2 + local_y**2) - 0.8).clip(0, 0.7) ** 1.4
        if pose.trail[1] < 0:
            loose *= 1 - ramp(local_y, 0.5, 0.9)  # falling, the feet stay first to touch the ground
        pull = np.array(pose.trail) * (0.75 / max(1.0, math.hypot(*pose.trail) / 0.8))
        pull[1] = min(pull[1], pose.rise)  # hair does not reach into the ground
        middle = self.pixels.shape[0] / 2 - 0.5
        map_x = np.asarray((local_x - pull[0] * loose) * self.unit + middle, np.float32)
        map_y = np.asarray((local_y - pull[1] * loose) * self.unit + middle, np.float32)
        return np.asarray(cv2.remap(self.pixels, map_x, map_y, cv2.INTER_LINEAR), np.float32)


@dataclass(frozen=True, slots=True)
class _Pen:
    """A square RGBA canvas on which positions are given in radii from the creature's middle, x
    right and y down.
    """

    canvas: npt.NDArray[np.uint8]
    """uint8 (S, S, 4)."""

    unit: float
    """Pixels per radius."""

    def to_canvas(self, points: npt.ArrayLike) -> Floats:
        """Canvas pixels of points in radii."""
        return np.asarray(
            np.asarray(points) * self.unit + self.canvas.shape[0] / 2 - 0.5, np.float32
        )

    def ellipse(
        self, center: tuple[float, float], axes: tuple[float, float], color: tuple[int, int, int]
    ) -> None:
        x, y = self.to_canvas(center).round().astype(int).tolist()
        size = max(1, round(axes[0] * self.unit)), max(1, round(axes[1] * self.unit))
        cv2.ellipse(self.canvas, (x, y), size, 0, 0, 360, (*color, 255), -1)

    def arc(
        self,
        center: tuple[float, float],
        axes: tuple[float, float],
        angles: tuple[int, int],
        width: float,
    ) -> None:
        x, y = self.to_canvas(center).round().astype(int).tolist()
        size = max(1, round(axes[0] * self.unit)), max(1, round(axes[1] * self.unit))
        cv2.ellipse(
            self.canvas,
            (x, y),
            size,
            0,
            *angles,
            (58, 26, 24, 255),
            max(1, round(width * self.unit)),
        )


def _fur(rng: Rng, pen: _Pen) -> None:
    """Hair on a ball, painted from the rim to the front, with a cream belly, a darker back and long
    wisps at the rim.
    """
    # hairs all over a ball, those at the back first; z is the distance towards the viewer
    count = 5200
    z = np.concatenate(
        [rng.uniform(-0.3, 0.2, count // 4), rng.uniform(-0.2, 1, count - count // 4)]
    )
    z.sort()
    turn = rng.uniform(0, math.tau, count)
    normal = np.sqrt(1 - z**2)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    # longer ones at the rim, where they make the soft edge that a matte has to get right
    wisp = (z < 0.2) & (rng.random(count) < 0.4)
    length = rng.uniform(0.26, 0.42, count) + wisp * rng.uniform(0.05, 0.36, count)
    crown = np.exp(-((normal[:, 0] - 0.05) ** 2 / 0.03)) * (normal[:, 1] < -0.75)
    length += crown * rng.uniform(0.0, 0.28, count)
    length *= 1 - 0.5 * ramp(normal[:, 1], 0.6, 1.0)
    # combed down and to the right, but for the crown, which stands up
    comb = np.array([0.12, 0.34]) + rng.normal(0, 0.17, (count, 2)) - crown[:, None] * [0, 0.3]
    roots, ends = 0.84 * normal, 0.84 * normal + length[:, None] * (0.9 * normal + comb)
    bends = length[:, None] * rng.normal([0, -0.06], 0.08, (count, 2))
    # colours: a cream belly, stripes on the back, lighter tips
    belly = ramp(
        np.exp(-(((normal[:, 0] - 0.1) / 0.5) ** 2) - ((normal[:, 1] - 0.55) / 0.42) ** 2)
        * (z > 0),
        0.3,
        0.7,
    )
    stripe = ramp(np.cos(7 * np.arctan2(normal[:, 0] - 0.1, z + 0.3) + 0.6), 0.3, 0.9) * ramp(
        -normal[:, 1], 0.25, 0.6
    )
    coat = mix(
        mix((222, 116, 56), (150, 62, 38), 0.8 * stripe), (244, 216, 178), belly
    ) * rng.uniform(0.84, 1.08, (count, 1))
    tips = mix(coat, (255, 214, 150), rng.uniform(0.2, 0.55, count))
    colors = np.stack([coat, tips], axis=1).clip(0, 255).astype(np.float32)
    widths = np.where(wisp, 0.022, 0.038) * rng.uniform(0.7, 1.2, count) * pen.unit
    paint_strands(
        pen.canvas,
        roots=pen.to_canvas(roots),
        ends=pen.to_canvas(ends),
        bends=bends * pen.unit,
        widths=widths,
        colors=colors,
    )


def _face(pen: _Pen, *, shut: bool) -> None:
    for side in (-1, 1):
        eye = (0.3 * side + 0.13, -0.1)
        if shut:
            pen.arc(eye, (0.15, 0.09), (15, 165), 0.045)
            continue
        pen.ellipse(eye, (0.185, 0.215), (62, 30, 26))
        pen.ellipse((eye[0] + 0.01, eye[1] + 0.05), (0.14, 0.14), (112, 62, 36))
        pen.ellipse((eye[0] + 0.01, eye[1]), (0.13, 0.15), (30, 16, 20))
        pen.ellipse((eye[0] - 0.06, eye[1] - 0.09), (0.06, 0.065), (255, 255, 252))
        pen.ellipse((eye[0] + 0.07, eye[1] + 0.09), (0.03, 0.03), (250, 236, 220))
    pen.ellipse((0.15, 0.14), (0.075, 0.05), (112, 44, 44))
    pen.ellipse((0.135, 0.125), (0.03, 0.015), (214, 150, 140))
    for side in (-1, 1):
        pen.arc((0.15 + 0.075 * side, 0.21), (0.075, 0.06), (10, 170), 0.028)


def _light(size: int, unit: float) -> Floats:
    """Sunlight from the upper left over a ball, as a factor (S, S, 3): warm where lit, cooler in
    the shade.
    """
    y, x = (np.mgrid[:size, :size].astype(np.float32) - size / 2 + 0.5) / unit
    # the normal of the ball, times the direction to the sun
    facing = np.sqrt((1.3 - x**2 - y**2).clip(0.05, None)) * 0.5 - 0.5 * x - 0.62 * y
    lit = ramp(facing, -0.75, 1.0)
    return mix((0.52, 0.47, 0.56), (1.16, 1.12, 1.02), lit)
