"""Stabilizes mattes: edges flicker less and do not lag.

State is one frame: its result, and its picture at the size the motion is measured at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.backend import Array, Region, bounding_box, to_numpy, vector_length, xp
from vfx_matte.errors import UsageError
from vfx_matte.masks import Image, Matte

FLOW_LINES = 360
"""Motion is measured at this short side, or the frame's own where that is less."""

LARGEST_SHARE = 0.75
"""Share of the frame before at strength 1; a still edge then flickers by a third of what it did."""

DOUBT_PX = 0.25
"""Error of the motion, in px of the size it is measured at, at which the frame before counts
half.
"""

NOISE = 2.0
"""Difference of brightness, in codes of 255, that is noise and no error of the motion."""

SURPRISE = 0.5
"""Change of alpha from one frame to the next at which the frame before counts half."""

FAINT = 0.05
"""How much the background counts where the motion of the subject is judged."""

_FORGOTTEN_BITS = 40
"""A share of 2^-40 is none: alpha is computed with 24 bits."""

# windows and margins, at the size the motion is measured at
_EDGE_PX, _FILL_PX, _LOOK_PX, _AROUND_PX, _LEAST_PX = (
    9,
    31,
    7,
    40,
    16,
)

Floats = npt.NDArray[np.float32]


@dataclass(slots=True)
class Stabilizer:
    """Stabilizes the mattes of one render; frames come in order.

    Alpha is mixed with the result of the frame before, moved to where the subject is now: alpha' =
    alpha + w·(moved - alpha). Motion is dense inverse search flow (Kroeger et al., ECCV 2016) of
    the pictures, carried from inside the subject to its edge, because an edge moves with its
    subject. w falls with what that motion leaves unexplained (DOUBT_PX) and with what is new
    (SURPRISE), so a lost track, a cut or an uncovered edge keeps its own alpha and none lags.

    Raises:
        UsageError: the strength is outside of 0 to 1.
    """

    strength: float
    """0 = off … 1."""

    _before: Floats | None = field(default=None, init=False)
    _gray: npt.NDArray[np.uint8] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise UsageError(f"stabilize is {self.strength}, expected 0 (off) to 1")

    @property
    def memory(self) -> int:
        """How many frames before one can still be seen in its result; of an earlier one less than
        float32 can tell is left.
        """
        # a frame's share shrinks by this factor from frame to frame
        return (
            math.ceil(_FORGOTTEN_BITS / -math.log2(self.strength * LARGEST_SHARE))
            if self.strength
            else 0
        )

    def reset(self) -> None:
        """Forget the frame before: the next one stands for itself."""
        self._before = self._gray = None

    def __call__(self, matte: Matte, image: Image) -> Matte:
        """The stabilized matte of the next frame.

        Args:
            matte: of the frame.
            image: its picture, R'G'B', uint8 (H, W, 3).

        Returns:
            A matte of the same dtype, on the same device.

        Raises:
            ValueError: their (H, W) differ.
        """
        if image.shape[:2] != matte.alpha.shape:
            raise ValueError(f"image is {image.shape}, expected {matte.alpha.shape}")
        if not self.strength:
            return matte
        alpha = to_numpy(matte.alpha).astype(np.float32) * np.float32(1 / matte.full)
        gray = _small_gray(to_numpy(image))
        if (
            self._before is not None
            and self._gray is not None
            and self._before.shape == alpha.shape
        ):
            self._mix(alpha, self._before, self._gray, gray)
        # the result is remembered, not what was given: so a share of many frames is in it
        self._before, self._gray = alpha, gray
        codes = np.rint(alpha * matte.full).astype(matte.alpha.dtype)
        return Matte(xp(matte.alpha).asarray(codes))

    def _mix(self, alpha: Floats, before: Floats, gray_before: Array, gray: Array) -> None:
        """Mix the frame before into alpha, in place, where either is soft or where they differ."""
        changing = ((alpha > 0) & (alpha < 1)) | (np.abs(alpha - before) > 1 / 512)
        region = bounding_box(changing.view(np.uint8))
        if region is None:
            return
        motion, trust = _motion(gray_before, gray, alpha)
        part, flow, weight = (
            alpha[region],
            _enlarged(motion, region, alpha.shape),
            _enlarged(trust, region, alpha.shape),
        )
        # remap wants absolute positions
        rows, columns = (np.arange(side.start, side.stop, dtype=np.float32) for side in region)
        flow[..., 0] += columns[None, :]
        flow[..., 1] += rows[:, None]
        moved = cv2.remap(
            before, flow[..., 0], flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        # what is new counts for itself, by how much it is new
        change = moved - part
        weight /= 1 + (change / np.float32(SURPRISE)) ** 2
        part += np.float32(self.strength * LARGEST_SHARE) * weight * change
        np.clip(part, 0, 1, out=part)


def _small_gray(image: Image) -> npt.NDArray[np.uint8]:
    """The picture in gray at the size motion is measured at."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = gray.shape
    factor = min(1.0, FLOW_LINES / min(height, width))
    size = max(8, round(width * factor)), max(8, round(height * factor))
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)


def _motion(before: Array, now: Array, alpha: Floats) -> tuple[Floats, Floats]:
    """Where the subject was a frame ago: float32 (h, w, 2) in px of `now`, and how far that can be
    trusted, 0..1.

    Measured around the subject only; elsewhere trust is 0.
    """
    # a subject of a few pixels has no motion that could be measured
    height, width = now.shape
    inside = np.asarray(
        cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA), np.float32
    )
    flow, trust = np.zeros((height, width, 2), np.float32), np.zeros((height, width), np.float32)
    region = bounding_box((inside > 0).view(np.uint8), margin_px=_AROUND_PX)
    if region is None or min(side.stop - side.start for side in region) < _LEAST_PX:
        return flow, trust
    flow[region] = _flow_of(before[region], now[region], inside[region])
    trust[region] = _trust(before[region], now[region], inside[region], flow[region])
    return flow, trust


def _flow_of(before: Array, now: Array, inside: Floats) -> Floats:
    """The motion of what is well inside the subject, carried to its edge, where the motions of both
    sides are mixed.
    """
    # from now to before: every pixel asks where it came from
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    estimator.setFinestScale(0)
    target, origin = np.ascontiguousarray(now), np.ascontiguousarray(before)
    flow = estimator.calc(target, origin, np.zeros((*now.shape, 2), np.float32))
    # the 16th power leaves only what has subject all around; thin things have no inside, and the
    # traces behind it serve them
    weight = _mean(inside, _EDGE_PX) ** 16 + np.float32(1e-3) * inside * inside + np.float32(1e-6)
    return np.asarray(
        _mean(flow * weight[..., None], _FILL_PX) / _mean(weight, _FILL_PX)[..., None], np.float32
    )


def _trust(before: Array, now: Array, inside: Floats, flow: Floats) -> Floats:
    """How far a motion explains the subject's brightness, 0..1; what it leaves is taken as an error
    of the motion in px.
    """
    height, width = now.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(
        before,
        flow[..., 0] + x,
        flow[..., 1] + y,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # what is left of the difference, mostly of the subject's own brightness
    weight = inside + np.float32(FAINT)
    near = _mean(weight, _LOOK_PX)
    miss = _mean(cv2.absdiff(moved, now) * weight, _LOOK_PX) / near
    across, down = (
        cv2.Scharr(now, cv2.CV_32F, dx, dy, scale=1 / 32) for dx, dy in ((1, 0), (0, 1))
    )
    slope = _mean(vector_length(across, down) * weight, _LOOK_PX) / near
    # a difference over a slope is a distance; where nothing has a slope, no error can be seen
    error_px = np.maximum(miss - np.float32(NOISE), 0) / (slope + np.float32(NOISE))
    return np.asarray(1 / (1 + (error_px / np.float32(DOUBT_PX)) ** 2), np.float32)


def _mean(values: Array, size_px: int) -> Floats:
    """Mean of the window around each pixel: float32."""
    return np.asarray(cv2.boxFilter(values.astype(np.float32), -1, (size_px, size_px)), np.float32)


def _enlarged(field_: Floats, region: Region, shape: tuple[int, ...]) -> Floats:
    """A field of the small picture at every pixel of a region of the frame; motion becomes px of
    the frame.
    """
    height, width = shape
    across, down = field_.shape[1] / width, field_.shape[0] / height
    rows, columns = region
    # middles of pixels meet middles of pixels, hence the halves
    matrix = np.array(
        [
            [across, 0, (columns.start + 0.5) * across - 0.5],
            [0, down, (rows.start + 0.5) * down - 0.5],
        ]
    )
    size = columns.stop - columns.start, rows.stop - rows.start
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(field_, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if field_.ndim == 3:
        large = large * np.array([1 / across, 1 / down], np.float32)
    return np.asarray(large, np.float32)
