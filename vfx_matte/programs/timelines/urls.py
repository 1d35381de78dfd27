"""Writes paths of files as the URLs that timelines have.

Everything but letters, digits and `-._~/` is percent-encoded as UTF-8, so that spaces, &, #, % and
Chinese names survive both XML and the program that reads it.
"""

from __future__ import annotations

import os
from pathlib import PurePath, PureWindowsPath
from urllib.parse import quote, quote_from_bytes


def file_url(path: PurePath) -> str:
    """file:///home/a%20b.mov, file:///C:/a.mov, or file://server/share/a.mov for a path on a
    Windows network.
    """
    host, path_text = _parts(path)
    return f"file://{host}{path_text}"


def localhost_url(path: PurePath) -> str:
    """The same as FCP7 XML wants it: file://localhost/home/a.mov, file://localhost/C%3a/a.mov."""
    host, path_text = _parts(path)
    # Premiere itself writes the colon of a drive like this
    if path_text[2:3] == ":":
        path_text = f"{path_text[:2]}%3a{path_text[3:]}"
    return f"file://{host or 'localhost'}{path_text}"


def _parts(path: PurePath) -> tuple[str, str]:
    """Host and percent-encoded path with a leading slash. Raises ValueError for a relative path."""
    if not path.is_absolute():
        raise ValueError(f"path {str(path)!r} is not absolute")
    if not isinstance(path, PureWindowsPath):
        return "", quote_from_bytes(os.fsencode(path))  # bytes: a name need not be UTF-8
    # A share on a network has its server as the host, a drive is the first part of the path.
    drive, rest = path.drive.replace("\\", "/"), path.as_posix()[len(path.drive) :]
    if drive.startswith("//"):
        host, _, share = drive[2:].partition("/")
        return quote(host), f"/{quote(share)}{quote(rest)}"
    return "", f"/{drive}{quote(rest)}"
