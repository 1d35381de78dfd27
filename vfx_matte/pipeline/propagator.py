"""Which propagator a run uses and how it works. Takes what a user chose, opens a propagator; never sees a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vfx_matte.errors import UsageError
from vfx_matte.pipeline.weights import require_known_checksum
from vfx_matte.propagate import Propagator, choose_propagator, open_propagator
from vfx_matte.propagate.xmem_options import XMemMemory

MEMORIES = ("permanent", "xmem")


@dataclass(frozen=True, slots=True, kw_only=True)
class PropagatorOptions:
    """What a user can choose about propagation.

    name: "auto" (xmem where PyTorch and the weights are there, else builtin), "builtin" or "xmem". memory: "permanent"
    remembers every reference for the whole clip (XMem++), "xmem" uses a reference only from its frame on, in one walk.
    Of xmem alone: weights: its file; size: the short side it works at in pixels, -1 = the clip's own, 0 = 480, or as much as
    free memory is enough for; device: "auto", "cpu" or "cuda"; mem_every: every how many frames one is put into working
    memory; long_term: whether older ones are condensed (without, memory grows with the clip); flip: average with the mirrored
    clip, at twice the cost.
    Raises UsageError for values out of range.
    """

    name: str = "auto"
    weights: Path = Path("model/XMem.pth")
    size: int = 0
    device: str = "auto"
    memory: str = "permanent"
    mem_every: int = 5
    long_term: bool = True
    flip: bool = False

    def __post_init__(self) -> None:
        if self.memory not in MEMORIES:
            raise UsageError(f"memory {self.memory!r} is unknown", hint=f"use --memory {' or '.join(MEMORIES)}")
        if self.mem_every < 1:
            raise UsageError(f"mem-every is {self.mem_every}, expected at least 1", hint="5 suits most clips")

    @property
    def remembers(self) -> bool:
        """Whether references go into permanent memory."""
        return self.memory == "permanent"

    @property
    def settings(self) -> Mapping[str, str | int | bool]:
        """What masks depend on, for the manifest."""
        if self.name != "xmem":
            return {"memory": self.memory}
        return {
            "memory": self.memory,
            "weights": self.weights.name,
            "size": self.size,
            "mem_every": self.mem_every,
            "long_term": self.long_term,
            "flip": self.flip,
        }

    def decided(self, notify: Callable[[str], None]) -> PropagatorOptions:
        """With the propagator's name instead of "auto"; says which and why."""
        name, reason = choose_propagator(None if self.name == "auto" else self.name, weights=self.weights)
        notify(reason)
        return replace(self, name=name)

    def open(self, *, num_objects: int, notify: Callable[[str], None], size: int | None = None) -> Propagator:
        """Open the decided propagator; notify is told about its size and a lack of memory.

        size: what an earlier run of the same work chose, where the choice was left to it.

        Raises as `open_propagator`, and WeightsError for a file with another checksum.
        """
        if self.name != "xmem":
            return open_propagator(self.name, num_objects=num_objects)
        require_known_checksum(self.weights)
        memory = XMemMemory(mem_every=self.mem_every, long_term=self.long_term)
        return open_propagator(
            self.name,
            num_objects=num_objects,
            weights=self.weights,
            size=self.size or size or "auto",
            device=self.device,
            memory=memory,
            flip=self.flip,
            notify=notify,
        )


def repeated_settings(settings: Mapping[str, str | int | float | bool], *, weights: Path) -> list[str]:
    """The options of `segment` that give these settings (`PropagatorOptions.settings`, from a manifest) again.

    What is at its default is left out. weights: where the weights file is; named when it is the one of the settings.
    """
    usual = PropagatorOptions(name="xmem").settings
    words: list[str] = []
    for key, value in settings.items():
        if key not in usual or value == usual[key]:
            continue
        option = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif key != "weights":
            words += [f"--{option}", str(value)]
    if settings.get("weights") == weights.name and weights != PropagatorOptions().weights:
        words += ["--weights", str(weights)]
    return words
