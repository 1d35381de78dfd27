"""Brings masks to the source's size, along the source's own edges.

Only the band where a mask is neither 0 nor 1 is looked at closely; all else becomes 0 or 1,
exactly, and costs next to nothing. In the band every working pixel first asks its neighbours of the
same colour; then the mask is written as a linear function of the colour around each node, and that
function is applied to the source's own pixels.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from vfx_matte.backend import Array
from vfx_matte.masks import Image, Mask, Probabilities
from vfx_matte.propagate.builtin import compiled
from vfx_matte.propagate.builtin.cues import GuidedFilter
from vfx_matte.propagate.builtin.window import NOWHERE, Box

CERTAIN = 0.02
"""Probabilities nearer to 0 or 1 than this become 0 or 1, and those between are stretched
to match.
"""

VOTERS = ((3, 0), (2, 2), (0, 3), (-2, 2), (-3, 0), (-2, -2), (0, -3), (2, -2))
"""Neighbours that an uncertain pixel asks, in working pixels (x, y)."""

_VOTERS = np.array(VOTERS)

VOTE_SIGMA = 12.0
"""How unlike in colour a neighbour may be and still count, in code values."""

# guided enlarging brought 0.3 to 0.6 of J&F (docs/builtin.md)
RADIUS_PX, EPSILON = 1, 50.0
"""The window, in nodes, and the regularisation, in squared code values, of the linear functions."""

_BLOCKS_AT_ONCE = 1024  # bounds memory, and keeps a batch in the processor's cache


@dataclass(frozen=True)
class Lattice:
    """Nodes at the centres of squares of `step` pixels that fill the middle of a picture of `shape`
    (H, W).

    top, left: the first square's corner; rows, columns: how many squares. Node (i, j) is at pixel
    (top + step·i + (step - 1)/2, left + step·j + (step - 1)/2).
    Between four nodes lies a *block*, step pixels square too. Block (i, j) is the one above and to
    the left of node (i, j), so rows 0 and `rows` are between the outermost nodes and the picture's
    edge.
    """

    shape: tuple[int, int]
    step: int
    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def over(cls, shape: tuple[int, int], working: tuple[int, int]) -> Lattice:
        """About as many nodes as the working picture of (h, w) has pixels."""
        # whole pixels per square, so that all blocks have the same weights
        step = max(1, int(1.1 * min(shape[0] / working[0], shape[1] / working[1])))
        rows, columns = shape[0] // step, shape[1] // step
        return cls(
            shape,
            step,
            (shape[0] - rows * step) // 2,
            (shape[1] - columns * step) // 2,
            rows,
            columns,
        )

    def above(self, box: Box, working: tuple[int, int]) -> Box:
        """The nodes in a window of the working picture, and what is left of four around it."""
        down, right = self.rows / working[0], self.columns / working[1]
        nodes = Box(
            int(box.top * down),
            int(box.bottom * down) + 1,
            int(box.left * right),
            int(box.right * right) + 1,
        )
        return nodes.grown(4, (self.rows, self.columns))

    def read(self, layer: Array, nodes: Box) -> Array:
        """Read a working picture, float32 (h, w), at some nodes, bilinearly."""
        positions = []
        for size, offset, (begin, end), small in zip(
            self.shape, (self.top, self.left), (nodes[:2], nodes[2:]), layer.shape, strict=True
        ):
            position = (offset + self.step * (np.arange(begin, end) + 0.5)) * (small / size) - 0.5
            position = np.clip(position, 0, small - 1)
            first = position.astype(np.intp)
            positions.append(
                (first, np.minimum(first + 1, small - 1), (position - first).astype(np.float32))
            )
        (upper, lower, down), (before, after, right) = positions
        rows = layer[upper] + (layer[lower] - layer[upper]) * down[:, None]
        values: Array = rows[:, before] + (rows[:, after] - rows[:, before]) * right
        return values

    def squares(self, nodes: Box) -> tuple[slice, slice]:
        """The pixels of some nodes' squares, for indexing."""
        rows, columns = (
            slice(offset + self.step * begin, offset + self.step * end)
            for offset, (begin, end) in ((self.top, nodes[:2]), (self.left, nodes[2:]))
        )
        return rows, columns

    @cached_property
    def weights(self) -> Array:
        """How much a block's corners (upper left, upper right, lower left, lower right) count at
        each pixel: (4, step²).
        """
        part = (
            np.arange(self.step, dtype=np.float32) + (0.0 if self.step % 2 else 0.5)
        ) / self.step
        down, right = part[:, None], part[None, :]
        corners = ((1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right)
        return np.stack([corner.reshape(-1) for corner in corners])

    def corners(self, rows: Array, columns: Array) -> tuple[Array, Array]:
        """The first pixel's row and column of some blocks, moved into the picture where it would be
        outside.

        A moved block covers a part of its inner neighbour, which must be painted later.
        """
        half = self.step - self.step // 2
        y, x = self.top + self.step * rows - half, self.left + self.step * columns - half
        return np.clip(y, 0, self.shape[0] - self.step), np.clip(x, 0, self.shape[1] - self.step)

    def outermost_first(self, rows: Array, columns: Array) -> tuple[Array, Array]:
        """Some blocks, ordered so that each moved one comes before those that it covers a
        part of.
        """
        moved = ((rows == 0) | (rows == self.rows)).astype(np.int8)
        moved += (columns == 0) | (columns == self.columns)
        if not moved.any():
            return rows, columns
        order = np.argsort(-moved, kind="stable")
        return rows[order], columns[order]


def shrunk(image: Image, shape: tuple[int, int]) -> Image:
    """Area average of an image at (h, w), which is not larger.

    Halves first: for OpenCV that is ten times as fast.
    """
    height, width = image.shape[:2]
    while height % 2 == width % 2 == 0 and height >= 4 * shape[0] and width >= 4 * shape[1]:
        height, width = height // 2, width // 2
        image = np.asarray(
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    if (height, width) == shape:
        return image
    return np.asarray(
        cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.uint8
    )


def full_size(
    objects: Array, small: Image, image: Image, mask: Mask | None, given: Collection[int]
) -> Probabilities:
    """Probabilities at the source's size, float32 (K+1, H, W), background first, summing to 1.

    objects: float32 (K, h, w), soft masks at working size, summing to ≤ 1. small, image: the frame,
    uint8 (h, w, 3) and (H, W, 3). mask: uint8 (H, W); the ids in `given` come out exactly as it
    shows them, and nothing else where it shows any.
    """
    # 1. predicted objects, each only in its window
    probabilities = np.zeros((objects.shape[0] + 1, *image.shape[:2]), np.float32)
    windows = [(slice(None), slice(None))] * objects.shape[0]
    if len(given) < objects.shape[0]:
        windows = enlarge(objects, small, image, probabilities[1:])
    # 2. given ones, exactly; they take their pixels from all others
    if mask is not None and given:
        probabilities[1:, mask > 0] = 0
        for object_id in given:
            np.equal(mask, object_id, out=probabilities[object_id])
            windows[object_id - 1] = (slice(None), slice(None))
    # 3. the background is what is left; outside of the windows that is all
    probabilities[0] = 1
    for layer, window in zip(probabilities[1:], windows, strict=True):
        rest = probabilities[0][window]
        rest -= layer[window]
        np.maximum(rest, 0, out=rest)
    return probabilities


def enlarge(
    objects: Array, small: Image, image: Image, out: Probabilities
) -> list[tuple[slice, slice]]:
    """Bring soft masks to the source's size. Returns each one's window, outside of which it is 0.

    objects: float32 (K, h, w), summing to ≤ 1; small, image: the frame, uint8 (h, w, 3) and (H, W,
    3), not smaller;
    out: float32 (K, H, W), all 0, filled in place and summing to ≤ 1. Where a mask is 0 all around,
    or 1 all around, it stays exactly that.
    """
    shape, working = (image.shape[0], image.shape[1]), (objects.shape[1], objects.shape[2])
    source = np.ascontiguousarray(image)
    lattice = Lattice.over(shape, working)
    # 1. only where something is: most objects are small
    boxes = [Box.around(layer > np.float32(CERTAIN)) for layer in objects]
    stretched, total = np.zeros_like(objects), np.zeros(working, np.float32)
    for layer, own, box in zip(objects, stretched, boxes, strict=True):
        if box is not None:
            part, scale = own[box.window], np.float32(1 / (1 - 2 * CERTAIN))
            np.clip((layer[box.window] - np.float32(CERTAIN)) * scale, 0, 1, out=part)
            total[box.window] += part
    np.maximum(total, 1, out=total)
    # 2. how many objects are around each block, and how many painted it
    around, claims = np.zeros((2, lattice.rows + 1, lattice.columns + 1), np.uint8)
    windows = []
    for layer, target, box in zip(stretched, out, boxes, strict=True):
        if box is None:
            windows.append(NOWHERE.window)
            continue
        layer[box.window] /= total[box.window]
        window = box.grown(4, working).window
        layer[window] = smooth_by_color(layer[window], small[window])
        nodes = lattice.above(box, working)
        values = lattice.read(layer, nodes)
        windows.append(_fill(target, values, nodes, lattice))
        around[nodes.top : nodes.bottom + 1, nodes.left : nodes.right + 1] += 1
        claims[_paint(target, source, values, nodes, lattice)] += 1
    # where one is alone, nothing has to be shared
    claims[around < 2] = 0
    _share(out, claims, lattice)
    return windows


def smooth_by_color(mask: Array, rgb: Image) -> Array:
    """Average uncertain pixels with neighbours of the same colour: float32 (h, w) with uint8 (h, w,
    3) → float32 (h, w).

    (One round of a joint bilateral filter: Petschnigg et al. and Eisemann & Durand, SIGGRAPH 2004.)
    """
    if compiled.usable(mask):
        from vfx_matte.propagate.builtin.compiled.edges import average_alike

        averaged, scale = mask.copy(), np.float32(-0.5 / VOTE_SIGMA**2)
        average_alike(
            np.ascontiguousarray(mask), np.ascontiguousarray(rgb), _VOTERS, scale, averaged
        )
        return averaged
    asked = np.flatnonzero((mask > 0) & (mask < 1))
    rows, columns = np.divmod(asked, mask.shape[1])
    reach = max(max(abs(x), abs(y)) for x, y in VOTERS)
    border = (reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    # channel by channel, by flat positions: several times as fast as indexing pixels of three
    channels = [
        np.asarray(plane, np.float32).reshape(-1)
        for plane in cv2.split(cv2.copyMakeBorder(rgb, *border))
    ]
    values = cv2.copyMakeBorder(mask, *border).reshape(-1)
    stride = rgb.shape[1] + 2 * reach
    positions = (rows + reach) * stride + (columns + reach)
    own = [channel.take(positions) for channel in channels]
    votes, total = values.take(positions), np.ones(len(positions), np.float32)
    for x, y in VOTERS:
        others = positions + (y * stride + x)
        apart = np.zeros(len(positions), np.float32)
        for channel, here in zip(channels, own, strict=True):
            step = channel.take(others) - here
            apart += step * step
        weight = np.exp(apart * np.float32(-0.5 / VOTE_SIGMA**2))
        votes += values.take(others) * weight
        total += weight
    result = mask.copy()
    result.reshape(-1)[asked] = votes / total
    return result


def _edge_blocks(values: Array) -> tuple[Array, Array]:
    """Rows and columns of the blocks around some nodes, float32 (rows, columns), whose corners are
    not all 0 or all 1.
    """
    # a minimum and a maximum over 2×2 find them all at once
    padded = cv2.copyMakeBorder(values, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    square = np.ones((2, 2), np.uint8)  # OpenCV's anchor is its lower right pixel
    most, least = cv2.dilate(padded, square)[1:, 1:], cv2.erode(padded, square)[1:, 1:]
    rows, columns = np.nonzero((most > 0) & (least < 1))
    return rows, columns


def _fill(target: Array, values: Array, nodes: Box, lattice: Lattice) -> tuple[slice, slice]:
    """Copy nodes to their squares, the outermost ones to the picture's edge, too; returns the
    window that was filled.
    """
    rows, columns = lattice.squares(nodes)
    squares = target[rows, columns]
    squares[:] = cv2.resize(values, squares.shape[::-1], interpolation=cv2.INTER_NEAREST)
    height, width = lattice.shape
    left, right = (
        0 if nodes.left == 0 else columns.start,
        width if nodes.right == lattice.columns else columns.stop,
    )
    target[rows, left : columns.start] = target[rows, columns.start, None]
    target[rows, columns.stop : right] = target[rows, columns.stop - 1, None]
    top, bottom = (
        0 if nodes.top == 0 else rows.start,
        height if nodes.bottom == lattice.rows else rows.stop,
    )
    target[top : rows.start, left:right] = target[rows.start, left:right]
    target[rows.stop : bottom, left:right] = target[rows.stop - 1, left:right]
    return slice(top, bottom), slice(left, right)


def _paint(
    target: Array, image: Image, values: Array, nodes: Box, lattice: Lattice
) -> tuple[Array, Array]:
    """Evaluate linear functions of colour, bilinear between the nodes, at every pixel of the blocks
    that hold an edge.

    (Fast guided filter: He & Sun, arXiv:1505.00996.) values: the mask at `nodes`. Returns the
    blocks' rows and columns.
    """
    step = lattice.step
    rows, columns = _edge_blocks(values)
    blocks = lattice.outermost_first(rows + nodes.top, columns + nodes.left)
    if not len(rows):
        return blocks
    # 1. the functions at the nodes, from the picture at the nodes' own size
    small = shrunk(image[lattice.squares(nodes)], values.shape)
    if compiled.usable(target):
        from vfx_matte.propagate.builtin.compiled import edges

        lines = edges.fit_lines(small, values, _near(values), EPSILON)
        places = np.stack([blocks[0] - nodes.top, blocks[1] - nodes.left], axis=1)
        corners = np.stack(lattice.corners(*blocks), axis=1)
        edges.paint(target, image, lines, lattice.weights, places, corners)
        return blocks
    lines = _lines(small, values)
    colors, pixels = image.reshape(-1, 3), target.reshape(-1)
    stride, width = lines.shape[2], image.shape[1]
    nodes_of_block = np.array([0, 1, stride, stride + 1])
    pixels_of_block = (np.arange(step)[:, None] * width + np.arange(step)).reshape(-1)
    flat = lines.reshape(len(lines), -1)
    # 2. some blocks at a time, read and written by flat positions
    for begin in range(0, len(rows), _BLOCKS_AT_ONCE):
        rows, columns = (index[begin : begin + _BLOCKS_AT_ONCE] for index in blocks)
        top, left = lattice.corners(rows, columns)
        first = (rows - nodes.top) * stride + (columns - nodes.left)
        four = flat.take(first[:, None] + nodes_of_block, axis=1)
        *slopes, value = (four.reshape(-1, 4) @ lattice.weights).reshape(4, -1, step * step)
        position = (top * width + left)[:, None] + pixels_of_block
        color = colors.take(position, axis=0)
        for channel in range(3):
            value += slopes[channel] * color[..., channel]
        pixels[position] = np.clip(value, 0, 1, out=value)
    return blocks


def _lines(rgb: Image, values: Array) -> Array:
    """The mask as a linear function of colour around each node, with a border of one: float32 (4,
    rows + 2, columns + 2).

    Slopes for R, G and B in code values, then the offset. Where the mask is constant the slopes are
    0.
    """
    guide = GuidedFilter(rgb, radius_px=RADIUS_PX, epsilon=EPSILON)
    slope, offset = guide.lines(values)
    near = _near(values)
    total = slope[0] + slope[1] + slope[2]
    lines = [
        *(np.where(near, plane, np.float32(0)) for plane in slope),
        np.where(near, offset - 128 * total, values),
    ]
    return np.stack(
        [cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REPLICATE) for plane in lines]
    )


def _near(values: Array) -> Array:
    """Which nodes of a mask, float32 (rows, columns), are not 0 all around, or 1: bool."""
    square = np.ones((3, 3), np.uint8)
    near: Array = (cv2.dilate(values, square) > 0) & (cv2.erode(values, square) < 1)
    return near


def _share(out: Probabilities, claims: Array, lattice: Lattice) -> None:
    """Let several objects share the blocks with an edge, so that they sum to ≤ 1.

    claims: uint8, how many, block by block.

    One claim is enough: another object may be a little more than 0 all over the block, without an
    edge of its own there.
    """
    if len(out) < 2:
        return
    rows, columns = np.nonzero(claims > 0)
    layers, width = out.reshape(len(out), -1), out.shape[2]
    pixels_of_block = (np.arange(lattice.step)[:, None] * width + np.arange(lattice.step)).reshape(
        -1
    )
    for begin in range(0, len(rows), _BLOCKS_AT_ONCE):
        end = begin + _BLOCKS_AT_ONCE
        top, left = lattice.corners(rows[begin:end], columns[begin:end])
        position = ((top * width + left)[:, None] + pixels_of_block).reshape(-1)
        total = layers[0].take(position)
        for layer in layers[1:]:
            total += layer.take(position)
        # blocks at the picture's edge overlap
        over = np.unique(position[total > 1])
        if over.size:
            parts = layers[:, over]
            layers[:, over] = parts / parts.sum(axis=0)
