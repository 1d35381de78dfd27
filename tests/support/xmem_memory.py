"""How much XMem remembers, as seen from outside; and its choice of the next references."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from vfx_matte.masks import Image, Mask
from vfx_matte.propagate.suggest import choose_next
from vfx_matte.propagate.xmem.frame_keys import dissimilarity
from vfx_matte.propagate.xmem.memory import Memory
from vfx_matte.propagate.xmem.propagator import XMemPropagator
from vfx_matte.propagate.xmem.store import Store
from vfx_matte.propagate.xmem.walk import Walker


class Usage(NamedTuple):
    """What a store or the hidden state holds."""

    elements: int
    """Rows in use; for the hidden state positions times objects."""

    bytes: int
    """Held for them, spare room included."""


class MemoryUsage(NamedTuple):
    working: Usage
    long_term: Usage
    permanent: Usage
    sensory: Usage


def store_usage(memory: Memory) -> tuple[Usage, Usage, Usage]:
    """Of working, long-term and permanent memory."""
    return _usage(memory._working), _usage(memory._long_term), _usage(memory._permanent)


def memory_usage(propagator: XMemPropagator) -> MemoryUsage:
    """Of everything; with `flip`, of both walks together."""
    each = [(*store_usage(walker.memory), _hidden_usage(walker)) for walker in propagator._walkers]
    return MemoryUsage(
        *(Usage(*map(sum, zip(*usages, strict=True))) for usages in zip(*each, strict=True))
    )


def _usage(store: Store) -> Usage:
    return Usage(store.size, sum(int(column._buffer.nbytes) for column in store._columns()))


def _hidden_usage(walker: Walker) -> Usage:
    hidden = walker.state.hidden
    if hidden is None:
        return Usage(0, 0)
    return Usage(hidden.shape[0] * hidden.shape[2] * hidden.shape[3], int(hidden.nbytes))


def next_references(
    propagator: XMemPropagator,
    frames: Sequence[tuple[Image, Mask]],
    *,
    previous: Collection[int],
    count: int,
    alpha: float = 0.5,
    min_mask_percent: float = 0.25,
) -> list[int]:
    """XMem++ section 3.3 over every frame of a clip."""
    keys = [propagator.frame_keys(image, mask).composite(alpha) for image, mask in frames]
    candidates = [
        index
        for index, (_, mask) in enumerate(frames)
        if 100 * (mask > 0).mean() >= min_mask_percent
    ]
    choices = choose_next(
        candidates,
        known=previous,
        count=count,
        distance=lambda index, other: dissimilarity(keys[index], keys[other]),
    )
    return [choice.index for choice in choices]
