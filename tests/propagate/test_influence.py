"""Frames outside of a reference's influence come out the same with and without it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drifting_squares import Clip, block
from support.examples import examples

from vfx_matte.masks import Mask
from vfx_matte.propagate.driver import propagate
from vfx_matte.propagate.fake import FakePropagator
from vfx_matte.propagate.influence import influenced


@pytest.mark.parametrize(
    ("changed", "boundaries", "frames"),
    [
        ([5], [0, 9], range(1, 9)),
        ([5], [], range(10)),
        ([0], [4], range(4)),
        ([9], [4], range(5, 10)),
        ([3, 7], [5], range(10)),
        ([30], [4], range(5, 10)),
        ([30], [12], range(0)),
        ([], [4], range(0)),
    ],
)
def test_from_neighbour_to_neighbour(
    changed: list[int], boundaries: list[int], frames: range
) -> None:
    expected = set(frames) - ({5} if changed == [3, 7] else set())
    assert influenced(changed, boundaries, start=0, stop=10) == expected


def masks_of(references: dict[int, Mask], start: int, stop: int) -> dict[int, Mask]:
    carrier = FakePropagator(num_objects=2)
    return {
        one.frame_index: one.mask
        for one in propagate(carrier, Clip(60), references, start=start, stop=stop)
    }


@pytest.mark.slow
@examples(120)
@given(st.data())
def test_the_others_do_not_change(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 10))
    stop = data.draw(st.integers(start + 1, 40))
    shown = st.sampled_from([(1, 2), (1,), (2,), ()])
    indices = data.draw(st.lists(st.integers(0, 45), min_size=2, max_size=5, unique=True))
    references = {
        index: np.maximum.reduce(
            [np.zeros((48, 64), np.uint8), *(block(i, 5 * i + n % 5) for i in ids)]
        )
        for n, (index, ids) in enumerate(
            zip(indices, data.draw(st.lists(shown, min_size=5, max_size=5)), strict=False)
        )
    }
    changed = indices[0]
    before = {index: mask for index, mask in references.items() if index != changed}
    if not all(any(mask.any() for mask in masks.values()) for masks in (before, references)):
        return
    ends = [index for index, mask in before.items() if len(np.unique(mask)) in (1, 3)]
    frames = influenced([changed], ends, start=start, stop=stop)
    one, two = masks_of(before, start, stop), masks_of(references, start, stop)
    for index in set(range(start, stop)) - frames:
        assert np.array_equal(one[index], two[index]), (index, frames)
