"""Runs the server for labelling tools: address, token, and its end."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from typing import TYPE_CHECKING

from vfx_matte.errors import OutputError, UsageError
from vfx_matte.web.guard import Guard
from vfx_matte.web.listener import TOKEN_BYTES, Address, Listener, WebServer
from vfx_matte.web.serve.app import ACCESS, body_rule, make_app
from vfx_matte.web.serve.service import Serving
from vfx_matte.wording import option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fastapi import APIRouter

OTHERS_CAN = "track, and see the clips of served folders, once they know the token"
"""What other machines can do where they are let in."""

_TOKEN = re.compile(r"[A-Za-z0-9_\-]{16,200}")


class LabellingServer:
    """A server. It listens from the start, and answers while `run` runs."""

    def __init__(
        self,
        serving: Serving,
        *,
        token: str = "",
        tools: Sequence[APIRouter] = (),
        ready: Callable[[Address], None],
    ) -> None:
        """Listen.

        Args:
            serving: what answers; the caller closes it.
            token: the secret; "" makes one.
            tools: routes of other tools, which ask in their own forms.
            ready: called once, when the server answers.

        Raises:
            UsageError: nothing can listen there.
        """
        listener = Listener(serving.settings.host, serving.settings.port, token=token)
        self.address = listener.address
        app = Guard(
            make_app(serving, tools),
            self.address.token,
            listener.authorities,
            body_rule(serving, tools),
            ACCESS,
        )
        self._server = WebServer(listener, app, ready=ready, closing=serving.end_streams)

    def run(self) -> int | None:
        """Serve until a signal or `stop` ends it.

        Returns:
            The signal that ended it.
        """
        return self._server.run()

    def stop(self) -> None:
        """End `run`; from any thread."""
        self._server.stop()


def kept_token(file: Path) -> str:
    """The token of a file, which is made where it is missing, for this user alone.

    Raises:
        UsageError: the file holds something else.
        OutputError: it cannot be read or made.
    """
    hint = f"name another file with {option('token_file', 'FILE')}, or delete this one"
    try:
        # made only where there is none: another start may make it at the same time
        with contextlib.suppress(FileExistsError):
            made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "w", encoding="ascii") as opened:
                opened.write(f"{secrets.token_urlsafe(TOKEN_BYTES)}\n")
        with file.open("rb") as opened:
            text = opened.read(1000).decode("latin-1").strip()
    except OSError as error:
        raise OutputError(f"{str(file)!r}: {error.strerror}", hint=hint) from error
    if not _TOKEN.fullmatch(text):
        raise UsageError(
            f"{str(file)!r} holds no token",
            hint=f"a token has 16 to 200 letters, digits, - or _; {hint}",
        )
    return text
