"""Tells clients what happens, as server-sent events that a client can resume."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

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


class Kept(Protocol):
    """Keeps events for those who come late; only one thread at a time calls it."""

    @property
    def count(self) -> int:
        """How many there have been; the last one's number, as they are counted from 1."""

    def append(self, text: bytes) -> None:
        """Keep one more."""

    def after(self, seen: int) -> tuple[int, bytes] | None:
        """Events after number `seen`, as many as are sent at once: the last one's number, and their
        texts. None where some of them are not kept any more.
        """


class RecentEvents:
    """The last events, in memory."""

    def __init__(self, most: int = KEPT) -> None:
        """Begin without events.

        Args:
            most: how many are kept.
        """
        self.count = 0
        self._texts: deque[bytes] = deque(maxlen=most)

    def append(self, text: bytes) -> None:
        """Keep one more; the oldest one goes."""
        self._texts.append(text)
        self.count += 1

    def after(self, seen: int) -> tuple[int, bytes] | None:
        """All events after number `seen`."""
        missing = self.count - seen
        if not 0 <= missing <= len(self._texts):
            return None
        return self.count, b"".join(list(self._texts)[len(self._texts) - missing :])


class EventLog:
    """Events, and the streams that pass them on. Events come from any thread; streams belong to the
    server's loop.
    """

    def __init__(
        self,
        kept: Kept | None = None,
        *,
        from_first: bool = False,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        """Begin without events.

        Args:
            kept: keeps them; the last ones in memory when it is None.
            from_first: a new stream begins with the first event instead of the next one.
            keep_alive_seconds: how long a stream is silent at most.
        """
        self._lock = threading.Lock()
        self._kept: Kept = RecentEvents() if kept is None else kept
        self._from_first, self._keep_alive_seconds = from_first, keep_alive_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        # one for each stream, which alone holds it: a stream that nobody reads, as its page went
        # away before, does not count for ever
        self._wakers: weakref.WeakSet[asyncio.Event] = weakref.WeakSet()
        self._is_closed = self._is_finished = False

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._wakers)

    def add(self, event: Mapping[str, object]) -> None:
        """Add an event; from any thread."""
        with self._lock:
            # made once for all streams; JSON has no line break, which would end the event
            number = self._kept.count + 1
            self._kept.append(f"id: {number}\ndata: ".encode() + encoded(event) + b"\n\n")
        self._wake()

    def finish(self) -> None:
        """Say that no event follows: each stream ends after the last one; from any thread."""
        self._is_finished = True
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

    def open(self, last_event_id: str | None) -> AsyncGenerator[bytes, None]:
        """A stream of events from now on (or from the first one), or from after the last one that a
        client has seen.

        Args:
            last_event_id: the number of that event, as the client sent it; None where it has seen
                none.

        Raises:
            RequestError: it is no number, or there are too many streams.
        """
        if last_event_id is not None and not (
            last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) <= 15
        ):
            raise RequestError(400, "Last-Event-ID is not the number of an event", "leave it out")
        if len(self._wakers) >= MOST_STREAMS:
            raise RequestError(503, "too many pages are open", "close some of them")
        # a page that is new has just loaded the project: nothing before counts
        first = 0 if self._from_first else self._kept.count
        self._loop = asyncio.get_running_loop()
        # it counts from now on: many pages may ask before the first one reads
        waker = asyncio.Event()
        self._wakers.add(waker)
        return self._stream(first if last_event_id is None else int(last_event_id), waker)

    async def _stream(self, seen: int, waker: asyncio.Event) -> AsyncGenerator[bytes, None]:
        try:
            # at once, so that the page knows that it is connected
            yield b": connected\n\n"
            while not self._is_closed:
                # cleared before looking, so that what comes in between is not missed
                waker.clear()
                is_last = self._is_finished
                seen, text = self._since(seen)
                if text:
                    yield text
                    continue
                if is_last:
                    return
                try:
                    await asyncio.wait_for(waker.wait(), self._keep_alive_seconds)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._wakers.discard(waker)

    def _since(self, seen: int) -> tuple[int, bytes]:
        """The number of the last event, and the text of all after `seen` that are sent at once."""
        with self._lock:
            found = self._kept.after(seen)
            if found is None:
                # too long ago, or a number that was never given out
                count = self._kept.count
                reload = f"event: reload\nid: {count}\ndata: ".encode()
                return count, reload + encoded(_RELOAD) + b"\n\n"
            return found
