"""Runs the studio's server: address, token, browser, and its end."""

from __future__ import annotations

import contextlib
import html
import ipaddress
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from vfx_matte.errors import UsageError
from vfx_matte.web.app import body_rule, make_app
from vfx_matte.web.file_manager import can_show, has_screen
from vfx_matte.web.guard import Authorities, Guard
from vfx_matte.web.hosts import is_loopback
from vfx_matte.web.routes.page import PageFiles
from vfx_matte.web.service import Service
from vfx_matte.web.spelling import Speller
from vfx_matte.wording import option

if TYPE_CHECKING:
    from vfx_matte.pipeline.studio import Opening, Studio
    from vfx_matte.settings.options import Options, StudioSettings

TOKEN_BYTES = 32

# of the 2 seconds within which the program ends: requests that are being answered get the first,
# jobs that save what they have the second
_ANSWER_SECONDS = 1
_CLOSE_SECONDS = 0.7


@dataclass(frozen=True, slots=True)
class Address:
    """Where a studio is served."""

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
        raise UsageError(f"{option('host', host)} is not known: {error.strerror}") from None
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


class StudioServer:
    """The server of one studio. It listens from the start, and answers while `run` runs."""

    def __init__(
        self,
        opening: Opening,
        settings: StudioSettings,
        *,
        speller: Speller,
        records: Mapping[str, Options],
        ready: Callable[[Address], None],
    ) -> None:
        """Listen.

        Args:
            opening: the engine, which the caller closes.
            settings: where it listens.
            speller: how texts name options and commands.
            records: group → its options, with the values of config.ini.
            ready: called once, when the server answers.

        Raises:
            UsageError: nothing can listen there.
        """
        # who reaches the page from elsewhere does not see this machine's windows
        is_here = is_loopback(settings.host)
        self.service = Service(opening, speller, records, shows_files=is_here and can_show())
        self._listener = listen(settings.host, settings.port)
        authority, authorities = authorities_of(self._listener, settings.host)
        self.address = Address(authority, secrets.token_urlsafe(TOKEN_BYTES))
        app = Guard(
            PageFiles(make_app(self.service)),
            self.address.token,
            authorities,
            body_rule(self.service),
        )
        # Parser and loop are named so that packages which happen to be installed change nothing;
        # headers of proxies are not believed, as there is none. Nothing is logged: errors are told
        # to the page, and what somebody works on is nobody's business.
        config = uvicorn.Config(
            app,
            http="h11",
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
        self._unsubscribe: Callable[[], None] = lambda: None
        self._server = _Server(
            config, ready=lambda: ready(self.address), closing=self.service.events.close
        )

    def run(self) -> int | None:
        """Serve until a signal or `stop` ends it, or the clip cannot be opened.

        Returns:
            The signal that ended it.
        """
        self.service.opening.then(self._opened)
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._unsubscribe()
            self.close()
        return self._server.stopped_by

    def close(self) -> None:
        """Listen no longer; `run` does it at its end."""
        self._listener.close()
        # calls that have not begun are dropped; `close_in_time` sees to the others
        self.service.pool.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """End `run`; from any thread."""
        self._server.should_exit = True

    def _opened(self, studio: Studio | None) -> None:
        # whoever waits for the project is told why there is none before the server ends
        if studio is None:
            self.stop()
        else:
            self._unsubscribe = studio.subscribe(self._add_event)

    def _add_event(self, event: Mapping[str, object]) -> None:
        from vfx_matte.pipeline.records import as_json

        told = as_json(event, self.service.speller)
        self.service.events.add(told if isinstance(told, dict) else {})


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


def _has_screen() -> bool:
    """Whether a browser would open a window, and not take over the terminal, as text browsers do
    that are started on a machine without a screen.
    """
    return "BROWSER" in os.environ or has_screen()


@contextlib.contextmanager
def browser() -> Iterator[Callable[[str], None]]:
    """Lends a function that opens an address in the browser.

    The browser gets the name of a file that leads on to the address, which only this user may
    read: what a program is started with, every user of the machine can see.
    """
    folder = Path(tempfile.mkdtemp(prefix="vfx-matte-studio-"))  # for this user alone

    def open_page(url: str) -> None:
        if not _has_screen():
            return
        file = folder / "studio.html"
        file.touch(0o600)
        target = html.escape(url, quote=True)
        file.write_text(
            "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer>"
            f'<meta http-equiv=refresh content="0;url={target}"><title>vfx-matte</title>'
            f'<p><a href="{target}">Open the studio</a>',
            encoding="utf-8",
        )
        # the fragment survives the refresh, and is sent nowhere; some browsers only return when
        # their window is closed
        threading.Thread(target=webbrowser.open, args=(file.as_uri(),), daemon=True).start()

    try:
        yield open_page
    finally:
        shutil.rmtree(folder, ignore_errors=True)
