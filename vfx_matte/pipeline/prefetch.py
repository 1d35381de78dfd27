"""Prefetches the items of an iterator in a thread, so that stages run side by side.

FFmpeg, OpenCV and NumPy release the interpreter while they compute, so decode, composite and encode
really overlap; the queue between two stages is bounded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1
"""How long a full queue keeps the thread from noticing that its consumer is gone."""


def prefetched(items: Iterable[T], *, depth: int = 4) -> Generator[T, None, None]:
    """Yield `items` in order while a thread makes the next ones.

    Closing this generator stops the thread and closes `items` too.

    Args:
        items: consumed in the thread.
        depth: how many items are made ahead at most.

    Raises:
        BaseException: whatever making an item raised in the thread.
    """
    # An item is wrapped, so that None can be one; a bare None is the end.
    made: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(maxsize=depth)
    begun, stopped = threading.Event(), threading.Event()

    # for the thread: wait for room, and notice within _POLL_SECONDS that nobody takes any more
    def put(entry: tuple[T] | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                made.put(entry, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    # the thread: make items until they end, fail, or nobody wants them; the end and an error are
    # handed over like an item
    def work() -> None:
        begun.set()
        if stopped.is_set():
            return
        iterator = iter(items)
        try:
            for item in iterator:
                if not put((item,)):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001  handed to the consumer, who raises it
            put(error)
        finally:
            # a generator is closed in the thread that ran it: no other may while it runs
            if isinstance(iterator, Generator):
                iterator.close()

    # the consumer; the thread is a daemon, so that a generator that nobody closed does not keep the
    # process from ending
    thread = threading.Thread(target=work, name="vfx-matte stage", daemon=True)
    try:
        thread.start()  # Ctrl-C may arrive as soon as it runs, so from here on it has to be stopped
        while (entry := made.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stopped.set()
        # a thread that never began has nothing to close, and waiting for one that could not be
        # started would fail
        if begun.is_set():
            thread.join()
