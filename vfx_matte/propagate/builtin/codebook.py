"""Quantizes a frame's colour and texture into a learned codebook.

A *codeword* is the nearest of some hundred typical colours (or textures) that k-means finds on the
reference frames. Histograms of codewords are the built-in propagator's memory: *global* ones count
a class over a frame, *local* ones count it in every cell of a coarse grid, so that "green, here"
and "green, over there" are two things.

Classes are numbered as everywhere: 0 is the background, 1..K the objects.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.masks import Image
from vfx_matte.propagate.builtin import compiled
from vfx_matte.propagate.builtin.window import NOWHERE, Box

NOTHING = np.float32(1e-7)
"""A weight or a count below this is 0: float32 knows no such part of 1, and where products of such
numbers become subnormal (below 1e-38) a processor takes ten times as long over them.
"""

CELL_PX = 8
"""Side of a histogram cell in working pixels."""

RING_PX = 30
"""Width of the ring around the objects that gets codewords of its own, in working pixels."""

# as many for what is object as for all that is not
OBJECT_CODEWORDS, MIN_OBJECT_CODEWORDS, RING_CODEWORDS, BACKGROUND_CODEWORDS = 64, 16, 32, 32
LAB_SCALE = np.array([0.6, 1.3, 1.3], np.float32)
"""Weights of 8-bit L, a, b in colour distances: light changes more than hue."""

BORDER_PX = 3
"""Width of the border that `SmallFrame.bordered` has."""

_SAMPLES, _KMEANS_ROUNDS = 4096, 10  # bound the time that a reference takes

_AT_ONCE = 1024  # so many features are compared with all codewords in one product

_ENTRY = np.array([[1 << 10, 1 << 5, 1]], np.float32)
"""What the upper five bits of L, a and b count in the number of a colour's entry."""

_CHANNELS = 128
"""More than so many channels are no picture to OpenCV 5."""


@dataclass(frozen=True)
class SmallFrame:
    """One frame at working size, with what is derived from it on first use."""

    rgb: Image
    """uint8 (h, w, 3)."""

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the working size."""
        return int(self.rgb.shape[0]), int(self.rgb.shape[1])

    @cached_property
    def gray(self) -> Array:
        """uint8 (h, w): luma."""
        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)

    @cached_property
    def lab(self) -> Array:
        """uint8 (h, w, 3): CIE L*a*b*, L scaled to 0..255, a and b offset by 128."""
        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2LAB)

    @property
    def texture_shape(self) -> tuple[int, int]:
        """(h/2, w/2), at least (1, 1)."""
        return max(1, self.rgb.shape[0] // 2), max(1, self.rgb.shape[1] // 2)

    @cached_property
    def texture(self) -> Array:
        """float32 (h/2, w/2, 8): blurred colour, its 11×11 mean, and the strength of horizontal and
        vertical detail.
        """
        height, width = self.texture_shape
        half = cv2.resize(self.lab, (width, height), interpolation=cv2.INTER_AREA)
        color = cv2.GaussianBlur(half.astype(np.float32) * LAB_SCALE, (0, 0), 1.2)
        light = half[..., 0].astype(np.float32)
        detail = [cv2.Sobel(light, cv2.CV_32F, dx, 1 - dx, ksize=3) for dx in (1, 0)]
        strength = cv2.GaussianBlur(8 * np.log1p(np.abs(np.dstack(detail)) / 6), (0, 0), 1.2)
        return np.concatenate([color, 0.6 * cv2.blur(color, (11, 11)), strength], axis=2)

    @cached_property
    def descriptor(self) -> Array:
        """float32 (h/2, w/2, 12): `texture`, and the strength of detail in four directions, blurred
        wider.
        """
        height, width = self.texture_shape
        half: Array = cv2.resize(self.lab[..., 0], (width, height), interpolation=cv2.INTER_AREA)
        light = cv2.GaussianBlur(half.astype(np.float32), (0, 0), 0.8)
        across, down = (cv2.Sobel(light, cv2.CV_32F, dx, 1 - dx, ksize=3) for dx in (1, 0))
        detail = np.abs(np.dstack([across, down, 0.7 * (across + down), 0.7 * (across - down)]))
        return np.concatenate(
            [self.texture, cv2.GaussianBlur(8 * np.log1p(detail / 6), (0, 0), 2)], axis=2
        )

    @cached_property
    def bordered(self) -> Array:
        """float32 (h/2 + 2 · `BORDER_PX`, w/2 + 2 · `BORDER_PX`, 3): the blurred colour of
        `texture`, and beyond its border that of the border.
        """
        color = np.ascontiguousarray(self.texture[..., :3])
        return cv2.copyMakeBorder(color, *(BORDER_PX,) * 4, cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class Codebook:
    """Typical colours and textures."""

    color_table: Array
    """int32 (32768,), the codeword of a colour by the upper five bits of L, a, b."""

    color_count: int
    """How many colour codewords there are."""

    texture_codewords: Array
    """float32 (N, 8), the textures themselves."""

    @property
    def texture_count(self) -> int:
        """How many texture codewords there are."""
        return int(self.texture_codewords.shape[0])

    def color_indices(self, small: SmallFrame) -> Array:
        """The colour codeword of every pixel: int32 (h·w,)."""
        # float32 holds all 32768 entries exactly
        entries = cv2.transform((small.lab >> 3).astype(np.float32), _ENTRY)
        indices: Array = self.color_table.take(entries.astype(np.int32).reshape(-1))
        return indices

    def texture_indices(self, small: SmallFrame) -> Array:
        """The texture codeword of every pixel of the half-size frame: int32 (h/2 · w/2,)."""
        return _nearest(small.texture.reshape(-1, 8), self.texture_codewords)


def learn_codebook(references: Sequence[tuple[SmallFrame, Array]]) -> Codebook:
    """Find the codewords of some reference frames.

    references: each frame with its object probabilities, float32 (K, h, w). Half of the codewords
    describe the objects (shared out among them), a quarter the ring around them, a quarter the
    whole background.
    """
    colors = [(small.lab.astype(np.float32) * LAB_SCALE, objects) for small, objects in references]
    textures = []
    for small, objects in references:
        height, width = small.texture_shape
        halves = [
            cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA) for layer in objects
        ]
        textures.append((small.texture, np.stack(halves)))
    color_codewords = _cluster(colors, ring_px=RING_PX)
    # one table for all colours, by the upper five bits of each channel: a pixel costs one look-up
    levels = np.arange(32, dtype=np.float32) * 8 + 4
    cube = (
        np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
        * LAB_SCALE
    )
    return Codebook(
        _nearest(cube, color_codewords),
        color_codewords.shape[0],
        _cluster(textures, ring_px=RING_PX // 2),
    )


def _cluster(references: Sequence[tuple[Array, Array]], *, ring_px: int) -> Array:
    """Cluster features (h, w, D) region by region: float32 (N, D)."""
    num_objects = references[0][1].shape[0]
    shown = sum(
        any(objects[index].any() for _, objects in references) for index in range(num_objects)
    )
    quota = [max(OBJECT_CODEWORDS // max(shown, 1), MIN_OBJECT_CODEWORDS)] * num_objects + [
        RING_CODEWORDS,
        BACKGROUND_CODEWORDS,
    ]
    pools: list[list[Array]] = [[] for _ in quota]
    for feature, objects in references:
        for pool, region in zip(pools, _regions(objects, ring_px), strict=True):
            pool.append(feature[region])
    codewords = [
        _kmeans(np.concatenate(pool), count) for pool, count in zip(pools, quota, strict=True)
    ]
    return np.concatenate(codewords)


def _regions(objects: Array, ring_px: int) -> list[Array]:
    """Boolean (h, w) regions: each object's, the ring around all of them, and the background
    without them.
    """
    strongest = objects.max(axis=(1, 2), keepdims=True)
    # an object too small for its own pixel keeps its best one
    inside = objects >= np.clip(strongest, 1e-3, 0.5)
    outside = ~inside.any(axis=0)
    if outside.all():
        return [*inside, outside, outside]
    distance = cv2.distanceTransform(outside.astype(np.uint8), cv2.DIST_L2, 3)
    return [*inside, outside & (distance <= ring_px), outside]


def _kmeans(samples: Array, count: int) -> Array:
    """Centres of at most `count` clusters: float32 (≤ count, D). Deterministic.

    samples: float32 (M, D). k-means++ seeding (Arthur & Vassilvitskii, SODA 2007), then Lloyd's
    iterations.
    """
    if samples.shape[0] > _SAMPLES:
        samples = samples[np.linspace(0, samples.shape[0] - 1, _SAMPLES).astype(np.intp)]
    if samples.shape[0] <= count:
        return samples
    # 1. seeds, each with a chance as its squared distance from those before; always the same ones
    random = np.random.default_rng(0)
    centres = [samples[int(random.integers(samples.shape[0]))]]
    distance = ((samples - centres[0]) ** 2).sum(axis=1)
    while len(centres) < count and distance.any():
        cumulative = np.cumsum(distance, dtype=np.float64)
        drawn = np.searchsorted(cumulative, random.random() * cumulative[-1], side="right")
        centres.append(samples[min(int(drawn), samples.shape[0] - 1)])
        distance = np.minimum(distance, ((samples - centres[-1]) ** 2).sum(axis=1))
    codewords: Array = np.stack(centres)
    # 2. Lloyd's iterations; a cluster that has lost all its samples stays where it was
    for _ in range(_KMEANS_ROUNDS):
        nearest = _nearest(samples, codewords)
        size = np.bincount(nearest, minlength=codewords.shape[0])[:, None]
        total = np.stack(
            [np.bincount(nearest, column, codewords.shape[0]) for column in samples.T], axis=1
        )
        codewords = np.where(size > 0, total / np.maximum(size, 1), codewords).astype(np.float32)
    return codewords


def _nearest(features: Array, codewords: Array) -> Array:
    """Index of the nearest codeword of each feature, Euclidean: (M, D), (N, D) → int32 (M,)."""
    # |f|² is the same for all codewords, so it is left out: what is least is -2·f·c + |c|²
    asked = np.ones((len(features), features.shape[1] + 1), np.float32)
    asked[:, :-1] = features
    columns = np.concatenate([-2 * codewords.T, (codewords**2).sum(axis=1)[None]])
    nearest = np.empty(len(features), np.int32)
    # so many at a time, which stay in the processor's cache
    score = np.empty((_AT_ONCE, len(codewords)), np.float32)
    for begin in range(0, len(features), _AT_ONCE):
        part = asked[begin : begin + _AT_ONCE]
        found = np.matmul(part, columns, out=score[: len(part)])
        nearest[begin : begin + _AT_ONCE] = found.argmin(axis=1)
    return nearest


@dataclass(frozen=True)
class Grid:
    """Coarse cells over a picture of `shape` (h, w): where each pixel lies, for counting and for
    bilinear reading.
    """

    shape: tuple[int, int]
    cells: tuple[int, int]

    @classmethod
    def over(cls, shape: tuple[int, int], cell_px: int = CELL_PX) -> Grid:
        """Cells as near to `cell_px` square as divides the picture evenly."""
        return cls(shape, (max(1, round(shape[0] / cell_px)), max(1, round(shape[1] / cell_px))))

    @property
    def cell_px(self) -> tuple[float, float]:
        """(height, width) of a cell in pixels."""
        return self.shape[0] / self.cells[0], self.shape[1] / self.cells[1]

    @property
    def cell_area_px(self) -> float:
        """Pixels in a cell."""
        return self.cell_px[0] * self.cell_px[1]

    @cached_property
    def _sides(self) -> tuple[Array, Array]:
        """The row of cells that holds each row of pixels, int32 (h,), and the columns', (w,)."""
        rows, columns = (
            np.arange(side, dtype=np.int32) * np.int32(cells) // np.int32(side)
            for side, cells in zip(self.shape, self.cells, strict=True)
        )
        return rows, columns

    @cached_property
    def centred(self) -> tuple[Array, Array]:
        """The pixels' own rows (h, 1) and columns (1, w) in cell coordinates, float32; 0 is the
        first cell's centre.
        """
        rows = (np.arange(self.shape[0], dtype=np.float32) + 0.5) * (
            self.cells[0] / self.shape[0]
        ) - 0.5
        columns = (np.arange(self.shape[1], dtype=np.float32) + 0.5) * (
            self.cells[1] / self.shape[1]
        ) - 0.5
        return rows[:, None], columns[None, :]

    def count(
        self, codewords: Array, weights: Array, num_codewords: int
    ) -> tuple[Array, tuple[Box, ...]]:
        """Soft histograms: how much of each class each codeword has in each cell.

        codewords: int32 (h·w,); weights: float32 (C, h, w). Returns float32 (C, cells_y, cells_x,
        num_codewords), and for each class the cells beyond which it has nothing.
        """
        words = codewords.reshape(self.shape)
        counted = np.zeros((len(weights), *self.cells, num_codewords), np.float32)
        places = []
        # one count per class over (cell, codeword) pairs; most classes are small
        for layer, counts in zip(weights, counted, strict=True):
            box = Box.around(layer > 0)
            if box is None:
                places.append(NOWHERE)
                continue
            rows, columns = (side[part] for side, part in zip(self._sides, box.window, strict=True))
            place = Box(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
            places.append(place)
            if compiled.usable(layer):
                from vfx_matte.propagate.builtin.compiled.histograms import count

                count(counts, words, layer, *self._sides, np.array(box))
                continue
            cells = (rows - place.top)[:, None] * np.int32(place.shape[1]) + columns - place.left
            index = cells * np.int32(num_codewords) + words[box.window]
            size = place.shape[0] * place.shape[1] * num_codewords
            own = np.bincount(index.reshape(-1), layer[box.window].reshape(-1), size)
            counts[place.window] = own.reshape(*place.shape, num_codewords)
        return counted, tuple(places)

    def read(
        self,
        table: Array,
        codewords: Array,
        rows: Array | None = None,
        columns: Array | None = None,
    ) -> Array:
        """Look up each pixel's codeword in the four cells around it, bilinearly: float32 (h, w).

        table: float32 (cells_y, cells_x, N), of all cells or a window of them. rows, columns: where
        to read, in cells of the table, 0 being the first one's centre (the pixels' own positions
        when None); codewords: int32, as many, or (h·w,).
        """
        own_rows, own_columns = self.centred
        rows = own_rows if rows is None else rows
        columns = own_columns if columns is None else columns
        if compiled.usable(table):
            from vfx_matte.propagate.builtin.compiled.histograms import read

            words = np.ascontiguousarray(codewords.reshape(rows.size, columns.size))
            return read(table, words, rows.reshape(-1), columns.reshape(-1))
        cells, stride = table.shape[:2], table.shape[2]
        rows = np.clip(rows, 0, cells[0] - 1)
        columns = np.clip(columns, 0, cells[1] - 1)
        # where the second cell would be beyond the last one, both are the last one
        top = np.minimum(rows.astype(np.intp), max(cells[0] - 2, 0))
        left = np.minimum(columns.astype(np.intp), max(cells[1] - 2, 0))
        down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
        index = left * stride + codewords.reshape(rows.size, columns.size)
        index += top * (cells[1] * stride)
        # bilinear: two reads in the row above, two in the row below, from one index
        flat, before = table.reshape(-1), 1 - right
        beside = stride if cells[1] > 1 else 0
        below = cells[1] * stride if cells[0] > 1 else 0
        upper, lower = (
            _mixed(flat[first:].take(index), before, flat[first + beside :].take(index), right)
            for first in (0, below)
        )
        lower -= upper
        lower *= down
        value: Array = np.add(upper, lower, out=upper)
        return value

    def advect(self, histograms: Array, flow: Array, place: Box, out: Array) -> Box:
        """Move local histograms along: each cell takes what was where its flow points to.

        histograms: float32 (cells_y, cells_x, N), 0 beyond the cells of `place`; flow: float32
        (cells_y, cells_x, 2), from here to the previous frame in working pixels (x, y). out: where
        the result goes, all 0. Returns the cells beyond which that stays 0.
        """
        step_x, step_y = self.cells[1] / self.shape[1], self.cells[0] / self.shape[0]
        columns = np.arange(self.cells[1], dtype=np.float32) + flow[..., 0] * step_x
        rows = np.arange(self.cells[0], dtype=np.float32)[:, None] + flow[..., 1] * step_y
        # 1. which cells read something; what lies at the grid's edge is read from beyond it, too
        reads = np.ones(self.cells, bool)
        for positions, (begin, end), size in (
            (rows, place[:2], self.cells[0]),
            (columns, place[2:], self.cells[1]),
        ):
            if begin > 0:
                reads &= positions > begin - 1
            if end < size:
                reads &= positions < end
        target = Box.around(reads) if place.shape[0] and place.shape[1] else None
        if target is None:
            return NOWHERE
        # 2. they read a window with nothing at its border, so that beyond that there is nothing
        source = place.grown(1, self.cells)
        columns, rows = columns[target.window] - source.left, rows[target.window] - source.top
        for begin in range(0, histograms.shape[2], _CHANNELS):
            words = slice(begin, begin + _CHANNELS)
            part = np.ascontiguousarray(histograms[source.window][..., words])
            part = cv2.remap(part, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            # OpenCV drops an axis of one
            out[target.window][..., words] = part.reshape(*target.shape, -1)
        return target

    def blur(
        self,
        histograms: Array,
        sigma_cells: float,
        window: Box | None = None,
        place: Box | None = None,
    ) -> Array:
        """Gaussian blur over the cells, as two small matrix products: float32 (C, cells_y, cells_x,
        N) → the same, or a window of its cells. place: cells beyond which there is nothing.
        """
        count, num_codewords = histograms.shape[0], histograms.shape[3]
        window, place = (Box.whole(self.cells) if box is None else box for box in (window, place))
        vertical, horizontal = (
            _gaussian_matrix(cells, sigma_cells)[to, source]
            for cells, to, source in zip(self.cells, window.window, place.window, strict=True)
        )
        # the narrower side first, so that the other one has less to do
        mixed = horizontal @ histograms[(slice(None), *place.window)]
        mixed = vertical @ mixed.reshape(count, place.shape[0], window.shape[1] * num_codewords)
        blurred: Array = mixed.reshape(count, *window.shape, num_codewords)
        return blurred


@dataclass(frozen=True)
class QuantizedFrame:
    """One frame in codewords."""

    small: SmallFrame

    color: Array
    """int32 (h·w,), indices of colour codewords."""

    texture: Array
    """int32 (h/2 · w/2,), indices of texture codewords."""


def halved(layers: Array, small: SmallFrame) -> Array:
    """Bring soft masks to the size of the texture: float32 (C, h, w) → (C, h/2, w/2)."""
    height, width = small.texture_shape
    return np.stack(
        [cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA) for layer in layers]
    )


@functools.lru_cache(maxsize=4)
def grids(frame_shape: tuple[int, int], texture_shape: tuple[int, int]) -> tuple[Grid, Grid]:
    """The cells over a frame, and the same cells over its half-size texture."""
    color = Grid.over(frame_shape)
    return color, Grid(texture_shape, color.cells)


def quantize(small: SmallFrame, codebook: Codebook) -> QuantizedFrame:
    """Find the codewords of a frame."""
    return QuantizedFrame(small, codebook.color_indices(small), codebook.texture_indices(small))


def count_locally(
    frame: QuantizedFrame, classes: Array, color_count: int, texture_count: int
) -> tuple[Array, Array, tuple[Box, ...]]:
    """Local histograms of one frame, of colours and of textures, and for each class the cells
    beyond which it has nothing. classes: float32 (K+1, h, w).
    """
    color_grid, texture_grid = grids(frame.small.shape, frame.small.texture_shape)
    color, places = color_grid.count(frame.color, classes, color_count)
    halves = halved(classes, frame.small)
    texture, others = texture_grid.count(frame.texture, halves, texture_count)
    return color, texture, tuple(map(Box.hull, zip(places, others, strict=True)))


def _mixed(one: Array, share: Array, other: Array, rest: Array) -> Array:
    """The sum one · share + other · rest, in place."""
    one *= share
    other *= rest
    return np.add(one, other, out=one)


@functools.lru_cache(maxsize=16)
def _gaussian_matrix(size: int, sigma: float) -> Array:
    """Row-normalised Gaussian weights between `size` positions: float32 (size, size)."""
    position = np.arange(size, dtype=np.float32)
    weights = np.exp(-((position[:, None] - position) ** 2) / np.float32(2 * sigma * sigma))
    weights[weights < NOTHING] = 0
    matrix: Array = weights / weights.sum(axis=1, keepdims=True)
    return matrix
