"""What can be chosen, and one picture at a time, as X-AnyLabeling asks for it."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import APIRouter

from vfx_matte.pipeline.first_mask import Click, Marks
from vfx_matte.pipeline.tracking import (
    box_between,
    chosen_model,
    click_at,
    decode_sent,
    track_models,
)
from vfx_matte.web.answers import JsonResponse
from vfx_matte.web.serve.bodies import MarkBody, PredictBody, decoded
from vfx_matte.web.serve.service import Served, Serving
from vfx_matte.web.serve.video import shapes_of

router = APIRouter(prefix="/v1", tags=["models"])

# the controls that X-AnyLabeling shows, by its own names
_CLICKS: dict[str, dict[str, str]] = {
    "button_add_point": {},
    "button_remove_point": {},
    "button_clear": {},
    "button_finish_object": {},
    "mask_fineness_slider": {},
    "mask_fineness_value_label": {},
}
_TASKS = [
    {
        "id": "track",
        "name": "Track through all pictures",
        "batch_processing_mode": "video",
        "active_widgets": _CLICKS,
    },
    {
        "id": "picture",
        "name": "This picture alone",
        "batch_processing_mode": None,
        "active_widgets": {**_CLICKS, "button_add_rect": {}},
    },
]


@router.get("/models")
async def models(serving: Served) -> JsonResponse:
    """The propagators that can be chosen: name → facts, in the form of X-AnyLabeling."""
    found = await serving.call(track_models, serving.propagator)
    return JsonResponse(
        {
            "success": True,
            "data": {
                one.name: {
                    "display_name": one.title,
                    "batch_processing_mode": "video",
                    "widgets": [],
                    "available_tasks": _TASKS,
                    "params": {},
                }
                for one in found
                if not one.lacks
            },
            "unavailable": {one.name: serving.speller(one.lacks) for one in found if one.lacks},
        }
    )


@router.post("/predict")
async def predict(serving: Served, body: PredictBody) -> JsonResponse:
    """The object that is marked on one picture, as polygons."""
    return JsonResponse({"success": True, "data": await serving.call(_predicted, serving, body)})


def _predicted(serving: Serving, body: PredictBody) -> dict[str, Any]:
    chosen_model(body.model, serving.propagator)
    data = decoded(body.image, "the image")
    image = decode_sent(data, "the image", most_pixels=serving.most_pixels)
    height, width = image.shape[:2]
    marks = marks_of(body.params.marks, width=width, height=height)
    # all marks have been taken back
    if marks.is_empty:
        return {"shapes": [], "description": ""}
    key = ("picture", hashlib.sha256(data).hexdigest())
    found = serving.prompter.answer(key, lambda: image, marks)
    shapes = shapes_of(found.mask, 1, score=found.confidence, fineness=body.params.epsilon_factor)
    return {"shapes": shapes, "description": ""}


def marks_of(given: list[MarkBody], *, width: int, height: int) -> Marks:
    """Marks of X-AnyLabeling; of several boxes the last one counts.

    Args:
        given: points and rectangles, in pixels.
        width: of the picture.
        height: of the picture.

    Raises:
        UsageError: one lies outside of the picture.
    """
    clicks: dict[tuple[int, int], Click] = {}
    box = None
    for mark in given:
        if mark.type == "rectangle":
            left, top, right, bottom = mark.data
            box = box_between((left, top), (right, bottom), width=width, height=height)
        else:
            x, y = mark.data
            click = click_at(x, y, is_object=mark.label != 0, width=width, height=height)
            # of two clicks on one pixel the later one is meant
            clicks[click.x, click.y] = click
    return Marks(box, tuple(clicks.values()))
