"""The queue of tracks: so many at a time, the others in their order, and each comes to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from vfx_matte.backend import Notify
from vfx_matte.errors import MaskError, StoppedError
from vfx_matte.pipeline.tracking import TrackedFrame, TrackListener, TrackQueue


class Heard(TrackListener):
    """Writes down what it hears."""

    def __init__(self, began: list[Any] | None = None) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.over = threading.Event()
        self._began = [] if began is None else began

    def waits(self, position: int) -> None:
        self.events.append(("waits", position))

    def started(self) -> None:
        self._began.append(self)
        self.events.append(("started",))

    def notified(self, line: str) -> None:
        self.events.append(("notified", line))

    def tracked(self, frame: TrackedFrame) -> None:
        self.events.append(("tracked", frame.frame_index))

    def completed(self) -> None:
        self._end("completed")

    def stopped(self) -> None:
        self._end("stopped")

    def failed(self, message: str, hint: str) -> None:
        self._end("failed", message, hint)

    def _end(self, *event: str) -> None:
        self.events.append(event)
        self.over.set()


def frame(index: int) -> TrackedFrame:
    return TrackedFrame(index, np.zeros((1, 1), np.uint8), {})


def counting(count: int) -> Callable[[Notify], Generator[TrackedFrame, None, None]]:
    def work(notify: Notify) -> Generator[TrackedFrame, None, None]:
        notify("works")
        for index in range(count):
            yield frame(index)

    return work


class Gate:
    """Work that waits until it is let go on."""

    def __init__(self) -> None:
        self.is_open, self.is_closed = threading.Event(), False

    def work(self, _notify: Notify) -> Generator[TrackedFrame, None, None]:
        try:
            for index in range(1000):
                assert self.is_open.wait(20)
                yield frame(index)
        finally:
            self.is_closed = True


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_a_listener_hears() -> None:
    queue, heard = TrackQueue(1), Heard()
    queue.add(counting(2), heard)
    assert heard.over.wait(20)
    queue.close()
    assert heard.events == [
        ("waits", 0), ("started",), ("notified", "works"), ("tracked", 0), ("tracked", 1),
        ("completed",),
    ]  # fmt: skip


@examples(30)
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=12), at_once=st.integers(1, 4))
def test_all_come_to_their_end_in_the_order_in_which_they_came(
    lengths: list[int], at_once: int
) -> None:
    began: list[Any] = []
    queue, gate = TrackQueue(at_once), Gate()
    # so that all are there before the first one ends
    first = [Heard(began) for _ in range(at_once)]
    for one in first:
        queue.add(gate.work, one)
    until(lambda: queue.running == at_once)
    heard = [Heard(began) for _ in lengths]
    for length, one in zip(lengths, heard, strict=True):
        queue.add(counting(length), one)
    assert [one.events for one in heard] == [[("waits", at)] for at in range(len(heard))]
    gate.is_open.set()
    for length, one in zip(lengths, heard, strict=True):
        assert one.over.wait(20)
        assert [event[1] for event in one.events if event[0] == "tracked"] == list(range(length))
        positions = [event[1] for event in one.events if event[0] == "waits"]
        assert positions == sorted(positions, reverse=True)
        assert one.events[-1] == ("completed",)
    queue.close()
    if at_once == 1:
        assert began == [*first, *heard]


def test_no_more_than_so_many_at_a_time() -> None:
    queue, gate = TrackQueue(2), Gate()
    heard = [Heard() for _ in range(6)]
    for one in heard:
        queue.add(gate.work, one)
    until(lambda: queue.running == 2)
    time.sleep(0.05)
    assert (queue.running, queue.waiting) == (2, 4)
    assert [("started",) in one.events for one in heard] == [True, True, *4 * [False]]
    gate.is_open.set()
    assert all(one.over.wait(20) for one in heard)
    queue.close()


def test_one_that_waits_is_taken_off_and_the_others_move_up() -> None:
    queue, gate = TrackQueue(1), Gate()
    heard = [Heard() for _ in range(4)]
    tracks = [queue.add(gate.work, one) for one in heard]
    until(lambda: queue.running == 1)
    queue.stop(tracks[2])
    assert heard[2].events[-1] == ("stopped",)
    assert heard[3].events[-1] == ("waits", 1)
    queue.stop(tracks[2])  # again, which changes nothing
    assert heard[2].events.count(("stopped",)) == 1
    gate.is_open.set()
    assert heard[3].over.wait(20)
    queue.close()


def test_one_that_runs_ends_after_its_frame_and_its_work_is_closed() -> None:
    queue, gate, heard = TrackQueue(1), Gate(), Heard()
    track = queue.add(gate.work, heard)
    until(lambda: queue.running == 1)
    queue.stop(track)
    gate.is_open.set()
    assert heard.over.wait(20)
    assert heard.events[-1] == ("stopped",)
    assert ("tracked", 0) not in heard.events
    until(lambda: gate.is_closed)
    queue.close()


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (MaskError("no", hint="do"), ("failed", "no", "do")),
        (ZeroDivisionError("x"), ("failed", "unexpected ZeroDivisionError")),
        (MemoryError(), ("failed", "unexpected MemoryError")),
        (StoppedError("enough"), ("stopped",)),
    ],
)
def test_what_goes_wrong_ends_one_track_alone(error: Exception, event: tuple[str, ...]) -> None:
    def work(_notify: Notify) -> Generator[TrackedFrame, None, None]:
        yield frame(0)
        raise error

    queue, heard, after = TrackQueue(1), Heard(), Heard()
    queue.add(work, heard)
    queue.add(counting(1), after)
    assert after.over.wait(20)
    assert heard.events[-1][: len(event)] == event
    assert after.events[-1] == ("completed",)
    queue.close()


def test_a_listener_that_fails_ends_its_track() -> None:
    class Full(Heard):
        def tracked(self, frame: TrackedFrame) -> None:
            raise MaskError(f"no space for frame {frame.frame_index}")

    queue, heard = TrackQueue(1), Full()
    queue.add(counting(3), heard)
    assert heard.over.wait(20)
    assert heard.events[-1][:2] == ("failed", "no space for frame 0")
    queue.close()


def test_closing_stops_all() -> None:
    queue, gate = TrackQueue(1), Gate()
    heard = [Heard() for _ in range(3)]
    for one in heard:
        queue.add(gate.work, one)
    until(lambda: queue.running == 1)
    threading.Timer(0.05, gate.is_open.set).start()
    queue.close()
    assert [one.events[-1] for one in heard] == [("stopped",)] * 3
    assert (queue.running, queue.waiting) == (0, 0)
