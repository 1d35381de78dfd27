"""Reads requests that come as forms with files (RFC 7578), as `curl -F` and browsers send them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from vfx_matte.web.failures import RequestError

_MOST_HEAD = 4096
_BOUNDARY = re.compile(r"""boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""")
_NAME = re.compile(r'form-data;(?:.*;)?\s*name="([^"]{1,100})"')


@dataclass(slots=True)
class Form:
    """A form. Its parts are told apart by what this program takes as files."""

    files: dict[str, list[bytes]] = field(default_factory=dict)
    """Name → contents, in the order in which they came."""

    texts: dict[str, str] = field(default_factory=dict)
    """Name → value."""


def read_form(body: bytes, content_type: str, *, files: frozenset[str]) -> Form:
    """Read a form.

    Args:
        body: of the request.
        content_type: its header.
        files: the names of parts that are files; all others are texts.

    Raises:
        RequestError: it is damaged, or a text comes twice.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise RequestError(400, "the form names no boundary", "let your program make the header")
    form = Form()
    for head, content in _parts(body, (found[1] or found[2]).encode("latin-1", "replace")):
        named = _NAME.search(head.decode("utf-8", "replace"))
        if named is None:
            raise RequestError(400, "a part of the form has no name", "each part needs one")
        name = named[1]
        if name in files:
            form.files.setdefault(name, []).append(content)
            continue
        if name in form.texts:
            raise RequestError(400, f"{name[:40]!r} is in the form twice", "send it once")
        try:
            form.texts[name] = content.decode("utf-8")
        except UnicodeDecodeError:
            raise RequestError(
                400, f"{name[:40]!r} of the form is not a text", "send it in UTF-8"
            ) from None
    return form


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Head and content of every part. Raises RequestError where the form is cut off.

    What is before the first boundary and after the last one is no part.
    """
    # a boundary stands on a line of its own; the first one may begin the body
    mark = b"\r\n--" + boundary
    at = 0 if body.startswith(mark[2:]) else body.find(mark) + 2
    while at != 1:  # as -1 was found
        begin = at + len(mark) - 2
        if body.startswith(b"--", begin):
            return
        stop = body.find(mark, begin)
        blank = body.find(b"\r\n\r\n", begin, begin + _MOST_HEAD)
        # nothing is copied but the part itself: a form may fill the memory that there is for one
        if stop != -1:
            if not begin <= blank < stop:
                yield b"", b""
            else:
                yield body[begin:blank], body[blank + 4 : stop]
        at = stop + 2
    raise RequestError(400, "the form is cut off", "send it again")
