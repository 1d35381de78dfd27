"""XMem's memories: keys and values of frames, and the answers to queries from them.

Three stores: *working* (whole frames), *long-term* (prototypes of frames that left the working
memory) and *permanent* (references, XMem++). Cheng and Schwing, ECCV 2022, section 3.3; Bekuzarov
et al., ICCV 2023, section 3.

An object reads the frames of the walk since it was first seen, the references that show it, and the
empty ones, which say "nothing here" for all. A reference without it says nothing about it. Objects
that read the same form a group and share one affinity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vfx_matte.propagate.walk_state import State
from vfx_matte.propagate.xmem.network import Dimensions
from vfx_matte.propagate.xmem.options import XMemMemory
from vfx_matte.propagate.xmem.store import (
    Rows,
    Store,
    Validity,
    condense,
    count_reads,
    read_out,
    search,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A frame in permanent memory."""

    digest: str
    """Names its image."""

    object_ids: tuple[int, ...]
    """What its mask shows, () for "nothing here"."""


class _Remembered(NamedTuple):
    """A reference in the permanent store."""

    reference: Reference

    rows: int
    """How many it has."""

    empty: Tensor | None
    """The value of "nothing here", where it says so."""


class Memory:
    """Working, long-term and permanent memory of one clip."""

    def __init__(self, options: XMemMemory, dimensions: Dimensions, like: Tensor) -> None:
        """like: a tensor of the dtype and on the device of everything that is stored."""
        self._options, self._dimensions, self._like = options, dimensions, like
        self.block_elements: int | None = (
            None  # of an affinity matrix at a time; None is what `search` takes
        )
        self._permanent = Store(dimensions, like, selects=False)
        self._remembered: dict[str, _Remembered] = {}
        self.forget_temporary()

    @property
    def references(self) -> tuple[Reference, ...]:
        """What is in permanent memory, in the order in which it came."""
        return tuple(entry.reference for entry in self._remembered.values())

    @property
    def permanent_objects(self) -> tuple[int, ...]:
        """The objects that references show, ascending."""
        return tuple(
            sorted(
                {object_id for reference in self.references for object_id in reference.object_ids}
            )
        )

    def forget_temporary(self) -> None:
        """Empty working and long-term memory."""
        self._working = Store(self._dimensions, self._like, selects=True)
        # all its room at once, so that memory is flat from the start and not after a while
        room = self._options.max_long_term_elements if self._options.long_term else 0
        self._long_term = Store(self._dimensions, self._like, selects=False, capacity=room)
        self._frames: list[int] = []
        self._born: dict[int, int] = {}

    def walk_state(self) -> State:
        """A copy of working and long-term memory, on the host; permanent memory follows from the
        references.
        """
        return {
            "working": self._working.state(),
            "long_term": self._long_term.state(),
            "frames": list(self._frames),
            "born": {str(object_id): time for object_id, time in self._born.items()},
        }

    def restore_walk(self, state: State) -> None:
        """Hold what `walk_state` copied.

        Raises ValueError, KeyError or TypeError for something else.
        """
        self.forget_temporary()
        self._working.restore(state["working"])
        self._long_term.restore(state["long_term"])
        self._frames = [int(rows) for rows in state["frames"]]
        if sum(self._frames) != self._working.size:
            raise ValueError(f"frames of {sum(self._frames)} rows, expected {self._working.size}")
        self._born = {int(object_id): int(time) for object_id, time in state["born"].items()}
        self._fill_empty(self._born)

    def remember(
        self, digest: str, rows: Rows, values: Mapping[int, Tensor], empty: Tensor | None
    ) -> None:
        """Put a reference into permanent memory, in place of the one with the same digest.

        values: object_id → (n, CV) of the objects that its mask shows; empty: the value (n, CV) of
        no object, where the mask shows none. Rows are ordered by digest, so that the order of
        references makes no difference, not even in rounding.
        """
        if digest in self._remembered:
            self.forget(digest)
        self._remembered[digest] = _Remembered(
            Reference(digest, tuple(sorted(values))), len(rows.key), empty
        )
        # in the order of digests, whatever order the references came in
        self._permanent.insert(self._range(digest).start, rows, values, rows.shrinkage[:, 0] * 0)
        self._fill_empty(self._permanent.object_ids)

    def forget(self, digest: str) -> None:
        """Take a reference out of permanent memory.

        Objects that no other reference shows leave it.
        """
        rows = self._range(digest)
        self._permanent.drop(rows.start, rows.stop)
        del self._remembered[digest]
        # what a walk knows keeps its rows, which empty references fill for it
        self._permanent.forget_objects({*self.permanent_objects, *self._born})

    def introduce(self, object_ids: Iterable[int], time: int) -> None:
        """Say that objects exist in this walk from `time` (frames of the walk) on."""
        self._born.update(
            (object_id, time) for object_id in object_ids if object_id not in self._born
        )
        self._fill_empty(self._born)

    def add(self, rows: Rows, values: Mapping[int, Tensor], time: int) -> None:
        """Put a frame into working memory; when that is full, condense its older frames into
        long-term memory.
        """
        self._working.append(rows, values, torch.full_like(rows.shrinkage[:, 0], time))
        self._frames.append(len(rows.key))
        if self._options.long_term and len(self._frames) >= self._options.max_mid_term_frames:
            self._consolidate()

    def read(self, query: Rows, object_ids: Sequence[int]) -> Tensor:
        """Answer a query of Q rows for introduced objects: (K, Q, CV); see `search` and `read_out`.

        The affinities of the first group, the objects known longest, count as usage of working and
        long-term memory.
        """
        stores = (self._long_term, self._working, self._permanent)
        groups = self._groups(object_ids)
        validity = [self._validity(group[0]) for group in groups]
        found = search(
            stores, query, validity, self._options.top_k, block_elements=self.block_elements
        )
        # as published only the first group is counted; the others read a part of the same rows
        if self._options.long_term:
            count_reads(stores, (self._options.count_usage is not False, True, False), *found[0])
        answers = {
            object_id: read_out(stores, object_id, *reading)
            for group, reading in zip(groups, found, strict=True)
            for object_id in group
        }
        return torch.stack([answers[object_id] for object_id in object_ids])

    def _consolidate(self) -> None:
        """Condense all frames but the last ones, and but the first where there is no permanent
        memory, and drop them.
        """
        # XMem keeps its first frame, which is the mask that was given; XMem++ has that in permanent
        # memory
        first, last = (
            (0, self._options.min_mid_term_frames)
            if self._remembered
            else (1, self._options.min_mid_term_frames - 1)
        )
        leaving = slice(sum(self._frames[:first]), sum(self._frames[: len(self._frames) - last]))
        # room for the prototypes first, so that none of them is judged before it could be read
        self._make_room()
        made = condense(self._working, leaving, self._options.num_prototypes, self._since)
        self._long_term.append(made.rows, made.values, made.times)
        self._working.drop(leaving.start, leaving.stop)
        del self._frames[first : len(self._frames) - last]

    def _make_room(self) -> None:
        """Before more prototypes come, forget those used least per read: all that are used no more
        than the last one to go.
        """
        excess = (
            self._long_term.size
            + self._options.num_prototypes
            - self._options.max_long_term_elements
        )
        if excess <= 0:
            return
        if self._options.count_usage is False:
            self._long_term.drop(0, excess)
            return
        # strictly more than the limit, as published: of equally used rows all go, so there may be
        # more room than is asked for
        frequency = self._long_term.frequency
        limit = frequency.topk(excess, largest=False).values.amax()
        self._long_term.keep((frequency > limit).nonzero()[:, 0])

    def _groups(self, object_ids: Iterable[int]) -> list[list[int]]:
        """The objects that read the same rows, those known longest first."""
        # the same frames of the walk are those since the same birth, the same references those that
        # say something about both
        groups: dict[tuple[int, tuple[bool, ...]], list[int]] = {}
        for object_id in sorted(
            object_ids, key=lambda object_id: (self._born[object_id], object_id)
        ):
            groups.setdefault((self._born[object_id], self._informed_by(object_id)), []).append(
                object_id
            )
        return list(groups.values())

    def _validity(self, object_id: int) -> Validity:
        """The rows of long-term, working and permanent memory that an object reads."""
        informed, permanent = self._informed_by(object_id), None
        if not all(informed):
            counts = torch.tensor(
                [self._remembered[digest].rows for digest in sorted(self._remembered)]
            )
            permanent = torch.tensor(informed).repeat_interleave(counts).to(self._like.device)
        return (
            self._since(object_id, self._long_term.times),
            self._since(object_id, self._working.times),
            permanent,
        )

    def _since(self, object_id: int, times: Tensor) -> Tensor | None:
        """Which rows are from a time when the object was known; None for all."""
        born = self._born[object_id]
        return None if born == min(self._born.values()) else times >= born

    def _informed_by(self, object_id: int) -> tuple[bool, ...]:
        """For each reference, by digest, whether it says something about the object."""
        shown = (
            self._remembered[digest].reference.object_ids for digest in sorted(self._remembered)
        )
        return tuple(not object_ids or object_id in object_ids for object_ids in shown)

    def _range(self, digest: str) -> slice:
        """The rows of a reference in the permanent store."""
        # rows stand in the order of digests, see `remember`
        before = sum(entry.rows for other, entry in self._remembered.items() if other < digest)
        return slice(before, before + self._remembered[digest].rows)

    def _fill_empty(self, object_ids: Iterable[int]) -> None:
        """Give objects the value of "nothing here" where a reference says so."""
        for digest, entry in self._remembered.items():
            if entry.empty is not None:
                for object_id in object_ids:
                    self._permanent.fill(object_id, self._range(digest), entry.empty)
