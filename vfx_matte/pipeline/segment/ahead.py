"""Begins a run before somebody asks for it.

Its first frames are computed, and nothing is written. A run of the same plan takes them over; they
are the ones that it would compute.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

from vfx_matte.blas_threads import one_blas_thread
from vfx_matte.masks import Mask
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.segment.driver_inputs import ClipImages, ObjectNumbers, SavedWalks
from vfx_matte.pipeline.segment.plan import SegmentPlan
from vfx_matte.propagate.driver import Segmented, propagate_resumable
from vfx_matte.propagate.protocol import Propagator
from vfx_matte.propagate.walk_state import Checkpoint, WalkKey, WalkStates
from vfx_matte.workspace import SegmentRun

_DEPTH = 2  # finished frames that wait to be saved

Made = Generator[Segmented | Checkpoint, None, None]
"""Frames and states, as they are finished."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The frames of a run, which a thread makes."""

    propagator: Propagator
    frames: Iterator[Segmented | Checkpoint]
    close: Callable[[], None]
    """Ends the thread."""


def begin(
    plan: SegmentPlan,
    *,
    size: int | None,
    completed: Mapping[int, Mask],
    walks: WalkStates,
    only: range,
    notify: Callable[[str], None],
    kept: Propagator | None = None,
) -> tuple[Propagator, Made]:
    """Open the propagator; frames are computed from the first `next` on, some of them ahead.

    Args:
        plan: what is made.
        size: of an earlier run, see `PropagatorOptions.open`.
        completed: frames that are finished, ids 1..K.
        walks: states of walks.
        only: the frames that are wanted now.
        notify: is told what people should know.
        kept: of an earlier run of this plan in this process, with other frames; it goes on.
    """
    manifest = plan.manifest
    numbers = ObjectNumbers(tuple(manifest.objects))
    propagator = kept
    if propagator is None:
        count = len(manifest.objects)
        propagator = plan.propagator.open(num_objects=count, notify=notify, size=size)
    frames = propagate_resumable(
        propagator,
        ClipImages(plan.clip.reader),
        {at: numbers.to_dense(one.mask) for at, one in plan.references.readings.items()},
        start=manifest.start,
        stop=manifest.stop,
        cuts=manifest.cuts or (),
        completed=completed,
        remember=plan.propagator.remembers,
        states=walks,
        only=only,
        is_told=kept is not None,
    )
    return propagator, prefetched(frames, depth=_DEPTH)


class _LaterWalks:
    """Keeps no states until there is a run to keep them."""

    def __init__(self) -> None:
        self.saved: SavedWalks | None = None

    def due(self) -> bool:
        return self.saved is not None and self.saved.due()

    def load(self, walk: WalkKey) -> Checkpoint | None:
        return None if self.saved is None else self.saved.load(walk)

    def repeat(self, first: int, last: int) -> None:
        if self.saved is not None:
            self.saved.repeat(first, last)


class RunAhead:
    """The beginning of a run of which nothing is done yet, made in a thread.

    Args:
        plan: of the run.
        only: the frames that it makes.
    """

    def __init__(self, plan: SegmentPlan, *, only: range) -> None:
        self._plan, self._only = plan, only
        self._walks = _LaterWalks()
        self._notices: list[str] = []
        self._begun: tuple[Propagator, Made, Segmented | Checkpoint | None] | None = None
        self._is_dropped = False
        self._resources = contextlib.ExitStack()
        self._thread = threading.Thread(target=self._work, name="vfx-matte ahead", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        # what goes wrong here goes wrong once more where somebody hears it
        with contextlib.suppress(Exception):
            self._resources.enter_context(one_blas_thread())
            propagator, made = begin(
                self._plan,
                size=None,
                completed={},
                walks=self._walks,
                only=self._only,
                notify=self._notices.append,
            )
            self._resources.callback(made.close)
            first = None if self._is_dropped else next(made, None)
            self._begun = propagator, made, first

    def drop(self) -> None:
        """End it; waits for the frame that is being computed."""
        self._is_dropped = True
        self._thread.join()
        self._resources.close()

    def taken(
        self, plan: SegmentPlan, run: SegmentRun, *, only: range, walks: SavedWalks,
        notify: Callable[[str], None],
    ) -> Begun | None:  # fmt: skip
        """What is made, for a run to go on with; None, and it ends, when that makes other frames.

        Args:
            plan: of the run.
            run: the run.
            only: the frames that it makes.
            walks: keeps its states.
            notify: is told what people should know.
        """
        fits = (
            plan.manifest == self._plan.manifest
            and only == self._only
            and not run.manifest.done
            and run.manifest.working_size is None
        )
        if fits:
            self._thread.join()
        propagator, made, first = self._begun or (None, None, None)
        if not fits or propagator is None or made is None or first is None:
            self.drop()
            return None
        self._walks.saved = walks
        for line in self._notices:
            notify(line)
        return Begun(propagator, itertools.chain([first], made), self._resources.close)
