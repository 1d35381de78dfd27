"""greenback, maskvideo, alpha and overlay through the command line, read back with PyAV alone and
with ffprobe.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from support.clips import HLG, VFR_PTS, sound_packets, write_clip
from support.command_line import (
    SIZE,
    CommandLine,
    footprint,
    paint,
    pictures,
    planes_of,
    segment,
    times_of,
    two_objects,
)

from vfx_matte.masks import Palette
from vfx_matte.media.frames import Frame
from vfx_matte.media.readers.video import VideoReader

pytestmark = pytest.mark.slow

HARD = ("--median", "0")
"""The matte is the mask, exactly."""
FAST = ("--preset", "ultrafast")
GREEN = (0, 255, 0)
MASKED = range(2, 10)
"""The frames of `project` that have a mask."""


def rgb(path: Path, index: int) -> npt.NDArray[np.int16]:
    """One frame as R'G'B', converted by FFmpeg."""
    frame = list(pictures(path))[index]
    return np.asarray(frame.to_ndarray(format="rgb24"), np.int16)


def is_near(
    image: npt.NDArray[np.int16], color: tuple[int, int, int], *, by: int
) -> npt.NDArray[np.bool_]:
    close: npt.NDArray[np.bool_] = np.abs(image - np.array(color)).max(axis=2) <= by
    return close


def placed(cli: CommandLine, name: str) -> Path:
    return cli.folder / "workspace" / "clip" / name


def has_sound(path: Path) -> bool:
    with av.open(f"file:{path}") as container:
        return bool(container.streams.audio)


def no_part_left(cli: CommandLine) -> bool:
    return not [path for path in cli.folder.rglob("*") if ".part" in path.name]


# ---------------------------------------------------------------- time, sound and tags of every
# output


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (("greenback", *FAST), "workspace/clip/greenback.mp4"),
        (("greenback", "-o", "green.mov"), "green.mov"),
        (("greenback", "-o", "green.mkv", "--codec", "ffv1"), "green.mkv"),
        (("maskvideo",), "workspace/clip/maskvideo.mkv"),
        (("maskvideo", *FAST, "-o", "matte.mp4"), "matte.mp4"),
        (("maskvideo", "-o", "matte.mov"), "matte.mov"),
        (("maskvideo", "--style", "palette"), "workspace/clip/maskvideo.mkv"),
        (("alpha",), "workspace/clip/alpha.mov"),
        (("alpha", "-o", "cut.mkv"), "cut.mkv"),
        (("alpha", "-o", "cut.mov", "--codec", "png"), "cut.mov"),
        (("alpha", "-o", "cut.mov", "--codec", "qtrle"), "cut.mov"),
        (("overlay", *FAST), "workspace/clip/out-clip.mp4"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_time_and_sound_are_the_sources(
    project: CommandLine,
    command: tuple[str, ...],
    output: str,
    ffprobe: Callable[..., dict[str, Any]],
) -> None:
    ran = project(command[0], "clip.mp4", *command[1:])
    assert "verified" in ran.stdout
    assert Path(output).name in ran.stdout
    path = Path(output)
    source = [ticks * Fraction(1, 30000) for ticks in VFR_PTS]
    slack = Fraction(1, 2000) if path.suffix == ".mkv" else Fraction(0)
    assert [abs(a - b) <= slack for a, b in zip(times_of(path), source, strict=True)] == [True] * 12
    (want,), (have,) = sound_packets(Path("clip.mp4")).values(), sound_packets(path).values()
    assert [checksum for _, checksum in have] == [checksum for _, checksum in want]
    assert max(abs(a - b) for (a, _), (b, _) in zip(have, want, strict=True)) <= slack * 2
    # the second opinion: another program, another FFmpeg
    packets = ffprobe(path, "packet=pts_time,flags", "-select_streams", "v:0")["packets"]
    seen = sorted(float(packet["pts_time"]) for packet in packets if "D" not in packet["flags"])
    assert seen == pytest.approx([float(time) for time in source], abs=0.00051 if slack else 2e-6)
    streams = [
        ffprobe(one, "stream=codec_name,start_time", "-select_streams", "a")["streams"][0]
        for one in ("clip.mp4", path)
    ]
    assert streams[0]["codec_name"] == streams[1]["codec_name"]
    assert float(streams[1]["start_time"]) == pytest.approx(
        float(streams[0]["start_time"]), abs=0.0011 if slack else 2e-5
    )
    assert no_part_left(project)


def test_colour_tags_and_size_are_carried(
    project: CommandLine, ffprobe: Callable[..., dict[str, Any]]
) -> None:
    project("greenback", *FAST)
    project("alpha")
    entries = (
        "stream=width,height,pix_fmt,codec_name,codec_tag_string,"
        "color_space,color_range,color_primaries,color_transfer"
    )
    green, alpha = (
        ffprobe(placed(project, name), entries, "-select_streams", "v")["streams"][0]
        for name in ("greenback.mp4", "alpha.mov")
    )
    for stream in (green, alpha):
        assert (stream["width"], stream["height"]) == SIZE
        assert (stream["color_space"], stream["color_primaries"], stream["color_transfer"]) == (
            "bt709",
        ) * 3
    assert (green["codec_name"], green["pix_fmt"], green["color_range"]) == (
        "h264",
        "yuv420p",
        "tv",
    )
    assert (alpha["codec_name"], alpha["codec_tag_string"]) == ("prores", "ap4h")
    assert alpha["pix_fmt"].startswith("yuva444p")


def test_no_sound_when_none_is_wanted(project: CommandLine) -> None:
    project("greenback", *FAST, "--no-sound", "-o", "silent.mp4")
    assert not has_sound(Path("silent.mp4"))
    assert (
        "stream 1 (aac) of the source: the render was made without"
        in project("verify", "silent.mp4", "--source", "clip.mp4").stdout
    )


# ---------------------------------------------------------------- greenback


H264, H265 = {"preset": "ultrafast"}, {"preset": "ultrafast", "x265-params": "log-level=none"}


@pytest.mark.parametrize(
    "facts",
    [
        {"pixel_format": "yuv420p", "options": H264},
        {"pixel_format": "yuv420p10le", "codec": "libx265", "options": H265, "color": HLG},
        {"pixel_format": "yuv422p", "options": H264},
        {"pixel_format": "yuv422p10le", "options": H264},
        {"pixel_format": "yuv444p", "options": H264, "size": (97, 65)},
        {"pixel_format": "yuv420p", "codec": "ffv1", "name": "clip.mkv", "size": (97, 65)},
    ],
    ids=lambda facts: " ".join([facts["pixel_format"], facts.get("codec", "libx264")]),
)
def test_inside_the_matte_pixels_are_the_sources(
    cli: CommandLine,
    make_clip: Callable[..., Path],
    take: Callable[..., Path],
    facts: dict[str, Any],
) -> None:
    clip = make_clip(**({"name": "clip.mp4", "pts": range(0, 5 * 1001, 1001)} | facts))
    size = facts.get("size", SIZE)
    name = take(clip)
    segment(cli, name, size=size)
    cli("greenback", name, *HARD, "--codec", "ffv1", "-o", "x.mkv")
    inside = two_objects(size) > 0
    sources, results = list(pictures(name)), list(pictures(Path("x.mkv")))
    assert len(sources) == len(results) == 5
    key: list[set[int]] = [set(), set(), set()]
    for source, result in zip(sources, results, strict=True):
        assert result.format.name == source.format.name == facts["pixel_format"]
        assert (result.colorspace, result.color_range) == (source.colorspace, source.color_range)
        for number, (before, after) in enumerate(
            zip(planes_of(source), planes_of(result), strict=True)
        ):
            full, empty = footprint(inside, before)
            assert full.any()
            assert empty.any()
            np.testing.assert_array_equal(after[full], before[full])
            key[number].update(np.unique(after[empty]).tolist())
    assert [len(values) for values in key] == [1, 1, 1], "the key is one flat colour"
    width, height = size
    corner = np.asarray(results[0].to_ndarray(format="rgb24"), np.int16)[height - 4 :, : width // 8]
    assert is_near(corner, GREEN, by=3).all() or "color" in facts


def test_frames_without_a_mask_are_all_key(project: CommandLine) -> None:
    ran = project("greenback", "clip.mp4", *HARD, "--codec", "ffv1", "-o", "x.mkv")
    assert any("4 of 12 frames have no mask" in note for note in ran.notes)
    inside = two_objects() > 0
    for index, frame in enumerate(pictures(Path("x.mkv"))):
        green = is_near(np.asarray(frame.to_ndarray(format="rgb24"), np.int16), GREEN, by=3)
        _, empty = footprint(inside, planes_of(frame)[1])
        outside = np.kron(empty, np.ones((2, 2), bool))
        assert green[outside if index in MASKED else ...].all(), index
        assert not green.all() or index not in MASKED


@pytest.mark.parametrize(
    ("arguments", "color"),
    [
        (("--key", "blue"), (0, 0, 255)),
        (("--key", "magenta"), (255, 0, 255)),
        (("--key", "#804020"), (0x80, 0x40, 0x20)),
        (("--background", "#204080"), (0x20, 0x40, 0x80)),
    ],
)
def test_key_colours(
    project: CommandLine, arguments: tuple[str, str], color: tuple[int, int, int]
) -> None:
    project("greenback", *HARD, *arguments, "--codec", "ffv1", "-o", "x.mkv")
    image = rgb(Path("x.mkv"), 5)
    assert is_near(image, color, by=3)[-8:, :10].all()
    assert not is_near(image, color, by=3)[28:36, 26:32].any()


def test_the_automatic_key_is_far_from_the_subject(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    """The subject is an all green area, so green is the one key that is not chosen."""
    from vfx_matte.media.writers.synthetic import make_clip
    from vfx_matte.timeline import Timeline

    image = np.full((64, 96, 3), 90, np.uint8)
    image[two_objects() > 0] = (10, 200, 20)
    timeline = Timeline(tuple(range(4)), (1,) * 4, Fraction(1, 25))
    make_clip(
        cli.folder / "clip.mp4", [image] * 4, timeline, np.zeros((1, 48000 // 25 * 4), np.float32)
    )
    segment(cli, "clip.mp4")
    ran = cli("greenback", "--key", "auto", *HARD, "--codec", "ffv1", "-o", "x.mkv")
    (note,) = (note for note in ran.notes if note.startswith("key colour: "))
    chosen = note.removeprefix("key colour: ").partition(",")[0]
    assert chosen in ("blue", "magenta")
    assert is_near(
        rgb(Path("x.mkv"), 0), {"blue": (0, 0, 255), "magenta": (255, 0, 255)}[chosen], by=3
    )[-8:, :8].all()


def test_only_the_chosen_object_is_shown(project: CommandLine) -> None:
    project("greenback", *HARD, "--object", "2", "--codec", "ffv1", "-o", "x.mkv")
    ids = two_objects()
    source, result = list(pictures(Path("clip.mp4")))[5], list(pictures(Path("x.mkv")))[5]
    np.testing.assert_array_equal(planes_of(result)[0][ids == 2], planes_of(source)[0][ids == 2])
    image = np.asarray(result.to_ndarray(format="rgb24"), np.int16)
    assert is_near(image, GREEN, by=3)[
        footprint(ids == 1, np.empty((64, 96)))[0] & (np.indices(ids.shape)[1] < 40)
    ].all()


def test_a_picture_behind(project: CommandLine) -> None:
    """Left half red, right half blue, too tall: what lies outside shows its middle, scaled to the
    clip.
    """
    behind = np.full((64, 48, 3), 255, np.uint8)
    behind[16:48, :24], behind[16:48, 24:] = (220, 30, 30), (30, 30, 220)
    Image.fromarray(behind).save(project.folder / "behind.png")
    project("greenback", *HARD, "--background", "behind.png", "--codec", "ffv1", "-o", "x.mkv")
    image = rgb(Path("x.mkv"), 5)
    assert is_near(image, (220, 30, 30), by=6)[-8:, :10].all()
    assert is_near(image, (30, 30, 220), by=6)[-8:, -10:].all()
    source, result = list(pictures(Path("clip.mp4")))[5], list(pictures(Path("x.mkv")))[5]
    inside = two_objects() > 0
    np.testing.assert_array_equal(planes_of(result)[0][inside], planes_of(source)[0][inside])


def test_a_video_behind_runs_in_the_clips_time(project: CommandLine) -> None:
    """The background is another rate: what is on screen at a frame's time is behind it, and after
    its end the last picture.
    """
    from vfx_matte.media.writers.synthetic import make_clip
    from vfx_matte.timeline import Timeline

    shades = [40, 90, 140, 190]
    timeline = Timeline(tuple(range(4)), (1,) * 4, Fraction(1, 10))
    images = [np.full((64, 96, 3), shade, np.uint8) for shade in shades]
    make_clip(project.folder / "behind.mp4", images, timeline, np.zeros((1, 19200), np.float32))
    project("greenback", *HARD, "--background", "behind.mp4", "--codec", "ffv1", "-o", "x.mkv")
    for index, ticks in enumerate(VFR_PTS):
        shade = shades[min(3, ticks * 10 // 30000)]
        corner = rgb(Path("x.mkv"), index)[-8:, :10]
        assert is_near(corner, (shade,) * 3, by=4).all(), (
            f"frame {index}: {corner.mean()} is not {shade}"
        )


def test_edges_are_treated(project: CommandLine) -> None:
    """Grown, shrunk and feathered mattes, measured in the luma matte."""

    def white(*arguments: str) -> npt.NDArray[Any]:
        project("maskvideo", *HARD, *arguments, "-o", "m.mkv")
        return np.asarray(planes_of(list(pictures(Path("m.mkv")))[5])[0])

    plain, grown, shrunk = white(), white("--grow", "3"), white("--shrink", "3")
    assert (shrunk > 0).sum() < (plain > 0).sum() < (grown > 0).sum()
    assert not ((plain > 0) & (grown == 0)).any()
    assert not ((shrunk > 0) & (plain == 0)).any()
    soft = white("--feather", "6")
    assert len(np.unique(plain)) == 2
    assert len(np.unique(soft)) > 4
    box = int((two_objects() == 2).sum())
    np.testing.assert_array_equal(white("--remove-specks", str(box - 1)), plain)
    np.testing.assert_array_equal(white("--remove-specks", str(box)) > 0, two_objects() == 1)


# ---------------------------------------------------------------- maskvideo


def test_the_lossless_matte_is_the_mask(project: CommandLine) -> None:
    project("maskvideo", *HARD)
    for index, frame in enumerate(pictures(placed(project, "maskvideo.mkv"))):
        (plane,) = planes_of(frame)
        expected = np.where(two_objects() > 0, 255, 0) if index in MASKED else np.zeros((64, 96))
        np.testing.assert_array_equal(plane, expected)


def test_white_is_235_where_the_range_is_limited(project: CommandLine) -> None:
    """A file says limited range: then white is 235 and black 16, so that an editing program shows
    white and black.
    """
    project("maskvideo", *HARD, *FAST, "--quality", "0", "-o", "m.mp4")
    frame = list(pictures(Path("m.mp4")))[5]
    luma = planes_of(frame)[0]
    assert frame.color_range == 1
    assert set(np.unique(luma[two_objects() > 0])) == {235}
    assert set(np.unique(luma[two_objects() == 0])) == {16}


def test_a_prores_matte(project: CommandLine) -> None:
    project("maskvideo", *HARD, "-o", "m.mov")
    luma = planes_of(list(pictures(Path("m.mov")))[5])[0].astype(float)
    depth = 10 if luma.max() < 1024 else 12
    unit = 2 ** (depth - 8)
    inside, outside = footprint(two_objects() > 0, luma)
    assert np.median(luma[inside]) == pytest.approx(235 * unit, abs=unit)
    assert np.median(luma[outside]) == pytest.approx(16 * unit, abs=unit)


def test_mask_styles(project: CommandLine) -> None:
    ids, palette = two_objects(), Palette.davis().colors
    project("maskvideo", *HARD, "--style", "palette")
    np.testing.assert_array_equal(rgb(placed(project, "maskvideo.mkv"), 5), palette[ids])
    project("maskvideo", *HARD, "--style", "rgb", "-o", "channels.mkv")
    expected = np.zeros((64, 96, 3), np.uint8)
    expected[ids == 1, 0], expected[ids == 2, 1] = 255, 255
    np.testing.assert_array_equal(rgb(Path("channels.mkv"), 5), expected)
    project("maskvideo", *HARD, "--style", "rgb", "--object", "2", "-o", "second.mkv")
    expected[..., 0] = 0
    np.testing.assert_array_equal(rgb(Path("second.mkv"), 5), expected)
    project("maskvideo", *HARD, "--style", "palette", "--object", "1", "-o", "first.mkv")
    np.testing.assert_array_equal(rgb(Path("first.mkv"), 5), palette[np.where(ids == 1, 1, 0)])


def test_one_file_an_object(project: CommandLine) -> None:
    ran = project("maskvideo", *HARD, "--each-object")
    for object_id in (1, 2):
        name = f"maskvideo.object-{object_id}.mkv"
        assert name in ran.stdout
        (plane,) = planes_of(list(pictures(placed(project, name)))[5])
        np.testing.assert_array_equal(plane > 0, two_objects() == object_id)
    assert not placed(project, "maskvideo.mkv").exists()


# ---------------------------------------------------------------- alpha


def test_prores_alpha_is_straight(project: CommandLine) -> None:
    """Alpha is the matte; the colour stays the source's, under and, where that is asked for, around
    the subject.
    """
    project("alpha", *HARD, "--keep-background")
    source, result = (
        list(pictures(Path("clip.mp4")))[5],
        list(pictures(placed(project, "alpha.mov")))[5],
    )
    assert result.format.name.startswith("yuva444p")
    planes = planes_of(result)
    full = 2 ** max(component.bits for component in result.format.components) - 1
    np.testing.assert_array_equal(planes[3], np.where(two_objects() > 0, full, 0))
    before = planes_of(source)[0].astype(float) * (full + 1) / 256
    for chosen in (two_objects() > 0, two_objects() == 0):
        assert np.abs(planes[0] - before)[chosen].mean() < (full + 1) / 256 * 2
    assert not planes_of(next(pictures(placed(project, "alpha.mov"))))[3].any(), (
        "frames without a mask are transparent"
    )


def test_prores_alpha_is_finer_than_eight_bits(project: CommandLine) -> None:
    project("alpha", *HARD, "--feather", "12")
    alpha = planes_of(list(pictures(placed(project, "alpha.mov")))[5])[3]
    full = 2**10 - 1 if alpha.max() < 1024 else 2**12 - 1
    levels = np.unique(alpha) * 255 / full
    assert (np.abs(levels - np.rint(levels)) > 0.15).sum() > 20, (
        "levels between those of eight bits"
    )


def test_ffv1_alpha_keeps_luma_bits(project: CommandLine) -> None:
    project("alpha", *HARD, "-o", "a.mkv")
    source, result = list(pictures(Path("clip.mp4")))[5], list(pictures(Path("a.mkv")))[5]
    inside = two_objects() > 0
    assert result.format.name.startswith("yuva4")
    np.testing.assert_array_equal(planes_of(result)[0][inside], planes_of(source)[0][inside])
    np.testing.assert_array_equal(planes_of(result)[3], np.where(inside, 255, 0))


def test_webm_alpha(project: CommandLine) -> None:
    ran = project("alpha", *HARD, "-o", "a.webm")
    assert any("aac sound cannot be put in webm" in note for note in ran.notes)
    frames = list(pictures(Path("a.webm"), decoder="libvpx-vp9"))
    assert len(frames) == 12
    assert frames[5].format.name == "yuva420p"
    alpha = planes_of(frames[5])[3]
    wanted = two_objects() > 0
    overlap = ((alpha > 127) & wanted).sum() / ((alpha > 127) | wanted).sum()
    assert overlap > 0.97
    assert (planes_of(frames[0])[3] < 20).all()
    with av.open("a.webm") as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")


def test_png_files_with_alpha(project: CommandLine) -> None:
    project("alpha", *HARD, "-o", "frames/")
    files = sorted(Path("frames").iterdir())
    assert [file.name for file in files] == [f"{index:07d}.png" for index in range(12)]
    inside = two_objects() > 0
    for index in (0, 5):
        with Image.open(files[index]) as picture:
            assert picture.mode == "RGBA"
            samples = np.array(picture)
        np.testing.assert_array_equal(
            samples[..., 3], np.where(inside, 255, 0) if index in MASKED else np.zeros((64, 96))
        )
    source = rgb(Path("clip.mp4"), 5)
    assert np.abs(samples[..., :3].astype(int) - source)[inside].mean() < 3
    assert no_part_left(project)


def test_premultiplied_colour_is_black_outside(project: CommandLine) -> None:
    project("alpha", *HARD, "--premultiplied", "-o", "frames")
    with Image.open("frames/0000005.png") as picture:
        samples = np.array(picture)
    assert not samples[two_objects() == 0].any()
    source = rgb(Path("clip.mp4"), 5)
    inside = two_objects() > 0
    assert np.abs(samples[..., :3].astype(int) - source)[inside].mean() < 3


@pytest.mark.parametrize("name", ["a.mkv", "frames", "a.webm"])
def test_the_old_background_is_not_kept_under_alpha_0(project: CommandLine, name: str) -> None:
    """Beyond the subject's edge nothing of the source is left; where anything shows, files are the
    same to the bit.
    """
    shown = two_objects() > 0
    flat = {}
    for options in ((), ("--keep-background",)):
        project("alpha", *HARD, "-o", name, *options)
        if name == "frames":
            with Image.open("frames/0000005.png") as picture:
                planes = list(np.moveaxis(np.array(picture), 2, 0))
        else:
            planes = planes_of(
                list(pictures(Path(name), decoder="libvpx-vp9" if name.endswith("webm") else ""))[5]
            )
        flat[options] = planes
    filled, kept = flat.values()
    np.testing.assert_array_equal(filled[3] > 127, kept[3] > 127)
    if not name.endswith("webm"):
        for index in range(3):
            seen = ~footprint(shown, filled[index])[1]
            np.testing.assert_array_equal(filled[index][seen], kept[index][seen])
    corner = (slice(0, 6), slice(0, 6))
    assert not shown[:16, :16].any()
    assert kept[0][corner].std() > 1 + 5 * filled[0][corner].std()


def test_keeping_the_background_has_no_meaning_in_premultiplied_files(project: CommandLine) -> None:
    ran = project.fails("alpha", "--premultiplied", "--keep-background", code=2)
    assert "--keep-background" in ran.error


# ---------------------------------------------------------------- overlay


def test_overlay_tints_the_objects(project: CommandLine) -> None:
    project("overlay", *HARD, *FAST, "--quality", "1", "-o", "x.mp4")
    source, result = rgb(Path("clip.mp4"), 5), rgb(Path("x.mp4"), 5)
    ids = two_objects()
    tint = Palette.davis().colors[1].astype(np.int16)
    heart = (slice(28, 36), slice(24, 32))
    assert (ids[heart] == 1).all()
    assert np.abs(result[heart] - (source[heart] + tint) / 2).mean() < 12
    assert np.abs(result - source)[-6:, :8].mean() < 6
    assert np.abs(rgb(Path("x.mp4"), 0) - rgb(Path("clip.mp4"), 0)).mean() < 6, (
        "a frame without a mask is untinted"
    )
    project("overlay", *HARD, *FAST, "--alpha", "0", "--quality", "1", "-o", "y.mp4")
    assert np.abs(rgb(Path("y.mp4"), 5)[30:34, 26:30] - source[30:34, 26:30]).mean() < 6


# ---------------------------------------------------------------- which clip, which settings


def test_no_argument_takes_the_clip_segmented_last(
    project: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip, "later.mp4")
    segment(project, "later.mp4")
    project("maskvideo")
    assert (project.folder / "workspace/later/maskvideo.mkv").exists()
    (project.folder / "config.ini").write_text(
        "[paths]\nsource = .\n[config]\nsrc_file_name = clip\nsrc_file_ext = mp4\n"
    )
    project("maskvideo")
    assert (project.folder / "workspace/clip/maskvideo.mkv").exists()


def test_a_clip_is_looked_for_in_the_source_folder(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip, "source/clip.mp4")
    segment(cli, "clip.mp4")
    cli("maskvideo", "clip.mp4")
    assert placed(cli, "maskvideo.mkv").exists()


@pytest.mark.parametrize("name", ["clip", "workspace/clip"])
def test_a_clip_is_known_by_its_folder_of_results(project: CommandLine, name: str) -> None:
    Path("clips").mkdir()
    Path("clip.mp4").rename("clips/clip.mp4")
    project(
        "segment", "clips/clip.mp4", "--first-mask", "mask.png", "--propagator", "fake", "--fresh"
    )
    project("maskvideo", name)
    assert placed(project, "maskvideo.mkv").is_file()
    ran = project.fails("maskvideo", "clips/clip", code=2)
    assert "there is no clip 'clips/clip'" in ran.error
    # pictures in a folder of that name are what is meant, and so is a file
    Path("clip").mkdir()
    paint(Path("clip/0001.png"), two_objects())
    assert "another clip" in project.fails("maskvideo", "clip", code=2).error
    Path("clip/manifest.json").write_text("{}")
    assert "another clip" in project.fails("maskvideo", "clip", code=2).error


def test_a_project_that_was_moved_still_knows_its_clip(
    cli: CommandLine, take: Callable[..., Path], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(clip, "old/source/clip.mp4")
    monkeypatch.chdir("old")
    segment(CommandLine(cli.folder / "old"), "clip.mp4")
    monkeypatch.chdir(cli.folder)
    (cli.folder / "old").rename(cli.folder / "new")
    monkeypatch.chdir("new")
    cli("maskvideo")
    assert Path("workspace/clip/maskvideo.mkv").exists()


def test_command_line_beats_config_beats_default(project: CommandLine) -> None:
    (project.folder / "config.ini").write_text(
        "[greenback]\nkey = blue\n[edges]\nmedian = 0\n[render]\nsound = no\n"
    )
    project("greenback", "--codec", "ffv1", "-o", "by-config.mkv")
    project("greenback", "--codec", "ffv1", "-o", "by-hand.mkv", "--key", "magenta", "--sound")
    assert is_near(rgb(Path("by-config.mkv"), 5), (0, 0, 255), by=3)[-8:, :10].all()
    assert is_near(rgb(Path("by-hand.mkv"), 5), (255, 0, 255), by=3)[-8:, :10].all()
    assert not has_sound(Path("by-config.mkv"))
    assert has_sound(Path("by-hand.mkv"))
    (project.folder / "other.ini").write_text("[greenback]\nbackground = #ff0000\n")
    project("greenback", "--config", "other.ini", "--codec", "ffv1", "-o", "other.mkv")
    assert is_near(rgb(Path("other.mkv"), 5), (255, 0, 0), by=3)[-8:, :10].all()
    project(
        "greenback", "--config", "other.ini", "--key", "blue", "--codec", "ffv1", "-o", "keyed.mkv"
    )
    assert is_near(rgb(Path("keyed.mkv"), 5), (0, 0, 255), by=3)[-8:, :10].all(), (
        "--key beats config.ini's background"
    )


def test_outputs_are_noted_in_the_manifest(project: CommandLine) -> None:
    project("maskvideo")
    outputs = json.loads(placed(project, "manifest.json").read_text())["outputs"]
    assert outputs["maskvideo.mkv"]["kind"] == "mask video"
    assert "ffv1" in outputs["maskvideo.mkv"]["settings"]["encoding"]


def test_a_picture_sequence_as_a_clip(cli: CommandLine) -> None:
    """Frames of a folder, at a rate that is no whole number; the outputs keep it exactly."""
    for index in range(5):
        image = np.full((64, 96, 3), 60 + 20 * index, np.uint8)
        Image.fromarray(image).save(paint(cli.folder / f"plates/{index:05d}.png", two_objects()))
    paint(cli.folder / "mask.png", two_objects())
    cli(
        "segment",
        "plates",
        "--fps",
        "24000/1001",
        "--first-mask",
        "mask.png",
        "--propagator",
        "fake",
    )
    cli("greenback", "plates", *HARD, *FAST, "-o", "x.mp4")
    assert times_of(Path("x.mp4")) == [Fraction(1001 * index, 24000) for index in range(5)]


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize(
    "command", [("greenback", *FAST), ("alpha",), ("alpha", "-o", "frames"), ("overlay", *FAST)]
)
@pytest.mark.parametrize("count", [20, 80])
def test_a_render_holds_a_few_frames_only(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], count: int
) -> None:
    """However long the clip, decoded frames die soon after they were written."""
    write_clip(Path("clip.mp4"), pts=range(0, count * 1001, 1001), options={"preset": "ultrafast"})
    segment(cli, "clip.mp4")
    alive: weakref.WeakSet[Frame] = weakref.WeakSet()
    most = 0
    make = VideoReader._frame

    def counted(reader: VideoReader, index: int, native: av.VideoFrame) -> Frame:
        nonlocal most
        frame = make(reader, index, native)
        alive.add(frame)
        most = max(most, len(alive))
        return frame

    monkeypatch.setattr(VideoReader, "_frame", counted)
    cli(command[0], "clip.mp4", *command[1:])
    assert 0 < most <= 16
