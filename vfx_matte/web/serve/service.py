"""What the routes share: clips, tracks and sessions, the queue, and a pool of threads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

from fastapi import Depends, Request

from vfx_matte.errors import InputError, MediaError, VfxMatteError
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.tracking import (
    BusyError,
    FileClip,
    GoneError,
    MissingError,
    Prompter,
    Registry,
    SentClip,
    SpoolSpace,
    TrackClip,
    TrackQueue,
    TrackRequest,
    served_path,
)
from vfx_matte.printable import without_folders
from vfx_matte.web.failures import RequestError
from vfx_matte.web.serve.tracks import ServedTrack
from vfx_matte.web.serve.video import VideoSession
from vfx_matte.web.service import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vfx_matte.pipeline.propagator import PropagatorOptions
    from vfx_matte.settings.options import ServeSettings

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 16
_LARGE_BODIES = 2
_EXPIRE_SECONDS = 0.5


class ServedClip:
    """A clip that clients call by an id."""

    def __init__(self, clip_id: str, clip: TrackClip) -> None:
        self.id, self.clip = clip_id, clip


def _from_within(speller: Callable[[str], str], folders: Iterable[Path]) -> Callable[[str], str]:
    """The speller, with paths in these folders shown as from within them, and of all others the
    names alone: how this machine is set up is nothing for clients.
    """
    forms = {str(form) for folder in folders for form in (folder.absolute(), folder.resolve())}
    # quoted paths of Windows have two backslashes; the longest first, as one may lie in another
    shown = {f"{form}{os.sep}" for form in forms if Path(form).name}
    shown |= {one.replace("\\", "\\\\") for one in shown}
    order = sorted(shown, key=len, reverse=True)

    def spell(text: str) -> str:
        spelled = speller(text)
        for folder in order:
            spelled = spelled.replace(folder, "")
        return without_folders(spelled)

    return spell


class Serving:
    """Everything of one start.

    Args:
        settings: limits above all.
        folders: whose clips may be named by their paths.
        propagator: what tracks are made with, where clients choose nothing.
        model: the folder of network weights.
        fetch: whether small weights may be fetched.
        speller: how texts name options and commands.
    """

    def __init__(
        self,
        settings: ServeSettings,
        *,
        folders: Sequence[Path],
        propagator: PropagatorOptions,
        model: Path,
        fetch: bool,
        speller: Callable[[str], str],
    ) -> None:
        self.settings, self.folders, self.propagator = settings, tuple(folders), propagator
        self.speller = _from_within(speller, folders)
        self.space = SpoolSpace(settings.space_mb << 20)
        self.queue = TrackQueue(settings.at_once)
        self.prompter = Prompter(model=model, fetch=fetch, reporter=SilentReporter())
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="serve")
        # requests with frames wait for each other before they are read: each is in memory
        self.large_bodies = asyncio.Semaphore(_LARGE_BODIES)
        tag = secrets.token_hex(4)
        self.clips: Registry[ServedClip] = Registry(
            "clip",
            tag,
            most=settings.sessions,
            seconds=settings.idle,
            forget=lambda one: one.clip.let_go(),
        )
        self.tracks: Registry[ServedTrack] = Registry(
            "track",
            tag,
            most=settings.sessions,
            # results are there for whoever comes back; only work that nobody wants is stopped soon
            seconds=lambda one: settings.idle if one.is_over else settings.patience,
            forget=self._forget_track,
            # one that waits costs nothing, and its client may listen to another one meanwhile
            is_used=lambda one: one.events.streams > 0 or one.is_waiting,
            is_over=lambda one: one.is_over,
        )
        self.sessions: Registry[VideoSession] = Registry(
            "session",
            tag,
            most=settings.sessions,
            seconds=settings.idle,
            forget=self._forget_session,
            is_used=lambda one: one.is_busy,
            # a program that crashed ends no session: the one that waits longest for a click goes
            is_over=lambda one: not one.is_busy,
        )
        self._ended = threading.Event()
        threading.Thread(target=self._expire, name="vfx-matte expiry", daemon=True).start()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread, and say what is wrong with the request where it says so."""
        with self.answered():
            return await in_thread(self.pool, function, *args, **kwargs)

    @contextlib.contextmanager
    def answered(self) -> Iterator[None]:
        """Errors of the pipeline as answers to the request that caused them."""
        try:
            yield
        except GoneError as error:
            raise self._request_error(410, error) from error
        except (MissingError, InputError) as error:
            raise self._request_error(404, error) from error
        except BusyError as error:
            raise self._request_error(503, error) from error
        except MediaError as error:
            if type(error) is not MediaError:
                raise  # no space, which is not the client's doing
            # a damaged picture that was sent: trying again with the same one is of no use
            raise self._request_error(400, error) from error

    def _request_error(self, status: int, error: VfxMatteError) -> RequestError:
        return RequestError(status, self.speller(error.message), self.speller(error.hint))

    def sent_clip(self, pictures: Iterable[bytes]) -> SentClip:
        """A clip of frames that were sent. Raises as `SentClip`."""
        return SentClip(
            pictures,
            self.space,
            most_pixels=self.most_pixels,
            most_frames=self.settings.most_frames,
        )

    def file_clip(self, name: str) -> FileClip:
        """A clip of a served folder. Raises as `served_path` and `FileClip`."""
        return FileClip(
            served_path(self.folders, name),
            notify=lambda _line: None,
            most_pixels=self.most_pixels,
            most_frames=self.settings.most_frames,
        )

    @property
    def most_pixels(self) -> int:
        """Of a frame."""
        return round(self.settings.megapixels * 1e6)

    def add_track(self, request: TrackRequest, facts: dict[str, object]) -> ServedTrack:
        """Queue a track of our own interface; it holds the request's clip from now on.

        Raises:
            BusyError: there are as many as there may be.
        """
        request.clip.hold()
        try:
            track = self.tracks.add(
                lambda track_id: ServedTrack(
                    track_id, request, facts, space=self.space, spell=self.speller
                )
            )
        except BaseException:
            request.clip.let_go()
            raise
        track.queued = self.queue.add(request.frames, track)
        return track

    def stop_track(self, track: ServedTrack) -> None:
        """End a track, or take it off the queue."""
        if track.queued is not None:
            self.queue.stop(track.queued)

    def end_streams(self) -> None:
        """End all streams of events, so that the server can end."""
        for track in self.tracks.kept():
            track.server_closes()
        for session in self.sessions.kept():
            session.free()

    def close(self) -> None:
        """End everything."""
        self._ended.set()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.queue.close()
        for one in (self.tracks, self.sessions, self.clips):
            one.clear()

    def _expire(self) -> None:
        while not self._ended.wait(_EXPIRE_SECONDS):
            for one in (self.tracks, self.sessions, self.clips):
                one.expire()

    def _forget_track(self, track: ServedTrack) -> None:
        self.stop_track(track)
        track.free()

    def _forget_session(self, session: VideoSession) -> None:
        session.cancel(self.queue)
        session.free()
        self.prompter.forget(lambda key: isinstance(key, tuple) and key[0] == session.id)
        session.clip.let_go()


def _serving(request: Request) -> Serving:
    serving: Serving = request.app.state.serving
    return serving


Served = Annotated[Serving, Depends(_serving)]
"""The parameter of a route that is the service."""
