"""Tells pages what happens, as server-sent events that a page can resume."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from vfx_matte.web.answers import encoded
from vfx_matte.web.failures import RequestError

KEPT = 1000
"""How many events a page can miss and still resume; beyond that it loads everything anew."""

MOST_STREAMS = 32
"""Streams at a time, one for each tab; a browser allows six to one server."""

# proxies and browsers drop silent connections after a minute or so, and only by writing is a dead
# one noticed
KEEP_ALIVE_SECONDS = 15.0
_RELOAD = {"type": "reload"}


@dataclass(frozen=True, slots=True)
class _Event:
    number: int
    text: bytes


class EventLog:
    """The last events, and the streams that pass them on. Events come from any thread; streams
    belong to the server's loop.
    """

    def __init__(self, *, keep_alive_seconds: float = KEEP_ALIVE_SECONDS) -> None:
        """Begin without events."""
        self._lock = threading.Lock()
        self._kept: deque[_Event] = deque(maxlen=KEPT)
        self._count = 0
        self._keep_alive_seconds = keep_alive_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        # one for each stream, which alone holds it: a stream that nobody reads, as its page went
        # away before, does not count for ever
        self._wakers: weakref.WeakSet[asyncio.Event] = weakref.WeakSet()
        self._is_closed = False

    def add(self, event: Mapping[str, object]) -> None:
        """Add an event; from any thread."""
        with self._lock:
            self._count += 1
            # made once for all streams; JSON has no line break, which would end the event
            text = f"id: {self._count}\ndata: ".encode() + encoded(event) + b"\n\n"
            self._kept.append(_Event(self._count, text))
        self._wake()

    def close(self) -> None:
        """End all streams."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        # the loop may end between any two steps, and no job must fail because nobody listens
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for waker in self._wakers:
            waker.set()

    def open(self, last_event_id: str | None) -> AsyncIterator[bytes]:
        """A stream of events from now on, or from after the last one that a page has seen.

        Args:
            last_event_id: the number of that event, as the page sent it; None is from now on.

        Raises:
            RequestError: it is no number, or there are too many streams.
        """
        if last_event_id is not None and not (
            last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) <= 15
        ):
            raise RequestError(400, "Last-Event-ID is not the number of an event")
        if len(self._wakers) >= MOST_STREAMS:
            raise RequestError(503, "too many pages are open", "close some of them")
        # a page that is new has just loaded the project: nothing before counts
        seen = self._count if last_event_id is None else int(last_event_id)
        self._loop = asyncio.get_running_loop()
        # it counts from now on: many pages may ask before the first one reads
        waker = asyncio.Event()
        self._wakers.add(waker)
        return self._stream(seen, waker)

    async def _stream(self, seen: int, waker: asyncio.Event) -> AsyncIterator[bytes]:
        try:
            # at once, so that the page knows that it is connected
            yield b": connected\n\n"
            while not self._is_closed:
                # cleared before looking, so that what comes in between is not missed
                waker.clear()
                seen, text = self._since(seen)
                if text:
                    yield text
                    continue
                try:
                    await asyncio.wait_for(waker.wait(), self._keep_alive_seconds)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._wakers.discard(waker)

    def _since(self, seen: int) -> tuple[int, bytes]:
        """The number of the last event, and the text of all after `seen`."""
        with self._lock:
            oldest = self._count - len(self._kept) + 1
            # too long ago, or a number that was never given out
            if seen < oldest - 1 or seen > self._count:
                reload = f"event: reload\nid: {self._count}\ndata: ".encode()
                return self._count, reload + encoded(_RELOAD) + b"\n\n"
            missing = [event.text for event in self._kept if event.number > seen]
            return self._count, b"".join(missing)
