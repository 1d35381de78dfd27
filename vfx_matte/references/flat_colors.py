"""Which flat colours a painted picture is made of.

Takes 8-bit arrays, gives colours and labels; knows no object and no file.

A mask is painted with a few flat colours. Anti-aliasing adds blends along the edges, JPEG adds
noise on top. Evidence for a flat colour is a spot of it, evidence for a blend is lying between two
others, in colour and in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.uint8]
"""uint8 (H, W, C) with C = 1 (grey) or 3 (R'G'B')."""

SAME = 24
"""Colours that differ by at most this in every channel may be one colour seen through JPEG."""

_SPIKE = 14  # a flat colour keeps most of its pixels this close, as JPEG does at quality 60 …
_SPIKE_SHARE = (
    0.72  # … while a wide soft ramp, spread evenly, has 29/49 = 0.59 of those within ±SAME here
)
# distance (in code values) from the line between two colours below which a colour counts as their
# blend
_ON_LINE = 6.0
_BLEND_SPOT_RADIUS_PX = (
    4  # a colour that could be a blend needs 9×9 spots: most soft edges are thinner …
)
_BLEND_SPOT_SHARE = 0.12  # … and of a wide soft edge only little lies inside such spots
_CLEAN_SHARE = 0.99  # flat pixels that are exactly flat: JPEG and wide feathers have fewer
_THIN_SHARE = (
    0.9  # strokes without a spot are thin, so nearly everything else is explained without them
)
_MOST_THIN_COLORS = 16
_FEWEST_STROKE_PIXELS = 16
_SPOT_RADIUS_PX = 2  # any other colour of a noisy picture needs a 5×5 spot
_DOT_ROWS = 256  # so many are compared at once, as the largest masks have 35 million pixels
_NEAR_RADII_PX = (2, 4, 8)  # how far a blend looks for the colours it is made of, nearest first


@dataclass(frozen=True, slots=True)
class FlatColors:
    """The flat colours of one picture.

    colors: uint8 (K, C), most frequent first. hard: True when the picture holds these colours and
    nothing else.
    explained: share of pixels, 0..1, that have one of these colours (up to JPEG noise).
    """

    colors: npt.NDArray[np.uint8]
    hard: bool
    explained: float


def find_flat_colors(samples: Samples) -> FlatColors:
    """Find the flat colours of a painted picture; see the module for what counts as evidence."""
    spread = _spread(samples)
    exact = _hard_edged_colors(samples, spread)
    if exact is not None:
        return FlatColors(exact, hard=True, explained=1.0)
    candidates = _spikes(samples[spread <= SAME])
    colors, explained = _with_spots(samples, candidates, _SPOT_RADIUS_PX)
    if len(colors) < 2:
        colors, explained = _with_spots(samples, candidates, 1)
    is_clean = (spread == 0).sum() >= _CLEAN_SHARE * (spread <= SAME).sum()
    if explained >= _THIN_SHARE and (len(colors) == 1 or is_clean):
        colors = _with_thin_strokes(samples, colors)
    return FlatColors(colors, hard=False, explained=explained)


def share_of_dots(samples: Samples) -> float:
    """The share of pixels, 0..1, that stand out from all four neighbours by more than SAME: what
    dithering is made of.

    Flat colours, soft edges and JPEG have next to none. samples: uint8 (H, W, C), any C.
    """
    height, width = samples.shape[:2]
    dots = 0
    for top in range(0, height - 2, _DOT_ROWS):
        rows = samples[top : top + _DOT_ROWS + 2].astype(np.int16)
        center = rows[1:-1, 1:-1]
        beside = (rows[1:-1, :-2], rows[1:-1, 2:], rows[:-2, 1:-1], rows[2:, 1:-1])
        above = np.minimum.reduce([center - one for one in beside])
        below = np.minimum.reduce([one - center for one in beside])
        dots += int((np.maximum(above, below) > SAME).any(axis=2).sum())
    return float(dots / (height * width))


def assign_colors(samples: Samples, flat: FlatColors) -> npt.NDArray[np.uint8]:
    """Say for each pixel which colour it belongs to: uint8 (H, W), indices into `flat.colors` (K ≥
    1).

    Pixels close to a colour take it; the others (blends, noise) take the nearest among the colours
    found in their neighbourhood, so that the edge between red and blue does not become the purple
    that is used elsewhere.
    """
    colors = flat.colors
    labels = np.zeros(samples.shape[:2], np.uint8)
    best = np.full(samples.shape[:2], 255, np.uint8)
    for index, color in enumerate(colors):
        difference = _difference(samples, color)
        closer = difference < best
        labels[closer], best[closer] = index, difference[closer]
    if flat.hard:
        return labels
    sure = [(labels == index) & (best <= SAME) for index in range(len(colors))]
    for index, color in enumerate(colors):
        if _is_blend(color, [other for at, other in enumerate(colors) if at != index]):
            sure[index] &= _dilate(erode(sure[index], 1), 1)
    open_pixels = ~np.logical_or.reduce(sure)
    for index in range(len(colors)):
        labels[sure[index]] = index
    for radius in _NEAR_RADII_PX:
        # close by it takes two colours to explain a blend; farther out, one is better than none
        rows, columns = np.nonzero(open_pixels)
        near = np.stack([_dilate(pixels, radius)[rows, columns] for pixels in sure], axis=1)
        decided = near.sum(axis=1) >= (2 if radius < _NEAR_RADII_PX[-1] else 1)
        rows, columns, near = rows[decided], columns[decided], near[decided]
        labels[rows, columns] = np.argmin(
            np.where(near, _distances(samples[rows, columns], colors), np.inf), axis=1
        )
        open_pixels[rows, columns] = False
    rows, columns = np.nonzero(open_pixels)
    labels[rows, columns] = np.argmin(_distances(samples[rows, columns], colors), axis=1)
    return labels


def _with_spots(
    samples: Samples, candidates: list[npt.NDArray[np.uint8]], radius_px: int
) -> tuple[npt.NDArray[np.uint8], float]:
    """The candidates that fill a square somewhere, (K, C), and the share of pixels that have one of
    these colours.
    """
    accepted: list[npt.NDArray[np.uint8]] = []
    members = np.zeros(samples.shape[:2], bool)
    for color in candidates:
        near = _difference(samples, color) <= SAME
        if _is_blend(color, [other for other in candidates if other is not color]):
            is_paint = erode(near, _BLEND_SPOT_RADIUS_PX).sum() >= _BLEND_SPOT_SHARE * near.sum()
        else:
            is_paint = _has_spot(near, radius_px)
        mode = _mode(samples[near])
        if is_paint and all(_apart(mode, other) > SAME for other in accepted):
            accepted.append(mode)
            members |= near
    return np.array(accepted, np.uint8).reshape(-1, samples.shape[2]), float(members.mean())


def _with_thin_strokes(samples: Samples, colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Add colours that have no spot anywhere, but pixels that no blend of the known colours
    explains.
    """
    points = samples.reshape(-1, samples.shape[2])
    for _ in range(_MOST_THIN_COLORS):
        points = points[_distances(points, colors).min(axis=1) > SAME**2]
        off_px = _distance_to_lines(points, colors)
        if (off_px > 2 * SAME).sum() < _FEWEST_STROKE_PIXELS:
            break
        farthest = points[int(off_px.argmax())]
        color = _mode(
            points[
                (np.maximum(points, farthest) - np.minimum(points, farthest)).max(axis=1) <= SAME
            ]
        )
        colors = np.concatenate([colors, color[None]])
    return colors


def _hard_edged_colors(
    samples: Samples, spread: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8] | None:
    """The picture's colours, most frequent first, when they are at most 256 and none looks like a
    blend; else None.
    """
    channels = samples.shape[2]
    codes = _codes(samples)
    seen = np.zeros(1 << (8 * channels), bool)
    seen[codes] = True
    present = np.flatnonzero(seen)
    if len(present) > 256:
        return None
    seen[:] = False
    seen[codes[spread == 0]] = True
    colors = ((present[:, None] >> (8 * np.arange(channels))) & 255).astype(np.uint8)
    has_spot = seen[present]
    if not has_spot.all() and len(present) > 64:
        return None
    for index, code in enumerate(present):
        others = [
            other
            for at, other in enumerate(colors)
            if at != index and (has_spot[at] or not has_spot[index])
        ]
        if _is_blend(colors[index], others) and not (
            has_spot[index] and _has_spot(codes == code, _BLEND_SPOT_RADIUS_PX)
        ):
            return None
    counts = np.bincount(np.searchsorted(present, codes.reshape(-1)), minlength=len(present))
    return colors[np.argsort(-counts, kind="stable")]


def _spikes(flat: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    """Colours around which many of the locally flat pixels (N, C) crowd, most frequent first."""
    channels = flat.shape[1]
    bins = _codes(flat >> 3, bits=5)
    counts = np.bincount(bins, minlength=1 << (5 * channels))
    used = np.flatnonzero(counts)
    weights = counts[used].astype(np.float64)
    sums = np.stack(
        [np.bincount(bins, flat[:, c], minlength=len(counts))[used] for c in range(channels)],
        axis=1,
    )
    means = sums / weights[:, None]
    found: list[npt.NDArray[np.uint8]] = []
    left = weights.copy()
    while left.max(initial=0) >= 4:
        center = means[top := int(np.argmax(left))]
        for _ in range(2):  # mean shift: a colour may straddle the border of two bins
            close = np.abs(means - center).max(axis=1) <= _SPIKE
            center = np.average(means[close], axis=0, weights=weights[close])
        offsets = np.abs(means - center).max(axis=1)
        around = offsets <= SAME
        is_spike = weights[offsets <= _SPIKE].sum() >= _SPIKE_SHARE * weights[around].sum()
        if is_spike and all(np.abs(center - other).max() > SAME for other in found):
            found.append(np.rint(center).astype(np.uint8))
        left[around] = left[top] = 0
    return found


def _is_blend(color: npt.NDArray[np.uint8], others: list[npt.NDArray[np.uint8]]) -> bool:
    """True when `color` lies on the straight line between two of `others`, where anti-aliasing
    could make it.
    """
    if len(others) < 2:
        return False
    return bool(_distance_to_lines(color[None], np.array(others))[0] <= _ON_LINE)


def _distance_to_lines(
    points: npt.NDArray[np.uint8], colors: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    """How far each point (N, C) is from the nearest straight line between two of the colours (K,
    C), or from the only one.
    """
    ends, spots = colors.astype(np.float32), points.astype(np.float32)
    nearest: npt.NDArray[np.float32] = np.linalg.norm(spots - ends[0], axis=1)
    starts, stops = np.triu_indices(len(ends), 1)
    batch = max(1, 1_000_000 // max(1, len(points)))
    for at in range(0, len(starts), batch):
        start = ends[starts[at : at + batch]]
        line = ends[stops[at : at + batch]] - start
        offset = spots[:, None] - start
        along = np.clip((offset * line).sum(axis=2) / np.maximum((line**2).sum(axis=1), 1e-9), 0, 1)
        distance = np.linalg.norm(offset - along[..., None] * line, axis=2)
        np.minimum(nearest, distance.min(axis=1), out=nearest)
    return nearest


def _mode(points: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The most frequent value of each channel of points (N, C)."""
    return np.array([np.bincount(channel).argmax() for channel in points.T], np.uint8)


def _apart(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> int:
    """Largest difference of any channel."""
    return int(np.abs(first.astype(int) - second).max())


def _codes(samples: npt.NDArray[np.integer[Any]], *, bits: int = 8) -> npt.NDArray[np.uint32]:
    """Pack the last axis into one integer, first channel lowest."""
    codes = np.zeros(samples.shape[:-1], np.uint32)
    for channel in range(samples.shape[-1]):
        codes |= samples[..., channel].astype(np.uint32) << np.uint32(bits * channel)
    return codes


def _difference(samples: Samples, color: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Largest difference of any channel to `color`: uint8 (H, W)."""
    largest: npt.NDArray[np.uint8] = (np.maximum(samples, color) - np.minimum(samples, color)).max(
        axis=2
    )
    return largest


def _distances(
    points: npt.NDArray[np.uint8], colors: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    """Squared distances (N, K) of points (N, C) to colors (K, C)."""
    offsets = points[:, None, :].astype(np.float32) - colors[None].astype(np.float32)
    squared: npt.NDArray[np.float32] = (offsets**2).sum(axis=2)
    return squared


def _spread(samples: Samples) -> npt.NDArray[np.uint8]:
    """Largest minus smallest value in each 3×3 neighbourhood, of the worst channel: uint8
    (H, W).
    """
    high = low = np.pad(samples, ((1, 1), (1, 1), (0, 0)), mode="edge")
    high = np.maximum(np.maximum(high[:-2], high[1:-1]), high[2:])
    high = np.maximum(np.maximum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    low = np.minimum(np.minimum(low[:-2], low[1:-1]), low[2:])
    low = np.minimum(np.minimum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    spread: npt.NDArray[np.uint8] = (high - low).max(axis=2)
    return spread


def _dilate(pixels: npt.NDArray[np.bool_], radius: int) -> npt.NDArray[np.bool_]:
    """Grow a set of pixels (H, W) by a square of `radius`."""
    for axis in (0, 1):
        grown = pixels.copy()
        for step in range(1, radius + 1):
            ahead = [slice(None)] * 2
            behind = [slice(None)] * 2
            ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
            grown[tuple(ahead)] |= pixels[tuple(behind)]
            grown[tuple(behind)] |= pixels[tuple(ahead)]
        pixels = grown
    return pixels


def erode(pixels: npt.NDArray[np.bool_], radius: int) -> npt.NDArray[np.bool_]:
    """Shrink a set of pixels by a square of `radius`; beyond the picture's border it is taken to go
    on.
    """
    return ~_dilate(~pixels, radius)


def _has_spot(pixels: npt.NDArray[np.bool_], radius: int) -> bool:
    """True when a square of `radius` fits somewhere into the set of pixels, inside the picture."""
    height, width = pixels.shape
    if min(height, width) <= 2 * radius:
        return bool(pixels.all())
    inner = erode(pixels, radius)[radius : height - radius, radius : width - radius]
    return bool(inner.any())
