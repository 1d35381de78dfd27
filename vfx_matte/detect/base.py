"""The protocol of detectors: what finds instances in one picture without any mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vfx_matte.masks import Image

Region = npt.NDArray[np.bool_]
"""bool (H, W)."""


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One instance that was found in a picture."""

    class_name: str
    """What it is, as the detector calls it: "dog"; "subject" where it knows no classes."""

    score: float
    """How sure the detector is, 0 … 1."""

    mask: Region
    """bool (H, W), of the picture's size; not empty. Masks of two instances may overlap."""


class Detector(Protocol):
    """Finds instances in single pictures."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of all classes that it can find; one that knows none calls all "subject"."""

    def detect(self, image: Image) -> list[Detection]:
        """Find instances.

        Args:
            image: uint8 (H, W, 3) R'G'B', at least 1×1.

        Returns:
            What was found, the surest first; empty where nothing was. Scores are not thresholded
            any further than the detector itself has to.

        Raises:
            WeightsError: its network does not give what is expected of it.
            DeviceError: memory of the device is too small.
        """
