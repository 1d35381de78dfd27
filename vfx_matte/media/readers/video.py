"""Reads frames of a video file in any order; memory stays bounded whatever the length.

Frame i is the i-th frame of the timeline, always. Where a picture is missing or damaged the one
before stands in, with a notice, so that a mask never slips by a frame. Every picture has the first
one's size and layout (`readers.uniform`).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from vfx_matte.backend import Notify, begun
from vfx_matte.errors import InputError, MediaError
from vfx_matte.files.fingerprint import Watch
from vfx_matte.media.frames import Frame, check_frame, check_range
from vfx_matte.media.pixels import Orientation
from vfx_matte.media.probe import ClipInfo, Decoded, decode, probe
from vfx_matte.media.readers.fields import EXAMINED_FRAMES
from vfx_matte.media.readers.uniform import fit_picture
from vfx_matte.wording import option

# 16 frames of 4K with 10 bits, 120 of HD with 8: most groups of pictures are decoded once
REVERSE_BUFFER_BYTES = 384 * 2**20
"""Decoded frames kept at once when walking backwards."""


class FrameMaker:
    """Makes the frames of one clip of what was decoded: all like the first one.

    Says once each what is out of the ordinary.
    """

    def __init__(self, info: ClipInfo, *, ignore_alpha: bool, notify: Notify) -> None:
        self._info, self._notify = info, notify
        self._uses_alpha = not ignore_alpha
        self._told_change = self._told_alpha = False

    def frame(
        self,
        index: int,
        native: av.VideoFrame,
        *,
        sample_aspect: Fraction | None = None,
        orientation: Orientation | None = None,
    ) -> Frame:
        """One frame of a decoded picture.

        Args:
            index: 0-based.
            native: as it was decoded.
            sample_aspect: as for `fit_picture`.
            orientation: as for `fit_picture`.
        """
        info = self._info
        found = fit_picture(native, info, sample_aspect=sample_aspect, orientation=orientation)
        if found.difference and not self._told_change:
            self._told_change = True
            kept = "; all are made like the first one" if found.is_converted else ""
            self._notify(
                f"{info.path.name}: pictures change on the way "
                f"(frame {info.timeline.number(index)} is {found.difference}){kept}"
            )
        frame = Frame(
            index,
            info.timeline[index],
            found.native,
            found.orientation,
            info.color,
            found.alpha,
            self._uses_alpha,
        )
        if not self._told_alpha and frame.alpha is not None:
            self._told_alpha = True
            self._notify(
                f"{info.path.name} has an alpha channel of its own, and what that hides stays"
                f" hidden; {option('ignore_alpha', True)} shows it"
            )
        return frame


def watch_files(path: Path, files: Sequence[Path]) -> Watch:
    """Begin to watch the files of a clip.

    Args:
        path: the clip, for messages.
        files: all of its files.

    Raises:
        InputError: when one is not there.
        MediaError: when one cannot be read.
    """
    try:
        return Watch(files)
    except FileNotFoundError as error:
        raise InputError(
            f"there is no file {str(path)!r}", hint="check the path; quote names with spaces"
        ) from error
    except OSError as error:
        raise MediaError(
            f"{str(path)!r} cannot be read: {error.strerror}",
            hint="check the path and its permissions",
        ) from error


def require_unchanged(path: Path, watch: Watch) -> None:
    """Make sure that the files of a clip are still what they were.

    Raises:
        MediaError: when they hold other bytes now.
    """
    if watch.has_changed():
        raise MediaError(
            f"{str(path)!r} was replaced, changed or removed while it was read",
            hint="put it back as it was, or begin again once the new file is complete",
        )


class _Beginning:
    """The pictures of a clip from its first one on, decoded for its probe and kept for who reads.

    To open a file and to decode its first picture takes as long as to make dozens of frames. It is
    begun in a thread, beside the counting of packets.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        self._path, self._threads = path, threads
        pictures = decode(path, threads=threads)
        self._coming, self._first = pictures, begun(lambda: list(itertools.islice(pictures, 1)))
        self._kept: list[Iterator[Decoded]] = []

    def pictures(self, stream: int | None) -> Generator[Decoded, None, None]:
        """Decode for the probe."""
        if stream is not None:
            # what was begun is another stream, and nobody will read it
            with contextlib.suppress(MediaError):
                self._first()
            self._coming.close()
            yield from decode(self._path, stream=stream, threads=self._threads)
            return
        seen: list[Decoded] = []
        self._kept = [itertools.chain(seen, self._coming)]
        for picture in itertools.chain(self._first(), self._coming):
            # a clip whose packets have no times is decoded to its end, and is too much to keep
            if len(seen) < EXAMINED_FRAMES:
                seen.append(picture)
            else:
                self._kept.clear()
            yield picture

    def take(self) -> Iterator[Decoded] | None:
        """All pictures, for the first who asks."""
        try:
            return self._kept.pop()
        except IndexError:
            return None


class VideoReader:
    """Reads a video file.

    Each iteration opens the file anew, so several can run side by side; closing one frees it.
    """

    def __init__(
        self,
        path: Path,
        *,
        notify: Notify,
        info: ClipInfo | None = None,
        threads: int = 0,
        ignore_alpha: bool = False,
        begins: bool = False,
    ) -> None:
        """Open a clip.

        Args:
            path: the file.
            notify: is told what a user may not expect.
            info: a known probe result, to save counting again.
            threads: decoder threads, 0 = by cores.
            ignore_alpha: the clip's own alpha takes no part.
            begins: whether the first one who reads from the beginning gets the pictures that the
                probe has begun to decode. Until then the file is open, and its decoder at work.

        Raises:
            MediaError: when it cannot be read.
        """
        self._beginning = _Beginning(path, threads=threads) if begins else None
        watch = Watch([path]) if path.is_file() else None  # before: a probe may take long
        self._info = info or probe(
            path, notify=notify, pictures_of=self._beginning.pictures if self._beginning else None
        )
        self._watch = watch or watch_files(path, [path])
        if ignore_alpha:
            self._info = replace(self._info, has_alpha=False)
        self._maker = FrameMaker(self._info, ignore_alpha=ignore_alpha, notify=notify)
        self._notify = notify
        self._threads = threads
        self._noticed = False

    @property
    def info(self) -> ClipInfo:
        """Facts about the clip, with its timeline."""
        return self._info

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames [start, stop) in display order.

        Raises:
            MediaError: when the file is replaced or changed meanwhile.
        """
        start, stop = check_range(start, stop, self._info.timeline)
        if start == stop:
            return
        yield from self._frames(start, stop)
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Find out whether the file is still what it was.

        Raises:
            MediaError: when it holds other bytes than when it was opened.
        """
        require_unchanged(self._info.path, self._watch)

    def _frames(self, start: int, stop: int) -> Iterator[Frame]:
        # frames that cannot be decoded leave a hole in the indices: the picture before it, or the
        # first one there is, stands in until the next index comes
        expected, previous = start, None
        for index, native in self._decoded_from(start):
            if index < start:
                previous = native
                continue
            stand_in = previous or native
            while expected < min(index, stop):
                self._notice_missing(expected)
                yield self._frame(expected, stand_in)
                expected += 1
            if expected >= stop:
                return
            if index == expected:
                yield self._frame(index, native)
                expected += 1
            previous = native
            if expected >= stop:
                return
        if previous is None:
            raise MediaError(
                f"{str(self._info.path)!r}: frame {start} cannot be decoded",
                hint="the file is damaged there",
            )
        while expected < stop:
            self._notice_missing(expected)
            yield self._frame(expected, previous)
            expected += 1

    def frames_reversed(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames stop − 1 down to start.

        Decodes by group of pictures; long groups are decoded several times, in windows.
        """
        start, stop = check_range(start, stop, self._info.timeline)
        high = stop
        while high > start:
            # from the last keyframe before, but no more frames at once than fit
            key = max((k for k in self._info.keyframes if k < high), default=0)
            low = max(start, key, high - self._window())
            window = list(self.frames(low, high))
            while window:
                yield window.pop()
            high = low

    def frame(self, index: int) -> Frame:
        """One frame.

        Raises:
            UsageError: when the clip does not have it.
        """
        check_frame(index, self._info.timeline)
        return next(self.frames(index, index + 1))

    def _window(self) -> int:
        info = self._info
        # planes as they are read, in bytes; never fewer than four frames
        samples = sum(
            rows * columns
            for plane in range(1 if info.layout.model == "gray" else 3)
            for rows, columns in [info.layout.plane_shape(plane, info.height, info.width)]
        )
        frame_bytes = samples * (1 if info.layout.bit_depth == 8 else 2)
        return max(4, REVERSE_BUFFER_BYTES // frame_bytes)

    def _frame(self, index: int, decoded: Decoded) -> Frame:
        native, aspect = decoded
        return self._maker.frame(
            index, native, sample_aspect=None if aspect == self._info.first_aspect else aspect
        )

    def _notice_missing(self, index: int) -> None:
        self.check_unchanged()
        if not self._noticed:
            self._noticed = True
            self._notify(
                f"{self._info.path.name}: frame {index} cannot be decoded; a neighbouring picture"
                " stands in"
            )

    def _decoded_from(self, index: int) -> Iterator[tuple[int, Decoded]]:
        """Pairs (frame index, decoded frame) that begin at or before `index`."""
        info = self._info
        # without times to trust the only way to a frame is to count from the beginning
        if not info.reliable:
            yield from enumerate(self._decode(None))
            return
        # a keyframe that does not decode cleanly: try the two before it, then the whole file
        for key in [k for k in reversed(info.keyframes) if k <= index][:3]:
            if key == 0:
                break
            # Frames before the keyframe are its leading pictures, whose references were not
            # decoded.
            frames = (
                pair
                for pair in self._with_index(self._decode(info.timeline.pts[key]))
                if pair[0] >= key
            )
            first = next(frames, None)
            if first is not None and first[0] <= index and not first[1][0].is_corrupt:
                yield first
                yield from frames
                return
        yield from self._with_index(self._decode(None))

    def _with_index(self, frames: Iterator[Decoded]) -> Iterator[tuple[int, Decoded]]:
        for decoded in frames:
            pts = decoded[0].pts
            # a frame that is not in the timeline was cut away by an edit list
            index = None if pts is None else self._info.timeline.index_of_pts(pts)
            if index is not None:
                yield index, decoded

    def _decode(self, from_key: int | None) -> Iterator[Decoded]:
        if from_key is None and self._beginning and (pictures := self._beginning.take()):
            return pictures
        info = self._info
        return decode(info.path, stream=info.video_stream, from_key=from_key, threads=self._threads)
