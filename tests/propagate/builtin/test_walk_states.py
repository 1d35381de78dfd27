"""A walk that is saved and gone on with elsewhere gives the same results, bit for bit; a damaged
state counts as none.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vfx_matte.masks import Image, Mask
from vfx_matte.propagate.builtin.propagator import BuiltinPropagator
from vfx_matte.workspace.walk_states import WalkStateFolder, digest_of

pytestmark = pytest.mark.slow

SHAPE = (72, 96)
LENGTH = 16


def draw(index: int) -> tuple[Image, Mask]:
    """A disc with a thin rod that leaves the picture for some frames, before a square that
    stays.
    """
    random = np.random.default_rng(3)
    image = random.integers(70, 110, (*SHAPE, 3)).astype(np.uint8)
    mask = np.zeros(SHAPE, np.uint8)
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    place = 20 + 4 * index if index < 5 or index > 10 else 400
    disc = (row - 24) ** 2 + (column - place) ** 2 < 120
    rod = (row == 24 - 16) & (abs(column - place) < 26)
    image[disc | rod] = (210, 60, 40)
    mask[disc | rod] = 1
    image[46:64, 60:82], mask[46:64, 60:82] = (40, 70, 220), 2
    return image, mask


def only(mask: Mask, object_id: int) -> Mask:
    return mask * (mask == object_id)


class Colorful:
    """Stands for a network: what is no shade of grey stands out, and a little of it does so by
    chance. Its layers are the colours.
    """

    layered = True

    def describe(
        self, image: Image, *, size: int, deeper: bool
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """See `SalientNetwork.describe`."""
        assert deeper
        small = cv2.resize(image, (size // 2, size // 2), interpolation=cv2.INTER_AREA)
        fine = small.astype(np.float32).transpose(2, 0, 1) / 255
        return self.rough(image, size=size), [fine, fine[:, ::4, ::4].copy()]

    def rough(self, image: Image, *, size: int) -> np.ndarray:
        """See `SalientNetwork.rough`."""
        spread = image.max(axis=2).astype(np.float32) - image.min(axis=2)
        return np.clip(spread / np.float32(200) + np.float32(size % 7) / 100, 0, 1)


def opened(*, remembers: bool, sees: bool = False) -> BuiltinPropagator:
    propagator = BuiltinPropagator(num_objects=2, network=Colorful() if sees else None)
    if remembers:
        propagator.remember(*draw(0))
        propagator.remember(draw(15)[0], only(draw(15)[1], 2))
        propagator.attend({0: 0, 1: 15})
    return propagator


@pytest.mark.parametrize(
    ("remembers", "sees"),
    [(True, False), (False, False), (True, True)],
    ids=["remembered", "adopted on the way", "with a network"],
)
def test_a_builtin_walk_goes_on_from_any_frame(
    tmp_path: Path, *, remembers: bool, sees: bool
) -> None:
    images = [draw(index)[0] for index in range(LENGTH)]
    given = {0: draw(0)[1] if remembers else only(draw(0)[1], 1), 7: only(draw(7)[1], 2)}
    store = WalkStateFolder(tmp_path / "states", digest_of({"clip": 1}))
    whole = opened(remembers=remembers, sees=sees)
    expected = []
    for index in range(LENGTH):
        expected.append(whole.step(images[index], given.get(index)))
        state = whole.walk_state()
        assert state is not None
        store.save(f"forward{index}", index, state)
    assert (expected[8][1] < 0.5).all(), "the disc has left"
    for index in (0, 3, 6, 7, 9, 12):
        saved = store.load(f"forward{index}")
        assert saved is not None
        assert saved[0] == index
        another = opened(remembers=remembers, sees=sees)
        another.restore_walk(saved[1])
        for later in range(index + 1, LENGTH):
            found = another.step(images[later], given.get(later))
            assert np.array_equal(found, expected[later]), (index, later)


def test_a_walk_knows_nothing_of_the_walk_before_it() -> None:
    images = [draw(index)[0] for index in range(LENGTH)]

    def walked(propagator: BuiltinPropagator) -> list[np.ndarray]:
        propagator.attend({0: 0, 1: 15})
        return [
            propagator.step(images[index], draw(0)[1] if index == 0 else None)
            for index in range(12)
        ]

    fresh, used = opened(remembers=True), opened(remembers=True)
    walked(used)
    assert all(
        np.array_equal(one, two) for one, two in zip(walked(fresh), walked(used), strict=True)
    )


def test_a_state_of_something_else_is_refused() -> None:
    propagator = opened(remembers=True)
    propagator.step(*draw(0))
    state = propagator.walk_state()
    assert state is not None
    with pytest.raises(ValueError, match="expected"):
        BuiltinPropagator(num_objects=3).restore_walk(state)
    with pytest.raises(KeyError):
        opened(remembers=True).restore_walk({"walk": {}})


STATE = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": [None, True, 1, 0.1, "ü"],
    "c": {"d": np.zeros((0, 3), np.uint8)},
}


def test_plain_data_comes_back_as_it_was(tmp_path: Path) -> None:
    store = WalkStateFolder(tmp_path / "states", "work")
    assert store.load("walk") is None
    store.save("walk", 7, STATE)
    loaded = store.load("walk")
    assert loaded is not None
    frame, state = loaded
    assert (frame, state["b"]) == (7, STATE["b"])
    assert np.array_equal(state["a"], STATE["a"])
    assert state["a"].dtype == np.float32
    assert state["c"]["d"].shape == (0, 3)
    with pytest.raises(ValueError, match="is not plain data"):
        store.save("walk", 7, {"a": object()})
    assert store.load("walk") is not None, "the earlier state stays"
    store.drop("walk")
    assert store.load("walk") is None
    store.clear()
    assert not (tmp_path / "states").exists()


def test_what_is_cut_changed_or_of_another_run_counts_as_none(tmp_path: Path) -> None:
    store = WalkStateFolder(tmp_path / "states", "work")
    store.save("walk", 7, STATE)
    assert WalkStateFolder(tmp_path / "states", "other work").load("walk") is None
    path = tmp_path / "states" / "walk.state"
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(whole)
        changed[random.integers(len(whole))] ^= 1 << random.integers(8)
        path.write_bytes(bytes(changed))
        assert store.load("walk") is None
        path.write_bytes(whole[: random.integers(len(whole))])
        assert store.load("walk") is None
    path.write_bytes(whole + b"x")
    assert store.load("walk") is None
    path.write_bytes(whole)
    assert store.load("walk") is not None
