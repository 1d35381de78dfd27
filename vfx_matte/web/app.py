"""The application: all routes, and what becomes of errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi import FastAPI

from vfx_matte.web.bodies import ErrorAnswer
from vfx_matte.web.failures import answer_errors
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

    answer_errors(app, service.speller)
    return app


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
