"""A clip made by program whose truth is known: frames, alpha, times and sound.

A furry creature hops over a sunny meadow while the camera pans; the times are a phone's (variable
rate). It serves the demo and the tests. Any frame can be asked for at any time: nothing depends on
the frames before it.

Pictures are composed in R'G'B' as displayed, so frame = alpha · creature + (1 - alpha) · landscape
holds in code values, which is the arithmetic of every later render. Lengths inside are in pixels,
times in seconds from the first frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.masks import Image, Mask
from vfx_matte.scene.creature import Pose, Sprite
from vfx_matte.scene.landscape import Layer, paint_layers
from vfx_matte.scene.paint import Floats, Rng
from vfx_matte.timeline import Timeline

Alpha = npt.NDArray[np.float32]
"""float32 (H, W) in [0, 1]: how much of each pixel the creature covers, motion blur included."""

_Times = npt.NDArray[np.float64]

_TIME_BASE = Fraction(1, 90000)
# long enough for motion blur that a mask has to follow, as a phone's in the afternoon
_SHUTTER_SECONDS = 1 / 80
_EXPOSURES = 20  # sub-frames that one picture is the mean of
_GROUND_SECONDS = 0.2  # how long the creature crouches between landing and take-off
# a pentatonic scale: any two notes in a row sound well
_NOTES_HZ = (523.25, 659.26, 783.99, 880.0, 1046.5)


@dataclass(frozen=True)
class Scene:
    """A clip of a given size and length; equal arguments give equal clips.

    Raises:
        ValueError: for values below their least.
    """

    width: int = 640
    """Pixels, at least 64."""

    height: int = 360
    """Pixels, at least 64."""

    frame_count: int = 72
    """At least 1."""

    seed: int = 7
    """At least 0."""

    def __post_init__(self) -> None:
        if self.width < 64 or self.height < 64:
            raise ValueError(
                f"scene of {self.width} × {self.height} pixels, expected at least 64 × 64"
            )
        if self.frame_count < 1:
            raise ValueError(f"frame_count {self.frame_count} is below 1")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} is negative")

    @cached_property
    def timeline(self) -> Timeline:
        """Exact times, 1/90000 s: mostly 1/30 s apart with jitter, a stretch near 1/24 s, and some
        frames missed (1/15 s).
        """
        rng = self._rng(1)
        # 30 fps; in low light 24 for a while; a few frames missed; and jitter of up to 2 %
        # everywhere
        ticks = np.full(self.frame_count, 3000)
        ticks[int(self.frame_count * 0.6) : int(self.frame_count * 0.75)] = 3750
        missed = rng.choice(self.frame_count, max(1, self.frame_count // 24), replace=False)
        ticks[missed] = 6000
        ticks += rng.integers(-60, 61, self.frame_count)
        durations = tuple(int(value) for value in ticks)
        starts = np.concatenate([[0], np.cumsum(ticks)[:-1]])
        return Timeline(tuple(int(value) for value in starts), durations, _TIME_BASE)

    @cached_property
    def landings(self) -> tuple[int, ...]:
        """Frame indices, ascending: the creature touches the ground exactly when these frames
        begin, and a note sounds.
        """
        # half a second or a little more from hop to hop
        rng = self._rng(2)
        frames, frame = [], int(rng.integers(17, 20))
        while frame < self.frame_count:
            frames.append(frame)
            frame += int(rng.integers(15, 20))
        return tuple(frames)

    def frame(self, index: int) -> tuple[Image, Alpha]:
        """One picture and its truth.

        Args:
            index: 0-based, in [0, frame_count).

        Returns:
            The image, uint8 (H, W, 3) R'G'B' with sensor noise, and the creature's alpha, float32
            (H, W) in [0, 1].

        Raises:
            IndexError: for a frame that is not there.
        """
        times = self._exposures(index)
        picture = self._landscape_at(times)
        alpha = np.zeros((self.height, self.width), np.float32)
        # premultiplied over the landscape: the equation in the module's text, in one place
        box, creature = self._creature_at(times)
        alpha[box] = creature[..., 3].clip(0, 1)
        picture[box] *= 1 - alpha[box][..., None]
        picture[box] += creature[..., :3]
        picture += self._noise_at(index, picture)
        return np.rint(picture.clip(0, 255)).astype(np.uint8), alpha

    def truth_mask(self, index: int) -> Mask:
        """The creature as object 1: uint8 (H, W), 1 where its true alpha is at least 0.5."""
        box, creature = self._creature_at(self._exposures(index))
        mask = np.zeros((self.height, self.width), np.uint8)
        mask[box] = creature[..., 3] >= 0.5
        return mask

    def sound(self, rate: int = 48000) -> npt.NDArray[np.float32]:
        """The clip's sound, from the start of the first frame to the end of the last.

        Soft wind, and a plucked note whose first sample is the one nearest to the start of each
        frame of `landings`.

        Args:
            rate: samples per second.

        Returns:
            float32 (2, samples) in [-1, 1].
        """
        count = round(self.timeline.end * rate)
        wind = self._rng(3).standard_normal((2, count // 64 + 2)).astype(np.float32)
        sound = 0.006 * np.asarray(cv2.resize(wind, (count, 2), interpolation=cv2.INTER_CUBIC))
        for number, index in enumerate(self.landings):
            onset = round(self.timeline[index].start * rate)
            seconds = np.arange(min(count - onset, rate)) / rate
            pitch = _NOTES_HZ[(number * 2 + self.seed) % len(_NOTES_HZ)]
            turns = math.tau * pitch * seconds
            # a fading tone with its octave, louder on the side where the creature is
            note = 0.4 * np.exp(-7 * seconds) * (np.cos(turns) + 0.3 * np.cos(2 * turns))
            right = self._pose(float(self.timeline[index].start)).x / self.width
            sound[0, onset : onset + len(note)] += note * (1.2 - right)
            sound[1, onset : onset + len(note)] += note * (0.2 + right)
        return np.asarray(np.clip(sound, -1, 1), np.float32)

    def _rng(self, *purpose: int) -> Rng:
        """Random numbers for one purpose, so that no part of the scene shifts another."""
        return np.random.default_rng((self.seed, *purpose))

    def _exposures(self, index: int) -> _Times:
        if not 0 <= index < self.frame_count:
            raise IndexError(f"frame {index} is outside [0, {self.frame_count})")
        # the middles of equal parts of the time that the shutter is open
        within = (np.arange(_EXPOSURES) + 0.5) * (_SHUTTER_SECONDS / _EXPOSURES)
        return np.asarray(self.timeline[index].seconds + within, np.float64)

    @property
    def _radius(self) -> float:
        return 0.155 * min(self.height, self.width * 0.5625)

    @property
    def _ground(self) -> float:
        return 0.845 * self.height

    def _drift(self, seconds: float) -> float:
        """Screen x that the creature keeps to on average: it swings between 30 % and 70 % of the
        width.
        """
        return self.width * (0.5 - 0.2 * math.cos(seconds * math.tau / 6))

    def _camera(self, seconds: float) -> float:
        """World x of the picture's left edge."""
        return 0.3 * self.width * seconds - self._drift(seconds)

    @cached_property
    def _landing_seconds(self) -> _Times:
        """Start of every hop, and the end of the last one (after the clip)."""
        known = [0.0, *(self.timeline[index].seconds for index in self.landings)]
        return np.array([*known, max(float(self.timeline.end), known[-1] + 0.45) + 0.1])

    def _hop(self, seconds: float) -> tuple[float, float, float]:
        """World x, height over the ground in radii, and vertical stretch (1 is a ball) at a
        time.
        """
        starts = self._landing_seconds
        hop = int(np.searchsorted(starts, seconds, side="right").clip(1, len(starts) - 1)) - 1
        begin, length = float(starts[hop]), float(starts[hop + 1] - starts[hop])
        passed = min(max(seconds - begin, 0.0), length)
        world = 0.3 * self.width * begin
        # on the ground it crouches and stretches; in flight it follows a parabola
        if passed < _GROUND_SECONDS:
            crouch = passed / _GROUND_SECONDS
            first = 1.0 if hop == 0 else 1.1
            return world, 0.0, first + (1.1 - first) * crouch - 0.36 * math.sin(math.pi * crouch)
        flight = (passed - _GROUND_SECONDS) / (length - _GROUND_SECONDS)
        rise = 4 * flight * (1 - flight)
        return world + 0.3 * self.width * length * flight, 1.8 * rise, 1.1 - 0.1 * rise

    def _pose(self, seconds: float) -> Pose:
        world, rise, stretch = self._hop(seconds)
        # hair follows the body with a short delay
        past, past_rise, _ = self._hop(seconds - 0.06)
        trail = (past - world) / self._radius, rise - past_rise
        return Pose(world - self._camera(seconds), rise, stretch, trail)

    def _landscape_at(self, times: _Times) -> Floats:
        """The landscape and the creature's soft shadow, blurred by the pan: float32 (H, W, 3),
        0..255.
        """
        picture = np.zeros((self.height, self.width, 3), np.float32)
        for layer in self._layers:
            strip = layer.view(
                [layer.nearness * self._camera(float(time)) for time in times], self.width
            )
            rows = slice(layer.top, layer.top + len(strip))
            picture[rows] *= 1 - strip[..., 3:] * (1 / 255)
            picture[rows] += strip[..., :3]
        # the shadow moves away, spreads and fades as the creature rises
        pose, radius = self._pose(float(times.mean())), self._radius
        y, x = np.ogrid[: self.height, : self.width]
        top = int(self._ground - radius)
        across = (x - pose.x - 0.45 * radius * pose.rise - 0.25 * radius) / (
            radius * (1.15 + 0.2 * pose.rise)
        )
        along = (y[top:] - self._ground - 0.02 * radius) / (radius * (0.24 + 0.05 * pose.rise))
        shade = (0.62 / (1 + 0.7 * pose.rise)) * np.exp(-((across**2 + along**2) ** 1.3))
        picture[top:] *= 1 - shade[..., None].astype(np.float32) * np.array(
            [0.95, 0.9, 0.75], np.float32
        )
        return picture

    def _creature_at(self, times: _Times) -> tuple[tuple[slice, slice], Floats]:
        """The mean of the creature over an exposure: its box in the picture, and premultiplied
        float32 (h, w, 4).
        """
        poses = [self._pose(float(time)) for time in times]
        radius, blink = self._radius, float(times[0] + 0.9) % 1.9 < 0.1
        xs, ys = [pose.x for pose in poses], [self._ground - radius * pose.rise for pose in poses]
        # the box that holds the creature and its hair in all poses of the exposure
        left, right = (
            max(0, int(min(xs) - 2.4 * radius)),
            min(self.width, int(max(xs) + 2.4 * radius) + 1),
        )
        top, bottom = (
            max(0, int(min(ys) - 3.9 * radius)),
            min(self.height, int(max(ys) + radius) + 1),
        )
        total = np.zeros((bottom - top, right - left, 4), np.float32)
        y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
        for pose in poses:
            total += self._sprites[blink].sample(
                pose, (x - pose.x) / radius, (y - self._ground) / radius + pose.rise
            )
        return (slice(top, bottom), slice(left, right)), np.asarray(total / len(poses), np.float32)

    def _noise_at(self, index: int, picture: Floats) -> Floats:
        """Sensor noise, stronger in brighter parts as photon noise is: float32 (H, W, 3)."""
        # one field of noise, taken at another offset for every frame, as fresh noise is slow
        rows, columns = self._rng(4, index).integers(0, 64, 2)
        grain = self._grain[rows : rows + self.height, columns : columns + self.width]
        # photon noise grows with the root of the light; the constant is the sensor's own noise
        return grain * np.sqrt(picture.clip(0, 255) * 0.022 + 1.2)

    @cached_property
    def _grain(self) -> Floats:
        grain = self._rng(5).standard_normal((self.height + 64, self.width + 64, 3), np.float32)
        return np.asarray(
            0.55 * grain + 1.1 * np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.8)), np.float32
        )

    @cached_property
    def _layers(self) -> tuple[Layer, ...]:
        return paint_layers(self._rng(6), self.width, self.height)

    @cached_property
    def _sprites(self) -> tuple[Sprite, Sprite]:
        """The creature with its eyes open, and with its eyes shut."""
        return Sprite.draw(self._rng(7), self._radius, shut=False), Sprite.draw(
            self._rng(7), self._radius, shut=True
        )
