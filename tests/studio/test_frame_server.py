"""The frame server: the frame that was asked for, exactly, in any order and from many threads."""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image
from support.clips import number_of

from vfx_matte.errors import MediaError, UsageError
from vfx_matte.media.frames import ClipReader, Frame
from vfx_matte.media.open import open_clip
from vfx_matte.pipeline.studio.frame_server import FrameServer, SupersededError

FRAMES = 60
PTS = tuple(range(0, FRAMES * 1001, 1001))


@pytest.fixture(scope="module")
def reader(make_clip: Callable[..., Path]) -> ClipReader:
    return open_clip(make_clip(pts=PTS, options={"g": "24", "sc_threshold": "0"}), notify=print)


@pytest.fixture
def server(reader: ClipReader) -> Iterator[FrameServer]:
    served = FrameServer(reader)
    yield served
    served.close()


def shown(data: bytes) -> int:
    return number_of(np.asarray(Image.open(io.BytesIO(data))))


def test_every_frame_in_any_order(server: FrameServer) -> None:
    order = [*range(10), *range(59, 40, -1), 5, 55, 24, 23, 25, 0, 59]
    random.Random(3).shuffle(order)
    for index in order:
        assert shown(server.jpeg(index)) == index
    assert shown(server.jpeg(30)) == 30
    assert server.jpeg(30) == server.jpeg(30)


def test_sizes_are_kept_apart(server: FrameServer, reader: ClipReader) -> None:
    info = reader.info
    for width, expected in ((None, info.width), (70, 70), (9999, info.width), (1, 64)):
        picture = Image.open(io.BytesIO(server.jpeg(7, width)))
        assert picture.size == (expected, round(info.height * expected / info.width))
        assert shown(server.jpeg(7, width)) == 7


def test_a_crop_is_the_clips_own_pixels(server: FrameServer, reader: ClipReader) -> None:
    crop = np.asarray(Image.open(io.BytesIO(server.crop(33, 5, 8, 40, 30))))
    assert np.array_equal(crop, reader.frame(33).image[8:38, 5:45])


@pytest.mark.parametrize("index", [-1, FRAMES])
def test_a_frame_that_is_not_there(server: FrameServer, index: int) -> None:
    with pytest.raises(UsageError, match="no frame"):
        server.jpeg(index)


@pytest.mark.parametrize("part", [(-1, 0, 4, 4), (0, 0, 0, 4), (90, 0, 40, 4), (0, 60, 4, 9)])
def test_a_crop_outside_of_the_picture(
    server: FrameServer, part: tuple[int, int, int, int]
) -> None:
    with pytest.raises(UsageError, match="not in the clip"):
        server.crop(0, *part)


def test_many_threads_get_their_own_frames_or_are_told_that_newer_ones_came(
    server: FrameServer,
) -> None:
    results: dict[int, int | None] = {}

    def ask(index: int) -> None:
        try:
            results[index] = shown(server.jpeg(index))
        except SupersededError:
            results[index] = None

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(0, FRAMES, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(got in (index, None) for index, got in results.items())
    assert sum(got is not None for got in results.values()) >= 4


class Counting:
    """A reader that notes which frames are decoded."""

    def __init__(self, reader: ClipReader) -> None:
        self._reader = reader
        self.decoded: list[int] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for frame in self._reader.frames(start, stop):
            self.decoded.append(frame.index)
            yield frame


def settle(server: FrameServer) -> None:
    """Wait until the thread has nothing more to do."""
    for _ in range(500):
        if server.is_idle:
            return
        threading.Event().wait(0.02)
    raise AssertionError("the server is still at work")


def test_neighbours_are_made_ahead_and_not_decoded_again(reader: ClipReader) -> None:
    counting = Counting(reader)
    server = FrameServer(counting)  # type: ignore[arg-type]
    server.jpeg(20)
    settle(server)
    before = list(counting.decoded)
    for index in (19, 18, 21, 22, 40, 50):
        assert shown(server.jpeg(index)) == index
    settle(server)
    assert counting.decoded[: len(before)] == before
    assert not set(counting.decoded[len(before) :]) & set(range(12, 51))
    server.close()


def test_a_frame_that_was_passed_is_not_decoded_again(reader: ClipReader) -> None:
    counting = Counting(reader)
    server = FrameServer(counting)  # type: ignore[arg-type]
    server.rest(True)
    for index in (10, 9, 12, 11, 14, 13):
        assert shown(server.jpeg(index)) == index
    assert counting.decoded == list(range(counting.decoded[0], 15))
    server.close()


def test_memory_is_bounded(reader: ClipReader) -> None:
    size = len(FrameServer(reader).jpeg(0))
    server = FrameServer(reader, cache_bytes=5 * size)
    for index in range(FRAMES):
        server.jpeg(index)
    assert server.cached_bytes <= 6 * size
    server.close()


def test_a_clip_that_is_gone_is_an_error_of_the_request_and_not_the_end(
    make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    data = make_clip(pts=PTS, options={"g": "24", "sc_threshold": "0"}).read_bytes()
    path.write_bytes(data)
    server = FrameServer(open_clip(path, notify=print))
    assert shown(server.jpeg(0)) == 0
    settle(server)
    path.unlink()
    with pytest.raises(MediaError):
        server.crop(2, 0, 0, 8, 8)
    assert shown(server.jpeg(0)) == 0
    path.write_bytes(data[:-50])
    with pytest.raises(MediaError):
        server.crop(2, 0, 0, 8, 8)
    assert shown(server.jpeg(0)) == 0
    server.close()


def test_a_closed_server_answers_nobody(reader: ClipReader) -> None:
    server = FrameServer(reader)
    server.close()
    with pytest.raises(SupersededError):
        server.jpeg(3)


def test_an_expected_frame_is_decoded_before_anybody_asks(reader: ClipReader) -> None:
    begun: list[int] = []

    class Counting:
        info, check_unchanged = reader.info, staticmethod(reader.check_unchanged)

        @staticmethod
        def frames(start: int = 0, stop: int | None = None) -> Iterator[Frame]:
            begun.append(start)
            yield from reader.frames(start, stop)

    server = FrameServer(cast("ClipReader", Counting()))
    try:
        server.expect(0)
        for _ in range(500):
            if begun and server.is_idle:
                break
            time.sleep(0.01)
        assert begun == [0]
        assert shown(server.jpeg(0)) == 0
        # what was decoded is used: decoding goes on from there
        assert begun == [0]
    finally:
        server.close()
