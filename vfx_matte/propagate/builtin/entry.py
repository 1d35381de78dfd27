"""The built-in propagator's entry in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vfx_matte.detect.names import NETWORK_FILE, NETWORK_TITLE
from vfx_matte.propagate.entry import Helper, Opening, PropagatorEntry, option
from vfx_matte.settings.options import Options

_Key = tuple[Path, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltinOptions(Options):
    """What can be chosen about the built-in propagator."""

    network: Path | None = option(
        None, f"whether {NETWORK_TITLE} helps, where it is in the model folder", file=NETWORK_FILE
    )
    """The weights of U²-Netp; None does without."""


# the network that was opened to see whether it can be used: who propagates takes it. It is never
# lent twice, as a network may only be run by one thread.
_tried: dict[_Key, object] = {}
_usable: set[_Key] = set()


def _key(path: Path) -> _Key:
    """A file as it is now."""
    stat = path.stat()
    return path.absolute(), stat.st_mtime_ns, stat.st_size


def _load(path: Path) -> object:
    from vfx_matte.detect.salient import SalientNetwork

    return SalientNetwork(path)


def _try(path: Path) -> object:
    """Open the network, unless this very file was opened before."""
    if path.is_file() and (key := _key(path)) in _usable:
        return key
    network = _load(path)
    key = _key(path)
    _usable.add(key)
    _tried.clear()
    _tried[key] = network
    return network


def _arguments(options: BuiltinOptions, _opening: Opening) -> Mapping[str, object]:
    path = options.network
    if path is None:
        return {}
    # of a file that is missing the network says so
    found = _tried.pop(_key(path), None) if path.is_file() else None
    return {"network": _load(path) if found is None else found}


BUILTIN = PropagatorEntry(
    name="builtin",
    title="built-in",
    implementation="vfx_matte.propagate.builtin.propagator:BuiltinPropagator",
    options=BuiltinOptions,
    arguments=_arguments,
    describer="vfx_matte.propagate.builtin.describer:BuiltinDescriber",
    helper=Helper(option="network", title=NETWORK_TITLE, load=_try),
    preference=0,
    is_compiled=True,
)
