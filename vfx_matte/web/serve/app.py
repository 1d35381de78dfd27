"""The application: all routes, and which bodies they take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.routing import Route

from vfx_matte.web.bodies import ErrorAnswer
from vfx_matte.web.failures import answer_errors
from vfx_matte.web.guard import Access, BodyRule
from vfx_matte.web.serve.page import REFERENCE_FILES, add_reference
from vfx_matte.web.serve.routes import models, tracks, video

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastapi import APIRouter

    from vfx_matte.web.serve.service import Serving

# a prompt of 2000 clicks
_SMALL_JSON = 256 * 1024
# clicks, and frames, of which each takes two: the beginning of its data URI has a comma
_VALUES, _VALUES_PER_FRAME = 50_000, 2
# the run lengths of a brush are numbers
_PAINTED_VALUES = 20_000_000
# a network between machines, slow as it may be: seconds for each MB
_SECONDS_PER_MB = 1.0

ACCESS = Access(
    lambda path: path in REFERENCE_FILES,
    "send the token that was printed, as “Authorization: Bearer TOKEN” or “Token: TOKEN”",
    header="token",
    basic=True,
)
"""The description of the interface is the same for everybody who installs the program; all else
needs the token, which X-AnyLabeling sends in a header of its own, and Label Studio as a password.
"""


def make_app(serving: Serving, tools: Sequence[APIRouter] = ()) -> FastAPI:
    """The application; `guard.Guard` goes around it.

    Args:
        serving: what the routes share.
        tools: routes of other tools, which ask in their own forms.
    """
    app = FastAPI(
        title="vfx-matte for labelling tools",
        summary="Tracks masks through clips, for labelling tools.",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={
            "4XX": {"model": ErrorAnswer, "description": "A request that cannot be answered"},
            503: {"model": ErrorAnswer, "description": "Not possible just now"},
        },
    )
    app.state.serving = serving
    for one in (tracks.router, models.router, video.router, *tools):
        app.include_router(one)
    add_reference(app)
    answer_errors(app, serving.speller)
    return app


def body_rule(serving: Serving, tools: Sequence[APIRouter] = ()) -> Callable[[str, str], BodyRule]:
    """Which bodies requests may have: (method, path) → rule; the arguments are those of
    `make_app`.
    """
    most = serving.settings.body_mb
    small = BodyRule(_SMALL_JSON, ("application/json",))
    json = BodyRule(
        most << 20,
        ("application/json",),
        seconds=30 + most * _SECONDS_PER_MB,
        most_values=_VALUES + _VALUES_PER_FRAME * serving.settings.most_frames,
        turns=serving.large_bodies,
    )
    # frames come as JSON, or as files of a form, which are a quarter smaller
    either = replace(json, types=("application/json", "multipart/form-data"))
    painted = replace(json, most_values=_PAINTED_VALUES)
    rules = {
        "/v1/clips": either,
        "/v1/tracks": either,
        "/v1/predict": json,
        "/v1/video/init": json,
        # tasks come with all that anybody painted on them
        **{
            route.path: painted for one in tools for route in one.routes if isinstance(route, Route)
        },
    }
    return lambda method, path: rules.get(path, small) if method == "POST" else small
