"""A clip of two squares that drift apart, and masks that tell which reference they come from."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np

from vfx_matte.masks import Image, Mask
from vfx_matte.propagate.driver import Segmented

SHAPE = (48, 64)


def draw(index: int) -> tuple[Image, Mask]:
    """Frame `index` of a clip of two textured squares that drift apart on a textured ground."""
    random = np.random.default_rng(7)
    image = random.integers(70, 110, (*SHAPE, 3)).astype(np.uint8)
    mask = np.zeros(SHAPE, np.uint8)
    for object_id, top, left, color in (
        (1, 6, 8 + index, (200, 60, 50)),
        (2, 28, 40 - index, (60, 70, 210)),
    ):
        image[top : top + 14, left : left + 14] = np.array(color) + random.integers(
            -20, 20, (14, 14, 3)
        )
        mask[top : top + 14, left : left + 14] = object_id
    return image, mask


class Clip:
    """An image source that notes which frames were decoded and how many are alive."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.decoded: list[int] = []
        self.alive = self.peak = 0

    def image(self, index: int) -> Image:
        assert 0 <= index < self.length
        self.decoded.append(index)
        image = draw(index % 16)[0]
        self.alive += 1
        self.peak = max(self.peak, self.alive)
        weakref.finalize(image, self._release)
        return image

    def _release(self) -> None:
        self.alive -= 1

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        for index in range(start, stop):
            yield index, self.image(index)

    def backward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        for index in range(stop - 1, start - 1, -1):
            yield index, self.image(index)


def block(object_id: int, place: int, also: Mask | None = None) -> Mask:
    """A mask with one small square, to tell by its place which reference a fake result came
    from.
    """
    mask = np.zeros(SHAPE, np.uint8) if also is None else also.copy()
    mask[:4, 4 * place : 4 * place + 4] = object_id
    return mask


def masks_of(frames: list[Segmented]) -> dict[int, Mask]:
    found = {frame.frame_index: frame.mask for frame in frames}
    assert len(found) == len(frames), "a frame came twice"
    return found
