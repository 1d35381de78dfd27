"""Frames, their masks, and what is marked on them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response

from vfx_matte.errors import VfxMatteError
from vfx_matte.web.answers import JsonResponse, error_response, header_json
from vfx_matte.web.bodies import MarksBody, PreviewBody, binary, binary_body
from vfx_matte.web.masks import check_png, packed, unpacked
from vfx_matte.web.service import Served, Service
from vfx_matte.web.views import mark_view

if TYPE_CHECKING:
    from vfx_matte.pipeline.studio import EditResult, Studio

router = APIRouter(prefix="/api/frames/{index}")

LARGEST_WIDTH = 16384
"""Of a picture that is asked for."""

Width = Annotated[int | None, Query(ge=16, le=LARGEST_WIDTH)]
Revision = Annotated[int | None, Query(ge=0, le=2**53)]
Side = Annotated[int, Query(ge=1, le=LARGEST_WIDTH)]
Offset = Annotated[int, Query(ge=0, le=LARGEST_WIDTH)]

# for the day: the id in the address is of this start alone
_FOREVER = "private, max-age=86400, immutable"
_CHECKED = "private, no-cache"
_IDS = "application/octet-stream"


def _matches(request: Request, etag: str) -> bool:
    """Whether the browser has an answer already."""
    return etag in (one.strip() for one in request.headers.get("if-none-match", "").split(","))


@router.get("", response_class=Response, responses=binary("image/jpeg"))
async def frame(
    service: Served,
    request: Request,
    index: int,
    width: Width = None,
    clip: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """One frame as JPEG. With the clip's id in the address it may be kept without asking again."""
    if index == 0 and service.opening.studio is None:
        return await _first_frame(service, width)
    service.require_frame(index)
    info = service.studio.info
    # the picture is a function of the address, so nothing is decoded to say that it is known
    headers = {
        "etag": f'"{service.nonce}-{index}-{width or 0}"',
        "cache-control": _FOREVER if clip == service.clip_id else _CHECKED,
    }
    if _matches(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    data = await service.call(service.studio.frame_jpeg, index, width)
    headers |= {"x-frame-index": str(index), "x-frame-pts": str(info.pts[index])}
    return Response(data, media_type="image/jpeg", headers=headers)


async def _first_frame(service: Service, width: int | None) -> Response:
    """The first frame while the others are counted; once they are known, as of any other."""
    facts = await service.call(service.opening.first_facts)
    data = await service.call(service.opening.first_jpeg, width)
    pts = service.studio.info.pts[0] if facts is None else facts.pts
    headers = {"cache-control": "no-store", "x-frame-index": "0", "x-frame-pts": str(pts)}
    return Response(data, media_type="image/jpeg", headers=headers)


@router.get("/crop", response_class=Response, responses=binary("image/png"))
async def crop(service: Served, index: int, *, x: Offset, y: Offset, w: Side, h: Side) -> Response:
    """A part of a frame as PNG, with every pixel as it is."""
    service.require_frame(index)
    info = service.studio.info
    if x + w > info.width or y + h > info.height:
        return error_response(
            400,
            f"{w}×{h} at {x},{y} does not lie inside the picture, {info.width}×{info.height}",
        )
    data = await service.call(service.studio.frame_crop, index, x, y, w, h)
    return Response(data, media_type="image/png", headers={"x-frame-index": str(index)})


@router.get("/mask", response_class=Response, responses=binary(_IDS))
async def mask(service: Served, request: Request, index: int) -> Response:
    """The ids of a frame's mask."""
    service.require_frame(index)
    shown = await service.call(service.studio.mask, index)
    headers = {
        "etag": f'"{service.nonce}-{shown.digest}"',
        "cache-control": _CHECKED,
        "x-mask-kind": shown.kind,
    }
    if _matches(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    body = await service.call(packed, shown.mask)
    headers["content-encoding"] = "gzip"
    return Response(body, media_type=_IDS, headers=headers)


@router.put("/mask", openapi_extra=binary_body(_IDS))
async def save_mask(
    service: Served,
    request: Request,
    index: int,
    label: Annotated[str, Query(max_length=40, pattern=r"^[\w \-]+$")] = "brush",
    revision: Revision = None,
) -> JsonResponse:
    """Make the frame a reference with these ids."""
    service.require_frame(index)
    info = service.studio.info
    body = await request.body()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    ids = await service.call(unpacked, body, encoding, width=info.width, height=info.height)
    return await service.record(
        service.studio.save_mask, index, ids, label=label, revision=revision
    )


@router.post("/marks", response_class=Response, responses=binary(_IDS))
async def mark(service: Served, index: int, body: MarksBody) -> Response:
    """The mask that answers the marks of one object."""
    service.require_frame(index)
    info = service.studio.info
    marks = body.marks()
    marks.check(width=info.width, height=info.height)
    made = await service.call(
        service.studio.mark,
        index,
        marks,
        object_id=body.object,
        auto=body.auto,
        preview=body.preview,
        revision=body.revision,
    )
    headers = {
        "content-encoding": "gzip",
        "x-result": header_json(mark_view(made), service.speller),
    }
    # what it came to goes into a header, so that one request brings mask and words
    ids = await service.call(packed, made.mask)
    return Response(ids, media_type=_IDS, headers=headers)


@router.post("/prepare", status_code=202)
async def prepare(service: Served, index: int) -> Response:
    """Look at a frame before it is marked, so that the first click is answered sooner."""
    service.require_frame(index)
    await service.call(service.studio.prepare, index)
    return JsonResponse({}, status_code=202)


@router.post("/import", openapi_extra=binary_body("image/png"))
async def import_mask(
    service: Served, request: Request, index: int, revision: Revision = None
) -> JsonResponse:
    """Make the frame a reference with a mask that was painted elsewhere."""
    service.require_frame(index)
    info = service.studio.info
    body = await request.body()
    # before anything decodes it: a small file may claim a picture that no memory holds
    check_png(body, width=info.width, height=info.height)
    return await service.record(_import, service.studio, index, body, revision)


def _import(studio: Studio, index: int, png: bytes, revision: int | None) -> EditResult:
    """Hand a picture on as a file, as the reader of masks takes it."""
    with tempfile.TemporaryDirectory(prefix="vfx-matte-studio-") as folder:
        file = Path(folder) / "mask.png"
        file.write_bytes(png)
        try:
            return studio.import_mask(index, file, revision=revision)
        except VfxMatteError as error:
            # the person knows it by another name
            error.message = error.message.replace(str(file), file.name)
            raise


@router.post("/preview", response_class=Response, responses=binary("image/png"))
async def preview(service: Served, index: int, body: PreviewBody, width: Width = None) -> Response:
    """What a green screen with these options would show, as PNG."""
    service.require_frame(index)
    data = await service.call(service.studio.preview, index, body.options, width=width)
    return Response(data, media_type="image/png", headers={"x-frame-index": str(index)})
