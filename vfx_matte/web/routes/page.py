"""The page itself: files that come with the program."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from fastapi import APIRouter, Request, Response

from vfx_matte.web.failures import RequestError

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


@router.api_route("/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
def page(request: Request) -> Response:
    """One of the page's files."""
    # as it was sent: what the route takes of it lacks a line break at its end
    file = static_file(str(request.scope["path"]).removeprefix("/"))
    if file is None:
        raise RequestError(404, "there is no such page")
    content = file.read_bytes()
    # checked each time, as a new version of the program comes at the same address
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"etag": etag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers | {"content-type": TYPES[file.suffix]})
