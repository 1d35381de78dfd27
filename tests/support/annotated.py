"""Small clips of masks with named objects, for tests of files about masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from vfx_matte.annotations.records import (
    AddFrame,
    AnnotatedClip,
    Annotations,
    FrameName,
)
from vfx_matte.masks import Mask, ObjectLabel

Writer = Callable[[Path, AnnotatedClip], AbstractContextManager[AddFrame]]

LABELS = {
    1: ObjectLabel("Hündin", "dog", 0.75),
    2: ObjectLabel("人物 ② 🎬", "person", None),
    7: ObjectLabel("left/right: chair?", "", 1.0),
}


def clip(shape: tuple[int, int], labels: Mapping[int, ObjectLabel] | None = None) -> AnnotatedClip:
    return AnnotatedClip("Übung", shape, LABELS if labels is None else labels)


def frame(index: int, first_number: int = 0) -> FrameName:
    number = first_number + index
    return FrameName(index, number, f"plate.{number:04d}.png")


def write(
    writer: Writer,
    path: Path,
    described: AnnotatedClip,
    masks: Sequence[Mask],
    first_number: int = 0,
) -> None:
    with writer(path, described) as add:
        for index, mask in enumerate(masks):
            add(frame(index, first_number), mask)


def assert_same(found: Annotations, masks: Sequence[Mask], first_number: int = 0) -> None:
    assert [one.number for one in found.frames] == [
        first_number + index for index in range(len(masks))
    ]
    for one, mask in zip(found.frames, masks, strict=True):
        assert one.shape == mask.shape
        np.testing.assert_array_equal(one.read(), mask)
        if one.object_ids is not None:
            assert list(one.object_ids) == [int(value) for value in np.unique(mask) if value]


@st.composite
def masks_of_clips(draw: st.DrawFn, ids: Sequence[int] = (0, 1, 2, 7)) -> list[Mask]:
    """One to four masks of one shape; frames without any object are among them."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    count = draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    masks = []
    for _ in range(count):
        kind = draw(st.sampled_from(["noise", "full", "empty", "blocks"]))
        if kind == "noise":
            mask = random.choice(ids, (height, width))
        elif kind == "blocks":
            mask = np.kron(random.choice(ids, (3, 3)), np.ones((4, 4), int))[:height, :width]
        else:
            mask = np.full((height, width), ids[-1] if kind == "full" else 0)
        masks.append(mask.astype(np.uint8))
    return masks
