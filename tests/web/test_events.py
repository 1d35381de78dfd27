"""Server-sent events: order, resuming, what was missed, and an end when the server ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import json
import threading
import time
from typing import Any

import pytest
from support.fake_studio import FakeStudio
from support.studio_server import Client, serving

from vfx_matte.web import events
from vfx_matte.web.events import KEPT, EventLog
from vfx_matte.web.failures import RequestError
from vfx_matte.wording import option


class Stream:
    """An open stream of events."""

    def __init__(self, page: Client, last: str | None = None) -> None:
        self.connection = page.connect()
        headers = {"Host": page.authority, "Authorization": f"Bearer {page.token}"}
        if last is not None:
            headers["Last-Event-ID"] = last
        self.connection.putrequest("GET", "/api/events", skip_host=True)
        for name, value in headers.items():
            self.connection.putheader(name, value)
        self.connection.endheaders()
        self.answer = self.connection.getresponse()
        if self.answer.status == 200:
            assert self.answer.readline() == b": connected\n"
            self.answer.readline()

    def next(self) -> dict[str, Any]:
        """The next event: its fields, `data` read as JSON."""
        found: dict[str, Any] = {}
        while line := self.answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            found[name] = json.loads(value) if name == "data" else value
        return found

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def emit(page: Client, count: int, start: int = 0) -> None:
    for index in range(start, start + count):
        page.studio._emit({"type": "saved", "index": index})


def test_events_come_in_order(page: Client) -> None:
    stream = Stream(page)
    assert stream.answer.headers["content-type"].startswith("text/event-stream")
    assert stream.answer.headers["cache-control"] == "no-store"
    emit(page, 5)
    heard = [stream.next() for _ in range(5)]
    assert [one["data"] for one in heard] == [{"type": "saved", "index": n} for n in range(5)]
    numbers = [int(one["id"]) for one in heard]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    stream.close()


def test_a_stream_goes_on_where_it_was(page: Client) -> None:
    stream = Stream(page)
    emit(page, 1)
    last = stream.next()["id"]
    stream.close()
    emit(page, 3, start=10)
    again = Stream(page, last)
    assert [again.next()["data"]["index"] for _ in range(3)] == [10, 11, 12]
    again.close()


def test_who_missed_too_much_loads_everything_anew(page: Client) -> None:
    stream = Stream(page)
    emit(page, 1)
    last = int(stream.next()["id"])
    stream.close()
    emit(page, KEPT)
    whole = Stream(page, str(last))
    assert whole.next()["data"] == {"type": "saved", "index": 0}, "exactly as many are kept"
    whole.close()
    emit(page, 1)
    for unknown in (last, 0, last + 10**9):
        again = Stream(page, str(unknown))
        first = again.next()
        assert (first["event"], first["data"]) == ("reload", {"type": "reload"})
        emit(page, 1, start=77)
        assert again.next()["data"]["index"] == 77
        again.close()


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30, "١", "1 "])
def test_numbers_that_are_none(page: Client, last: str) -> None:
    headers: dict[str, str | None] = {"Last-Event-ID": last.encode().decode("latin-1")}
    if last != "1 ":  # spaces at the end do not belong to a header
        assert page("GET", "/api/events", headers=headers).status in (400, 422)


def test_two_pages_hear_the_same(page: Client) -> None:
    streams = [Stream(page), Stream(page)]
    page.put_mask(1, bytes(96 * 64))
    first, second = (stream.next() for stream in streams)
    assert first == second
    assert first["data"]["type"] == "project"
    for stream in streams:
        stream.close()


def test_texts_of_events_are_spelled_for_the_page(page: Client) -> None:
    stream = Stream(page)
    page.studio._emit({"type": "notice", "text": f"see {option('soft_edges', True)}\n\ndata: x"})
    assert stream.next()["data"]["text"] == "see “soft edges” on\n\ndata: x"
    stream.close()


def test_too_many_pages(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 0)
    stream = Stream(page)
    assert stream.answer.status == 503
    stream.close()


def test_a_stream_counts_from_when_it_is_asked_for() -> None:
    """Not only from when it is read; and no longer when nobody will read it."""

    async def ask() -> None:
        log = EventLog()
        asked = [log.open(None) for _ in range(events.MOST_STREAMS)]
        with pytest.raises(RequestError, match="too many pages"):
            log.open(None)
        asked.pop()
        gc.collect()
        asked.append(log.open(None))
        with pytest.raises(RequestError):
            log.open(None)

    asyncio.run(ask())


def test_a_page_that_left_is_forgotten() -> None:
    with serving(FakeStudio()) as page:
        for _ in range(40):
            stream = Stream(page)
            stream.close()
        deadline = time.monotonic() + 10
        status = 0
        while status != 200:
            assert time.monotonic() < deadline, status
            stream = Stream(page)
            status = stream.answer.status
            stream.close()


def test_silence_is_broken_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        EventLog.__init__, "__kwdefaults__", {"from_first": False, "keep_alive_seconds": 0.05}
    )
    with serving(FakeStudio()) as page:
        stream = Stream(page)
        assert stream.answer.readline() == b": still here\n"
        stream.close()


def test_streams_end_with_the_server() -> None:
    with serving(FakeStudio()) as page:
        stream = Stream(page)
        began = time.monotonic()
        ended: list[float] = []

        def read() -> None:
            with contextlib.suppress(http.client.IncompleteRead):
                stream.answer.read()
            ended.append(time.monotonic())

        reader = threading.Thread(target=read)
        reader.start()
    reader.join(5)
    stream.close()
    assert ended
    assert ended[0] - began < 1.5


def test_many_events_from_many_threads() -> None:
    with serving(FakeStudio()) as page:
        stream = Stream(page)
        threads = [threading.Thread(target=emit, args=(page, 100)) for _ in range(5)]
        for thread in threads:
            thread.start()
        numbers = [int(stream.next()["id"]) for _ in range(500)]
        assert numbers == list(range(1, 501))
        for thread in threads:
            thread.join()
        stream.close()
