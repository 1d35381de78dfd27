"""How good alpha and its colours are.

Estimated and true mattes are compared frame by frame; no more than one frame is kept.

SAD, MSE, gradient and connectivity error are those of Rhemann et al., A Perceptually Motivated
Online Benchmark for Image Matting (CVPR 2009), dtSSD that of Erofeev et al., Perceptually Motivated
Benchmark for Video Matting (BMVC 2015). Below a is the estimate, t the truth, both in [0, 1]. Sums
are over the pixels that count and given in thousands, as that benchmark does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

Alpha = npt.NDArray[np.floating]
"""(H, W), float, in [0, 1]."""

Colors = npt.NDArray[np.floating]
"""(H, W, 3), float, R'G'B' in 0..255."""

Where = npt.NDArray[np.bool_] | None
"""bool (H, W): the pixels that count; None = all of them."""

GRADIENT_SIGMA_PX = 1.4
CONNECTIVITY_STEP = 0.1
CONNECTIVITY_TOLERANCE = 0.15


@dataclass(frozen=True, slots=True)
class MatteScore:
    """Errors of a matte; 0 is perfect, smaller is better.

    sad: Σ|a − t| / 1000. mse: mean of (a − t)². gradient, connectivity: sums / 1000. flicker:
    dtSSD, see `flicker`; 0 for a single frame. color: mean |difference| of a composite over another
    background, in 8-bit code values; color_mse: mean of its square, in code values². Both are 0
    when no composite was given. Over several frames every number is the mean.
    """

    sad: float
    mse: float
    gradient: float
    connectivity: float
    flicker: float = 0.0
    color: float = 0.0
    color_mse: float = 0.0

    @classmethod
    def mean_of(cls, many: list[MatteScore]) -> MatteScore:
        """The mean of each number over at least one score."""
        return cls(
            *(sum(getattr(one, item.name) for one in many) / len(many) for item in fields(cls))
        )


class MatteTally:
    """Adds up the errors of one clip, frame after frame."""

    def __init__(self) -> None:
        self._frames: list[MatteScore] = []
        self._flickers: list[float] = []
        self._last: tuple[Alpha, Alpha] | None = None

    def add(
        self,
        alpha: Alpha,
        truth: Alpha,
        *,
        composite: tuple[Colors, Colors] | None = None,
        where: Where = None,
    ) -> None:
        """Score the next frame.

        composite: the estimated and the true one; where: the pixels that count.

        Raises ValueError when shapes differ.
        """
        colors = (
            (color_error(*composite, where=where), color_mse(*composite, where=where))
            if composite
            else (0.0, 0.0)
        )
        score = MatteScore(
            sad=sad(alpha, truth, where=where),
            mse=mse(alpha, truth, where=where),
            gradient=gradient_error(alpha, truth, where=where),
            connectivity=connectivity_error(alpha, truth, where=where),
            color=colors[0],
            color_mse=colors[1],
        )
        self._frames.append(score)
        if self._last is not None:
            self._flickers.append(flicker(self._last, (alpha, truth), where=where))
        self._last = alpha.copy(), truth.copy()

    def score(self) -> MatteScore:
        """The mean over the frames, flicker over pairs of neighbours.

        Raises ValueError when there is no frame.
        """
        if not self._frames:
            raise ValueError("no frame was added, expected at least one")
        pairs = sum(self._flickers) / len(self._flickers) if self._flickers else 0.0
        return replace(MatteScore.mean_of(self._frames), flicker=pairs)


def sad(alpha: Alpha, truth: Alpha, *, where: Where = None) -> float:
    """Sum of absolute differences, in thousands: Σ|a − t| / 1000.

    Raises ValueError when shapes differ.
    """
    return float(np.abs(_difference(alpha, truth, where)).sum()) / 1000


def mse(alpha: Alpha, truth: Alpha, *, where: Where = None) -> float:
    """Mean squared error: mean of (a − t)² over the pixels that count.

    Raises ValueError when shapes differ.
    """
    return _mean_square(_difference(alpha, truth, where))


def gradient_error(alpha: Alpha, truth: Alpha, *, where: Where = None) -> float:
    """Σ(|∇a| − |∇t|)² / 1000, gradients by first derivatives of a Gaussian of σ = 1.4 px (Rhemann
    et al. 2009, eq. 3, q = 2).

    The two kernels, G(x)·G'(y) and its transpose, have a sum of squares of 1; they end where G
    falls below 0.01 and borders repeat. Raises ValueError when shapes differ.
    """
    _difference(alpha, truth, None)
    return float(_counted((_slope(alpha) - _slope(truth)) ** 2, where).sum()) / 1000


def connectivity_error(alpha: Alpha, truth: Alpha, *, where: Where = None) -> float:
    """Σ|φ(a) − φ(t)| / 1000: how far parts hang loose from what is opaque (Rhemann et al. 2009,
    eqs. 4 and 5, p = 1).

    l is the highest of the thresholds 0, 0.1, … 1 at which a pixel belongs to the largest
    4-connected piece of {a ≥ l and t ≥ l}; with d = α − l, φ = 1 − d where d ≥ 0.15, else 1. (The
    benchmark's λ = 1.)
    Raises ValueError when shapes differ.
    """
    _difference(alpha, truth, None)
    shown = np.maximum(alpha, truth) > 0  # elsewhere both degrees are 1
    left, top, width, height = cv2.boundingRect(shown.view(np.uint8))
    window = slice(top, top + height), slice(left, left + width)
    alpha, truth, where = alpha[window], truth[window], where if where is None else where[window]
    both = np.minimum(alpha, truth)
    level = np.ones(both.shape, np.float64)
    undecided = np.ones(both.shape, bool)
    steps = round(1 / CONNECTIVITY_STEP)
    for step in range(1, steps + 1):
        loose = undecided & ~_largest_piece(both >= step / steps - 1e-9)
        level[loose] = (step - 1) / steps
        undecided &= ~loose
    degrees = []
    for one in (alpha, truth):
        beyond = one - level
        degrees.append(1 - beyond * (beyond >= CONNECTIVITY_TOLERANCE - 1e-9))
    return float(_counted(np.abs(degrees[0] - degrees[1]), where).sum()) / 1000


def flicker(before: tuple[Alpha, Alpha], now: tuple[Alpha, Alpha], *, where: Where = None) -> float:
    """The dtSSD of two neighbouring frames: how far the change of alpha is from the true change; in
    per cent of full alpha.

    100 · √(mean of ((a' − a) − (t' − t))²), with (a, t) of the frame before and (a', t') of this
    one (Erofeev et al. 2015, as a mean over pixels, so that sizes of pictures compare). Raises
    ValueError when shapes differ.
    """
    change = _difference(now[0], before[0], None) - _difference(now[1], before[1], None)
    return 100 * math.sqrt(_mean_square(_counted(change, where)))


def color_error(composite: Colors, truth: Colors, *, where: Where = None) -> float:
    """Mean absolute difference of two composites over the same background, in 8-bit code values,
    over all channels.

    The estimate is âF̂ + (1 − â)B' with the estimated foreground, the truth tF + (1 − t)B'.
    ValueError when shapes differ.
    """
    return float(np.abs(_difference(composite, truth, where)).mean())


def color_mse(composite: Colors, truth: Colors, *, where: Where = None) -> float:
    """Mean squared difference of two composites over the same background, in (8-bit code values)².

    ValueError as above.
    """
    return _mean_square(_difference(composite, truth, where))


def _difference(
    one: npt.NDArray[np.floating], other: npt.NDArray[np.floating], where: Where
) -> npt.NDArray[np.float64]:
    if one.shape != other.shape:
        raise ValueError(f"estimate is {one.shape}, truth {other.shape}, expected one shape")
    return _counted(np.subtract(one, other, dtype=np.float64), where)


def _counted(values: npt.NDArray[np.float64], where: Where) -> npt.NDArray[np.float64]:
    return values if where is None else values[where]


def _mean_square(values: npt.NDArray[np.float64]) -> float:
    return float((values * values).mean())


@cache
def _kernels() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """One row each: the Gaussian and its derivative, scaled so that their outer product has a sum
    of squares of 1.
    """
    sigma = GRADIENT_SIGMA_PX
    reach = math.ceil(sigma * math.sqrt(-2 * math.log(math.sqrt(math.tau) * sigma * 0.01)))
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    bell = np.exp(-(x**2) / (2 * sigma**2))
    slope = x * bell
    return bell / np.linalg.norm(bell), slope / np.linalg.norm(slope)


def _slope(alpha: Alpha) -> npt.NDArray[np.float64]:
    """|∇α|: float64 (H, W)."""
    bell, slope = _kernels()
    exact = alpha.astype(np.float64)
    across = cv2.sepFilter2D(exact, cv2.CV_64F, slope, bell, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(exact, cv2.CV_64F, bell, slope, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(across, down)


def _largest_piece(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The 4-connected piece with the most pixels; nothing when there is none."""
    count, labels, table, _ = cv2.connectedComponentsWithStats(
        inside.view(np.uint8), connectivity=4
    )
    if count < 2:
        return np.zeros(inside.shape, bool)
    largest: npt.NDArray[np.bool_] = labels == 1 + int(table[1:, cv2.CC_STAT_AREA].argmax())
    return largest
