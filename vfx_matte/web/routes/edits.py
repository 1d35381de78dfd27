"""Edits of the project: references, objects, range, undo."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from vfx_matte.web.answers import JsonResponse
from vfx_matte.web.bodies import (
    ClearBody,
    NewObjectBody,
    ObjectBody,
    RangeBody,
    ReferenceBody,
)
from vfx_matte.web.failures import RequestError
from vfx_matte.web.service import Served, Service

router = APIRouter(prefix="/api")

ObjectId = Annotated[int, Path(ge=1, le=255)]


async def _require_reference(service: Service, index: int) -> None:
    """Raise RequestError when a frame is no reference."""
    service.require_frame(index)
    view = await service.call(service.studio.view)
    if all(one.index != index for one in view.references):
        raise RequestError(404, f"frame {index} is no reference", "choose a frame that is one")


async def _require_object(service: Service, object_id: int) -> None:
    """Raise RequestError when there is no such object."""
    view = await service.call(service.studio.view)
    if all(one.id != object_id for one in view.objects):
        raise RequestError(404, f"there is no object {object_id}", "choose one of the list")


@router.get("/project")
async def project(service: Served, times: bool = True) -> JsonResponse:
    """The whole state; without the times of all frames for a page that has them."""
    return await service.record(service.project, times=times)


@router.get("/opening")
async def opening(service: Served) -> JsonResponse:
    """What is known of a clip whose frames are still being counted; null when it is open."""
    return await service.record(lambda: {"clip": service.opening.first_facts()})


@router.patch("/references/{index}")
async def set_reference(service: Served, index: int, body: ReferenceBody) -> JsonResponse:
    """Switch a reference on or off."""
    await _require_reference(service, index)
    return await service.record(
        service.studio.set_reference, index, enabled=body.enabled, revision=body.revision
    )


@router.delete("/references/{index}")
async def remove_reference(
    service: Served,
    index: int,
    revision: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> JsonResponse:
    """Drop a reference."""
    await _require_reference(service, index)
    return await service.record(
        service.studio.set_reference, index, enabled=None, revision=revision
    )


@router.post("/objects")
async def add_object(service: Served, body: NewObjectBody) -> JsonResponse:
    """Add an object."""
    return await service.record(service.studio.add_object, name=body.name, color=body.color)


@router.patch("/objects/{object_id}")
async def set_object(service: Served, object_id: ObjectId, body: ObjectBody) -> JsonResponse:
    """Change an object."""
    changes = body.model_dump(exclude_none=True)
    if not changes:
        raise RequestError(400, "nothing is to change", "give name, color, hidden or locked")
    await _require_object(service, object_id)
    return await service.record(service.studio.set_object, object_id, **changes)


@router.delete("/objects/{object_id}")
async def remove_object(service: Served, object_id: ObjectId) -> JsonResponse:
    """Drop an object."""
    await _require_object(service, object_id)
    return await service.record(service.studio.remove_object, object_id)


@router.patch("/range")
async def set_range(service: Served, body: RangeBody) -> JsonResponse:
    """Set in and out."""
    for index in (body.first, body.last):
        if index is not None:
            service.require_frame(index)
    return await service.record(
        service.studio.set_range, body.first, body.last, revision=body.revision
    )


@router.post("/undo")
async def undo(service: Served) -> JsonResponse:
    """Take back the last edit."""
    return await service.record(service.studio.undo)


@router.post("/redo")
async def redo(service: Served) -> JsonResponse:
    """Make the edit again that was taken back last."""
    return await service.record(service.studio.redo)


@router.post("/clear")
async def clear(service: Served, body: ClearBody) -> JsonResponse:
    """Drop masks."""
    return await service.record(service.studio.clear, body.what)
