"""Chapters, timecode and field order: what a file states, or only its frames say, and what outputs
keep of it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.notices import Notices
from support.rewriting import rewritten

from vfx_matte.media.probe import probe
from vfx_matte.media.readers.fields import resolve_field_order
from vfx_matte.media.stated import Chapter, put_chapters

Make = Callable[..., Path]

CHAPTERS = (
    Chapter(Fraction(0), Fraction(1, 5), "one"),
    Chapter(Fraction(1, 5), Fraction(1, 2), "two"),
)


def with_chapters(source: Path, path: Path, chapters: tuple[Chapter, ...] = CHAPTERS) -> Path:
    """The same packets in another file, with chapters."""
    with av.open(str(source)) as container, av.open(str(path), "w") as output:
        stream = container.streams.video[0]
        target = output.add_stream_from_template(stream)
        put_chapters(output, chapters, shift=Fraction(0))
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.stream = target
                output.mux(packet)
    return path


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv"])
def test_chapters_are_kept_and_no_stream_is_missed(
    name: str, make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    source = with_chapters(make_clip("plain.mp4"), tmp_path / "chapters.mp4")
    assert probe(source, notify=notices).chapters == CHAPTERS
    rewritten(source, tmp_path / name, notices)
    kept = probe(tmp_path / name, notify=notices)
    assert kept.chapters == CHAPTERS
    assert kept.other_streams == ()
    assert notices == []


def test_chapters_move_with_the_clock_and_begin_with_the_clip(
    make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    path = tmp_path / "shifted.mkv"
    with av.open(str(make_clip("plain.mp4"))) as container, av.open(str(path), "w") as output:
        stream = container.streams.video[0]
        target = output.add_stream_from_template(stream)
        put_chapters(output, CHAPTERS, shift=Fraction(3, 10))
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.stream = target
                output.mux(packet)
    assert probe(path, notify=notices).chapters == (Chapter(Fraction(0), Fraction(1, 5), "two"),)


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv"])
@pytest.mark.parametrize(
    "pts",
    [(0, 1000, 2000, 3000, 5000, 6000, 9000, 10000, 11000, 12000), tuple(range(0, 12_000, 1000))],
)
def test_timecode_is_kept_at_any_rate(
    name: str, pts: tuple[int, ...], make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    facts: dict[str, Any] = {
        "time_base": Fraction(1, 30_000),
        "metadata": {"timecode": "16:37:10;02"},
    }
    source = make_clip("phone.mkv", pts=pts, **facts)
    assert probe(source, notify=notices).timecode == "16:37:10;02"
    rewritten(source, tmp_path / name, notices)
    assert probe(tmp_path / name, notify=notices).timecode == "16:37:10;02"
    assert notices == []


def test_nonsense_is_told_and_left_out(make_clip: Make, tmp_path: Path, notices: Notices) -> None:
    source = make_clip("odd.mkv", metadata={"timecode": "hello"})
    info = probe(source, notify=notices)
    assert info.timecode is None
    assert [line for line in notices if "'hello' is not hh:mm:ss:ff" in line]


def test_a_track_that_gives_no_text_is_read(
    make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    """Final Cut Camera marks 24 frames per second as drop frame, and FFmpeg then gives no text."""
    pts = tuple(range(0, 12_000, 1000))
    source = make_clip(
        "phone24.mov", pts=pts, time_base=Fraction(1, 24_000), metadata={"timecode": "01:00:00:10"}
    )
    data = bytearray(source.read_bytes())
    entry = data.find(b"tmcd\0\0\0\0\0\0\0\1")
    data[entry + 19] |= 1
    marked = tmp_path / "marked.mov"
    marked.write_bytes(data)
    assert probe(marked, notify=notices).timecode == "01:00:00:10"
    assert ["drop frame" in line for line in notices] == [True]


def interlaced(path: Path, *, top_first: bool) -> Path:
    """MPEG-2 whose frames are marked as two fields."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(
            "mpeg2video", rate=25, options={"flags": "+ildct+ilme", "q": "3"}
        )
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        graph = av.filter.Graph()
        begin = graph.add_buffer(
            width=96, height=64, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 25)
        )
        mark, end = graph.add("setfield", "tff" if top_first else "bff"), graph.add("buffersink")
        begin.link_to(mark)
        mark.link_to(end)
        graph.configure()
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(
                np.full((96, 96), 40 * number, np.uint8), format="yuv420p"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            graph.push(frame)
            marked = graph.pull()
            assert isinstance(marked, av.VideoFrame)
            output.mux(stream.encode(marked))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("top_first", "order"), [(True, "tt"), (False, "bb")])
def test_fields_are_what_the_frames_say(
    top_first: bool, order: str, tmp_path: Path, notices: Notices
) -> None:
    path = interlaced(tmp_path / "tape.mpg", top_first=top_first)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    for stated in ("unknown", "progressive"):
        assert resolve_field_order(stated, frames) == order
    for stated in ("tt", "bb", "tb", "bt"):
        assert resolve_field_order(stated, frames) == stated
    assert probe(path, notify=notices).field_order == order
    rewritten(path, tmp_path / "o.mov", Notices())
    assert probe(tmp_path / "o.mov", notify=notices).field_order[1] == order[1]


def test_whole_frames_stay_whole(make_clip: Make, notices: Notices) -> None:
    with av.open(str(make_clip("plain.mp4"))) as container:
        frames = list(container.decode(video=0))
    assert resolve_field_order("progressive", frames) == "progressive"
    assert resolve_field_order("unknown", frames) == "unknown"
    assert notices == []


def test_a_picture_without_times_begins_with_its_sound(tmp_path: Path, notices: Notices) -> None:
    """A program stream whose clock stands at half a second, with times for the sound alone."""
    path = tmp_path / "o.mpg"
    with av.open(str(path), "w", format="vob") as output:
        video = output.add_stream("mpeg2video", rate=25)
        audio = output.add_stream("mp2", rate=48_000, layout="mono")
        assert isinstance(video, av.VideoStream)
        assert isinstance(audio, av.AudioStream)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(
                np.full((96, 96), 40 * number, np.uint8), format="yuv420p"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(video.encode(frame))
            sound = av.AudioFrame.from_ndarray(
                np.zeros((1, 1920), np.int16), format="s16", layout="mono"
            )
            sound.sample_rate, sound.pts, sound.time_base = (
                48_000,
                number * 1920,
                Fraction(1, 48_000),
            )
            output.mux(audio.encode(sound))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    data, at = bytearray(path.read_bytes()), -1
    while (
        at := data.find(b"\0\0\1\xe0", at + 1)
    ) >= 0:  # ISO/IEC 13818-1, 2.4.3.6: flags, then the length of what they name
        data[at + 7] &= 0x3F
        data[at + 9 : at + 9 + data[at + 8]] = b"\xff" * data[at + 8]
    path.write_bytes(data)
    info = probe(path, notify=notices)
    assert not info.reliable
    assert len(info.timeline) == 6
    assert info.audio[0].start is not None
    assert abs(info.timeline.start - info.audio[0].start) < Fraction(1, 1000)
    assert abs(info.origin - info.timeline.start) < Fraction(1, 1000)
    assert info.origin > Fraction(1, 10)
