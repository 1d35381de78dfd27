"""Makes a function from the parameters that a CVAT user types."""

from __future__ import annotations

import sys

from cvat_sdk.auto_annotation import AutoAnnotationFunction

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import UsageError, VfxMatteError
from vfx_matte.labelling.cvat.detection import detector
from vfx_matte.labelling.cvat.interaction import interactor
from vfx_matte.labelling.cvat.parameters import ParameterError, Value, as_parameter
from vfx_matte.labelling.cvat.tracking import tracker
from vfx_matte.labelling.messages import told
from vfx_matte.wording import option

_AUTO_ANNOTATE = "auto-annotate"
_KINDS = {"tracker": tracker, "interactor": interactor, "detector": detector}


def create(**parameters: Value) -> AutoAnnotationFunction:
    """Make a function for `cvat-cli`, or for `cvat_sdk.auto_annotation.annotate_task`.

    Args:
        parameters: `kind` is "tracker" (the default), "interactor" or "detector"; the others are
            of `tracker`, `interactor` and `detector`.

    Raises:
        ParameterError: a parameter cannot be followed, or something that it asks for is not there.
    """
    kind = parameters.pop("kind", "tracker")
    try:
        if kind not in _KINDS:
            raise unknown_choice("kind", str(kind), _KINDS)
        # cvat-cli only asserts that it is a detector, and shows a traceback
        if kind != "detector" and _AUTO_ANNOTATE in sys.argv:
            raise UsageError(
                f"{_AUTO_ANNOTATE} takes a detector, and this is {kind!r}",
                hint=f"add {option('kind', 'detector')}; trackers and interactors run by run-agent",
            )
        return _KINDS[str(kind)](parameters)
    except VfxMatteError as error:
        raise ParameterError(told(error, as_parameter)) from error
