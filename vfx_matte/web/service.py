"""What the routes of one studio share: the engine, its events, and a pool of threads."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

from fastapi import Depends, Request

from vfx_matte.web.answers import JsonResponse, record_response
from vfx_matte.web.events import EventLog
from vfx_matte.web.failures import RequestError
from vfx_matte.web.spelling import Speller
from vfx_matte.web.views import project_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vfx_matte.pipeline.studio import Opening, Studio
    from vfx_matte.settings.options import Options

P = ParamSpec("P")
T = TypeVar("T")

# frames that are not decoded yet wait for the decoder, and so do many at a time while somebody
# scrubs; edits must not wait for a thread behind them
_THREADS = 24


async def in_thread(
    pool: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a function in a thread of a pool. The thread goes on when nobody waits for its result
    any more.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(pool, partial(function, *args, **kwargs))


@dataclass(slots=True)
class Service:
    """One studio that is served."""

    opening: Opening
    """The engine, which may still be on its way."""

    speller: Speller
    """How texts name options and commands."""

    options: Mapping[str, Options]
    """Group → its options of edges and renders, with their values in config.ini."""

    shows_files: bool = False
    """Whether outputs can be shown in a file manager."""

    events: EventLog = field(default_factory=EventLog)
    """What happens, for pages."""

    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    """Part of every ETag and of the clip's id: a browser keeps pictures by their address, and at
    the same port the next start may serve another clip, or this one read in another way.
    """

    pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, thread_name_prefix="studio")
    )
    """Where the engine is called: a call may take long, and the server's loop must not wait."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the engine in a thread.

        The thread goes on when nobody waits for its result any more.
        """
        return await in_thread(self.pool, function, *args, **kwargs)

    async def record(
        self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> JsonResponse:
        """Call the engine in a thread, and answer with the record that it returns."""

        # as JSON in the thread, too: the project of a clip of 36,000 frames takes 30 ms
        def answer() -> JsonResponse:
            return record_response(function(*args, **kwargs), self.speller)

        return await self.call(answer)

    @property
    def studio(self) -> Studio:
        """The engine.

        Raises:
            RequestError: the clip is still being opened.
        """
        studio = self.opening.studio
        if studio is None:
            raise RequestError(503, "the clip is still being opened", "its frames are counted")
        return studio

    @property
    def clip_id(self) -> str:
        """What a page calls the clip in the addresses of its frames."""
        return f"{self.studio.info.id}-{self.nonce}"

    def project(self, *, times: bool) -> dict[str, Any]:
        """The whole state, as a page has it, as soon as the clip is open.

        Args:
            times: with those of all frames, which do not change.
        """
        self.opening.wait()
        return project_view(self.studio.view(), clip_id=self.clip_id, times=times) | {
            "shows_files": self.shows_files
        }

    def require_frame(self, index: int) -> None:
        """Raise RequestError when the clip has no such frame."""
        frames = self.studio.info.frames
        if not 0 <= index < frames:
            raise RequestError(404, f"there is no frame {index}", f"the clip has {frames} frames")


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(_service, use_cache=True)]
"""The parameter of a route that is the service."""
