"""Clips and tracks: the interface of our own."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ValidationError

from vfx_matte.pipeline.tracking import (
    PackedMasks,
    TrackClip,
    TrackRequest,
    chosen_model,
    read_given_mask,
    wanted_range,
)
from vfx_matte.web.answers import JsonResponse
from vfx_matte.web.bodies import binary
from vfx_matte.web.failures import RequestError
from vfx_matte.web.serve.bodies import (
    ClipAnswer,
    ClipBody,
    TrackAnswer,
    TrackBody,
    TrackFields,
    decoded,
)
from vfx_matte.web.serve.multipart import Form, read_form
from vfx_matte.web.serve.service import Served, ServedClip, Serving
from vfx_matte.web.serve.video import require_frame

router = APIRouter(prefix="/v1", tags=["tracks"])

_FILES = frozenset({"frames", "mask"})
# parts of a form beside its frames
_MOST_FIELDS = 20


def _documented(body: type[BaseModel], *files: str) -> dict[str, Any]:
    """How a body is documented that comes as JSON, or as a form with files."""
    schema = body.model_json_schema()
    properties = schema["properties"]
    file = {"type": "string", "format": "binary"}
    parts: dict[str, Any] = {
        "frames": {
            "type": "array",
            "items": file,
            "description": "every frame of the clip, one part each: PNG, JPEG, WebP or BMP",
        },
        "mask": {**file, "description": "the mask of the start frame: a PNG of the frames' size"},
    }
    form = {**properties, **{name: parts[name] for name in files}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schema},
                "multipart/form-data": {"schema": {**schema, "properties": form}},
            },
        }
    }


async def _form(serving: Serving, request: Request) -> Form | None:
    """The request's form; None where it has JSON."""
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        return None
    most = serving.settings.most_frames + _MOST_FIELDS
    return read_form(await request.body(), kind, files=_FILES, most_parts=most)


async def _read(request: Request, kind: type[BaseModel]) -> Any:  # noqa: ANN401  of that kind
    """A body of JSON, read without a copy of it. Raises RequestValidationError as a route does."""
    with _validated():
        return kind.model_validate_json(await request.body() or b"null")


def _of_texts(form: Form, kind: type[BaseModel]) -> Any:  # noqa: ANN401  as above
    """The texts of a form; numbers may stand in them as texts."""
    with _validated():
        return kind.model_validate(form.texts, strict=False)


@contextlib.contextmanager
def _validated() -> Iterator[None]:
    """What a model says about a body, as routes say it."""
    try:
        yield
    except ValidationError as error:
        # without what was given, which may be the whole body
        found = error.errors(include_input=False, include_url=False)
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in found]
        ) from None


def _pictures(frames: list[str]) -> Iterator[bytes]:
    """The frames of a body, decoded one at a time, each dropped afterwards."""
    for index in range(len(frames)):
        text, frames[index] = frames[index], ""
        yield decoded(text, f"frame {index}")


def _one_of(**given: object) -> str:
    """The name of the one that is given. Raises RequestError where it is not one."""
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        names = ", ".join(given)
        raise RequestError(
            400,
            f"{' and '.join(named) or 'none'} of {names} is given",
            f"give one of {names}",
        )
    return named[0]


@router.post(
    "/clips",
    status_code=201,
    response_model=ClipAnswer,
    openapi_extra=_documented(ClipBody, "frames"),
)
async def add_clip(serving: Served, request: Request) -> JsonResponse:
    """Keep a clip for several tracks: frames that are sent, or a file of a served folder."""
    form = await _form(serving, request)
    frames: Iterable[bytes] | None
    if form is None:
        body: ClipBody = await _read(request, ClipBody)
        frames = None if body.frames is None else _pictures(body.frames)
    else:
        body = _of_texts(form, ClipBody)
        frames = form.files.get("frames")
    which = _one_of(frames=frames, path=body.path)

    def make() -> ServedClip:
        clip: TrackClip
        if which == "path":
            assert body.path is not None
            clip = serving.file_clip(body.path)
        else:
            assert frames is not None
            clip = serving.sent_clip(frames)
        try:
            return serving.clips.add(lambda clip_id: ServedClip(clip_id, clip))
        except BaseException:
            clip.let_go()
            raise

    return JsonResponse(_clip_view(await serving.call(make)), status_code=201)


def _clip_view(served: ServedClip) -> dict[str, object]:
    height, width = served.clip.shape
    return {"id": served.id, "frames": served.clip.length, "width": width, "height": height}


@router.get("/clips/{clip_id}", response_model=ClipAnswer)
async def clip(serving: Served, clip_id: str) -> JsonResponse:
    """A clip."""
    with serving.answered():
        return JsonResponse(_clip_view(serving.clips.get(clip_id)))


@router.delete("/clips/{clip_id}")
async def remove_clip(serving: Served, clip_id: str) -> JsonResponse:
    """Forget a clip; tracks that are made of it go on."""
    await serving.call(serving.clips.remove, clip_id)
    return JsonResponse({})


@router.post(
    "/tracks",
    status_code=201,
    response_model=TrackAnswer,
    openapi_extra=_documented(TrackBody, "frames", "mask"),
)
async def add_track(serving: Served, request: Request) -> JsonResponse:
    """Track the objects of a mask; the answer comes at once, and the masks as events.

    A track that nobody listens to, or asks for, is stopped after a while.
    """
    form = await _form(serving, request)
    frames: Iterable[bytes] | None
    if form is None:
        body: TrackBody = await _read(request, TrackBody)
        fields: TrackFields = body
        frames = None if body.frames is None else _pictures(body.frames)
        mask = decoded(body.mask, "the mask")
    else:
        fields = _of_texts(form, TrackFields)
        frames = form.files.get("frames")
        masks = form.files.get("mask", [])
        if len(masks) != 1:
            raise RequestError(
                422, f"mask: {len(masks)} files, expected one", "send one PNG as mask"
            )
        mask = masks[0]
    which = _one_of(frames=frames, clip=fields.clip, path=fields.path)
    view = await serving.call(_start, serving, which, fields, frames, mask)
    return JsonResponse(view, status_code=201)


def _start(
    serving: Serving,
    which: str,
    fields: TrackFields,
    frames: Iterable[bytes] | None,
    mask: bytes,
) -> dict[str, Any]:
    """Begin a track, and say how it stands."""
    # what is wrong with little is said before anything is read
    propagator = chosen_model(fields.propagator, serving.propagator)
    clip = _held_clip(serving, which, fields, frames)
    try:
        require_frame(clip, fields.start_frame)
        given = read_given_mask(mask, shape=clip.shape)
        start, stop = wanted_range(
            fields.direction,
            start_frame=fields.start_frame,
            count=fields.count,
            length=clip.length,
        )
        masks = PackedMasks({fields.start_frame: given.mask})
        wanted = TrackRequest(clip, masks, start, stop, propagator)
        facts = {
            "objects": [dataclasses.asdict(one) for one in given.objects],
            "notices": [serving.speller(line) for line in given.notices],
        }
        return serving.add_track(wanted, facts).view()
    finally:
        clip.let_go()


def _held_clip(
    serving: Serving, which: str, fields: TrackFields, frames: Iterable[bytes] | None
) -> TrackClip:
    """The clip that is meant, held once."""
    if which == "clip":
        assert fields.clip is not None
        kept = serving.clips.get(fields.clip).clip
        kept.hold()
        return kept
    if which == "path":
        assert fields.path is not None
        return serving.file_clip(fields.path)
    assert frames is not None
    return serving.sent_clip(frames)


@router.get("/tracks/{track_id}", response_model=TrackAnswer)
async def track(serving: Served, track_id: str) -> JsonResponse:
    """How a track stands."""
    with serving.answered():
        return JsonResponse(serving.tracks.get(track_id).view())


@router.get(
    "/tracks/{track_id}/events",
    response_class=StreamingResponse,
    responses=binary("text/event-stream"),
)
async def events(
    serving: Served,
    track_id: str,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> StreamingResponse:
    """What becomes of a track, as server-sent events from the first one, or after Last-Event-ID.

    Each holds JSON with a `type`: progress (state, position, done, total), started (total, width,
    height), notice (text), frame (frame, objects), and at the end completed (frames, seconds),
    stopped, or error (message, hint). Objects of a frame have id, rle (as COCO has it), area, box
    (x, y, width, height) and confidence.
    """
    with serving.answered():
        stream = serving.tracks.get(track_id).events.open(last_event_id)
    return StreamingResponse(stream, media_type="text/event-stream")


@router.delete("/tracks/{track_id}", response_model=TrackAnswer)
async def stop(serving: Served, track_id: str) -> JsonResponse:
    """Stop a track, or take it off the queue; one that is over stays as it is."""
    with serving.answered():
        served = serving.tracks.get(track_id)
    await serving.call(serving.stop_track, served)
    return JsonResponse(served.view())
