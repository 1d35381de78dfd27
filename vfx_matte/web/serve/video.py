"""Sessions of X-AnyLabeling's remote server: a clip, clicks on its frames, and propagation."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from vfx_matte.errors import OutputError, UsageError
from vfx_matte.pipeline.tracking import (
    PackedMasks,
    TrackListener,
    TrackRequest,
    object_polygons,
)
from vfx_matte.web.events import EventLog
from vfx_matte.web.serve.tracks import SpooledEvents

if TYPE_CHECKING:
    from collections.abc import Callable

    from vfx_matte.pipeline.propagator import PropagatorOptions
    from vfx_matte.pipeline.tracking import (
        QueuedTrack,
        SpoolSpace,
        TrackClip,
        TrackedFrame,
        TrackQueue,
    )
    from vfx_matte.web.masks import Ids

# its program looks whether the user has cancelled when a line arrives
_KEEP_ALIVE_SECONDS = 1.0
LABEL = "AUTOLABEL_OBJECT"
"""What the program calls an object that has no name yet."""


class Propagation(TrackListener):
    """One propagation of a session, as events of X-AnyLabeling's stream.

    Args:
        request: what is tracked.
        fineness: of polygons.
        space: where events are kept.
        spell: how texts name options.
    """

    def __init__(
        self,
        request: TrackRequest,
        *,
        fineness: float,
        space: SpoolSpace,
        spell: Callable[[str], str],
    ) -> None:
        self.request, self._fineness, self._spell = request, fineness, spell
        self.queued: QueuedTrack | None = None
        self._kept = SpooledEvents(space)
        self.events = EventLog(self._kept, from_first=True, keep_alive_seconds=_KEEP_ALIVE_SECONDS)
        self.results: dict[str, Any] = {}
        """Frame index → the shapes on it."""
        self.state, self.message, self.done = "waiting", "", 0
        self.over = threading.Event()

    def free(self) -> None:
        """Forget its events."""
        self.events.close()
        self._kept.close()

    def waits(self, position: int) -> None:
        """Nothing is told: the stream's comments show that it is alive."""

    def started(self) -> None:
        """See `TrackListener`."""
        self.state = "running"
        self.events.add(
            {
                "type": "started",
                "total_frames": self.request.clip.length,
                "start_frame_index": self.request.start,
            }
        )

    def notified(self, line: str) -> None:
        """The program shows no notices."""

    def tracked(self, frame: TrackedFrame) -> None:
        """See `TrackListener`."""
        self.done += 1
        self.results[str(frame.frame_index)] = {
            "masks": [
                shape
                for object_id, confidence in sorted(frame.confidence.items())
                for shape in shapes_of(
                    frame.mask, object_id, score=confidence, fineness=self._fineness
                )
            ]
        }
        self.events.add(
            {
                "type": "progress",
                "current_frame": frame.frame_index,
                "total_frames": self.request.total,
                "done": self.done,
            }
        )

    def completed(self) -> None:
        """See `TrackListener`."""
        try:
            self.events.add({"type": "completed", "results": self.results})
        except OutputError as error:
            self.failed(error.message, error.hint)
            return
        self.state = "completed"
        self._finish()

    def stopped(self) -> None:
        """See `TrackListener`."""
        self.state = "cancelled"
        self._end({"type": "error", "message": "cancelled"})

    def failed(self, message: str, hint: str) -> None:
        """See `TrackListener`."""
        self.state = "failed"
        # the program shows the message alone
        self.message = self._spell(f"{message}; {hint}" if hint else message)
        self._end({"type": "error", "message": self.message})

    def _end(self, event: dict[str, Any]) -> None:
        self._kept.is_ending = True
        self.events.add(event)
        self._finish()

    def _finish(self) -> None:
        self.events.finish()
        self.over.set()


class VideoSession:
    """A clip that is worked on. Safe to use from any thread.

    Args:
        session_id: how the client calls it.
        clip: the clip, which the session holds.
        propagator: what its frames are made with.
    """

    def __init__(self, session_id: str, clip: TrackClip, propagator: PropagatorOptions) -> None:
        self.id, self.clip, self._propagator = session_id, clip, propagator
        self._lock = threading.RLock()
        self._masks: dict[int, Ids] = {}
        self._is_used_up = False
        self._fineness = 0.0
        self._current: Propagation | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a propagation waits or runs."""
        current = self._current
        return current is not None and not current.over.is_set()

    def view(self) -> dict[str, Any]:
        """What a client is told when it asks."""
        with self._lock:
            current = self._current
            height, width = self.clip.shape
            return {
                "session_id": self.id,
                "status": "idle" if current is None else current.state,
                "frames": self.clip.length,
                "width": width,
                "height": height,
                "done": 0 if current is None else current.done,
                "total": 0 if current is None else current.request.total,
                "message": "" if current is None else current.message,
            }

    def put_mask(self, index: int, mask: Ids, *, fineness: float) -> None:
        """Set the object's mask on a frame. After a propagation another object begins, as the
        program calls all of them by the same number.

        Args:
            index: the frame.
            mask: uint8 (H, W), 1 where the object is.
            fineness: of the polygons that follow, as the program does not repeat it.
        """
        with self._lock:
            self._fineness = fineness
            if self._is_used_up:
                self._masks.clear()
                self._is_used_up = False
            self._masks[index] = mask

    def propagate(
        self,
        queue: TrackQueue,
        *,
        start: int | None,
        last: int | None,
        space: SpoolSpace,
        spell: Callable[[str], str],
    ) -> Propagation:
        """Begin a propagation; one that runs ends.

        Args:
            queue: where it waits for its turn.
            start: the first frame; None is the first one that was clicked on.
            last: the last frame; None is the clip's.
            space: where its events are kept.
            spell: how texts name options.

        Raises:
            UsageError: nothing was clicked on, or there are no such frames.
        """
        for frame in (start, last):
            if frame is not None:
                require_frame(self.clip, frame)
        with self._lock:
            if not self._masks:
                raise UsageError("nothing is marked yet", hint="click on an object first")
            request = TrackRequest(
                self.clip,
                PackedMasks(self._masks),
                min(self._masks) if start is None else start,
                self.clip.length if last is None else last + 1,
                self._propagator,
            )
            self.cancel(queue)
            self.free()
            current = Propagation(request, fineness=self._fineness, space=space, spell=spell)
            self._current, self._is_used_up = current, True
            current.queued = queue.add(request.frames, current)
            return current

    def cancel(self, queue: TrackQueue) -> None:
        """End what runs."""
        with self._lock:
            if self._current is not None and self._current.queued is not None:
                queue.stop(self._current.queued)

    def free(self) -> None:
        """Forget the events of what ran last, and end their stream."""
        if self._current is not None:
            self._current.free()


def require_frame(clip: TrackClip, index: int) -> None:
    """Raise UsageError where a clip has no such frame."""
    if index >= clip.length:
        raise UsageError(
            f"there is no frame {index}", hint=f"the clip has frames 0 to {clip.length - 1}"
        )


def shapes_of(mask: Ids, object_id: int, *, score: float, fineness: float) -> list[dict[str, Any]]:
    """An object as X-AnyLabeling's polygons, one for each part; each ends where it begins.

    Args:
        mask: uint8 (H, W).
        object_id: the object.
        score: how sure it is, 0 … 1.
        fineness: see `object_polygons`.
    """
    rings = object_polygons(mask, object_id, fineness=fineness)
    return [
        {
            "label": LABEL,
            "shape_type": "polygon",
            "points": [*ring, ring[0]],
            "score": round(score, 4),
            # polygons of one group are parts of one thing, as the tool has it
            "group_id": object_id if len(rings) > 1 else None,
        }
        for ring in rings
    ]
