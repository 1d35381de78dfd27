"""The built-in propagator's entry in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vfx_matte.detect.names import NETWORK_FILE, NETWORK_TITLE
from vfx_matte.propagate.entry import Helper, Opening, PropagatorEntry, option
from vfx_matte.settings.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltinOptions(Options):
    """What can be chosen about the built-in propagator."""

    network: Path | None = option(
        None, f"whether {NETWORK_TITLE} helps, where it is in the model folder", file=NETWORK_FILE
    )
    """The weights of U²-Netp; None does without."""


def _load(path: Path) -> object:
    from vfx_matte.detect.salient import SalientNetwork

    return SalientNetwork(path)


def _arguments(options: BuiltinOptions, _opening: Opening) -> Mapping[str, object]:
    return {} if options.network is None else {"network": _load(options.network)}


BUILTIN = PropagatorEntry(
    name="builtin",
    title="built-in",
    implementation="vfx_matte.propagate.builtin.propagator:BuiltinPropagator",
    options=BuiltinOptions,
    arguments=_arguments,
    describer="vfx_matte.propagate.builtin.describer:BuiltinDescriber",
    helper=Helper(option="network", title=NETWORK_TITLE, load=_load),
    preference=0,
)
