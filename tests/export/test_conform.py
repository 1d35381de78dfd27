"""`vfx-matte conform` as a user runs it: every output read back by ffprobe, its frames recognised
one by one.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from support.clips import HLG, VFR_PTS, number_of, sound, sound_packets
from support.command_line import LATE, CommandLine, paint, pictures, planes_of, segment, times_of

from vfx_matte.timeline import Timeline
from vfx_matte.timeline import conform as on_grid

pytestmark = pytest.mark.slow

X264 = {"preset": "ultrafast", "bf": "0"}
STEADY = tuple(range(0, 10 * 1001, 1001))
NTSC = Fraction(30000, 1001)

CLIPS: dict[str, dict[str, Any]] = {
    "variable rate, late sound": {"pts": VFR_PTS, "sounds": [sound(start=LATE)]},
    "picture begins after the sound": {"pts": tuple(1001 * 6 + ticks for ticks in STEADY),
    "sounds": [sound()]},
    "upright phone": {"name": "phone.mov", "pts": VFR_PTS, "size": (64, 96), "rotation": 90,
    "sounds": [sound()]},
    "10-bit HLG HEVC": {
        "codec": "libx265", "pixel_format": "yuv420p10le", "color": HLG, "pts": VFR_PTS,
        "options": {"preset": "ultrafast", "x265-params": "log-level=none"}, "sounds": [sound()],
    },
    "odd size": {"size": (97, 65), "pixel_format": "yuv444p", "pts": STEADY},
    "B-frames, edit list, no sound": {
        "pts": tuple(ticks + 9009 for ticks in VFR_PTS), "options": {"bf": "3",
        "preset": "veryfast"},
    },
    "broadcast": {
        "name": "air.ts", "pts": tuple(90000 * 100 + 3003 * i for i in range(10)),
        "time_base": Fraction(1, 90000),
        "last_duration": 3003, "sounds": [sound(start=Fraction(100))],
    },
    "matroska": {"name": "two.mkv", "pts": VFR_PTS, "sounds": [sound(), sound("flac", channels=1)]},
    "screen recording": {"pts": (0, 45045, 46046, 100100), "sounds": [sound(seconds=Fraction(4))]},
    "slow motion": {"pts": tuple(range(0, 40 * 125, 125)), "last_duration": 125},
}  # fmt: skip


def numbers(path: Path, *, deep: bool = False) -> list[int]:
    """The frame number that each picture shows."""
    return [
        number_of(frame.to_ndarray(format="gray16le" if deep else "gray"))
        for frame in pictures(path)
    ]


def check_constant(path: Path, rate: Fraction, count: int, ffprobe: Callable[..., Any]) -> None:
    """What makes an editing program believe in one rate, read by ffprobe."""
    entries = (
        "stream=r_frame_rate,avg_frame_rate,time_base,start_pts,nb_read_packets:packet=pts,dts"
    )
    found = ffprobe(path, entries, "-select_streams", "v", "-count_packets")
    stream = found["streams"][0]
    scale = rate.numerator if rate.numerator >= 1000 else rate.numerator * 1000
    assert Fraction(stream["r_frame_rate"]) == Fraction(stream["avg_frame_rate"]) == rate
    assert Fraction(stream["time_base"]) == Fraction(1, scale)
    assert (stream["start_pts"], int(stream["nb_read_packets"])) == (0, count)
    step = scale / rate
    assert {b["dts"] - a["dts"] for a, b in itertools.pairwise(found["packets"])} <= {step}
    assert sorted(packet["pts"] for packet in found["packets"]) == [
        number * step for number in range(count)
    ]


def saved_map(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "frame_map.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("kind", CLIPS)
def test_every_frame_is_the_one_of_the_map(
    cli: CommandLine,
    make_clip: Callable[..., Path],
    take: Callable[..., Path],
    ffprobe: Callable[..., Any],
    kind: str,
) -> None:
    facts = {"name": "clip.mp4", "options": X264} | CLIPS[kind]
    name = take(make_clip(**facts))
    cli("conform", name, "--fps", "30000/1001")
    folder = cli.folder / "workspace" / name.stem / "conform"
    output = folder / f"{name.stem}-conformed.mp4"
    wanted = expected_map(name, NTSC)
    found = saved_map(folder)
    assert found["map"] == list(wanted)
    assert numbers(output, deep=kind.startswith("10")) == list(wanted)
    check_constant(output, NTSC, len(wanted), ffprobe)
    report = cli("verify", output, "--source", name).stdout  # the map beside it is found
    assert "DIFFERS" not in report
    assert "each shows its source frame" in report
    check_sound(name, output, found)


def expected_map(source: Path, rate: Fraction) -> tuple[int, ...]:
    """The map computed from what PyAV alone reads of the source."""
    times = times_of(source)
    base = Fraction(1, 90000 * 1001)
    pts = tuple(int(time / base) for time in times)
    with av.open(str(source)) as container:
        video = container.streams.video[0]
        lasting = [
            packet.duration * packet.time_base
            for packet in container.demux(video)
            if packet.size and packet.duration
        ]
    last = lasting[-1] if lasting else times[-1] - times[-2]
    starts = [packets[0][0] for packets in heard(source).values()]
    steps = tuple(b - a for a, b in itertools.pairwise(pts))
    return on_grid(
        Timeline(pts, (*steps, int(last / base)), base), rate, sound_start=min(starts, default=None)
    ).indices


def heard(path: Path) -> dict[int, list[tuple[Fraction, int]]]:
    """The sound packets of a file, none where it has no sound."""
    with av.open(str(path)) as container:
        silent = not container.streams.audio
    return {} if silent else sound_packets(path)


def check_sound(source: Path, output: Path, found: dict[str, Any]) -> None:
    """Every packet of the source is there, and as far from the first picture as it was."""
    shift = Fraction(found["source_start_seconds"])
    before, after = heard(source), heard(output)
    assert len(before) == len(after)
    for have, want in zip(after.values(), before.values(), strict=True):
        if source.suffix in (".mp4", ".mov"):  # copied
            # a packet of priming may be heard in part, where the picture moved by less than it
            extra = len(have) - len(want)
            assert 0 <= extra <= 1
            assert [checksum for _, checksum in have[extra:]] == [checksum for _, checksum in want]
        assert abs(have[len(have) - len(want)][0] - (want[0][0] - shift)) <= Fraction(1, 1000)
        assert abs(have[-1][0] - (want[-1][0] - shift)) <= Fraction(1, 20)


def test_all_outputs_follow_one_map(project: CommandLine, ffprobe: Callable[..., Any]) -> None:
    ran = project(
        "conform",
        "clip.mp4",
        "--fps",
        "25",
        "--codec",
        "libx264",
        "--outputs",
        "source,greenback",
        "--median",
        "0",
    )
    assert "verified" in ran.stdout
    project("conform", "clip.mp4", "--fps", "25", "--median", "0", "-o", "all")
    files = [
        Path("all", name)
        for name in ("clip-conformed.mp4", "greenback.mp4", "alpha.mov", "maskvideo.mov")
    ]
    wanted = saved_map(Path("all"))["map"]
    assert wanted == list(expected_map(Path("clip.mp4"), Fraction(25)))
    assert saved_map(Path("all"))["files"] == dict(
        zip(("source", "greenback", "alpha", "maskvideo"), (f.name for f in files), strict=True)
    )
    for path in files:
        check_constant(path, Fraction(25), len(wanted), ffprobe)
        assert (
            "DIFFERS"
            not in project(
                "verify", path, "--source", "clip.mp4", "--map", "all/frame_map.json"
            ).stdout
        )
    assert numbers(files[0]) == wanted
    # masks were made for frames 2 to 9: that is where the matte is, through the map
    shown = [bool((planes_of(frame)[0] > 500).any()) for frame in pictures(files[3])]
    assert shown == [2 <= index < 10 for index in wanted]
    assert [bool(planes_of(frame)[3].any()) for frame in pictures(files[2])] == shown


@pytest.mark.parametrize("soft", ["--no-soft", "--soft"])
def test_the_matte_is_on_the_right_frame(
    cli: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path], soft: str
) -> None:
    """Another mask on every frame: matte, alpha and green screen of frame n are those of source
    frame map[n].
    """
    name = take(make_clip(pts=VFR_PTS, options=X264))
    for index in range(len(VFR_PTS)):
        paint(Path(f"masks/{index:07d}.png"), bars(index))
    cli("segment", name, "--masks", "masks", "--propagator", "fake", "--cuts", "ignore", soft)
    cli("conform", name, "--median", "0", "--fps", "60")
    folder = Path("workspace/clip/conform")
    wanted = saved_map(folder)["map"]
    assert wanted == list(expected_map(name, Fraction(60)))
    for path, plane in ((folder / "maskvideo.mov", 0), (folder / "alpha.mov", 3)):
        found = [planes_of(frame)[plane] for frame in pictures(path)]
        widths = [
            int((plane.max(axis=0) > plane.max() / 2).sum()) if plane.max() > 100 else 0
            for plane in found
        ]
        assert widths == [4 + 6 * index for index in wanted], path
    chroma = [planes_of(frame)[1] for frame in pictures(folder / "greenback.mp4")]
    assert [
        round(float((np.abs(plane.astype(int) - 128) < 40).mean(axis=0).round().sum()) * 2)
        for plane in chroma
    ] == [4 + 6 * index for index in wanted]


def bars(index: int) -> Any:  # noqa: ANN401
    ids = np.zeros((64, 96), np.uint8)
    ids[:, : 4 + 6 * index] = 1
    return ids


def test_auto_takes_the_nearest_usual_rate_and_says_what_became_of_frames(
    project: CommandLine,
) -> None:
    ran = project("conform", "clip.mp4", "--outputs", "source")
    found = saved_map(Path("workspace/clip/conform"))
    assert found["rate"] == "30"
    assert (found["ticks_per_second"], found["ticks_per_frame"]) == (30000, 1000)
    wanted = expected_map(Path("clip.mp4"), Fraction(30))
    assert found["duplicated"] == len(wanted) - len(set(wanted)) > 0
    assert found["dropped"] == 12 - len(set(wanted)) > 0
    assert f"shown again     {found['duplicated']}" in ran.stdout
    assert f"left out        {found['dropped']}" in ran.stdout
    rows = list(
        csv.DictReader(
            Path("workspace/clip/conform/frame_map.csv").read_text(encoding="utf-8").splitlines()
        )
    )
    assert [int(row["source_frame"]) for row in rows] == list(wanted)
    times = times_of(Path("clip.mp4"))
    for number, row in enumerate(rows):
        assert float(row["seconds"]) == pytest.approx(number / 30, abs=1e-6)
        assert float(row["source_seconds"]) == pytest.approx(float(times[wanted[number]]), abs=1e-6)
        late = max(0.0, float(times[wanted[number]]) - number / 30)
        assert float(row["error_ms"]) == pytest.approx(late * 1000, abs=2e-3)
        assert float(row["error_ms"]) <= found["largest_error_ms"] <= 1000 / 60


def test_a_clip_of_that_rate_keeps_every_frame_and_its_timecode(
    cli: CommandLine,
    make_clip: Callable[..., Path],
    take: Callable[..., Path],
    ffprobe: Callable[..., Any],
) -> None:
    facts = {"pts": STEADY, "options": X264, "metadata": {"timecode": "01:02:03:04"}}
    name = take(make_clip("tc.mov", **facts))
    cli("conform", name)
    output = Path("workspace/tc/conform/tc-conformed.mp4")
    assert numbers(output) == list(range(10))
    tags = ffprobe(output, "stream_tags=timecode", "-select_streams", "v")["streams"][0]["tags"]
    assert tags["timecode"] == "01:02:03:04"
    ran = cli("conform", name, "--fps", "50")
    assert any("timecode 01:02:03:04 counts other frames" in note for note in ran.notes)
    assert not ffprobe(output, "stream_tags=timecode", "-select_streams", "v")["streams"][0].get(
        "tags"
    )


def test_the_conformed_source_can_be_segmented(project: CommandLine) -> None:
    """Phone footage made steady first, then cut out."""
    project("conform", "clip.mp4", "--outputs", "source", "-o", ".")
    segment(project, "clip-conformed.mp4")
    ran = project("greenback", "clip-conformed.mp4", "--for", "premiere")
    assert not any("variable" in note for note in ran.notes)


@pytest.mark.parametrize("target", ["premiere", "resolve", "web"])
def test_conformed_for_a_program(
    project: CommandLine, ffprobe: Callable[..., Any], target: str
) -> None:
    project("conform", "clip.mp4", "--for", target)
    folder = Path("workspace/clip", target, "conform")
    files = saved_map(folder)["files"]
    assert set(files) == {"source", "greenback", "alpha", "maskvideo"}
    wanted = list(expected_map(Path("clip.mp4"), Fraction(30)))
    for name in files.values():
        if name.endswith(".webm"):
            assert len(list(pictures(folder / name))) == len(wanted)
        else:
            check_constant(folder / name, Fraction(30), len(wanted), ffprobe)
    assert numbers(folder / files["source"]) == wanted


def test_verify_finds_a_file_that_does_not_follow_its_map(project: CommandLine) -> None:
    project("conform", "clip.mp4", "--outputs", "source", "-o", "c")
    where = Path("c/frame_map.json")
    facts = json.loads(where.read_text(encoding="utf-8"))
    # one frame late: the sixth entry is said to be the frame before
    moved = facts | {"map": [*facts["map"][:5], facts["map"][5] - 1, *facts["map"][6:]]}
    Path("moved.json").write_text(json.dumps(moved), encoding="utf-8")
    ran = project.run(
        "verify", "c/clip-conformed.mp4", "--source", "clip.mp4", "--map", "moved.json"
    )
    assert ran.code == 1
    assert (
        f"frame 5 shows source frame {facts['map'][5]}, expected {facts['map'][5] - 1}"
        in ran.stdout
    )
    assert "DIFFERS" in next(line for line in ran.stdout.splitlines() if "frame map" in line)
    # a file of variable rate
    project("greenback", "clip.mp4")
    ran = project.run(
        "verify", "workspace/clip/greenback.mp4", "--source", "clip.mp4", "--map", where
    )
    assert ran.code == 1
    assert "frame 1 is at 0.033367 s, expected 0.033333 s" in ran.stdout


def test_requests_that_cannot_be_followed(
    project: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path]
) -> None:
    bare = take(make_clip("bare.mp4"))
    assert "has no masks yet" in project.fails("conform", bare, "--outputs", "alpha", code=2).error
    assert (
        "'beta'" in project.fails("conform", "clip.mp4", "--outputs", "source,beta", code=2).error
    )
    assert "'ten'" in project.fails("conform", "clip.mp4", "--fps", "ten", code=2).error
    assert "names a file" in project.fails("conform", "clip.mp4", "-o", "x.mp4", code=2).error
    assert "'nuke'" in project.fails("conform", "clip.mp4", "--for", "nuke", code=2).error
    Path("no.json").write_text("{}", encoding="utf-8")
    project("greenback")
    assert (
        "is not a frame map"
        in project.fails(
            "verify",
            "workspace/clip/greenback.mp4",
            "--source",
            "clip.mp4",
            "--map",
            "no.json",
            code=2,
        ).error
    )


def test_a_failure_leaves_nothing_half(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    project("conform", "clip.mp4", "--outputs", "source", "-o", "c")
    before = project.files("c")
    monkeypatch.setattr("vfx_matte.media.readers.conformed.ConformedReader._grid_frame", _broken)
    ran = project.run("conform", "clip.mp4", "--outputs", "source", "-o", "c", "--fps", "25")
    assert ran.code != 0
    assert project.files("c") == before


def test_files_of_others_are_left_alone(project: CommandLine) -> None:
    """What earlier runs made is replaced, also by a run that made something else in between."""
    for outputs in ("greenback,source", "source", "greenback"):
        project("conform", "clip.mp4", "--outputs", outputs, "-o", "c", "--preset", "ultrafast")
    assert saved_map(Path("c"))["made"] == ["clip-conformed.mp4", "greenback.mp4"]
    for name in ("greenback.mp4", "frame_map.json"):
        folder = Path("mine") / name.split(".", maxsplit=1)[0]
        folder.mkdir(parents=True)
        (folder / name).write_bytes(b"my own")
        before = project.files(str(folder))
        ran = project.fails("conform", "clip.mp4", "-o", str(folder), code=2)
        assert f"{str(folder / name)!r} is there already" in ran.error
        assert "-o" in ran.hint
        assert project.files(str(folder)) == before


def _broken(*_: object) -> None:
    raise ValueError("no more frames")


def test_fewer_frames_than_masks(project: CommandLine) -> None:
    """The key is looked for on frames of the conformed clip, not of the source."""
    ran = project("conform", "clip.mp4", "--fps", "10", "--outputs", "greenback", "--key", "auto")
    wanted = saved_map(Path("workspace/clip/conform"))["map"]
    assert len(wanted) < 9
    assert "verified" in ran.stdout
    assert len(list(pictures(Path("workspace/clip/conform/greenback.mp4")))) == len(wanted)


def test_coarse_encoding_is_no_false_alarm(project: CommandLine) -> None:
    project(
        "conform",
        "clip.mp4",
        "--outputs",
        "source",
        "--codec",
        "libx264",
        "--quality",
        "51",
        "-o",
        "coarse",
    )
    assert (
        "ok"
        in project(
            "verify",
            "coarse/clip-conformed.mp4",
            "--source",
            "clip.mp4",
            "--map",
            "coarse/frame_map.json",
        ).stdout
    )


def test_a_subject_that_left_its_mask_is_no_false_alarm(cli: CommandLine) -> None:
    """Soft pixels get colours of their own, so only what is opaque tells which frame is shown."""
    shape = (48, 64)
    ground = np.random.default_rng(7).integers(60, 120, (*shape, 3)).astype(np.uint8)
    Path("plate").mkdir()
    for index in range(6):
        image = ground.copy()
        image[12 + index : 32 + index, 16 + index : 40 + index] = (230, 200, 40)
        Image.fromarray(image).save(f"plate/{index:04d}.png")
    ids = np.zeros(shape, np.uint8)
    ids[12:32, 16:40] = 1
    paint(Path("m.png"), ids)
    cli(
        "segment", "plate", "--fps", "25", "--first-mask", "m.png", "--propagator", "fake", "--soft"
    )
    cli("conform", "plate", "--fps", "25", "--outputs", "alpha,greenback")


def test_pictures_become_a_clip_of_that_rate(cli: CommandLine, ffprobe: Callable[..., Any]) -> None:
    """A folder of pictures has no rate of its own."""
    for index in range(7):
        paint(Path(f"plate/{index:04d}.png"), bars(index))
    cli("conform", "plate", "--fps", "24")
    check_constant(Path("workspace/plate/conform/plate-conformed.mp4"), Fraction(24), 7, ffprobe)
    assert saved_map(Path("workspace/plate/conform"))["map"] == list(range(7))
