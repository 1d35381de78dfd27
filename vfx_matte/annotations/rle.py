"""Regions as run lengths, as COCO has them.

The pixels are counted column by column, from the top left: so many outside, so many inside, and so
on. `counts` as text is the compressed form of pycocotools.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfx_matte.errors import MaskError
from vfx_matte.masks import Mask
from vfx_matte.printable import shortened

MOST_PIXELS = 16384 * 8192
"""Of a mask: 16K. A damaged size would ask for the whole memory."""

Region = npt.NDArray[np.bool_]
"""bool (H, W): the pixels of one object."""

Runs = npt.NDArray[np.int64]
"""int64 (N,): lengths of runs, outside first."""

# the compressed form has six bits per character from "0" on: five of the number, one "goes on"
_FIRST, _BITS, _MORE, _SIGN = 48, 5, 32, 16
# 35 bits: more than any picture has pixels
_MOST_CHARACTERS = 7


@dataclass(frozen=True, slots=True)
class RLE:
    """The region of one object on one frame."""

    shape: tuple[int, int]
    """(H, W) of the picture."""

    counts: str
    """Compressed as pycocotools does it."""

    def runs(self) -> Runs:
        """The lengths of its runs, outside first."""
        return _decompressed(self.counts)

    def spans(self) -> npt.NDArray[np.int64]:
        """int64 (N, 2): first and one past the last pixel of each run inside, counted down the
        columns.
        """
        edges = np.cumsum(self.runs())
        edges = edges[: len(edges) // 2 * 2]
        return edges.reshape(-1, 2)

    def region(self) -> Region:
        """The pixels: bool (H, W)."""
        runs = self.runs()
        inside = np.arange(len(runs)) % 2 == 1
        height, width = self.shape
        return np.ascontiguousarray(np.repeat(inside, runs).reshape(width, height).T)

    @property
    def area(self) -> int:
        """How many pixels are inside."""
        return int(self.runs()[1::2].sum())

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x, y, width, height) around it; all 0 where nothing is inside."""
        height = self.shape[0]
        spans = self.spans()
        spans = spans[spans[:, 1] > spans[:, 0]]
        if not len(spans):
            return 0, 0, 0, 0
        # a run that goes on into the next column touches both edges
        first, last = spans[:, 0], spans[:, 1] - 1
        wraps = bool((first // height != last // height).any())
        left, right = int(first[0]) // height, int(last[-1]) // height
        top = 0 if wraps else int((first % height).min())
        bottom = height - 1 if wraps else int((last % height).max())
        return left, top, right - left + 1, bottom - top + 1

    def to_json(self) -> dict[str, object]:
        """As COCO and YouTube-VIS write it: {"size": [H, W], "counts": "…"}."""
        return {"size": list(self.shape), "counts": self.counts}


def encode_region(region: Region) -> RLE:
    """The run lengths of one region, bool (H, W)."""
    if region.dtype != np.bool_ or region.ndim != 2:
        raise ValueError(f"region is {region.dtype} {region.shape}, expected bool (H, W)")
    found = encode_objects(region.astype(np.uint8))
    return found[1] if found else from_runs(_shape(region), [region.size])


def encode_objects(mask: Mask) -> dict[int, RLE]:
    """The run lengths of every object of a mask, uint8 (H, W): id → region, ascending.

    The picture is walked through once, however many objects there are.
    """
    down = np.ascontiguousarray(mask.T).reshape(-1)
    edges = np.flatnonzero(down[1:] != down[:-1]) + 1
    starts = np.concatenate(([0], edges))
    stops = np.concatenate((edges, [down.size]))
    ids = down[starts] if down.size else down
    found = {}
    for object_id in np.unique(ids):
        if object_id:
            mine = ids == object_id
            # outside up to the first start, inside up to its stop, outside up to the next start …
            corners = np.stack((starts[mine], stops[mine]), axis=1).reshape(-1)
            runs = np.diff(corners, prepend=0)
            if corners[-1] < down.size:
                runs = np.append(runs, down.size - corners[-1])
            found[int(object_id)] = from_runs(_shape(mask), runs.tolist())
    return found


def from_runs(shape: tuple[int, int], runs: Sequence[int]) -> RLE:
    """A region of run lengths, outside first.

    Raises:
        MaskError: they do not fill a picture of this shape.
    """
    from pycocotools import mask as coco

    height, width = shape
    require_shape(shape)
    if min(runs, default=-1) < 0 or sum(runs) != height * width:
        raise MaskError(
            f"run lengths of {sum(runs)} pixels do not fill a mask of {width}×{height}",
            hint="the file is damaged, or its size is written as width and height",
        )
    packed = coco.frPyObjects({"size": [height, width], "counts": list(runs)}, height, width)
    return RLE(shape, packed["counts"].decode("ascii"))


def from_json(data: object) -> RLE:
    """A region as COCO and YouTube-VIS write it, compressed or not.

    Raises:
        MaskError: it is something else, or damaged.
    """
    if not isinstance(data, Mapping):
        raise MaskError(
            f"run lengths are {shortened(repr(data))}, expected size and counts",
            hint="check the file, or export it again",
        )
    size, counts = data.get("size"), data.get("counts")
    if not (
        isinstance(size, list)
        and len(size) == 2
        and all(isinstance(side, int) and 0 < side <= MOST_PIXELS for side in size)
    ):
        raise MaskError(
            f"size of run lengths is {shortened(repr(size))}, expected [H, W]",
            hint="check the file, or export it again",
        )
    shape = (int(size[0]), int(size[1]))
    if isinstance(counts, list) and all(type(run) is int for run in counts):
        return from_runs(shape, counts)
    if not isinstance(counts, str):
        raise MaskError(
            f"counts of run lengths are {shortened(repr(counts))}, expected text",
            hint="check the file, or export it again",
        )
    # again from the runs: every region has one form, and what is damaged goes no further
    return from_runs(shape, _decompressed(counts).tolist())


def from_polygons(polygons: Sequence[Sequence[float]], shape: tuple[int, int]) -> RLE:
    """The region inside of any of some polygons.

    Args:
        polygons: each x, y, x, y, … of its corners.
        shape: (H, W) of the picture.

    Raises:
        MaskError: they are none.
    """
    from pycocotools import mask as coco

    require_shape(shape)
    height, width = shape
    rings = []
    for polygon in polygons:
        try:
            corners = np.array(polygon, np.float64)
        except (OverflowError, TypeError, ValueError):
            corners = np.empty(0)
        if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2 or not _is_finite(corners):
            raise MaskError(
                f"polygon {shortened(repr(polygon))} is none", hint="it needs three corners or more"
            )
        # a corner far outside would make as many points as it is away
        rings.append(corners.reshape(-1, 2).clip((-width, -height), (2 * width, 2 * height)))
    if not rings:
        return from_runs(shape, [height * width])
    packed = coco.merge(coco.frPyObjects([ring.reshape(-1).tolist() for ring in rings], *shape))
    return from_json({"size": list(shape), "counts": packed["counts"].decode("ascii")})


def from_crop(runs: Sequence[int], box: tuple[int, int, int, int], shape: tuple[int, int]) -> RLE:
    """A region of run lengths along the rows of a box, outside first, as CVAT writes them.

    Args:
        runs: lengths of runs.
        box: (x, y, width, height), inside of the picture.
        shape: (H, W) of the picture.

    Raises:
        MaskError: they do not fill the box, or it lies outside.
    """
    left, top, width, height = box
    if not (
        0 < shape[0] * shape[1] <= MOST_PIXELS
        and 0 <= left < left + width <= shape[1]
        and 0 <= top < top + height <= shape[0]
    ):
        raise MaskError(
            f"a mask at {left}, {top} of {width}×{height} does not lie inside of"
            f" {shape[1]}×{shape[0]}",
            hint="the file is of a clip of another size",
        )
    # CVAT leaves out what is outside at the end
    rest = width * height - sum(runs)
    if min(runs, default=0) < 0 or rest < 0:
        raise MaskError(
            f"run lengths of {sum(runs)} pixels do not fill a mask of {width}×{height}",
            hint="the file is damaged",
        )
    inside = np.arange(len(runs)) % 2 == 1
    crop = np.concatenate((np.repeat(inside, runs), np.zeros(rest, bool))).reshape(height, width)
    region = np.zeros(shape, bool)
    region[top : top + height, left : left + width] = crop
    return encode_region(region)


def to_crop(region: RLE) -> tuple[tuple[int, ...], tuple[int, int, int, int]]:
    """Run lengths along the rows of the box around a region, as CVAT writes them.

    Returns:
        The runs, outside first, and (x, y, width, height).
    """
    left, top, width, height = box = region.box
    crop = region.region()[top : top + height, left : left + width]
    (turned,) = encode_objects(np.ascontiguousarray(crop.T).astype(np.uint8)).values()
    return tuple(turned.runs().tolist()), box


def require_shape(shape: tuple[int, int]) -> None:
    """Raise MaskError where (H, W) of a file is no size of a mask."""
    height, width = shape
    if min(shape) < 1 or height * width > MOST_PIXELS:
        raise MaskError(
            f"a mask of {shortened(str(width))}×{shortened(str(height))} pixels cannot be",
            hint="check its size",
        )


def _shape(picture: npt.NDArray[np.generic]) -> tuple[int, int]:
    return int(picture.shape[0]), int(picture.shape[1])


def _is_finite(values: npt.NDArray[np.float64]) -> bool:
    return bool(np.isfinite(values).all())


def _decompressed(counts: str) -> Runs:
    """The runs of the compressed form. Raises MaskError where it is damaged."""
    if not counts or re.fullmatch("[0-o]+", counts) is None:
        raise MaskError(
            f"compressed run lengths are {shortened(repr(counts))}",
            hint="the file is damaged; pycocotools writes them in the characters 0 to o",
        )
    digits = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - _FIRST
    last = np.flatnonzero(digits & _MORE == 0)
    starts = np.concatenate(([0], last[:-1] + 1)) if len(last) else last
    lengths = last - starts + 1
    if not len(last) or last[-1] != len(digits) - 1 or lengths.max() > _MOST_CHARACTERS:
        raise MaskError("compressed run lengths end in the middle", hint="the file is damaged")
    # each number: five bits per character, lowest first, the sign in the last one
    position = np.arange(len(digits)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((digits & (_MORE - 1)) << (_BITS * position), starts)
    numbers -= np.where(digits[last] & _SIGN, np.int64(1) << (_BITS * lengths), 0)
    # from the fourth on they say how much longer a run is than the one before the last
    runs = numbers.copy()
    runs[1::2] = np.cumsum(numbers[1::2])
    runs[2::2] = np.cumsum(numbers[2::2])
    if runs.min() < 0 or runs.max() > MOST_PIXELS:
        raise MaskError("compressed run lengths are out of range", hint="the file is damaged")
    return runs
