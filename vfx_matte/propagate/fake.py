"""A propagator for tests of everything around propagators; it does not look at pixels."""

from __future__ import annotations

import numpy as np

from vfx_matte.masks import Image, Mask, Probabilities
from vfx_matte.propagate.walk_state import State


class FakePropagator:
    """Repeats the last mask of the walk, unchanged; a walk without a mask finds nothing."""

    def __init__(self, *, num_objects: int) -> None:
        if num_objects < 1:
            raise ValueError(f"num_objects is {num_objects}, expected at least 1")
        self.num_objects = num_objects
        self._remembers = False
        self._last: Mask | None = None

    def remember(self, image: Image, mask: Mask) -> None:
        """Note only whether an object was shown."""
        self._check(image, mask)
        self._remembers = self._remembers or bool(mask.any())

    def step(self, image: Image, mask: Mask | None = None, *, last: bool = False) -> Probabilities:  # noqa: ARG002
        """Repeat the last mask, under the objects that `mask` shows."""
        self._check(image, mask)
        if self._last is None and not self._remembers and (mask is None or not mask.any()):
            raise ValueError(
                "no object has been shown yet: give the first frame a mask, or remember one"
            )
        before = np.zeros(image.shape[:2], np.uint8) if self._last is None else self._last
        given = np.zeros_like(before) if mask is None else mask
        # a given object is only where the mask has it, and covers the others there
        kept = np.where(np.isin(before, np.unique(given)), np.uint8(0), before)
        self._last = np.where(given > 0, given, kept)
        return np.stack([self._last == index for index in range(self.num_objects + 1)]).astype(
            np.float32
        )

    def forget_temporary(self) -> None:
        """Forget the last mask."""
        self._last = None

    def walk_state(self) -> State | None:
        """The last mask; see `ResumableWalk`."""
        return None if self._last is None else {"last": self._last}

    def restore_walk(self, state: State) -> None:
        """Take up the last mask again; see `ResumableWalk`."""
        self._last = np.asarray(state["last"], np.uint8)

    def _check(self, image: Image, mask: Mask | None) -> None:
        if mask is not None and (
            mask.dtype != np.uint8 or mask.shape != image.shape[:2] or mask.max() > self.num_objects
        ):
            raise ValueError(
                f"mask is {mask.dtype} {mask.shape}, expected uint8 {image.shape[:2]} up to"
                f" {self.num_objects}"
            )
