"""Carries what was detected on one picture to the next that a detector is shown.

By a propagator, on small pictures: it only has to tell which thing is which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from vfx_matte.detect.base import Region
from vfx_matte.detect.regions import shrunk_image, shrunk_region
from vfx_matte.masks import Image, Mask
from vfx_matte.pipeline.detect.objects import MOST_OBJECTS
from vfx_matte.propagate.confidence import witnessed_overlap
from vfx_matte.propagate.protocol import ChoosesSize, Propagator, Witnessed

# about the size at which the built-in propagator works by itself
AREA_PX = 480 * 270
"""Pixels of the pictures that the propagator gets; a smaller picture is taken as it is."""

_FEWEST_OBJECTS = 4
"""A propagator is opened for at least so many, as it has to be opened again for more."""


class Carrier:
    """Carries regions, the 255 largest; where they overlap the smaller one counts.

    Args:
        shape: (H, W) of the pictures.
        open_propagator: opens one for K objects, at a working size where one was chosen before.
    """

    def __init__(
        self, shape: tuple[int, int], open_propagator: Callable[[int, int | None], Propagator]
    ) -> None:
        scale = min(1.0, math.sqrt(AREA_PX / max(1, shape[0] * shape[1])))
        self._size = max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
        self._open = open_propagator
        self._propagator: Propagator | None = None
        self._names: list[int] = []
        self._confidence = 1.0
        self._mask: Mask = np.zeros(self._size[::-1], np.uint8)

    def small(self, region: Region) -> Region:
        """A region of the pictures' size, bool (H, W), at the size that is carried."""
        return shrunk_region(region, self._size)

    def start(self, image: Image, regions: Mapping[int, Region]) -> None:
        """Carry these from a picture on, and nothing else.

        Args:
            image: uint8 (H, W, 3) R'G'B', the picture that the regions are of.
            regions: name → bool (h, w) as `small` makes them.
        """
        self.forget()
        # the largest first: what lies on top of it takes its pixels there
        largest = sorted(regions, key=lambda name: -int(np.count_nonzero(regions[name])))
        for name in largest[:MOST_OBJECTS]:
            self._names.append(name)
            self._mask[regions[name]] = len(self._names)
        if not self._mask.any():
            self._names = []
            return
        if self._propagator is None or self._propagator.num_objects < len(self._names):
            self._propagator = self._open(max(_FEWEST_OBJECTS, len(self._names)), None)
        self._propagator.forget_temporary()
        self._propagator.step(shrunk_image(image, self._size), self._mask)

    @property
    def opened(self) -> tuple[int, int | None] | None:
        """For how many objects its propagator is open, and at which working size; None where there
        is none yet.
        """
        if self._propagator is None:
            return None
        chosen = self._propagator if isinstance(self._propagator, ChoosesSize) else None
        return self._propagator.num_objects, None if chosen is None else chosen.working_size

    def reopen(self, opened: tuple[int, int | None] | None) -> None:
        """Open the propagator as it was in another process, before `start`; see `opened`."""
        self._propagator = None if opened is None else self._open(*opened)

    def forget(self) -> None:
        """Carry nothing."""
        self._names, self._mask = [], np.zeros(self._size[::-1], np.uint8)
        self._confidence = 1.0

    def step(self, image: Image) -> None:
        """Go on to the next picture, uint8 (H, W, 3) R'G'B'."""
        if self._propagator is None or not self._names:
            return
        probabilities = self._propagator.step(shrunk_image(image, self._size))
        self._mask = probabilities.argmax(axis=0).astype(np.uint8)
        agreement = self._propagator.agreement if isinstance(self._propagator, Witnessed) else None
        values = witnessed_overlap(probabilities, self._mask, agreement)[: len(self._names)]
        # what has left the picture is not unsure
        shown = [value for at, value in enumerate(values, start=1) if (self._mask == at).any()]
        self._confidence = min(shown, default=1.0)

    @property
    def confidence(self) -> float:
        """The expected overlap of the least sure region with the truth on the last picture, 0 … 1;
        1 where nothing is carried.
        """
        return self._confidence

    @property
    def regions(self) -> dict[int, Region]:
        """Where they are on the last picture: name → bool (h, w), maybe empty."""
        return {name: self._mask == at for at, name in enumerate(self._names, start=1)}
