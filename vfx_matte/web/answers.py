"""Forms of answers: JSON, errors, and how their texts name options and commands."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from vfx_matte.errors import OutputError, UsageError, VfxMatteError
from vfx_matte.pipeline.records import as_json
from vfx_matte.pipeline.studio import ConflictError, SupersededError
from vfx_matte.printable import json_text, printable
from vfx_matte.web.spelling import Speller


def encoded(content: object) -> bytes:
    """JSON in UTF-8. Characters that are none, such as half a surrogate pair, become escapes."""
    return json_text(content).encode("utf-8")


def error_body(message: str, hint: str = "") -> dict[str, str]:
    """The form of every error."""
    return {"message": printable(message), "hint": printable(hint)}


class JsonResponse(Response):
    """JSON that any text can stand in."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401  as Starlette has it
        """The body."""
        return encoded(content)


def record_response(record: object, speller: Speller, *, status: int = 200) -> JsonResponse:
    """A record of the pipeline as JSON."""
    return JsonResponse(as_json(record, speller), status_code=status)


def header_json(record: object, speller: Speller) -> str:
    """A record as JSON for a header, as JavaScript's decodeURIComponent reads it."""
    # headers hold ASCII; these characters are left as encodeURIComponent leaves them
    return quote(encoded(as_json(record, speller)), safe="~()*!.'")


def error_response(status: int, message: str, hint: str = "", **more: object) -> JsonResponse:
    """An error."""
    return JsonResponse({**error_body(message, hint), **more}, status_code=status)


def bug(error: Exception) -> tuple[str, str]:
    """Message and hint for an error that nobody expected; how the program is made is not shown."""
    return (
        f"unexpected {type(error).__name__}",
        "this is a bug; start again with VFX_MATTE_DEBUG=1 and report what it prints",
    )


def status_of(error: VfxMatteError) -> int:
    """The HTTP status of an error of the program."""
    if isinstance(error, ConflictError | SupersededError):
        return 409
    # what kind of error it is decides; a clip or disk that fails now may work again later
    if isinstance(error, OutputError):
        return 503
    return 400 if isinstance(error, UsageError) else 503
