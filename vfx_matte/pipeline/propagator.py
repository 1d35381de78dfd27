"""Which propagator a run uses and how it works.

Takes what a user chose, opens a propagator; never sees a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.errors import UsageError, WorkspaceError
from vfx_matte.pipeline.salient_network import FETCH_COMMAND, TITLE, opened_network
from vfx_matte.pipeline.weights import require_known_checksum
from vfx_matte.propagate import Propagator, choose_propagator, open_propagator
from vfx_matte.propagate.xmem.options import XMemMemory
from vfx_matte.wording import option
from vfx_matte.workspace import Manifest

MEMORIES = ("permanent", "xmem")
NETWORK_SETTING = "network"
"""The manifest's setting that names the network which helped; without it none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PropagatorOptions:
    """What a user can choose about propagation.

    name: "auto" (xmem where PyTorch and the weights are there, else builtin), "builtin" or "xmem".
    memory: "permanent" remembers every reference for the whole clip (XMem++), "xmem" uses a
    reference only from its frame on, in one walk. Of builtin alone: network: the file of U²-Netp,
    which helps it where it is there (`salient_network`); None does without. Of xmem alone: weights:
    its file; size: the short side it works at in pixels, -1 = the clip's own, 0 = 480, or as much
    as free memory is enough for; device: "auto", "cpu" or "cuda"; mem_every: every how many frames
    one is put into working memory; long_term: whether older ones are condensed (without, memory
    grows with the clip); flip: average with the mirrored clip, at twice the cost.
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
    network: Path | None = None

    def __post_init__(self) -> None:
        if self.memory not in MEMORIES:
            raise UsageError(
                f"memory {self.memory!r} is unknown",
                hint=f"use {' or '.join(option('memory', one) for one in MEMORIES)}",
            )
        if self.mem_every < 1:
            raise UsageError(
                f"mem-every is {self.mem_every}, expected at least 1", hint="5 suits most clips"
            )

    @property
    def remembers(self) -> bool:
        """Whether references go into permanent memory."""
        return self.memory == "permanent"

    @property
    def settings(self) -> Mapping[str, str | int | bool]:
        """What masks depend on, for the manifest."""
        if self.name != "xmem":
            return {
                "memory": self.memory,
                **({} if self.network is None else {NETWORK_SETTING: self.network.name}),
            }
        return {
            "memory": self.memory,
            "weights": self.weights.name,
            "size": self.size,
            "mem_every": self.mem_every,
            "long_term": self.long_term,
            "flip": self.flip,
        }

    def decided(
        self, notify: Callable[[str], None], *, earlier: Manifest | None = None
    ) -> PropagatorOptions:
        """With the propagator's name instead of "auto", and a network only where it can be used;
        says which and why.

        earlier: work that is to be gone on with, in the way that it was begun.
        Raises WorkspaceError where that is not possible any more.
        """
        name, reason = choose_propagator(
            None if self.name == "auto" else self.name, weights=self.weights
        )
        if name != "builtin":
            notify(reason)
            return replace(self, name=name, network=None)
        network, told = self._usable_network(notify, earlier)
        what, *why = reason.split("; ", 1)
        notify("; ".join([what + told, *why]))
        return replace(self, name=name, network=network)

    def _usable_network(
        self, notify: Callable[[str], None], earlier: Manifest | None
    ) -> tuple[Path | None, str]:
        """The network's file where it helps, and what is said about it behind the propagator's
        name.
        """
        begun = earlier is not None and earlier.propagator == "builtin"
        begun_with = earlier is not None and NETWORK_SETTING in earlier.settings
        if begun and not begun_with:
            there = self.network is not None and self.network.is_file()
            return None, f", without {TITLE}, as this work was begun" if there else ""
        if self.network is not None and self.network.is_file():
            if opened_network(self.network, notify) is not None:
                return self.network, f", with {TITLE} ({option('network', False)} does without)"
            return None, ""
        if begun_with:
            found = (
                "it is switched off"
                if self.network is None
                else f"there is none in {self.network.parent}"
            )
            hint = (
                f"leave out {option('network', False)}"
                if self.network is None
                else f"{FETCH_COMMAND} gets it"
            )
            raise WorkspaceError(
                f"this work was begun with {TITLE}, and {found}: masks would differ",
                hint=f"{hint}, or add {option('fresh', True)} to start again",
            )
        return (
            None,
            ""
            if self.network is None
            else f"; {FETCH_COMMAND} gets a network that makes its masks better",
        )

    def open(
        self, *, num_objects: int, notify: Callable[[str], None], size: int | None = None
    ) -> Propagator:
        """Open the decided propagator; notify is told about its size and a lack of memory.

        size: what an earlier run of the same work chose, where the choice was left to it.

        Raises as `open_propagator`, and WeightsError for a file with another checksum.
        """
        if self.name != "xmem":
            if self.name != "builtin" or self.network is None:
                return open_propagator(self.name, num_objects=num_objects)
            require_known_checksum(self.network)
            return open_propagator(
                self.name, num_objects=num_objects, network=SalientNetwork(self.network)
            )
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


def repeated_settings(
    settings: Mapping[str, str | int | float | bool], *, weights: Path
) -> dict[str, str | int | float | bool]:
    """The options of `segment` that give these settings (`PropagatorOptions.settings`, from a
    manifest) again.

    What is at its default is left out. weights: where the weights file is; named when it is the one
    of the settings.
    """
    usual = PropagatorOptions(name="xmem").settings
    options = {
        key: value
        for key, value in settings.items()
        if key in usual and key != "weights" and value != usual[key]
    }
    if settings.get("weights") == weights.name and weights != PropagatorOptions().weights:
        options["weights"] = str(weights)
    return options
