"""The protocol and the registry of text detectors: what finds what a text says in one picture.

A new one is a file with a class that is a `TextDetector`, and an entry here. Nothing is imported
for it until it is opened. The program fetches none of their weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vfx_matte.detect.entry import NetworkEntry
from vfx_matte.errors import UsageError, WeightsError, install_hint
from vfx_matte.wording import command, option

if TYPE_CHECKING:  # read before anything that needs NumPy
    from vfx_matte.detect.base import Detection
    from vfx_matte.masks import Image


class TextDetector(Protocol):
    """Finds in single pictures what a text says."""

    def detect(self, image: Image, text: str) -> list[Detection]:
        """Find instances.

        Args:
            image: uint8 (H, W, 3) R'G'B', at least 1×1.
            text: what is looked for, such as "the dog"; one line, not empty.

        Returns:
            What was found, the surest first, with the text as class; empty where nothing was.

        Raises:
            UsageError: the text is longer than the network reads.
            WeightsError: its network does not give what is expected of it.
            DeviceError: memory of the device is too small.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDetectorEntry(NetworkEntry):
    """A text detector: everything that the rest of the program has to know about it."""

    source: str
    """Where its weights are to be had, and on what terms."""


# the first that can run is taken
REGISTRY: tuple[TextDetectorEntry, ...] = (
    TextDetectorEntry(
        name="sam3",
        title="SAM 3",
        implementation="vfx_matte.detect.sam3:Sam3",
        weights="sam3",
        source="facebook/sam3 on Hugging Face, after accepting its licence (Meta's SAM License,"
        " which prohibits some uses)",
        packages=("torch", "transformers"),
        extra="detect",
    ),
)


def open_text_detector(
    *, weights: Path | None, model: Path, device: str
) -> tuple[TextDetectorEntry, TextDetector]:
    """Open the first text detector that can run here.

    Args:
        weights: its file or folder of weights; None is the usual one in the model folder.
        model: the model folder.
        device: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        UsageError: a package is missing.
        WeightsError: the weights are missing, or are not a network of this kind.
        DeviceError: the device cannot be used.
    """
    paths = {entry.name: weights or model / entry.weights for entry in REGISTRY}
    entry = next((one for one in REGISTRY if not _lack(one, paths[one.name])), REGISTRY[0])
    path = paths[entry.name]
    if lack := _lack(entry, path):
        raise lack
    detector: TextDetector = entry.open(weights=path, device=device)
    return entry, detector


def lack_of_text_detector(weights: Path | None, model: Path) -> UsageError | WeightsError | None:
    """What finding a text lacks here; None where it lacks nothing. Nothing is imported.

    Args:
        weights: as of `open_text_detector`.
        model: the model folder.
    """
    lacks = [_lack(entry, weights or model / entry.weights) for entry in REGISTRY]
    return None if None in lacks else lacks[0]


def _lack(entry: TextDetectorEntry, weights: Path) -> UsageError | WeightsError | None:
    """What a text detector lacks to run here; None where it lacks nothing."""
    without = f"without it: {command('detect')}, or {command('mask')} for a first mask"
    # the weights first, as they are harder to get than packages
    if not weights.exists():
        return WeightsError(
            f"finding a text needs {entry.title}, whose weights are not at {weights}",
            hint=f"get them from {entry.source}, and put the folder there;"
            f" {option('text_model')} names another one; {without}",
        )
    if lacking := entry.missing_packages:
        return UsageError(
            f"finding a text needs {entry.title}, and that {' and '.join(lacking)}, which"
            f" {'is' if len(lacking) == 1 else 'are'} not installed",
            hint=f"{install_hint(entry.extra)}; {without}",
        )
    return None
