"""The page itself: files that come with the program."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter

from vfx_matte.web.failures import RequestError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

router = APIRouter()

STATIC = Path(__file__).parents[1] / "static"
"""Where they are."""

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""Suffix → type; files with another suffix are not served. Not asked of the system, whose table
differs from machine to machine: a script of a wrong type does not run.
"""

# no name begins with a point, so that ".." and hidden files have none; none is longer than a disk
# can have
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_DEEPEST = 5


def static_file(path: str) -> Path | None:
    """The file that a path of the address means, or None.

    Args:
        path: what stands after the first "/", decoded.
    """
    names = (path or "index.html").split("/")
    if len(names) > _DEEPEST or not all(_NAME.fullmatch(name) for name in names):
        return None
    file = STATIC.joinpath(*names)
    if file.suffix not in TYPES or not file.is_file():
        return None
    # a link in the folder may lead anywhere
    return file if file.resolve().is_relative_to(STATIC.resolve()) else None


@dataclass(frozen=True, slots=True)
class _Content:
    """A file as it was read."""

    version: tuple[int, int, int]
    """When it was changed, how long it is, and which file of the disk it is."""

    body: bytes
    etag: bytes


@dataclass(frozen=True, slots=True)
class PageFiles:
    """Answers requests for the page's files, and hands on all others.

    The page is some forty files, and its first picture waits for them: routing, validation and a
    thread for each took longer than everything else.
    """

    app: ASGIApp
    """What answers all other requests."""

    _read: dict[Path, _Content] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # as it was sent: what a route takes of it lacks a line break at its end
        path = str(scope["path"]).removeprefix("/")
        is_asked = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        file = None if not is_asked or path.startswith("api/") else static_file(path)
        if file is None:
            await self.app(scope, receive, send)
            return
        content = self._content(file)
        # checked each time, as a new version of the program comes at the same address
        headers = [(b"etag", content.etag), (b"cache-control", b"no-cache")]
        is_known = (b"if-none-match", content.etag) in scope["headers"]
        if not is_known:
            headers.append((b"content-type", TYPES[file.suffix].encode()))
            headers.append((b"content-length", str(len(content.body)).encode()))
        status = 304 if is_known else 200
        body = b"" if is_known or scope["method"] == "HEAD" else content.body
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _content(self, file: Path) -> _Content:
        """A file's content, read again when the file is another one."""
        status = file.stat()
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        known = self._read.get(file)
        if known is None or known.version != version:
            body = file.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
            known = self._read[file] = _Content(version, body, etag)
        return known


@router.api_route("/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
def page() -> None:
    """What `PageFiles` has no file for."""
    raise RequestError(404, "there is no such page", "open the address that was printed")
