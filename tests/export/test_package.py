"""`vfx-matte package`: the folder as an editing program finds it, its timelines compared with
frames that PyAV counts.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from support.clips import HLG, VFR_PTS, number_of, sound, sound_packets, write_clip
from support.command_line import (
    CommandLine,
    paint,
    pictures,
    planes_of,
    segment,
    times_of,
    two_objects,
)
from support.timeline_readers import Placed, read_fcpxml, read_otio, read_xmeml, validate

from vfx_matte.errors import OutputError
from vfx_matte.pipeline.export import package as pipeline

pytestmark = pytest.mark.slow

NTSC = Fraction(30000, 1001)
ODD = "狗 & #1 100%.mp4"
NAME = "狗 & #1 100%"
FRAMES = 12
FAST = {"preset": "ultrafast", "bf": "0"}


@pytest.fixture(scope="session")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 frames at 29.97 with sound from the first on, under a name that has to be encoded
    everywhere.
    """
    path = tmp_path_factory.mktemp("steady") / ODD
    return write_clip(path, options=FAST, sounds=[sound(seconds=Fraction(2, 5))])


@pytest.fixture
def odd(cli: CommandLine, take: Callable[..., Path], steady: Path) -> CommandLine:
    """The steady clip with masks of two objects on frames 2 to 9."""
    take(steady)
    segment(cli, ODD, start=2, stop=10)
    return cli


def folder_of(cli: CommandLine, program: str, name: str = NAME) -> Path:
    return cli.folder / "workspace" / name / f"package-{program}"


def facts_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def read_all(folder: Path) -> dict[str, list[Placed]]:
    """The picture clips of every timeline of a package, by the file's ending; structure checked on
    the way.
    """
    found = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".xml":
            validate(content, "xmeml_5.dtd")
            found[path.suffix] = read_xmeml(content)[2]
        elif path.suffix == ".fcpxml":
            validate(content, "fcpxml_1.9.dtd")
            found[path.suffix] = read_fcpxml(content)[2]
        elif path.suffix == ".otio":
            found[path.suffix] = read_otio(content)[1]
    return found


def check_against_files(clips: list[Placed], rate: Fraction) -> None:
    """Every clip lies from frame 0 to the file's last; the file is there and has exactly these
    frames.
    """
    for clip in clips:
        times = times_of(Path(clip.path))
        step = 1 / rate
        assert [time - times[0] for time in times] == [
            number * step for number in range(len(times))
        ], clip.path
        assert (clip.start, clip.end) == (0, len(times) * step), clip.path
        assert (clip.source_in, clip.source_duration) == (0, len(times) * step), clip.path
        assert clip.enabled


# ---------------------------------------------------------------- a clip of constant rate


@pytest.mark.parametrize(
    ("program", "timelines", "files"),
    [
        ("premiere", {".xml", ".otio"}, {"-alpha.mov", "-matte.mov", "-green.mov"}),
        ("resolve", {".fcpxml", ".otio"}, {"-alpha.mov", "-matte.mov"}),
        ("finalcut", {".fcpxml"}, {"-alpha.mov", "-matte.mov", "-green.mov"}),
        ("aftereffects", set(), {"-alpha.mov", "-matte.mov"}),
        ("capcut", set(), {"-alpha.mov", "-green.mp4"}),
        ("web", set(), {"-alpha.webm"}),
    ],
)
def test_a_package_refers_to_a_steady_source_and_stacks_the_cut_out_over_it(
    odd: CommandLine, program: str, timelines: set[str], files: set[str]
) -> None:
    ran = odd("package", ODD, "--for", program)
    folder = folder_of(odd, program)
    assert {path.name for path in (folder / "media").iterdir()} == {
        f"{NAME}{ending}" for ending in files
    }
    found = read_all(folder)
    assert found.keys() == timelines
    for clips in found.values():
        check_against_files(clips, NTSC)
        shown = sorted((clip.track, Path(clip.path)) for clip in clips if clip.kind == "video")
        assert shown == [(1, odd.folder / ODD), (2, folder / "media" / f"{NAME}-alpha.mov")]
        assert {Path(clip.path).name for clip in clips if clip.kind != "video"} == {ODD}
    facts = facts_of(folder)
    assert (facts["for"], facts["frame_count"]) == (program, FRAMES)
    assert facts["rate"] == (None if program == "web" else "30000/1001")
    assert facts["source"]["use"] == "as it is, where it is"
    assert (folder / facts["files"][0]["file"]).resolve() == odd.folder / ODD
    assert str(folder) in ran.stdout
    assert not [path for path in odd.folder.rglob("*") if ".part" in path.name]


def test_every_file_is_in_the_manifest_with_its_checksum(odd: CommandLine) -> None:
    odd("package", ODD, "--for", "premiere")
    folder = folder_of(odd, "premiere")
    facts = facts_of(folder)
    there = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }
    named = {one["file"]: one for one in (*facts["files"], *facts["other_files"])}
    assert set(named) - set(there) == {f"../../../{ODD}"}
    assert set(there) - set(named) == {"manifest.json"}
    for name, one in named.items():
        content = (folder / name).read_bytes()
        assert (one["sha256"], one["size_bytes"]) == (
            hashlib.sha256(content).hexdigest(),
            len(content),
        )
    kinds = {one["kind"]: one for one in facts["files"]}
    assert kinds["alpha"]["alpha"] == "straight"
    assert kinds["maskvideo"]["alpha"] == kinds["source"]["alpha"] == "none"
    assert [
        len(kinds[kind]["sound"]) for kind in ("source", "alpha", "maskvideo", "greenback")
    ] == [1, 0, 0, 0]
    assert kinds["alpha"]["color"]["primaries"] == "bt709"
    assert facts["frame_map"] == [0, FRAMES]
    assert facts["source"]["timestamps"]["intervals"] == [1001, FRAMES - 1]
    assert facts["program_version"]


def test_the_note_says_what_to_do(odd: CommandLine) -> None:
    odd("package", ODD, "--for", "premiere")
    note = (folder_of(odd, "premiere") / "README.txt").read_text(encoding="utf-8")
    for word in (
        f"{NAME}.xml",
        "V2 the cut-out",
        "Track Matte Key",
        "29.97 frames per second (30000/1001)",
        str(odd.folder / ODD),
    ):
        assert word in note
    assert all(
        len(line) <= 76 or "/" in line or "manifest.json" in line for line in note.splitlines()
    )
    odd("package", ODD, "--for", "premiere", "--outputs", "maskvideo")
    note = (folder_of(odd, "premiere") / "README.txt").read_text(encoding="utf-8")
    assert "Ultra Key" not in note
    assert "cut-out" not in note


@pytest.mark.parametrize("media", ["copy", "link"])
def test_the_source_comes_along_on_request(odd: CommandLine, media: str) -> None:
    odd("package", ODD, "--for", "finalcut", "--media", media, "--outputs", "alpha")
    folder = folder_of(odd, "finalcut")
    inside = folder / "media" / ODD
    assert inside.read_bytes() == (odd.folder / ODD).read_bytes()
    assert inside.samefile(odd.folder / ODD) == (media == "link")
    (clips,) = read_all(folder).values()
    assert [clip.path for clip in clips if clip.track == 1] == [
        str(inside)
    ] * 2  # picture and sound
    check_against_files(clips, NTSC)


def test_a_link_to_another_disk_is_a_symbolic_one(
    odd: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_disk(self: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", other_disk)
    for _ in range(2):  # the second replaces the first, and not what it points at
        odd("package", ODD, "--for", "finalcut", "--media", "link", "--outputs", "alpha")
    inside = folder_of(odd, "finalcut") / "media" / ODD
    assert inside.is_symlink()
    assert inside.read_bytes() == (odd.folder / ODD).read_bytes()


def test_the_source_is_encoded_anew_on_request(odd: CommandLine) -> None:
    ran = odd("package", ODD, "--for", "resolve", "--media", "convert", "--outputs", "alpha")
    folder = folder_of(odd, "resolve")
    assert any("encoded anew, because you asked for it" in note for note in ran.notes)
    found = read_all(folder)
    for clips in found.values():
        check_against_files(clips, NTSC)
        assert {clip.path for clip in clips if clip.track == 1} == {
            str(folder / "media" / f"{NAME}-source.mov")
        }
    assert not list(folder.rglob("frame_map*"))


def test_without_sound_none_is_on_the_timeline(odd: CommandLine) -> None:
    odd("package", ODD, "--for", "premiere", "--no-sound", "--outputs", "alpha")
    for clips in read_all(folder_of(odd, "premiere")).values():
        assert {clip.kind for clip in clips} == {"video"}


# ---------------------------------------------------------------- objects


def test_each_object_gets_a_track(odd: CommandLine) -> None:
    odd("package", ODD, "--for", "premiere", "--each-object", "--outputs", "alpha,maskvideo")
    folder = folder_of(odd, "premiere")
    for clips in read_all(folder).values():
        check_against_files(clips, NTSC)
        stacked = sorted(
            (clip.track, Path(clip.path).name) for clip in clips if clip.kind == "video"
        )
        assert stacked == [
            (1, ODD),
            (2, f"{NAME}-alpha-object1.mov"),
            (3, f"{NAME}-alpha-object2.mov"),
        ]
    assert [one["objects"] for one in facts_of(folder)["files"]] == [None, [1], [2], [1], [2]]
    note = " ".join((folder / "README.txt").read_text(encoding="utf-8").split())
    assert (
        "Track V1 is the source with its sound; tracks V2 to V3 are the cut-outs, one for each"
        " object" in note
    )
    assert "The mattes in the bin, one for each object" in note
    ids = two_objects()
    for object_id in (1, 2):
        luma = planes_of(
            list(pictures(folder / "media" / f"{NAME}-matte-object{object_id}.mov"))[5]
        )[0]
        middle = luma[ids == object_id].astype(int)
        other = luma[ids == 3 - object_id].astype(int)
        assert np.median(middle) > 3 * np.median(other), object_id


def test_resolve_gets_one_matte_file_with_an_object_in_each_colour(odd: CommandLine) -> None:
    odd("package", ODD, "--for", "resolve", "--each-object", "--outputs", "maskvideo")
    folder = folder_of(odd, "resolve")
    assert [path.name for path in (folder / "media").iterdir()] == [f"{NAME}-matte.mov"]
    note = " ".join((folder / "README.txt").read_text(encoding="utf-8").split())
    assert "matte of the objects, one in each colour channel" in note
    assert "cut-out" not in note
    picture = (
        list(pictures(folder / "media" / f"{NAME}-matte.mov"))[5]
        .to_ndarray(format="rgb24")
        .astype(int)
    )
    ids = two_objects()
    assert (np.median(picture[ids == 1], axis=0) > [200, -1, -1]).all()
    assert (np.median(picture[ids == 1], axis=0) < [256, 60, 60]).all()
    assert (np.median(picture[ids == 2], axis=0) > [-1, 200, -1]).all()


# ---------------------------------------------------------------- sources that need a constant rate


@pytest.mark.parametrize("program", ["premiere", "finalcut"])
def test_a_variable_source_gets_a_constant_copy_on_the_same_frame_map(
    project: CommandLine, program: str
) -> None:
    """The clip's sound begins after the picture; its masks are on frames 2 to 9."""
    ran = project(
        "package", "clip.mp4", "--for", program, "--outputs", "maskvideo", "--fps", "30000/1001"
    )
    assert any("because its frame rate varies" in note for note in ran.notes)
    folder = folder_of(project, program, "clip")
    for clips in read_all(folder).values():
        check_against_files(clips, NTSC)
    facts = facts_of(folder)
    runs = facts["frame_map"]
    frame_map = [
        first + step
        for first, count in zip(runs[::2], runs[1::2], strict=True)
        for step in range(count)
    ]
    # 15015 ticks from the first to the last, 1001 each
    assert len(frame_map) == facts["frame_count"] == 16
    (source,) = (folder / "media").glob("clip-source.*")
    assert [
        number_of(picture.to_ndarray(format="rgb24")) for picture in pictures(source)
    ] == frame_map
    (matte,) = (folder / "media").glob("clip-matte.*")
    lit = [bool(planes_of(picture)[0].max() > 500) for picture in pictures(matte)]
    assert lit == [2 <= index < 10 for index in frame_map]
    assert facts["source"]["constant_rate"] is False
    pts = [0]
    for ticks, count in zip(
        *(facts["source"]["timestamps"]["intervals"][start::2] for start in (0, 1)), strict=True
    ):
        pts += [pts[-1] + ticks * (number + 1) for number in range(count)]
    assert tuple(pts) == VFR_PTS
    note = (folder / "README.txt").read_text(encoding="utf-8")
    assert "left out" in note
    assert "encoded anew" in note


def test_sound_that_begins_first_shifts_every_file_alike(cli: CommandLine) -> None:
    """Where the picture begins a third of a second after the sound, all files hold the first
    picture for ten frames.
    """
    pts = range(10010, 10010 + 12 * 1001, 1001)
    write_clip(Path("late.mp4"), pts=pts, options=FAST, sounds=[sound(seconds=Fraction(2, 3))])
    segment(cli, "late.mp4")
    cli("package", "late.mp4", "--for", "premiere", "--outputs", "alpha")
    folder = folder_of(cli, "premiere", "late")
    assert facts_of(folder)["frame_map"] == [*(0, 1) * 10, 0, 12]
    for clips in read_all(folder).values():
        check_against_files(clips, NTSC)
        assert {clip.end for clip in clips} == {22 / NTSC}
    assert "10 of them the first one" in " ".join(
        (folder / "README.txt").read_text(encoding="utf-8").split()
    )


@pytest.mark.parametrize(
    ("ticks", "program", "rate", "count"),
    [
        (2000, "finalcut", Fraction(30), 24),
        (2000, "premiere", Fraction(15), 12),
        (2500, "finalcut", Fraction(24), 24),
    ],
    ids=["15 in Final Cut", "15 in Premiere", "12 in Final Cut"],
)
def test_a_rate_that_the_program_lacks_is_multiplied(
    cli: CommandLine, ticks: int, program: str, rate: Fraction, count: int
) -> None:
    write_clip(Path("slow.mp4"), pts=range(0, 12 * ticks, ticks), last_duration=ticks, options=FAST)
    segment(cli, "slow.mp4")
    ran = cli("package", "slow.mp4", "--for", program, "--outputs", "alpha")
    folder = folder_of(cli, program, "slow")
    for clips in read_all(folder).values():
        check_against_files(clips, rate)
        assert {clip.end for clip in clips} == {count / rate}
    assert any("has no timeline of" in note for note in ran.notes) == (program == "finalcut")


@pytest.mark.parametrize(
    ("name", "facts", "reason"),
    [
        ("clip.mkv", {}, "does not import .mkv files"),
        ("clip.mp4", {"rotation": 90}, "turned by a flag"),
    ],
)
def test_a_source_that_the_program_would_misread_is_encoded_anew(
    cli: CommandLine, name: str, facts: dict[str, Any], reason: str
) -> None:
    write_clip(Path(name), options=FAST, **facts)
    segment(cli, name)
    ran = cli("package", name, "--for", "finalcut", "--outputs", "alpha")
    assert any(reason in note for note in ran.notes)
    (clips,) = read_all(folder_of(cli, "finalcut", "clip")).values()
    check_against_files(clips, NTSC)


def test_a_sequence_of_pictures_becomes_a_video(cli: CommandLine) -> None:
    for index in range(5):
        paint(Path(f"plates/plate.{index:04d}.png"), two_objects())
    segment(cli, "plates")
    cli("package", "plates", "--for", "premiere", "--outputs", "alpha")
    for clips in read_all(folder_of(cli, "premiere", "plates")).values():
        check_against_files(clips, Fraction(25))
        assert {clip.end for clip in clips} == {Fraction(1, 5)}


@pytest.mark.parametrize("how", ["sequence", "convert"])
def test_a_web_package_has_a_source_of_one_rate_where_it_is_encoded_anew(
    cli: CommandLine, take: Callable[..., Path], clip: Path, how: str
) -> None:
    """Otherwise its video has the clip's own time, however uneven."""
    name = "plates"
    if how == "sequence":
        for index in range(5):
            paint(Path(f"plates/plate.{index:04d}.png"), two_objects())
    else:
        name = str(take(clip))
    segment(cli, name)
    cli("package", name, "--for", "web", *(["--media", "convert"] if how == "convert" else []))
    folder = folder_of(cli, "web", Path(name).stem)
    facts = facts_of(folder)
    assert facts["rate"] == ("25" if how == "sequence" else "30")
    assert [one["frame_count"] for one in facts["files"]] == [facts["frame_count"]] * 2
    assert [path.suffix for path in sorted((folder / "media").iterdir())] == [".webm", ".mp4"]


def test_a_web_package_keeps_the_clips_own_time(project: CommandLine) -> None:
    project("package", "clip.mp4", "--for", "web")
    (video,) = (folder_of(project, "web", "clip") / "media").iterdir()
    assert [
        abs(time - ticks * Fraction(1, 30000)) <= Fraction(1, 1000)
        for time, ticks in zip(times_of(video), VFR_PTS, strict=True)
    ] == [True] * 12


def test_hdr_is_said_in_the_timeline_and_the_manifest(cli: CommandLine) -> None:
    facts: dict[str, Any] = {"codec": "libx265", "pixel_format": "yuv420p10le", "color": HLG}
    write_clip(
        Path("hlg.mp4"), options={"preset": "ultrafast", "x265-params": "log-level=none"}, **facts
    )
    segment(cli, "hlg.mp4")
    cli("package", "hlg.mp4", "--for", "finalcut", "--outputs", "alpha")
    folder = folder_of(cli, "finalcut", "hlg")
    assert (folder / "hlg.fcpxml").read_text(encoding="utf-8").count(
        'colorSpace="9-18-9 (Rec. 2020 HLG)"'
    ) == 1  # one format
    assert [one["color"]["transfer"] for one in facts_of(folder)["files"]] == ["arib-std-b67"] * 2


def test_a_cameras_timecode_stays_on_the_clock_of_every_file(cli: CommandLine) -> None:
    write_clip(Path("camera.mov"), options=FAST, metadata={"timecode": "01:00:00;02"})
    segment(cli, "camera.mov")
    cli("package", "camera.mov", "--for", "premiere", "--outputs", "alpha")
    for clips in read_all(folder_of(cli, "premiere", "camera")).values():
        check_against_files(clips, NTSC)
        assert {clip.source_start for clip in clips} == {107_894 / NTSC}


def test_sound_that_goes_on_after_the_picture_is_told(cli: CommandLine) -> None:
    write_clip(Path("long.mov"), options=FAST, sounds=[sound(seconds=Fraction(5, 2))])
    segment(cli, "long.mov")
    ran = cli("package", "long.mov", "--for", "finalcut", "--outputs", "maskvideo")
    told = [note for note in ran.notes if "sound goes on for" in note]
    assert len(told) == 1
    assert "2.1" in told[0]
    assert "sound goes on for" in " ".join(
        (folder_of(cli, "finalcut", "long") / "README.txt").read_text().split()
    )


# ---------------------------------------------------------------- whole or not at all


def test_an_earlier_package_stays_until_the_new_one_is_complete(
    odd: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd("package", ODD, "--for", "finalcut", "--outputs", "alpha")
    place = f"workspace/{NAME}/package-finalcut"
    before = odd.files(place)

    def full(*_: object, **__: object) -> None:
        raise OutputError("the disk is full", hint="free some space")

    with monkeypatch.context() as broken:
        broken.setattr(pipeline, "timeline_files", full)
        odd.fails("package", ODD, "--for", "finalcut", "--outputs", "maskvideo", code=1)
    assert odd.files(place) == before
    odd("package", ODD, "--for", "finalcut", "--outputs", "maskvideo")
    assert {path.name for path in (folder_of(odd, "finalcut") / "media").iterdir()} == {
        f"{NAME}-matte.mov"
    }
    assert not [
        path
        for path in folder_of(odd, "finalcut").parent.iterdir()
        if path.name.startswith(".package")
    ]


def test_a_folder_with_other_work_is_left_alone(odd: CommandLine) -> None:
    mine = odd.folder / "mine"
    mine.mkdir()
    # empty, so it may be used
    odd("package", ODD, "--for", "finalcut", "--outputs", "alpha", "-o", "mine")
    shutil.rmtree(mine)
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    ran = odd.fails("package", ODD, "--for", "finalcut", "--outputs", "alpha", "-o", "mine", code=1)
    assert "thesis.txt" in ran.error
    assert odd.files("mine") == {"mine/thesis.txt": b"years of work"}
    # the masks are in it
    odd.fails("package", ODD, "--for", "finalcut", "-o", f"workspace/{NAME}", code=1)
    odd.fails("package", ODD, "--for", "finalcut", "-o", f"workspace/{NAME}/masks", code=2)
    odd.fails("package", ODD, "--for", "finalcut", "-o", ".", code=2)
    assert (odd.folder / ODD).exists()


def test_an_editing_project_saved_in_the_package_is_not_lost(odd: CommandLine) -> None:
    odd("package", ODD, "--for", "finalcut", "--outputs", "alpha")
    folder = folder_of(odd, "finalcut")
    (folder / ".DS_Store").touch()
    # what a desktop strews does not count
    odd("package", ODD, "--for", "finalcut", "--outputs", "alpha")
    (folder / "media" / "my film.prproj").write_text("a week of work")
    ran = odd.fails("package", ODD, "--for", "finalcut", "--outputs", "maskvideo", code=1)
    assert "my film.prproj" in ran.error
    assert (folder / "media" / "my film.prproj").exists()


# ---------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "none is named"),
        (("--for", "avid"), "'avid'"),
        (("--for", "premiere", "--media", "teleport"), "'teleport'"),
        (("--for", "premiere", "--outputs", "alpha,smell"), "'smell'"),
        (("--for", "premiere", "--fps", "12.5"), "25/2"),
        (("--for", "premiere", "--object", "7"), "no object 7"),
    ],
)
def test_misuse_is_told(odd: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    ran = odd.fails("package", ODD, *arguments, code=2)
    assert said in ran.error
    assert not list(folder_of(odd, "premiere").parent.glob("*package*"))


def test_without_opentimelineio_the_rest_is_there(
    odd: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vfx_matte.programs.timelines.opentimeline.is_available", lambda: False)
    ran = odd("package", ODD, "--for", "premiere", "--outputs", "alpha")
    folder = folder_of(odd, "premiere")
    assert read_all(folder).keys() == {".xml"}
    assert any("pip install -e '.[timelines]'" in note for note in ran.notes)
    assert ".otio" not in (folder / "README.txt").read_text(encoding="utf-8")


def test_premultiplied_colours_are_said_everywhere(odd: CommandLine) -> None:
    Path("config.ini").write_text("[alpha]\npremultiplied = yes\n")
    odd("package", ODD, "--for", "premiere", "--outputs", "alpha")
    folder = folder_of(odd, "premiere")
    assert [one["alpha"] for one in facts_of(folder)["files"]] == ["none", "premultiplied"]
    assert "<alphatype>black</alphatype>" in (folder / f"{NAME}.xml").read_text(encoding="utf-8")
    assert "premultiplied alpha" in (folder / "README.txt").read_text(encoding="utf-8")


def test_a_file_with_other_frames_than_the_timeline_is_refused(
    odd: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last guard: a renderer that lost a frame does not get into a package."""
    honest = pipeline.on_grid

    def one_more(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        found = honest(*arguments, **named)
        return replace(found, indices=(*found.indices, found.indices[-1]))

    monkeypatch.setattr(pipeline, "on_grid", one_more)
    ran = odd.fails("package", ODD, "--for", "premiere", "--outputs", "alpha", code=1)
    assert "frames" in ran.error
    assert not folder_of(odd, "premiere").exists()


def test_ctrl_c_leaves_no_half_package(odd: CommandLine) -> None:
    place = folder_of(odd, "premiere").parent
    child = odd.start("package", ODD, "--for", "premiere")
    ran = odd.stop(
        child,
        signal.SIGINT,
        when=lambda: any(place.glob(".vfx-matte-*.part/new/package-premiere/media/*")),
    )
    assert (ran.code, ran.error) == (130, "stopped")
    assert not list(place.glob("*package*"))
    assert not list(place.glob(".vfx-matte*"))


def test_a_web_page_finds_the_video_under_any_name(odd: CommandLine) -> None:
    odd("package", ODD, "--for", "web")
    note = (folder_of(odd, "web") / "README.txt").read_text(encoding="utf-8")
    (address,) = re.findall(r'<video src="([^"]+)"', note)
    assert (folder_of(odd, "web") / unquote(urlsplit(address).path)).is_file()
    assert sound_packets(folder_of(odd, "web") / "media" / f"{NAME}-alpha.webm")
