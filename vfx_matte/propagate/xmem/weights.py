"""Says what a weights file holds, as XMem's network reads it; no code in a file is run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from vfx_matte.propagate.xmem.network import Dimensions, load_network


class WeightsFacts(NamedTuple):
    """A network's weights."""

    tensors: int
    """How many."""

    dimensions: Dimensions

    single_object: bool
    """Whether it was trained without a channel for other objects."""

    def __str__(self) -> str:
        key, value, hidden = self.dimensions
        objects = "a single object" if self.single_object else "several objects"
        state = f"hidden {hidden}" if hidden else "no hidden state"
        return (
            f"{self.tensors} tensors named and shaped as XMem's; key {key}, value {value}, {state};"
            f" trained on {objects}"
        )


def describe_weights(path: Path) -> WeightsFacts:
    """Load a file as `segment` would.

    Raises PropagatorError when it cannot, naming the first tensor that differs.
    """
    network = load_network(path)
    # `load_network` gives weights of single-object training a fifth channel, of zeros, which no
    # training would leave
    single_object = not network.value_encoder.conv1.weight[:, 4].any()
    return WeightsFacts(len(network.state_dict()), network.dimensions, bool(single_object))
