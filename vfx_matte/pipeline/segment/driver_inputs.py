"""What the driver reads while it propagates: pictures, finished masks and saved walks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import numpy as np

from vfx_matte.errors import OutputError
from vfx_matte.masks import Image, Mask, Probabilities
from vfx_matte.media.frames import ClipReader
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.propagate.confidence import Agreement, witnessed_overlap
from vfx_matte.propagate.walk_state import Checkpoint, WalkKey
from vfx_matte.workspace import SegmentRun, Soft, load_mask

STATE_SECONDS = 20.0
"""How often a walk's state is saved: of a run that is killed, so much is computed again."""

MOST_STATE_SHARE = 20
"""A state that takes long to write is saved less often: at most a twentieth of the time goes."""


class ObjectNumbers:
    """Between the user's object ids, any of 1..255, and the propagator's, 1..K.

    Args:
        object_ids: the user's, ascending; the propagator's first is 1.
    """

    def __init__(self, object_ids: tuple[int, ...]) -> None:
        # most clips have the objects 1..K, and their masks need no copy
        self._are_equal = object_ids == tuple(range(1, len(object_ids) + 1))
        # tables with an entry per value of a byte: mapping a mask is one look-up per pixel
        self._to_user = np.zeros(256, np.uint8)
        self._to_user[1 : len(object_ids) + 1] = object_ids
        self._to_dense = np.zeros(256, np.uint8)
        self._to_dense[list(object_ids)] = np.arange(1, len(object_ids) + 1)

    def to_user(self, mask: Mask) -> Mask:
        """uint8 (H, W), 1..K → the user's ids."""
        return mask if self._are_equal else self._to_user[mask]

    def to_dense(self, mask: Mask) -> Mask:
        """uint8 (H, W), the user's ids → 1..K."""
        return self._to_dense[mask]

    def confidence(
        self, mask: Mask, probabilities: Probabilities, agreement: tuple[Agreement, ...] | None
    ) -> dict[int, float]:
        """How sure a result is, by the user's ids; see `witnessed_overlap`.

        Args:
            mask: uint8 (H, W), 1..K.
            probabilities: float32 (K+1, H, W), background first.
            agreement: of the propagator's witnesses.
        """
        values = witnessed_overlap(probabilities, mask, agreement)
        return {int(self._to_user[k]): value for k, value in enumerate(values, start=1)}

    def soft(self, probabilities: Probabilities) -> dict[int, Soft]:
        """float32 (K+1, H, W), background first → by the user's ids: uint8 (H, W), 255 =
        certain.
        """
        return {
            int(self._to_user[k]): np.rint(np.clip(layer, 0, 1) * 255).astype(np.uint8)
            for k, layer in enumerate(probabilities[1:], start=1)
        }


class ClipImages:
    """A clip's pictures as R'G'B'; a `driver.ImageSource`."""

    def __init__(self, reader: ClipReader) -> None:
        self._reader = reader

    # two frames ahead in both directions: one is decoded while the next waits, and at 8K each of
    # them is 100 MB
    def forward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """Frames start, start + 1, …, decoded ahead in a thread."""
        frames = ((frame.index, frame.image) for frame in self._reader.frames(start, stop))
        return prefetched(frames, depth=2)

    def backward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """The same frames, from stop − 1 down."""
        frames = ((frame.index, frame.image) for frame in self._reader.frames_reversed(start, stop))
        return prefetched(frames, depth=2)

    def image(self, index: int) -> Image:
        """One frame."""
        return self._reader.frame(index).image


class FinishedMasks(Mapping[int, Mask]):
    """Masks of an earlier run by frame index, read from disk when the driver asks for one; ids
    1..K.
    """

    def __init__(self, run: SegmentRun, numbers: ObjectNumbers) -> None:
        # those of earlier runs: what this run makes the driver knows already
        manifest = run.manifest
        self._frames = manifest.done_frames()
        self._first_number = manifest.timeline.first_number
        self._clip = run.clip
        self._numbers = numbers

    def __getitem__(self, frame_index: int) -> Mask:
        # a frame that is not done may have a file all the same, of a run that was killed before it
        # was counted
        if frame_index not in self._frames:
            raise KeyError(frame_index)
        path = self._clip.mask_path(self._first_number + frame_index)
        return self._numbers.to_dense(load_mask(path))

    def __iter__(self) -> Iterator[int]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)


class SavedWalks:
    """States of walks in the run's folder; the driver's `WalkStates`.

    They are saved every STATE_SECONDS, but with at most 1 / MOST_STATE_SHARE of the time.
    """

    def __init__(self, run: SegmentRun, reporter: Reporter) -> None:
        self._run, self._reporter = run, reporter
        self._interval = STATE_SECONDS
        self._next = time.monotonic() + self._interval
        self._has_complained = False

    def due(self) -> bool:
        """Whether a state is wanted now."""
        # a walk that is stopped within the interval is repeated from the state before
        now = time.monotonic()
        # who stops wants to go on from here
        if now < self._next and not self._reporter.stops():
            return False
        self._next = now + self._interval
        return True

    def load(self, walk: WalkKey) -> Checkpoint | None:
        """The state of an earlier run of this work."""
        found = self._run.load_state(_walk_name(walk))
        return None if found is None else Checkpoint(walk, *found)

    def repeat(self, first: int, last: int) -> None:
        """Say what going on exactly costs."""
        first, last = (self._run.manifest.timeline.number(index) for index in (first, last))
        frames = f"frame {first} is" if first == last else f"frames {first} to {last} are"
        self._reporter.notify(
            f"{frames} computed again, but not written, so that the rest comes out as in one run"
        )

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a state, or forget it.

        One that cannot be saved costs time after a stop, and nothing else: that is said once.
        """
        began = time.monotonic()
        name = _walk_name(checkpoint.walk)
        try:
            self._run.save_state(name, checkpoint.frame_index, checkpoint.state)
        except OutputError as error:
            # the walk goes on: states only shorten what a stop costs
            if not self._has_complained:
                self._reporter.notify(
                    f"a run that is stopped will repeat more frames: {error.message}"
                )
            self._has_complained = True
        # never shorter again: one slow write says more about the disk than the quick ones that its
        # cache took
        self._interval = max(self._interval, MOST_STATE_SHARE * (time.monotonic() - began))


def _walk_name(walk: WalkKey) -> str:
    # both walks of a reference begin on its frame, so the direction belongs to the name
    return f"{'forward' if walk.step > 0 else 'backward'}{walk.origin:07d}"
