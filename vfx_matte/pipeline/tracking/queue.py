"""Serves several tracks: a few at a time, the others first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Protocol

from vfx_matte.backend import Notify
from vfx_matte.errors import StoppedError, VfxMatteError
from vfx_matte.pipeline.tracking.session import TrackedFrame

Work = Callable[[Notify], Generator[TrackedFrame, None, None]]
"""Makes the frames of a track; is told where notices go."""


class TrackListener(Protocol):
    """Hears what becomes of one track, in whatever thread it happens. What it raises while the
    track runs ends the track.
    """

    def waits(self, position: int) -> None:
        """So many others begin before it; 0 is the next one."""

    def started(self) -> None:
        """It runs from now on."""

    def notified(self, line: str) -> None:
        """A line for people."""

    def tracked(self, frame: TrackedFrame) -> None:
        """A frame is done."""

    def completed(self) -> None:
        """Every frame is done."""

    def stopped(self) -> None:
        """It was stopped; nothing more comes."""

    def failed(self, message: str, hint: str) -> None:
        """It went wrong; nothing more comes."""


class QueuedTrack:
    """One track of a queue."""

    def __init__(self, work: Work, listener: TrackListener) -> None:
        self.work, self.listener = work, listener
        self.is_stopped = False


class TrackQueue:
    """Runs tracks in threads of its own, in the order in which they were added. Safe to call from
    any thread.

    Memory does not grow with those that wait, as nothing of a track is opened before its turn; and
    as each that runs comes to its end or is stopped, each that waits has its turn.

    Args:
        at_once: how many run at a time.
    """

    def __init__(self, at_once: int) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[QueuedTrack] = deque()
        self._running: set[QueuedTrack] = set()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"vfx-matte track {number}", daemon=True)
            for number in range(at_once)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    def add(self, work: Work, listener: TrackListener) -> QueuedTrack:
        """Put a track at the end of the queue."""
        track = QueuedTrack(work, listener)
        with self._changed:
            # told in here, so that nobody hears of its start before its place
            listener.waits(len(self._waiting))
            self._waiting.append(track)
            self._changed.notify()
        return track

    def stop(self, track: QueuedTrack) -> None:
        """End a track, or take it off the queue. One that runs ends after the frame it is at; one
        that is over stays as it is.
        """
        with self._changed:
            track.is_stopped = True
            if track not in self._waiting:
                return
            self._waiting.remove(track)
            track.listener.stopped()
            self._tell_positions()

    def close(self) -> None:
        """Stop all of them, and wait for those that run."""
        with self._changed:
            self._is_closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
            for track in (*waiting, *self._running):
                track.is_stopped = True
            for track in waiting:
                track.listener.stopped()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _tell_positions(self) -> None:
        """Tell those that wait where they are; the lock is held."""
        for position, track in enumerate(self._waiting):
            track.listener.waits(position)

    def _run(self) -> None:
        while (track := self._next()) is not None:
            try:
                self._serve(track)
            finally:
                with self._changed:
                    self._running.discard(track)

    def _next(self) -> QueuedTrack | None:
        with self._changed:
            while not self._waiting:
                if self._is_closed:
                    return None
                self._changed.wait()
            track = self._waiting.popleft()
            self._running.add(track)
            self._tell_positions()
            return track

    def _serve(self, track: QueuedTrack) -> None:
        listener = track.listener
        try:
            listener.started()
            with closing(track.work(listener.notified)) as frames:
                for frame in frames:
                    _require_wanted(track)
                    listener.tracked(frame)
            _require_wanted(track)
        except StoppedError:
            listener.stopped()
        except VfxMatteError as error:
            listener.failed(error.message, error.hint)
        # a bug, a full disk or too little memory: the others go on, and the client is told
        except Exception as error:  # noqa: BLE001
            listener.failed(f"unexpected {type(error).__name__}", "this is a bug; report it")
        else:
            listener.completed()


def _require_wanted(track: QueuedTrack) -> None:
    """Raise StoppedError when nobody wants a track any more."""
    if track.is_stopped:
        raise StoppedError("stopped")
