"""Errors of requests, and how an application answers errors of any kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from vfx_matte.errors import VfxMatteError, beyond_control
from vfx_matte.pipeline.studio import SupersededError
from vfx_matte.printable import shortened
from vfx_matte.web.answers import bug, error_response, status_of

# characters of a wrong text, more than `shortened` leaves
_SHOWN = 100
_STATUS_TEXTS = {404: "there is no such address", 405: "the address has no such method"}


class RequestError(Exception):
    """A request that cannot be answered as it is.

    Args:
        status: its HTTP status.
        message: one line that says what is wrong with it.
        hint: one line that says what would be right; may be empty.
    """

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.hint = status, message, hint


def answer_errors(app: FastAPI, speller: Callable[[str], str]) -> None:
    """Have an application answer every error in the same form.

    Args:
        app: the application.
        speller: how texts name options and commands.
    """
    # Errors in order of how much is known about them; each has the same form.

    @app.exception_handler(RequestError)
    async def _refused(_: Request, error: RequestError) -> Response:
        return error_response(error.status, error.message, error.hint)

    @app.exception_handler(VfxMatteError)
    async def _failed(_: Request, error: VfxMatteError) -> Response:
        more = {"superseded": True} if isinstance(error, SupersededError) else {}
        return error_response(status_of(error), speller(error.message), speller(error.hint), **more)

    @app.exception_handler(MemoryError)
    @app.exception_handler(OSError)
    async def _unreachable(_: Request, error: Exception) -> Response:
        # any file may be one that this user may not open, and any disk may be full
        message, hint = beyond_control(error) or bug(error)
        return error_response(503, speller(message), speller(hint))

    @app.exception_handler(RequestValidationError)
    async def _not_valid(_: Request, error: RequestValidationError) -> Response:
        return error_response(422, *_complaint(error))

    # of the framework's own there are few: no such address or method, JSON that is too deep
    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        text = _STATUS_TEXTS.get(error.status_code, "the request cannot be read")
        answer = error_response(error.status_code, text, "check its address, method and body")
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def _bug(_: Request, error: Exception) -> Response:
        return error_response(500, *bug(error))


def _complaint(error: RequestValidationError) -> tuple[str, str]:
    """What is wrong with the first value that does not fit, and how many others there are."""
    found = error.errors()
    first = found[0]
    # the first part says "body" or "query", which people need not know
    place = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    others = f", and {len(found) - 1} more," if len(found) > 1 else ""
    return f"{shortened(place)}{_said(first)}", f"correct it{others} and send it again"


def _said(found: Mapping[str, Any]) -> str:
    """What is wrong with one value."""
    if found["type"] == "missing":
        return " is missing"
    text = str(found["msg"]).removeprefix("Value error, ").replace(" after validation", "")
    text = text.replace("Input should", "it should", 1)
    given = found.get("input")
    # a text may be a whole picture; of what is in lists and objects it is said where it is
    given = given[:_SHOWN] if isinstance(given, str) else given
    shown = f" is {shortened(repr(given))}" if isinstance(given, int | float | str) else ""
    return f"{shown}: {shortened(text, 120)}"
