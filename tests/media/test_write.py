"""Files that VideoWriter makes: every frame, every time, every tag and the sound, or no file at
all.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.clips import BT709, HLG, VFR_PTS, number_of, planes_equal, sound
from support.notices import Notices

from vfx_matte.errors import MediaError, OutputError
from vfx_matte.media.encode_plan import EncodePlan, plan_encode
from vfx_matte.media.frames import ClipReader
from vfx_matte.media.open import open_clip
from vfx_matte.media.probe import ClipInfo, probe
from vfx_matte.media.verify import expectation_of, verify_clip, verify_output
from vfx_matte.media.writers.video import VideoWriter
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.timeline import Timeline

Make = Callable[..., Path]
FAST = {"libx264": "ultrafast", "libx265": "ultrafast", "libvpx-vp9": "realtime"}
OUTPUTS = [
    ("x264.mp4", "libx264"),
    ("x265.mp4", "libx265"),
    ("prores.mov", "prores_ks"),
    ("ffv1.mkv", "ffv1"),
    ("vp9.webm", None),
]
SOURCES: dict[str, dict[str, Any]] = {
    "vfr.mp4": {"pts": VFR_PTS, "sounds": (sound(start=Fraction(3, 10)),)},
    "hlg.mp4": {"codec": "libx265", "pixel_format": "yuv420p10le", "color": HLG},
    "odd.mkv": {"codec": "ffv1", "size": (101, 77), "sounds": (sound("flac"),)},
    "anamorphic-turned.mp4": {"sample_aspect": Fraction(4, 3), "rotation": 90},
    "wide.mp4": {"sample_aspect": Fraction(64, 45)},
    "b-frames.mkv": {"pts": tuple(range(3000, 15011, 1001)), "options": {"bf": "3", "g": "5"}},
    "broadcast.ts": {"options": {"bf": "2"}, "sounds": (sound(start=Fraction(1, 10)),)},
    "rgb.mkv": {"codec": "ffv1", "pixel_format": "bgr0"},
    "gray16.mkv": {"codec": "ffv1", "pixel_format": "gray16le"},
    "full.mp4": {
        "pixel_format": "yuvj420p",
        "color": ColorTags("smpte170m", "pc", "bt709", "bt709"),
    },
    "turned-422.mov": {
        "codec": "prores_ks",
        "pixel_format": "yuv422p10le",
        "rotation": 90,
        "sounds": (sound("pcm_s16le"),),
    },
    "old.avi": {
        "codec": "mpeg4",
        "pts": tuple(range(12)),
        "time_base": Fraction(1, 25),
        "last_duration": 1,
    },
}


def plan_for(path: Path, info: ClipInfo, notices: Notices, codec: str | None = None) -> EncodePlan:
    preset = FAST.get(codec or "libvpx-vp9") if codec in FAST or path.suffix == ".webm" else None
    size = info.width, info.height
    return plan_encode(
        path,
        layout=info.layout,
        color=info.color,
        size=size,
        codec=codec,
        preset=preset,
        notify=notices,
    )


def copy(
    reader: ClipReader, path: Path, notices: Notices, codec: str | None = None
) -> tuple[EncodePlan, VideoWriter]:
    """Write a clip's own pictures."""
    plan = plan_for(path, reader.info, notices, codec)
    with VideoWriter(path, plan, source=reader.info, notify=notices) as writer:
        for frame in reader.frames():
            writer.write(frame.picture, frame.time)
    return plan, writer


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(("output", "codec"), OUTPUTS)
def test_outputs_match_their_source(
    name: str, output: str, codec: str | None, make_clip: Make, tmp_path: Path
) -> None:
    notices = Notices()
    reader = open_clip(make_clip(name, **SOURCES[name]), notify=notices)
    path = tmp_path / output
    plan, writer = copy(reader, path, notices, codec)
    assert [file.name for file in tmp_path.iterdir()] == [output]

    fast = verify_output(
        path,
        replace(expectation_of(reader.info, tracks=writer.tracks), color=plan.color),
        thorough=False,
        notify=notices,
    )
    assert fast.ok, fast.first_difference
    thorough = verify_clip(path, reader.info.path, notify=notices)
    assert thorough.ok, thorough.first_difference

    written = open_clip(path, notify=notices)
    pairs = list(zip(reader.frames(), written.frames(), strict=True))
    assert [number_of(theirs.picture.planes[0]) for _, theirs in pairs] == list(range(12))
    if plan.lossless:
        assert all(planes_equal(ours.picture, theirs.picture) for ours, theirs in pairs)
    lasting = reader.info.timeline.end - reader.info.origin - written.info.timeline.end
    assert abs(lasting) <= (0 if plan.container.exact_time else Fraction(1, 1000))


def test_x264_codes_several_pictures_at_once(make_clip: Make, tmp_path: Path) -> None:
    """Threads within a picture leave cores idle, and cut it into slices."""
    reader = open_clip(make_clip("clip.mp4", size=(320, 180)), notify=Notices())
    path = tmp_path / "out.mp4"
    copy(reader, path, Notices(), "libx264")
    # x264 writes its settings into the first picture
    assert b" sliced_threads=0 " in path.read_bytes()


@pytest.mark.parametrize(
    ("size", "slices"), [((641, 359), "0"), ((39, 39), "0"), ((3, 3), "1"), ((5, 1), "1")]
)
def test_ffv1_takes_every_size(
    size: tuple[int, int], slices: str, make_clip: Make, tmp_path: Path
) -> None:
    """The encoder has no four slices for some odd sizes of 4:2:0."""
    notices = Notices()
    source = make_clip(
        f"{size[0]}x{size[1]}.mkv",
        codec="ffv1", size=size, pixel_format="yuv420p", options={"slices": slices, "level": "3"},
    )  # fmt: skip
    reader = open_clip(source, notify=notices)
    path = tmp_path / "out.mkv"
    copy(reader, path, notices, "ffv1")
    written = open_clip(path, notify=notices)
    for ours, theirs in zip(reader.frames(), written.frames(), strict=True):
        assert planes_equal(ours.picture, theirs.picture)


@pytest.mark.parametrize(("output", "codec"), OUTPUTS)
def test_ffprobe_sees_the_same_times(
    output: str,
    codec: str | None,
    make_clip: Make,
    tmp_path: Path,
    ffprobe: Callable[..., dict[str, Any]],
) -> None:
    notices = Notices()
    reader = open_clip(make_clip("vfr.mp4", **SOURCES["vfr.mp4"]), notify=notices)
    plan, _ = copy(reader, tmp_path / output, notices, codec)
    seen = ffprobe(tmp_path / output, "stream=time_base:packet=pts", "-select_streams", "v:0")
    base = Fraction(seen["streams"][0]["time_base"])
    times = sorted(int(packet["pts"]) * base for packet in seen["packets"])
    slack = 0 if plan.container.exact_time else Fraction(1, 2000)
    assert len(times) == len(VFR_PTS)
    assert (
        max(abs(have - Fraction(want, 30000)) for have, want in zip(times, VFR_PTS, strict=True))
        <= slack
    )


@pytest.mark.parametrize(("output", "codec"), OUTPUTS[:4])
def test_ffprobe_sees_the_tags(
    output: str,
    codec: str | None,
    make_clip: Make,
    tmp_path: Path,
    ffprobe: Callable[..., dict[str, Any]],
) -> None:
    notices = Notices()
    source = make_clip("hlg.mp4", **SOURCES["hlg.mp4"], sample_aspect=Fraction(4, 3))
    copy(open_clip(source, notify=notices), tmp_path / output, notices, codec)
    stream = ffprobe(tmp_path / output, "stream", "-select_streams", "v:0")["streams"][0]
    assert stream["color_space"] == "bt2020nc"
    assert stream["color_primaries"] == "bt2020"
    assert stream["color_transfer"] == "arib-std-b67"
    assert stream["color_range"] == "tv"
    assert stream["sample_aspect_ratio"] == "4:3"
    assert "10le" in stream["pix_fmt"]
    if codec == "libx265":
        assert stream["codec_tag_string"] == "hvc1"
    if codec == "prores_ks":
        assert stream["codec_tag_string"] == "apch"


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_the_last_frame_lasts_even_with_b_frames(
    codec: str, make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    pts = tuple(range(0, 30 * 1001, 1001))
    reader = open_clip(
        make_clip("held.mp4", pts=pts, last_duration=9009, options={"bf": "0"}), notify=notices
    )
    info = reader.info
    assert info.timeline.end == Fraction(29 * 1001 + 9009, 30000)
    plan = plan_encode(
        tmp_path / "o.mp4",
        layout=info.layout,
        color=info.color,
        size=(96, 64),
        codec=codec,
        preset="medium",
        notify=notices,
    )
    with VideoWriter(tmp_path / "o.mp4", plan, source=info, notify=notices) as writer:
        for frame in reader.frames():
            writer.write(frame.picture, frame.time)
    with av.open(str(tmp_path / "o.mp4")) as container:
        order = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert order != sorted(order)
    assert probe(tmp_path / "o.mp4", notify=notices).timeline == info.timeline


def test_hdr_metadata_is_carried(make_clip: Make, tmp_path: Path) -> None:
    notices = Notices()
    display = (
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
        "L(10000000,50):max-cll=1000,400"
    )
    source = make_clip(
        "pq.mp4", codec="libx265", pixel_format="yuv420p10le", color=ColorTags("bt2020nc", "tv",
        "bt2020", "smpte2084"),
        options={"x265-params": f"log-level=none:hdr10=1:{display}"},
    )  # fmt: skip
    reader = open_clip(source, notify=notices)
    assert reader.info.hdr.x265_params == display
    assert reader.info.hdr.light_level == (1000, 400)
    copy(reader, tmp_path / "o.mp4", notices, "libx265")
    assert probe(tmp_path / "o.mp4", notify=notices).hdr == reader.info.hdr
    assert notices == []
    copy(reader, tmp_path / "o.mov", notices)
    assert any("HDR metadata" in line for line in notices)
    assert not probe(make_clip("any.mp4"), notify=notices).hdr


@pytest.mark.parametrize(("fields", "order"), [(2, "tt"), (3, "bb")])
def test_fields_stay_fields(
    fields: int, order: str, make_clip: Make, tmp_path: Path, ffprobe: Callable[..., dict[str, Any]]
) -> None:
    notices = Notices()
    source = make_clip(
        "fields.mov",
        codec="prores_ks",
        pixel_format="yuv422p10le",
        options={"flags": "+ildct"},
        field_order=fields,
    )
    reader = open_clip(source, notify=notices)
    assert reader.info.field_order == order
    for output, codec in (("a.mp4", "libx264"), ("b.mov", "prores_ks"), ("c.mkv", "ffv1")):
        copy(reader, tmp_path / output, notices, codec)
        frame = ffprobe(
            tmp_path / output, "frame=interlaced_frame,top_field_first", "-read_intervals", "%+#1"
        )["frames"][0]
        assert (frame["interlaced_frame"], frame["top_field_first"]) == (1, int(order == "tt"))
    assert notices == []
    copy(reader, tmp_path / "d.mp4", notices, "libx265")
    assert any("progressive" in line for line in notices)


@given(
    steps=st.lists(st.integers(1, 5000), min_size=1, max_size=12),
    first=st.integers(0, 90000),
    kind=st.tuples(st.sampled_from([90000, 30000, 12800, 600, 1000]), st.booleans()),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_timeline_survives(
    steps: list[int], first: int, kind: tuple[int, bool], make_clip: Make, tmp_path: Path
) -> None:
    """Exactly in MP4, to half a millisecond in Matroska, whatever the distances of frames (≥ 1 ms
    apart for Matroska).
    """
    notices, (base, odd) = Notices(), kind
    grain = -(-base // 1000)
    pts = tuple(first + grain * sum(steps[:index]) for index in range(len(steps)))
    timeline = Timeline(pts, tuple(grain * step for step in steps), Fraction(1, base))
    size = (17, 19) if odd else (32, 16)
    source = replace(
        probe(make_clip("any.mp4"), notify=notices),
        timeline=timeline, width=size[0], height=size[1], layout=PixelLayout("gray", 8),
    )  # fmt: skip
    plane = np.full(size[::-1], 100, np.uint8)
    picture = Picture((plane,), source.layout, BT709)
    for name, codec in (("any.mp4", "libx264"), ("any.mkv", "ffv1")):
        path = tmp_path / name
        plan = plan_for(path, source, notices, codec)
        with VideoWriter(path, plan, source=source, notify=notices) as writer:
            for time in timeline:
                writer.write(picture, time)
        found = probe(path, notify=notices).timeline
        assert len(found) == len(timeline)
        slack = 0 if name.endswith("mp4") else Fraction(1, 2000)
        assert (
            max(abs(have.start - want.start) for have, want in zip(found, timeline, strict=True))
            <= slack
        )
        assert abs(found.end - timeline.end) <= 2 * slack


class Failing:
    """Stands before an output and fails at the n-th packet."""

    def __init__(self, output: Any, number: int) -> None:  # noqa: ANN401
        self._output, self._left = output, number

    def mux(self, packets: Any) -> None:  # noqa: ANN401
        self._left -= 1
        if self._left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._output.mux(packets)

    def close(self) -> None:
        self._output.close()


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    path = tmp_path / "result.mkv"
    path.write_bytes(b"an earlier result")
    return path


def untouched(path: Path) -> bool:
    return path.read_bytes() == b"an earlier result" and [
        file.name for file in path.parent.iterdir()
    ] == [path.name]


@pytest.mark.parametrize("number", [0, 4])
def test_a_full_disk_leaves_nothing_behind(
    number: int, make_clip: Make, earlier: Path, notices: Notices
) -> None:
    reader = open_clip(make_clip("vfr.mp4", **SOURCES["vfr.mp4"]), notify=notices)
    plan = plan_for(earlier, reader.info, notices)

    def render() -> None:
        with VideoWriter(earlier, plan, source=reader.info, notify=notices) as writer:
            writer._output = Failing(writer._output, number)  # type: ignore[assignment]
            for frame in reader.frames():
                writer.write(frame.picture, frame.time)

    with pytest.raises(OutputError, match="disk is full") as caught:
        render()
    assert "free some space" in caught.value.hint
    assert untouched(earlier)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_inside_leaves_nothing_behind(
    error: type[BaseException], make_clip: Make, earlier: Path, notices: Notices
) -> None:
    reader = open_clip(make_clip("vfr.mp4", **SOURCES["vfr.mp4"]), notify=notices)
    plan = plan_for(earlier, reader.info, notices)

    def render() -> None:
        with VideoWriter(earlier, plan, source=reader.info, notify=notices) as writer:
            for frame in reader.frames(0, 6):
                writer.write(frame.picture, frame.time)
            raise error

    with pytest.raises(error):
        render()
    assert untouched(earlier)


def test_an_earlier_result_is_replaced_at_the_end(
    make_clip: Make, earlier: Path, notices: Notices
) -> None:
    reader = open_clip(make_clip("vfr.mp4", **SOURCES["vfr.mp4"]), notify=notices)
    plan = plan_for(earlier, reader.info, notices)
    with VideoWriter(earlier, plan, source=reader.info, notify=notices) as writer:
        for frame in reader.frames():
            writer.write(frame.picture, frame.time)
        assert earlier.read_bytes() == b"an earlier result"
    assert len(probe(earlier, notify=notices).timeline) == 12


@pytest.mark.parametrize("place", ["folder.mkv", "file/x.mkv", "/proc/x.mkv"])
def test_places_that_cannot_be_written(
    place: str, make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    (tmp_path / "folder.mkv").mkdir()
    (tmp_path / "file").write_bytes(b"")
    info = probe(make_clip("any.mp4"), notify=notices)
    path = tmp_path / place
    with pytest.raises(OutputError, match="cannot be written") as caught:
        VideoWriter(path, plan_for(path, info, notices), source=info, notify=notices)
    assert caught.value.hint
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder.mkv"]


def test_a_source_that_is_gone_leaves_nothing_behind(
    make_clip: Make, tmp_path: Path, notices: Notices
) -> None:
    reader = open_clip(make_clip("any.mp4"), notify=notices)
    gone = replace(
        reader.info,
        path=tmp_path / "gone.mp4",
        audio=probe(make_clip("vfr.mp4", **SOURCES["vfr.mp4"]), notify=notices).audio,
    )
    with pytest.raises(MediaError, match="there is no file"):
        VideoWriter(
            tmp_path / "o.mkv",
            plan_for(tmp_path / "o.mkv", reader.info, notices),
            source=gone,
            notify=notices,
        )
    assert list(tmp_path.iterdir()) == []


ALPHA = [
    ("a.mov", "prores_ks", PixelLayout("yuv", 10, (0, 0), has_alpha=True)),
    ("a.mkv", "ffv1", PixelLayout("yuv", 8, (1, 1), has_alpha=True)),
    ("b.mkv", "ffv1", PixelLayout("yuv", 10, (0, 0), has_alpha=True)),
    ("c.mkv", "ffv1", PixelLayout("rgb", 8, has_alpha=True)),
    ("d.mkv", "ffv1", PixelLayout("rgb", 16, has_alpha=True)),
    ("a.webm", "libvpx-vp9", PixelLayout("yuv", 8, (1, 1), has_alpha=True)),
    ("e.mov", "png", PixelLayout("rgb", 8, has_alpha=True)),
    ("f.mov", "qtrle", PixelLayout("rgb", 8, has_alpha=True)),
]


@pytest.mark.parametrize(
    ("name", "codec", "layout"),
    ALPHA,
    ids=[f"{codec}-{layout.model}{layout.bit_depth}" for _, codec, layout in ALPHA],
)
def test_alpha_survives(
    name: str, codec: str, layout: PixelLayout, make_clip: Make, tmp_path: Path
) -> None:
    notices = Notices()
    info = probe(make_clip("any.mp4"), notify=notices)
    color = BT709 if layout.model == "yuv" else ColorTags("gbr", "pc", "bt709", "bt709")
    plan = plan_encode(
        tmp_path / name, layout=layout, color=color, size=(96, 64), codec=codec, notify=notices
    )
    assert plan.layout == layout
    dtype = np.uint8 if layout.bit_depth == 8 else np.uint16
    ramp = np.linspace(0, layout.full, 96 * 64).reshape(64, 96).astype(dtype)
    planes = [np.full(layout.plane_shape(i, 64, 96), layout.full // 2, dtype) for i in range(3)]
    with VideoWriter(tmp_path / name, plan, source=info, notify=notices) as writer:
        for time in info.timeline:
            writer.write(Picture((*planes, ramp), layout, color), time)
    with av.open(str(tmp_path / name)) as container:
        context = (
            av.CodecContext.create("libvpx-vp9", "r")
            if codec == "libvpx-vp9"
            else container.streams.video[0].codec_context
        )
        frames = [
            frame
            for packet in container.demux(video=0)
            if packet.size
            for frame in context.decode(packet)
        ]
    frame = (
        frames[0]
        if layout.model == "yuv"
        else frames[0].reformat(format="gbrap" if layout.bit_depth == 8 else "gbrap16le")
    )
    full = (1 << frame.format.components[3].bits) - 1  # ProRes decodes to 12 bits
    got = np.frombuffer(frame.planes[3], np.uint8 if full == 255 else np.uint16).reshape(64, -1)[
        :, :96
    ]
    off = np.abs(np.rint(got.astype(float) * layout.full / full) - ramp).max()
    assert off <= (0 if plan.lossless or codec == "prores_ks" else 6)
    assert verify_output(
        tmp_path / name,
        replace(expectation_of(info), color=plan.color),
        thorough=False,
        notify=notices,
    ).ok


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_frames_of_hevc_have_decoding_times(
    count: int, tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    """Of so few, libx265 gives any: now and then the file could not be written at all."""
    reader = open_clip(
        make_clip("few.mp4", pts=range(100, 100 + count * 1001, 1001)), notify=Notices()
    )
    info = reader.info
    size = info.width, info.height
    plan = plan_encode(
        tmp_path / "o.mp4",
        layout=info.layout,
        color=info.color,
        size=size,
        codec="libx265",
        notify=Notices(),
    )
    for number in range(4):
        path = tmp_path / f"{number}.mp4"
        with VideoWriter(path, plan, source=info, notify=Notices()) as writer:
            for frame in reader.frames():
                writer.write(frame.picture, frame.time)
        with av.open(str(path)) as container:
            stamps = [
                (packet.dts, packet.pts) for packet in container.demux(video=0) if packet.size
            ]
        decoded, shown = zip(*stamps, strict=True)
        assert sorted(shown) == list(info.timeline.pts)
        assert list(decoded) == sorted(set(decoded))
        assert all(shown[0] - 4 * 1001 <= dts <= pts for dts, pts in stamps)
