"""Which propagators a client may choose."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vfx_matte.choices import unknown_choice
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.propagate.registry import (
    choose_propagator,
    missing,
    offered_names,
    registered,
)

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class TrackModel:
    """A propagator."""

    name: str
    """What a request calls it."""

    title: str

    lacks: str = ""
    """What it needs to run here; "" = it runs."""


def track_models(options: PropagatorOptions) -> list[TrackModel]:
    """All propagators, and before them "auto", which is what the server was started with, or else
    the best one that can run here.

    Args:
        options: what the server was started with.
    """
    usual = choose_propagator(None if options.name == AUTO else options.name, options.of)
    others = [registered(name) for name in offered_names()]
    return [
        TrackModel(AUTO, f"vfx-matte, automatic: {usual.entry.title}"),
        *(
            TrackModel(entry.name, f"vfx-matte: {entry.title}", missing(entry, options.of(entry)))
            for entry in others
        ),
    ]


def chosen_model(name: str, options: PropagatorOptions) -> PropagatorOptions:
    """The options of the propagator that a client chose.

    Args:
        name: as `TrackModel.name`.
        options: what the server was started with.

    Raises:
        UsageError: there is none of that name, or it cannot run here.
    """
    if name == AUTO:
        return options
    if name not in offered_names():
        raise unknown_choice("propagator", name, (AUTO, *offered_names()))
    chosen = replace(options, name=name)
    chosen.require_runnable()
    return chosen
