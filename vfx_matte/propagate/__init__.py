"""Propagates masks from frame to frame.

`registry` lists the propagators, `protocol` says what they do, `driver` decides which frames they
see. Images and reference masks come in, probabilities go out; no file is read but weights.
"""

from __future__ import annotations

from vfx_matte.propagate.protocol import (
    ChoosesSize,
    Foresighted,
    Propagator,
    SelectiveMemory,
    Witnessed,
)
from vfx_matte.propagate.registry import choose_propagator, open_propagator

__all__ = [
    "ChoosesSize",
    "Foresighted",
    "Propagator",
    "SelectiveMemory",
    "Witnessed",
    "choose_propagator",
    "open_propagator",
]
