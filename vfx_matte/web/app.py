"""The application: all routes, and what becomes of errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from vfx_matte.errors import VfxMatteError
from vfx_matte.pipeline.studio import SupersededError
from vfx_matte.printable import shortened
from vfx_matte.web.answers import bug, error_response, status_of
from vfx_matte.web.bodies import ErrorAnswer
from vfx_matte.web.failures import RequestError
from vfx_matte.web.guard import BodyRule
from vfx_matte.web.masks import most_packed
from vfx_matte.web.routes import edits, frames, page, work

if TYPE_CHECKING:
    from collections.abc import Callable

    from vfx_matte.web.service import Service

MOST_JSON_BYTES = 64 * 1024
"""Of a request's body, unless it is a mask or a picture."""

# of a PNG: 8 bytes for each pixel, should it have 16-bit RGBA that cannot be packed; a profile and
# texts
_PNG_EXTRA_BYTES = 1 << 20

_STATUS_TEXTS = {404: "there is no such address", 405: "the address has no such method"}


def make_app(service: Service) -> FastAPI:
    """The application of one studio; `guard.Guard` goes around it."""
    app = FastAPI(
        title="Studio",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={
            "4XX": {"model": ErrorAnswer, "description": "A request that cannot be answered"},
            503: {"model": ErrorAnswer, "description": "Not possible just now"},
        },
    )
    app.state.service = service
    # FastAPI's own pages of documentation load scripts from elsewhere, and are left out; what it
    # describes serves the fuzzer
    # the page's files come last: their route fits every address
    for one in (edits, frames, work, page):
        app.include_router(one.router)

    # Errors in order of how much is known about them; each has the same form.

    @app.exception_handler(RequestError)
    async def _refused(_: Request, error: RequestError) -> Response:
        return error_response(error.status, error.message, error.hint)

    @app.exception_handler(VfxMatteError)
    async def _failed(_: Request, error: VfxMatteError) -> Response:
        speller = service.speller
        more = {"superseded": True} if isinstance(error, SupersededError) else {}
        return error_response(status_of(error), speller(error.message), speller(error.hint), **more)

    @app.exception_handler(OSError)
    async def _unreachable(_: Request, error: OSError) -> Response:
        # any file may be one that this user may not open, and any disk may be full
        name = f"{str(error.filename)!r}: " if error.filename is not None else ""
        return error_response(
            503,
            f"{name}{error.strerror or type(error).__name__}",
            "check the file, its folders and the disk",
        )

    @app.exception_handler(RequestValidationError)
    async def _not_valid(_: Request, error: RequestValidationError) -> Response:
        return error_response(422, *_complaint(error))

    # of the framework's own there are few: no such address or method, JSON that is too deep
    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        text = _STATUS_TEXTS.get(error.status_code, "the request cannot be read")
        answer = error_response(error.status_code, text)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def _bug(_: Request, error: Exception) -> Response:
        return error_response(500, *bug(error))

    return app


def _complaint(error: RequestValidationError) -> tuple[str, str]:
    """What is wrong with the first value that does not fit, and what else does not."""
    found = error.errors()
    texts = []
    for one in found:
        # the first part says "body" or "query", which people need not know
        place = ".".join(str(part) for part in one["loc"][1:]) or "the body"
        texts.append(
            f"{shortened(place)}: {shortened(one['msg'].removeprefix('Value error, '), 120)}"
        )
    more = len(texts) - 1
    return texts[0], f"and {more} more" if more else ""


def body_rule(service: Service) -> Callable[[str, str], BodyRule]:
    """Which bodies requests may have: (method, path) → rule."""
    json = BodyRule(MOST_JSON_BYTES, ("application/json",))

    def rule(method: str, path: str) -> BodyRule:
        # whether there is such a frame, the route says
        end = {"PUT": "mask", "POST": "import"}.get(method, "")
        studio = service.opening.studio
        # no page sends masks before it knows how large the clip is
        if studio is None or not re.fullmatch(rf"/api/frames/[^/]+/{end}", path):
            return json
        pixels = studio.info.width * studio.info.height
        if end == "mask":
            return BodyRule(most_packed(pixels), ("application/octet-stream", ""))
        kinds = ("image/png", "application/octet-stream", "")
        return BodyRule(8 * pixels + _PNG_EXTRA_BYTES, kinds)

    return rule
