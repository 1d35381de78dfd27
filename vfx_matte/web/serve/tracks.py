"""Tracks of our own interface: what a client hears of each, and can ask."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from vfx_matte.errors import OutputError
from vfx_matte.pipeline.records import as_json
from vfx_matte.pipeline.tracking import Spool, TrackListener, object_results
from vfx_matte.web.events import EventLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from vfx_matte.pipeline.tracking import QueuedTrack, SpoolSpace, TrackedFrame, TrackRequest

# of results that are sent to one client at once: a slow one takes no more of the memory
_SENT_BYTES = 1 << 20
# between two events about how far a track is: more is not seen
_PROGRESS_SECONDS = 0.5

MOST_RESULT_BYTES = 512 << 20
"""Of one track."""


class SpooledEvents:
    """All events of one track, on disk; what `EventLog` keeps them with."""

    def __init__(self, space: SpoolSpace) -> None:
        self._spool = Spool(space, most_bytes=MOST_RESULT_BYTES)
        self._last: list[bytes] = []
        self.is_ending = False
        """Whether the next one is the last: it is kept where there is no space, too."""

    @property
    def count(self) -> int:
        """How many there have been."""
        return len(self._spool) + len(self._last)

    def append(self, text: bytes) -> None:
        """Keep one more. Raises OutputError where there is no space."""
        if self.is_ending:
            self._last.append(text)
        else:
            self._spool.append(text)

    def after(self, seen: int) -> tuple[int, bytes] | None:
        """Events after number `seen`, about as many as fit into a megabyte."""
        if seen > self.count:
            return None  # a number that was never given out
        texts, size = [], 0
        while seen < self.count and size < _SENT_BYTES:
            at = seen - len(self._spool)
            texts.append(self._spool[seen] if at < 0 else self._last[at])
            size += len(texts[-1])
            seen += 1
        return seen, b"".join(texts)

    def close(self) -> None:
        """Free the disk."""
        self._spool.close()


class ServedTrack(TrackListener):
    """One track: a listener of the queue that writes events.

    Args:
        track_id: how clients call it.
        request: what is tracked.
        facts: more that its answers hold, such as the objects of the mask.
        space: where its events are kept.
        spell: how texts name options.
    """

    def __init__(
        self,
        track_id: str,
        request: TrackRequest,
        facts: dict[str, Any],
        *,
        space: SpoolSpace,
        spell: Callable[[str], str],
    ) -> None:
        self.id, self.request = track_id, request
        self.queued: QueuedTrack | None = None
        self._facts, self._spell = facts, spell
        self._kept = SpooledEvents(space)
        self.events = EventLog(self._kept, from_first=True)
        self._state, self._position = "waiting", 0
        self._has_clip, self._lock = True, threading.Lock()
        self._done, self._message, self._hint = 0, "", ""
        self._began = self._told = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self._state not in ("waiting", "running")

    @property
    def is_waiting(self) -> bool:
        """Whether its turn has not come."""
        return self._state == "waiting"

    def view(self) -> dict[str, Any]:
        """What a client is told when it asks."""
        return {
            "id": self.id,
            "state": self._state,
            "position": self._position if self._state == "waiting" else None,
            "done": self._done,
            "total": self.request.total,
            "message": self._message,
            "hint": self._hint,
            **self._facts,
        }

    def free(self) -> None:
        """Forget its events and its clip; whoever listens is sent away."""
        self.events.close()
        self._kept.close()
        self._let_go()

    def server_closes(self) -> None:
        """Say so to whoever listens, where more was to come."""
        self.failed("the server was closed", "begin the track again when it is back")

    def _let_go(self) -> None:
        """Let its clip go, once: by its end, or by whoever forgets it before."""
        with self._lock:
            is_first, self._has_clip = self._has_clip, False
        if is_first:
            self.request.clip.let_go()

    def waits(self, position: int) -> None:
        """See `TrackListener`."""
        self._position = position
        # what is told on the way may be lost where there is no space: the frames say that
        with contextlib.suppress(OutputError):
            self.events.add({"type": "progress", **self._progress()})

    def started(self) -> None:
        """See `TrackListener`."""
        self._state, self._began = "running", time.monotonic()
        height, width = self.request.clip.shape
        total = self.request.total
        self.events.add({"type": "started", "total": total, "width": width, "height": height})

    def notified(self, line: str) -> None:
        """See `TrackListener`."""
        with contextlib.suppress(OutputError):
            self.events.add({"type": "notice", "text": self._spell(line)})

    def tracked(self, frame: TrackedFrame) -> None:
        """See `TrackListener`."""
        objects = as_json(object_results(frame), self._spell)
        self.events.add({"type": "frame", "frame": frame.frame_index, "objects": objects})
        # not before: where there is no space the client never gets it
        self._done += 1
        now = time.monotonic()
        if self._done in (1, self.request.total) or now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            self.events.add({"type": "progress", **self._progress()})

    def completed(self) -> None:
        """See `TrackListener`."""
        seconds = round(time.monotonic() - self._began, 3)
        self._end("completed", {"frames": self._done, "seconds": seconds})

    def stopped(self) -> None:
        """See `TrackListener`."""
        self._end("stopped", {})

    def failed(self, message: str, hint: str) -> None:
        """See `TrackListener`."""
        if not self.is_over:
            self._message, self._hint = self._spell(message), self._spell(hint)
        self._end("error", {"message": self._message, "hint": self._hint}, state="failed")

    def _progress(self) -> dict[str, Any]:
        position = self._position if self._state == "waiting" else None
        return {
            "state": self._state,
            "position": position,
            "done": self._done,
            "total": self.request.total,
        }

    def _end(self, kind: str, facts: dict[str, Any], *, state: str = "") -> None:
        with self._lock:
            # the server may close while it comes to its end by itself
            if self.is_over:
                return
            self._state = state or kind
        self._kept.is_ending = True
        self.events.add({"type": kind, **facts})
        self.events.finish()
        self._let_go()
