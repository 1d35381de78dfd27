"""Alpha estimators by name.

Takes a name, gives what turns a picture and a trimap into alpha; optional packages load late.

A new estimator is one line in ESTIMATORS, its name in options.PICTURE_METHODS and its explanation
in config.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vfx_matte.errors import UsageError
from vfx_matte.matting.problem import AlphaEstimator


def _guided(_weights: Path | None) -> AlphaEstimator:
    from vfx_matte.matting.guided import GuidedAlpha

    return GuidedAlpha()


def _closed_form(_weights: Path | None) -> AlphaEstimator:
    from vfx_matte.matting.closed_form import ClosedFormAlpha

    return ClosedFormAlpha()


def _vitmatte(weights: Path | None) -> AlphaEstimator:
    from vfx_matte.matting.vitmatte import DEFAULT_FOLDER, VitMatteAlpha

    return VitMatteAlpha(weights or DEFAULT_FOLDER)


ESTIMATORS: dict[str, Callable[[Path | None], AlphaEstimator]] = {
    "guided": _guided,
    "closed-form": _closed_form,
    "vitmatte": _vitmatte,
}


def open_estimator(name: str, *, weights: Path | None = None) -> AlphaEstimator:
    """The estimator of a name in PICTURE_METHODS.

    weights: the folder of a learned one, None = its usual one.

    Raises UsageError when there is none of this name, or a package or file it needs is not there;
    WeightsError when the weights are not what they should be.
    """
    if name not in ESTIMATORS:
        raise UsageError(
            f"edges {name!r} are unknown", hint=f"known from the picture: {', '.join(ESTIMATORS)}"
        )
    return ESTIMATORS[name](weights)
