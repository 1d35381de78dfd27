"""What settings say about propagators, for the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfx_matte.settings import ini

if TYPE_CHECKING:
    from vfx_matte.pipeline.propagator import PropagatorOptions


def propagator_options(settings: ini.Settings, *, comparison: bool = False) -> PropagatorOptions:
    """The options of propagators.

    Args:
        settings: config.ini with the command line's options.
        comparison: whether frames are to be compared instead of masks propagated.
    """
    from vfx_matte.pipeline.propagator import PropagatorOptions

    return PropagatorOptions(
        name=settings.suggest.propagator if comparison else settings.segment.propagator,
        memory=settings.segment.memory,
        values=settings.comparison if comparison else settings.propagation,
        model=settings.paths.model,
        legacy=settings.legacy,
    )
