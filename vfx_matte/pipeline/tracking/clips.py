"""Clips that are tracked through: frames that a client sent, or a file of the server's machine."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from vfx_matte.backend import Notify
from vfx_matte.errors import InputError, MediaError, UsageError
from vfx_matte.files.spool import Spool, SpoolSpace
from vfx_matte.masks import Image
from vfx_matte.media.open import open_clip
from vfx_matte.media.readers.sent import decode_sent
from vfx_matte.media.sequence import has_pictures, is_sequence, sequence_files
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.segment.driver_inputs import ClipImages
from vfx_matte.printable import shortened
from vfx_matte.propagate.driver import ImageSource
from vfx_matte.wording import option

_LONGEST_PATH = 1000


class TrackClip(Protocol):
    """A clip that several tracks may be made of, one after another or at the same time."""

    @property
    def length(self) -> int:
        """How many frames it has."""

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of its frames."""

    def images(self, notify: Notify) -> ImageSource:
        """Its frames, for one track."""

    def hold(self) -> None:
        """Keep it until `let_go` is called as often."""

    def let_go(self) -> None:
        """Free it, when nobody else holds it."""


class _Held:
    """Counts who holds a clip, and frees it after the last one."""

    def __init__(self) -> None:
        self._holders = 1
        self._lock = threading.Lock()

    def hold(self) -> None:
        """See `TrackClip`."""
        with self._lock:
            if not self._holders:
                raise MediaError("the clip is not there any more", hint="send it again")
            self._holders += 1

    def let_go(self) -> None:
        """See `TrackClip`."""
        with self._lock:
            self._holders -= 1
            is_free = self._holders == 0
        if is_free:
            self._free()

    def _free(self) -> None:
        """Free what it takes."""


class SentClip(_Held):
    """Frames that a client sent. They lie on disk as they came, and are decoded when they are asked
    for.

    Args:
        pictures: PNG, JPEG, WebP or BMP files, one for each frame; taken one at a time.
        space: where they are kept.
        most_pixels: of a frame; a larger one is refused before it is decoded.
        most_frames: how many there may be.

    Raises:
        UsageError: there is none, or there are too many; one is no picture, is too large, or has
            another size than the first one.
        MediaError: one is damaged or cut short.
        OutputError: there is no space for them.
    """

    def __init__(
        self, pictures: Iterable[bytes], space: SpoolSpace, *, most_pixels: int, most_frames: int
    ) -> None:
        super().__init__()
        self._most_pixels = most_pixels
        self._spool = Spool(space)
        try:
            self.shape = self._keep(pictures, most_frames)
        except BaseException:
            self._spool.close()
            raise
        self.length = len(self._spool)

    def _keep(self, pictures: Iterable[bytes], most_frames: int) -> tuple[int, int]:
        shape: tuple[int, int] | None = None
        for index, data in enumerate(pictures):
            if index >= most_frames:
                raise UsageError(
                    f"there are more than {most_frames} frames", hint="send a part of the clip"
                )
            # decoded now, though it is not needed yet: whoever sent it hears at once what is wrong
            image = decode_sent(data, f"frame {index}", most_pixels=self._most_pixels)
            height, width = image.shape[:2]
            if shape not in (None, (height, width)):
                assert shape is not None
                raise UsageError(
                    f"frame {index} is {width}×{height}, the frames before it are"
                    f" {shape[1]}×{shape[0]}",
                    hint="all frames of a clip have one size",
                )
            shape = (height, width)
            self._spool.append(data)
        if shape is None:
            raise UsageError("there is no frame", hint="send at least two")
        return shape

    def images(self, notify: Notify) -> ImageSource:  # noqa: ARG002  as TrackClip has it
        """Itself: it keeps nothing from call to call."""
        return self

    def image(self, index: int) -> Image:
        """One frame: uint8 (H, W, 3) R'G'B'."""
        try:
            data = self._spool[index]
        except IndexError:
            raise MediaError(
                f"frame {index} is not there any more", hint="send the clip again"
            ) from None
        return decode_sent(data, f"frame {index}", most_pixels=self._most_pixels)

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """Frames start, start + 1, …, decoded ahead in a thread."""
        return prefetched(((index, self.image(index)) for index in range(start, stop)), depth=2)

    def backward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """The same frames, from stop − 1 down."""
        indices = reversed(range(start, stop))
        return prefetched(((index, self.image(index)) for index in indices), depth=2)

    def _free(self) -> None:
        self._spool.close()


class FileClip(_Held):
    """A clip on this machine.

    Args:
        path: a video, a folder of pictures or a numbered pattern.
        notify: is told what a user may not expect.
        most_pixels: of a frame.
        most_frames: how many there may be.

    Raises:
        UsageError: it has larger frames, or more of them.
        MediaError: it cannot be read.
    """

    def __init__(self, path: Path, *, notify: Notify, most_pixels: int, most_frames: int) -> None:
        super().__init__()
        info = open_clip(path, notify=notify).info
        if info.width * info.height > most_pixels:
            raise UsageError(
                f"the clip is {info.width}×{info.height}, which is too large: the most is"
                f" {most_pixels / 1e6:.3g} million pixels",
                hint="send smaller pictures",
            )
        self.shape, self.length = info.shape, len(info.timeline)
        if self.length > most_frames:
            raise UsageError(
                f"the clip has {self.length} frames, the most is {most_frames}",
                hint="send the frames that are wanted alone",
            )
        self._path = path

    def images(self, notify: Notify) -> ImageSource:
        """Its frames, by a reader of their own: readers serve one thread."""
        return ClipImages(open_clip(self._path, notify=notify))


@contextmanager
def held(clip: TrackClip) -> Iterator[TrackClip]:
    """Hold a clip in the block."""
    clip.hold()
    try:
        yield clip
    finally:
        clip.let_go()


def served_path(folders: Sequence[Path], name: str) -> Path:
    """The clip of some folders that a client means.

    Args:
        folders: those that the user serves clips from.
        name: the clip's path within one of them, with "/" between its parts.

    Raises:
        UsageError: no folder is served, or the name could lead out of them.
        InputError: none of them has such a clip.
    """
    if not folders:
        raise UsageError(
            "this server reads no clips from its own disks",
            hint=f"send frames; or start it with {option('clips', 'FOLDER')}",
        )
    shown = shortened(repr(name))
    parts = name.split("/")
    # of every system's rules the strictest: no drive, no stream, no way up, no hidden file
    if len(name) > _LONGEST_PATH or not all(
        part
        and part.isprintable()
        and part.strip() == part
        and part[0] != "."
        and not set(part) & set('\\:*?"<>|')
        for part in parts
    ):
        raise UsageError(
            f"{shown} is not a clip's path",
            hint="give its path within a served folder, such as shots/a.mp4",
        )
    for folder in folders:
        root = folder.resolve()
        path = root.joinpath(*parts)
        try:
            if not path.exists() and not has_pictures(path):
                continue
        except OSError:
            continue  # a name that this disk cannot have
        # links may lead anywhere, also those to single pictures of a folder
        files = (path, *sequence_files(path)) if is_sequence(path) else (path,)
        if all(file.resolve().is_relative_to(root) for file in files):
            return path
    raise InputError(
        f"there is no clip {shown} in the served folders",
        hint="check the path; links that lead out of a served folder are not followed",
    )
