"""What goes wrong at a desk: one line that says what, one that says what to do, the right exit
code, and nothing lost.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from support.clips import sound, write_clip
from support.command_line import SIZE, CommandLine, paint, pictures, segment, two_objects

from vfx_matte.media.readers.video import VideoReader
from vfx_matte.media.writers import video as media_write
from vfx_matte.workspace import files as workspace_files

FAKE = ("--propagator", "fake")
FAST = ("--preset", "ultrafast")


@pytest.fixture
def film(cli: CommandLine, take: Callable[..., Path], clip: Path) -> CommandLine:
    """A working directory with clip.mp4 and m.png, not segmented."""
    take(clip)
    paint(Path("m.png"), two_objects())
    return cli


@pytest.fixture
def intact(project: CommandLine) -> Iterator[CommandLine]:
    """A segmented and rendered project; after the test every file of it is as it was, and nothing
    was added.
    """

    def render() -> None:
        project("greenback", *FAST)
        project("alpha", "-o", "frames")

    project.once("a rendered project", render)
    before = project.files()
    yield project
    assert project.files() == before


# ---------------------------------------------------------------- clips


def no_clip(path: Path, clip: Path) -> None:
    pass


def empty_clip(path: Path, clip: Path) -> None:
    path.write_bytes(b"")


def cut_clip(path: Path, clip: Path) -> None:
    data = clip.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def sound_only(path: Path, clip: Path) -> None:
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def text_clip(path: Path, clip: Path) -> None:
    path.write_text("This is no film.\n" * 50)


def folder_without_pictures(path: Path, clip: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("no picture")


@pytest.mark.parametrize("command", ["probe", "segment", "frame", "mask", "greenback", "verify"])
@pytest.mark.parametrize(
    "broken", [no_clip, empty_clip, cut_clip, sound_only, text_clip, folder_without_pictures]
)
def test_clips_that_are_none(
    film: CommandLine, clip: Path, broken: Callable[[Path, Path], None], command: str
) -> None:
    broken(Path("bad.mp4"), clip)
    arguments = {
        "segment": ("bad.mp4", "--first-mask", "m.png"),
        "mask": ("bad.mp4", "--box", "1,1,9,9"),
        "verify": ("clip.mp4", "--source", "bad.mp4"),
    }.get(command, ("bad.mp4",))
    before = film.files()
    ran = film.fails(
        command, *arguments, code=2 if command == "greenback" or broken is no_clip else 1
    )
    assert "bad.mp4" in ran.error
    assert film.files() == before


def test_a_clip_cut_short_behind_its_index_keeps_its_frame_numbers(
    film: CommandLine, make_clip: Callable[..., Path]
) -> None:
    """With the index in front (as phones stream it) the file opens: frames that are gone are stood
    in for, none shifts.
    """
    whole = make_clip(
        "front.mp4",
        muxer_options={"movflags": "+faststart"},
        options={"preset": "ultrafast", "bf": "0", "g": "3"},
    )
    data = whole.read_bytes()
    Path("cut.mp4").write_bytes(data[: len(data) * 3 // 4])
    segmented = film.run("segment", "cut.mp4", "--first-mask", "m.png", *FAKE)
    assert "Traceback" not in segmented.stderr
    if segmented.code:
        assert segmented.code == 1
        assert segmented.error
        assert segmented.hint
        return
    assert segmented.notes
    rendered = film("greenback", "cut.mp4", *FAST)
    times = [frame.pts for frame in pictures(Path("workspace/cut/greenback.mp4"))]
    assert times == sorted(times)
    assert len(times) == len(film.mask_numbers(clip="cut"))
    assert rendered.code == 0


def test_a_clip_that_breaks_while_it_is_read_does_not_hang(
    film: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder runs in a thread of its own: its error has to arrive."""
    frames = VideoReader.frames

    def breaking(reader: VideoReader, start: int = 0, stop: int | None = None) -> Iterator[Any]:
        for frame in frames(reader, start, stop):
            if frame.index == 4:
                raise OSError(errno.EIO, "the drive went away")
            yield frame

    monkeypatch.setattr(VideoReader, "frames", breaking)
    ran = film.run("segment", "clip.mp4", "--first-mask", "m.png", *FAKE)
    assert ran.code == 1
    assert "the drive went away" in ran.error
    assert film.mask_numbers() == [0, 1, 2, 3]
    monkeypatch.undo()
    os.chdir(film.folder)
    film("segment", "clip.mp4", "--first-mask", "m.png", *FAKE, "--resume")
    monkeypatch.setattr(VideoReader, "frames", breaking)
    ran = film.run("greenback", *FAST)
    assert ran.code == 1
    assert "the drive went away" in ran.error
    assert not list(film.folder.rglob("*.part"))


# ---------------------------------------------------------------- masks


def test_masks_that_cannot_be_used(film: CommandLine) -> None:
    paint(Path("wide.png"), two_objects((96, 40)))
    paint(Path("empty.png"), np.zeros((64, 96), np.uint8))
    Path("text.png").write_text("no picture")
    Path("nothing.png").write_bytes(b"")
    Path("cut.png").write_bytes(Path("m.png").read_bytes()[:-40])
    Path("no masks").mkdir()
    paint(Path("nameless/first.png"), two_objects())
    paint(Path("twice/a_0003.png"), two_objects())
    paint(Path("twice/b_0003.png"), two_objects())
    cases = {
        ("--first-mask", "wide.png"): "96×40",
        ("--first-mask", "empty.png"): "empty",
        ("--first-mask", "text.png"): "text.png",
        ("--first-mask", "nothing.png"): "nothing.png",
        ("--first-mask", "cut.png"): "cut.png",
        ("--first-mask", "missing.png"): "missing.png",
        ("--first-mask", "no masks"): "no masks",
        ("--mask", "12=m.png"): "0 to 11",
        ("--mask", "m.png"): "FRAME=path",
        ("--mask", "-1=m.png"): "0 to 11",  # pictures of a sequence may have negative numbers
        ("--mask", "3=m.png", "--mask", "3=m.png"): "two masks",
        ("--first-mask", "m.png", "--mask", "0=m.png"): "two masks",
        ("--masks", "no masks"): "no mask",
        ("--masks", "missing"): "missing",
        ("--masks", "m.png"): "m.png",
        ("--masks", "nameless"): "first.png",
        ("--masks", "twice"): "two masks",
        (): "no mask",
    }
    before = film.files()
    for arguments, named in cases.items():
        ran = film.fails("segment", "clip.mp4", *arguments, *FAKE, code=2)
        assert named in ran.error, f"{arguments}: {ran.error}"
        assert film.files() == before


def test_ranges_that_are_none(film: CommandLine) -> None:
    for arguments in (
        ("--start", "5", "--stop", "5"),
        ("--start", "12"),
        ("--stop", "13"),
        ("--start", "9s"),
        ("--stop", "soon"),
        ("--start", "-1"),
    ):
        film.fails("segment", "clip.mp4", "--first-mask", "m.png", *arguments, *FAKE, code=2)
    film.fails("segment", "clip.mp4", "--first-mask", "m.png", "--fps", "24", *FAKE, code=2)
    assert not Path("workspace").exists()


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("greenback", "--codec", "divx"), "divx"),
        (("greenback", "--preset", "warp"), "warp"),
        (("greenback", "--quality", "99"), "99"),
        (("greenback", "--key", "purple"), "purple"),
        (("greenback", "--key", "#12345"), "#12345"),
        (("greenback", "--background", "#zzzzzz"), "#zzzzzz"),
        (("greenback", "--key", "blue", "--background", "#000000"), "--key"),
        (("greenback", "--object", "7"), "7"),
        (("maskvideo", "--object", "7", "--each-object"), "7"),
        (("alpha", "--object", "0"), "0"),
        (("overlay", "--object", "3"), "3"),
        (("greenback", "--median", "4"), "4"),
        (("greenback", "--feather", "-1"), "-1"),
        (("greenback", "--grow", "1", "--shrink", "1"), "--grow"),
        (("greenback", "--grow", "9999"), "9999"),
        (("greenback", "--fill-holes", "-3"), "-3"),
        (("greenback", "-o", "x.avi"), ".avi"),
        (("greenback", "-o", "x"), "x"),
        (("greenback", "-o", "clip.mp4"), "source"),
        (("greenback", "-o", "./sub/../clip.mp4"), "source"),
        (("maskvideo", "--style", "neon"), "neon"),
        (("maskvideo", "--quality", "10"), "quality"),
        (("alpha", "-o", "x.mp4"), "yuva"),
        (("alpha", "-o", "workspace/clip/masks"), "masks"),
        (("alpha", "-o", "."), "'.'"),
        (("frame", "clip.mp4", "-o", "clip.mp4"), "the clip"),
        (("overlay", "--alpha", "2"), "2"),
        (("mask", "clip.mp4", "--box", "1,2,3"), "1,2,3"),
        (("mask", "clip.mp4", "--box", "90,10,30,30"), "90,10,30,30"),
        (("mask", "clip.mp4", "--box", "0,0,96,64"), "whole"),
        (("mask", "clip.mp4", "--box", "9,9,30,30", "--fg", "500,1"), "500,1"),
        (("mask", "clip.mp4", "--box", "9,9,30,30", "-o", "x.jpg"), "x.jpg"),
        (("frame", "clip.mp4", "--at", "99"), "99"),
        (("frame", "clip.mp4", "--at", "noon"), "noon"),
        (("frame", "clip.mp4", "-o", "x.doc"), "x.doc"),
        (("verify", "clip.mp4"), "source"),
        (
            ("segment", "clip.mp4", "--first-mask", "mask.png", "--fresh", "--propagator", "magic"),
            "magic",
        ),
        (("probe", "clip.mp4", "--config", "none.ini"), "none.ini"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_that_cannot_be_followed(
    intact: CommandLine, arguments: tuple[str, ...], named: str
) -> None:
    ran = intact.fails(*arguments, code=2)
    assert named in ran.error


def test_an_unknown_object_is_answered_with_those_that_exist(intact: CommandLine) -> None:
    ran = intact.fails("greenback", "--object", "7", code=2)
    assert "1, 2" in f"{ran.error} {ran.hint}"


def test_an_unknown_device(intact: CommandLine) -> None:
    ran = intact.fails("greenback", "--device", "tpu", code=2)
    assert "tpu" in ran.error


def test_a_gpu_that_is_not_here(project: CommandLine) -> None:
    ran = project.run("maskvideo", "--device", "cuda")
    if ran.code == 0:
        pytest.skip("there is a GPU")
    assert ran.code == 1
    assert "cuda" in ran.error
    assert ran.hint


def test_a_propagator_that_is_not_here(film: CommandLine) -> None:
    ran = film.run(
        "segment",
        "clip.mp4",
        "--first-mask",
        "m.png",
        "--propagator",
        "xmem",
        "--weights",
        "none.pth",
    )
    assert ran.code in (1, 2)
    assert "XMem" in ran.error or "xmem" in ran.error or "none.pth" in ran.error
    assert "--propagator builtin" in ran.hint or "pip install" in ran.hint or "weights" in ran.hint


def test_the_test_propagator_is_not_offered(film: CommandLine) -> None:
    ran = film.fails(
        "segment", "clip.mp4", "--first-mask", "m.png", "--propagator", "magic", code=2
    )
    assert "builtin" in ran.hint
    assert "fake" not in ran.error + ran.hint


def test_misused_commands_end_with_two(cli: CommandLine) -> None:
    for arguments in (
        ("greenback", "--quality", "high"),
        ("probe",),
        ("nonsense",),
        ("greenback", "--nonsense"),
    ):
        ran = cli.run(*arguments)
        assert ran.code == 2, arguments
        assert "Traceback" not in ran.stderr
        assert ran.stdout == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[greenback]\nkey green\n", "key green"),
        ("no section\n", "section"),
        ("[nonsense]\na = 1\n", "nonsense"),
        ("[edges]\nmediann = 3\n", "mediann"),
        ("[edges]\nmedian = wide\n", "wide"),
        ("[render]\nsound = perhaps\n", "perhaps"),
        ("[edges]\nmedian = 4\n", "4"),
        ("[greenback]\nkey = purple\n", "purple"),
        ("[config]\nsrc_file_name = other\n", "other.mp4"),
    ],
)
def test_a_config_that_cannot_be_followed(project: CommandLine, text: str, named: str) -> None:
    Path("config.ini").write_text(text)
    ran = project.fails("greenback", *FAST, code=2)
    assert named in ran.error


# ---------------------------------------------------------------- workspaces


def test_renders_before_segment(film: CommandLine) -> None:
    for command in ("greenback", "maskvideo", "alpha", "overlay"):
        ran = film.fails(command, "clip.mp4", code=2)
        assert "no masks" in ran.error
        assert "segment" in ran.hint
        ran = film.fails(command, code=2)
        assert "no clip" in ran.error
    assert not Path("workspace").exists()


def test_a_clip_that_changed_after_segment(project: CommandLine) -> None:
    write_clip(Path("clip.mp4"), pts=range(0, 7 * 1001, 1001), options={"preset": "ultrafast"})
    before = project.files()
    for arguments in (
        ("greenback", "clip.mp4"),
        ("segment", "clip.mp4", "--first-mask", "mask.png", *FAKE, "--resume"),
    ):
        ran = project.fails(*arguments, code=2)
        assert "another version of it" in ran.error
        assert "--fresh" in ran.hint
    assert project.files() == before


def test_two_clips_of_one_name(
    project: CommandLine, take: Callable[..., Path], make_clip: Callable[..., Path]
) -> None:
    other = make_clip("clip.mp4", size=(64, 64), options={"preset": "ultrafast"})
    take(other, "second/clip.mp4")
    before = project.files()
    ran = project.fails("segment", "second/clip.mp4", "--first-mask", "mask.png", *FAKE, code=2)
    assert "mask" in ran.error
    paint(Path("square.png"), two_objects((64, 64)))
    ran = project.fails("segment", "second/clip.mp4", "--first-mask", "square.png", *FAKE, code=2)
    assert "another clip" in ran.error
    assert "--workspace" in ran.hint
    Path("square.png").unlink()
    assert project.files() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 1}', '{"schema_version": 99}'])
def test_a_damaged_manifest(project: CommandLine, text: str) -> None:
    Path("workspace/clip/manifest.json").write_text(text)
    before = project.files()
    for command in (
        ("greenback", "clip.mp4"),
        ("segment", "clip.mp4", "--first-mask", "mask.png", *FAKE, "--resume"),
    ):
        ran = project.fails(*command, code=2)
        assert "manifest.json" in ran.error
        assert "--fresh" in ran.hint
        assert project.files() == before
    project("segment", "clip.mp4", "--first-mask", "mask.png", *FAKE, "--fresh")
    assert len(project.mask_numbers(folder="masks.previous")) == 8


@pytest.mark.parametrize("data", [b"", b"no picture", None], ids=["empty", "text", "cut"])
def test_a_damaged_mask(project: CommandLine, data: bytes | None) -> None:
    """The render says which; deleting it and going on mends it, as the hint says."""
    path = Path("workspace/clip/masks/0000005.png")
    path.write_bytes(path.read_bytes()[:60] if data is None else data)
    ran = project.fails("greenback", *FAST, code=2)
    assert "0000005.png" in ran.error
    assert "--resume" in ran.hint
    assert not Path("workspace/clip/greenback.mp4").exists()
    assert not list(project.folder.rglob("*.part"))
    path.unlink()
    project(
        "segment",
        "clip.mp4",
        "--first-mask",
        "mask.png",
        *FAKE,
        "--start",
        "2",
        "--stop",
        "10",
        "--resume",
    )
    project("greenback", *FAST)


# ---------------------------------------------------------------- outputs


@pytest.mark.parametrize(
    "arguments",
    [
        ("greenback", *FAST, "-o", "mask.png/x.mp4"),
        ("greenback", *FAST, "-o", "frames/0000000.png/x.mp4"),
        ("maskvideo", "-o", "clip.mp4/x.mkv"),
        ("alpha", "-o", "mask.png/frames"),
        ("overlay", *FAST, "-o", "/proc/x.mp4"),
        ("frame", "clip.mp4", "-o", "mask.png/f.png"),
        ("alpha", "-o", "workspace"),
        ("alpha", "-o", "/proc/frames"),
    ],
    ids=" ".join,
)
def test_places_that_cannot_be_written(intact: CommandLine, arguments: tuple[str, ...]) -> None:
    if any(part.startswith("/proc") for part in arguments) and not Path("/proc/self").exists():
        pytest.skip("there is no /proc here")
    intact.fails(*arguments, code=1)


def test_a_folder_as_a_video_file(intact: CommandLine) -> None:
    Path("folder.mp4").mkdir()
    ran = intact.fails("greenback", *FAST, "-o", "folder.mp4", code=1)
    assert "folder" in ran.hint


def test_a_workspace_that_cannot_be_written(film: CommandLine) -> None:
    before = film.files()
    film.fails(
        "segment", "clip.mp4", "--first-mask", "m.png", *FAKE, "--workspace", "m.png", code=1
    )
    film.fails(
        "segment",
        "clip.mp4",
        "--first-mask",
        "m.png",
        *FAKE,
        "--workspace",
        "clip.mp4/deep",
        code=1,
    )
    assert film.files() == before


class FullDisk:
    """Writes fail as on a full disk after `left` of them."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_the_disk_is_full_while_rendering(
    intact: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(5)
    mux = media_write.VideoWriter._mux

    def limited(writer: media_write.VideoWriter, packets: list[av.Packet[av.VideoStream]]) -> None:
        disk.spend()
        mux(writer, packets)

    monkeypatch.setattr(media_write.VideoWriter, "_mux", limited)
    ran = intact.fails("greenback", *FAST, code=1)
    assert "disk is full" in ran.error
    assert "free some space" in ran.hint


def test_the_disk_is_full_while_segmenting(
    film: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(8)
    replace = Path.replace

    def limited(path: Path, target: Path) -> Path:
        disk.spend()
        return replace(path, target)

    monkeypatch.setattr(workspace_files.Path, "replace", limited)
    ran = film.fails("segment", "clip.mp4", "--first-mask", "m.png", *FAKE, code=1)
    assert "disk is full" in ran.error
    assert "free some space" in ran.hint
    assert not list(film.folder.rglob("*.part"))
    saved = film.files("workspace/clip/masks")
    assert len(saved) == 6, "the manifest and the record of the latest clip took two of the eight"
    disk.left = 1000
    film("segment", "clip.mp4", "--first-mask", "m.png", *FAKE, "--resume")
    assert film.mask_numbers() == list(range(12))
    assert {
        name: data for name, data in film.files("workspace/clip/masks").items() if name in saved
    } == saved


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 64 KiB, where this machine lets us mount one."""
    place = tmp_path_factory.mktemp("small disk")
    if sys.platform != "linux" or shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("a small disk needs mount, and root")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this machine does not let us mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("output", ["x.mp4", "x.mkv", "x.mov", "frames"])
def test_a_disk_that_is_really_full(intact: CommandLine, small_disk: Path, output: str) -> None:
    command = {"x.mp4": "greenback", "x.mkv": "alpha", "x.mov": "alpha", "frames": "alpha"}[output]
    (small_disk / "filler").write_bytes(b"0" * 50_000)
    quality = ("--quality", "0") if output == "x.mp4" else ()
    ran = intact.fails(command, *quality, "-o", str(small_disk / output), code=1)
    assert "disk is full" in ran.error
    assert "free some space" in ran.hint
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_full_disk_under_the_workspace(film: CommandLine, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"0" * 57_000)
    command = (
        "segment",
        "clip.mp4",
        "--first-mask",
        "m.png",
        *FAKE,
        "--workspace",
        str(small_disk),
    )
    ran = film.fails(*command, code=1)
    assert "disk is full" in ran.error
    (small_disk / "filler").unlink()
    film(*command, "--resume")
    assert len(list((small_disk / "clip/masks").glob("*.png"))) == 12


# ---------------------------------------------------------------- names


NAMES = [
    "two words",
    'it\'s "quoted"',
    "猫の動画",
    "née",
    "100%",
    "a:b",
    "#1 [take]",
    "a&b;c",
    "-dash",
    "%d",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_names_of_every_kind(cli: CommandLine, clip: Path, name: str) -> None:
    """As clip, folder, mask, workspace and output at once."""
    folder = Path(name)
    folder.mkdir()
    film, mask = folder / f"{name}.mp4", folder / f"{name}.png"
    shutil.copy2(clip, film)
    paint(mask, two_objects())
    space = ("--workspace", folder / f"{name} space")
    cli("segment", *space, "--mask", f"3={mask}", *FAKE, "--", film)
    place = (*space, "--edges", "hard")
    cli(
        "greenback",
        *place,
        *FAST,
        "-o",
        folder / f"{name} green.mp4",
        "--background",
        mask,
        "--",
        film,
    )
    cli("maskvideo", *place, "-o", folder / f"{name} matte.mkv", "--", film)
    cli("alpha", *place, "-o", folder / f"{name} cut", "--", film)
    cli("overlay", *place, *FAST, "--", film)
    assert cli("verify", "--source", film, "--", folder / f"{name} green.mp4").code == 0
    assert len(list((folder / f"{name} cut").iterdir())) == 12
    assert len(list((folder / f"{name} space").rglob("masks/*.png"))) == 12
    cli("frame", "-o", folder / f"{name} still.png", "--", film)
    cli("probe", "--", film)
    assert sorted(path.name for path in cli.folder.iterdir()) == [name]


def test_an_image_sequence_is_never_its_own_output(cli: CommandLine) -> None:
    """`alpha` names its files as a sequence may be named: writing into the source's folder would
    replace it.
    """
    for index in range(4):
        paint(Path(f"plates/{index:07d}.png"), two_objects())
    segment(cli, "plates")
    segment_pattern = (
        "segment",
        "plates/%07d.png",
        "--first-mask",
        "mask.png",
        *FAKE,
        "--workspace",
        "w2",
    )
    cli(*segment_pattern)
    before = cli.files()
    for arguments in (("plates",), ("plates/%07d.png", "--workspace", "w2")):
        ran = cli.fails("alpha", *arguments, "-o", "plates", code=2)
        assert "source" in ran.error
    ran = cli.fails("alpha", "plates", "-o", "workspace/plates/masks", code=2)
    assert "masks" in ran.error
    for clip in ("plates", "plates/%07d.png", "plates/0000001.png"):
        cli.fails("frame", clip, "-o", "plates/0000001.png", code=2)
        cli.fails(
            "mask",
            clip,
            "--box",
            "15,10,28,44",
            "--fg",
            "29,32",
            "-o",
            "plates/0000001.png",
            code=2,
        )
    cli.fails("greenback", "plates", "-o", "plates/green.mp4", code=2)
    assert cli.files() == before


def test_a_background_is_never_the_output(project: CommandLine) -> None:
    write_clip(Path("behind.mp4"), pts=range(0, 4 * 1001, 1001), options={"preset": "ultrafast"})
    before = project.files()
    ran = project.fails(
        "greenback", *FAST, "--background", "behind.mp4", "-o", "behind.mp4", code=2
    )
    assert "background" in ran.error
    assert project.files() == before


def test_sound_that_is_silent_or_odd_is_no_error(cli: CommandLine) -> None:
    """A track without a packet, and a rate of 8 kHz mono."""
    write_clip(
        Path("clip.mov"),
        options={"preset": "ultrafast"},
        sounds=[sound("pcm_s16le", rate=8000, channels=1)],
    )
    segment(cli, "clip.mov")
    cli("greenback", *FAST, "-o", "x.mp4")
    cli("verify", "x.mp4", "--source", "clip.mov")


def test_masks_of_another_size_in_the_workspace(project: CommandLine) -> None:
    small = Image.open("workspace/clip/masks/0000005.png").resize(
        (48, 32), Image.Resampling.NEAREST
    )
    small.save("workspace/clip/masks/0000005.png")
    ran = project.fails("greenback", *FAST, code=2)
    assert "48×32" in ran.error
    assert f"{SIZE[0]}×{SIZE[1]}" in ran.error
    assert json.loads(Path("workspace/clip/manifest.json").read_text())["outputs"] == {}
