"""The addresses that Label Studio asks, below that of the model it is told."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from vfx_matte.labelling.label_studio.backend import LabelStudioBackend

PREFIX = "/label-studio"
"""Where they lie in a server: Label Studio is told http://HOST:PORT/label-studio."""

MOST_BODY_BYTES = 256 << 20
"""Of a request: tasks come with all brushes that anybody painted on them."""

Sent = Annotated[dict[str, Any], Body()]


def label_studio_routes(backend: LabelStudioBackend) -> APIRouter:
    """The routes of a backend; errors are left to the application.

    Args:
        backend: which answers.
    """
    router = APIRouter(prefix=PREFIX, tags=["Label Studio"])

    # these are plain functions, which the server calls in threads: an answer may take its time

    @router.get("/health")
    def health() -> dict[str, object]:
        """Whether the backend is up."""
        return backend.health()

    @router.post("/setup")
    def setup(body: Sent) -> dict[str, object]:
        """Hear what a project is labelled with."""
        return backend.setup(body)

    @router.post("/predict")
    def predict(body: Sent) -> dict[str, object]:
        """Masks of marked pictures, and tracks of boxed objects."""
        return backend.predict(body)

    @router.post("/webhook")
    def webhook(body: Sent) -> dict[str, object]:
        """Hear that something was annotated."""
        return backend.webhook(body)

    return router
