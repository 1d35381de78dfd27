"""Tracks masks over frames that are handed over one by one."""

from __future__ import annotations

import weakref
from contextlib import ExitStack

from vfx_matte.backend import Notify
from vfx_matte.blas_threads import one_blas_thread
from vfx_matte.masks import Image, Mask, object_ids
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.tracking.session import TrackedFrame, check_size, numbers_of, tracked
from vfx_matte.propagate.driver import harden
from vfx_matte.propagate.protocol import SelectiveMemory, Witnessed


class SteppedTrack:
    """Tracks forward from one frame, for callers that ask for the next frame when they have it.

    Frames have to be of the first one's size. One thread at a time. While it lives, NumPy's matrix
    products use one thread in the whole process (`blas_threads`).

    Args:
        image: uint8 (H, W, 3) R'G'B', the frame of the mask.
        mask: uint8 (H, W) with object ids, 0 = background.
        propagator: which one, and how.
        notify: is told which propagator it is, and what people should know.

    Raises:
        MaskError: the mask shows nothing, or has another size than the frame.
        UsageError: as `PropagatorOptions.decided`.
        VfxMatteError: the propagator cannot run here.
    """

    def __init__(
        self,
        image: Image,
        mask: Mask,
        *,
        propagator: PropagatorOptions | None = None,
        notify: Notify = lambda _line: None,
    ) -> None:
        self._numbers = numbers_of({0: mask})
        check_size(image.shape[:2], mask)
        options = (propagator or PropagatorOptions()).decided(notify)
        self._propagator = options.open(num_objects=len(object_ids(mask)), notify=notify)
        self._index = 0
        dense = self._numbers.to_dense(mask)
        # as long as this lives, and not in single steps: propagators go on learning in threads of
        # their own while the caller fetches the next frame
        stack = ExitStack()
        weakref.finalize(self, stack.close)
        stack.enter_context(one_blas_thread())
        if options.remembers:
            self._propagator.remember(image, dense)
            # as the driver does, so that masks are those of a `TrackSession`
            if isinstance(self._propagator, SelectiveMemory):
                self._propagator.attend({0: 0})
        self._propagator.step(image, dense)

    def step(self, image: Image) -> TrackedFrame:
        """The mask of the next frame.

        Args:
            image: uint8 (H, W, 3) R'G'B'.

        Returns:
            Its frame index counts from the mask's frame, which is 0.

        Raises:
            ValueError: the frame has another size.
        """
        probabilities = self._propagator.step(image)
        self._index += 1
        agreement = self._propagator.agreement if isinstance(self._propagator, Witnessed) else None
        return tracked(self._numbers, self._index, harden(probabilities), probabilities, agreement)
