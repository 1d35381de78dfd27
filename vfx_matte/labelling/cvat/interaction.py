"""Masks from clicks and boxes for CVAT."""

from __future__ import annotations

from collections import OrderedDict

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import PIL.Image
from cvat_sdk import models

from vfx_matte.errors import NothingFoundError
from vfx_matte.labelling.cvat.parameters import (
    Value,
    as_parameter,
    explains,
    model_folder,
    refuse_unknown,
    taken,
)
from vfx_matte.labelling.cvat.shapes import MASK, points_of
from vfx_matte.labelling.messages import LogReporter
from vfx_matte.pipeline.first_mask import Box, Marking, Marks, PictureOpener
from vfx_matte.pipeline.tracking import Picture, box_between, click_at

_PARAMETERS = {"method", "model", "fetch"}
# a 4K one takes some 300 MB, and CVAT keeps pictures for ten minutes
_MOST_OPEN = 3


class Interaction:
    """A `cvat_sdk.auto_annotation.InteractionFunction`.

    Pictures that were clicked on last stay open, so that the next click on them is fast.

    Args:
        opener: opens pictures.
    """

    def __init__(self, opener: PictureOpener) -> None:
        self._opener = opener
        self._open: OrderedDict[Picture, Marking] = OrderedDict()

    @property
    def spec(self) -> cvataa.InteractionFunctionSpec:
        """What can be marked: points on the object and beside it, and a box; all optional."""
        return cvataa.InteractionFunctionSpec(
            min_pos_points=0, min_neg_points=0, min_bounding_boxes=0
        )

    def preprocess_image(
        self, context: cvataa.InteractionFunctionContext, image: PIL.Image.Image
    ) -> Picture:
        """The picture's pixels."""
        del context
        return Picture(np.asarray(image.convert("RGB")))

    @explains
    def detect(
        self,
        context: cvataa.InteractionFunctionContext,
        pp_image: Picture,
        prompts: cvataa.InteractionPrompts,
    ) -> list[cvataa.InteractionResultShape]:
        """The mask of what is marked, with its confidence; none where nothing is found.

        Raises:
            BadFunctionError: the marks contradict each other, lie outside of the picture, or only
                say what is not meant.
        """
        del context
        marks = _marks(prompts, pp_image)
        if marks.is_empty:
            return []
        nothing = np.zeros(pp_image.image.shape[:2], np.uint8)
        try:
            mask, answers, _ = self._marking(pp_image).placed(nothing, marks, object_id=1)
        except NothingFoundError:
            return []
        points = points_of(MASK, mask == 1)
        confidence = models.AttributeValRequest(
            spec_id=int(cvataa.InteractionResultAttributes.CONFIDENCE),
            value=f"{answers[1].confidence:.3f}",
        )
        return [
            cvataa.InteractionResultShape(type=MASK, points=points or [], attributes=[confidence])
        ]

    def _marking(self, picture: Picture) -> Marking:
        if picture not in self._open:
            self._open[picture] = self._opener.open(picture.image)
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(picture)
        return self._open[picture]


def interactor(parameters: dict[str, Value]) -> Interaction:
    """Make the function for clicks and boxes.

    Args:
        parameters: `method`, `model`, and `fetch`, whether a small network may be fetched.

    Raises:
        UsageError: a parameter cannot be followed.
    """
    refuse_unknown(parameters, _PARAMETERS)
    return Interaction(
        PictureOpener(
            method=taken(parameters, "method", "auto"),
            model=model_folder(parameters),
            fetch=taken(parameters, "fetch", True),
            reporter=LogReporter(as_parameter),
        )
    )


def _marks(prompts: cvataa.InteractionPrompts, picture: Picture) -> Marks:
    """CVAT's prompts, which are between pixels, as marks on pixels. Raises UsageError where they
    lie outside of the picture.
    """
    height, width = picture.image.shape[:2]
    box: Box | None = None
    if prompts.bounding_box is not None:
        box = box_between(*prompts.bounding_box, width=width, height=height)
    clicks = (
        click_at(*point, is_object=is_object, width=width, height=height)
        for points, is_object in ((prompts.pos_points, True), (prompts.neg_points, False))
        for point in points
    )
    return Marks(box, tuple(clicks))
