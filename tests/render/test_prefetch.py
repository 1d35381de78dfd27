from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfx_matte.pipeline.prefetch import prefetched


@given(st.lists(st.integers()), st.integers(1, 5))
def test_items_come_in_order(items: list[int], depth: int) -> None:
    assert list(prefetched(items, depth=depth)) == items


def test_none_is_an_item_like_any_other() -> None:
    assert list(prefetched([None, 1, None])) == [None, 1, None]


def test_an_error_arrives_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    made = prefetched(items())
    assert next(made) == 1
    with pytest.raises(ValueError, match="broken"):
        next(made)


def test_no_more_than_the_depth_is_made_ahead() -> None:
    made_count = 0

    def items() -> Iterator[int]:
        nonlocal made_count
        for number in range(1000):
            made_count += 1
            yield number

    with closing(prefetched(items(), depth=3)) as made:
        for number in made:
            assert made_count <= number + 1 + 3 + 2
            if number == 50:
                break


def test_closing_stops_the_thread_and_closes_the_items() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    made = prefetched(items())
    next(made)
    made.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_items_are_made_in_another_thread() -> None:
    assert next(prefetched(iter(threading.current_thread, None))) is not threading.current_thread()


def test_ctrl_c_while_the_thread_starts_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread may run before `start` returns; then it has to be stopped all the same, or it is
    using what is closed next.
    """

    def items() -> Iterator[int]:
        while True:
            yield 1

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    start = threading.Thread.start
    source, before = items(), threading.active_count()
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), closing(source):
        next(prefetched(source))
    assert threading.active_count() == before
