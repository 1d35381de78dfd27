"""Runs the studio's server, and opens it in the browser."""

from __future__ import annotations

import contextlib
import html
import os
import shutil
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vfx_matte.web.app import body_rule, make_app
from vfx_matte.web.file_manager import can_show, has_screen
from vfx_matte.web.guard import Guard
from vfx_matte.web.hosts import is_loopback
from vfx_matte.web.listener import Address, Listener, WebServer
from vfx_matte.web.routes.page import PageFiles
from vfx_matte.web.service import Service
from vfx_matte.web.spelling import Speller

if TYPE_CHECKING:
    from vfx_matte.pipeline.studio import Opening, Studio
    from vfx_matte.settings.options import Options, StudioSettings


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
        listener = Listener(settings.host, settings.port)
        self.address = listener.address
        app = Guard(
            PageFiles(make_app(self.service)),
            self.address.token,
            listener.authorities,
            body_rule(self.service),
        )
        self._unsubscribe: Callable[[], None] = lambda: None
        self._server = WebServer(listener, app, ready=ready, closing=self.service.events.close)

    def run(self) -> int | None:
        """Serve until a signal or `stop` ends it, or the clip cannot be opened.

        Returns:
            The signal that ended it.
        """
        self.service.opening.then(self._opened)
        try:
            return self._server.run()
        finally:
            self._unsubscribe()
            self.close()

    def close(self) -> None:
        """Listen no longer; `run` does it at its end."""
        self._server.close()
        # calls that have not begun are dropped; `close_in_time` sees to the others
        self.service.pool.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """End `run`; from any thread."""
        self._server.stop()

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
