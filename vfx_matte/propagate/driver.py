"""Drives a propagator: the order in which it sees frames.

At any time one image is alive (for a `Foresighted` propagator the next one, too), plus a spool of
compressed soft masks where two walks meet, which has a fixed bound. Everything else is plain
integers, so memory does not grow with the clip. Closing the generator stops the work.

The plan, from reference to reference:

- Frames before the first reference: one backward walk.
- Between two references: a forward walk from the earlier and a backward walk from the later one,
  each over the whole gap, are blended (`meeting`); the forward one goes on to the later reference,
  to learn how much it drifted. Of a gap of more than `BLENDED_FRAMES` only so many around the
  middle are made twice, and of a propagator without `SelectiveMemory`, whose walks know every
  reference, `MEETING_FRAMES`. Every object is blended between the walks that know it.
- When the later reference does not show every object known so far (it adds one, or corrects one),
  the forward walk goes through to it, so that the others are carried on; the walks then meet just
  before the later reference.
- Frames after the last reference: one forward walk.
- An empty reference says "nothing here": its frame is empty, no walk passes it, and the frames
  beyond it are empty too until a reference on that side shows something.
- No walk passes a cut, and a shot without a reference is empty. References of other shots stay in
  permanent memory.

A run that goes on after a stop makes the same frames, bit for bit: a walk is never begun on a saved
mask. It goes on from its saved state (`propagate_resumable`), or else from its reference, through
finished frames, which are not given again. Pieces (before the first reference, from reference to
reference, after the last) know nothing of each other but the mask of a reference that a forward
walk went through, so a piece that is done is left alone. Within a gap both walks belong together:
no state is kept of the forward one while it makes frames that wait for the backward one.

So an object that first appears on a later reference exists from there on, and before it as far back
as both walks go.

Every walk of a propagator with `SelectiveMemory` attends to the references on both sides of it
(before the first and after the last reference: to the two nearest), and to the nearest one that
shows an object that those do not: what lies farther away was measured to mislead.

Without permanent memory (`remember=False`, the way of the original XMem) nothing is remembered and
no walks meet: one forward walk from the first reference takes in every later one where it stands,
and one backward walk makes the frames before it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from vfx_matte.errors import MaskError
from vfx_matte.masks import Image, Mask, Probabilities, object_ids
from vfx_matte.propagate.blend import Spool, backward_share, blend, certainties, drifts, unpack
from vfx_matte.propagate.confidence import Agreement
from vfx_matte.propagate.protocol import Foresighted, Propagator, SelectiveMemory, Witnessed
from vfx_matte.propagate.walk_state import Checkpoint, ResumableWalk, WalkKey, WalkStates

MEETING_FRAMES = 32
"""Frames of a gap that both walks make, of a propagator whose walks know every reference: enough to
hide the seam. Each costs a second step.
"""

BLENDED_FRAMES = 256
"""The same of a propagator with `SelectiveMemory`: nearest references and gaps that are blended as
a whole gave 1.1 of J&F with three masks and 1.7 with five (docs/builtin.md). The bound keeps the
time of long gaps, and what a stop costs, in check.
"""

_BAND_ROWS = 64  # of a picture, so that what belongs together stays in the processor's cache


class ImageSource(Protocol):
    """Frames by index, decoded when they are asked for. Ranges are half-open."""

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """Yield (frame_index, uint8 (H, W, 3) RGB) for start, start + 1, … stop - 1."""

    def backward(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """Yield the same frames as `forward`, from stop - 1 down to start."""

    def image(self, index: int) -> Image:
        """One frame: uint8 (H, W, 3) RGB."""


class Segmented(NamedTuple):
    """One finished frame."""

    frame_index: int

    mask: Mask
    """uint8 (H, W), ids 0..K."""

    probabilities: Probabilities
    """float32 (K+1, H, W), background first."""

    agreement: tuple[Agreement, ...] | None = None
    """See `Witnessed`; of a blended frame that of the later walk."""


def propagate(
    propagator: Propagator,
    images: ImageSource,
    references: Mapping[int, Mask],
    *,
    start: int,
    stop: int,
    cuts: Collection[int] = (),
    completed: Mapping[int, Mask] | None = None,
    remember: bool = True,
) -> Generator[Segmented, None, None]:
    """Segment every frame of [start, stop) that is not completed, each exactly once.

    Args:
        propagator: newly opened; it is told everything it needs.
        images: the frames.
        references: frame index → uint8 (H, W) with ids 0..K, inside or outside of the range. On a
            reference frame the objects that it shows come out exactly as given; an empty one is a
            wall, see the module's plan.
        start: the first frame.
        stop: the frame after the last one.
        cuts: frames that begin a shot; nothing goes from the frame before such a one to it, or
            back.
        completed: frames that are finished already, with their masks; they are not yielded. The
            caller may fill it while masks arrive: only `in` and item access are used, so it can
            read from disk.
        remember: whether references go into permanent memory before the first frame; False follows
            the original XMem, see the module's plan.

    Yields:
        Frames reached by a backward walk in descending order, all others ascending.

    Raises:
        MaskError: no reference shows an object. As all errors, when the first frame is asked for.
        ValueError: the range is empty, or what the propagator refuses.
    """
    results = propagate_resumable(
        propagator,
        images,
        references,
        start=start,
        stop=stop,
        cuts=cuts,
        completed=completed,
        remember=remember,
        states=_Unsaved(),
    )
    for result in results:
        if isinstance(result, Segmented):
            yield result


def propagate_resumable(
    propagator: Propagator,
    images: ImageSource,
    references: Mapping[int, Mask],
    *,
    start: int,
    stop: int,
    cuts: Collection[int] = (),
    completed: Mapping[int, Mask] | None = None,
    remember: bool = True,
    states: WalkStates,
    only: range | None = None,
    is_told: bool = False,
) -> Generator[Segmented | Checkpoint, None, None]:
    """As `propagate`, with the states of walks between the frames, whenever `states.due()`, to go
    on from after a stop.

    only: frames of the range that are wanted now, the others in a later run; each comes out as if
    the whole range were made at once. The state of every walk is given where it ends for now.

    is_told: whether the propagator was told these references by an earlier call, which was used up;
    it then goes on with other frames of the range, as within one call.

    A `Checkpoint` counts once every frame that came before it is saved. `states.load` gives it back
    in a later run with the same arguments; `completed` then has to hold those frames. What is
    loaded and cannot be gone on from is passed over.
    """
    # 1. every reference of the clip is remembered, also those of other shots
    shown = {index: mask for index, mask in sorted(references.items()) if mask.any()}
    if not shown:
        raise MaskError(
            "no reference mask shows an object", hint="paint at least one object on one frame"
        )
    if not 0 <= start < stop:
        raise ValueError(f"range [{start}, {stop}) is empty or negative")
    for index, mask in shown.items() if remember and not is_told else ():
        propagator.remember(images.image(index), mask)
    # 2. walls and cuts divide the clip into stretches that know nothing of each other
    finished: Mapping[int, Mask] = {} if completed is None else completed
    wanted = range(start, stop) if only is None else only
    empty = _certain_background(propagator.num_objects, next(iter(shown.values())).shape)
    walls = {index for index, mask in references.items() if not mask.any()}
    for low, high in _divided(shown, walls, stop=stop, cuts=cuts):
        between = {index: mask for index, mask in shown.items() if low <= index < high}
        first, end = max(start, low), min(stop, high)
        # 3. a stretch with a reference is walked through, any other one is empty
        if between and first < end:
            numbers = {index: number for number, index in enumerate(shown)} if remember else {}
            yield from _Stretch(
                propagator, images, between, first, end, finished, numbers, states, wanted
            ).frames()
        for index in range(first, end) if not between else ():
            if index not in finished and index in wanted:
                yield Segmented(index, harden(empty), empty)


def left_empty(
    shown: Collection[int],
    walls: Collection[int],
    *,
    start: int,
    stop: int,
    cuts: Collection[int] = (),
) -> set[int]:
    """The frames of [start, stop) that the plan leaves empty: on them the user wants no object, or
    has given none for their shot.

    Args:
        shown: frames of the references that show something.
        walls: frames of the empty ones.
        start: the first frame.
        stop: the frame after the last one.
        cuts: frames that begin a shot.
    """
    return {
        index
        for low, high in _divided(shown, walls, stop=stop, cuts=cuts)
        if not any(low <= one < high for one in shown)
        for index in range(max(start, low), min(stop, high))
    }


def _divided(
    shown: Collection[int], walls: Collection[int], *, stop: int, cuts: Collection[int]
) -> Iterator[tuple[int, int]]:
    """The stretches between walls and cuts, as half-open ranges from frame 0 on."""
    # a wall is a stretch of its own: without a reference that shows something it comes out empty
    edges = {0, max([stop, *shown, *walls]) + 1, *cuts, *walls, *(wall + 1 for wall in walls)}
    return itertools.pairwise(sorted(edge for edge in edges if edge >= 0))


class _Unsaved:
    """Keeps no state."""

    def due(self) -> bool:
        """Never."""
        return False

    def load(self, walk: WalkKey) -> Checkpoint | None:  # noqa: ARG002
        """Nothing."""
        return None

    def repeat(self, first: int, last: int) -> None:
        """Nobody is told."""


def harden(probabilities: Probabilities) -> Mask:
    """The most probable id of every pixel: float32 (K+1, H, W) → uint8 (H, W).

    Equal ones go to the lower id.
    """
    # most pixels are clearly background: only the columns of a band that hold others are compared
    mask = np.zeros(probabilities.shape[1:], np.uint8)
    for top in range(0, len(mask), _BAND_ROWS):
        band = probabilities[:, top : top + _BAND_ROWS]
        # elsewhere the background has more than all others together
        unclear = np.flatnonzero(band[0].min(axis=0) < 0.51)
        if len(unclear):
            columns = slice(unclear[0], unclear[-1] + 1)
            # by `>`, so that equal ones go to the lower id
            best, ids = band[0, :, columns].copy(), mask[top : top + _BAND_ROWS, columns]
            for index, layer in enumerate(band[1:, :, columns], start=1):
                np.copyto(ids, index, where=layer > best)
                np.maximum(best, layer, out=best)
    return mask


def _certain_background(num_objects: int, shape: tuple[int, ...]) -> Probabilities:
    """Certain background: float32 (K+1, H, W)."""
    probabilities = np.zeros((num_objects + 1, *shape), np.float32)
    probabilities[0] = 1
    return probabilities


@dataclass(frozen=True)
class _Stretch:
    """The frames between two walls or cuts."""

    propagator: Propagator
    images: ImageSource

    references: Mapping[int, Mask]
    """Those that show something, ascending."""

    start: int
    """The first frame that is wanted; references may lie before it."""

    stop: int
    completed: Mapping[int, Mask]

    numbers: Mapping[int, int]
    """Reference → its position in the order of remembering; empty where none was remembered, and no
    walks meet.
    """

    states: WalkStates

    wanted: range
    """The frames that are made now."""

    def frames(self) -> Iterator[Segmented | Checkpoint]:
        """Everything, in the order of the plan."""
        # 1. before the first reference: one backward walk
        origins = self._origins()
        first = origins[0]
        seed, begin = self.references[first], first
        order = range(first, self.start - 1, -1)
        yield from self._walk(order, seed, lambda i: i < first and self._wants(i))
        yield from self._end_of(WalkKey(first, -1), self.start)
        # 2. from reference to reference; a walk that went through one goes on with what it carried
        known: set[int] = set(object_ids(seed))
        for earlier, later in itertools.pairwise(origins if self.numbers else origins[:1]):
            # what follows lies beyond the range
            if earlier >= self.stop:
                return
            merged = yield from self._fill_gap(earlier, later, seed, known=known, begin=begin)
            seed, begin = (self.references[later], later) if merged is None else (merged, later + 1)
            known.update(object_ids(self.references[later]))
        # 3. after the last reference: one forward walk
        last = origins[-1] if self.numbers else first
        yield from self._walk(range(last, self.stop), seed, lambda i: i >= begin and self._wants(i))
        yield from self._end_of(WalkKey(last, 1), self.stop)

    def _end_of(self, walk: WalkKey, index: int) -> Iterator[Checkpoint]:
        """Say that a walk's state is not needed any more, where no later run goes on with it."""
        if not self._is_part:
            yield Checkpoint(walk, index, None)

    @property
    def _is_part(self) -> bool:
        """Whether a later run makes other frames."""
        return self.wanted.start > self.start or self.wanted.stop < self.stop

    def _origins(self) -> list[int]:
        """The references to walk from: the last one up to `start` that shows every object known by
        then, and all after it.
        """
        known: set[int] = set()
        first = next(iter(self.references))
        for index, mask in self.references.items():
            known.update(object_ids(mask))
            # a walk that began on a reference without one of the known objects would lose that
            # object
            if index <= self.start and len(object_ids(mask)) == len(known):
                first = index
        return [index for index in self.references if index >= first]

    def _wants(self, index: int) -> bool:
        """Whether the frame is to be yielded."""
        is_asked = self.start <= index < self.stop and index in self.wanted
        return is_asked and index not in self.completed

    def _fill_gap(
        self, earlier: int, later: int, seed: Mask, *, known: Collection[int], begin: int
    ) -> Generator[Segmented | Checkpoint, None, Mask | None]:
        """Frames [begin, later): forward from `earlier`, then backward from `later`, blended where
        both walks go.

        Returns the mask of `later` when the forward walk had to go through it, else None. Where a
        frame of the meeting is missing, the forward walk makes all of them, and goes on to `later`
        if it is tested there: what comes of the two walks does not depend on which frames were
        finished before.
        """
        # 1. which frames each walk makes, and whether the forward one reaches the later reference:
        #    to go through it with objects that it does not show, or to be compared with it
        shown = object_ids(self.references[later])
        through = not set(known).issubset(shown)
        meet = self._meeting(earlier, later, through=through)
        ends = later + 1 if through else meet.stop
        tested = self._tests(range(earlier + 1, later), meet) and not through
        blends = any(map(self._wants, meet))
        carries = (
            through
            and later not in self.completed
            and any(map(self._wants, range(later, self.stop)))
        )

        def needs(index: int) -> bool:
            if index in meet:
                return blends and self.start <= index < self.stop
            goal = index == later and (carries or (tested and blends))
            return goal or (begin <= index < ends and self._wants(index))

        # 2. the forward walk: what meets the backward one waits in the spool, the rest is finished
        spool, drift, merged = Spool(), dict[int, float](), None
        order = range(earlier, later + 1 if tested else ends)
        withheld, waiting = later if tested else None, range(meet.start, later)
        for frame in self._walk(
            order, seed, needs, withheld=withheld, unsaved=waiting if meet else range(0)
        ):
            if isinstance(frame, Checkpoint):
                yield frame
                continue
            if frame.frame_index in meet:
                # the spool is full: its earliest frames, farthest from the later reference, are
                # left to the forward walk alone
                for evicted in spool.put(frame.frame_index, frame.probabilities, frame.mask):
                    if self._wants(evicted.frame_index):
                        yield _result(evicted.frame_index, unpack(evicted))
                continue
            if frame.frame_index == later:
                merged = frame.mask if through else None
                drift = drifts(frame.mask, self.references[later]) if tested else {}
            if (through or frame.frame_index < later) and self._wants(frame.frame_index):
                yield frame
        if through and merged is None and later in self.completed:
            merged = self.completed[later]
        # 3. the backward walk, blended with what waits
        final = spool.first if spool else meet.start  # what was evicted is done
        yield from self._blend_backward(earlier, range(later, final - 1, -1), spool, known, drift)
        # 4. the gap is done: neither state is needed any more
        yield from self._end_of(WalkKey(earlier, 1), later)
        yield from self._end_of(WalkKey(later, -1), earlier)
        return merged

    def _meeting(self, earlier: int, later: int, *, through: bool) -> range:
        """The frames between two references that both walks segment: around the middle, or next to
        the later reference.
        """
        most = BLENDED_FRAMES if isinstance(self.propagator, SelectiveMemory) else MEETING_FRAMES
        length = min(most, later - earlier - 1)
        # a walk that goes through keeps the gap, and the backward one leads over to what the later
        # reference adds or corrects; otherwise both go equally far
        start = later - length if through else (earlier + later + 1 - length) // 2
        return range(start, start + length)

    def _tests(self, gap: range, meet: range) -> bool:
        """Whether the forward walk over a gap goes on to the later reference, to be compared with
        it.
        """
        # from a meeting in the middle of a long gap the walk would have to go on for this alone
        return len(meet) > 0 and meet.stop == gap.stop <= self.stop

    def _blend_backward(
        self,
        earlier: int,
        order: range,
        spool: Spool,
        known: Collection[int],
        drift: Mapping[int, float],
    ) -> Iterator[Segmented | Checkpoint]:
        """Frames before the later reference by a backward walk, blended with the spooled ones of
        the walk from `earlier`.
        """
        later = order[0]
        seed = self.references[later]
        shown = object_ids(seed)
        for frame in self._walk(order, seed, lambda i: i < later and self._wants(i)):
            waiting = None if isinstance(frame, Checkpoint) else spool.take(frame.frame_index)
            if isinstance(frame, Checkpoint) or waiting is None:
                yield frame
                continue
            nearness = (frame.frame_index - earlier) / (later - earlier)
            sure = zip(waiting.certainty, certainties(frame.probabilities, frame.mask), strict=True)
            # what only one of the walks knows is that walk's alone
            shares = dict.fromkeys(known, 0.0) | dict.fromkeys(shown, 1.0)
            for k, both in enumerate(sure, start=1):
                if k in known and k in shown:
                    shares[k] = backward_share(nearness, both, drift.get(k))
            yield _result(
                frame.frame_index,
                blend(unpack(waiting), frame.probabilities, shares),
                frame.agreement,
            )

    def _walk(
        self,
        order: range,
        seed: Mask,
        needs: Callable[[int], bool],
        *,
        withheld: int | None = None,
        unsaved: range = range(0),
    ) -> Iterator[Segmented | Checkpoint]:
        """Step through as much of `order` as it takes to yield the frames that `needs` names.

        Args:
            order: from the walk's origin on, up or down.
            seed: the origin's mask. On the way references correct the walk.
            needs: whether a frame is to be yielded.
            withheld: a reference that is not used: the walk is compared with it.
            unsaved: frames after which the walk's state is not kept, as they wait in the spool.
        """
        # 1. where to begin: at a saved state, or at the origin, through frames that are finished
        needed = [index for index in order if needs(index)]
        if not needed:
            return
        walk, final = WalkKey(order[0], order.step), needed[-1]
        first = self._begin(walk, order, seed, before=needed[0])
        repeated = range(first, needed[0], order.step)
        if any(index in self.completed for index in repeated):
            self.states.repeat(
                min(first, needed[0] - order.step), max(first, needed[0] - order.step)
            )
        frames = (
            self.images.forward(first, final + 1)
            if order.step > 0
            else self.images.backward(final, first + 1)
        )
        # 2. the masks on the way; the seed is the origin's, with what a walk through it carried
        given = {index: mask for index, mask in self.references.items() if index != withheld} | {
            order[0]: seed
        }
        # 3. step by step; `foresee` is for frames without a mask
        for (index, image), coming in self._with_next(frames):
            mask = given.get(index)
            if (
                isinstance(self.propagator, Foresighted)
                and coming is not None
                and coming[0] not in given
            ):
                self.propagator.foresee(coming[1])
            # a walk that a later run goes on with learns from its last frame, too
            ends = index == final and (not self._is_part or index == order[-1])
            probabilities = self.propagator.step(image, mask, last=ends)
            if needs(index):
                yield _result(index, probabilities, self._agreement())
            del probabilities  # not beside the next one: at 4K each takes 66 MB or more
            pauses = index == final and not ends
            if index not in unsaved and (pauses or (index != final and self.states.due())):
                yield from self._state(walk, index)

    def _with_next(
        self, frames: Iterator[tuple[int, Image]]
    ) -> Iterator[tuple[tuple[int, Image], tuple[int, Image] | None]]:
        """Every frame with the one after it, where that helps the propagator, otherwise with
        None.
        """
        if not isinstance(self.propagator, Foresighted):
            yield from ((frame, None) for frame in frames)
            return
        now = next(frames, None)
        while now is not None:
            # one frame ahead and no more: each is a picture of the source's size
            coming = next(frames, None)
            yield now, coming
            now = coming

    def _agreement(self) -> tuple[Agreement, ...] | None:
        """How far witnesses have what the last step gave, where the propagator has some."""
        return self.propagator.agreement if isinstance(self.propagator, Witnessed) else None

    def _state(self, walk: WalkKey, index: int) -> Iterator[Checkpoint]:
        """What the walk that goes on has become by now, where the propagator can tell."""
        state = self.propagator.walk_state() if isinstance(self.propagator, ResumableWalk) else None
        if state is not None:
            yield Checkpoint(walk, index, state)

    def _begin(self, walk: WalkKey, order: range, seed: Mask, *, before: int) -> int:
        """Begin a walk, or go on with a saved one that has not passed the frame `before`.

        Returns the frame to step next.
        """
        # attending comes first: a state is of a walk that attends to the same references
        self._attend(order, seed)
        self.propagator.forget_temporary()
        saved = self.states.load(walk) if isinstance(self.propagator, ResumableWalk) else None
        if (
            saved is None
            or saved.state is None
            or saved.frame_index not in range(order[0], before, order.step)
        ):
            return order[0]
        try:
            assert isinstance(self.propagator, ResumableWalk)
            self.propagator.restore_walk(saved.state)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            # a file from elsewhere: what was restored of it so far is dropped again
            self._attend(order, seed)
            self.propagator.forget_temporary()
            return order[0]
        return saved.frame_index + order.step

    def _attend(self, order: range, mask: Mask) -> None:
        """Point the propagator at the references on both sides of a walk, or at the two nearest
        where one side has none.

        Also at the nearest one of every other object.
        """
        if not self.numbers or not isinstance(self.propagator, SelectiveMemory):
            return
        # 1. one on each side, where both have one, otherwise the nearest two
        ahead = {index: (index - order.start) * order.step for index in self.references}
        nearest = sorted(ahead, key=lambda index: (abs(ahead[index]), index))
        sides = [i for i in nearest if ahead[i] <= 0][:1] + [i for i in nearest if ahead[i] > 0][:1]
        chosen = sides if len(sides) == 2 else nearest[:2]
        # 2. objects that those do not show: the nearest reference that does
        known = {k for index in chosen for k in object_ids(self.references[index])}
        for object_id in set(object_ids(mask)) - known:
            chosen += [
                index for index in nearest if object_id in object_ids(self.references[index])
            ][:1]
        self.propagator.attend({self.numbers[index]: ahead[index] for index in chosen})


def _result(
    index: int, probabilities: Probabilities, agreement: tuple[Agreement, ...] | None = None
) -> Segmented:
    return Segmented(index, harden(probabilities), probabilities, agreement)
