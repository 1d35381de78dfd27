"""Sound beside the picture: copied as it is or encoded, never cut, never moved."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.clips import VFR_PTS, sound, sound_packets, tone
from support.notices import Notices
from support.rewriting import rewritten

from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import OutputError
from vfx_matte.media.probe import probe
from vfx_matte.media.sound.encode import SoundEncoder
from vfx_matte.media.sound.tracks import SoundCopier
from vfx_matte.media.verify import verify_clip
from vfx_matte.media.writers.left_out import left_out_of
from vfx_matte.wording import spelled

Make = Callable[..., Path]


COPIES: list[tuple[str, str, list[dict[str, Any]], Fraction]] = [
    ("late.mp4", "o.mp4", [sound(start=Fraction(3, 10))], Fraction(0)),
    ("late.mp4", "o.mov", [sound(start=Fraction(3, 10))], Fraction(0)),
    ("late.mp4", "o.mkv", [sound(start=Fraction(3, 10))], Fraction(1, 1000)),
    ("long.mp4", "o.mp4", [sound(seconds=Fraction(5, 2))], Fraction(0)),
    ("short.mp4", "o.mov", [sound(seconds=Fraction(1, 20))], Fraction(0)),
    ("late.mkv", "o.mp4", [sound("flac", start=Fraction(1, 10)), sound("ac3")], Fraction(0)),
    ("opus.webm", "o.webm", [sound("libopus")], Fraction(1, 1000)),
    ("opus.webm", "o.mkv", [sound("libopus")], Fraction(1, 1000)),
    ("mp3.mp4", "o.mp4", [sound("libmp3lame")], Fraction(0)),
    ("clock.ts", "o.mkv", [sound("mp2"), sound("ac3", start=Fraction(1, 5))], Fraction(1, 1000)),
    ("three.mov", "o.mov", [sound("pcm_s24le", rate=44100, channels=6), sound(), sound("pcm_s16be",
    channels=1)], Fraction(0)),
    ("pcm.mov", "o.mkv", [sound("pcm_s16le", start=Fraction(1, 10))], Fraction(1, 1000)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "output", "tracks", "slack"), COPIES, ids=[f"{c[0]}-to-{c[1]}" for c in COPIES]
)
def test_copied_sound_is_the_sources(  # noqa: PLR0917
    name: str,
    output: str,
    tracks: list[dict[str, Any]],
    slack: Fraction,
    make_clip: Make,
    tmp_path: Path,
) -> None:
    notices = Notices()
    codec = {"codec": "libvpx-vp9"} if name.endswith("webm") else {}
    source = make_clip(name, pts=VFR_PTS, sounds=tracks, **codec)
    writer = rewritten(source, tmp_path / output, notices)
    assert notices == []
    assert [track.copied for track in writer.tracks] == [True] * len(tracks)
    origin = probe(source, notify=notices).origin
    for want, have in zip(
        sound_packets(source).values(), sound_packets(tmp_path / output).values(), strict=True
    ):
        assert abs(have[0][0] - (want[0][0] - origin)) <= slack
        if tracks[0]["codec"].startswith("pcm") or name == "clock.ts":
            continue  # cut into other packets, or unpacked: verify compares the contents
        assert [checksum for _, checksum in have] == [checksum for _, checksum in want]
        assert all(abs(h[0] - (w[0] - origin)) <= slack for h, w in zip(have, want, strict=True))


def test_a_recording_that_was_cut_off_in_the_middle_of_a_sample(
    make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    """As a camera writes it that lost its power: MOV cannot hold the half sample, and nothing else
    is lost.
    """
    whole = make_clip(
        "whole.avi",
        codec="mjpeg",
        pixel_format="yuvj420p",
        pts=range(12),
        time_base=Fraction(1, 25),
        last_duration=1,
        sounds=[sound("pcm_s16le")],
    ).read_bytes()
    source = tmp_path / "cut.avi"
    last = whole.rindex(b"01wb", 0, whole.rindex(b"idx1"))
    source.write_bytes(whole[: last + 8 + 4 * 100 + 3])
    rewritten(source, tmp_path / "o.mov", notices)
    (_, have), (_, want) = (samples_of(path) for path in (tmp_path / "o.mov", source))
    assert np.array_equal(have, want[: len(have)])
    assert len(want) - len(have) <= 1


def test_adts_headers_are_not_the_payload(
    make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    source = make_clip("adts.ts", pts=VFR_PTS, sounds=(sound(start=Fraction(1, 5)),))
    for name in ("o.mp4", "o.mkv"):
        writer = rewritten(source, tmp_path / name, notices)
        assert writer.tracks[0].copied
    assert notices == []


def samples_of(path: Path, index: int = 0) -> tuple[Fraction, np.ndarray[Any, Any]]:
    """(start in seconds, mono float samples) of one track, decoded."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[index]
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=48000)
        frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    assert frames[0].pts is not None
    assert frames[0].time_base is not None
    return frames[0].pts * frames[0].time_base, np.concatenate(
        [frame.to_ndarray()[0] for frame in frames]
    )


ENCODED = [
    ("pcm.mov", "o.mp4", "pcm_s16le", 48000, 2, "aac"),
    ("pcm.mov", "o.webm", "pcm_s16le", 44100, 2, "opus"),
    ("six.mov", "o.mp4", "pcm_s24le", 48000, 6, "aac"),
    ("fast.mov", "o.mp4", "pcm_s16le", 192000, 2, "aac"),
    ("opus.mkv", "o.mov", "libopus", 48000, 1, "aac"),
    ("aac.mp4", "o.webm", "aac", 44100, 2, "opus"),
]


@pytest.mark.parametrize(("name", "output", "codec", "rate", "channels", "becomes"), ENCODED)
def test_other_sound_is_encoded_in_place_and_whole(  # noqa: PLR0917
    name: str,
    output: str,
    codec: str,
    rate: int,
    channels: int,
    becomes: str,
    make_clip: Make,
    tmp_path: Path,
) -> None:
    notices = Notices()
    late = Fraction(1, 5)
    tracks = (sound(codec, start=late, seconds=Fraction(1), rate=rate, channels=channels),)
    source = make_clip(name, pts=VFR_PTS, sounds=tracks)
    writer = rewritten(source, tmp_path / output, notices)
    assert not writer.tracks[0].copied
    assert any("sound cannot be put in" in line for line in notices)
    assert probe(tmp_path / output, notify=notices).audio[0].codec == becomes

    start, samples = samples_of(tmp_path / output)
    source_start, source_samples = samples_of(source)
    ours = np.concatenate([np.zeros(round(start * 48000)), samples])
    theirs = np.concatenate([np.zeros(round(source_start * 48000)), source_samples])
    shift = offset_of(ours, theirs)
    assert abs(shift) <= 48, f"{shift} samples from the source's place"
    assert len(ours) >= len(theirs) - 960


def offset_of(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> int:
    """By how many samples `ours` is late, from the peak of the cross-correlation."""
    size = 1 << (max(len(ours), len(theirs)) * 2).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(ours, size) * np.conj(np.fft.rfft(theirs, size)))
    peak = int(np.argmax(correlation))
    return peak - size if peak > size // 2 else peak


def test_the_measure_of_offset_measures() -> None:
    wave = tone(0, 9600, rate=48000, channels=1)[0]
    assert offset_of(np.concatenate([np.zeros(100), wave]), wave) == 100


def law_clip(path: Path) -> Path:
    """An AVI file with mu-law sound of one channel at 8 kHz, as dash cams write it."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg4", rate=25)
        audio = output.add_stream("pcm_mulaw", rate=8000, layout="mono")
        assert isinstance(video, av.VideoStream)
        assert isinstance(audio, av.AudioStream)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(
                np.full((96, 96), 20 * number, np.uint8), format="yuv420p"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(video.encode(frame))
            part = tone(number * 320, 320, rate=8000, channels=1)
            wave = av.AudioFrame.from_ndarray(
                np.ascontiguousarray((part * 30_000).astype(np.int16)), format="s16", layout="mono"
            )
            wave.sample_rate, wave.pts, wave.time_base = 8000, number * 320, Fraction(1, 8000)
            output.mux(audio.encode(wave))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return path


@pytest.mark.parametrize("name", ["o.mp4", "o.mkv", "o.mov"])
def test_a_dash_cams_sound_is_encoded_and_verified(
    name: str, tmp_path: Path, notices: Notices
) -> None:
    """Without a channel layout, in a codec whose name does not say how many bits it has."""
    writer = rewritten(law_clip(tmp_path / "dash.avi"), tmp_path / name, notices)
    assert [track.copied for track in writer.tracks] == [False]
    assert [
        line for line in notices if "its one channel has no name and is written as mono" in line
    ]


@pytest.mark.parametrize("codec", ["wavpack", "truehd"])
def test_sound_whose_packets_have_no_length_is_encoded_and_verified(
    codec: str, ffmpeg: Callable[..., None], tmp_path: Path, notices: Notices
) -> None:
    """WavPack's one packet is half a second; TrueHD has more packets than Matroska has
    milliseconds.
    """
    clip = tmp_path / "clip.mkv"
    picture = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.12"]
    tones = [
        "-f",
        "lavfi",
        "-i",
        "sine=sample_rate=48000:duration=0.5,aformat=channel_layouts=stereo",
    ]
    ffmpeg(*picture, *tones, "-c:v", "mpeg4", "-c:a", codec, "-strict", "-2", clip)
    (track,) = probe(clip, notify=notices).audio
    assert track.end is not None
    assert abs(track.end - Fraction(1, 2)) < Fraction(3, 1000)
    writer = rewritten(clip, tmp_path / "o.mov", notices)
    assert [track.copied for track in writer.tracks] == [False]


def test_times_in_milliseconds_do_not_break_short_packets_and_gaps_stay(tmp_path: Path) -> None:
    starts = [number * 40 + (4800 if number >= 60 else 0) for number in range(120)]
    found: list[int] = []
    with av.open(tmp_path / "o.mov", "w") as output:
        target: SoundEncoder | None = None
        for start in starts:
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 40), np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start // 48, Fraction(1, 1000)
            target = target or SoundEncoder(
                output, frame, "pcm_s16le", codec="truehd", layout="mono"
            )
            for packet in target.encode(frame):
                assert packet.pts is not None
                found.append(packet.pts)
                output.mux(packet)
    steps = [following - one for one, following in itertools.pairwise(found)]
    assert [step for step in steps if step != 40] == [steps[59]]
    assert all(abs(have - want) < 48 for have, want in zip(found, starts, strict=True))


def test_sound_of_an_unknown_kind_is_left_out_and_the_render_goes_on(
    tmp_path: Path, notices: Notices
) -> None:
    data = bytearray(law_clip(tmp_path / "dash.avi").read_bytes())
    tag = data.find(b"strf", data.find(b"auds")) + 8  # wFormatTag
    data[tag : tag + 2] = b"\x99\x99"
    (tmp_path / "odd.avi").write_bytes(data)
    writer = rewritten(tmp_path / "odd.avi", tmp_path / "o.mp4", notices)
    assert writer.tracks == []
    assert "o.mp4: sound stream 1 is of an unknown kind and is left out" in notices
    assert len(probe(tmp_path / "o.mp4", notify=notices).timeline) == 10


def test_sound_can_be_left_out(make_clip: Make, tmp_path: Path, notices: Notices) -> None:
    writer = rewritten(
        make_clip("late.mp4", sounds=(sound(),)), tmp_path / "o.mp4", notices, with_sound=False
    )
    assert writer.tracks == []
    assert probe(tmp_path / "o.mp4", notify=notices).audio == ()


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv", "o.webm"])
def test_a_file_says_what_it_was_made_without(
    name: str, make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    """Every kind of file keeps the note, and a file that lost its sound elsewhere has none."""
    source = make_clip("two.mp4", sounds=(sound(), sound(channels=1)))
    rewritten(source, tmp_path / name, notices, with_sound=False)
    with av.open(str(tmp_path / name)) as container:
        assert left_out_of(container) == {1, 2}
    with av.open(str(source)) as container:
        assert left_out_of(container) == frozenset()


def test_more_channels_than_a_file_holds_are_left_out_and_the_file_is_right(
    tmp_path: Path, notices: Notices
) -> None:
    """24 channels: MP4 holds 16, and the other track is where it should be; MOV and Matroska hold
    them.
    """
    source = many_channels(tmp_path / "many.mov", 24)
    writer = rewritten(source, tmp_path / "o.mp4", notices)
    assert [track.source_index for track in writer.tracks] == [2]
    assert "o.mp4: sound stream 1 has 24 channels, aac holds 16 at most; it is left out" in notices
    said = verify_clip(tmp_path / "o.mp4", source, notify=notices).checks[-1]
    assert (said.name, said.detail) == (
        "sound left out",
        "stream 1 (pcm_s16le) of the source: the render was made without",
    )
    for name in ("o.mov", "o.mkv"):
        assert [
            track.source_index for track in rewritten(source, tmp_path / name, notices).tracks
        ] == [1, 2]


def many_channels(path: Path, count: int) -> Path:
    """A film with `count` channels without names, and another track of two."""
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        tracks: list[Any] = [
            output.add_stream("pcm_s16le", rate=48000, layout=name)
            for name in (f"{count} channels", "stereo")
        ]
        for index in range(5):
            for packet in video.encode(frame_of(index)):
                output.mux(packet)
            for track, channels in zip(tracks, (count, 2), strict=True):
                block = np.zeros((1, 1920 * channels), np.int16)
                heard = av.AudioFrame.from_ndarray(block, format="s16", layout=track.layout.name)
                heard.sample_rate, heard.pts, heard.time_base = (
                    48000,
                    1920 * index,
                    Fraction(1, 48000),
                )
                output.mux(track.encode(heard))
        for stream in (video, *tracks):
            output.mux(stream.encode(None))
    return path


def frame_of(index: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * index, np.uint8), format="rgb24")
    frame.pts, frame.time_base = index, Fraction(1, 25)
    return frame.reformat(format="yuv420p")


def test_an_error_of_the_muxer_names_no_sound_where_there_is_some(
    make_clip: Make, tmp_path: Path, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A muxer does not say whether a picture or the sound beside it was the reason."""

    def refused(_: SoundCopier, __: Fraction | None) -> None:
        raise av.ArgumentError(22, "Invalid argument", "o.mp4")

    monkeypatch.setattr(SoundCopier, "pump", refused)
    with pytest.raises(OutputError) as error:
        rewritten(make_clip("late.mp4", sounds=(sound(),)), tmp_path / "o.mp4", notices)
    assert error.value.hint is not None
    assert "--no-sound" in spelled(error.value.hint, as_typed)


def test_languages_are_kept(
    make_clip: Make, ffmpeg: Callable[..., None], tmp_path: Path, notices: Notices
) -> None:
    source = tmp_path / "languages.mp4"
    clip = make_clip("two.mp4", sounds=(sound(), sound(channels=1)))
    ffmpeg(
        "-i",
        clip,
        "-map",
        "0",
        "-c",
        "copy",
        "-metadata:s:a:0",
        "language=fra",
        "-metadata:s:a:1",
        "language=deu",
        source,
    )
    rewritten(source, tmp_path / "o.mkv", notices)
    assert [track.language for track in probe(tmp_path / "o.mkv", notify=notices).audio] == [
        "fra",
        "deu",
    ]


def test_streams_left_behind_are_named(
    make_clip: Make, ffmpeg: Callable[..., None], tmp_path: Path, notices: Notices
) -> None:
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:00,300\nhello\n")
    source = tmp_path / "titled.mkv"
    ffmpeg(
        "-i",
        make_clip("two.mp4", sounds=(sound(),)),
        "-i",
        tmp_path / "words.srt",
        "-c",
        "copy",
        "-c:s",
        "srt",
        source,
    )
    rewritten(source, tmp_path / "o.mkv", notices)
    assert "o.mkv: subtitle streams are not carried over" in notices
