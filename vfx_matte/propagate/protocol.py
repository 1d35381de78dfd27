"""The protocol of propagators, and of what some of them can do besides.

A propagator walks in one direction at a time: `driver.propagate` decides which frames it sees, in
which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:  # the registry is read before anything that needs NumPy
    from vfx_matte.masks import Image, Mask, Probabilities
    from vfx_matte.propagate.confidence import Agreement


@runtime_checkable
class Propagator(Protocol):
    """Propagates masks through a clip, one frame at a time."""

    @property
    def num_objects(self) -> int:
        """K, the number of objects; ids are 1..K. Fixed when the propagator is opened."""

    def remember(self, image: Image, mask: Mask) -> None:
        """Put a reference into permanent memory.

        Call it before the first `step` (or after `forget_temporary`); the order of references does
        not matter.

        Args:
            image: uint8 (H, W, 3) RGB.
            mask: uint8 (H, W), ids 0..K.
        """

    def step(self, image: Image, mask: Mask | None = None, *, last: bool = False) -> Probabilities:
        """Segment the next frame of the walk.

        Args:
            image: uint8 (H, W, 3) RGB.
            mask: given ids for this frame; objects present in it take exactly that shape and start
                the walk from it.
            last: True on the walk's last frame: nothing needs remembering for a next one.

        Returns:
            float32 (K+1, H, W), background first, summing to 1.

        Raises:
            ValueError: other shapes or dtypes, or no object has been shown yet.
        """

    def forget_temporary(self) -> None:
        """Start another walk: drop what was learned from frames, keep what `remember` was given."""


@runtime_checkable
class SelectiveMemory(Protocol):
    """A propagator that does better when it looks only at the references next to where it walks."""

    def attend(self, references: Mapping[int, int]) -> None:
        """Say which references matter in the walk that begins now. Ends a walk, like
        `forget_temporary`.

        Args:
            references: number → how many steps ahead it lies (≤ 0: behind). References are numbered
                0, 1, … in the order in which they were remembered.
        """


@runtime_checkable
class SharesCores(Protocol):
    """A propagator with threads of its own, that keep the cores busy by themselves."""

    @property
    def shares_cores(self) -> bool:
        """Whether OpenCV's threads, which wait busily, would only be in their way."""


@runtime_checkable
class Foresighted(Protocol):
    """A propagator that is faster when it knows the next frame: it prepares it beside the one that
    it segments.
    """

    def foresee(self, image: Image) -> None:
        """Show the frame after the next `step`'s, which will get no mask.

        It changes no result, also if another one comes.
        """


@runtime_checkable
class ChoosesSize(Protocol):
    """A propagator that may choose its working size by the memory that is free, which another run
    has to repeat.
    """

    @property
    def working_size(self) -> int | None:
        """The short side in pixels that it chose; None before the first frame, and where it had no
        choice.
        """


@runtime_checkable
class Witnessed(Protocol):
    """A propagator beside which witnesses look at the same frames: how far they agree tells how
    good a result is.
    """

    @property
    def agreement(self) -> tuple[Agreement, ...] | None:
        """How far they have what the last step gave, for each object 1..K.

        None where there are none.
        """
