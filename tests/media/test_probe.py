"""What probe says of broken and unusual files; the usual ones are in test_read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import av
import numpy as np
import pytest
from support.clips import VFR_PTS, number_of, sound, write_clip
from support.notices import Notices

from vfx_matte.errors import MediaError
from vfx_matte.media.open import open_clip
from vfx_matte.media.pixels import Orientation
from vfx_matte.media.probe import probe, probe_beginning
from vfx_matte.media.readers.video import VideoReader

Make = Callable[..., Path]
MILLISECONDS = {
    "time_base": Fraction(1, 1000),
    "pts": tuple(range(0, 480, 40)),
    "last_duration": 40,
    "codec": "ffv1",
}


def numbers(path: Path, notices: Notices) -> list[int]:
    return [number_of(frame.image) for frame in open_clip(path, notify=notices).frames()]


def retimed(path: Path, changes: dict[int, int]) -> Path:
    """Change the timestamps (ms) of frames in a Matroska file whose first cluster begins at
    zero.
    """
    data = path.read_bytes()
    for old, new in changes.items():
        block = b"\x81" + struct.pack(">h", old) + b"\x00"  # track 1, time, no key
        assert data.count(block) == 1
        data = data.replace(block, b"\x81" + struct.pack(">h", new) + b"\x00")
    path.write_bytes(data)
    return path


def test_duplicate_timestamps_are_mended(tmp_path: Path, notices: Notices) -> None:
    path = retimed(write_clip(tmp_path / "a.mkv", options={"g": "100"}, **MILLISECONDS), {200: 160})
    info = probe(path, notify=notices)
    assert info.timeline.pts == tuple(range(0, 480, 40))
    assert info.repairs.duplicate == 1
    assert not info.reliable
    assert any("1 duplicate" in line for line in notices)
    assert numbers(path, notices) == list(range(12))


@pytest.mark.parametrize("begins", [False, True])
def test_backwards_timestamps_keep_every_frame(
    begins: bool, tmp_path: Path, notices: Notices
) -> None:
    path = retimed(write_clip(tmp_path / "a.mkv", options={"g": "100"}, **MILLISECONDS), {200: 40})
    reader = open_clip(path, notify=notices, begins=begins)
    assert len(reader.info.timeline) == 12
    assert sorted(number_of(frame.image) for frame in reader.frames()) == list(range(12))
    assert notices
    assert [frame.index for frame in reader.frames_reversed()] == list(reversed(range(12)))


def test_missing_timestamps_are_mended(tmp_path: Path, notices: Notices) -> None:
    path = tmp_path / "raw.m4v"  # an elementary stream has no timestamps at all
    write_clip(path, codec="mpeg4", muxer="m4v", options={"g": "5", "bf": "0"})
    assert numbers(path, notices) == list(range(12))
    info = probe(path, notify=notices)
    assert len(info.timeline) == 12
    assert info.timeline.is_constant_rate


def test_a_file_is_opened_for_its_packets_and_for_a_picture(
    make_clip: Make, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening takes as long as reading a short clip."""
    opened = Mock(wraps=av.open)
    monkeypatch.setattr(av, "open", opened)
    plain, timed = (
        make_clip("plain.mp4"),
        make_clip("timed.mov", metadata={"timecode": "01:00:00:00"}),
    )
    # writing the clips opens them, too
    opened.reset_mock()
    assert probe(plain, notify=notices).timecode is None
    assert opened.call_count == 2
    # a timecode track has to be read before anything else
    opened.reset_mock()
    assert probe(timed, notify=notices).timecode == "01:00:00:00"
    assert opened.call_count == 4


def test_an_edit_list_hides_the_start(tmp_path: Path, notices: Notices) -> None:
    """Frames before zero are cut away by MP4's edit list; the ones after still need the keyframe
    before it.
    """
    path = write_clip(
        tmp_path / "edit.mp4",
        pts=tuple(range(-5005, 7 * 1001, 1001)),
        options={"g": "4", "bf": "2"},
    )
    assert numbers(path, notices) == list(range(5, 12))
    info = probe(path, notify=notices)
    assert info.timeline.pts == tuple(range(0, 7 * 1001, 1001))
    assert info.timeline.durations[-1] == 1001
    reader = open_clip(path, notify=notices)
    assert [number_of(reader.frame(i).image) for i in (0, 6, 3, 1)] == [5, 11, 8, 6]
    assert [number_of(frame.image) for frame in reader.frames_reversed()] == list(
        reversed(range(5, 12))
    )


@pytest.mark.parametrize(("shift", "options"), [(0, {}), (0, {"bf": "3"}), (10, {"bf": "2"})])
def test_the_first_frame_is_known_from_the_beginning(
    tmp_path: Path, notices: Notices, shift: int, options: dict[str, str]
) -> None:
    """Of a clip that is longer than what is read for it, also where an edit list hides the
    start.
    """
    pts = tuple(range(-shift * 1001, (100 - shift) * 1001, 1001))
    path = write_clip(tmp_path / "long.mp4", pts=pts, options={"g": "30", **options})
    whole, info = probe(path, notify=notices), probe_beginning(path)
    assert info is not None
    assert len(info.timeline) < len(whole.timeline)
    first = VideoReader(path, notify=notices, info=info).frame(0)
    expected = VideoReader(path, notify=notices).frame(0)
    assert number_of(first.image) == shift % 64
    assert np.array_equal(first.image, expected.image)
    assert first.time.pts == expected.time.pts == whole.timeline.pts[0]
    assert (info.width, info.height, info.color) == (whole.width, whole.height, whole.color)


def test_what_only_the_whole_clip_tells_is_not_guessed(tmp_path: Path) -> None:
    # every time in the window is cut away, or one of them cannot be trusted
    hidden = tuple(range(-70 * 1001, 30 * 1001, 1001))
    path = write_clip(tmp_path / "hidden.mp4", pts=hidden, options={"g": "100"})
    assert probe_beginning(path) is None
    times = {**MILLISECONDS, "pts": tuple(range(0, 40 * 40, 40))}
    path = retimed(write_clip(tmp_path / "a.mkv", options={"g": "100"}, **times), {200: 160})
    assert probe_beginning(path) is None


def test_an_edit_list_hides_start_and_end(
    make_clip: Make,
    ffmpeg: Callable[..., None],
    tmp_path: Path,
    notices: Notices,
    ffprobe: Callable[..., dict[str, Any]],
) -> None:
    source = make_clip(
        "long.mp4",
        pts=tuple(range(0, 30 * 1001, 1001)),
        options={"g": "8", "bf": "2"},
        sounds=(sound(),),
    )
    path = tmp_path / "trimmed.mp4"
    ffmpeg("-ss", "0.4", "-i", source, "-t", "0.3", "-c", "copy", path)
    info = probe(path, notify=notices)
    shown = [
        p
        for p in ffprobe(path, "packet=pts,flags", "-select_streams", "v")["packets"]
        if "D" not in p["flags"]
    ]
    assert list(info.timeline.pts) == sorted(int(packet["pts"]) for packet in shown)
    seen = numbers(path, notices)
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert len(seen) == len(info.timeline)


def test_the_last_frames_duration_is_the_containers(make_clip: Make, notices: Notices) -> None:
    pts = (0, 1001, 3003, 4004)
    for suffix, bf, tolerance in (
        ("mp4", "0", 0),
        ("mov", "0", 0),
        ("mkv", "0", Fraction(1, 1000)),
        ("mkv", "3", Fraction(1, 1000)),
    ):
        path = make_clip(f"held.{suffix}", pts=pts, last_duration=9009, options={"bf": bf})
        assert abs(probe(path, notify=notices).timeline.end - Fraction(13013, 30000)) <= tolerance


def test_with_b_frames_a_packets_duration_is_not_believed(
    make_clip: Make, notices: Notices
) -> None:
    """The packet of the last frame shown says 500 ticks, the distance in decoding order; MP4's own
    end says 1001.
    """
    info = probe(make_clip("vfr.mp4", pts=VFR_PTS), notify=notices)
    assert info.timeline.durations[-1] == 1001


def test_sound_facts(make_clip: Make, notices: Notices) -> None:
    tracks = (
        sound("pcm_s16le", rate=44100, channels=1),
        sound("aac", start=Fraction(1, 4)),
        sound("libmp3lame"),
    )
    audio = probe(make_clip("three.mov", sounds=tracks), notify=notices).audio
    assert [track.codec for track in audio] == ["pcm_s16le", "aac", "mp3"]
    assert [(track.sample_rate, track.channels) for track in audio] == [
        (44100, 1),
        (48000, 2),
        (48000, 2),
    ]
    starts = [track.start for track in audio]
    assert starts[0] == 0
    assert starts[1] is not None
    assert abs(starts[1] - Fraction(1, 4)) <= Fraction(1024, 48000) + Fraction(1, 1000)


def test_a_broadcast_clock_is_taken_off(make_clip: Make, notices: Notices) -> None:
    info = probe(make_clip("clock.ts", sounds=(sound(),)), notify=notices)
    assert info.origin > 0
    starts = [
        info.timeline.start,
        *(track.start for track in info.audio if track.start is not None),
    ]
    assert info.origin == min(starts)
    assert probe(make_clip("late.mp4", pts=(9000, 10001)), notify=notices).origin == 0


def test_timecode_and_fields_are_known(make_clip: Make, notices: Notices) -> None:
    path = make_clip(
        "tape.mov",
        metadata={"timecode": "01:00:00:00"},
        options={"flags": "+ildct+ilme"},
        field_order=2,
    )
    info = probe(path, notify=notices)
    assert info.timecode == "01:00:00:00"
    assert info.field_order == "tt"
    assert info.is_interlaced
    assert not probe(make_clip("film.mp4"), notify=notices).is_interlaced


def test_a_cover_picture_is_not_the_video(
    make_clip: Make, ffmpeg: Callable[..., None], tmp_path: Path, notices: Notices
) -> None:
    cover = tmp_path / "cover.png"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", cover)
    path = tmp_path / "covered.mp4"
    arguments = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic")
    ffmpeg("-i", cover, "-i", make_clip("vfr.mp4", sounds=(sound(),)), *arguments, path)
    assert numbers(path, notices) == list(range(12))
    assert probe(path, notify=notices).other_streams == ("video",)


def test_an_odd_angle_is_shown_unturned(make_clip: Make, notices: Notices) -> None:
    path = make_clip("tilted.mp4", mirrored=False)
    info = probe(path, notify=notices)
    assert info.orientation == Orientation()
    tilted = path.with_name("tilted-30.mp4")
    with av.open(str(path)) as source, av.open(str(tilted), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(30)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    assert numbers(tilted, notices) == list(range(12))
    assert any("not a right angle" in line for line in notices)


def bad_files() -> list[tuple[str, Callable[[Path, Path], None], str]]:
    def audio_only(path: Path, _: Path) -> None:
        with av.open(str(path), "w") as output:
            stream = output.add_stream("aac", rate=48000)
            frame = av.AudioFrame.from_ndarray(
                np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
            )
            frame.sample_rate = 48000
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))

    def contents(text: bytes) -> Callable[[Path, Path], None]:
        return lambda path, _: path.write_bytes(text) and None

    return [
        ("missing.mp4", lambda *_: None, "there is no file"),
        ("empty.mp4", contents(b""), "is an empty file"),
        ("text.mp4", contents(b"not a video at all\n" * 50), "cannot be read"),
        (
            "cut.mp4",
            lambda path, clip: path.write_bytes(clip.read_bytes()[:2000]) and None,
            "cannot be read",
        ),
        ("tune.m4a", audio_only, "has no video"),
    ]


@pytest.mark.parametrize("bad", bad_files(), ids=lambda bad: bad[0])
def test_bad_files_are_named_in_one_line(
    bad: tuple[str, Callable[[Path, Path], None], str],
    make_clip: Make,
    tmp_path: Path,
    notices: Notices,
) -> None:
    name, make, message = bad
    path = tmp_path / name
    make(path, make_clip("vfr.mp4", sounds=(sound(),)))
    with pytest.raises(MediaError, match=message) as caught:
        probe(path, notify=notices)
    assert name in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_folder_without_permission_is_reported(tmp_path: Path, notices: Notices) -> None:
    folder = tmp_path / "empty folder"
    folder.mkdir()
    with pytest.raises(MediaError, match="holds no pictures"):
        open_clip(folder, notify=notices)
