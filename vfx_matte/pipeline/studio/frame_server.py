"""Gives single frames of a clip as pictures for a page, fast when they lie close to the last ones.

One thread decodes. Clips have long groups of pictures, so every frame that is decoded on the way is
worth keeping: the wanted one is encoded first, then, while nothing else is asked for, those that
were passed and those that come next. Of requests that wait, the newest goes first; the oldest of
too many are given up (`SupersededError`). Memory is bounded.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from vfx_matte.drawing.encoded import jpeg, png
from vfx_matte.errors import UsageError, VfxMatteError
from vfx_matte.media.frames import ClipReader, Frame

CACHE_BYTES = 256 * 2**20
"""Of encoded pictures: some 1,500 frames at the size of a page."""

AHEAD = 30
"""Frames beyond the last one wanted that are made while nothing is asked for."""

_PASSED = 12  # decoded frames kept for encoding later; a 4K one takes 12 MB
_WAITING = 8  # requests at a time: a page shows some thumbnails beside the frame
_LARGEST_STEP = 40  # so far decoding goes on from where it is, instead of from a keyframe
_LEAST_WIDTH = 64


class SupersededError(VfxMatteError):
    """Newer requests took this one's place."""


@dataclass(eq=False)
class _Request:
    index: int
    make: Callable[[Frame], bytes]
    """Called in the decoding thread."""

    width: int | None
    """Of a whole frame, which is cached; None of a crop."""

    done: threading.Event = field(default_factory=threading.Event)
    result: bytes | BaseException = b""


class FrameServer:
    """Frames of one clip by index; safe to call from any thread.

    Args:
        reader: of the clip; it is read in a thread of this object.
        cache_bytes: how much of encoded pictures is kept.
    """

    def __init__(self, reader: ClipReader, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._reader = reader
        self._most_bytes = cache_bytes
        self._changed = threading.Condition()
        self._waiting: list[_Request] = []  # the newest last
        self._cache: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._cache_bytes = 0
        self._is_closed = self._is_idle = False
        self._rests = False
        self._asked_at = 0.0
        self._thread = threading.Thread(target=self._work, name="vfx-matte frames", daemon=True)
        self._thread.start()

    def jpeg(self, index: int, width: int | None = None) -> bytes:
        """One frame as JPEG.

        Args:
            index: of the frame.
            width: in pixels; None, or more than the clip's, is the clip's.

        Raises:
            UsageError: the clip has no such frame.
            MediaError: it cannot be read.
            SupersededError: newer requests took its place.
        """
        info = self._reader.info
        if not 0 <= index < len(info.timeline):
            raise UsageError(f"there is no frame {index}", hint=f"0 to {len(info.timeline) - 1}")
        wanted = info.width if width is None else min(max(width, _LEAST_WIDTH), info.width)
        # what is there is given at once, whatever is decoded just now
        with self._changed:
            if (kept := self._cached(index, wanted)) is not None:
                return kept
        return self._ask(_Request(index, lambda frame: self._picture(frame, wanted), wanted))

    def crop(self, index: int, x: int, y: int, width: int, height: int) -> bytes:
        """A part of a frame as PNG, at the clip's own size; arguments and errors as of `jpeg`.

        Raises:
            UsageError: the part does not lie in the picture.
        """
        info = self._reader.info
        inside = 0 <= x < x + width <= info.width and 0 <= y < y + height <= info.height
        if not (0 <= index < len(info.timeline) and inside):
            raise UsageError(
                f"{width}×{height} at {x},{y} of frame {index} is not in the clip",
                hint=f"frames 0 to {len(info.timeline) - 1}, {info.width}×{info.height}",
            )
        part = slice(y, y + height), slice(x, x + width)
        return self._ask(_Request(index, lambda frame: png(frame.image[part]), None))

    def expect(self, index: int) -> None:
        """Decode a frame that will be asked for in a moment, at a size that is not known yet."""
        with self._changed:
            self._waiting.append(_Request(index, lambda _: b"", None))
            self._changed.notify_all()

    def rest(self, rests: bool) -> None:
        """Make nothing ahead for now: other work wants the processor."""
        self._rests = rests

    @property
    def seconds_since_asked(self) -> float:
        """How long nobody has wanted a picture that was not there."""
        return time.monotonic() - self._asked_at

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing more to make until somebody asks."""
        return self._is_idle

    @property
    def cached_bytes(self) -> int:
        """How much is kept."""
        return self._cache_bytes

    def close(self) -> None:
        """End the thread; requests that wait are given up."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _ask(self, request: _Request) -> bytes:
        with self._changed:
            if self._is_closed:
                raise SupersededError("the clip is closed", hint="open it again")
            self._asked_at = time.monotonic()
            self._waiting.append(request)
            while len(self._waiting) > _WAITING:
                self._answer(
                    self._waiting.pop(0), SupersededError("newer requests came", hint="ask again")
                )
            self._changed.notify_all()
        request.done.wait()
        if isinstance(request.result, BaseException):
            raise request.result
        return request.result

    def _picture(self, frame: Frame, width: int) -> bytes:
        """A frame as JPEG."""
        info = self._reader.info
        if width >= info.width:
            return jpeg(frame.image)
        height = max(1, round(info.height * width / info.width))
        return jpeg(frame.small_image(width, height), width=width)

    @staticmethod
    def _answer(request: _Request, result: bytes | BaseException) -> None:
        request.result = result
        request.done.set()

    def _cached(self, index: int, width: int) -> bytes | None:
        """A picture that was made before; the lock is held."""
        kept = self._cache.get((index, width))
        if kept is not None:
            self._cache.move_to_end((index, width))
        return kept

    def _keep(self, index: int, width: int, data: bytes) -> None:
        with self._changed:
            if (index, width) in self._cache:
                return
            self._cache[index, width] = data
            self._cache_bytes += len(data)
            while self._cache_bytes > self._most_bytes and len(self._cache) > 1:
                self._cache_bytes -= len(self._cache.popitem(last=False)[1])

    def _work(self) -> None:
        """The thread: answer the newest request, else make what may be wanted next."""
        decoding = _Decoding(self._reader)
        width, goal = 0, -1
        while True:
            has_more = decoding.has_passed or decoding.position <= goal
            request = self._next(wait=self._rests or not has_more)
            if request is None:
                if self._is_closed:
                    decoding.close()
                    return
                self._make_ahead(decoding, width, goal)
                continue
            # a crop is of the frame that is shown already, and says nothing of the next one
            if request.width is not None:
                width, goal = request.width, request.index + AHEAD
                with self._changed:
                    kept = self._cached(request.index, request.width)
                if kept is not None:  # made ahead meanwhile
                    self._answer(request, kept)
                    continue
            self._make(decoding, request)
            goal = min(goal, len(self._reader.info.timeline) - 1)

    def _next(self, *, wait: bool) -> _Request | None:
        """The newest request; None when there is none and there is no reason to wait, or at the
        end.
        """
        with self._changed:
            self._is_idle = wait and not self._waiting
            while wait and not self._waiting and not self._is_closed:
                self._changed.wait()
            self._is_idle = False
            if self._is_closed:
                for request in self._waiting:
                    self._answer(
                        request, SupersededError("the clip is closed", hint="open it again")
                    )
                self._waiting.clear()
                return None
            return self._waiting.pop() if self._waiting else None

    def _make(self, decoding: _Decoding, request: _Request) -> None:
        try:
            data = request.make(decoding.frame(request.index, is_stopped=self._is_outdated))
        # whatever went wrong is for the one who asked
        except BaseException as error:  # noqa: BLE001
            decoding.close()
            self._answer(request, error)
            return
        if request.width is not None:
            self._keep(request.index, request.width, data)
        self._answer(request, data)

    def _is_outdated(self) -> bool:
        """Whether what is being decoded for is no longer the newest wish."""
        return self._is_closed or len(self._waiting) >= _WAITING

    def _make_ahead(self, decoding: _Decoding, width: int, goal: int) -> None:
        """Encode one frame that nobody has asked for yet."""
        try:
            frame = decoding.passed() or (
                decoding.frame(decoding.position) if decoding.position <= goal else None
            )
        except Exception:  # noqa: BLE001
            decoding.close()  # who asks for that frame will hear why
            return
        if frame is None or not width:
            decoding.drop_passed()
            return
        # a frame that was asked for meanwhile need not be encoded again
        with self._changed:
            is_known = (frame.index, width) in self._cache
        if not is_known:
            # as above: this thread is the only one that decodes
            with contextlib.suppress(Exception):
                self._keep(frame.index, width, self._picture(frame, width))


class _Decoding:
    """Where decoding is, and what it has passed on the way."""

    def __init__(self, reader: ClipReader) -> None:
        self._reader = reader
        self._frames: Iterator[Frame] | None = None
        self._passed: deque[Frame] = deque(maxlen=_PASSED)
        self._last: Frame | None = None
        self.position = 2**62
        """The frame that comes next; beyond the clip when nothing is open."""

    @property
    def has_passed(self) -> bool:
        """Whether decoded frames wait to be encoded."""
        return bool(self._passed)

    def passed(self) -> Frame | None:
        """A frame that was passed, the latest first; None when there is none."""
        return self._passed.pop() if self._passed else None

    def drop_passed(self) -> None:
        """Forget what was passed."""
        self._passed.clear()

    def frame(self, index: int, *, is_stopped: Callable[[], bool] = lambda: False) -> Frame:
        """Decode up to a frame."""
        if self._last is not None and self._last.index == index:
            return self._last
        # a page that plays asks for some frames at a time, and the later one may come first
        waiting = next((frame for frame in self._passed if frame.index == index), None)
        if waiting is not None:
            return waiting
        if self._frames is None or not self.position <= index <= self.position + _LARGEST_STEP:
            self.close()
            # frames of another file under this name would be shown as this clip's
            self._reader.check_unchanged()
            self._frames = iter(self._reader.frames(self._begin(index)))
        for frame in self._frames:
            self.position = frame.index + 1
            self._last = frame
            if frame.index == index:
                return frame
            self._passed.append(frame)
            if is_stopped():
                raise SupersededError("newer requests came", hint="ask again")
        raise UsageError(f"frame {index} cannot be decoded", hint="choose another frame")

    def _begin(self, index: int) -> int:
        """From where to decode: some frames before the one that is wanted, which are decoded in any
        case when they follow its keyframe.
        """
        key = max((k for k in self._reader.info.keyframes if k <= index), default=0)
        return max(key, index - _PASSED)

    def close(self) -> None:
        """End decoding here."""
        frames, self._frames = self._frames, None
        if isinstance(frames, Generator):
            frames.close()
        self.drop_passed()
        self._last, self.position = None, 2**62
