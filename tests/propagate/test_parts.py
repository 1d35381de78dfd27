"""Frames that are made in parts, in any order, are those of a run that makes all at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from vfx_matte.masks import Image, Mask
from vfx_matte.propagate import open_propagator
from vfx_matte.propagate.driver import Segmented, propagate_resumable
from vfx_matte.propagate.walk_state import Checkpoint, WalkKey

SHAPE, FRAMES = (48, 64), 14


def draw(index: int) -> tuple[Image, Mask]:
    """Two textured squares that drift apart on a textured ground."""
    random = np.random.default_rng(7)
    image = random.integers(70, 110, (*SHAPE, 3)).astype(np.uint8)
    mask = np.zeros(SHAPE, np.uint8)
    squares = ((1, 6, 8 + index, (200, 60, 50)), (2, 28, 40 - index, (60, 70, 210)))
    for object_id, top, left, color in squares:
        texture = random.integers(-20, 20, (14, 14, 3))
        image[top : top + 14, left : left + 14] = np.array(color) + texture
        mask[top : top + 14, left : left + 14] = object_id
    return image, mask


class Clip:
    """The pictures, and which of them were stepped through."""

    def __init__(self) -> None:
        self.walked: list[int] = []

    def image(self, index: int) -> Image:
        return draw(index)[0]

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        for index in range(start, stop):
            self.walked.append(index)
            yield index, self.image(index)

    def backward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        for index in range(stop - 1, start - 1, -1):
            self.walked.append(index)
            yield index, self.image(index)


class Kept:
    """States of walks, kept from part to part."""

    def __init__(self) -> None:
        self.states: dict[WalkKey, Checkpoint] = {}

    def due(self) -> bool:
        return False

    def load(self, walk: WalkKey) -> Checkpoint | None:
        return self.states.get(walk)

    def repeat(self, first: int, last: int) -> None:
        pass


def run(
    references: dict[int, Mask], done: dict[int, Mask], kept: Kept, clip: Clip, only: range | None
) -> dict[int, Mask]:
    """One run, with a propagator of its own; what it makes joins `done`."""
    made: dict[int, Mask] = {}
    for one in propagate_resumable(
        open_propagator("builtin", num_objects=2),
        clip,
        references,
        start=0,
        stop=FRAMES,
        completed=dict(done),
        states=kept,
        only=only,
    ):
        if isinstance(one, Segmented):
            assert one.frame_index not in made
            made[one.frame_index] = one.mask
        elif one.state is None:
            kept.states.pop(one.walk, None)
        else:
            kept.states[one.walk] = Checkpoint(*one)
    done |= made
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    "ids", [{0: (1, 2)}, {9: (1, 2)}, {2: (1, 2), 11: (1, 2)}, {0: (1,), 8: (2,)}]
)
@pytest.mark.parametrize(
    "parts", [[range(5), range(5, 10), range(10, 14)], [range(9, 12), range(3), range(6, 7)]]
)
def test_parts_are_those_of_a_whole_run(
    ids: dict[int, tuple[int, ...]], parts: list[range]
) -> None:
    references = {
        at: np.where(np.isin(draw(at)[1], shown), draw(at)[1], np.uint8(0))
        for at, shown in ids.items()
    }
    whole = run(references, {}, Kept(), Clip(), None)
    done: dict[int, Mask] = {}
    kept = Kept()
    for part in parts:
        made = run(references, done, kept, Clip(), part)
        assert made.keys() == set(part)
    run(references, done, kept, Clip(), None)
    assert done.keys() == whole.keys() == set(range(FRAMES))
    assert all(np.array_equal(done[at], mask) for at, mask in whole.items())


def test_a_walk_goes_on_where_the_part_before_ended() -> None:
    """Frame by frame, as with a key: no frame is walked through twice."""
    references, done, kept, clip = {0: draw(0)[1]}, {}, Kept(), Clip()
    for at in range(1, 6):
        run(references, done, kept, clip, range(at, at + 1))
    assert clip.walked == [0, 1, 2, 3, 4, 5]
