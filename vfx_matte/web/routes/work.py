"""Work that takes a while, what it reports, and what the project can be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Body, Header, Path
from fastapi.responses import StreamingResponse

from vfx_matte.pipeline.records import as_json
from vfx_matte.web import file_manager
from vfx_matte.web.answers import JsonResponse
from vfx_matte.web.bodies import CheckBody, FindBody, PropagateBody, RenderBody, WaysBody, binary
from vfx_matte.web.failures import RequestError
from vfx_matte.web.option_table import option_facts
from vfx_matte.web.service import Served, Service

router = APIRouter(prefix="/api")


@router.post("/jobs")
async def start_job(
    service: Served,
    body: Annotated[PropagateBody | RenderBody | FindBody, Body(discriminator="kind")],
) -> JsonResponse:
    """Queue a propagation, a render, or a search for what a text says."""
    if isinstance(body, FindBody):
        return await service.record(service.studio.find, body.text)
    if isinstance(body, PropagateBody):
        service.require_frame(body.index)
        return await service.record(service.studio.propagate, body.direction, body.index)
    return await service.record(service.studio.render, body.name, body.options)


@router.get("/ways")
async def ways(service: Served) -> JsonResponse:
    """How masks can be made, and how they are."""
    return await service.record(service.studio.ways)


@router.patch("/ways")
async def choose(service: Served, body: WaysBody) -> JsonResponse:
    """Make masks in another way from now on."""
    return await service.record(
        service.studio.choose, method=body.method, propagator=body.propagator
    )


@router.post("/check")
async def check(service: Served, body: CheckBody) -> JsonResponse:
    """Whether a render could be made, and what it would remark; errors are those of the job."""
    lines = await service.call(service.studio.check_render, body.name, body.options)
    return JsonResponse({"notices": lines})


@router.delete("/jobs/{job_id}")
async def stop_job(service: Served, job_id: Annotated[int, Path(ge=0, le=2**53)]) -> JsonResponse:
    """Stop a job, or take it out of the queue."""
    # the engine knows no difference between a job that is not there and any other misuse
    jobs = await service.call(service.studio.jobs)
    if all(job.id != job_id for job in jobs):
        raise RequestError(404, f"there is no job {job_id}", "load the page again")
    await service.call(service.studio.stop, job_id)
    return JsonResponse({})


@router.post("/outputs/{output_id}/show")
async def show_output(
    service: Served, output_id: Annotated[int, Path(ge=0, le=2**53)]
) -> JsonResponse:
    """Open the folder of an output in the file manager of this machine."""
    outputs = {
        output.id for job in await service.call(service.studio.jobs) for output in job.outputs
    }
    if output_id not in outputs:
        raise RequestError(404, f"there is no output {output_id}", "load the page again")
    path = await service.call(service.studio.output_path, output_id)
    if not service.shows_files:
        raise RequestError(403, "no file manager can be opened from here", f"it is {path}")
    if not path.exists():
        raise RequestError(404, f"{str(path)!r} is no longer there", "export it again")
    await service.call(file_manager.show, path)
    return JsonResponse({})


@router.get("/suggested")
async def suggested(service: Served) -> JsonResponse:
    """Frames that are worth a mask of one's own."""
    return await _found(service, service.studio.suggested)


@router.get("/problems")
async def problems(service: Served) -> JsonResponse:
    """Frames whose masks stand out."""
    return await _found(service, service.studio.problems)


async def _found(service: Service, look: Callable[[], object]) -> JsonResponse:
    """What was found in the masks, and in which: those that are edited meanwhile are others."""
    revision = service.studio.masks_revision
    answer = await service.record(look)
    answer.headers["x-masks-revision"] = str(revision)
    return answer


@router.get("/options")
async def options(service: Served) -> JsonResponse:
    """The options of edges and renders."""
    return JsonResponse(as_json(option_facts(service.options), service.speller))


@router.post("/commands")
async def commands(service: Served, body: CheckBody) -> JsonResponse:
    """Command lines that would make the same masks and the same export."""
    lines = await service.call(service.studio.commands, body.name, body.options)
    return JsonResponse([service.speller.typed(line) for line in lines])


@router.get("/events", response_class=StreamingResponse, responses=binary("text/event-stream"))
async def events(
    service: Served, last_event_id: Annotated[str | None, Header(max_length=40)] = None
) -> StreamingResponse:
    """What happens, as server-sent events."""
    stream = service.events.open(last_event_id)
    return StreamingResponse(stream, media_type="text/event-stream")
