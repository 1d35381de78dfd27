"""Opens the alpha estimator of an edge method; its packages are imported then, or before."""

from __future__ import annotations

from pathlib import Path

from vfx_matte.choices import implementation_of
from vfx_matte.errors import UsageError
from vfx_matte.matting.problem import AlphaEstimator
from vfx_matte.settings.edge_methods import EDGE_METHODS, edge_method_named


def open_estimator(name: str, *, weights: Path | None = None) -> AlphaEstimator:
    """Open what finds alpha in the picture for an edge method.

    Args:
        name: a method of `EDGE_METHODS` that looks at the picture.
        weights: the folder of a learned method's weights; None is its usual one.

    Returns:
        The estimator, ready to be called.

    Raises:
        UsageError: no such method, or a package or file that it needs is not there.
        WeightsError: its weights are not what they should be.
    """
    method = edge_method_named(name)
    if not method.from_picture:
        known = ", ".join(known for known, entry in EDGE_METHODS.items() if entry.from_picture)
        raise UsageError(f"edges {name!r} do not look at the picture", hint=f"these do: {known}")
    opener = implementation_of(method.estimator)
    folder = weights or Path("model") / method.weights
    estimator: AlphaEstimator = opener(folder) if method.weights else opener()
    return estimator
