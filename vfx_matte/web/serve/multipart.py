"""Reads requests that come as forms with files (RFC 7578), as `curl -F` and browsers send them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vfx_matte.web.failures import RequestError

_MOST_PARTS = 1_000_000
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
    # a boundary stands on a line of its own; the first one may begin the body
    mark = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
    pieces = (b"\r\n" + body).split(mark, _MOST_PARTS)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise RequestError(400, "the form is cut off", "send it again")
    form = Form()
    # before the first mark is a preamble, after the last one an epilogue
    for piece in pieces[1:-1]:
        head, blank, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        named = _NAME.search(head[:_MOST_HEAD].decode("utf-8", "replace"))
        if not blank or named is None:
            raise RequestError(400, "a part of the form has no name", "each part needs one")
        name = named[1]
        if name in files:
            form.files.setdefault(name, []).append(content)
            continue
        if name in form.texts:
            raise RequestError(400, f"{name[:40]!r} is in the form twice")
        try:
            form.texts[name] = content.decode("utf-8")
        except UnicodeDecodeError:
            raise RequestError(400, f"{name[:40]!r} of the form is not a text") from None
    return form
