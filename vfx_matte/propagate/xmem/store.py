"""Rows of keys and values, and how they are searched.

A store holds rows ("elements"), one per position of a frame at stride 16, and for each row a value
of every object. The mathematics is that of Cheng and Schwing, "XMem", ECCV 2022, sections 3.2 and
3.3, cited as XMem.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from vfx_matte.propagate.walk_state import State
from vfx_matte.propagate.xmem.network import Dimensions, Keys

BLOCK_ELEMENTS = 2**24
"""The largest piece of an affinity matrix that is in memory at a time: 64 MiB of float32."""

CACHED_ELEMENTS = 2**21
"""The same for a search on the CPU: 8 MiB, which its cache holds."""


class _Column:
    """One growing buffer of rows.

    Capacity doubles, so adding costs amortised constant time and no copy per frame.
    """

    def __init__(self, width: int, like: Tensor, *, rows: int = 0, capacity: int) -> None:
        self._buffer = like.new_zeros((max(rows, capacity), width))
        self._size = rows

    @property
    def live(self) -> Tensor:
        """The rows in use: a view, (N, width)."""
        return self._buffer[: self._size]

    def insert(self, at: int, rows: Tensor) -> None:
        """Put (n, width) before row `at`."""
        size = self._size + len(rows)
        # doubled, so that n rows cost O(n) copies in all
        if size > len(self._buffer):
            grown = self._buffer.new_zeros(
                (max(size, 2 * len(self._buffer)), self._buffer.shape[1])
            )
            grown[: self._size] = self.live
            self._buffer = grown
        # cloned: source and target overlap
        if at < self._size:
            self._buffer[at + len(rows) : size] = self._buffer[at : self._size].clone()
        self._buffer[at : at + len(rows)] = rows
        self._size = size

    def keep(self, indices: Tensor) -> None:
        """Drop all rows but these, in this order."""
        # indexing copies first, so rows may move onto each other
        self._buffer[: len(indices)] = self._buffer[indices]
        self._size = len(indices)


class Rows(NamedTuple):
    """What rows hold besides values."""

    key: Tensor
    """(N, CK)."""

    shrinkage: Tensor
    """(N, 1)."""

    selection: Tensor | None
    """(N, CK), or None where it is not kept."""

    @classmethod
    def of(cls, keys: Keys) -> Rows:
        """The rows of one image's keys, in the order of its positions."""
        return cls(*(rows_of(tensor[0]) for tensor in keys))


def rows_of(planes: Tensor) -> Tensor:
    """(C, h, w) → (h·w, C)."""
    return planes.flatten(1).T


class Store:
    """Rows with a value for each object."""

    def __init__(
        self, dimensions: Dimensions, like: Tensor, *, selects: bool, capacity: int = 64
    ) -> None:
        """Make an empty store.

        Args:
            dimensions: of the network.
            like: a tensor of the dtype and on the device of all rows.
            selects: whether selections are kept.
            capacity: rows that there is room for from the start.
        """
        self.dimensions, self._like, self._capacity = dimensions, like, capacity
        self._key, self._shrinkage = self._column(dimensions.key), self._column(1)
        self._selection = self._column(dimensions.key) if selects else None
        # affinity received, how often it could have been, and the time of the row's frame
        self._use, self._life, self._time = self._column(1), self._column(1), self._column(1)
        self._values: dict[int, _Column] = {}

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self._key.live)

    @property
    def rows(self) -> Rows:
        """All rows, as views."""
        return Rows(
            self._key.live,
            self._shrinkage.live,
            None if self._selection is None else self._selection.live,
        )

    @property
    def times(self) -> Tensor:
        """(N,): the time that each row's content is from."""
        return self._time.live[:, 0]

    @property
    def frequency(self) -> Tensor:
        """(N,): affinity received per read (XMem section 3.3, "usage")."""
        return (self._use.live / self._life.live)[:, 0]

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that have values."""
        return tuple(self._values)

    def values(self, object_id: int) -> Tensor:
        """(N, CV), zero where a row was made without the object. Raises KeyError when all were."""
        return self._values[object_id].live

    def insert(self, at: int, rows: Rows, values: Mapping[int, Tensor], times: Tensor) -> None:
        """Put rows before row `at`.

        Args:
            at: 0 … `size`.
            rows: n of them.
            values: object id → (n, CV).
            times: (n,), when each row's content is from.
        """
        # an object that is new here has the value 0 in all earlier rows, and one that is not in
        # `values` in the new ones; `Memory` keeps such rows from being read
        for object_id in values:
            self._values.setdefault(object_id, self._column(self.dimensions.value, rows=self.size))
        nothing = torch.zeros_like(rows.shrinkage)
        for object_id, column in self._values.items():
            given = values.get(object_id)
            column.insert(at, nothing.expand(-1, self.dimensions.value) if given is None else given)
        if self._selection is not None and rows.selection is not None:
            self._selection.insert(at, rows.selection)
        for column, content in (
            (self._key, rows.key),
            (self._shrinkage, rows.shrinkage),
            (self._use, nothing),
            (self._life, nothing + 1e-7),  # as published: usage is 0 / 1e-7, not 0 / 0
            (self._time, times[:, None]),
        ):
            column.insert(at, content)

    def append(self, rows: Rows, values: Mapping[int, Tensor], times: Tensor) -> None:
        """Put rows behind the others; see `insert`."""
        self.insert(self.size, rows, values, times)

    def keep(self, indices: Tensor) -> None:
        """Drop all rows but these, in this order."""
        for column in self._columns():
            column.keep(indices)

    def drop(self, start: int, stop: int) -> None:
        """Drop rows [start, stop)."""
        device = self._like.device
        self.keep(
            torch.cat(
                [torch.arange(start, device=device), torch.arange(stop, self.size, device=device)]
            )
        )

    def fill(self, object_id: int, rows: slice, values: Tensor) -> None:
        """Give an object, known or new, values (n, CV) in rows that were made without it."""
        column = self._values.setdefault(
            object_id, self._column(self.dimensions.value, rows=self.size)
        )
        column.live[rows] = values

    def forget_objects(self, kept: Iterable[int]) -> None:
        """Drop the values of all objects but these."""
        self._values = {
            object_id: self._values[object_id] for object_id in kept if object_id in self._values
        }

    def count(self, indices: Tensor, affinity: Tensor) -> None:
        """Note one read: `affinity` goes to the rows `indices` of the same shape, one life to every
        row.
        """
        # use: affinity received; life: how often it could have been read
        self._use.live.index_add_(0, indices.reshape(-1), affinity.reshape(-1, 1))
        self._life.live.add_(1)

    def state(self) -> State:
        """A copy of everything, on the host."""
        return {
            "key": _host(self._key.live),
            "shrinkage": _host(self._shrinkage.live),
            "selection": None if self._selection is None else _host(self._selection.live),
            "use": _host(self._use.live),
            "life": _host(self._life.live),
            "time": _host(self._time.live),
            "values": {
                str(object_id): _host(column.live) for object_id, column in self._values.items()
            },
        }

    def restore(self, state: State) -> None:
        """Hold what `state` copied, and nothing else.

        Raises ValueError, KeyError or TypeError for something else.
        """
        # 1. does every array have the shape that its column has here?
        size, values = len(state["key"]), state["values"]
        columns = {name: state[name] for name in ("key", "shrinkage", "use", "life", "time")}
        widths = {"key": self.dimensions.key, "shrinkage": 1, "use": 1, "life": 1, "time": 1}
        shapes = [(columns[name].shape, (size, width)) for name, width in widths.items()]
        shapes += [(value.shape, (size, self.dimensions.value)) for value in values.values()]
        if any(shape != expected for shape, expected in shapes) or (state["selection"] is None) != (
            self._selection is None
        ):
            raise ValueError(
                f"rows of {[shape for shape, _ in shapes]}, expected"
                f" {[expected for _, expected in shapes]}"
            )

        # 2. nothing is changed before this
        def column(rows: npt.NDArray[np.float32]) -> _Column:
            made = self._column(rows.shape[1])
            made.insert(0, torch.from_numpy(rows).to(self._like))
            return made

        self._key, self._shrinkage, self._use, self._life, self._time = (
            column(rows) for rows in columns.values()
        )
        self._selection = None if self._selection is None else column(state["selection"])
        self._values = {int(object_id): column(value) for object_id, value in values.items()}

    def _column(self, width: int, *, rows: int = 0) -> _Column:
        return _Column(width, self._like, rows=rows, capacity=self._capacity)

    def _columns(self) -> list[_Column]:
        plain = [
            self._key,
            self._shrinkage,
            self._use,
            self._life,
            self._time,
            *self._values.values(),
        ]
        return plain if self._selection is None else [*plain, self._selection]


def _host(rows: Tensor) -> npt.NDArray[np.float32]:
    """A copy in host memory."""
    copied: npt.NDArray[np.float32] = rows.detach().cpu().clone().numpy()
    return copied


def similarity(memory: Rows, query: Rows) -> Tensor:
    """S(m, q) = −Σ_c e_c (m_c − q_c)² · s / √CK, (Q, N).

    XMem eq. 2, with the query's selection e and the memory's shrinkage s. Expanded to
    −m²·e + 2m·(qe) − Σ e q²: two products of matrices, 4·CK·Q·N operations, and two times Q·N
    floats. Terms are rounded and added in this order because the public implementation does so:
    near the top_k-th one a last bit decides.
    """
    key, shrinkage, _ = memory
    selection = torch.ones_like(query.key) if query.selection is None else query.selection
    result: Tensor = (selection @ key.square().T).neg_()
    result += (query.key * selection) @ key.T * 2
    result -= (selection * query.key.square()).sum(1, keepdim=True)
    return result.mul_(shrinkage.T).div_(math.sqrt(key.shape[1]))


Validity = Sequence[Tensor | None]
"""For each store, bool (N,): the rows that a group may read; None is all."""


def search(
    stores: Sequence[Store],
    query: Rows,
    groups: Sequence[Validity],
    top_k: int,
    *,
    block_elements: int | None = None,
) -> list[tuple[Tensor, Tensor]]:
    """Find what each group reads: per query position the top_k most similar rows, and the softmax
    over them (XMem eq. 1).

    Cost: Q·N similarities, computed for so many positions at a time (at least one) that they are at
    most `block_elements`. Beside one block memory is O(Q·k), whatever N is.

    Args:
        stores: which are searched as one, N rows together.
        query: Q rows with selection.
        groups: for each group the rows that it may read.
        top_k: rows per position.
        block_elements: None is BLOCK_ELEMENTS, and on the CPU CACHED_ELEMENTS, which halves the
            time.

    Returns:
        For each group (affinity, index), both (Q, k), k ≤ top_k; the index counts through all
        stores. A position that may read nothing has affinity 0.
    """
    # 1. how many positions at a time
    total, positions, device = sum(store.size for store in stores), len(query.key), query.key.device
    # 32: keys are read from memory once
    cached = max(CACHED_ELEMENTS, 32 * total) if device.type == "cpu" else BLOCK_ELEMENTS
    elements = min(BLOCK_ELEMENTS if block_elements is None else block_elements, cached)
    step = max(1, elements // max(1, total))
    # 2. similarities are computed once for all groups, and masked for each
    readable = [_readable(stores, group, device) for group in groups]
    found: list[list[_Found]] = [[] for _ in groups]
    for start in range(0, positions, step):
        part = Rows(*(None if column is None else column[start : start + step] for column in query))
        block = torch.cat([similarity(store.rows, part) for store in stores], 1)
        for valid, parts in zip(readable, found, strict=True):
            allowed = block if valid is None else block.masked_fill(~valid, -torch.inf)
            parts.append(_Found(*allowed.topk(min(top_k, total), 1)))
    # 3. the softmax; rows that may not be read are −∞, and where all are, nan becomes 0
    best = [_Found(*(torch.cat(column) for column in zip(*parts, strict=True))) for parts in found]
    return [(torch.softmax(one.similarity, 1).nan_to_num_(0.0), one.index) for one in best]


class _Found(NamedTuple):
    """The largest similarities of query positions, (Q, k) each."""

    similarity: Tensor

    index: Tensor
    """The rows, counted through all stores."""


def _readable(stores: Sequence[Store], group: Validity, device: torch.device) -> Tensor | None:
    """Which rows of all stores together a group may read; None for all."""
    if all(valid is None for valid in group):
        return None
    pairs = zip(stores, group, strict=True)
    return torch.cat(
        [
            torch.ones(store.size, dtype=torch.bool, device=device) if one is None else one
            for store, one in pairs
        ]
    )


def read_out(stores: Sequence[Store], object_id: int, affinity: Tensor, index: Tensor) -> Tensor:
    """Sum an object's values by affinity, (Q, CV); only the k rows of each position are touched:
    O(Q·k·CV).
    """
    # embedding_bag gathers and sums without a (Q, k, CV) tensor between
    total = affinity.new_zeros((len(affinity), stores[0].dimensions.value))
    offset = 0
    for store in stores:
        if store.size and object_id in store.object_ids:
            local, weight = _inside(store, affinity, index - offset)
            total += functional.embedding_bag(
                local, store.values(object_id), mode="sum", per_sample_weights=weight
            )
        offset += store.size
    return total


def count_reads(
    stores: Sequence[Store], counted: Sequence[bool], affinity: Tensor, index: Tensor
) -> None:
    """Add one read to the usage of those stores that are counted."""
    offset = 0
    for store, counts in zip(stores, counted, strict=True):
        if counts and store.size:
            local, weight = _inside(store, affinity, index - offset)
            store.count(local, weight)
        offset += store.size


def _inside(store: Store, affinity: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Indices that lie in the store, and their affinity; the others point at row 0 with
    affinity 0.
    """
    outside = (index < 0) | (index >= store.size)
    return index.masked_fill(outside, 0), affinity.masked_fill(outside, 0.0)


class Condensed(NamedTuple):
    """Prototypes made of candidates."""

    rows: Rows
    """P rows without selection."""

    values: dict[int, Tensor]
    """Object id → (P, CV)."""

    times: Tensor
    """(P,): of the frames that the prototypes are from."""


def condense(
    store: Store,
    candidates: slice,
    num_prototypes: int,
    valid: Callable[[int, Tensor], Tensor | None],
) -> Condensed:
    """Make prototypes of a range of rows: prototype selection and memory potentiation, XMem section
    3.3, eq. 3 and 4.

    The most used candidates are the prototypes' keys; values and shrinkage are read from all
    candidates by the softmax of their similarity, with the prototype as the query. Costs P·n
    similarities for n candidates, in blocks as in `search`.

    Args:
        store: whose rows are condensed; it is not changed.
        candidates: n rows of it.
        num_prototypes: P, at most; there are no more than candidates.
        valid: which rows an object may read, of (object id, their times); None is all.
    """
    # 1. select: the candidates with the highest usage
    key, shrinkage, times = (
        store.rows.key[candidates],
        store.rows.shrinkage[candidates],
        store.times[candidates],
    )
    selection = None if store.rows.selection is None else store.rows.selection[candidates]
    chosen = store.frequency[candidates].topk(min(num_prototypes, len(times))).indices
    prototypes = Rows(
        key[chosen], shrinkage[chosen], None if selection is None else selection[chosen]
    )
    # 2. potentiate: each prototype reads from all candidates, each object only from those that are
    #    from a time when it was known
    contents = {object_id: store.values(object_id)[candidates] for object_id in store.object_ids}
    readable = {object_id: valid(object_id, times) for object_id in contents}
    shrinkages: list[Tensor] = []
    values: dict[int, list[Tensor]] = {object_id: [] for object_id in contents}
    step = max(1, BLOCK_ELEMENTS // len(times))
    for start in range(0, len(chosen), step):
        query = Rows(
            *(None if column is None else column[start : start + step] for column in prototypes)
        )
        # over all candidates, as published, and not the top_k of them
        block = similarity(Rows(key, shrinkage, None), query)
        affinity = torch.softmax(block, 1)
        shrinkages.append(affinity @ shrinkage)
        for object_id, content in contents.items():
            rows = readable[object_id]
            own = (
                affinity
                if rows is None
                else torch.softmax(block.masked_fill(~rows, -torch.inf), 1).nan_to_num_(0.0)
            )
            values[object_id].append(own @ content)
    rows = Rows(prototypes.key, torch.cat(shrinkages), None)
    return Condensed(
        rows, {object_id: torch.cat(parts) for object_id, parts in values.items()}, times[chosen]
    )
