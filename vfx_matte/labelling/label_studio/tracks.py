"""Videos that are tracked: the first frames are answered in time, the rest is sent later."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing

from vfx_matte.errors import UsageError
from vfx_matte.pipeline.tracking import TrackedBoxes

MOST_TRACKS = 16
"""That are worked on or wait."""


class Track:
    """One video that is tracked in a thread of its own.

    Args:
        frames: does the work; is closed when the track is stopped.
        turn: what threads that compute wait for.
        late: is given all frames, once, where `answer` could not wait for them.
        failed: is told an error that nobody waits for.
        ended: is called when the frames are not needed any more.
    """

    def __init__(
        self,
        frames: Callable[[], Generator[TrackedBoxes, None, None]],
        *,
        turn: threading.Semaphore,
        late: Callable[[dict[int, TrackedBoxes]], None],
        failed: Callable[[Exception], None],
        ended: Callable[[], None],
    ) -> None:
        self._frames, self._turn = frames, turn
        self._late, self._failed, self._ended = late, failed, ended
        self._tracked: dict[int, TrackedBoxes] = {}
        self._lock = threading.Lock()
        self._done, self._stop = threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._is_answered = False
        self._thread = threading.Thread(target=self._run, name="vfx-matte track", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self._thread.is_alive()

    def answer(self, seconds: float) -> dict[int, TrackedBoxes]:
        """Wait for all frames, or so long, and take what is there by frame index.

        Raises:
            Exception: what went wrong until then.
        """
        self._done.wait(seconds)
        with self._lock:
            if self._error is not None:
                raise self._error
            self._is_answered = not self._done.is_set()
            return dict(self._tracked)

    def stop(self) -> None:
        """End the work after the frame that is being made; nothing is sent."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait for the end of the work."""
        self._thread.join(seconds)

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._track()
        except Exception as caught:  # noqa: BLE001  told to whoever waits, or to `failed`
            error = caught
        finally:
            self._ended()
        with self._lock:
            self._error = error
            self._done.set()
            is_late = self._is_answered and not self._stop.is_set()
        if not is_late:
            return
        if error is not None:
            self._failed(error)
            return
        try:
            self._late(self._tracked)
        except Exception as caught:  # noqa: BLE001  as above
            self._failed(caught)

    def _track(self) -> None:
        while not self._turn.acquire(timeout=0.2):
            if self._stop.is_set():
                return
        try:
            if self._stop.is_set():
                return
            with closing(self._frames()) as frames:
                for found in frames:
                    with self._lock:
                        self._tracked[found.frame_index] = found
                    if self._stop.is_set():
                        return
        finally:
            self._turn.release()


class Tracks:
    """The tracks of all tasks: one per task, of which a later one replaces an earlier."""

    def __init__(self) -> None:
        self._tracks: dict[int, Track] = {}
        self._lock = threading.Lock()

    def begin(self, task: int, start: Callable[[], Track]) -> Track:
        """Begin the track of a task.

        Args:
            task: its id.
            start: begins it.

        Raises:
            UsageError: too many are worked on.
        """
        with self._lock:
            self._tracks = {key: one for key, one in self._tracks.items() if not one.is_done}
            earlier = self._tracks.pop(task, None)
            if earlier is not None:
                earlier.stop()
            if len(self._tracks) >= MOST_TRACKS:
                raise UsageError(
                    f"{len(self._tracks)} videos are being tracked", hint="try again later"
                )
            track = self._tracks[task] = start()
            return track

    def close(self, seconds: float = 5.0) -> None:
        """Stop all, and wait for their ends."""
        with self._lock:
            tracks, self._tracks = list(self._tracks.values()), {}
        for one in tracks:
            one.stop()
        deadline = time.monotonic() + seconds
        for one in tracks:
            one.join(max(0.0, deadline - time.monotonic()))
