"""Stages that run side by side.

Takes an iterator, gives the same items made ahead in a thread; the queue between is bounded.

FFmpeg, OpenCV and NumPy release the interpreter while they compute, so decode, composite and encode
really overlap.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


def ahead(items: Iterable[T], *, depth: int = 4) -> Generator[T, None, None]:
    """Yield `items` in order while a thread makes up to `depth` of them ahead.

    An error in the thread is raised here. Closing this generator stops the thread and closes
    `items` too.
    """
    made: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(maxsize=depth)
    begun, stopped = threading.Event(), threading.Event()

    def put(entry: tuple[T] | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                made.put(entry, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

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
            if isinstance(iterator, Generator):
                iterator.close()

    thread = threading.Thread(target=work, name="vfx-matte stage", daemon=True)
    try:
        thread.start()  # Ctrl-C may arrive as soon as it runs, so from here on it has to be stopped
        while (entry := made.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stopped.set()
        if begun.is_set():
            thread.join()
