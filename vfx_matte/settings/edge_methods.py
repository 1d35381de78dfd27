"""The registry of edge methods: how a mask becomes a matte.

A new method is one file in `vfx_matte/matting` and one entry here; whoever must know of it (the
command line, config.ini, the docs, renders, benchmarks) reads this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from vfx_matte.choices import unknown_choice


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeMethod:
    """What everybody else must know of an edge method."""

    title: str
    """Where its alpha comes from, in a few plain words."""

    estimator: str = ""
    """"module:Class" of an `AlphaEstimator` that finds alpha in the picture; empty for methods that
    look at the mask alone.
    """

    weights: str = ""
    """Folder of its weights below the model folder; empty = it needs none."""

    uses_probabilities: bool = True
    """Whether the propagator's probabilities shape its edge, where they were kept."""

    smooths: bool = False
    """Whether the mask is smoothed by the usual median unless a window is given."""

    feathers: bool = False
    """Whether the edge is feathered by the usual width unless one is given."""

    @property
    def from_picture(self) -> bool:
        """Whether alpha is found in the picture."""
        return bool(self.estimator)


EDGE_METHODS = {
    "hard": EdgeMethod(title="the mask as it is", uses_probabilities=False),
    "median": EdgeMethod(title="the mask smoothed", smooths=True),
    "feather": EdgeMethod(title="the mask smoothed, with a soft edge", smooths=True, feathers=True),
    "guided": EdgeMethod(
        title="from the picture, by the colours of both sides",
        estimator="vfx_matte.matting.guided:GuidedAlpha",
    ),
    "closed-form": EdgeMethod(
        title="from the picture, by closed-form matting (needs pymatting)",
        estimator="vfx_matte.matting.closed_form:ClosedFormAlpha",
    ),
    "vitmatte": EdgeMethod(
        title="from the picture, by the network ViTMatte (needs its weights)",
        estimator="vfx_matte.matting.vitmatte:VitMatteAlpha",
        weights="vitmatte",
    ),
}
"""Name → method, in the order of the help."""

# what "auto" takes: the best of each kind by the tables of docs/matting.md that needs nothing
# installed
_USUAL = {"from the mask": "median", "from the picture": "guided"}


def usual(*, from_picture: bool) -> str:
    """The name of the method that "auto" takes, from the picture or from the mask alone."""
    return _USUAL["from the picture" if from_picture else "from the mask"]


def edge_method_named(name: str) -> EdgeMethod:
    """The method that has a name.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in EDGE_METHODS:
        raise unknown_choice("edge method", name, EDGE_METHODS)
    return EDGE_METHODS[name]


def name_of(method: EdgeMethod) -> str:
    """The name that a method has in the table."""
    # by identity: two methods may have equal facts
    return next(name for name, known in EDGE_METHODS.items() if known is method)
