"""Corrects log odds where the user marked, and where it looks alike near by.

A Gaussian process over the picture (Rasmussen, Williams: "Gaussian Processes for Machine Learning",
2006, chapter 2): the correction is a sum of bumps round the marks, just high enough that the log
odds at each mark agree with it. A bump falls off with the distance and with the difference
between what the network sees at two places (its decoder's features), so that it ends where the
thing that was clicked ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vfx_matte.detect.salient import Features
from vfx_matte.first_mask.crop_maps import Crop, Region
from vfx_matte.first_mask.marks import Click
from vfx_matte.masks import Image, overlap

LogOdds = npt.NDArray[np.float32]
"""float32 (H, W): log(p / (1 − p)); above 0 is the object."""

Piece = npt.NDArray[np.bool_]
"""bool (G, G): a piece of the picture on the grid that features are compared on."""

MARGIN = 3.0
"""Log odds that a mark gets at least: 95 %."""

MOST_ODDS = 3.9
"""Log odds that the network's maps are limited to: 98 %, so that a mark can turn them."""

# features are compared on a grid of this side: 128² × a few marks takes milliseconds
_GRID_PX = 128
_COLOUR_BLUR_PX = 1.0
# Fitted on the development sequences' first and middle frames, checked on their quarter frames:
# bench/first_mask.py.
# standard deviation of the bump over features, each stage of which has a total variance of 1
_ALIKE = 1.8
# standard deviation of the bump over positions, in √area of the mask
_REACH = 0.35
# each further mark reaches less far: what is left to correct gets smaller
_NARROWING, _LEAST_REACH = 0.8, 0.2
# on the diagonal: marks side by side that disagree must not make bumps of any height
_NOISE = 0.05
# levels of luma and chroma between neighbours on the grid that no edge has
_EDGE_STEP = 2
# of the classifier that looks for a mask by its features: it must not learn every place by heart
_RIDGE = 0.007
_AGREEMENT_STEP = 2
# of the colour histograms
_DROPPED_BITS = 4
_LEVELS = 16
_SMOOTHING = 1e-5


class FeatureMap:
    """The features of a crop: the network's and the colours, each stage scaled to a total variance
    of 1.

    Args:
        crop: the crop.
        features: float32 (64, S, S) of several stages.
        image: uint8 (H, W, 3) R'G'B', the whole picture.
    """

    def __init__(self, crop: Crop, features: Sequence[Features], image: Image) -> None:
        self.crop = crop
        # Y'CbCr, not L*a*b*: as good here, and OpenCV spends a tenth of a second on a table before
        # its first L*a*b*
        luma_chroma = cv2.cvtColor(
            np.ascontiguousarray(image[crop.slices]), cv2.COLOR_RGB2YCrCb
        ).astype(np.float32)
        blurred = cv2.GaussianBlur(luma_chroma, (0, 0), _COLOUR_BLUR_PX)
        colors = cv2.resize(blurred, (_GRID_PX, _GRID_PX), interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        stages = [_on_grid(stage) for stage in features]
        self._vectors = np.concatenate(
            [_scaled(stage) for stage in (*stages, colors)], axis=-1
        ).reshape(_GRID_PX**2, -1)
        self._lengths = np.square(self._vectors).sum(-1)
        self._colors = np.clip(colors, 0, 255).astype(np.uint8)

    def piece(
        self, mark: Click, side: Region, doubtful: Region | None = None, *, reach_px: float
    ) -> Piece:
        """The piece of the picture that a mark lies in: what is joined to it without an edge
        between.

        Any mark in the piece has the same one, but for its ends at the reach.

        Args:
            mark: a point; outside the crop it counts at its edge.
            side: bool (H, W), of the whole picture: where the piece may be.
            doubtful: bool (H, W): where in `side` it may be however far that is; None is nowhere.
            reach_px: how far from the mark it goes elsewhere.

        Returns:
            bool (G, G) on the grid; the mark's own place at least.
        """
        row, column = self._cell(mark)
        far = side & doubtful if doubtful is not None else np.zeros_like(side)
        allowed, allowed_far = (
            cv2.resize(
                region[self.crop.slices].astype(np.uint8),
                (_GRID_PX, _GRID_PX),
                interpolation=cv2.INTER_AREA,
            )
            > 0
            for region in (side, far)
        )
        # OpenCV's mask has a border, and what is not 0 in it is a wall
        walls = np.ones((_GRID_PX + 2, _GRID_PX + 2), np.uint8)
        across, down = self.crop.width / _GRID_PX, self.crop.height / _GRID_PX
        grid = np.arange(_GRID_PX, dtype=np.float32)
        near = np.hypot((grid - column) * across, ((grid - row) * down)[:, None]) <= reach_px
        walls[1:-1, 1:-1] = ~(near & allowed | allowed_far)
        walls[row + 1, column + 1] = 0
        # to neighbours of nearly the same colour, however far that leads: so whatever place of the
        # piece it begins at, it finds the same
        step = (_EDGE_STEP,) * 3
        cv2.floodFill(
            self._colors, walls, (column, row), 0, step, step, 4 | cv2.FLOODFILL_MASK_ONLY | 2 << 8
        )
        found = np.asarray(walls[1:-1, 1:-1] == 2)
        found[row, column] = True
        return found

    def correction(
        self,
        marks: Sequence[Click],
        wanted: npt.NDArray[np.float64],
        *,
        scale_px: float,
        pieces: Sequence[Piece | None] = (),
    ) -> LogOdds:
        """The sum of the bumps round the marks.

        Args:
            marks: N points; those outside the crop count at its edge.
            wanted: float64 (N,): what should be added at each.
            scale_px: √area of the mask.
            pieces: what each mark stands for instead of its own place, in the marks' order; None,
                and what is beyond their number, is its own place.

        Returns:
            float32 of the crop's shape: log odds to be added.
        """
        # 1. squared distances of every grid point to the marks: in features …
        rows, columns = np.array([self._cell(mark) for mark in marks]).T
        at = rows * _GRID_PX + columns
        points = self._vectors[at]
        for index, piece in enumerate(pieces):
            if piece is not None:
                points[index] = self._vectors[piece.ravel()].mean(0)
        unlike = self._lengths[:, None] + np.square(points).sum(-1) - 2 * (self._vectors @ points.T)
        # … and in the picture, px; far_across + far_down is (G, G, N)
        across, down = self.crop.width / _GRID_PX, self.crop.height / _GRID_PX
        grid = np.arange(_GRID_PX, dtype=np.float32)
        far_across = np.square((grid[:, None] - columns) * across)[None]  # (1, G, N)
        far_down = np.square((grid[:, None] - rows) * down)[:, None]  # (G, 1, N)
        far = (far_across + far_down).reshape(_GRID_PX**2, -1)
        for index, piece in enumerate(pieces):
            if piece is not None:
                # in places of the grid, times the longer side of one, as both are much the same
                steps = cv2.distanceTransform(
                    1 - piece.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5
                )
                far[:, index] = np.square(steps * max(across, down)).ravel()
        # 2. the bumps, (G², N), and heights that add what is wanted at each mark
        reach = (
            _REACH
            * scale_px
            * np.maximum(_LEAST_REACH, _NARROWING ** np.arange(len(marks))).astype(np.float32)
        )
        bumps = np.exp(-np.maximum(unlike, 0) / (2 * _ALIKE**2) - far / (2 * reach**2)).astype(
            np.float32
        )
        between = bumps[at].astype(np.float64)
        # a mark's own place looks a little unlike the piece that it stands for
        np.fill_diagonal(between, 1)
        heights = np.linalg.solve(between + _NOISE * np.eye(len(marks)), wanted)
        found = (bumps @ heights.astype(np.float32)).reshape(_GRID_PX, _GRID_PX)
        return np.asarray(
            cv2.resize(found, (self.crop.width, self.crop.height), interpolation=cv2.INTER_LINEAR),
            np.float32,
        )

    def agreement(self, mask: Region) -> float:
        """How far a mask is found again by its features, wherever they are: 0 … 1.

        Args:
            mask: bool (H, W), of the whole picture.

        Returns:
            The overlap of the mask, on the grid, with what a linear classifier that was trained on
            it calls the object. It is high where the mask ends where looks change.
        """
        # every other place tells as much, in a sixth of the time
        shown = np.s_[::_AGREEMENT_STEP, ::_AGREEMENT_STEP]
        share = cv2.resize(
            mask[self.crop.slices].astype(np.float32),
            (_GRID_PX, _GRID_PX),
            interpolation=cv2.INTER_AREA,
        )[shown].ravel()
        vectors = self._vectors.reshape(_GRID_PX, _GRID_PX, -1)[shown].reshape(share.size, -1)
        inside = share > 0.5
        count = np.count_nonzero(inside)
        if not 0 < count < inside.size:
            return 1.0
        # ridge regression (least squares), both sides of the same weight
        weights = np.where(inside, 0.5 / count, 0.5 / (inside.size - count)).astype(np.float32)
        inputs = np.concatenate([vectors, np.ones((inside.size, 1), np.float32)], axis=1)
        weighted = (inputs * weights[:, None]).T
        system = (weighted @ inputs).astype(np.float64)
        system[np.diag_indices_from(system)] += _RIDGE
        slopes = np.linalg.solve(system, (weighted @ (2 * share - 1)).astype(np.float64))
        return overlap((inputs @ slopes.astype(np.float32)) > 0, inside)

    def mean(self, odds: LogOdds, piece: Piece, *, like: float) -> float:
        """The mean of log odds (H, W), of the whole picture, over a piece, where they have the sign
        of `like`; `like` itself where they have it nowhere.
        """
        on_grid = cv2.resize(
            odds[self.crop.slices], (_GRID_PX, _GRID_PX), interpolation=cv2.INTER_NEAREST
        )[piece]
        same = on_grid[on_grid * like > 0]
        return float(same.mean()) if same.size else like

    def _cell(self, mark: Click) -> tuple[int, int]:
        """(row, column) of a mark on the grid."""
        across = int((mark.x - self.crop.left + 0.5) * _GRID_PX / self.crop.width)
        down = int((mark.y - self.crop.top + 0.5) * _GRID_PX / self.crop.height)
        return min(_GRID_PX - 1, max(0, down)), min(_GRID_PX - 1, max(0, across))


def corrected(
    odds: LogOdds,
    marks: Sequence[Click],
    features: FeatureMap,
    *,
    scale_px: float,
    pieces: Sequence[Piece | None] = (),
) -> LogOdds:
    """Log odds that agree with every mark.

    Args:
        odds: float32 (H, W), before corrections.
        marks: clicks, and points along strokes.
        features: of a crop that holds the object.
        scale_px: √area of the mask.
        pieces: as `FeatureMap.correction` takes them.

    Returns:
        float32 (H, W); outside the crop as before.
    """
    signs = np.array([1.0 if mark.is_object else -1.0 for mark in marks])
    current = np.array([odds[mark.y, mark.x] for mark in marks], np.float64)
    for index, piece in enumerate(pieces):
        if piece is not None:
            current[index] = features.mean(odds, piece, like=current[index])
    # a mark that agrees already wants no change, so that its neighbours' corrections do not turn it
    wanted = signs * np.maximum(MARGIN, signs * current) - current
    changed = odds.copy()
    changed[features.crop.slices] += features.correction(
        marks, wanted, scale_px=scale_px, pieces=pieces
    )
    return changed


def log_odds(probability: npt.NDArray[np.float32]) -> LogOdds:
    """Log odds of probabilities, between −MOST_ODDS and MOST_ODDS."""
    least = 1 / (1 + np.exp(MOST_ODDS))
    inside = np.clip(probability, least, 1 - least)
    return np.asarray(np.log(inside / (1 - inside)), np.float32)


def probability_of(odds: LogOdds) -> npt.NDArray[np.float32]:
    """The probabilities of log odds."""
    # beyond 88 below zero the exponential is infinite, and the probability 0, as it should be
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-odds)), np.float32)


def color_odds(
    image: Image, probability: npt.NDArray[np.float32], *, known: Region | None = None
) -> LogOdds:
    """How much likelier each pixel's colour is in the object than around it, by the colour
    histograms of a soft mask.

    Args:
        image: uint8 (H, W, 3) R'G'B', the object and its surroundings.
        probability: float32 (H, W).
        known: bool (H, W), where the mask is learned from; None = everywhere.

    Returns:
        float32 (H, W), −4 … 4.
    """
    index = (image >> _DROPPED_BITS).astype(np.int64)
    bins = (index[..., 0] * _LEVELS + index[..., 1]) * _LEVELS + index[..., 2]
    counts = np.ones_like(probability) if known is None else known.astype(np.float32)
    inside = _histogram(bins, counts * np.square(probability))
    outside = _histogram(bins, counts * np.square(1 - probability))
    ratio = np.log((inside + _SMOOTHING) / (outside + _SMOOTHING))
    return np.asarray(np.clip(ratio, -4, 4)[bins], np.float32)


def _histogram(
    bins: npt.NDArray[np.int64], weights: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Shares of the colours, each spread over its neighbours (¼, ½, ¼ along each channel)."""
    counts = np.bincount(bins.ravel(), weights.ravel(), _LEVELS**3).reshape(
        _LEVELS, _LEVELS, _LEVELS
    )
    for axis in range(3):
        padded = np.pad(counts, [(1, 1) if other == axis else (0, 0) for other in range(3)])
        low, middle, high = (
            np.take(padded, range(start, start + _LEVELS), axis) for start in range(3)
        )
        counts = 0.25 * low + 0.5 * middle + 0.25 * high
    flat = counts.ravel()
    return np.asarray(flat / max(float(flat.sum()), 1e-9), np.float64)


def _on_grid(stage: Features) -> npt.NDArray[np.float32]:
    """(64, S, S) → (G, G, 64)."""
    channels_last = np.ascontiguousarray(stage.transpose(1, 2, 0))
    if stage.shape[1] == _GRID_PX:
        return channels_last
    return np.asarray(
        cv2.resize(channels_last, (_GRID_PX, _GRID_PX), interpolation=cv2.INTER_LINEAR), np.float32
    )


def _scaled(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Centred, with a total variance of 1 over all channels."""
    centred = vectors - vectors.mean((0, 1))
    spread = float(np.sqrt(np.square(centred).sum(-1).mean()))
    return np.asarray(centred / max(spread, 1e-6), np.float32)
