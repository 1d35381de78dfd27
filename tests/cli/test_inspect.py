"""probe, verify, frame, mask, config, demo, --version and the doors of the old scripts, through the
command line.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from support.clips import VFR_PTS, number_of, sound, sound_packets, write_clip
from support.command_line import LATE, SIZE, CommandLine, paint, pictures, segment, two_objects

from vfx_matte._version import __version__
from vfx_matte.masks import overlap
from vfx_matte.media.writers.stills import StillsWriter
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.media.writers.video import VideoWriter
from vfx_matte.picture import Picture
from vfx_matte.timeline import FrameTime, Timeline
from vfx_matte.workspace import load_mask

ROOT = Path(__file__).parents[2]
FAST = ("--preset", "ultrafast")


# ---------------------------------------------------------------- probe


def test_probe_counts_the_frames(film: CommandLine) -> None:
    shown = film("probe", "clip.mp4").stdout
    (((start, _), *_),) = sound_packets(Path("clip.mp4")).values()
    assert start > 0, "the sound starts late"
    for part in (
        "h264",
        "yuv420p",
        "96×64",
        "12, counted",
        "variable",
        "bt709",
        "aac",
        "48000 Hz",
        f"starts {float(start):+.6f} s",
    ):
        assert part in shown, part
    facts = json.loads(film("probe", "clip.mp4", "--json").stdout)
    assert facts["frame_count"] == 12
    assert facts["constant_rate"] is False
    assert facts["timeline"]["pts"] == list(VFR_PTS)
    assert facts["timeline"]["time_base"] == "1/30000"
    assert (facts["width"], facts["height"]) == SIZE
    assert Fraction(facts["audio"][0]["start"]) == start
    counted = dict.fromkeys(facts["interval_histogram"], 0)
    for earlier, later in itertools.pairwise(VFR_PTS):
        counted[str(later - earlier)] += 1
    assert facts["interval_histogram"] == counted


def test_probe_shows_a_histogram(film: CommandLine) -> None:
    lines = film("probe", "clip.mp4").stdout.splitlines()
    bars = [line.split() for line in lines if "█" in line]
    steps = [later - earlier for earlier, later in itertools.pairwise(VFR_PTS)]
    assert {(bar[0], bar[-1]) for bar in bars} == {
        (f"{step / 30:.3f}", str(steps.count(step))) for step in set(steps)
    }
    assert bars[0][-1] == str(max(steps.count(step) for step in set(steps)))


def test_probe_says_in_words_what_a_file_does_not(
    cli: CommandLine, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip(
        "mono.avi",
        codec="mpeg4",
        pts=range(6),
        time_base=Fraction(1, 25),
        sounds=(sound("pcm_s16le", channels=1),),
    )
    rows = cli("probe", clip).stdout
    assert "8 bit, interlacing not stated" in rows
    assert "Hz, 1 channel, starts" in rows


def test_probe_of_constant_rate_rotation_and_pixel_shape(cli: CommandLine) -> None:
    write_clip(Path("phone.mov"), size=(64, 96), rotation=90, options={"preset": "ultrafast"})
    write_clip(Path("dv.mp4"), sample_aspect=Fraction(16, 15), options={"preset": "ultrafast"})
    phone, dv = (
        json.loads(cli("probe", name, "--json").stdout) for name in ("phone.mov", "dv.mp4")
    )
    assert (phone["width"], phone["height"], phone["constant_rate"]) == (64, 96, True)
    assert "constant 29.97 fps" in cli("probe", "phone.mov").stdout
    assert dv["sample_aspect"] == "16/15"


# ---------------------------------------------------------------- verify


def test_verify_says_that_a_render_is_true(project: CommandLine) -> None:
    project("greenback", *FAST)
    ran = project("verify", "workspace/clip/greenback.mp4", "--source", "clip.mp4")
    assert "DIFFERS" not in ran.stdout
    report = json.loads(
        project("verify", "workspace/clip/greenback.mp4", "--source", "clip.mp4", "--json").stdout
    )
    assert report["ok"] is True
    assert {check["name"] for check in report["checks"]} >= {
        "frame count",
        "timestamps",
        "colour tags",
        "sound",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"pts": VFR_PTS[:-1]}, "12 frames, the source has 11"),
        ({"pts": (*VFR_PTS[:4], 5006, *VFR_PTS[5:])}, "frame 4 is at"),
        ({"size": (128, 64)}, "128×64"),
        ({"sounds": ()}, "tracks"),
        ({"sounds": (sound(start=LATE, seconds=Fraction(1, 4)),)}, "packets"),
        ({"sounds": (sound(start=LATE + Fraction(1, 50), seconds=Fraction(1, 2)),)}, "sound"),
    ],
    ids=["a frame more", "a frame moved", "size", "no sound", "sound cut", "sound moved"],
)
def test_verify_names_the_first_difference(
    project: CommandLine, changes: dict[str, Any], named: str
) -> None:
    """The render is compared with clips that differ from its source in one thing each; scripts see
    exit code 1.
    """
    project("greenback", *FAST)
    facts: dict[str, Any] = {"pts": VFR_PTS, "options": {"preset": "ultrafast", "bf": "0"}}
    facts |= {"sounds": (sound(start=LATE, seconds=Fraction(1, 2)),)} | changes
    write_clip(Path("other.mp4"), **facts)
    ran = project.run("verify", "workspace/clip/greenback.mp4", "--source", "other.mp4")
    assert ran.code == 1
    assert "DIFFERS" in ran.stdout
    assert named in ran.error
    assert ran.hint
    report = project.run(
        "verify", "workspace/clip/greenback.mp4", "--source", "other.mp4", "--json"
    )
    assert report.code == 1
    assert json.loads(report.stdout)["ok"] is False


def test_verify_of_a_folder_of_pictures(project: CommandLine) -> None:
    ran = project("alpha", "-o", "frames")
    assert "every file is complete" in ran.stdout
    project("verify", "frames", "--source", "clip.mp4")
    Path("frames/0000004.png").rename("away.png")
    ran = project.run("verify", "frames", "--source", "clip.mp4")
    assert ran.code == 1
    assert "0000004.png is missing" in ran.error
    Path("frames/0000004.png").write_bytes(Path("away.png").read_bytes()[:-20])
    ran = project.run("verify", "frames", "--source", "clip.mp4")
    assert ran.code == 1
    assert "0000004.png is cut short" in ran.error


@pytest.mark.slow
def test_a_render_that_is_not_true_is_an_error(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every render verifies itself: a writer that loses a frame is found out."""
    for writer in (VideoWriter, StillsWriter):
        monkeypatch.setattr(writer, "write", losing(writer.write))
    for command in (
        ("greenback", *FAST),
        ("maskvideo",),
        ("alpha",),
        ("alpha", "-o", "frames"),
        ("overlay", *FAST),
    ):
        ran = project.fails(*command, code=1)
        assert "differs from its source" in ran.error, command
    assert json.loads(Path("workspace/clip/manifest.json").read_text())["outputs"] == {}


def losing(write: Callable[..., None]) -> Callable[..., None]:
    """`write`, but the frame at 5005 ticks is lost."""

    def lossy(writer: object, picture: Picture, time: FrameTime) -> None:
        if time.pts != VFR_PTS[4]:
            write(writer, picture, time)

    return lossy


def test_verify_of_what_is_not_there(project: CommandLine) -> None:
    project.fails("verify", "nothing.mp4", "--source", "clip.mp4", code=2)
    project.fails("verify", "clip.mp4", "--source", "nothing.mp4", code=2)


# ---------------------------------------------------------------- frame and mask


@pytest.mark.parametrize(("at", "index"), [("0", 0), ("7", 7), ("0.1s", 3), ("0:00.51", 11)])
def test_a_still_is_the_frame_that_was_asked_for(film: CommandLine, at: str, index: int) -> None:
    ran = film("frame", "clip.mp4", "--at", at, "-o", "still.png")
    assert ran.stdout == "still.png\n"
    with Image.open("still.png") as picture:
        assert picture.size == SIZE
        assert number_of(np.array(picture)) == index


def test_stills_have_names_of_their_own(film: CommandLine) -> None:
    assert film("frame", "clip.mp4", "--at", "3").stdout == "clip.0000003.png\n"
    assert film("frame", "clip.mp4", "--at", "3", "-o", "a/b/still.jpg").stdout == "a/b/still.jpg\n"
    with Image.open("a/b/still.jpg") as picture:
        assert picture.format == "JPEG"


def test_a_still_of_a_turned_clip_is_as_displayed(cli: CommandLine) -> None:
    write_clip(Path("phone.mov"), size=(64, 96), rotation=90, options={"preset": "ultrafast"})
    cli("frame", "phone.mov", "--at", "5", "-o", "still.png")
    with Image.open("still.png") as picture:
        assert picture.size == (64, 96)
        assert number_of(np.array(picture)) == 5


@pytest.mark.slow
def test_a_mask_from_a_box(cli: CommandLine) -> None:
    """A bright disc on a dark ground: found without weights, and segment takes what was made."""
    y, x = np.mgrid[:64, :96]
    disc = (x - 40) ** 2 + (y - 32) ** 2 < 20**2
    rng = np.random.default_rng(1)
    ground = rng.integers(30, 60, (64, 96, 3), dtype=np.uint8)
    image = np.where(disc[..., None], ground + np.uint8(150), ground)
    make_film(
        Path("clip.mp4"),
        [image] * 5,
        Timeline(tuple(range(5)), (1,) * 5, Fraction(1, 25)),
        np.zeros((1, 9600), np.float32),
    )
    ran = cli(
        "mask",
        "clip.mp4",
        "--at",
        "2",
        "--box",
        "15,8,52,50",
        "--fg",
        "40,32",
        "--bg",
        "5,5",
        "-o",
        "m.png",
    )
    assert ran.stdout.startswith("m.png\nobject 1: ")
    assert overlap(load_mask(Path("m.png")) > 0, disc) > 0.95
    assert cli("mask", "clip.mp4", "--box", "15,8,52,50", "-q").stdout == "clip.mask.0000000.png\n"
    cli("segment", "clip.mp4", "--mask", "2=m.png", "--propagator", "fake")
    np.testing.assert_array_equal(cli.mask(4), load_mask(Path("m.png")))
    before = cli.files()
    cli.fails("mask", "clip.mp4", "--box", "15,8,52,50", "-o", "m.png/x.png", code=1)
    cli.fails("mask", "clip.mp4", "--box", "2,2,8,8", "--fg", "200,5", code=2)
    cli.fails("mask", "clip.mp4", "--box", "4,4,3,3", "--bg", "5,5", code=1)  # nothing is left
    assert cli.files() == before


# ---------------------------------------------------------------- config, version, help


def test_config_is_the_file_that_comes_with_the_program(cli: CommandLine) -> None:
    text = cli("config").stdout
    assert text == (ROOT / "config.ini").read_text(encoding="utf-8")
    Path("config.ini").write_text(text, encoding="utf-8")
    cli("config")


def test_version(cli: CommandLine) -> None:
    assert cli("--version").stdout == f"vfx-matte {__version__}\n"


def test_every_command_has_help(cli: CommandLine) -> None:
    listed = cli("--help").stdout
    for name in (
        "segment",
        "greenback",
        "maskvideo",
        "alpha",
        "overlay",
        "probe",
        "verify",
        "frame",
        "mask",
        "config",
        "demo",
    ):
        assert name in listed
        assert "--workspace" in cli(name, "--help").stdout


# ---------------------------------------------------------------- demo


@pytest.mark.slow
def test_the_demo_makes_everything(cli: CommandLine) -> None:
    shown = cli("demo", "out", "--frames", "10").stdout
    place = Path("out/demo")
    for name in (
        "demo.mp4",
        "first-mask.png",
        "greenback.mp4",
        "maskvideo.mkv",
        "alpha.mov",
        "out-demo.mp4",
        "contact-sheet.png",
    ):
        assert (place / name).stat().st_size > 0, name
    assert shown.count("every frame exact") == 3
    assert "within 0.5 ms" in shown
    overlaps = [
        float(line.split("IoU ")[1].split(",")[0]) for line in shown.splitlines() if "IoU " in line
    ]
    assert len(overlaps) == 4
    assert min(overlaps) > 0.85
    assert json.loads(cli("probe", place / "demo.mp4", "--json").stdout)["constant_rate"] is False
    with Image.open(place / "contact-sheet.png") as sheet:
        assert sheet.width > 1000
    again = cli("demo", "out", "--frames", "8", "--quiet", "--json")
    assert again.stderr == ""
    assert isinstance(again.record, dict)


# ---------------------------------------------------------------- the old scripts


OLD_CONFIG = """[config]
# 设置
src_file_name = clip
src_file_ext = mp4
video_resize = 480
model_name = XMem
object_num = 2
something_forgotten = 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_the_old_scripts_still_work(
    cli: CommandLine, take: Callable[..., Path], clip: Path, encoding: str
) -> None:
    """`python tools/greenback.py` in a folder with the old config.ini renders the clip that it
    names, from source/.
    """
    take(clip, "source/clip.mp4")
    Path("config.ini").write_bytes(OLD_CONFIG.encode(encoding))
    segment(cli, "clip.mp4")
    (cli.folder / "mask.png").unlink()
    for script in ("greenback.py", "pngcolor.py"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, ROOT / "tools" / script, "--no-sound"]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    (green,) = [
        frame.to_ndarray(format="rgb24") for frame in pictures(Path("workspace/clip/greenback.mp4"))
    ][5:6]
    assert np.abs(green[-6:, :8].astype(int) - (0, 255, 0)).max() < 12
    colored = next(iter(pictures(Path("workspace/clip/maskvideo.mkv")))).to_ndarray(format="rgb24")
    assert {tuple(color) for color in colored.reshape(-1, 3).tolist()} == {
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
    }


def test_the_old_object_number_is_compared(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip, "source/clip.mp4")
    Path("config.ini").write_text(
        OLD_CONFIG.replace("object_num = 2", "object_num = 1"), encoding="utf-8"
    )
    paint(Path("m.png"), two_objects())
    ran = cli("segment", "--first-mask", "m.png", "--propagator", "fake")
    assert "config.ini expects 1 objects, the masks show 2" in ran.notes


def test_paths_of_the_config_are_followed(
    cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip, "rushes/clip.mp4")
    Path("config.ini").write_text(
        "[paths]\nsource = rushes\nworkspace = results\n[segment]\npropagator = fake\n"
    )
    paint(Path("m.png"), two_objects())
    cli("segment", "clip.mp4", "--first-mask", "m.png")
    cli("maskvideo")
    assert Path("results/clip/maskvideo.mkv").exists()
    cli("segment", "clip.mp4", "--first-mask", "m.png", "--workspace", "elsewhere")
    assert Path("elsewhere/clip/masks/0000000.png").exists()


def test_a_pipe_gets_no_colour_codes(project: CommandLine) -> None:
    ran = project("maskvideo")
    assert "\x1b" not in ran.stdout + ran.stderr
    with av.open("workspace/clip/maskvideo.mkv") as container:
        assert container.streams.video[0].frames in (0, 12)
