"""Finds the flat colours that a painted picture is made of.

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

# a flat colour keeps most of its pixels this close, as JPEG does at quality 60 …
_SPIKE = 14
# … while a wide soft ramp, spread evenly, has 29/49 = 0.59 of those within ±SAME here
_SPIKE_SHARE = 0.72
_FEWEST_SPIKE_PIXELS = 4
# distance (in code values) from the line between two colours below which a colour counts as their
# blend
_ON_LINE = 6.0
# a colour that could be a blend needs 9×9 spots: most soft edges are thinner …
_BLEND_SPOT_RADIUS_PX = 4
# … and of a wide soft edge only little lies inside such spots
_BLEND_SPOT_SHARE = 0.12
# flat pixels that are exactly flat: JPEG and wide feathers have fewer
_CLEAN_SHARE = 0.99
# strokes without a spot are thin, so nearly everything else is explained without them
_THIN_SHARE = 0.9
_MOST_THIN_COLORS = 16
_FEWEST_STROKE_PIXELS = 16
# any other colour of a noisy picture that edges may have made needs a 5×5 spot
_SPOT_RADIUS_PX = 2
# so many rows are compared at once, as the largest masks have 35 million pixels
_DOT_ROWS = 256
# how far a blend looks for the colours it is made of, nearest first
_NEAR_RADII_PX = (2, 4, 8)


@dataclass(frozen=True, slots=True)
class FlatColors:
    """The flat colours of one picture."""

    colors: npt.NDArray[np.uint8]
    """uint8 (K, C), most frequent first."""
    hard: bool
    """Whether the picture holds these colours and nothing else."""
    explained: float
    """The share of pixels, 0 … 1, that have one of these colours (up to JPEG noise)."""


def find_flat_colors(samples: Samples) -> FlatColors:
    """Find the flat colours of a painted picture; see the module for what counts as evidence."""
    spread = _spread(samples)
    # 1. a picture with hard edges and few colours: each of its colours is one
    exact = _hard_edged_colors(samples, spread)
    if exact is not None:
        return FlatColors(exact, hard=True, explained=1.0)
    # 2. else colours that many flat pixels have and that fill a spot, in tiny pictures a small one
    candidates = _spikes(samples[spread <= SAME])
    colors, explained = _with_spots(samples, candidates, _SPOT_RADIUS_PX)
    if len(colors) < 2:
        colors, explained = _with_spots(samples, candidates, 1)
    # 3. and colours of thin strokes, where noise or feathers cannot be mistaken for them
    is_clean = (spread == 0).sum() >= _CLEAN_SHARE * (spread <= SAME).sum()
    if explained >= _THIN_SHARE and (len(colors) == 1 or is_clean):
        colors = _with_thin_strokes(samples, colors)
    return FlatColors(colors, hard=False, explained=explained)


def share_of_dots(samples: Samples) -> float:
    """The share of pixels, 0 … 1, that stand out from all four neighbours by more than SAME: what
    dithering is made of.

    Flat colours, soft edges and JPEG have next to none.

    Args:
        samples: uint8 (H, W, C), any C.
    """
    height, width = samples.shape[:2]
    dots = 0
    for top in range(0, height - 2, _DOT_ROWS):
        rows = samples[top : top + _DOT_ROWS + 2].astype(np.int16)
        center = rows[1:-1, 1:-1]
        neighbours = (rows[1:-1, :-2], rows[1:-1, 2:], rows[:-2, 1:-1], rows[2:, 1:-1])
        above = np.minimum.reduce([center - neighbour for neighbour in neighbours])
        below = np.minimum.reduce([neighbour - center for neighbour in neighbours])
        dots += int((np.maximum(above, below) > SAME).any(axis=2).sum())
    return float(dots / (height * width))


def assign_colors(samples: Samples, flat: FlatColors) -> npt.NDArray[np.uint8]:
    """Assign each pixel to a colour.

    Pixels close to a colour take it; the others (blends, noise) take the nearest among the colours
    found in their neighbourhood, so that the edge between red and blue does not become the purple
    that is used elsewhere.

    Args:
        samples: uint8 (H, W, C).
        flat: at least one colour.

    Returns:
        uint8 (H, W), indices into `flat.colors`.
    """
    # 1. the nearest colour
    colors = flat.colors
    labels = np.zeros(samples.shape[:2], np.uint8)
    best = np.full(samples.shape[:2], 255, np.uint8)
    for index, color in enumerate(colors):
        difference = _difference(samples, color)
        closer = difference < best
        labels[closer], best[closer] = index, difference[closer]
    if flat.hard:
        return labels
    # 2. pixels that certainly are a colour; of one that could be a blend of others, its spots
    sure = [(labels == index) & (best <= SAME) for index in range(len(colors))]
    for index, color in enumerate(colors):
        if _is_blend(color, [other for at, other in enumerate(colors) if at != index]):
            sure[index] &= _dilate(erode(sure[index], 1), 1)
    # 3. the others, by the colours near them: first those with a colour close by
    open_pixels = ~np.logical_or.reduce(sure)
    for index in range(len(colors)):
        labels[sure[index]] = index
    for radius in _NEAR_RADII_PX:
        # close by it takes two colours to explain a blend; farther out, one is better than none
        rows, columns = np.nonzero(open_pixels)
        near = np.stack([_dilate(pixels, radius)[rows, columns] for pixels in sure], axis=1)
        enough = near.sum(axis=1) >= (2 if radius < _NEAR_RADII_PX[-1] else 1)
        rows, columns, near = rows[enough], columns[enough], near[enough]
        labels[rows, columns] = np.argmin(
            np.where(near, _distances(samples[rows, columns], colors), np.inf), axis=1
        )
        open_pixels[rows, columns] = False
    # 4. what is far from every colour takes the nearest of all
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
        # what lies between two others is paint only where it fills areas wider than an edge
        others = [other for other in candidates if other is not color]
        if _is_blend(color, others):
            is_paint = erode(near, _BLEND_SPOT_RADIUS_PX).sum() >= _BLEND_SPOT_SHARE * near.sum()
        else:
            # a small one says as much of a colour that no edge can have made
            is_paint = _has_spot(near, radius_px) or (
                _has_spot(near, 1) and _is_made_by_no_edge(color, others)
            )
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
        # the point that is farthest from every blend is a stroke's, if enough others are as far
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
    # 1. the colours that are there, by a table of all: no sort of millions of pixels
    codes = _codes(samples)
    seen = np.zeros(1 << (8 * channels), bool)
    seen[codes] = True
    present = np.flatnonzero(seen)
    if len(present) > 256:
        return None
    # 2. those that fill a 3×3 spot somewhere
    seen[:] = False
    seen[codes[spread == 0]] = True
    colors = ((present[:, None] >> (8 * np.arange(channels))) & 255).astype(np.uint8)
    has_spot = seen[present]
    # many colours without a spot are blends or noise; the test below would take long to say so
    if not has_spot.all() and len(present) > 64:
        return None
    # 3. none may lie between two others, unless it fills a spot that is wider than an edge
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
    # 1. a histogram with bins of 8 values, and the mean colour in each
    bins = _codes(flat >> 3, bits=5)
    counts = np.bincount(bins, minlength=1 << (5 * channels))
    used = np.flatnonzero(counts)
    weights = counts[used].astype(np.float64)
    sums = np.stack(
        [np.bincount(bins, flat[:, c], minlength=len(counts))[used] for c in range(channels)],
        axis=1,
    )
    means = sums / weights[:, None]
    # 2. from the fullest bin on: the centre of the colours around it, as long as there are any left
    found: list[npt.NDArray[np.uint8]] = []
    left = weights.copy()
    while left.max(initial=0) >= _FEWEST_SPIKE_PIXELS:
        center = means[top := int(np.argmax(left))]
        for _ in range(2):  # mean shift: a colour may straddle the border of two bins
            close = np.abs(means - center).max(axis=1) <= _SPIKE
            center = np.average(means[close], axis=0, weights=weights[close])
        # a colour is a spike in the histogram; a wide ramp of a soft edge is not
        offsets = np.abs(means - center).max(axis=1)
        around = offsets <= SAME
        is_spike = weights[offsets <= _SPIKE].sum() >= _SPIKE_SHARE * weights[around].sum()
        if is_spike and all(np.abs(center - other).max() > SAME for other in found):
            found.append(np.rint(center).astype(np.uint8))
        left[around] = left[top] = 0
    return found


def _is_blend(color: npt.NDArray[np.uint8], others: list[npt.NDArray[np.uint8]]) -> bool:
    """Whether `color` lies on the straight line between two of `others`, where anti-aliasing could
    make it.
    """
    if len(others) < 2:
        return False
    return bool(_distance_to_lines(color[None], np.array(others))[0] <= _ON_LINE)


def _is_made_by_no_edge(color: npt.NDArray[np.uint8], others: list[npt.NDArray[np.uint8]]) -> bool:
    """Whether `color` is none that JPEG makes along an edge between two of `others`, where chroma
    is blended wider than luma: another chroma than their blends have, or a luma beyond both.
    """
    if len(color) < 3 or len(others) < 2:
        return False
    luma, chroma = _luma_and_chroma(np.array([color, *others]))
    one, two = np.triu_indices(len(others), 1)
    away = _distances_to_lines(chroma[:1], chroma[1:][one], chroma[1:][two])[0]
    darker, brighter = np.sort([luma[1:][one], luma[1:][two]], axis=0)
    is_between = (luma[0] >= darker - SAME) & (luma[0] <= brighter + SAME)
    return not bool(((away <= SAME) & is_between).any())


def _luma_and_chroma(
    colors: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Y and (Cb, Cr) of BT.601, as JPEG has them: R'G'B' (N, 3) → (N,), 0 … 255, and (N, 2), −127.5
    … 127.5.
    """
    red, green, blue = colors.astype(np.float32).T
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma, np.stack([(blue - luma) / 1.772, (red - luma) / 1.402], axis=1)


def _distance_to_lines(
    points: npt.NDArray[np.uint8], colors: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    """How far each point (N, C) is from the nearest straight line between two of the colours (K,
    C), or from the only one.
    """
    ends, spots = colors.astype(np.float32), points.astype(np.float32)
    nearest: npt.NDArray[np.float32] = np.linalg.norm(spots - ends[0], axis=1)
    starts, stops = np.triu_indices(len(ends), 1)
    # so many lines at once that the arrays of all points stay small
    batch = max(1, 1_000_000 // max(1, len(points)))
    for at in range(0, len(starts), batch):
        lines = slice(at, at + batch)
        distances = _distances_to_lines(spots, ends[starts[lines]], ends[stops[lines]])
        np.minimum(nearest, distances.min(axis=1), out=nearest)
    return nearest


def _distances_to_lines(
    points: npt.NDArray[np.float32], starts: npt.NDArray[np.float32], stops: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """How far each point (N, C) is from each straight line between its start and stop (L, C): (N,
    L).
    """
    line, offset = stops - starts, points[:, None] - starts
    # the foot of the perpendicular, within the two ends
    along = np.clip((offset * line).sum(axis=2) / np.maximum((line**2).sum(axis=1), 1e-9), 0, 1)
    distances: npt.NDArray[np.float32] = np.linalg.norm(offset - along[..., None] * line, axis=2)
    return distances


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
    # the extreme of three rows, then of three columns of these
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
    """Shrink a set of pixels, bool (H, W), by a square of `radius`, as if it went on beyond the
    picture's border.
    """
    return ~_dilate(~pixels, radius)


def _has_spot(pixels: npt.NDArray[np.bool_], radius: int) -> bool:
    """Whether a square of `radius` fits somewhere into the set of pixels, inside the picture."""
    height, width = pixels.shape
    if min(height, width) <= 2 * radius:
        return bool(pixels.all())
    inner = erode(pixels, radius)[radius : height - radius, radius : width - radius]
    return bool(inner.any())
