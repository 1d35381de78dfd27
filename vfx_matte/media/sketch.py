"""Makes very small pictures by which frames are recognised, kept in a file by index.

A sketch of 64×36 cells is enough to tell a frame from its neighbours wherever something visible
moves, and costs next to nothing to make.
"""

from __future__ import annotations

import tempfile
from typing import Self

import numpy as np
import numpy.typing as npt

from vfx_matte.backend import Array, to_numpy
from vfx_matte.media.codes import Quantisation
from vfx_matte.picture import Picture

ROWS, COLUMNS = 36, 64
# points per cell and direction: averaging 16 of them evens out what an encoder does
_POINTS = 4
_BYTES = ROWS * COLUMNS

Sketch = npt.NDArray[np.uint8]
"""uint8 (36, 64): the mean level of each cell, 0 black to 255 white."""


def sketch_of(picture: Picture, alpha: Array | None = None) -> Sketch:
    """The luma (the green of RGB) of an opaque picture at 4×4 points of each cell, averaged.

    Args:
        picture: without alpha.
        alpha: of the clip itself, (H, W) uint8 or uint16 at full scale; what it hides is black.
    """
    # green is nearest to luma, and spares a conversion
    plane = picture.planes[1 if picture.layout.model == "rgb" else 0]
    levels = (
        Quantisation.of(picture.layout, picture.color).levels(
            to_numpy(_points(plane)), chroma=False
        )
        * 255
    )
    if alpha is not None:
        levels = levels * (
            to_numpy(_points(alpha)).astype(np.float32) / np.float32(np.iinfo(alpha.dtype).max)
        )
    return _cells(levels)


def sketch_of_alpha(alpha: Array, *, full: int) -> Sketch:
    """The same of a plane.

    Args:
        alpha: (H, W), any integer type.
        full: the value that is white.
    """
    return _cells(to_numpy(_points(alpha)).astype(np.float32) * np.float32(255 / full))


def _points(plane: Array) -> Array:
    height, width = plane.shape
    # the middles of equal parts, whatever the picture's size
    rows = ((np.arange(ROWS * _POINTS) + 0.5) * height / (ROWS * _POINTS)).astype(int)
    columns = ((np.arange(COLUMNS * _POINTS) + 0.5) * width / (COLUMNS * _POINTS)).astype(int)
    # only these points leave the plane, and the GPU
    points: Array = plane[rows][:, columns]
    return points


def _cells(points: Array) -> Sketch:
    means = points.reshape(ROWS, _POINTS, COLUMNS, _POINTS).mean(axis=(1, 3))
    sketch: Sketch = np.clip(np.rint(means), 0, 255).astype(np.uint8)
    return sketch


class Sketches:
    """One sketch for each frame that was seen, in a temporary file. Use as a context manager."""

    def __init__(self) -> None:
        # 2 KB per frame are 600 MB for three hours, which is too much to hold
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._known: set[int] = set()

    def __contains__(self, index: int) -> bool:
        return index in self._known

    def put(self, index: int, sketch: Sketch) -> None:
        """Keep the sketch of a frame."""
        self._file.seek(index * _BYTES)
        self._file.write(sketch.tobytes())
        self._known.add(index)

    def get(self, index: int) -> Sketch | None:
        """The sketch of a frame, None when it was not seen."""
        if index not in self._known:
            return None
        self._file.seek(index * _BYTES)
        return np.frombuffer(self._file.read(_BYTES), np.uint8).reshape(ROWS, COLUMNS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._file.close()
