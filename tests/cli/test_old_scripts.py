"""`tools/get_masks_of_video.py`: the old script's options, and what it leaves where."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.command_line import CommandLine, Ran
from support.drifting_squares import draw
from support.scripted_detector import Script, register

from vfx_matte.masks import overlap
from vfx_matte.workspace import load_mask

SCRIPT = Path(__file__).parents[2] / "tools" / "get_masks_of_video.py"
FRAMES = 6
OLD = ("--masks", "--model_path", "vistr_r101.pth", "--backbone", "resnet101")
"""What every command line of the old script had."""

Old = Callable[..., Ran]


@pytest.fixture
def script(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Script:
    """A clip of two squares, and what is found in it by the detector that config.ini names; masks
    are carried by the propagator that repeats them.
    """
    frames = [draw(index) for index in range(FRAMES)]
    (cli.folder / "film").mkdir()
    for index, (image, _) in enumerate(frames):
        path = cli.folder / "film" / f"film.{index:04d}.png"
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    found = Script.of_clip(frames, {1: "dog", 2: "person"}).doubt(2, frames=range(6), score=0.7)
    register(found, cli.folder, monkeypatch)
    (cli.folder / "config.ini").write_text(
        "[detect]\ndetector = scripted\nevery = 2\n[segment]\npropagator = fake\n"
    )
    return found


@pytest.fixture
def old(script: Script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Old:
    """Run the old script; it has to end with `code`."""

    def run(*arguments: str, clip: str = "film", code: int = 0) -> Ran:
        named = ("--mp4_clip_path", clip) if clip else ()
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *named, *arguments])
        ended: object = 0
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as exit_:
            ended = exit_.code or 0
        ran = Ran(int(str(ended)), *capsys.readouterr())
        assert ran.code == code, ran.stderr
        assert "Traceback" not in ran.stderr
        if code:
            assert ran.error
            assert ran.hint
        return ran

    return run


def leftovers(cli: CommandLine) -> list[str]:
    """What a run that failed has left of its results."""
    kept = ("config.ini", "scripted.script", "film/", "workspace/")
    return sorted(name for name in cli.files() if not name.startswith(kept))


def test_result_and_pictures_lie_where_the_old_script_left_them(cli: CommandLine, old: Old) -> None:
    config = Path("config.ini")
    config.write_text(config.read_text().replace("fake", "builtin"))
    ran = old(*OLD, "--threshold", "0.6", "--save_path", "out/r.json", "--masks_results_path", "m")
    result = json.loads(Path("out/r.json").read_text())
    assert [entry["score"] for entry in result] == pytest.approx([0.9, 0.7])
    assert all(len(entry["segmentations"]) == FRAMES for entry in result)
    assert sorted(path.name for path in Path("m").iterdir()) == [
        f"{index:05}.png" for index in range(FRAMES)
    ]
    for index in range(FRAMES):
        _, truth = draw(index)
        for one in (1, 2):
            assert overlap(load_mask(Path(f"m/{index:05}.png")) == one, truth == one) > 0.8
    assert ran.stdout.splitlines()[-2:] == ["written: out/r.json", "written: m"]
    # an ordinary workspace, on which other commands work
    assert cli.manifest(clip="film")["labels"]["1"]["name"] == "dog"
    cli("overlay", "film", "--frame", "2")


def test_the_least_score_is_the_old_scripts(old: Old) -> None:
    old()
    assert [entry["score"] for entry in json.loads(Path("result.json").read_text())] == [0.9]
    assert len(list(Path("data/result_masks").iterdir())) == FRAMES


def test_what_has_no_meaning_is_named_once_and_passed_over(old: Old) -> None:
    more = ("--img_path", "data/raw", "--ann_path", "input.json", "--input_json_path", "in.json")
    notes = old(*OLD, *more, "--num_frames", "36", "--dec_layers=6", "--resume", "x.pth").notes
    for flag in ("masks", "model_path", "backbone", "img_path", "ann_path", "input_json_path"):
        assert len([note for note in notes if note.startswith(f"--{flag} ")]) == 1, flag
    (ignored,) = [note for note in notes if note.startswith("passed over")]
    assert ignored.endswith("--num_frames 36 --dec_layers=6 --resume x.pth")
    assert not Path("data/raw").exists()
    assert not Path("input.json").exists()
    assert old("--quiet", "--clean", "True", *OLD).stderr == ""


@pytest.mark.parametrize(
    ("given", "is_white"),
    [((), False), (("True",), False), (("False",), True), (("no",), True), (("",), True)],
)
def test_masks_are_white_where_no_colour_is_wanted(
    old: Old, given: tuple[str, ...], is_white: bool
) -> None:
    ran = old(*(("--masks_color", *given) if given else ()))
    picture = cv2.imread("data/result_masks/00003.png", cv2.IMREAD_COLOR)
    assert picture is not None
    colors = {tuple(map(int, color)) for color in np.unique(picture.reshape(-1, 3), axis=0)}
    assert (colors == {(0, 0, 0), (255, 255, 255)}) == is_white
    assert bool([note for note in ran.notes if "--masks_color" in note]) == is_white


@pytest.mark.slow
def test_clean_starts_again_and_keeps_earlier_work(cli: CommandLine, old: Old) -> None:
    old("--threshold", "0.6")
    before = cli.files("data"), Path("result.json").read_bytes()
    # without it, what is there is not mixed with what would be found
    assert "--fresh" in old("--clean", "False", code=2).hint
    assert (cli.files("data"), Path("result.json").read_bytes()) == before
    old("--clean", "True")
    assert len(json.loads(Path("result.json").read_text())) == 1
    assert len(list(Path("workspace/film/masks.previous").glob("*.png"))) == FRAMES
    old("--fresh", "--threshold", "0.6")
    assert len(json.loads(Path("result.json").read_text())) == 2


def test_nothing_foreign_is_replaced(cli: CommandLine, old: Old, script: Script) -> None:
    Path("notes.json").write_text('{"mine": 1}')
    Path("holidays").mkdir()
    Path("holidays/beach.png").write_text("a picture")
    Path("list.txt").write_text("no JSON")
    # plates and painted masks are often named as pictures of masks are
    Path("plates").mkdir()
    Path("plates/00001.png").write_bytes(Path("film/film.0001.png").read_bytes())
    before = leftovers(cli)
    for arguments in (
        ("--save_path", "notes.json"),
        ("--save_path", "list.txt"),
        ("--save_path", "holidays"),
        ("--masks_results_path", "holidays"),
        ("--masks_results_path", "notes.json"),
        ("--masks_results_path", "plates"),
    ):
        old(*arguments, code=1)
    # found out before the clip was looked at
    assert script.asked == []
    assert leftovers(cli) == before
    assert Path("notes.json").read_text() == '{"mine": 1}'
    assert Path("holidays/beach.png").read_text() == "a picture"


def test_masks_of_the_workspace_are_not_replaced(
    cli: CommandLine, old: Old, script: Script
) -> None:
    old("--masks_results_path", "pictures")
    # masks of another program, whose pictures are written as those of results are
    cli("import", "film", "pictures")
    looks = list(script.asked)
    before = cli.files("workspace")
    for name in ("imported", "references", "masks", "detected/masks", "new", "."):
        ran = old("--masks_results_path", f"workspace/film/{name}", code=2)
        assert "in the workspace" in ran.error
        assert "--masks_results_path" in ran.hint
    assert script.asked == looks
    assert cli.files("workspace") == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--threshold", "2"), "threshold"),
        (("--threshold",), "threshold"),
        (("--masks_color", "blue"), "blue"),
        (("--clean", "perhaps"), "perhaps"),
        (("--save_path", "data/result_masks/result.json"), "result.json"),
    ],
)
def test_what_makes_no_sense_leaves_nothing(
    cli: CommandLine, old: Old, arguments: tuple[str, ...], word: str
) -> None:
    assert word in old(*arguments, code=2).error
    assert leftovers(cli) == []


def test_a_clip_is_needed(old: Old) -> None:
    assert "--mp4_clip_path" in old(*OLD, clip="", code=2).hint
    assert "nowhere.mp4" in old(clip="nowhere.mp4", code=2).error


def test_nothing_found_is_an_empty_list_and_an_empty_folder(old: Old, script: Script) -> None:
    old()
    script.nothing(frames=range(FRAMES))
    old("--clean", "True")
    assert json.loads(Path("result.json").read_text()) == []
    assert list(Path("data/result_masks").iterdir()) == []
