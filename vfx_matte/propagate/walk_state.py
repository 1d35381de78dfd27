"""The states of walks that can be saved, and the protocol of whoever saves them.

A saved walk goes on exactly as the walk that it was saved from: every later result is the same, bit
for bit. A state is plain data (dictionaries with text keys, lists, None, bool, int, float, str and
NumPy arrays), so that it can be written without pickle. What follows from the references alone is
not part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

State = Mapping[str, Any]
"""A tree of plain data."""


@runtime_checkable
class ResumableWalk(Protocol):
    """A propagator whose walk can be saved and gone on with in another process."""

    def walk_state(self) -> State | None:
        """The walk after its last `step`; None when nothing was begun.

        Arrays may be the walk's own: do not change them.
        """

    def restore_walk(self, state: State) -> None:
        """Go on where `walk_state` was taken, on the same references (and, for a `SelectiveMemory`,
        the same attention).

        Call it where the first `step` of a walk would be called. Raises ValueError, KeyError,
        TypeError or IndexError for something that is no state of such a walk; `forget_temporary`
        then makes the propagator usable again.
        """


class WalkKey(NamedTuple):
    """One walk of a run."""

    origin: int
    """The reference that it starts on."""

    step: int
    """1 forward, -1 backward."""


class Checkpoint(NamedTuple):
    """What a walk knows after a frame; every frame that it gave so far came before this."""

    walk: WalkKey

    frame_index: int
    """The last frame that it stepped."""

    state: State | None
    """None says that it is not needed any more."""


class WalkStates(Protocol):
    """Where the states of walks are kept, for `driver.propagate_resumable`."""

    def due(self) -> bool:
        """Whether a walk should give its state now."""

    def load(self, walk: WalkKey) -> Checkpoint | None:
        """The state of a walk that was kept last, or None."""

    def repeat(self, first: int, last: int) -> None:
        """Receive notice that finished frames are computed again, on the way to missing ones: from
        `first` to `last`, of one walk.
        """
