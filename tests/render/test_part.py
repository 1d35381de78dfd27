"""One frame, or a range, of a render: the same pixels as in the whole, at the source's times, with
the sound of that time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from support.clips import VFR_PTS, sound, sound_packets, write_clip
from support.command_line import (
    BLACK,
    LIME,
    RED,
    CommandLine,
    paint,
    pictures,
    segment,
    times_of,
    two_objects,
)

from vfx_matte.composite.mix import with_alpha
from vfx_matte.masks import Matte
from vfx_matte.media.pixels import Orientation, alpha_of, picture_of
from vfx_matte.media.probe import color_of
from vfx_matte.media.writers.stills import save_still

pytestmark = pytest.mark.slow

FAST = ("--preset", "ultrafast")
BASE = Fraction(1, 30000)
COUNT = 40
SOURCE = [
    ticks * BASE
    for ticks in (*range(0, 20 * 1001, 1001), *range(20 * 1001, 20 * 1001 + 20 * 1500, 1500))
]
"""Times of long.mp4: the second half is slower."""
LATE = Fraction(1, 20)
RATE = 48000
MILLISECOND = RATE // 1000
FRAME = 1024
"""Samples of a packet of AAC; the first one of a file needs the one before it to be decoded
well.
"""


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A working directory with long.mp4, 40 frames with sound, whose mask moves, and masks for all
    but the first three.
    """
    with pytest.MonkeyPatch.context() as patch:
        cli = CommandLine(tmp_path_factory.mktemp("long"))
        patch.chdir(cli.folder)
        track = sound(start=LATE, seconds=Fraction(3, 2))
        pts = [round(time / BASE) for time in SOURCE]
        options = {"preset": "ultrafast", "g": "8", "bf": "2"}
        write_clip(Path("long.mp4"), pts=pts, last_duration=1500, options=options, sounds=[track])
        for index in range(3, COUNT):
            paint(
                cli.folder / "masks" / f"{index:04d}.png",
                np.roll(two_objects(), index // 4, axis=1),
                (BLACK, RED, LIME),
            )
        cli("segment", "long.mp4", "--masks", "masks", "--propagator", "fake", "--start", "3")
        yield cli


def whole(cli: CommandLine, name: str, *command: str) -> Path:
    """The whole render of a command, made once."""
    path = cli.folder / name
    if not path.exists():
        cli(command[0], "long.mp4", *command[1:], "-o", name)
    return path


def png_of(frame: av.VideoFrame, path: Path) -> bytes:
    """What a frame of a lossless video is as the PNG file that stills are written as."""
    picture, alpha = (
        picture_of(frame, Orientation(), color_of(frame)),
        alpha_of(frame, Orientation()),
    )
    save_still(path, picture if alpha is None else with_alpha(picture, Matte(alpha)))
    return path.read_bytes()


# ---------------------------------------------------------------- one frame


@pytest.mark.parametrize(
    ("index", "command"),
    [
        (17, ("alpha", "--stabilize", "0.2")),
        (17, ("alpha", "--edges", "median", "--despill", "green", "--keep-background")),
        (39, ("greenback", "--key", "auto")),
        (21, ("maskvideo",)),
        (30, ("maskvideo", "--style", "rgb", "--stabilize", "0.2")),
        (5, ("overlay",)),
        (0, ("alpha",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_a_frame_is_what_the_whole_render_shows_there(
    long: CommandLine, index: int, command: tuple[str, ...]
) -> None:
    """To the bit: against FFV1, which loses nothing, and against PNG files, byte by byte."""
    name = "-".join(command).replace("--", "")
    video = whole(long, f"{name}.mkv", *command, "--codec", "ffv1")
    stills = whole(long, f"{name}/%07d.png", *command).parent
    long(
        command[0],
        "long.mp4",
        *command[1:],
        "--codec",
        "ffv1",
        "-o",
        f"{name}.mkv",
        "--frame",
        str(index),
    )
    frame = Path(f"{name}.{index:07d}.png")
    assert frame.read_bytes() == png_of(list(pictures(video))[index], Path("again.png"))
    long(command[0], "long.mp4", *command[1:], "-o", f"{name}-1/%07d.png", "--frame", str(index))
    (one,) = Path(f"{name}-1").iterdir()
    assert one.name == f"{index:07d}.png"
    assert one.read_bytes() == (stills / f"{index:07d}.png").read_bytes()


def test_a_frame_over_a_moving_background_has_the_picture_of_its_time(long: CommandLine) -> None:
    write_clip(Path("behind.mkv"), codec="ffv1", pts=range(0, 60 * 500, 500), time_base=BASE)
    command = ("greenback", "--background", "behind.mkv")
    stills = whole(long, "over/%07d.png", *command).parent
    long("greenback", "long.mp4", *command[1:], "-o", "one/%07d.png", "--frame", "25")
    assert Path("one/0000025.png").read_bytes() == (stills / "0000025.png").read_bytes()


def test_the_memory_of_stabilizing_is_long_enough_and_needed(long: CommandLine) -> None:
    """The frames before count: without them the picture is another one."""
    command = ("alpha", "--stabilize", "0.2")
    stills = whole(long, "steady/%07d.png", *command).parent
    wild = whole(long, "wild/%07d.png", "alpha").parent
    for index in (38, 39):
        long(*command[:1], "long.mp4", *command[1:], "--frame", str(index), "-o", "st/%07d.png")
        assert (
            Path(f"st/{index:07d}.png").read_bytes() == (stills / f"{index:07d}.png").read_bytes()
        )
    assert (wild / "0000039.png").read_bytes() != (stills / "0000039.png").read_bytes()


def test_names_and_positions_of_a_frame(long: CommandLine) -> None:
    """Numbers and times as `segment` and `frame` take them; pictures lie beside what the whole
    render would be.
    """
    folder = long.folder / "workspace" / "long"
    assert "greenback.0000020.png" in long("greenback", "long.mp4", "--frame", "20").stdout
    at = (folder / "greenback.0000020.png").read_bytes()
    seconds = float(SOURCE[20] + Fraction(1, 1000))
    long("greenback", "long.mp4", "--frame", f"{seconds:.4f}s", "-o", "one.png")
    assert Path("one.png").read_bytes() == at
    long("greenback", "long.mp4", "--frame", f"0:00:0{seconds:.4f}", "-o", "g.mp4")
    assert Path("g.0000020.png").read_bytes() == at
    long("overlay", "--frame", "4")
    assert (folder / "out-long.0000004.png").exists()
    long("maskvideo", "--frame", "4", "--each-object")
    long("maskvideo", "--frame", "4", "--each-object", "-o", "m.png")
    for number in (1, 2):
        single = Path(f"m.object-{number}.png")
        assert (
            single.read_bytes() == (folder / f"maskvideo.object-{number}.0000004.png").read_bytes()
        )
        with Image.open(single) as picture:
            assert np.array(picture).any()
    ran = long("alpha", "--frame", "1")
    assert any("frame 1 has no mask" in note for note in ran.notes)
    assert not list(long.folder.rglob("*.part*"))


def test_a_frame_of_numbered_files_takes_its_place_among_them(long: CommandLine) -> None:
    """The others stay, and so do the names that the whole render gives."""
    long("maskvideo", "long.mp4", "--frames", "8-10", "-o", "some/m.%04d.png")
    before = {path.name: path.read_bytes() for path in Path("some").iterdir()}
    long("maskvideo", "long.mp4", "--style", "rgb", "--frame", "9", "-o", "some/m.%04d.png")
    after = {path.name: path.read_bytes() for path in Path("some").iterdir()}
    assert before.keys() == after.keys() == {"m.0008.png", "m.0009.png", "m.0010.png"}
    assert {name for name in before if before[name] != after[name]} == {"m.0009.png"}
    long("maskvideo", "long.mp4", "--frame", "9", "--each-object", "-o", "each/%07d.png")
    assert Path("each.object-1/0000009.png").is_file()
    long("alpha", "long.mp4", "--frame", "9", "-o", "cut/")
    assert Path("cut/0000009.png").is_file()
    assert not list(Path().glob("*.0000009.png"))


def test_a_frame_of_layers_shows_all_objects_together(long: CommandLine) -> None:
    long("maskvideo", "--frame", "9", "--edges", "hard", "-o", "layers/%07d.exr")
    with Image.open("layers.0000009.png") as picture:
        np.testing.assert_array_equal(np.array(picture) > 0, np.roll(two_objects(), 2, axis=1) > 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--frame", "40"), "frame 40 is not in the clip"),
        (("--frame", "-1"), "frame -1 is not in the clip"),
        (("--frame", "9s"), "9 s is not in the clip"),
        (("--frame", "x"), "position 'x'"),
        (("--frame", "3", "--start", "2"), "exclude"),
        (("--frame", "3", "-o", "x.jpg"), "'x.jpg'"),
        (("--frame", "5", "-o", "masks/0005.png"), "would replace a reference mask"),
        (("--frame", "5", "-o", "workspace/long/masks/0000005.png"), "the masks"),
        (("--start", "9", "--stop", "9"), "are not a range"),
        (("--start", "20", "--stop", "9"), "are not a range"),
        (("--stop", "41"), "frame 40 is not in the clip"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_no_part_of_the_clip_is_told(
    long: CommandLine, arguments: tuple[str, ...], told: str
) -> None:
    before = long.files()
    assert told in long.fails("alpha", "long.mp4", *arguments, code=2).error
    assert long.files() == before


def test_a_range_without_a_frame_is_told_what_its_stop_is(long: CommandLine) -> None:
    ran = long.fails("alpha", "long.mp4", "--start", "9", "--stop", "9", code=2)
    assert ran.hint == "it has frames 0 to 39, and --stop is the frame after the last one"


def test_an_object_that_the_frame_lacks_is_told(project: CommandLine) -> None:
    """The picture is the key and nothing else, which looks like a failure."""
    path = Path("workspace/clip/masks/0000005.png")
    with Image.open(path) as saved:
        without = Image.fromarray(np.where(project.mask(5) == 2, 0, project.mask(5)), mode="P")
        without.putpalette(saved.getpalette() or [])
    without.save(path)
    ran = project("greenback", "clip.mp4", "--object", "2", "--frame", "5")
    assert ran.notes == ["the mask of frame 5 has no object 2, so its picture shows nothing of it"]
    for words in (("--object", "1", "--frame", "5"), ("--object", "2", "--frame", "4")):
        assert not project("alpha", "clip.mp4", *words).notes
    assert not project("alpha", "clip.mp4", "--frame", "5").notes


def test_files_of_the_whole_clip_take_no_part(long: CommandLine) -> None:
    for command in ("package", "conform"):
        ran = long.fails(command, "long.mp4", "--for", "premiere", "--start", "3", code=2)
        assert "--start" in ran.error


# ---------------------------------------------------------------- a range


def samples(path: Path) -> tuple[Fraction, npt.NDArray[np.float32]]:
    """When a file's sound begins, and its first channel, as a player hears it."""
    start: Fraction | None = None
    parts = []
    with av.open(f"file:{path}") as container:
        for frame in container.decode(audio=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            start = frame.pts * frame.time_base if start is None else start
            values = frame.to_ndarray()
            if values.dtype != np.float32:
                values = values.astype(np.float32) / np.iinfo(values.dtype).max
            parts.append(
                values[0]
                if frame.format.is_planar
                else values.reshape(-1, frame.layout.nb_channels)[:, 0]
            )
    assert start is not None
    return start, np.concatenate(parts)


def heard_error(
    path: Path, *, begin: Fraction, length: Fraction, slack: Fraction = Fraction(0)
) -> float:
    """How far a file's sound is, on average, from what is heard in long.mp4 at `begin`; it may lack
    `slack` at its ends.
    """
    (late, source), (start, found) = samples(Path("long.mp4")), samples(path)
    first, usable = round((start + begin - late) * RATE), round((length - start) * RATE)
    assert start <= slack
    assert len(found) >= usable - slack * RATE
    count = min(len(found), usable) - 2 * FRAME
    # what Matroska's times leave open
    shifts = range(-MILLISECOND, MILLISECOND + 1) if slack else (0,)
    wanted = (source[first + FRAME + shift :][:count] for shift in shifts)
    return min(float(np.abs(found[FRAME : FRAME + count] - one).mean()) for one in wanted)


@pytest.mark.parametrize(
    ("name", "command", "slack"),
    [
        ("g.mp4", ("greenback", *FAST), Fraction(0)),
        ("a.mov", ("alpha",), Fraction(0)),
        ("m.mkv", ("maskvideo",), Fraction(1024, RATE)),
        ("a.webm", ("alpha",), Fraction(1, 100)),
        ("resolve.mov", ("greenback", "--for", "resolve"), Fraction(0)),
    ],
)
def test_a_range_has_the_sources_times_and_its_sound(
    long: CommandLine,
    name: str,
    command: tuple[str, ...],
    slack: Fraction,
    ffprobe: Callable[..., dict[str, Any]],
) -> None:
    """Time 0 is the first frame's; every frame keeps its distance from it, and so does the
    sound.
    """
    start, stop = 11, 31
    ran = long(
        command[0], "long.mp4", *command[1:], "--start", str(start), "--stop", str(stop), "-o", name
    )
    assert any("frames 11 to 30" in note and "at frame 11 (0.367 s)" in note for note in ran.notes)
    wanted = [time - SOURCE[start] for time in SOURCE[start:stop]]
    allowed = Fraction(0) if name.endswith(("mp4", "mov")) else Fraction(1, 2000)
    assert max(abs(a - b) for a, b in zip(times_of(Path(name)), wanted, strict=True)) <= allowed
    error = heard_error(
        Path(name), begin=SOURCE[start], length=SOURCE[stop] - SOURCE[start], slack=slack
    )
    assert error < 0.01, "a sample more or less is 0.02"
    packets = ffprobe(Path(name), "packet=pts_time,flags", "-select_streams", "v:0")["packets"]
    seen = sorted(float(packet["pts_time"]) for packet in packets if "D" not in packet["flags"])
    assert seen == pytest.approx([float(time) for time in wanted], abs=0.00051)
    report = long("verify", name, "--source", "long.mp4").stdout
    assert "frames 11 to 30 of the source" in report


def test_copied_sound_is_the_sources_packets_of_the_range(long: CommandLine) -> None:
    long("greenback", "long.mp4", *FAST, "--start", "11", "--stop", "31", "-o", "p.mp4")
    begin, end = SOURCE[11], SOURCE[31]
    (source,), (made,) = (
        sound_packets(Path("long.mp4")).values(),
        sound_packets(Path("p.mp4")).values(),
    )
    length = Fraction(1024, RATE)
    wanted = [
        (time - begin, check) for time, check in source if time + length > begin and time < end
    ]
    assert [check for _, check in made] == [check for _, check in wanted]
    assert max(abs(a - b) for (a, _), (b, _) in zip(made, wanted, strict=True)) < Fraction(1, 10000)


@pytest.mark.parametrize("name", ["u.mov", "u.mkv"])
def test_uncompressed_sound_is_cut_to_the_sample(
    cli: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path], name: str
) -> None:
    take(make_clip("pcm.mov", sounds=[sound("pcm_s16le", seconds=Fraction(2, 5), channels=1)]))
    segment(cli, "pcm.mov")
    cli("maskvideo", "pcm.mov", "--start", "3", "--stop", "7", "-o", name)
    step = 1001 * BASE
    first, last = -(-3 * step * RATE // 1), -(-7 * step * RATE // 1)
    _, source = samples(Path("pcm.mov"))
    start, found = samples(Path(name))
    assert abs(start) <= Fraction(1, 1000)
    np.testing.assert_array_equal(found, source[int(first) : int(last)])
    cli("verify", name, "--source", "pcm.mov")


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.webm"])
def test_sound_in_a_coarse_unit_is_in_its_place(
    cli: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path], name: str
) -> None:
    """AVI counts MP3 in whole packets of 24 ms, which no frame begins with."""
    track = sound("libmp3lame", seconds=Fraction(2, 5), channels=1)
    facts = {"codec": "mpeg4", "pts": range(12), "last_duration": 1, "time_base": Fraction(1, 30)}
    take(make_clip("coarse.avi", sounds=[track], **facts))
    segment(cli, "coarse.avi")
    cli(
        "alpha" if name.endswith("webm") else "greenback",
        "coarse.avi",
        "--start",
        "4",
        "--stop",
        "9",
        "-o",
        name,
    )
    (late, source), (start, found) = samples(Path("coarse.avi")), samples(Path(name))
    first = round((times_of(Path("coarse.avi"))[4] + start - late) * RATE)
    # Matroska cannot hide packets that the first ones need
    heard = {"x.mp4": 0, "x.mkv": 4 * 1152, "x.webm": 1000}[name]
    shifts = (0,) if name.endswith("mp4") else range(-MILLISECOND, MILLISECOND + 1)
    count = len(found) - heard - (1000 if name.endswith("webm") else 0)
    wanted = (source[first + heard + shift :][:count] for shift in shifts)
    assert min(float(np.abs(found[heard : heard + count] - one).mean()) for one in wanted) < 0.01
    cli("verify", name, "--source", "coarse.avi")


def test_a_range_from_the_beginning_begins_as_the_clip_does(project: CommandLine) -> None:
    """With what comes before its sound; and one that ends with the clip keeps the sound that goes
    on after it.
    """
    project("greenback", *FAST, "--stop", "8", "-o", "head.mp4")
    assert times_of(Path("head.mp4")) == [ticks * BASE for ticks in VFR_PTS[:8]]
    project("greenback", *FAST, "--start", "4", "-o", "tail.mp4")
    assert times_of(Path("tail.mp4")) == [(ticks - VFR_PTS[4]) * BASE for ticks in VFR_PTS[4:]]
    (source,), (tail,), (head,) = (
        sound_packets(Path(name)).values() for name in ("clip.mp4", "tail.mp4", "head.mp4")
    )
    assert tail[-1][1] == source[-1][1]
    assert head == source[: len(head)]
    assert head[-1][0] < VFR_PTS[8] * BASE <= head[-1][0] + Fraction(1024, RATE)
    for name in ("head.mp4", "tail.mp4"):
        project("verify", name, "--source", "clip.mp4")
    project("greenback", *FAST, "--start", "0", "--stop", "12")
    assert project.folder.joinpath("workspace/clip/greenback.mp4").exists(), (
        "all of it is the whole render"
    )


def test_a_range_before_the_sound_has_none(project: CommandLine) -> None:
    project("greenback", *FAST, "--stop", "3", "-o", "silent.mp4")
    with av.open("silent.mp4") as container:
        assert not container.streams.audio
    project("verify", "silent.mp4", "--source", "clip.mp4")


def test_a_range_replaces_no_whole_render(project: CommandLine) -> None:
    project("alpha")
    before = project.files()["workspace/clip/alpha.mov"]
    ran = project("alpha", "--start", "4", "--stop", "8")
    assert "alpha.0000004-0000007.mov" in ran.stdout
    assert project.files()["workspace/clip/alpha.mov"] == before
    outputs = json.loads(project.files()["workspace/clip/manifest.json"])["outputs"]
    assert (
        outputs["alpha.0000004-0000007.mov"]["settings"]["frames"] == "frames 4 to 7 of the source"
    )


def test_the_pictures_of_a_range_are_the_whole_renders(long: CommandLine) -> None:
    """With stabilizing too, whose memory reaches back before the range."""
    command = ("alpha", "--stabilize", "0.2")
    stills = whole(long, "steady/%07d.png", *command).parent
    long(
        *command[:1],
        "long.mp4",
        *command[1:],
        "--start",
        "33",
        "--stop",
        "37",
        "-o",
        "some/%07d.png",
    )
    assert sorted(path.name for path in Path("some").iterdir()) == [
        f"{index:07d}.png" for index in range(33, 37)
    ]
    for path in Path("some").iterdir():
        with Image.open(path) as one, Image.open(stills / path.name) as same:
            np.testing.assert_array_equal(np.array(one), np.array(same))
            assert one.info["Comment"] == "vfx-matte: frames 33 to 36 of the source"
    assert "frames 33 to 36" in long("verify", "some", "--source", "long.mp4").stdout
    Path("some/0000036.png").unlink()
    assert long.run("verify", "some", "--source", "long.mp4").code == 1
    long(
        "alpha",
        "long.mp4",
        "--start",
        "33",
        "--stop",
        "35",
        "--start-number",
        "1001",
        "-o",
        "from/%04d.png",
    )
    assert sorted(path.name for path in Path("from").iterdir()) == ["1001.png", "1002.png"]


def test_layers_of_a_range(long: CommandLine) -> None:
    openexr = pytest.importorskip("OpenEXR")
    long(
        "maskvideo",
        "long.mp4",
        "--edges",
        "hard",
        "--start",
        "8",
        "--stop",
        "10",
        "-o",
        "exr/%07d.exr",
    )
    assert sorted(path.name for path in Path("exr").iterdir()) == ["0000008.exr", "0000009.exr"]
    with openexr.File("exr/0000009.exr", separate_channels=True) as file:
        together = file.channels()["A"].pixels
    np.testing.assert_array_equal(together > 0, np.roll(two_objects(), 2, axis=1) > 0)
    assert "frames 8 to 9" in long("verify", "exr", "--source", "long.mp4").stdout


def test_verify_sees_a_range_that_is_not_what_it_says(long: CommandLine) -> None:
    long("maskvideo", "long.mp4", "--no-sound", "--start", "11", "--stop", "31", "-o", "v.mkv")
    with av.open("v.mkv") as made, av.open("w.mkv", "w") as other:
        stream = other.add_stream_from_template(made.streams.video[0])
        other.metadata["comment"] = made.metadata["COMMENT"].replace("11 to 30", "21 to 40")
        for packet in made.demux(made.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                other.mux(packet)
    ran = long.run("verify", "w.mkv", "--source", "long.mp4")
    assert ran.code == 1
    assert "frames 21 to 40" in ran.error


def test_a_mask_that_is_missing_is_told(project: CommandLine) -> None:
    (project.folder / "workspace/clip/masks/0000005.png").unlink()
    for part in (("--frame", "5"), ("--start", "4", "--stop", "7")):
        assert "missing" in project.fails("alpha", "clip.mp4", *part, code=2).error


def test_a_sequence_has_its_own_numbers(cli: CommandLine) -> None:
    for index in range(8):
        paint(cli.folder / "plate" / f"p.{1001 + index}.png", two_objects())
    segment(cli, "plate/p.####.png", start=1001)
    cli("greenback", "plate/p.####.png", "--frame", "1003", "-o", "one.png")
    cli("alpha", "plate/p.####.png", "--start", "1003", "--stop", "1006", "-o", "cut/")
    assert sorted(path.name for path in Path("cut").iterdir()) == [
        "1003.png",
        "1004.png",
        "1005.png",
    ]
    cli("maskvideo", "plate/p.####.png", "--start", "1003", "--stop", "1006")
    (made,) = (cli.folder / "workspace").glob("*/maskvideo.1003-1005.mkv")
    assert "frames 1003 to 1005" in cli("verify", made, "--source", "plate/p.####.png").stdout
    assert "1009" in cli.fails("alpha", "plate/p.####.png", "--frame", "1009", code=2).error


# ---------------------------------------------------------------- --frames, as farms write it


def test_frames_are_the_same_range_with_the_sequences_own_numbers(cli: CommandLine) -> None:
    for index in range(8):
        paint(cli.folder / "plate" / f"p.{1001 + index}.png", two_objects())
    paint(Path("m.png"), two_objects())
    first = ("plate/p.####.png", "--first-mask", "m.png", "--propagator", "fake")
    cli("segment", *first, "--frames", "1002-1007")
    assert cli.mask_numbers(clip="p") == [1002, 1003, 1004, 1005, 1006, 1007]
    for command in ("greenback", "maskvideo", "alpha", "overlay"):
        cli(command, "--frames", "1003-1005", "-o", f"{command}/%04d.png")
        names = sorted(path.name for path in Path(command).iterdir())
        assert names == ["1003.png", "1004.png", "1005.png"]
        cli(command, "--start", "1003", "--stop", "1006", "-o", f"{command}-2/%04d.png")
        for name in names:
            assert Path(command, name).read_bytes() == Path(f"{command}-2", name).read_bytes()
    # the usual name is a range's, so that chunks of a farm lie beside each other
    cli("greenback", "--frames", "1004-1004", *FAST)
    assert Path("workspace/p/greenback.1004-1004.mp4").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--frames", "5-4"), "are not a range"),
        (("--frames", "5"), "are not a range"),
        (("--frames", "1-2-3"), "are not a range"),
        (("--frames", "0:01-0:02"), "are not a range"),
        (("--frames", "3-40"), "frame 40 is not in the clip"),
        (("--frames", "-1-3"), "frame -1 is not in the clip"),
        (("--frames", "3-9", "--start", "3"), "exclude each other"),
        (("--frames", "3-9", "--stop", "9"), "exclude each other"),
        (("--frames", "3-9", "--frame", "3"), "exclude each other"),
    ],
)
def test_a_slip_in_frames_is_misuse(long: CommandLine, words: tuple[str, ...], said: str) -> None:
    ran = long.fails("alpha", "long.mp4", "-o", "slip.mov", *words, code=2)
    assert said in ran.error
    assert not Path("slip.mov").exists()


def test_frames_are_refused_where_files_are_of_the_whole_clip(long: CommandLine) -> None:
    for command in ("package", "conform"):
        assert "--frames" in long.fails(command, "long.mp4", "--frames", "3-9", code=2).error
