"""Which encoder, pixel format and options a file gets."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.clips import BT709, HLG
from support.notices import Notices

from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import UsageError
from vfx_matte.media.encode_plan import EncodePlan, plan_encode
from vfx_matte.media.formats import CODECS, CONTAINERS, Codec, QualityScale, SoundChoice
from vfx_matte.media.open import open_clip
from vfx_matte.media.pixels import as_layout, frame_from
from vfx_matte.media.probe import probe
from vfx_matte.media.verify import expectation_of, verify_output
from vfx_matte.media.writers.video import VideoWriter
from vfx_matte.picture import ColorTags, Picture, PixelLayout
from vfx_matte.wording import spelled

YUV420 = PixelLayout("yuv", 8, (1, 1))
RGB = PixelLayout("rgb", 8)
GRAY = PixelLayout("gray", 8)
FULL_RGB = ColorTags("gbr", "pc", "bt709", "bt709")


def plan(
    name: str, layout: PixelLayout = YUV420, color: ColorTags = BT709, *, size: tuple[int,
    int] = (96, 64),
    codec: str | None = None, preset: str | None = None, quality: int | None = None,
    notices: Notices | None = None,
) -> EncodePlan:  # fmt: skip
    listener = notices if notices is not None else Notices()
    return plan_encode(
        Path(name),
        layout=layout,
        color=color,
        size=size,
        codec=codec,
        preset=preset,
        quality=quality,
        notify=listener,
    )


@pytest.mark.parametrize(("name", "layout", "codec", "expected"), [
    ("a.mp4", YUV420, None, ("libx264", "yuv420p")),
    ("a.MP4", YUV420, None, ("libx264", "yuv420p")),
    ("a.mp4", PixelLayout("yuv", 10, (1, 1)), None, ("libx265", "yuv420p10le")),
    ("a.mp4", RGB, None, ("libx264", "yuv420p")),
    ("a.mp4", GRAY, None, ("libx264", "yuv420p")),
    ("a.mp4", PixelLayout("yuv", 8, (1, 0)), None, ("libx264", "yuv422p")),
    ("a.mov", YUV420, None, ("prores_ks", "yuv422p10le")),
    ("a.mov", RGB, None, ("prores_ks", "yuv444p10le")),
    ("a.mov", PixelLayout("yuv", 8, (1, 1), has_alpha=True), None, ("prores_ks", "yuva444p10le")),
    ("a.mkv", YUV420, None, ("ffv1", "yuv420p")),
    ("a.mkv", RGB, None, ("ffv1", "bgr0")),
    ("a.mkv", PixelLayout("rgb", 8, has_alpha=True), None, ("ffv1", "bgra")),
    ("a.mkv", PixelLayout("rgb", 10), None, ("ffv1", "gbrp10le")),
    ("a.mkv", PixelLayout("gray", 16), None, ("ffv1", "gray16le")),
    ("a.mkv", YUV420, "libx264", ("libx264", "yuv420p")),
    ("a.webm", PixelLayout("yuv", 8, (1, 1), has_alpha=True), None, ("libvpx-vp9", "yuva420p")),
    ("a.mov", PixelLayout("rgb", 8, has_alpha=True), "png", ("png", "rgba")),
    ("a.mov", RGB, "qtrle", ("qtrle", "rgb24")),
    ("a.mp4", PixelLayout("yuv", 10, (1, 1)), "hevc_nvenc", ("hevc_nvenc", "p010le")),
    ("a.mp4", YUV420, "h264_nvenc", ("h264_nvenc", "yuv420p")),
])  # fmt: skip
def test_what_a_layout_becomes(
    name: str, layout: PixelLayout, codec: str | None, expected: tuple[str, str]
) -> None:
    color = FULL_RGB if layout.model == "rgb" else BT709
    made = plan(name, layout, color, codec=codec)
    assert (made.codec, made.pixel_format) == expected


def test_what_is_lost_is_said(notices: Notices) -> None:
    plan("a.webm", PixelLayout("yuv", 10, (1, 1)), notices=notices)
    assert notices == ["libvpx-vp9 cannot hold yuv420p10le; written as yuv420p"]


def test_tags_follow_the_conversion() -> None:
    assert plan("a.mp4", color=HLG).color == HLG
    assert plan("a.mp4", RGB, FULL_RGB).color == BT709
    assert plan("a.mkv", RGB, FULL_RGB).color == FULL_RGB
    assert (
        plan("a.mp4", RGB, ColorTags("gbr", "pc", "bt2020", "smpte2084")).color.transfer
        == "smpte2084"
    )
    full = ColorTags("smpte170m", "pc", "bt709", "bt709")
    assert plan("a.mp4", color=full).color == full
    assert plan("a.mov", color=full).color.range == "tv"  # ProRes cannot say that it is full range


def test_odd_sizes_are_padded_where_needed(notices: Notices) -> None:
    padded = plan("a.mp4", size=(101, 77), notices=notices)
    assert padded.pad_to_even
    assert any("101×77" in line for line in notices)
    assert not plan("a.mkv", size=(101, 77)).pad_to_even
    assert not plan("a.mov", size=(101, 77)).pad_to_even
    assert not plan("a.mp4", PixelLayout("yuv", 8), size=(101, 77)).pad_to_even


def test_quality_and_preset() -> None:
    made = plan("a.mp4", quality=30, preset="veryfast")
    assert made.options["crf"] == "30"
    assert made.describe() == "libx264 yuv420p crf 30, preset veryfast"
    assert plan("a.mp4", PixelLayout("yuv", 10, (1, 1))).codec_tag == "hvc1"
    assert plan("a.mkv").describe() == "ffv1 yuv420p"


@pytest.mark.parametrize(("options", "message"), [
    ({"name": "a.xyz"}, "unknown kind '.xyz'"),
    ({"name": "a.mp4", "codec": "ffv1"}, ".mp4 does not take codec 'ffv1'"),
    ({"name": "a.mp4", "quality": 52}, "quality 52 is outside 0..51"),
    ({"name": "a.mkv", "quality": 3}, "lossless and has no quality"),
    ({"name": "a.mp4", "preset": "warp"}, "unknown preset 'warp' of libx264"),
    ({"name": "a.mov", "preset": "fast"}, "has no presets"),
    ({"name": "a.mp4", "layout": PixelLayout("yuv", 8, (1, 1), has_alpha=True)},
    "cannot hold yuva420p"),
])  # fmt: skip
def test_what_does_not_go_together(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        plan(**options)  # type: ignore[arg-type]
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "codec", "good", "poor"),
    [
        ("a.mp4", "libx264", 10, 40),
        ("a.mp4", "libx265", 10, 40),
        ("a.mov", "prores_ks", 2, 20),
        ("a.webm", "libvpx-vp9", 10, 55),
    ],
)
def test_the_quality_number_reaches_the_encoder(
    name: str, codec: str, good: int, poor: int
) -> None:
    noise = np.random.default_rng(1).integers(16, 236, (64, 64)).astype(np.uint8)
    picture = Picture(
        (noise, noise[::2, ::2].copy(), noise[1::2, ::2].copy()),
        PixelLayout("yuv", 8, (1, 1)),
        ColorTags(),
    )
    sizes = []
    for quality in (good, poor):
        made = plan(name, codec=codec, quality=quality, size=(64, 64))
        encoder = av.CodecContext.create(made.codec, "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = 64, 64, made.pixel_format
        encoder.time_base, encoder.options = Fraction(1, 25), made.options
        frame = frame_from(as_layout(picture, made.layout))
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        sizes.append(sum(packet.size for packet in [*encoder.encode(frame), *encoder.encode(None)]))
    assert sizes[0] > 1.5 * sizes[1]


def test_a_pixel_format_that_is_asked_for() -> None:
    notices = Notices()
    size, listen = (96, 64), notices
    made = plan_encode(
        Path("a.mov"),
        layout=YUV420,
        color=BT709,
        size=size,
        codec="prores_ks",
        pixel_format="yuv444p10le",
        notify=listen,
    )
    assert (made.pixel_format, made.options["profile"]) == ("yuv444p10le", "4444")
    assert notices == []
    fine = PixelLayout("yuv", 10, (1, 0))
    plan_encode(
        Path("a.mp4"),
        layout=fine,
        color=BT709,
        size=size,
        codec="libx264",
        pixel_format="yuv420p",
        notify=listen,
    )
    assert [spelled(text, as_typed) for text in notices] == [
        "yuv422p10le becomes yuv420p, which holds less; another --codec keeps more"
    ]
    with pytest.raises(UsageError, match="'libx264' does not take yuva420p here") as error:
        plan_encode(
            Path("a.mp4"),
            layout=YUV420,
            color=BT709,
            size=size,
            pixel_format="yuva420p",
            notify=listen,
        )
    assert "yuv420p" in error.value.hint


def test_limited_range_for_programs_that_expect_it() -> None:
    full = ColorTags("bt709", "pc", "bt709", "bt709")
    for limited, expected in ((False, "pc"), (True, "tv")):
        made = plan_encode(
            Path("a.mp4"),
            layout=YUV420,
            color=full,
            size=(96, 64),
            limited_range=limited,
            notify=Notices(),
        )
        assert made.color.range == expected
    rgb = plan_encode(
        Path("a.mkv"),
        layout=RGB,
        color=FULL_RGB,
        size=(96, 64),
        limited_range=True,
        notify=Notices(),
    )
    assert rgb.color.range == "pc", "RGB has no limited range here"


def test_sound_as_a_program_takes_it() -> None:
    made = plan_encode(
        Path("a.mov"), layout=YUV420, color=BT709, size=(96, 64),
        sound=SoundChoice(frozenset({"alac", "opus"}), "pcm_s24le"), notify=Notices(),
    )  # fmt: skip
    assert made.container.copies == {"alac"}, "opus is for no MOV"
    assert made.container.encoder == "pcm_s24le"
    assert plan("a.mov").container is CONTAINERS[".mov"]


def test_a_codec_is_added_by_one_entry(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    """Everything that knows codecs reads the entry: planning, writing, tags and verifying."""
    added = Codec(
        name="intra", encoder="libx264", format="h264", containers=(".mp4", ".mkv"),
        quality=QualityScale("crf", 11, 1, 40), options={"g": "1"}, codec_tags={".mp4": "avc1"},
        even_sizes=True, rgb_chroma=(0, 0), interlaced={"flags": "+ildct+ilme"},
        lost_tags=frozenset({"bt2020"}),
    )  # fmt: skip
    monkeypatch.setitem(CODECS, added.name, added)
    assert CONTAINERS[".mp4"].video[0] == "libx264"
    assert [name for name in CONTAINERS if "intra" in CONTAINERS[name].video] == [".mp4", ".mkv"]
    with pytest.raises(UsageError, match="mov does not take codec 'intra'"):
        plan("a.mov", codec="intra")
    with pytest.raises(UsageError, match=r"quality 41 is outside 1\.\.40 of intra"):
        plan("a.mp4", codec="intra", quality=41)
    with pytest.raises(UsageError, match="mp4 does not take codec 'intr'") as caught:
        plan("a.mp4", codec="intr")
    assert "did you mean intra?" in caught.value.hint
    assert plan("a.mp4", RGB, FULL_RGB, codec="intra").pixel_format == "yuv444p"
    made = plan("a.mp4", codec="intra")
    assert made.describe() == "intra yuv420p crf 11"
    assert (made.options, made.codec_tag) == ({"g": "1", "crf": "11"}, "avc1")

    source = make_clip("in.mp4")
    reader, notices = open_clip(source, notify=Notices()), Notices()
    made = plan_encode(
        tmp_path / "out.mp4", layout=reader.info.layout, color=reader.info.color,
        size=(reader.info.width, reader.info.height), codec="intra", notify=notices,
    )  # fmt: skip
    with VideoWriter(tmp_path / "out.mp4", made, source=reader.info, notify=notices) as writer:
        for frame in reader.frames():
            writer.write(frame.picture, frame.time)
    written = probe(tmp_path / "out.mp4", notify=notices)
    assert (written.codec, len(written.keyframes)) == ("h264", len(reader.info.timeline))
    expected = expectation_of(reader.info, tracks=writer.tracks)
    assert verify_output(tmp_path / "out.mp4", expected, notify=notices).ok


@pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
def test_an_entry_agrees_with_its_encoder(codec: Codec) -> None:
    assert set(codec.containers) <= set(CONTAINERS)
    assert not codec.hdr_option or codec.hdr_option in codec.options
    try:
        encoder = av.Codec(codec.encoder, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip("not in this FFmpeg")
    assert encoder.canonical_name == codec.format
    assert set(codec.alpha_formats) <= {each.name for each in encoder.video_formats or []}


def test_the_first_codec_of_a_container_is_its_usual_one() -> None:
    assert [container.video[0] for container in CONTAINERS.values()] == [
        "libx264", "prores_ks", "ffv1", "libvpx-vp9"
    ]  # fmt: skip
