"""XMem's memories against a slow reference: NumPy, float64, one row at a time, straight from the
papers' formulas.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

torch = pytest.importorskip("torch")

from support.xmem_memory import store_usage  # noqa: E402

from vfx_matte.propagate.xmem import store as xmem_store  # noqa: E402
from vfx_matte.propagate.xmem.memory import Memory, XMemMemory  # noqa: E402
from vfx_matte.propagate.xmem.network import Dimensions  # noqa: E402
from vfx_matte.propagate.xmem.store import Rows  # noqa: E402

Floats = npt.NDArray[np.float64]
KEY, VALUE, POSITIONS = 5, 7, 6
SMALL = {
    "top_k": 4,
    "num_prototypes": 5,
    "min_mid_term_frames": 2,
    "max_mid_term_frames": 4,
    "max_long_term_elements": 16,
}


@dataclass
class Row:
    """One element. values: only of the objects it was made with."""

    key: Floats
    shrinkage: float
    selection: Floats
    values: dict[int, Floats]
    use: float = 0.0
    life: float = 1e-7


@dataclass
class SlowMemory:
    """What `Memory` should do, told slowly."""

    options: XMemMemory
    working: list[list[Row]] = field(default_factory=list)
    long_term: list[Row] = field(default_factory=list)
    permanent: dict[str, list[Row]] = field(default_factory=dict)
    evicted: int = 0

    def similarity(self, row: Row, query: Row) -> float:
        distance = sum(query.selection[c] * (row.key[c] - query.key[c]) ** 2 for c in range(KEY))
        return float(-distance * row.shrinkage / np.sqrt(KEY))

    def softmax(self, similarities: list[float]) -> Floats:
        powers = np.exp(np.array(similarities) - max(similarities))
        return np.asarray(powers / powers.sum())

    def read(self, queries: list[Row], objects: list[int]) -> Floats:
        walk = [*self.long_term, *(row for frame in self.working for row in frame)]
        everything = walk + [row for rows in self.permanent.values() for row in rows]
        answer = np.zeros((len(objects), len(queries), VALUE))
        for number, query in enumerate(queries):
            for place, object_id in enumerate(objects):
                own = [row for row in everything if object_id in row.values]
                own = sorted(own, key=lambda row: -self.similarity(row, query))[
                    : self.options.top_k
                ]
                for row, weight in zip(
                    own, self.softmax([self.similarity(row, query) for row in own]), strict=True
                ):
                    answer[place, number] += weight * row.values[object_id]
                    row.use += weight if place == 0 else 0
        for row in walk:
            row.life += 1
        return answer

    def add(self, frame: list[Row]) -> None:
        self.working.append(frame)
        if not self.options.long_term or len(self.working) < self.options.max_mid_term_frames:
            return
        first = 0 if self.permanent else 1
        stop = len(self.working) - self.options.min_mid_term_frames + first
        candidates = [row for frame in self.working[first:stop] for row in frame]
        bound = self.options.max_long_term_elements - self.options.num_prototypes
        if len(self.long_term) > bound:
            least = sorted(self.long_term, key=lambda row: row.use / row.life)[
                : len(self.long_term) - bound
            ]
            limit = least[-1].use / least[-1].life
            survivors = [row for row in self.long_term if row.use / row.life > limit]
            self.evicted += len(self.long_term) - len(survivors)
            self.long_term = survivors
        for prototype in sorted(candidates, key=lambda row: -row.use / row.life)[
            : self.options.num_prototypes
        ]:
            self.long_term.append(self.condensed(prototype, candidates))
        self.working[first:stop] = []

    def condensed(self, prototype: Row, candidates: list[Row]) -> Row:
        values = {}
        for object_id in prototype.values:
            own = [row for row in candidates if object_id in row.values]
            weights = self.softmax([self.similarity(row, prototype) for row in own])
            values[object_id] = sum(
                w * row.values[object_id] for w, row in zip(weights, own, strict=True)
            )
        weights = self.softmax([self.similarity(row, prototype) for row in candidates])
        shrinkage = float(
            sum(w * row.shrinkage for w, row in zip(weights, candidates, strict=True))
        )
        return Row(prototype.key, shrinkage, np.zeros(KEY), values)


def random_frame(
    rng: np.random.Generator, objects: list[int], positions: int = POSITIONS
) -> list[Row]:
    return [
        Row(
            rng.standard_normal(KEY).astype(np.float32).astype(np.float64),
            float(np.float32(1 + rng.random())),
            rng.random(KEY).astype(np.float32).astype(np.float64),
            {
                object_id: rng.standard_normal(VALUE).astype(np.float32).astype(np.float64)
                for object_id in objects
            },
        )
        for _ in range(positions)
    ]


def as_rows(frame: list[Row]) -> Rows:
    key, selection = (
        np.array([getattr(row, name) for row in frame], np.float32) for name in ("key", "selection")
    )
    shrinkage = np.array([[row.shrinkage] for row in frame], np.float32)
    return Rows(torch.from_numpy(key), torch.from_numpy(shrinkage), torch.from_numpy(selection))


def values_of(frame: list[Row], object_id: int) -> object:
    return torch.from_numpy(np.array([row.values[object_id] for row in frame], np.float32))


def new_memory(options: XMemMemory) -> Memory:
    return Memory(options, Dimensions(KEY, VALUE, 0), torch.zeros(()))


def compare(
    fast: Memory,
    slow: SlowMemory,
    objects_at: dict[int, list[int]],
    rng: np.random.Generator,
    frames: int,
) -> None:
    """Walk both memories through the same random frames.

    objects_at: time → objects that are new then.
    """
    objects: list[int] = []
    for time in range(frames):
        if objects:
            # many, so that hardly a row is never read: equal use would be a coin toss
            query = random_frame(rng, [], 20)
            found = fast.read(as_rows(query), objects).numpy()
            np.testing.assert_allclose(
                found, slow.read(query, objects), atol=2e-5, err_msg=f"at time {time}"
            )
        new = objects_at.get(time, [])
        fast.introduce(new, time)
        objects += new
        frame = random_frame(rng, objects)
        slow.add(frame)
        fast.add(
            as_rows(frame), {object_id: values_of(frame, object_id) for object_id in objects}, time
        )
        assert store_usage(fast)[0].elements == sum(len(frame) for frame in slow.working)
        assert store_usage(fast)[1].elements == len(slow.long_term)


@pytest.mark.parametrize("block", [2**24, 1, 40])
def test_consolidation_and_eviction(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # one block, row by row, and in between
    monkeypatch.setattr(xmem_store, "BLOCK_ELEMENTS", block)
    options = XMemMemory(**SMALL)
    slow = SlowMemory(options)
    compare(new_memory(options), slow, {0: [1, 2]}, np.random.default_rng(0), 16)
    assert slow.evicted > 0


def test_objects_that_come_later_read_only_their_own_rows() -> None:
    options = XMemMemory(**SMALL)
    slow = SlowMemory(options)
    compare(new_memory(options), slow, {0: [2], 3: [1, 4], 6: [3]}, np.random.default_rng(0), 20)
    assert slow.evicted > 0


def test_more_than_ten_objects_in_three_groups() -> None:
    options = XMemMemory(**SMALL)
    births = {0: [*range(1, 13)], 2: [20, 14, 255], 7: [13]}
    compare(new_memory(options), SlowMemory(options), births, np.random.default_rng(8), 14)


def test_without_long_term_memory_every_frame_stays() -> None:
    options = XMemMemory(top_k=4, long_term=False)
    compare(
        new_memory(options), SlowMemory(options), {0: [1], 2: [2]}, np.random.default_rng(1), 14
    )


def test_fewer_elements_than_are_to_be_read_or_condensed() -> None:
    options = XMemMemory(
        top_k=1000, num_prototypes=1000, min_mid_term_frames=1, max_mid_term_frames=2
    )
    compare(new_memory(options), SlowMemory(options), {0: [1], 1: [2]}, np.random.default_rng(2), 8)


def remember(
    fast: Memory, slow: SlowMemory, digest: str, frame: list[Row], everyone: list[int]
) -> None:
    """Put a reference into both; in the slow one, "nothing here" has values for everyone from the
    start.
    """
    shown = sorted(frame[0].values)
    empty = None if shown != [0] else values_of(frame, 0)
    values = {} if shown == [0] else {object_id: values_of(frame, object_id) for object_id in shown}
    fast.remember(digest, as_rows(frame), values, empty)
    if shown == [0]:
        frame = [
            Row(row.key, row.shrinkage, row.selection, dict.fromkeys(everyone, row.values[0]))
            for row in frame
        ]
    slow.permanent[digest] = frame


@pytest.mark.parametrize("order", ["abc", "cab", "bca"])
def test_permanent_memory_with_partial_and_empty_references(order: str) -> None:
    rng = np.random.default_rng(3)
    frames = {
        "a": random_frame(rng, [1, 2]),
        "b": random_frame(rng, [2, 3]),
        "c": random_frame(rng, [0]),
    }
    options = XMemMemory(**SMALL)
    fast, slow = new_memory(options), SlowMemory(options)
    for digest in order:
        remember(fast, slow, digest, frames[digest], [1, 2, 3, 4])
    assert fast.permanent_objects == (1, 2, 3)
    assert [reference.digest for reference in fast.references] == list(order)
    # nobody but the walk and "nothing here" knows object 4
    compare(fast, slow, {0: [1, 2, 3], 5: [4]}, rng, 16)


def test_forgetting_and_replacing_references_leaves_no_trace() -> None:
    rng = np.random.default_rng(4)
    first, second, third = (
        random_frame(rng, [1, 2]),
        random_frame(rng, [3]),
        random_frame(rng, [1, 3]),
    )
    options = XMemMemory(**SMALL)
    fast, slow = new_memory(options), SlowMemory(options)
    for digest, frame in (
        ("b", first),
        ("a", second),
        ("c", second),
        ("d", random_frame(rng, [9])),
        ("e", third),
    ):
        remember(fast, SlowMemory(options), digest, frame, [])
    fast.forget("a")
    fast.forget("d")
    remember(fast, slow, "b", first, [])
    remember(fast, slow, "c", third, [])  # in place of another
    fast.forget("e")
    assert fast.permanent_objects == (1, 2, 3)
    assert store_usage(fast)[2].elements == 2 * POSITIONS
    compare(fast, slow, {0: [1, 2, 3]}, rng, 12)


SHOWN = ((1, 2), (2, 3), (3,), (), (1, 2, 3), (4, *range(5, 15)))
"""What references show; () is "nothing here"."""


def one_reference(
    digest: str, shown: tuple[int, ...]
) -> tuple[str, Rows, dict[int, object], object]:
    """What `Memory.remember` takes; the same digest, the same image, has the same keys."""
    keys = random_frame(np.random.default_rng(ord(digest)), [])
    contents = random_frame(np.random.default_rng(sum(1 << k for k in shown)), list(shown) or [0])
    values = {object_id: values_of(contents, object_id) for object_id in shown}
    return digest, as_rows(keys), values, None if shown else values_of(contents, 0)


@examples(60)
@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([*SHOWN, None])), max_size=12),
    st.randoms(),
)
def test_references_are_what_is_left_whatever_came_before(
    history: list[tuple[str, tuple[int, ...] | None]], random: random.Random
) -> None:
    lived, left = new_memory(XMemMemory(**SMALL)), dict[str, tuple[int, ...]]()
    for digest, shown in history:  # None: the reference is taken away again
        if shown is not None:
            lived.remember(*one_reference(digest, shown))
            left[digest] = shown
        elif left.pop(digest, None) is not None:
            lived.forget(digest)
    shuffled = random.sample(sorted(left), len(left))
    new = new_memory(XMemMemory(**SMALL))
    for digest in shuffled:
        new.remember(*one_reference(digest, left[digest]))
    assert {(one.digest, one.object_ids) for one in lived.references} == set(left.items())
    assert lived.permanent_objects == new.permanent_objects
    assert store_usage(lived)[2].elements == store_usage(new)[2].elements == len(left) * POSITIONS
    answers = []
    for memory in (lived, new):
        # 200 is new in this walk
        rng, objects = (
            np.random.default_rng(9),
            [*memory.permanent_objects, 200],
        )
        memory.introduce(objects, 0)
        found = []
        for time in range(5):
            query, frame = random_frame(rng, [], 20), random_frame(rng, objects)
            found.append(memory.read(as_rows(query), objects).numpy())
            memory.add(
                as_rows(frame),
                {object_id: values_of(frame, object_id) for object_id in objects},
                time,
            )
        answers.append(np.stack(found))
    assert np.array_equal(*answers)  # to the last bit


def test_forget_temporary_keeps_references_only() -> None:
    rng = np.random.default_rng(5)
    options = XMemMemory(**SMALL)
    fast, slow = new_memory(options), SlowMemory(options)
    remember(fast, slow, "a", random_frame(rng, [1, 2]), [])
    compare(fast, SlowMemory(options, permanent=dict(slow.permanent)), {0: [1, 2]}, rng, 9)
    fast.forget_temporary()
    assert [usage.elements for usage in store_usage(fast)] == [0, 0, POSITIONS]
    compare(fast, slow, {0: [1, 2]}, rng, 9)


@pytest.mark.parametrize("count_usage", [None, True, False])
def test_memory_is_bounded_in_a_long_walk(count_usage: bool | None) -> None:
    options = XMemMemory(**SMALL, count_usage=count_usage)
    memory, rng = new_memory(options), np.random.default_rng(6)
    memory.introduce([1], 0)
    sizes = []
    for time in range(120):
        frame = random_frame(rng, [1])
        memory.add(as_rows(frame), {1: values_of(frame, 1)}, time)
        memory.read(as_rows(frame), [1])
        working, long_term, _ = store_usage(memory)
        assert working.elements < options.max_mid_term_frames * POSITIONS
        assert long_term.elements <= options.max_long_term_elements
        sizes.append(working.bytes + long_term.bytes)
    assert sizes[-1] == sizes[20]


def test_without_usage_the_oldest_prototypes_go() -> None:
    memory, rng = new_memory(XMemMemory(**SMALL, count_usage=False)), np.random.default_rng(7)
    memory.introduce([1], 0)
    for time in range(12):
        frame = random_frame(rng, [1])
        memory.add(as_rows(frame), {1: values_of(frame, 1)}, time)
    times = memory._long_term.times.numpy()
    assert len(times) == SMALL["max_long_term_elements"]
    assert times.min() > 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mem_every": 0}, "mem_every is 0"),
        ({"top_k": 0}, "top_k is 0"),
        ({"deep_update_every": -2}, "deep_update_every is -2"),
        ({"min_mid_term_frames": 10}, "max_mid_term_frames is 10, expected more"),
        ({"max_long_term_elements": 100}, "expected at least num_prototypes"),
    ],
)
def test_options_are_checked(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        XMemMemory(**wrong)
