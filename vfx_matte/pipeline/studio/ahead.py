"""Keeps the beginning of a propagation ready while nobody does anything."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from vfx_matte.pipeline.segment.ahead import RunAhead

_QUIET_SECONDS = 0.4  # after an edit: whoever goes on editing should not have to share the machine


class PropagationAhead:
    """At most one beginning; safe to call from any thread.

    Args:
        begin: makes one from a frame's reference; None where there is nothing to be made.
    """

    def __init__(self, begin: Callable[[int], RunAhead | None]) -> None:
        self._begin = begin
        self._lock = threading.Lock()
        self._wish = 0
        """Counts wishes: what was begun for an earlier one is not kept."""
        self._made: RunAhead | None = None

    def want(self, index: int) -> None:
        """Begin from a frame once it is quiet; what there was ends."""
        self.drop()
        timer = threading.Timer(_QUIET_SECONDS, self._work, (index, self._wish))
        timer.daemon = True
        timer.start()

    def take(self) -> RunAhead | None:
        """What was begun, for one run to use up."""
        with self._lock:
            self._wish += 1
            made, self._made = self._made, None
            return made

    def drop(self) -> None:
        """End what was begun, and wait for nothing."""
        made = self.take()
        if made is not None:
            threading.Thread(target=made.drop, daemon=True).start()

    def close(self) -> None:
        """End what was begun."""
        made = self.take()
        if made is not None:
            made.drop()

    def _work(self, index: int, wish: int) -> None:
        # what goes wrong here goes wrong once more where somebody hears it
        with contextlib.suppress(Exception):
            if self._wish != wish or (made := self._begin(index)) is None:
                return
            with self._lock:
                if self._wish == wish:
                    self._made = made
                    return
            made.drop()
