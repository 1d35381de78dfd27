"""Tracks given masks over given frames."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from vfx_matte.backend import Notify
from vfx_matte.blas_threads import one_blas_thread
from vfx_matte.errors import MaskError, UsageError
from vfx_matte.masks import Mask, Probabilities, object_ids
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.segment.driver_inputs import ObjectNumbers
from vfx_matte.propagate.confidence import Agreement
from vfx_matte.propagate.driver import ImageSource, propagate


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """One frame with its mask."""

    frame_index: int

    mask: Mask
    """uint8 (H, W), with the ids of the references."""

    confidence: Mapping[int, float]
    """Object id → the expected overlap with the truth, 0 … 1."""


class TrackSession:
    """Masks of every frame of a range, from the masks of one or a few.

    One object serves one client, in one thread. Memory does not grow with the range; what was
    yielded is the caller's.

    Args:
        images: the frames, all of one size; decoded when they are asked for.
        references: frame index → uint8 (H, W) with object ids, 0 = background. They may lie outside
            of the range. An empty one says that nothing is there.
        start: the first frame that is wanted.
        stop: the frame after the last one.
        propagator: which one, and how; "auto" is decided when the first frame is asked for.
        cuts: frames that begin a shot; nothing goes over them.
        notify: is told which propagator it is, and what people should know.

    Raises:
        MaskError: no reference shows an object, or they are of several sizes.
        UsageError: the range is empty.
    """

    def __init__(
        self,
        images: ImageSource,
        references: Mapping[int, Mask],
        *,
        start: int,
        stop: int,
        propagator: PropagatorOptions | None = None,
        cuts: Collection[int] = (),
        notify: Notify = lambda _line: None,
    ) -> None:
        if not 0 <= start < stop:
            raise UsageError(
                f"frames {start} to {stop} are not a range", hint="the first comes before the last"
            )
        self._images, self._cuts, self._range = images, cuts, (start, stop)
        self._options = propagator or PropagatorOptions()
        self._notify = notify
        self._numbers = numbers_of(references)
        self._references = {
            index: self._numbers.to_dense(mask) for index, mask in references.items()
        }

    def frames(self) -> Generator[TrackedFrame, None, None]:
        """Every frame of the range once: those before the first reference in descending order, then
        the others ascending. Closing the generator stops the work.

        Raises:
            MaskError: a reference has another size than the frames.
            UsageError: as `PropagatorOptions.decided`.
            VfxMatteError: the propagator cannot run here, or a frame cannot be read.
        """
        options = self._options.decided(self._notify)
        # ids are 1..K by now, each shown by some reference
        count = max(max(object_ids(mask), default=0) for mask in self._references.values())
        propagator = options.open(num_objects=count, notify=self._notify)
        for index, mask in self._references.items():
            check_size(self._images.image(index).shape[:2], mask)
        start, stop = self._range
        # with several threads BLAS rounds by how many there are: masks would depend on the machine
        with (
            one_blas_thread(),
            closing(
                propagate(
                    propagator,
                    self._images,
                    self._references,
                    start=start,
                    stop=stop,
                    cuts=self._cuts,
                    remember=options.remembers,
                )
            ) as results,
        ):
            for result in results:
                yield tracked(
                    self._numbers,
                    result.frame_index,
                    result.mask,
                    result.probabilities,
                    result.agreement,
                )


def numbers_of(references: Mapping[int, Mask]) -> ObjectNumbers:
    """The propagator's numbers of the objects that references show.

    Args:
        references: uint8 (H, W) each.

    Raises:
        MaskError: they show nothing, are of several sizes, or are no masks.
    """
    for mask in references.values():
        if mask.dtype != np.uint8 or mask.ndim != 2:
            raise MaskError(
                f"a mask is {mask.dtype} {mask.shape}, expected uint8 (H, W)",
                hint="give one object id per pixel",
            )
    if len({mask.shape for mask in references.values()}) > 1:
        raise MaskError("the masks are of several sizes", hint="give all at the frames' size")
    ids = sorted({k for mask in references.values() for k in object_ids(mask)})
    if not ids:
        raise MaskError(
            "no reference mask shows an object", hint="paint at least one object on one frame"
        )
    return ObjectNumbers(tuple(ids))


def check_size(shape: tuple[int, ...], mask: Mask) -> None:
    """Raise MaskError when a mask is of another size, (H, W), than its frame."""
    if mask.shape != shape:
        raise MaskError(
            f"the mask is {mask.shape[1]}x{mask.shape[0]}, its frame {shape[1]}x{shape[0]}",
            hint="give the mask at the frame's size",
        )


def tracked(
    numbers: ObjectNumbers,
    index: int,
    mask: Mask,
    probabilities: Probabilities,
    agreement: tuple[Agreement, ...] | None,
) -> TrackedFrame:
    """A frame with the references' ids.

    Args:
        numbers: from the ids to the propagator's and back.
        index: of the frame.
        mask: uint8 (H, W), ids 1..K.
        probabilities: float32 (K+1, H, W), background first.
        agreement: of the propagator's witnesses.
    """
    return TrackedFrame(
        index,
        numbers.to_user(mask),
        numbers.confidence(mask, probabilities, agreement),
    )
