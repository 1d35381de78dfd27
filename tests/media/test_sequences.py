"""Image sequences through the command line: frames have their pictures' numbers, in and out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command_line import CommandLine, two_objects

from vfx_matte.api.masks import segment as segment_from_python

SIZE = (64, 48)
COLORS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)


def plates(folder: Path, *numbers: int, name: str = "{:04d}.png") -> Path:
    """Plain pictures; the level of red is the place in the row."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, number in enumerate(numbers):
        array = np.full((SIZE[1], SIZE[0], 3), (10 + 20 * place, 80, 80), np.uint8)
        Image.fromarray(array).save(folder / name.format(number))
    return folder


def paint(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(COLORS[two_objects(SIZE)]).save(path)
    return path


def names(folder: str | Path) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir() if path.is_file())


def red(path: Path) -> int:
    """Which picture of `plates` it is."""
    return (int(np.asarray(Image.open(path).convert("RGB"))[0, 0, 0]) - 10) // 20


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with plate.1001.png to plate.1006.png, segmented from a mask of 1003; copied,
    never changed.
    """
    folder = tmp_path_factory.mktemp("shot")
    plates(folder / "s", *range(1001, 1007), name="plate.{:04d}.png")
    paint(folder / "ms" / "plate.1003.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        CommandLine(folder)(
            "segment", "s", "--masks", "ms", "--propagator", "fake", "--stop", "1006"
        )
    return folder


@pytest.fixture
def here(shot: Path, cli: CommandLine) -> CommandLine:
    shutil.copytree(shot, cli.folder, dirs_exist_ok=True)
    return cli


def test_masks_named_after_their_plates_lie_on_them(here: CommandLine) -> None:
    rows = here(
        "segment", "s", "--masks", "ms", "--mask", "1005=ms/plate.1003.png", "--colors"
    ).stdout
    assert [line.split()[:2] for line in rows.splitlines() if ".png" in line][::2] == [
        ["1003", "plate.1003.png"], ["1005", "plate.1003.png"]
    ]  # fmt: skip
    assert names("workspace/s/masks") == [f"000{number}.png" for number in range(1001, 1006)]
    ran = here.fails("segment", "s", "--mask", "2=ms/plate.1003.png", "--colors", code=2)
    assert "frame 2, which does not exist: the clip has 6 frames, 1001 to 1006" in ran.error
    assert "counted from 0, 2 is 1003" in ran.hint
    result = segment_from_python(
        "s",
        references={1004: "ms/plate.1003.png"},
        propagator="fake",
        start=1002,
        workspace="other",
    )
    assert (result.start, result.stop) == (1002, 1007)
    assert result.mask(1004).any()


def test_another_rate_is_told_from_another_clip(here: CommandLine) -> None:
    ran = here.fails(
        "segment", "s", "--masks", "ms", "--propagator", "fake", "--fps", "24", "--resume", code=2
    )
    assert "holds the work on this clip at 25 frames per second, this is 24" in ran.error
    assert "--fps 25" in ran.hint


def test_a_first_mask_that_is_named_after_another_frame_is_said(here: CommandLine) -> None:
    ran = here("segment", "s", "--first-mask", "ms/plate.1003.png", "--colors")
    assert [
        note
        for note in ran.notes
        if "plate.1003.png is on frame 1001 (--first-mask)" in note and "--mask 1003=" in note
    ]
    for fitting in (("ms/plate.1003.png", "--start", "1003"), ("m.1003.png",)):
        shutil.copy("ms/plate.1003.png", "m.1003.png")
        assert not [
            note
            for note in here("segment", "s", "--first-mask", *fitting, "--colors").notes
            if "named after" in note
        ]


def test_masks_from_the_workspace_fit_the_same_clip(here: CommandLine) -> None:
    rows = here("segment", "s", "--masks", "workspace/s/masks", "--colors").stdout
    assert [line.split()[0] for line in rows.splitlines() if ".png" in line][::2] == [
        str(at) for at in range(1001, 1006)
    ]


def test_positions_are_numbers_and_doubtful_ones_are_said(cli: CommandLine) -> None:
    plates(Path("s"), *range(1, 9))
    ran = cli("frame", "s", "--at", "6")
    assert ran.stdout.strip() == "s.0000006.png"
    assert red(Path("s.0000006.png")) == 5
    assert any("frame 6 is 0006.png" in line for line in ran.notes)
    assert not cli("frame", "s", "--at", "8").notes, "there is no ninth picture that 8 could be"
    ran = cli.fails("frame", "s", "--at", "0", code=2)
    assert "counted from 0, 0 is 1" in ran.hint
    paint(Path("ms/0006.png"))
    ran = cli("segment", "s", "--masks", "ms", "--colors")
    assert any("mask 6 is 0006.png" in line for line in ran.notes)
    row = next(line for line in ran.stdout.splitlines() if ".png" in line)
    assert row.split()[:2] == ["6", "0006.png"]


def test_outputs_have_the_sources_numbers(here: CommandLine) -> None:
    here("alpha", "-o", "cut", "--edges", "hard")
    assert names("cut") == [f"{number}.png" for number in range(1001, 1007)]
    assert red(Path("cut/1004.png")) == 3
    alpha = np.asarray(Image.open("cut/1004.png"))[..., 3]
    assert np.array_equal(alpha > 0, two_objects(SIZE) > 0)
    assert not np.asarray(Image.open("cut/1006.png"))[..., 3].any(), (
        "beyond --stop nothing is shown"
    )
    here("verify", "cut", "--source", "s")
    here("alpha", "-o", "cut", "--edges", "hard", "--start-number", "5")
    assert names("cut")[0] == "0005.png"
    here("verify", "cut", "--source", "s")
    Path("cut/0007.png").unlink()
    assert "0007.png is missing" in here.run("verify", "cut", "--source", "s").stdout
    here("maskvideo", "--edges", "hard", "-o", "m/matte.#####.png")
    assert names("m")[:2] == ["matte.01001.png", "matte.01002.png"]
    white = np.asarray(Image.open("m/matte.01003.png"))
    assert np.array_equal(white, np.where(two_objects(SIZE) > 0, 255, 0))
    here("maskvideo", "--edges", "hard", "--each-object", "--style", "palette", "-o", "m/%04d.png")
    assert names("m.object-2")[0] == "1001.png"
    here("greenback", "--edges", "hard", "-o", "g/%d.png")
    assert tuple(np.asarray(Image.open("g/1003.png"))[0, 0]) == (0, 255, 0)
    assert "is for numbered files" in here.fails("greenback", "--start-number", "7", code=2).error
    assert "is for numbered files" in here.fails("conform", "--start-number", "7", code=2).error


def test_a_folder_of_plates_is_not_taken_for_an_earlier_result(here: CommandLine) -> None:
    plates(Path("others"), *range(1001, 1004))
    ran = here.fails("alpha", "-o", "others", code=1)
    assert "others" in ran.error
    assert names("others") == ["1001.png", "1002.png", "1003.png"]
    for name in ("{:07d}.png", "{:04d}.jpg"):
        plates(Path("more") / name[-3:], 0, 1, name=name)
        ran = here.fails("alpha", "-o", f"more/{name[-3:]}/%07d.png", code=1)
        assert "holds other files" in ran.error, name
        assert (
            "holds other files"
            in here.fails("maskvideo", "-o", f"more/{name[-3:]}/%04d.png", code=1).error
        )
        assert len(names(Path("more") / name[-3:])) == 2


def test_exr_plates_are_not_taken_for_an_earlier_result(here: CommandLine) -> None:
    """Of the same names; not even one among files of ours."""
    exr = pytest.importorskip("OpenEXR")
    Path("e").mkdir()
    header, planes = {"type": exr.scanlineimage}, dict.fromkeys("RGB", np.zeros((4, 6), np.float16))
    exr.File(header, planes).write("e/plate.1002.exr")
    before = Path("e/plate.1002.exr").read_bytes()
    ran = here.fails("maskvideo", "--edges", "hard", "-o", "e/plate.%04d.exr", code=1)
    assert "holds other files (plate.1002.exr)" in ran.error
    here("maskvideo", "--edges", "hard", "-o", "ours/plate.%04d.exr")
    here("maskvideo", "--edges", "hard", "-o", "ours/plate.%04d.exr", "--start-number", "1002")
    shutil.copy("e/plate.1002.exr", "ours/plate.1002.exr")
    assert (
        "plate.1002.exr"
        in here.fails("maskvideo", "--edges", "hard", "-o", "ours/plate.%04d.exr", code=1).error
    )
    assert (
        Path("e/plate.1002.exr").read_bytes() == Path("ours/plate.1002.exr").read_bytes() == before
    )


def test_verify_takes_exr_folders(here: CommandLine) -> None:
    pytest.importorskip("OpenEXR")
    here("maskvideo", "--edges", "hard", "-o", "exr/m.%04d.exr")
    for output in ("exr", "exr/m.%04d.exr"):
        assert "6 files" in here("verify", output, "--source", "s").stdout
    shutil.copy("exr/m.1001.exr", "exr/m.1007.exr")
    assert "7 files, the source has 6 frames" in here.run("verify", "exr", "--source", "s").error
    Path("exr/m.1007.exr").unlink()
    Path("exr/m.1003.exr").write_bytes(Path("exr/m.1003.exr").read_bytes()[:-9])
    assert "m.1003.exr is cut short" in here.run("verify", "exr", "--source", "s").error
    Path("exr/m.1003.exr").unlink()
    assert "m.1003.exr is missing" in here.run("verify", "exr", "--source", "s").error


def test_key_tests_and_frame_maps_name_the_sources_numbers(here: CommandLine) -> None:
    found = json.loads(
        here(
            "keytest", "s", "--json", "--frames", "2", "--edges", "hard", "--key", "#0a5050"
        ).stdout
    )
    assert set(found["frames"]) <= set(range(1001, 1006))
    assert {row["worst_frame"] for row in found["rows"]} <= set(found["frames"])
    ran = here("greenback", "s", "--edges", "hard", "-o", "g.mkv", "--key", "#1e5050")
    assert "of the subject on frame 100" in ran.stderr
    here("conform", "s", "--outputs", "source", "--fps", "25", "-o", "c")
    lines = Path("c/frame_map.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:3]] == [["0", "1001"], ["1", "1002"]]
    facts = json.loads(Path("c/frame_map.json").read_text())
    assert (facts["map"][:2], facts["source_first_number"]) == ([0, 1], 1001)
    facts["map"][1], facts["files"] = 2, {}
    Path("c/frame_map.json").write_text(json.dumps(facts))
    movie = next(path for path in Path("c").iterdir() if path.suffix == ".mp4")
    ran = here.run("verify", movie, "--source", "s", "--map", "c/frame_map.json")
    assert "frame 1 shows source frame 1003, by the rule it is 1002" in ran.stdout


def test_layers_have_the_sources_numbers(here: CommandLine) -> None:
    pytest.importorskip("OpenEXR")
    here("maskvideo", "--edges", "hard", "-o", "exr/m.%04d.exr")
    assert names("exr") == [f"m.{number}.exr" for number in range(1001, 1007)]
    here("maskvideo", "--edges", "hard", "-o", "exr/m.%04d.exr", "--start-number", "0")
    assert names("exr")[0] == "m.0000.exr"


def test_reports_name_the_sources_numbers(here: CommandLine) -> None:
    found = json.loads(here("qc", "s", "--json", "--csv", "qc.csv").stdout)
    assert found["references"] == [1003]
    assert all(1001 <= one["frame"] < one["stop"] <= 1006 for one in found["problems"])
    assert Path("qc.csv").read_text().splitlines()[1].startswith("1001,")
    suggested = json.loads(
        here("suggest", "s", "-k", "2", "--json", "--min-mask-percent", "0").stdout
    )
    assert suggested["references"] == [1003]
    assert {one["frame"] for one in suggested["suggestions"]} <= {1001, 1002, 1004, 1005}
    for one in suggested["suggestions"]:
        assert f"--at {one['frame']} " in one["frame_command"]
        assert f"{one['frame']}=" in suggested["segment_command"]
    assert "1003=" in suggested["segment_command"]
    assert "--stop 1006" in suggested["segment_command"]
    facts = json.loads(here("probe", "s", "--json").stdout)
    assert facts["first_number"] == 1001
    assert facts["files"] == {
        "first": "plate.1001.png", "last": "plate.1006.png", "count": 6, "digits": 4, "missing": [],
        "gaps": "hold"
    }  # fmt: skip


def test_missing_numbers_are_held_or_black_and_said(cli: CommandLine) -> None:
    plates(Path("s"), 1, 2, 3, 7, 8)
    paint(Path("m.png"))
    ran = cli("segment", "s", "--first-mask", "m.png", "--propagator", "fake", "--gaps", "black")
    assert [
        line
        for line in ran.notes
        if "3 pictures are missing (4 to 6 of 1 to 8); black stands in" in line
    ]
    cli("alpha", "--edges", "hard", "--no-foreground", "-o", "cut")
    assert [red(Path(f"cut/{number:04d}.png")) for number in (3, 7, 8)] == [2, 3, 4]
    assert not np.asarray(Image.open("cut/0005.png"))[..., :3].any()
    ran = cli.fails(
        "segment", "s", "--first-mask", "m.png", "--propagator", "fake", "--resume", code=2
    )
    assert "setting gaps" in ran.error
    assert "4 to 6" in cli.fails("probe", "s", "--gaps", "error", code=1).error
    Path("config.ini").write_text("[segment]\ngaps = error\n")
    assert "4 to 6" in cli.fails("frame", "s", code=1).error
    assert "missing: 4 to 6 (hold)" in cli("probe", "s", "--gaps", "hold").stdout


def test_a_stray_number_is_no_gap(cli: CommandLine) -> None:
    """Four pictures that would be a clip of a hundred thousand frames."""
    plates(Path("plates"), 1, 2, 3, 99999)
    refused = cli.fails("probe", "plates", code=1)
    assert "1 to 99999 only 4 have a picture" in refused.error
    plates(Path("seldom"), 100, 200, 300)
    cli("probe", "seldom")


def test_videos_count_from_zero_unless_told(project: CommandLine) -> None:
    project("alpha", "-o", "cut", "--edges", "hard")
    assert names("cut")[0] == "0000000.png"
    project("alpha", "-o", "cut", "--edges", "hard", "--start-number", "1001")
    assert (names("cut")[0], len(names("cut"))) == ("0001001.png", 12)


@pytest.mark.parametrize(
    ("pattern", "first", "last"),
    [
        ("s/plate.[1002-1004].png", 1002, 1004),
        ("s/plate.1002-1003@@@@.png", 1002, 1003),
        ("s/plate.1005.png", 1005, 1005),
    ],
)
def test_a_part_of_a_sequence_keeps_its_numbers(
    pattern: str, first: int, last: int, here: CommandLine
) -> None:
    here("frame", pattern, "--at", str(last), "-o", "still.png")
    assert red(Path("still.png")) == last - 1001
    assert f"{first} to {last}" in here.fails("frame", pattern, "--at", str(last + 1), code=2).hint
