"""Every kind of clip: the facts are right, and frame i is frame i whichever way it is reached."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.clips import BT709, HLG, VFR_PTS, coded, number_of, planes_equal, sound, write_clip
from support.notices import Notices

from vfx_matte.errors import MediaError, UsageError
from vfx_matte.media.frames import Frame
from vfx_matte.media.open import describe_rate, open_clip
from vfx_matte.media.readers import video as read
from vfx_matte.media.readers.video import VideoReader
from vfx_matte.picture import ColorTags, PixelLayout
from vfx_matte.timeline import Timeline

THIRTIETHS = tuple(range(0, 12 * 1001, 1001))
LATE = tuple(3000 + ticks for ticks in THIRTIETHS)
WHOLE = {"pts": tuple(range(12)), "time_base": Fraction(1, 25), "last_duration": 1}
YUV420 = PixelLayout("yuv", 8, (1, 1))
FULL601 = ColorTags("smpte170m", "pc", "bt709", "bt709")
PHONE = {"pts": VFR_PTS, "sounds": (sound(start=Fraction(3, 10)),)}

# name, how it is made, and what probe must say beside the size and the twelve frames
KINDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("vfr.mp4", PHONE, {"pts": VFR_PTS, "layout": YUV420}),
    ("b-frames.mp4", {"pts": LATE, "options": {"bf": "3", "g": "5"}}, {"pts": LATE, "keyframes": (0,
    5, 10)}),
    ("b-frames.mkv", {"pts": LATE, "options": {"bf": "3", "g": "5"}}, {"keyframes": (0, 5, 10)}),
    ("hlg.mp4", {"codec": "libx265", "pixel_format": "yuv420p10le", "color": HLG}, {"color": HLG,
    "codec": "hevc"}),
    ("odd.mkv", {"codec": "ffv1", "size": (101, 77)}, {"layout": YUV420}),
    ("odd.webm", {"codec": "libvpx-vp9", "size": (101, 77), "sounds": (sound("libopus"),)},
    {"codec": "vp9"}),
    ("anamorphic.mp4", {"sample_aspect": Fraction(4, 3)}, {"sample_aspect": Fraction(4, 3)}),
    ("anamorphic-turned.mp4", {"sample_aspect": Fraction(4, 3), "rotation": 90},
    {"sample_aspect": Fraction(3, 4)}),
    ("turned-90.mp4", {"rotation": 90, "size": (64, 96)}, {"rotation_degrees": 90}),
    ("turned-180.mp4", {"rotation": 180}, {}),
    ("turned-270.mov", {"rotation": 270}, {"rotation_degrees": -90}),
    ("mirrored.mp4", {"mirrored": True}, {}),
    ("mirrored-90.mp4", {"mirrored": True, "rotation": 90}, {}),
    ("turned.mkv", {"rotation": 90}, {}),
    ("turned-422.mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le", "rotation": 90,
    "size": (64, 96)},
     {"layout": PixelLayout("yuv", 10, (0, 1))}),
    ("broadcast.ts", {"options": {"bf": "2", "g": "5"}, "sounds": (sound(),)}, {}),
    ("old.avi", {"codec": "mpeg4", "options": {"bf": "2", "g": "5"}, **WHOLE}, {"codec": "mpeg4"}),
    ("tape.mxf", {"codec": "mpeg2video", **WHOLE}, {"codec": "mpeg2video",
    "pts": tuple(range(12))}),
    ("rgb.mkv", {"codec": "ffv1", "pixel_format": "bgr0"}, {"layout": PixelLayout("rgb", 8)}),
    ("rgb10.mkv", {"codec": "ffv1", "pixel_format": "gbrp10le"}, {"layout": PixelLayout("rgb",
    10)}),
    ("gray.mkv", {"codec": "ffv1", "pixel_format": "gray"}, {"layout": PixelLayout("gray", 8)}),
    ("gray16.mkv", {"codec": "ffv1", "pixel_format": "gray16le"}, {"layout": PixelLayout("gray",
    16)}),
    ("full.mp4", {"pixel_format": "yuvj420p", "color": FULL601}, {"color": FULL601,
    "layout": YUV420}),
    ("422.mkv", {"codec": "ffv1", "pixel_format": "yuv422p10le"}, {"layout": PixelLayout("yuv", 10,
    (1, 0))}),
    ("444.mp4", {"pixel_format": "yuv444p"}, {"layout": PixelLayout("yuv", 8)}),
    ("nv12.mkv", {"codec": "rawvideo", "pixel_format": "nv12"}, {"layout": YUV420}),
    ("open-gop.mkv", {"codec": "libx265",
    "options": {"x265-params": "log-level=none:open-gop=1:keyint=5:bframes=3"}}, {}),
    ("open-gop.ts", {"options": {"x264-params": "open-gop=1:keyint=5:bframes=3"}}, {}),
    ("two words, 'quotes' 片.mp4", {}, {}),
    ("-dash.mp4", {}, {}),
    ("a:b.mkv", {}, {}),
]  # fmt: skip

Make = Callable[..., Path]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind[0])
def kind(
    request: pytest.FixtureRequest, make_clip: Make
) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    name, made, facts = request.param
    return make_clip(name, **made), made, facts


def test_probe_tells_the_facts(
    kind: tuple[Path, dict[str, Any], dict[str, Any]], notices: Notices
) -> None:
    path, made, facts = kind
    info = open_clip(path, notify=notices).info
    assert len(info.timeline) == 12
    assert (info.width, info.height) == made.get("size", (96, 64))
    assert info.reliable
    assert notices == []
    for name, value in facts.items():
        assert (info.timeline.pts if name == "pts" else getattr(info, name)) == value
    if info.layout.model == "rgb":
        assert (info.color.matrix, info.color.range) == ("gbr", "pc")
    elif "color" not in facts and made.get("codec") != "mpeg4":
        assert info.color == BT709


def test_frame_i_is_frame_i(
    kind: tuple[Path, dict[str, Any], dict[str, Any]], notices: Notices
) -> None:
    reader = open_clip(kind[0], notify=notices)
    forward = [(frame.index, number_of(frame.image), frame.picture) for frame in reader.frames()]
    assert [(index, number) for index, number, _ in forward] == [(i, i) for i in range(12)]
    assert [number_of(picture.planes[0]) for _, _, picture in forward] == list(range(12))
    assert {picture.shape for _, _, picture in forward} == {reader.info.shape}
    assert {picture.layout for _, _, picture in forward} == {reader.info.layout}
    backward = list(reader.frames_reversed())
    assert [frame.index for frame in backward] == list(reversed(range(12)))
    assert all(planes_equal(frame.picture, forward[frame.index][2]) for frame in backward)
    for index in (7, 0, 11, 4, 5):
        assert planes_equal(reader.frame(index).picture, forward[index][2])
    part = list(reader.frames(4, 9))
    assert [(frame.index, number_of(frame.image)) for frame in part] == [
        (i, i) for i in range(4, 9)
    ]
    assert all(frame.time == reader.info.timeline[frame.index] for frame in part)


def test_pictures_that_the_probe_has_decoded_are_read_once(
    kind: tuple[Path, dict[str, Any], dict[str, Any]],
    notices: Notices,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = open_clip(kind[0], notify=notices)
    expected = [frame.picture for frame in plain.frames()]
    opened, av_open = [], av.open

    def counted(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        opened.append(args)
        return av_open(*args, **options)

    monkeypatch.setattr(av, "open", counted)
    reader = open_clip(kind[0], notify=notices, begins=True)
    assert reader.info == plain.info
    probed = len(opened)
    first = list(reader.frames())
    assert len(opened) == probed
    second = list(reader.frames())
    assert len(opened) == probed + 1
    for frames in (first, second):
        assert [frame.index for frame in frames] == list(range(12))
        pictures = [frame.picture for frame in frames]
        assert all(planes_equal(*pair) for pair in zip(pictures, expected, strict=True))


def test_a_begun_reading_serves_a_part_and_frames_beside_it(
    make_clip: Make, notices: Notices
) -> None:
    path = make_clip("b-frames.mp4", pts=LATE, options={"bf": "3", "g": "5"})
    reader = open_clip(path, notify=notices, begins=True)
    pairs = zip(reader.frames(2, 12), reader.frames(0, 10), strict=True)
    assert [(number_of(a.image), number_of(b.image)) for a, b in pairs] == [
        (i + 2, i) for i in range(10)
    ]


def test_a_begun_reading_is_let_go_with_its_reader(make_clip: Make, notices: Notices) -> None:
    reader = VideoReader(make_clip("vfr.mp4", **PHONE), notify=notices, begins=True)
    assert reader._beginning is not None
    coming = weakref.ref(reader._beginning._coming)
    del reader
    gc.collect()
    assert coming() is None


def test_pictures_show_what_was_put_in(make_clip: Make, notices: Notices) -> None:
    for pixel_format, codec in (
        ("yuv444p", "ffv1"),
        ("bgr0", "ffv1"),
        ("gray16le", "ffv1"),
        ("yuv444p10le", "ffv1"),
    ):
        path = make_clip(f"{pixel_format}.mkv", codec=codec, pixel_format=pixel_format)
        image = open_clip(path, notify=notices).frame(5).image
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert np.abs(image[..., 1].astype(int) - coded(5)).max() <= 2, pixel_format


def test_full_and_limited_range_give_the_same_image(make_clip: Make, notices: Notices) -> None:
    limited = make_clip("limited.mkv", codec="ffv1", pixel_format="yuv444p")
    full = make_clip(
        "full.mkv",
        codec="ffv1",
        pixel_format="yuv444p",
        color=ColorTags("bt709", "pc", "bt709", "bt709"),
    )
    images = [
        open_clip(path, notify=notices).frame(3).image.astype(int) for path in (limited, full)
    ]
    assert np.abs(images[0] - images[1]).max() <= 3


@pytest.mark.parametrize("turn", [(90, False), (180, False), (270, False), (0, True), (90, True)])
def test_the_ffmpeg_program_turns_the_same_way(
    turn: tuple[int, bool],
    make_clip: Make,
    ffmpeg: Callable[..., None],
    tmp_path: Path,
    notices: Notices,
) -> None:
    path = make_clip("turned.mp4", rotation=turn[0], mirrored=turn[1], options={"crf": "1"})
    ffmpeg("-i", path, "-frames:v", "1", tmp_path / "0.png")
    theirs = open_clip(tmp_path / "0.png", notify=notices).frame(0).image
    ours = open_clip(path, notify=notices).frame(0).image
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).mean() < 6


@pytest.mark.slow
def test_reversed_keeps_to_its_buffer(
    make_clip: Make, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(
        "long-gop.mp4", pts=tuple(range(0, 40 * 1001, 1001)), options={"g": "100", "bf": "2"}
    )
    monkeypatch.setattr(read, "REVERSE_BUFFER_BYTES", 5 * 96 * 64 * 3 // 2)
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0
    original = VideoReader._frame

    def counted(self: VideoReader, index: int, native: Any) -> Frame:  # noqa: ANN401
        nonlocal most
        frame = original(self, index, native)
        alive.add(_Holder.on(frame))
        gc.collect()
        most = max(most, len(alive))
        return frame

    monkeypatch.setattr(VideoReader, "_frame", counted)
    numbers = [
        number_of(frame.image) for frame in open_clip(path, notify=notices).frames_reversed()
    ]
    assert numbers == list(reversed(range(40)))
    assert most <= 7


class _Holder:
    """Dies with the frame it is put on; frames hash by value, so a WeakSet cannot hold them."""

    @classmethod
    def on(cls, frame: Frame) -> _Holder:
        holder = cls()
        frame.__dict__["_holder"] = holder
        return holder


@pytest.mark.slow
def test_going_forward_keeps_no_frames(make_clip: Make, notices: Notices) -> None:
    seen: list[weakref.ref[_Holder]] = []
    for frame in open_clip(make_clip("vfr.mp4", **PHONE), notify=notices).frames():
        seen.append(weakref.ref(_Holder.on(frame)))
        gc.collect()
        assert sum(holder() is not None for holder in seen) <= 2


def test_several_readings_run_side_by_side(make_clip: Make, notices: Notices) -> None:
    reader = open_clip(make_clip("vfr.mp4", **PHONE), notify=notices)
    pairs = zip(reader.frames(), reader.frames_reversed(), strict=True)
    assert [(number_of(a.image), number_of(b.image)) for a, b in pairs] == [
        (i, 11 - i) for i in range(12)
    ]


def test_ranges_outside_the_clip_are_refused(make_clip: Make, notices: Notices) -> None:
    reader = open_clip(make_clip("vfr.mp4", **PHONE), notify=notices)
    for start, stop in ((-1, 3), (4, 3), (0, 13)):
        with pytest.raises(UsageError, match="not inside the clip") as caught:
            list(reader.frames(start, stop))
        assert "0 to 11" in caught.value.hint
    for index in (-1, 12):
        with pytest.raises(UsageError, match=f"frame {index} is not in the clip"):
            reader.frame(index)
    assert list(reader.frames(5, 5)) == []
    with pytest.raises(UsageError, match="fps"):
        open_clip(reader.info.path, notify=notices, fps=Fraction(25))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_damaged_pictures_keep_the_count(suffix: str, tmp_path: Path, notices: Notices) -> None:
    spoilt = range(8, 12)

    def spoil(number: int, packet: Any) -> Any:  # noqa: ANN401
        if number in spoilt:
            np.frombuffer(packet, np.uint8)[5:] = (
                255  # the start code stays, or the muxer would drop the packet
            )
        return packet

    pts = tuple(range(0, 24 * 1001, 1001))
    path = write_clip(
        tmp_path / f"damaged.{suffix}", pts=pts, options={"g": "6", "bf": "0"}, spoil=spoil
    )
    reader = open_clip(path, notify=notices)
    frames = list(reader.frames())
    numbers = [number_of(frame.image) for frame in frames]
    assert [frame.index for frame in frames] == list(range(24))
    assert numbers[:8] == list(range(8))
    assert numbers[12:] == list(range(12, 24))
    assert set(numbers[8:12]) == {7}
    assert [number_of(frame.image) for frame in reader.frames_reversed()] == numbers[::-1]
    assert number_of(reader.frame(10).image) == 7
    assert len([line for line in notices if "stands in" in line]) == 1


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_clip_that_begins_in_the_middle(suffix: str, tmp_path: Path, notices: Notices) -> None:
    """A cut at an open GOP leaves pictures whose references are gone; no decoder shows them, so
    they do not count.
    """
    options = {
        "x265-params": (
            "log-level=none:open-gop=1:keyint=6:min-keyint=6:bframes=3:b-adapt=0:scenecut=0"
        )
    }
    path = write_clip(
        tmp_path / f"middle.{suffix}", codec="libx265", pts=tuple(range(0, 24 * 1001, 1001)),
        options=options,
        spoil=lambda number, packet: packet if number >= 4 else None,
    )  # fmt: skip
    with av.open(str(path)) as container:
        shown = [number_of(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    reader = open_clip(path, notify=notices)
    assert [number_of(frame.image) for frame in reader.frames()] == shown
    assert shown == list(range(shown[0], 24))
    assert shown[0] > 0
    assert notices == []


def test_rough_seeking_never_starts_between_keyframes(make_clip: Make, notices: Notices) -> None:
    path = make_clip(
        "rough.ts",
        codec="mpeg4",
        pts=tuple(range(0, 40 * 1001, 1001)),
        options={"g": "8", "bf": "2"},
    )
    reader = open_clip(path, notify=notices)
    forward = [frame.picture for frame in reader.frames()]
    assert [number_of(picture.planes[0]) for picture in forward] == list(range(40))
    assert all(
        planes_equal(reader.frame(index).picture, forward[index]) for index in range(0, 40, 3)
    )


@pytest.mark.parametrize("name", ["cut.mkv", "cut.ts"])
def test_a_file_cut_short_shows_what_is_left(name: str, tmp_path: Path, notices: Notices) -> None:
    path = write_clip(
        tmp_path / name,
        pts=tuple(range(0, 24 * 1001, 1001)),
        options={"g": "6", "bf": "0"},
        size=(160, 96),
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    reader = open_clip(path, notify=notices)
    numbers = [number_of(frame.image) for frame in reader.frames()]
    assert 8 < len(numbers) < 24
    assert numbers[:-1] == list(range(len(numbers) - 1))  # the very last picture may be half there


def test_an_unreadable_start_is_an_error(tmp_path: Path, notices: Notices) -> None:
    path = write_clip(tmp_path / "clip.mkv", codec="ffv1", pts=(0, 1001, 2002))
    reader = open_clip(path, notify=notices)
    path.unlink()
    with pytest.raises(MediaError, match="there is no file"):
        reader.frame(0)


def test_the_rate_is_described() -> None:
    steady = Timeline(tuple(range(0, 10010, 1001)), (1001,) * 10, Fraction(1, 30000))
    assert describe_rate(steady) == "constant 29.97 fps"
    assert (
        describe_rate(Timeline(VFR_PTS, (1,) * 12, Fraction(1, 30000)))
        == "variable, 21.98 fps on average"
    )


def test_a_repeated_picture_may_be_coded_as_nothing(
    tmp_path: Path, notices: Notices, ffmpeg: Callable[..., None]
) -> None:
    """Theora's packet is empty there, and a decoder that is given one ends with an error."""
    path = tmp_path / "repeated.ogv"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:r=25:d=0.24",
        "-c:v",
        "libtheora",
        "-pix_fmt",
        "yuv420p",
        path,
    )
    with av.open(str(path)) as container:
        empty = [
            packet.pts
            for packet in container.demux(video=0)
            if not packet.size and packet.pts is not None
        ]
    assert empty
    frames = list(open_clip(path, notify=notices).frames())
    assert [frame.index for frame in frames] == list(range(6))
    assert np.array_equal(frames[empty[0]].image, frames[empty[0] - 1].image)
