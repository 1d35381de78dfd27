"""Finds objects without any mark for CVAT."""

from __future__ import annotations

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import PIL.Image
from cvat_sdk import models

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import UsageError
from vfx_matte.labelling.cvat.parameters import (
    Value,
    as_parameter,
    explains,
    model_folder,
    refuse_unknown,
    taken,
)
from vfx_matte.labelling.cvat.shapes import MASK, POLYGON, TYPES, points_of
from vfx_matte.labelling.messages import LogReporter, as_path
from vfx_matte.pipeline.detect.pictures import PictureDetector
from vfx_matte.settings.by_name import records_of_json
from vfx_matte.settings.options import DetectSettings, RenderSettings
from vfx_matte.wording import option

_OWN = {"label", "shape", "model", "device", "fetch", "detector_weights"}
# the others are for clips
_SETTINGS = {"detector", "backbone", "threshold", "max_objects", "classes", "clean"}


class Detecting:
    """A `cvat_sdk.auto_annotation.DetectionFunction`.

    Args:
        detector: what finds objects.
        shape: what they are given as, "mask" or "polygon".
        label: what objects are called that the detector has no class for; "" = as it calls them.

    Raises:
        UsageError: there is a label, and there are classes.
    """

    def __init__(self, detector: PictureDetector, *, shape: str, label: str) -> None:
        if label and len(detector.classes) > 1:
            raise UsageError(
                f"the detector has labels of its own, so there is no use for"
                f" {option('label', label)}",
                hint=f"choose among them with {option('classes', 'person,dog')}",
            )
        self._detector, self._shape = detector, shape
        names = (label,) if label else detector.classes
        self._ids = dict(zip(detector.classes, range(len(names)), strict=True))
        self._labels = [
            cvataa.label_spec(name, number, type=shape) for number, name in enumerate(names)
        ]

    @property
    def spec(self) -> cvataa.DetectionFunctionSpec:
        """The labels."""
        return cvataa.DetectionFunctionSpec(labels=self._labels)

    @explains
    def detect(
        self, context: cvataa.DetectionFunctionContext, image: PIL.Image.Image
    ) -> list[models.LabeledShapeRequest]:
        """The objects of a picture, the surest first.

        Raises:
            BadFunctionError: the detector cannot run.
        """
        found = self._detector.detect(
            np.asarray(image.convert("RGB")), threshold=context.conf_threshold
        )
        kind = POLYGON if context.conv_mask_to_poly else self._shape
        return [
            cvataa.shape(self._ids[one.class_name], type=kind, points=points, score=one.score)
            for one in found
            if (points := points_of(kind, one.mask)) is not None
        ]


def detector(parameters: dict[str, Value]) -> Detecting:
    """Make the detection function.

    Args:
        parameters: `detector`, `backbone`, `threshold`, `max_objects`, `classes` and `clean` as for
            `vfx-matte detect`; `detector_weights`, `model`, `device` and `fetch`; `shape`, "mask"
            or "polygon"; `label`, what a detector without classes calls everything.

    Raises:
        UsageError: a parameter cannot be followed.
        WeightsError: the detector's weights are missing.
    """
    refuse_unknown(parameters, _OWN | _SETTINGS)
    shape = taken(parameters, "shape", MASK)
    if shape not in TYPES:
        raise unknown_choice("shape", shape, TYPES)
    chosen = {name: value for name, value in parameters.items() if name in _SETTINGS}
    (settings,) = records_of_json(chosen, DetectSettings)
    weights = taken(parameters, "detector_weights", "")
    return Detecting(
        PictureDetector(
            settings.overridden(detector_weights=as_path(weights) if weights else None),
            model=model_folder(parameters),
            device=taken(parameters, "device", RenderSettings().device),
            fetch=taken(parameters, "fetch", True),
            reporter=LogReporter(as_parameter),
        ),
        shape=shape,
        label=taken(parameters, "label", ""),
    )
