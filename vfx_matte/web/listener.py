"""Listens at an address of this machine, and runs an application there until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from vfx_matte.errors import UsageError
from vfx_matte.web.guard import Authorities
from vfx_matte.wording import option

if TYPE_CHECKING:
    from starlette.types import ASGIApp

TOKEN_BYTES = 32

# of the 2 seconds within which the program ends: requests that are being answered get the first,
# jobs that save what they have the second
_ANSWER_SECONDS = 1
_CLOSE_SECONDS = 0.7
# how long the head of a request may take to arrive: a connection takes one of the files that the
# process may have open, also where whoever opened it knows no token
_HEAD_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where something is served."""

    authority: str
    """Host and port, as the address has them."""

    token: str = field(repr=False)
    """The secret of this start. It stands in the fragment, which browsers send nowhere."""

    @property
    def url(self) -> str:
        """What a browser opens."""
        return f"http://{self.authority}/#token={self.token}"


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for connections.

    Args:
        host: a name or an address of this machine.
        port: 0 is any that is free.

    Raises:
        UsageError: the port is taken, or the host is none of this machine.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
    except OSError as error:
        raise UsageError(
            f"{option('host', host)} is not known: {error.strerror}",
            hint="give an address of this machine",
        ) from None
    try:
        # a port that was used a minute ago is free; Windows would share it with another program
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"nothing can listen at {host}, port {port}: {error.strerror}",
            hint=f"{option('port', 0)} takes a port that is free",
        ) from None
    return listener


def authorities_of(listener: socket.socket, host: str) -> tuple[str, Authorities]:
    """The authority that is printed, and all that mean this server.

    Args:
        listener: the socket that waits.
        host: as it was asked for.
    """
    address, port = listener.getsockname()[:2]
    ip = ipaddress.ip_address(address.partition("%")[0])
    # 0.0.0.0 is nothing to type into a browser: the machine's name is printed, and any address that
    # leads here means it
    if ip.is_unspecified:
        name = socket.gethostname().lower()
        authorities = Authorities(port, frozenset({name, "localhost"}), any_address=True)
    else:
        name = (f"[{ip}]" if ip.version == 6 else str(ip)) if host != "localhost" else host
        authorities = Authorities(port, frozenset({name}))
    return f"{name}:{port}", authorities


class _Server(uvicorn.Server):
    """uvicorn, with an end of our own: it says when it is ready, ends streams at once, and leaves
    the signal that stopped it to whoever called.
    """

    def __init__(
        self, config: uvicorn.Config, *, ready: Callable[[], None], closing: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self.stopped_by: int | None = None
        self._ready, self._closing = ready, closing

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # what could not be opened meanwhile has no page
        if not self.should_exit:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # first, as uvicorn waits for answers to end, and a stream of events has no end of its own
        self._closing()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal once more at its end, and the engine would not be closed
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = (signal.SIGINT, signal.SIGTERM)
        earlier = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.stopped_by = sig
        super().handle_exit(sig, frame)


class _Connection(H11Protocol):
    """uvicorn's, closed where the head of a request does not arrive in time: it has a limit for
    connections that wait after an answer alone.
    """

    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._expect_nothing()
        elif self._overdue is None:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._overdue = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None


class Listener:
    """Listens from the start; whoever connects is answered as soon as something is served."""

    def __init__(self, host: str, port: int, *, token: str = "") -> None:
        """Listen.

        Args:
            host: a name or an address of this machine.
            port: 0 is any that is free.
            token: the secret of this start; "" makes one.

        Raises:
            UsageError: nothing can listen there.
        """
        self.socket = listen(host, port)
        authority, self.authorities = authorities_of(self.socket, host)
        self.address = Address(authority, token or secrets.token_urlsafe(TOKEN_BYTES))


class WebServer:
    """Serves an application, which `Guard` goes around."""

    def __init__(
        self,
        listener: Listener,
        app: ASGIApp,
        *,
        ready: Callable[[Address], None],
        closing: Callable[[], None],
    ) -> None:
        """Prepare it.

        Args:
            listener: where; it is closed at the end.
            app: what answers.
            ready: called once, when the server answers.
            closing: called when it ends, so that streams end.
        """
        self._listener = listener
        # Parser and loop are named so that packages which happen to be installed change nothing;
        # headers of proxies are not believed, as there is none. Nothing is logged: errors are told
        # to whoever asked, and what somebody works on is nobody's business.
        config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            # a page that is looked at sends nothing for a while, and should not connect anew then
            timeout_keep_alive=120,
            timeout_graceful_shutdown=_ANSWER_SECONDS,
        )
        self._server = _Server(config, ready=lambda: ready(listener.address), closing=closing)

    def run(self) -> int | None:
        """Serve until a signal or `stop` ends it.

        Returns:
            The signal that ended it.
        """
        try:
            self._server.run(sockets=[self._listener.socket])
        finally:
            self.close()
        return self._server.stopped_by

    def close(self) -> None:
        """Listen no longer; `run` does it at its end."""
        self._listener.socket.close()

    def stop(self) -> None:
        """End `run`; from any thread."""
        self._server.should_exit = True


def close_in_time(close: Callable[[], None]) -> bool:
    """Close something, and go on when that takes long.

    Returns:
        Whether it is closed, and no thread is left that would keep the program from ending.
    """
    failures: list[BaseException] = []

    def closing() -> None:
        try:
            close()
        except BaseException as error:  # noqa: BLE001  raised below, where somebody hears it
            failures.append(error)

    # in a thread, because the engine may wait for work that looks up once a frame only
    closer = threading.Thread(target=closing, daemon=True)
    closer.start()
    deadline = time.monotonic() + _CLOSE_SECONDS
    closer.join(_CLOSE_SECONDS)
    if failures:
        raise failures[0]
    # threads that answered requests end by themselves, a moment later
    while (is_left := closer.is_alive() or _others_run()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_left


def _others_run() -> bool:
    """Whether a thread runs that Python waits for at its end."""
    main = threading.main_thread()
    return any(one is not main and not one.daemon for one in threading.enumerate())
