"""Reads requests that come as forms with files (RFC 7578), as `curl -F` and browsers send them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from vfx_matte.web.failures import RequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


@dataclass(slots=True)
class Form:
    """A form. Its parts are told apart by what this program takes as files."""

    files: dict[str, list[bytes]] = field(default_factory=dict)
    """Name → contents, in the order in which they came."""

    texts: dict[str, str] = field(default_factory=dict)
    """Name → value."""


# Starlette's own forms put every file into a temporary one, which stays open: a clip has more
# frames than a process may have files. The body is in memory anyhow, and each part is cut out once.
def read_form(body: bytes, content_type: str, *, files: frozenset[str], most_parts: int) -> Form:
    """Read a form.

    Args:
        body: of the request.
        content_type: its header.
        files: the names of parts that are files; all others are texts.
        most_parts: it may have.

    Raises:
        RequestError: it is damaged, a text comes twice, or there are more parts.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise RequestError(400, "the form names no boundary", "let your program make the header")
    parts = _Parts(files, most_parts)
    try:
        MultipartParser(boundary, parts.callbacks()).write(body)
    except FormParserError:
        raise RequestError(
            400, "the form is damaged", "send it as multipart/form-data, as curl -F does"
        ) from None
    if not parts.is_whole:
        raise RequestError(400, "the form is cut off", "send it again")
    return parts.form


class _Parts:
    """What a parser finds, one part after another.

    Args:
        files: the names of parts that are files.
        most: how many parts there may be.
    """

    def __init__(self, files: frozenset[str], most: int) -> None:
        self.form, self.is_whole = Form(), False
        self._files, self._most, self._count = files, most, 0
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = b"", b""
        self._pieces: list[bytes] = []

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._whole,
        }

    def _begin(self) -> None:
        self._count += 1
        # a part of fifty bytes takes as long as one of a megabyte, and others wait meanwhile
        if self._count > self._most:
            raise RequestError(
                413, f"the form has more than {self._most:,} parts", "send a part of the clip"
            )
        self._headers.clear()
        self._pieces.clear()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind != b"form-data" or not name:
            raise RequestError(400, "a part of the form has no name", "each part needs one")
        content = b"".join(self._pieces)
        if name in self._files:
            self.form.files.setdefault(name, []).append(content)
            return
        if name in self.form.texts:
            raise RequestError(400, f"{name[:40]!r} is in the form twice", "send it once")
        try:
            self.form.texts[name] = content.decode("utf-8")
        except UnicodeDecodeError:
            raise RequestError(
                400, f"{name[:40]!r} of the form is not a text", "send it in UTF-8"
            ) from None

    def _whole(self) -> None:
        self.is_whole = True
