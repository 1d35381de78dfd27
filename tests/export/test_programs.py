"""Every record of the table of programs, rendered through the command line and compared with what
ffprobe reads.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from support.clips import BT709, HLG, VFR_PTS, number_of, sound
from support.command_line import (
    LATE,
    CommandLine,
    footprint,
    pictures,
    planes_of,
    segment,
    two_objects,
)

from vfx_matte.cli.commands.formats import format_rows
from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import UsageError
from vfx_matte.picture import ColorTags
from vfx_matte.pipeline.export.formats import formats
from vfx_matte.programs.record import KINDS
from vfx_matte.programs.registry import PROGRAMS, program_named
from vfx_matte.wording import spelled

pytestmark = pytest.mark.slow

PQ = ColorTags("bt2020nc", "tv", "bt2020", "smpte2084")
RECORDS = [(target, kind) for target in PROGRAMS for kind in KINDS]
X265 = {"preset": "ultrafast", "x265-params": "log-level=none"}
DEEP: dict[str, Any] = {
    "codec": "libx265", "pixel_format": "yuv420p10le", "color": HLG, "pts": VFR_PTS,
    "options": X265, "sounds": [sound()],
}  # fmt: skip

# What the records' words are called in a file, by ffprobe.
CODEC_NAMES = {
    "libx264": ("h264", "avc1"), "libx265": ("hevc", "hvc1"), "libvpx-vp9": ("vp9", "[0][0][0][0]"),
    "prores_ks yuv422p10le": ("prores", "apch"), "prores_ks yuv444p10le": ("prores", "ap4h"),
    "prores_ks yuva444p10le": ("prores", "ap4h"),
}  # fmt: skip
CONTAINER_NAMES = {
    ".mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    ".mov": "mov,mp4,m4a,3gp,3g2,mj2",
    ".webm": "matroska,webm",
}
BRANDS = {".mp4": "isom", ".mov": "qt  "}
STREAM = (
    "codec_name,codec_tag_string,pix_fmt,color_range,color_space,color_transfer,"
    "color_primaries,time_base,start_time"
)


@pytest.fixture
def hdr(
    cli: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path]
) -> Callable[..., Path]:
    """Put a segmented 10-bit clip, hdr.mp4, into the working directory."""

    def put(color: ColorTags, **options: Any) -> Path:  # noqa: ANN401
        name = take(make_clip("hdr.mp4", **(DEEP | {"color": color, **options})))
        segment(cli, name)
        return name

    return put


def written(cli: CommandLine, name: Path, target: str, kind: str) -> Path:
    """Render one record; the source is written by conform."""
    place = cli.folder / "workspace" / name.stem / target
    if kind == "source":
        cli("conform", name, "--outputs", "source", "--for", target)
        return next((place / "conform").glob("*-conformed.*"))
    cli(kind, name, "--for", target, "--edges", "hard")  # it is the file that is looked at
    return next(place.glob(f"{kind}.*"))


def check_promises(
    path: Path,
    promised: tuple[str, str],
    *,
    depth: int,
    color: ColorTags,
    ffprobe: Callable[..., Any],
) -> None:
    """Everything that a record promises, read by ffprobe. promised: program and kind."""
    target = program_named(promised[0])
    record = target.encodings[promised[1]]
    found = ffprobe(
        path,
        f"format=format_name:format_tags=major_brand:stream=codec_type,{STREAM}:stream_tags=alpha_mode",
    )
    video = next(stream for stream in found["streams"] if stream["codec_type"] == "video")
    audio = next(stream for stream in found["streams"] if stream["codec_type"] == "audio")
    assert path.suffix == record.suffix
    assert found["format"]["format_name"] == CONTAINER_NAMES[record.suffix]
    assert found["format"]["tags"].get("major_brand") == BRANDS.get(record.suffix)
    codec, pixel_format = record.codec_for(depth), record.pixel_format_for(depth)
    names = CODEC_NAMES.get(codec) or CODEC_NAMES[f"{codec} {pixel_format}"]
    assert (video["codec_name"], video["codec_tag_string"]) == names
    if codec == "libvpx-vp9":  # its alpha is a stream of its own beside the picture
        assert (video["pix_fmt"], video["tags"]["alpha_mode"]) == ("yuv420p", "1")
    else:  # ffprobe of FFmpeg 5 and later decodes ProRes 4444 to 12 bits or 10
        assert video["pix_fmt"].replace("12le", "10le") == pixel_format
    assert video["color_range"] == "tv"
    tags = ColorTags(video["color_space"], "tv", video["color_primaries"], video["color_transfer"])
    assert tags == color
    assert (
        audio["codec_name"] in target.sound_copies
        or target.sound_encoders[record.suffix].removeprefix("lib") == audio["codec_name"]
    )


@pytest.mark.parametrize(("target", "kind"), RECORDS)
def test_a_record_is_what_ffprobe_reads(
    project: CommandLine, ffprobe: Callable[..., Any], target: str, kind: str
) -> None:
    """From 8-bit H.264 of variable rate with AAC sound."""
    path = written(project, Path("clip.mp4"), target, kind)
    check_promises(path, (target, kind), depth=8, color=BT709, ffprobe=ffprobe)
    base = Fraction(
        ffprobe(path, "stream=time_base", "-select_streams", "v")["streams"][0]["time_base"]
    )
    assert base == (Fraction(1, 1000) if path.suffix == ".webm" else Fraction(1, 30000))


@pytest.mark.parametrize("color", [HLG, PQ], ids=["HLG", "PQ"])
@pytest.mark.parametrize(
    "record", [record for record in RECORDS if record[1] != "overlay"], ids="-".join
)
def test_ten_bits_and_hdr_tags_arrive(
    cli: CommandLine,
    hdr: Callable[..., Path],
    ffprobe: Callable[..., Any],
    record: tuple[str, str],
    color: ColorTags,
) -> None:
    path = written(cli, hdr(color), *record)
    check_promises(path, record, depth=10, color=color, ffprobe=ffprobe)
    promised = program_named(record[0]).encodings[record[1]].pixel_format_for(10)
    assert "10" in promised or record[1] == "maskvideo" or record == ("web", "alpha"), (
        "ten bits stay ten bits"
    )


def test_ten_bits_stay_ten_bits(cli: CommandLine, hdr: Callable[..., Path]) -> None:
    """Inside the subject ProRes keeps the levels between those of 8 bits."""
    name = hdr(HLG)
    cli("greenback", name, "--for", "resolve", "--median", "0")
    before, after = (
        next(pictures(path)) for path in (name, Path("workspace/hdr/resolve/greenback.mov"))
    )
    full, _ = footprint(two_objects() > 0, planes_of(before)[0])
    levels = planes_of(after)[0][full].astype(float) / 2 ** (
        max(c.bits for c in after.format.components) - 10
    )
    assert np.abs(levels - planes_of(before)[0][full]).mean() < 4
    assert (np.rint(levels).astype(int) % 4 != 0).mean() > 0.4


def test_mastering_metadata_goes_into_hevc(
    cli: CommandLine, hdr: Callable[..., Path], ffprobe: Callable[..., Any]
) -> None:
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    params = f"log-level=none:hdr10=1:master-display={display}:max-cll=1000,400"
    name = hdr(PQ, options={"preset": "ultrafast", "x265-params": params})
    cli("greenback", name, "--for", "capcut")
    side = ffprobe(
        Path("workspace/hdr/capcut/greenback.mp4"),
        "frame_side_data=side_data_type,max_luminance,max_content",
        "-read_intervals",
        "%+#1",
    )
    found = {entry["side_data_type"]: entry for entry in side["frames"][0]["side_data_list"]}
    assert found["Mastering display metadata"]["max_luminance"] == "10000000/10000"
    assert found["Content light level metadata"]["max_content"] == 1000
    ran = cli("greenback", name, "--for", "finalcut")
    assert any(
        "mastering display's HDR metadata is kept by libx265 only" in note for note in ran.notes
    )


def test_full_range_becomes_limited(
    cli: CommandLine,
    make_clip: Callable[..., Path],
    take: Callable[..., Path],
    ffprobe: Callable[..., Any],
) -> None:
    """Of a phone's full-range clip: the tag says limited, and the levels are."""
    full = ColorTags("bt709", "pc", "bt709", "bt709")
    name = take(make_clip("full.mp4", color=full, options={"preset": "ultrafast", "crf": "5"}))
    segment(cli, name)
    cli("greenback", name, "--for", "capcut", "--quality", "5", "--median", "0")
    output = Path("workspace/full/capcut/greenback.mp4")
    assert (
        ffprobe(output, "stream=color_range", "-select_streams", "v")["streams"][0]["color_range"]
        == "tv"
    )
    before, after = (planes_of(next(pictures(path)))[0].astype(float) for path in (name, output))
    inside = two_objects() > 0
    assert np.abs(after - (16 + before * 219 / 255))[inside].mean() < 2
    assert np.abs(after - before)[inside].mean() > 4


def test_green_for_a_keyer_has_chroma_at_full_resolution(project: CommandLine) -> None:
    """Not 4:2:0 blown up: on the edge of the matte the chroma changes from one pixel to the
    next.
    """
    project("greenback", "--for", "aftereffects", "--median", "0")
    # mixed in the clip's own 4:2:0
    project("greenback", "-o", "half.mkv", "--codec", "ffv1", "--median", "0")
    inside = two_objects() > 0
    full, half = (
        list(pictures(Path(path)))[5]
        for path in ("workspace/clip/aftereffects/greenback.mov", "half.mkv")
    )
    assert full.format.name.startswith("yuv444")
    assert half.format.name == "yuv420p"

    def error_of(chroma: npt.NDArray[Any], inside: npt.NDArray[np.bool_]) -> float:
        """How far alpha, as a keyer sees it in Cb, is from the matte; the subject is nearly
        grey.
        """
        levels = chroma.astype(float)
        key, subject = np.median(levels[~inside]), np.median(levels[inside])
        return float(np.abs(np.clip((levels - key) / (subject - key), 0, 1) - inside).mean())

    whole = error_of(planes_of(full)[1], inside)
    blown_up = error_of(planes_of(half)[1].repeat(2, axis=0).repeat(2, axis=1), inside)
    assert whole < 0.7 * blown_up


def test_the_mattes_for_resolve_are_apart(project: CommandLine) -> None:
    """R, G and B of one 4:4:4 file: each within a hair of its object, no leak into the others,
    black and white exact.
    """
    project("maskvideo", "--for", "resolve", "--median", "0")
    frame = list(pictures(Path("workspace/clip/resolve/maskvideo.mov")))[5]
    rgb = (
        frame.to_ndarray(format="gbrp16le")[..., :3]
        if frame.format.is_rgb
        else frame.reformat(
            format="rgb48le",
            src_color_range="MPEG",
            dst_color_range="JPEG",
            src_colorspace="ITU709",
        ).to_ndarray()
    )
    levels = rgb.astype(float) / 65535
    objects = two_objects()
    for channel, object_id in enumerate((1, 2)):
        assert np.abs(levels[..., channel] - (objects == object_id)).max() < 0.02, (
            f"object {object_id}"
        )
        assert np.abs(levels[..., channel] - (objects == object_id)).mean() < 0.002
    assert levels[..., 2].max() < 0.01, "there is no third object"


def test_one_object_for_resolve_is_white_on_black(project: CommandLine) -> None:
    project("maskvideo", "--for", "resolve", "--object", "1", "-o", "one.mov")
    planes = planes_of(list(pictures(Path("one.mov")))[5])
    assert np.ptp(planes[1]) < np.ptp(planes[0]) / 50, "no colour"
    ran = project.fails("maskvideo", "--for", "resolve", "--style", "red", code=2)
    assert "'red'" in ran.error


def test_explicit_wishes_win(project: CommandLine, ffprobe: Callable[..., Any]) -> None:
    ran = project("greenback", "--for", "premiere", "-o", "g.mp4")
    assert any(".mov would be better" in note for note in ran.notes)
    assert ffprobe(Path("g.mp4"), "stream=codec_name")["streams"][0]["codec_name"] == "h264"
    ran = project("greenback", "--for", "premiere", "--codec", "libx265", "--preset", "ultrafast")
    assert any("libx265 was asked for" in note for note in ran.notes)
    made = ffprobe(Path("workspace/clip/premiere/greenback.mov"), "stream=codec_name")["streams"][0]
    assert made["codec_name"] == "hevc"
    ran = project("greenback", "--for", "capcut", "--pixel-format", "yuv444p", "-o", "g4.mp4")
    assert ffprobe(Path("g4.mp4"), "stream=pix_fmt")["streams"][0]["pix_fmt"] == "yuv444p"
    ran = project("alpha", "--for", "finalcut", "--premultiplied")
    assert any("expects straight alpha" in note for note in ran.notes)


def test_a_clash_is_an_error_that_says_what_fits(project: CommandLine) -> None:
    ran = project.fails("greenback", "--for", "premiere", "--codec", "ffv1", code=2)
    assert ran.error == ".mov does not take codec 'ffv1'"
    ran = project.fails("greenback", "--pixel-format", "rgb24", code=2)
    assert "rgb24" in ran.error
    assert "yuv420p" in ran.hint
    ran = project.fails("greenback", "--for", "nuke", code=2)
    assert ran.error == "unknown program 'nuke'"
    assert "premiere, aftereffects, resolve, finalcut, capcut, web" in ran.hint


def test_variable_rate_is_pointed_to_conform(
    project: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path]
) -> None:
    ran = project("greenback", "clip.mp4", "--for", "premiere")
    assert [
        note for note in ran.notes if "better: vfx-matte conform clip.mp4 --for premiere" in note
    ]
    assert not [note for note in project("greenback", "--for", "web").notes if "conform" in note]
    steady = take(make_clip("steady.mp4", options={"preset": "ultrafast"}))
    segment(project, steady)
    assert not [
        note
        for note in project("greenback", steady, "--for", "premiere").notes
        if "conform" in note
    ]


def test_config_ini_names_the_target(project: CommandLine) -> None:
    Path("config.ini").write_text("[render]\ntarget = capcut\n", encoding="utf-8")
    project("greenback")
    assert Path("workspace/clip/capcut/greenback.mp4").exists()
    project("greenback", "--for", "web")
    assert Path("workspace/clip/web/greenback.mp4").exists()


def test_formats_shows_the_table(project: CommandLine) -> None:
    shown = project("formats", "premiere").stdout
    for kind, record in program_named("premiere").encodings.items():
        assert f"{kind}{record.suffix}" in shown
    assert "capcut" not in shown
    everything = json.loads(project("formats", "--json").stdout)
    assert list(everything) == ["all", *PROGRAMS]
    assert everything["all"]["range"] == "tv"
    for name, target in PROGRAMS.items():
        for kind, record in target.encodings.items():
            told = everything[name]["outputs"][kind]
            assert told["8-bit"] == {"codec": record.codec, "pixel_format": record.pixel_format}
            assert told["why"] == spelled(record.why, as_typed)
    assert project.fails("formats", "nuke", code=2).error == "unknown program 'nuke'"


def test_a_broken_table_is_noticed() -> None:
    premiere = program_named("premiere")
    good = premiere.encodings["alpha"]
    for change, message in (
        ({"suffix": ".avi"}, "suffix '.avi'"), ({"codec": "divx"}, "codec 'divx'"),
        ({"deep_codec": "divx"}, "codec 'divx'"), ({"alpha": "maybe"}, "alpha 'maybe'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            replace(good, **change)
    without_alpha = {kind: one for kind, one in premiere.encodings.items() if kind != "alpha"}
    with pytest.raises(ValueError, match="no encoding for alpha"):
        replace(premiere, encodings=without_alpha)
    with pytest.raises(ValueError, match=r"no sound encoder for \.mov"):
        replace(premiere, sound_encoders={".mp4": "aac"})
    with pytest.raises(UsageError, match="unknown program"):
        program_named("avid")


def test_resolve_gets_pcm_that_ends_where_the_sound_ended(
    cli: CommandLine,
    make_clip: Callable[..., Path],
    take: Callable[..., Path],
    ffprobe: Callable[..., Any],
) -> None:
    """AAC decoded and written as PCM: nothing cut, nothing moved."""
    name = take(
        make_clip(
            pts=VFR_PTS,
            options={"preset": "ultrafast"},
            sounds=[sound(start=LATE, seconds=Fraction(3, 2))],
        )
    )
    segment(cli, name)
    cli("greenback", name, "--for", "resolve")
    output = Path("workspace/clip/resolve/greenback.mov")
    assert "DIFFERS" not in cli("verify", output, "--source", name).stdout
    stream = ffprobe(output, "stream=codec_name", "-select_streams", "a")["streams"][0]
    assert stream["codec_name"] == "pcm_s24le"
    before, after = heard(name), heard(output)
    assert abs(len(after) - len(before)) < 1024
    common = slice(0, min(len(before), len(after)))
    assert np.abs(before[common] - after[common]).max() < 1e-4


def heard(path: Path) -> npt.NDArray[np.float64]:
    """The first channel of the sound at 48 kHz from the file's time zero, silence where there is
    none.
    """
    samples = np.zeros(48000 * 4)
    end = 0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            values = frame.to_ndarray().astype(float)
            values = (
                values[0]
                if frame.format.is_planar
                else values.reshape(-1, frame.layout.nb_channels)[:, 0]
            )
            if not frame.format.name.startswith("flt"):
                values = values / 2**31
            assert frame.pts is not None
            start = round(frame.pts * frame.time_base * 48000)
            values = values[max(0, -start) :]
            end = max(start, 0) + len(values)
            samples[end - len(values) : end] = values
    return samples[:end]


def test_numbers_survive_every_target(project: CommandLine) -> None:
    """Frame n of each green screen is frame n of the clip, everything chosen."""
    shutil.rmtree("workspace")
    from support.command_line import paint

    paint(Path("all.png"), np.ones((64, 96), np.uint8))
    project("segment", "clip.mp4", "--first-mask", "all.png", "--propagator", "fake")
    for target in PROGRAMS:
        project("greenback", "--for", target)
        path = next(Path(f"workspace/clip/{target}").glob("greenback.*"))
        assert [number_of(frame.to_ndarray(format="gray")) for frame in pictures(path)] == list(
            range(12)
        ), target


def test_the_documented_table_is_the_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text(encoding="utf-8")
    for row in format_rows(formats(None)):
        why = spelled(row[7], as_typed)
        assert f"| {row[0]} | `{row[1]}` | {row[2]} | {row[3]} | {row[4]} | {why} |" in text
