"""What stands out, as a detector: the salient network's subjects, which have no class."""

from __future__ import annotations

from pathlib import Path

from vfx_matte.detect.base import Detection
from vfx_matte.detect.salient import SalientNetwork
from vfx_matte.first_mask.learned import LearnedFirstMask
from vfx_matte.masks import Image

CLASS = "subject"
"""What it calls everything."""


class SalientSubjects:
    """A `detect.base.Detector` that finds the connected parts of what stands out.

    Args:
        weights: the salient network's file.
        device: unused; OpenCV runs it on the CPU.
    """

    def __init__(self, *, weights: Path, device: str) -> None:
        del device
        self._network = SalientNetwork(weights)

    @property
    def classes(self) -> tuple[str, ...]:
        """One for all."""
        return (CLASS,)

    def detect(self, image: Image) -> list[Detection]:
        """See `Detector.detect`; a score is the confidence of a first mask."""
        found = LearnedFirstMask(image, self._network).subjects()
        instances = [
            Detection(CLASS, float(answer.confidence), answer.mask > 0)
            for answer in found
            if answer.mask.any()
        ]
        return sorted(instances, key=lambda one: -one.score)
