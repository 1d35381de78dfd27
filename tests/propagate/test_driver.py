"""The driver: every frame once, from any references, over any range, resumable, and never more than
a few images alive.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drifting_squares import SHAPE, Clip, block, draw, masks_of
from support.examples import examples

from vfx_matte.errors import MaskError
from vfx_matte.masks import Image, Mask, Probabilities, object_ids
from vfx_matte.propagate import blend as meeting
from vfx_matte.propagate import driver, open_propagator
from vfx_matte.propagate.driver import Segmented, left_empty, propagate
from vfx_matte.propagate.fake import FakePropagator


def run(
    references: dict[int, Mask],
    start: int,
    stop: int,
    *,
    cuts: tuple[int, ...] = (),
    completed: dict[int, Mask] | None = None,
    length: int = 200,
    remember: bool = True,
) -> list[Segmented]:
    carrier = FakePropagator(num_objects=3)
    frames = propagate(
        carrier,
        Clip(length),
        references,
        start=start,
        stop=stop,
        cuts=cuts,
        completed=completed,
        remember=remember,
    )
    return list(frames)


@pytest.mark.slow
@examples(150)
@given(st.data())
def test_every_frame_once_whatever_the_references(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 20))
    stop = data.draw(st.integers(start + 1, 50))
    indices = data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=4, unique=True))
    references = {
        index: np.maximum.reduce(
            [block(i, 5 * i + n % 5) for i in data.draw(st.sets(st.integers(1, 3), min_size=1))]
        )
        for n, index in enumerate(indices)
    }
    completed = {index: block(1, 0) for index in data.draw(st.sets(st.integers(start, stop - 1)))}
    found = masks_of(
        run(references, start, stop, completed=completed, remember=data.draw(st.booleans()))
    )
    assert sorted(found) == [index for index in range(start, stop) if index not in completed]
    for index, mask in references.items():
        if index in found:
            for object_id in object_ids(mask):
                assert np.array_equal(found[index] == object_id, mask == object_id)


def test_one_reference_goes_both_ways() -> None:
    frames = run({5: block(1, 0)}, 2, 9)
    assert [frame.frame_index for frame in frames] == [4, 3, 2, 5, 6, 7, 8]
    assert all(np.array_equal(frame.mask, block(1, 0)) for frame in frames)


@pytest.mark.parametrize(("start", "stop"), [(8, 12), (0, 3)])
def test_reference_outside_of_the_range(start: int, stop: int) -> None:
    found = masks_of(run({5: block(1, 0)}, start, stop))
    assert sorted(found) == list(range(start, stop))
    assert all(np.array_equal(mask, block(1, 0)) for mask in found.values())


def test_a_walk_begins_at_the_nearest_reference_before_the_range() -> None:
    clip = Clip(100)
    list(
        propagate(
            FakePropagator(num_objects=1),
            clip,
            {0: block(1, 0), 60: block(1, 1)},
            start=70,
            stop=72,
        )
    )
    # first the two references
    assert clip.decoded == [
        0,
        60,
        60,
        61,
        62,
        63,
        64,
        65,
        66,
        67,
        68,
        69,
        70,
        71,
    ]


def test_an_object_shown_only_long_before_is_not_lost() -> None:
    found = masks_of(run({0: block(1, 0), 60: block(2, 1)}, 70, 72))
    assert all(object_ids(mask) == (1, 2) for mask in found.values())


def test_between_references_the_nearer_one_decides() -> None:
    found = masks_of(run({0: block(1, 0), 100: block(1, 4)}, 0, 101))
    assert all(np.array_equal(found[index], block(1, 0)) for index in range(50))
    assert all(np.array_equal(found[index], block(1, 4)) for index in range(51, 101))


def test_between_references_probabilities_are_blended_by_distance() -> None:
    soft = {
        frame.frame_index: frame.probabilities[1]
        for frame in run({0: block(1, 0), 4: block(1, 4)}, 0, 5)
    }
    from_first = [float(soft[index][0, 0]) for index in range(5)]
    from_second = [float(soft[index][0, 16]) for index in range(5)]
    assert from_first[::4] == [1, 0]
    assert from_second[::4] == [0, 1]
    # The forward walk arrives at frame 4 with everything lost; the backward one is taken to lose a
    # fifth.
    errors = [
        ((0.05 + 1.0 * near) ** 2, (0.05 + 0.2 * (1 - near)) ** 2) for near in (0.25, 0.5, 0.75)
    ]
    assert from_first[1:4] == pytest.approx(
        [back / (ahead + back) for ahead, back in errors], abs=0.01
    )
    assert from_second[1:4] == pytest.approx(
        [ahead / (ahead + back) for ahead, back in errors], abs=0.01
    )


def test_a_new_object_lives_from_its_reference_on_and_back_to_the_meeting() -> None:
    both = block(2, 8, also=block(1, 0))
    found = masks_of(run({0: block(1, 0), 100: both}, 0, 120))
    born = min(index for index, mask in found.items() if 2 in mask)
    assert born == 50 - driver.MEETING_FRAMES // 2
    assert all(object_ids(found[index]) == (1, 2) for index in range(born, 120))


def test_a_reference_with_only_the_new_object_keeps_the_old_one() -> None:
    found = masks_of(run({0: block(1, 0), 100: block(2, 8)}, 0, 120))
    assert all(1 in mask for mask in found.values())
    assert min(index for index, mask in found.items() if 2 in mask) == 100 - driver.MEETING_FRAMES
    assert np.array_equal(found[100], block(2, 8, also=block(1, 0)))
    assert np.array_equal(found[119], found[100])


def test_an_empty_reference_is_a_wall_that_no_walk_passes() -> None:
    empty, there, back = np.zeros(SHAPE, np.uint8), block(1, 0), block(1, 8)
    found = masks_of(run({0: empty, 3: there, 6: empty, 20: empty, 24: back}, 0, 30))
    expected = {
        **dict.fromkeys(range(30), empty),
        **dict.fromkeys(range(1, 6), there),
        **dict.fromkeys(range(21, 30), back),
    }
    assert all(np.array_equal(found[index], expected[index]) for index in range(30))


@pytest.mark.parametrize("cuts", [(), (10, 22), (3, 7)])
def test_what_the_plan_leaves_empty_is_known_without_propagating(cuts: tuple[int, ...]) -> None:
    empty = np.zeros(SHAPE, np.uint8)
    references = {0: empty, 3: block(1, 0), 6: empty, 20: empty, 24: block(1, 8), 40: empty}
    found = masks_of(run(references, 2, 30, cuts=cuts))
    nothing = {index for index, mask in found.items() if not mask.any()}
    assert nothing
    walls = [at for at, mask in references.items() if not mask.any()]
    assert left_empty([3, 24], walls, start=2, stop=30, cuts=cuts) == nothing


def test_empty_frames_are_certain_background_and_can_be_completed_already() -> None:
    empty = np.zeros(SHAPE, np.uint8)
    frames = run({3: block(1, 0), 6: empty}, 5, 9, completed={7: empty})
    assert [frame.frame_index for frame in frames] == [5, 6, 8]
    assert frames[-1].probabilities.shape == (4, *SHAPE)
    assert frames[-1].probabilities[0].min() == 1


def test_only_empty_references_are_refused() -> None:
    empty = np.zeros(SHAPE, np.uint8)
    with pytest.raises(MaskError, match="no reference mask shows an object"):
        run({0: empty}, 0, 9)


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"range \[5, 5\)"):
        run({0: block(1, 0)}, 5, 5)


@pytest.mark.parametrize("shape", [(1, 1), (64, 5), (65, 300), (200, 150)])
def test_harden_takes_the_most_probable_id_and_the_lower_of_equals(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(4)
    levels = random.integers(0, 5, (4, *shape)).astype(np.float32)
    levels[0, :, : shape[1] // 3] = 40  # surely background
    levels[0] += 0.5 * (levels.sum(axis=0) == 0)
    probabilities = levels / levels.sum(axis=0)
    assert np.array_equal(driver.harden(probabilities), probabilities.argmax(axis=0))


class Saving(dict[int, Mask]):
    """Finished masks, as a caller keeps them while they arrive."""


@pytest.mark.parametrize("references", [(0,), (19,), (7,), (0, 12), (3, 9, 30)])
def test_resuming_after_any_interruption_finishes_the_same_frames(
    references: tuple[int, ...],
) -> None:
    shown = {index: block(1 + number, 3 * number) for number, index in enumerate(references)}
    whole = masks_of(run(shown, 0, 20))
    for interrupted_after in range(0, 20, 3):
        saved = Saving()
        first = propagate(
            FakePropagator(num_objects=3), Clip(40), shown, start=0, stop=20, completed=saved
        )
        for frame in first:
            if len(saved) == interrupted_after:
                break
            saved[frame.frame_index] = frame.mask
        rest = masks_of(run(shown, 0, 20, completed=dict(saved)))
        assert not saved.keys() & rest.keys()
        together = {**saved, **rest}
        assert together.keys() == whole.keys()
        for index, mask in whole.items():
            assert np.array_equal(together[index], mask), index


def test_without_a_saved_state_a_walk_is_gone_through_again_from_its_reference() -> None:
    """Never from a finished mask: that would be another walk."""
    clip = Clip(40)
    completed = {index: block(1, 5) for index in range(30)}
    frames = list(
        propagate(
            FakePropagator(num_objects=1),
            clip,
            {0: block(1, 0)},
            start=0,
            stop=33,
            completed=completed,
        )
    )
    assert clip.decoded == [0, *range(33)]
    assert [frame.frame_index for frame in frames] == [30, 31, 32]
    assert all(np.array_equal(frame.mask, block(1, 0)) for frame in frames)


def test_nothing_is_stepped_when_everything_is_finished() -> None:
    clip = Clip(40)
    completed = {index: block(1, 5) for index in range(20)}
    references = {3: block(1, 0), 15: block(1, 1)}
    assert not list(
        propagate(
            FakePropagator(num_objects=1), clip, references, start=0, stop=20, completed=completed
        )
    )
    assert sorted(clip.decoded) == [3, 15]


def test_closing_stops_decoding() -> None:
    clip = Clip(1000)
    frames = propagate(FakePropagator(num_objects=1), clip, {0: block(1, 0)}, start=0, stop=1000)
    next(frames)
    next(frames)
    frames.close()
    assert len(clip.decoded) <= 4
    assert clip.alive == 0


class Noting(FakePropagator):
    """A fake that notes its calls."""

    def __init__(self) -> None:
        super().__init__(num_objects=3)
        self.calls: list[str] = []

    def remember(self, image: Image, mask: Mask) -> None:
        super().remember(image, mask)
        self.calls.append("remember")

    def step(self, image: Image, mask: Mask | None = None, *, last: bool = False) -> Probabilities:
        self.calls.append(f"step{' given' if mask is not None else ''}{' last' if last else ''}")
        return super().step(image, mask, last=last)

    def forget_temporary(self) -> None:
        super().forget_temporary()
        self.calls.append("forget")


def test_each_walk_starts_afresh_with_a_mask_and_says_when_it_ends() -> None:
    propagator = Noting()
    list(propagate(propagator, Clip(40), {2: block(1, 0), 4: block(1, 1)}, start=0, stop=6))
    back, meet = (
        ["forget", "step given", "step", "step last"],
        ["forget", "step given", "step last"],
    )
    # to the later reference, without its mask
    through = [
        "forget",
        "step given",
        "step",
        "step last",
    ]
    assert propagator.calls == ["remember", "remember", *back, *through, *meet, *meet]


def test_without_permanent_memory_one_walk_takes_every_reference_where_it_stands() -> None:
    propagator = Noting()
    references = {2: block(1, 0), 4: block(1, 5), 5: block(2, 8)}
    frames = list(propagate(propagator, Clip(40), references, start=0, stop=7, remember=False))
    back, on = (
        ["forget", "step given", "step", "step last"],
        ["forget", "step given", "step", "step given", "step given"],
    )
    assert propagator.calls == [*back, *on, "step last"]
    assert [frame.frame_index for frame in frames] == [1, 0, 2, 3, 4, 5, 6]
    found = masks_of(frames)
    assert all(np.array_equal(found[index], block(1, 0)) for index in (0, 1, 2, 3))
    assert np.array_equal(found[4], block(1, 5))
    assert all(np.array_equal(found[index], block(2, 8, also=block(1, 5))) for index in (5, 6))


class Foreseeing(FakePropagator):
    """A fake that notes which pictures it was shown beforehand, and which it had to step to
    without.
    """

    def __init__(self) -> None:
        super().__init__(num_objects=1)
        self.foreseen: Image | None = None
        self.expected: Image | None = None
        self.surprised: list[
            bool
        ] = []  # for every step: whether just one of "no mask" and "shown beforehand" holds

    def foresee(self, image: Image) -> None:
        self.foreseen = image

    def step(self, image: Image, mask: Mask | None = None, *, last: bool = False) -> Probabilities:
        self.surprised.append((mask is None) != (self.expected is image))
        self.expected, self.foreseen = self.foreseen, None
        return super().step(image, mask, last=last)


def test_a_propagator_that_can_use_it_is_shown_the_next_frame_unless_that_has_a_mask() -> None:
    propagator, clip = Foreseeing(), Clip(40)
    frames = list(propagate(propagator, clip, {4: block(1, 0), 9: block(1, 1)}, start=0, stop=14))
    assert sorted(frame.frame_index for frame in frames) == list(range(14))
    assert len(propagator.surprised) > 14
    assert not any(propagator.surprised)
    assert clip.peak <= 4


class Counting(FakePropagator):
    """A fake that counts the results that are alive."""

    alive = peak = 0

    def step(self, image: Image, mask: Mask | None = None, *, last: bool = False) -> Probabilities:
        probabilities = super().step(image, mask, last=last)
        Counting.alive += 1
        Counting.peak = max(Counting.peak, Counting.alive)
        weakref.finalize(probabilities, self._release)
        return probabilities

    @staticmethod
    def _release() -> None:
        Counting.alive -= 1


@pytest.mark.parametrize("indices", [(0,), (399,), (0, 399), (10, 200, 390)])
def test_only_a_few_images_and_results_are_alive(indices: tuple[int, ...]) -> None:
    clip = Clip(400)
    Counting.alive = Counting.peak = 0
    references = {index: block(1, number) for number, index in enumerate(indices)}
    for _ in propagate(Counting(num_objects=1), clip, references, start=0, stop=400):
        pass
    assert clip.peak <= 3
    assert Counting.peak <= 3


class Selective(Noting):
    """A fake that can be told which references matter."""

    def __init__(self) -> None:
        super().__init__()
        self.attended: list[dict[int, int]] = []

    def attend(self, references: Mapping[int, int]) -> None:
        self.attended.append(dict(references))


def test_only_a_selective_memory_has_long_gaps_made_twice() -> None:
    references = {0: block(1, 0), 399: block(1, 4)}

    def twice(carrier: FakePropagator) -> int:
        frames = propagate(carrier, Clip(400), references, start=0, stop=400)
        return sum(0.001 < frame.probabilities[1][0, 0] < 0.999 for frame in frames)

    assert twice(Noting()) == driver.MEETING_FRAMES
    assert twice(Selective()) == driver.BLENDED_FRAMES


def test_a_walk_attends_to_both_neighbours_and_the_nearest_of_every_other_object() -> None:
    carrier = Selective()
    references = {0: block(3, 0), 10: block(1, 1), 30: block(1, 4), 40: block(1, 5)}
    list(propagate(carrier, Clip(60), references, start=0, stop=50))
    assert carrier.attended[:2] == [{0: 0, 1: 10}, {1: 0, 0: 10}]
    assert carrier.attended[2:] == [
        {1: 0, 2: 20, 0: -10},
        {2: 0, 1: 20},
        {2: 0, 3: 10, 0: -30},
        {3: 0, 2: 10},
        {3: 0, 2: -10, 0: -40},
    ]


def test_what_does_not_fit_into_the_spool_is_the_forward_walks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    references = {0: block(1, 0), 100: block(1, 4)}

    def mixed() -> list[int]:
        frames = propagate(Selective(), Clip(101), references, start=0, stop=101)
        return [one.frame_index for one in frames if 0.001 < one.probabilities[1][0, 0] < 0.999]

    assert sorted(mixed()) == list(range(1, 100))
    probabilities = np.stack([block(1, 0) == k for k in range(4)]).astype(np.float32)
    monkeypatch.setattr(
        meeting, "SPOOL_BYTES", 20 * meeting.pack(0, probabilities, (1.0, 1.0, 1.0)).size
    )
    assert sorted(mixed()) == list(range(80, 100))


@pytest.mark.parametrize(
    "done", [range(34, 67), range(1, 50), range(50, 100), range(1, 67), range(100)]
)
def test_a_gap_that_is_partly_finished_is_finished(done: range) -> None:
    references, completed = (
        {0: block(1, 0), 100: block(1, 4)},
        {index: block(1, 2) for index in done},
    )
    for carrier in (FakePropagator(num_objects=1), Selective()):
        found = masks_of(
            list(propagate(carrier, Clip(101), references, start=0, stop=101, completed=completed))
        )
        assert sorted(found) == sorted(set(range(101)) - set(done))


def test_a_walk_that_lost_the_object_does_not_dim_the_other() -> None:
    class Losing(Selective):
        """Loses everything three frames after a mask, when walking forward from frame 0."""

        def step(
            self, image: Image, mask: Mask | None = None, *, last: bool = False
        ) -> Probabilities:
            if mask is not None:
                self.since, self.first = 0, bool(mask[0, 0])
            found = super().step(image, mask, last=last)
            self.since += 1
            if self.first and self.since > 3:
                found[0], found[1:] = 1, 0
            return found

    found = masks_of(
        list(propagate(Losing(), Clip(60), {0: block(1, 0), 20: block(1, 4)}, start=0, stop=21))
    )
    assert all(np.array_equal(found[index], block(1, 4)) for index in range(3, 21))
    assert np.array_equal(found[1], block(1, 0))


@pytest.mark.parametrize("indices", [(0,), (11,), (5,), (0, 11)])
def test_builtin_follows_two_objects_in_every_direction(indices: tuple[int, ...]) -> None:
    references = {index: draw(index)[1] for index in indices}
    propagator = open_propagator("builtin", num_objects=2)
    found = masks_of(list(propagate(propagator, Clip(12), references, start=0, stop=12)))
    assert sorted(found) == list(range(12))
    for index, mask in found.items():
        truth = draw(index)[1]
        for object_id in (1, 2):
            both = np.count_nonzero((mask == object_id) & (truth == object_id))
            assert both > 0.8 * np.count_nonzero((mask == object_id) | (truth == object_id)), (
                index,
                object_id,
            )


def test_builtin_follows_objects_that_no_reference_shows_together() -> None:
    references = {
        0: np.where(draw(0)[1] == 1, np.uint8(1), np.uint8(0)),
        11: draw(11)[1] * (draw(11)[1] == 2),
    }
    found = masks_of(
        list(
            propagate(
                open_propagator("builtin", num_objects=2), Clip(14), references, start=0, stop=14
            )
        )
    )
    for index, mask in found.items():
        truth = draw(index)[1]
        for object_id in (1, 2):
            both = np.count_nonzero((mask == object_id) & (truth == object_id))
            seen = np.count_nonzero((mask == object_id) | (truth == object_id))
            assert both > 0.8 * seen or (index, object_id) == (0, 2), (index, object_id)
