"""What registry entries of networks that find things have in common."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vfx_matte.choices import implementation_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkEntry:
    """A network that finds things: everything that the rest of the program has to know about it."""

    name: str
    """What users choose it by, and what a run's manifest records."""

    title: str
    """What people call it: "Mask R-CNN"."""

    implementation: str
    """Its class, as "module:Class", opened with `weights`, a path, and `device`."""

    weights: str
    """The usual name of its weights in the model folder: a file, or a folder."""

    packages: tuple[str, ...] = ()
    """Packages that it needs and that may be missing, as they are imported."""

    extra: str = ""
    """The extra of this program that installs them."""

    @property
    def missing_packages(self) -> list[str]:
        """Those of its packages that are not installed; nothing is imported to find out."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    def open(self, *, weights: Path, device: str) -> Any:  # noqa: ANN401  as the registry says
        """Open the network; nothing may be missing.

        Args:
            weights: its file or folder of weights.
            device: "auto", "cpu", "cuda" or "cuda:1".

        Raises:
            WeightsError: the weights are missing, or are not a network of this kind.
            DeviceError: the device cannot be used.
        """
        return implementation_of(self.implementation)(weights=weights, device=device)
