"""X-AnyLabeling's remote server, for whole clips.

Written from how its program asks, and from the names of the routes that its server publishes; the
forms of `status` and `cancel`, which the program does not use, are our own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from vfx_matte.pipeline.first_mask import Click, Marks
from vfx_matte.pipeline.tracking import chosen_model, click_at
from vfx_matte.web.answers import JsonResponse
from vfx_matte.web.bodies import binary
from vfx_matte.web.failures import RequestError
from vfx_matte.web.serve.bodies import InitBody, PromptBody, PropagateBody, decoded
from vfx_matte.web.serve.service import Served, Serving
from vfx_matte.web.serve.video import Propagation, VideoSession, require_frame, shapes_of

router = APIRouter(prefix="/v1/video", tags=["X-AnyLabeling"])


def _success(data: dict[str, Any]) -> JsonResponse:
    return JsonResponse({"success": True, "data": data})


@router.post("/init")
async def begin(serving: Served, body: InitBody) -> JsonResponse:
    """Begin a session on a clip."""

    def make() -> VideoSession:
        propagator = chosen_model(body.model, serving.propagator)
        clip = serving.sent_clip(
            decoded(text, f"frame {index}") for index, text in enumerate(body.frames)
        )
        try:
            require_frame(clip, body.start_frame_index)
            return serving.sessions.add(
                lambda session_id: VideoSession(session_id, clip, propagator)
            )
        except BaseException:
            clip.let_go()
            raise

    session = await serving.call(make)
    return _success(session.view())


@router.post("/prompt")
async def prompt(serving: Served, body: PromptBody) -> JsonResponse:
    """Mark the object on a frame with clicks, as shares of width and height."""
    if body.text_prompt:
        raise RequestError(
            400, "objects are not found by a text here", "click on the object instead"
        )
    return _success(await serving.call(_prompted, serving, body))


def _prompted(serving: Serving, body: PromptBody) -> dict[str, Any]:
    session = serving.sessions.get(body.session_id)
    require_frame(session.clip, body.frame_index)
    if len(body.point_labels) != len(body.points) or not body.points:
        raise RequestError(
            400,
            f"{len(body.points)} points have {len(body.point_labels)} labels",
            "give at least one point, and a label for each",
        )
    height, width = session.clip.shape
    clicks: dict[tuple[int, int], Click] = {}
    for (x, y), label in zip(body.points, body.point_labels, strict=True):
        click = click_at(x * width, y * height, is_object=label != 0, width=width, height=height)
        # of two clicks on one pixel the later one is meant
        clicks[click.x, click.y] = click
    images = session.clip.images(lambda _line: None)
    found = serving.prompter.answer(
        (session.id, body.frame_index),
        lambda: images.image(body.frame_index),
        Marks(clicks=tuple(clicks.values())),
    )
    fineness = body.params.epsilon_factor
    session.put_mask(body.frame_index, found.mask, fineness=fineness)
    shapes = shapes_of(found.mask, 1, score=found.confidence, fineness=fineness)
    return {"frame_index": body.frame_index, "masks": shapes}


def _begun(serving: Serving, body: PropagateBody) -> Propagation:
    session = serving.sessions.get(body.session_id)
    return session.propagate(
        serving.queue,
        start=body.start_frame,
        last=body.end_frame,
        space=serving.space,
        spell=serving.speller,
    )


def _end_soon(serving: Serving, current: Propagation) -> None:
    """Nobody waits for a propagation any more: end it, in a thread."""

    def end() -> None:
        if current.queued is not None:
            serving.queue.stop(current.queued)
        current.free()

    # without waiting for it, as whoever asked may be gone; at the server's end the queue is closed
    # anyhow
    with suppress(RuntimeError):
        serving.pool.submit(end)


@router.post(
    "/propagate/stream",
    response_class=StreamingResponse,
    responses=binary("text/event-stream"),
)
async def stream(serving: Served, body: PropagateBody) -> StreamingResponse:
    """Track the object, with events on the way: started, progress, completed (results: frame index
    → masks) or error. Whoever closes the stream stops it.
    """
    current = await serving.call(_begun, serving, body)

    async def events() -> AsyncIterator[bytes]:
        try:
            async with aclosing(current.events.open(None)) as texts:
                async for text in texts:
                    yield text
        finally:
            _end_soon(serving, current)

    return StreamingResponse(events(), media_type="text/event-stream")


@router.post("/propagate")
async def propagate(serving: Served, request: Request, body: PropagateBody) -> JsonResponse:
    """The same, answered when all is done."""
    current = await serving.call(_begun, serving, body)
    try:
        # its events wake this up, so that no thread waits, and that a client is missed that is gone
        async with aclosing(current.events.open(None)) as events:
            async for _ in events:
                if await request.is_disconnected():
                    break
    finally:
        _end_soon(serving, current)
    if current.state != "completed":
        raise RequestError(
            503, current.message or "the propagation was cancelled", "begin it again"
        )
    return _success({"session_id": body.session_id, "results": current.results})


@router.get("/status/{session_id}")
async def status(serving: Served, session_id: str) -> JsonResponse:
    """How a session stands."""
    with serving.answered():
        return _success(serving.sessions.get(session_id).view())


@router.post("/cancel/{session_id}")
async def cancel(serving: Served, session_id: str) -> JsonResponse:
    """Stop what runs; the session stays."""
    with serving.answered():
        session = serving.sessions.get(session_id)
    await serving.call(session.cancel, serving.queue)
    return _success(session.view())


@router.post("/cleanup/{session_id}")
async def cleanup(serving: Served, session_id: str, model: str | None = None) -> JsonResponse:  # noqa: ARG001  X-AnyLabeling sends it
    """End a session."""
    await serving.call(serving.sessions.remove, session_id)
    return _success({"session_id": session_id})
