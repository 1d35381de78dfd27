"""Opens a studio in a thread, and shows the clip's first picture meanwhile.

The frames of a long clip are counted by reading all of it. Nothing can be asked of the studio
before, but its first picture is known from the file's beginning alone.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vfx_matte.errors import VfxMatteError
from vfx_matte.files.atomic import discard_unfinished
from vfx_matte.media.probe import probe_beginning
from vfx_matte.media.readers.video import VideoReader
from vfx_matte.pipeline.studio.frame_server import FrameServer, SupersededError
from vfx_matte.pipeline.studio.studio import Studio

# most clips are open by then, and what is wrong with others is known
_SOON_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class FirstFacts:
    """What is known of a clip whose frames are still being counted."""

    name: str
    width: int
    height: int
    pts: int
    """When the first frame is shown, in units of the clip's time base."""


class Opening:
    """A studio that is there, or will be; safe to call from any thread.

    Args:
        clip: the clip's path; None shows nothing meanwhile.
        open_studio: opens it, called in a thread.
        ignore_alpha: as of the clip's reader.
    """

    def __init__(
        self,
        clip: Path | None,
        open_studio: Callable[[], Studio],
        *,
        ignore_alpha: bool = False,
    ) -> None:
        self._clip, self._open_studio, self._ignore_alpha = clip, open_studio, ignore_alpha
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._studio: Studio | None = None
        self._failure: BaseException | None = None
        self._heard: list[Callable[[Studio | None], None]] = []
        self._first: tuple[FirstFacts, FrameServer] | None = None
        self._first_known = threading.Event()
        for work in (self._open, self._show_first):
            threading.Thread(target=work, name="vfx-matte opening", daemon=True).start()

    @classmethod
    def of(cls, studio: Studio) -> Self:
        """Of a studio that is open."""
        made = cls(None, lambda: studio)
        made.wait()
        return made

    @property
    def studio(self) -> Studio | None:
        """The studio; None while it is being opened, and where that failed."""
        return self._studio if self._over.is_set() else None

    def wait(self) -> Studio:
        """The studio, as soon as it is open.

        Raises:
            VfxMatteError: it cannot be opened; as `Studio.open` and the clip's reader.
        """
        self._over.wait()
        if self._failure is not None:
            raise self._failure
        assert self._studio is not None
        return self._studio

    def wait_a_moment(self) -> None:
        """Wait as long as opening most clips takes.

        Raises:
            VfxMatteError: as `wait`.
        """
        if self._over.wait(max(0.0, self._began + _SOON_SECONDS - time.monotonic())):
            self.wait()

    def then(self, heard: Callable[[Studio | None], None]) -> None:
        """Call with the studio when it is open, or with None when it cannot be opened.

        Args:
            heard: is called from any thread, and before `wait` returns.
        """
        with self._lock:
            if not self._over.is_set():
                self._heard.append(heard)
                return
        heard(self._studio)

    def first_facts(self) -> FirstFacts | None:
        """What is known while the frames are counted; None when all is known, or nothing is."""
        self._first_known.wait()
        return None if self._first is None or self._over.is_set() else self._first[0]

    def first_jpeg(self, width: int | None) -> bytes:
        """The first frame; see `FrameServer.jpeg`.

        Raises:
            VfxMatteError: it is not known either, or the clip cannot be opened.
        """
        self._first_known.wait()
        if self._first is not None and not self._over.is_set():
            # the clip may be open, and this server closed, at any moment
            with contextlib.suppress(SupersededError):
                return self._first[1].jpeg(0, width)
        return self.wait().frame_jpeg(0, width)

    def close(self) -> None:
        """Close the studio; one that is still being opened is waited for."""
        self._over.wait()
        if self._studio is not None:
            self._studio.close()

    @staticmethod
    def abandon() -> None:
        """Remove what jobs are making, as the process ends while they run."""
        discard_unfinished()

    def _open(self) -> None:
        studio = None
        try:
            studio = self._open_studio()
        # whoever waits hears it, whatever it is
        except BaseException as error:  # noqa: BLE001
            self._failure = error
        with self._lock:
            self._studio = studio
            for heard in self._heard:
                heard(studio)
            self._over.set()
        self._first_known.wait()
        if self._first is not None:
            self._first[1].close()

    def _show_first(self) -> None:
        try:
            clip = self._clip
            if clip is None or self._over.wait(_SOON_SECONDS) or not clip.is_file():
                return
            info = probe_beginning(clip)
            if info is None:
                return
            reader = VideoReader(
                clip, notify=lambda _: None, info=info, ignore_alpha=self._ignore_alpha
            )
            server = FrameServer(reader)
            server.rest(True)
            server.expect(0)  # while the page is loaded
            facts = FirstFacts(clip.name, info.width, info.height, info.timeline.pts[0])
            self._first = facts, server
        # what is wrong with the clip, opening it says
        except (VfxMatteError, OSError):
            return
        finally:
            self._first_known.set()
