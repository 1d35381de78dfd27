"""`suggest` through the command line, on a clip whose object moves all the time and looks another
way for a known stretch.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import re
import shlex
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from support.command_line import CommandLine, paint
from support.rolling import TICKS, film, put, segment_truly

from vfx_matte.masks import Image, Mask
from vfx_matte.media.frames import ClipReader
from vfx_matte.media.open import open_clip
from vfx_matte.pipeline.sampling import (
    pictures_at,
)  # what is decoded is nowhere to be seen from outside
from vfx_matte.pipeline.sampling import spans as spans_of

pytestmark = pytest.mark.slow

FRAMES = 48
OTHER_LOOK = range(21, 27)
HEIGHT, WIDTH = 96, 160


def scene(index: int) -> tuple[Image, Mask]:
    """A ball that rolls from side to side over coarse noise; red, but yellow on some frames.

    Its mask has id 1.
    """
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    mask = (columns - 80 + 45 * math.cos(index / 4)) ** 2 + (rows - 50) ** 2 < 20**2
    noise = np.random.default_rng(0).integers(60, 180, (6, 10, 3)).astype(np.uint8)
    image: Image = np.asarray(
        cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8
    )
    image[mask] = (190, 170, 40) if index in OTHER_LOOK else (200, 50, 60)
    return image, mask.astype(np.uint8)


@pytest.fixture(scope="module")
def rolling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip."""
    return film(tmp_path_factory.mktemp("rolling") / "ball.mp4", scene, FRAMES)


@pytest.fixture
def rolled(cli: CommandLine, take: Callable[..., Path], rolling: Path) -> CommandLine:
    """A working directory with ball.mp4, m.png and a true mask in the workspace for every frame;
    frame 0 is the reference.
    """

    def make() -> None:
        take(rolling)
        segment_truly(cli, scene, FRAMES)

    cli.once("the ball of suggest", make)
    return cli


def frames(found: dict[str, Any]) -> list[int]:
    return [one["frame"] for one in found["suggestions"]]


def ask(cli: CommandLine, *arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("suggest", "ball.mp4", "--json", *arguments).stdout)
    return found


# ---------------------------------------------------------------- what is suggested


def test_another_look_is_suggested_first_although_the_ball_is_elsewhere_all_the_time(
    rolled: CommandLine,
) -> None:
    found = ask(rolled, "-k", "3")
    first, *others = frames(found)
    assert first in OTHER_LOOK
    assert not set(others) & set(OTHER_LOOK), (
        "what was chosen is known, so its like is not chosen next"
    )
    distances = [one["distance"] for one in found["suggestions"]]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 1.5 * distances[1]


def test_a_reference_with_that_look_makes_it_known(rolled: CommandLine) -> None:
    paint(Path("m23.png"), scene(23)[1])
    rolled(
        "segment",
        "ball.mp4",
        "--mask",
        "0=m.png",
        "--mask",
        "23=m23.png",
        "--propagator",
        "fake",
        "--fresh",
    )
    for index in range(FRAMES):
        put(index, scene(index)[1])
    found = ask(rolled, "-k", "2")
    assert found["references"] == [0, 23]
    assert not set(frames(found)) & set(OTHER_LOOK)


def test_the_ranking_is_the_same_every_time_and_begins_alike_for_every_k(
    rolled: CommandLine,
) -> None:
    longest = frames(ask(rolled, "-k", "8"))
    assert len(set(longest)) == 8
    assert 0 not in longest
    assert frames(ask(rolled, "-k", "8")) == longest
    assert frames(ask(rolled, "-k", "2")) == longest[:2]
    assert len(frames(ask(rolled))) == 5


def test_frames_that_are_all_alike_are_taken_in_order(cli: CommandLine) -> None:
    folder = cli.folder / "still"
    folder.mkdir()
    image, mask = scene(0)
    for index in range(4):
        Pillow.fromarray(image).save(folder / f"{index:04d}.png")
    paint(Path("m.png"), mask)
    cli("segment", "still", "--mask", "2=m.png", "--propagator", "fake")
    found = json.loads(cli("suggest", "still", "--json").stdout)
    assert frames(found) == [0, 1, 3]
    assert {one["distance"] for one in found["suggestions"]} == {0.0}
    assert "--fps 25" in found["segment_command"]


# ---------------------------------------------------------------- how it is told


def test_json_has_everything_the_table_shows(rolled: CommandLine) -> None:
    ran = rolled("suggest", "ball.mp4", "-k", "2")
    found = ask(rolled, "-k", "2")
    assert set(found) == {
        "clip", "propagator", "alpha", "min_mask_percent", "references", "considered",
        "suggestions", "segment_command", "sheet",
    }  # fmt: skip
    assert (found["clip"], found["propagator"], found["alpha"], found["min_mask_percent"]) == (
        "ball.mp4",
        "builtin",
        0.5,
        0.25,
    )
    assert (found["references"], found["considered"]) == ([0], FRAMES - 1)
    for rank, one in enumerate(found["suggestions"], start=1):
        index = one["frame"]
        assert set(one) == {
            "rank", "frame", "time", "seconds", "coverage_percent", "distance", "frame_command",
            "mask",
        }  # fmt: skip
        assert one["rank"] == rank
        seconds = Fraction(index * TICKS, 30000)
        assert one["seconds"] == pytest.approx(float(seconds), abs=1e-9)
        assert one["time"] == f"0:{float(seconds):06.3f}"
        assert one["coverage_percent"] == pytest.approx(100 * scene(index)[1].mean())
        assert re.search(
            rf"^ +{rank} +{index} +{one['time']} +\d+\.\d\d % ", ran.stdout, re.MULTILINE
        )
        assert f"  {one['frame_command']}\n" in ran.stdout
        assert (
            f"  vfx-matte mask ball.mp4 --at {index} --from propagated -o {one['mask']} --fg X,Y\n"
            in ran.stdout
        )
    assert f"  {found['segment_command']}\n" in ran.stdout
    assert f"picture: {found['sheet']}\n" in ran.stdout


def test_the_commands_do_what_they_say(rolled: CommandLine) -> None:
    """Paste them: stills to paint on come out, and with the painted masks everything is segmented
    again.
    """
    found = ask(rolled, "-k", "2")
    for one in found["suggestions"]:
        ran = rolled(*shlex.split(one["frame_command"])[1:])
        with Pillow.open(ran.stdout.strip()) as picture:
            drawn = np.asarray(picture.convert("RGB"), np.float32)
        assert np.abs(drawn - scene(one["frame"])[0]).mean() < 8
        paint(Path(one["mask"]), scene(one["frame"])[1])
    rolled(*shlex.split(found["segment_command"])[1:], "--propagator", "fake")
    manifest = json.loads(Path("workspace/ball/manifest.json").read_text(encoding="utf-8"))
    assert sorted(map(int, manifest["references"])) == sorted([0, *frames(found)])
    assert rolled.mask_numbers(clip="ball") == list(range(FRAMES))
    np.testing.assert_array_equal(rolled.mask(0, clip="ball"), scene(0)[1])
    assert found["segment_command"].endswith(" --update")


def test_the_segment_command_keeps_range_propagator_and_workspace(
    cli: CommandLine, take: Callable[..., Path], rolling: Path
) -> None:
    take(rolling)
    paint(Path("m.png"), scene(3)[1])
    cli(
        "segment", "ball.mp4", "--first-mask", "m.png", "--start", "3", "--stop", "9",
        "--propagator", "builtin", "--workspace", "my work",
    )  # fmt: skip
    words = shlex.split(ask(cli, "-k", "1", "--workspace", "my work")["segment_command"])
    for option, value in (
        ("--start", "3"),
        ("--stop", "9"),
        ("--propagator", "builtin"),
        ("--workspace", "my work"),
    ):
        assert words[words.index(option) + 1] == value
    assert "3=m.png" in words
    assert words[-1] == "--update"


def test_a_reference_that_shows_fewer_objects_than_were_found_is_named_by_its_own_file(
    rolled: CommandLine,
) -> None:
    """The workspace's mask of that frame holds what was predicted besides, so it is not what the
    user painted.
    """
    found_too = scene(0)[1]
    found_too[:5, :5] = 2
    put(0, found_too)
    assert "0=m.png" in shlex.split(ask(rolled, "-k", "1")["segment_command"])


def test_a_frame_whose_mask_shows_another_object_alone_can_be_suggested(
    rolled: CommandLine,
) -> None:
    """Nothing of the ball is known from there."""
    path = Path("workspace/ball/manifest.json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["objects"]["2"] = [0, 128, 0]
    given = facts["references"]["0"]
    both, other = ({"1": [128, 0, 0], "2": [0, 128, 0]}, {"2": [0, 128, 0]})
    facts["references"]["0"] = {**given, "objects": both}
    for index in OTHER_LOOK:
        facts["references"][str(index)] = {**given, "objects": other}
    path.write_text(json.dumps(facts), encoding="utf-8")
    found = ask(rolled, "-k", "1")
    assert frames(found)[0] in OTHER_LOOK
    assert found["references"] == [0]
    # where each mask is of some objects alone, these are what there is to compare with
    facts["references"]["0"] = {**given, "objects": {"1": [128, 0, 0]}}
    path.write_text(json.dumps(facts), encoding="utf-8")
    found = ask(rolled, "-k", "1")
    assert found["references"] == [0, *OTHER_LOOK]
    assert frames(found)[0] not in found["references"]
    # one that is empty says of all that they are not there
    for index in OTHER_LOOK:
        facts["references"][str(index)] = {**given, "objects": {}}
    path.write_text(json.dumps(facts), encoding="utf-8")
    assert not set(frames(ask(rolled, "-k", "8"))) & set(OTHER_LOOK)


# ---------------------------------------------------------------- the contact sheet


def test_the_sheet_shows_references_and_suggestions_with_the_outline(rolled: CommandLine) -> None:
    found = ask(rolled, "-k", "7")
    assert found["sheet"] == "workspace/ball/suggest.png"
    with Pillow.open(found["sheet"]) as picture:
        assert picture.format == "PNG"
        sheet = np.array(picture.convert("RGB"))
    amber = (sheet == (240, 180, 41)).all(axis=2)
    mark = np.argwhere(amber)
    (top, left), (bottom, right) = mark.min(axis=0), mark.max(axis=0)
    tile_width, caption = right - left + 1, bottom - top + 1
    tile_height = round(tile_width * HEIGHT / WIDTH)
    assert tile_width * tile_height == pytest.approx(320 * 180, rel=0.02)
    assert amber[top : bottom + 1, left : right + 1].mean() > 0.6, (
        "one mark, under the one reference"
    )
    assert not amber[top : bottom + 1, left : right + 1].all(), "with text on it"
    expected = [0, *frames(found)]
    for number, index in enumerate(expected):
        row, column = (0, 0) if number == 0 else (1 + (number - 1) // 5, (number - 1) % 5)
        y = top - tile_height + row * (tile_height + caption + gap(sheet, bottom, left))
        x = left + column * (tile_width + gap(sheet, bottom, left))
        tile = sheet[y : y + tile_height, x : x + tile_width]
        image, mask = scene(index)
        expected_tile = cv2.resize(
            image, (tile_width, tile_height), interpolation=cv2.INTER_AREA
        ).astype(np.float32)
        small = cv2.resize(mask, (tile_width, tile_height), interpolation=cv2.INTER_NEAREST)
        core, near = cv2.erode(small, np.ones((9, 9))), cv2.dilate(small, np.ones((9, 9)))
        away = (core > 0) | (near == 0)
        assert np.abs(tile.astype(np.float32) - expected_tile)[away].mean() < 10, (
            f"frame {index} is in the {number}. tile"
        )
        outline = (tile == (255, 0, 0)).all(axis=2)
        assert outline.sum() > 2 * math.pi * 20
        assert not outline[away].any()
        text = sheet[y + tile_height : y + tile_height + caption, x : x + tile_width].astype(int)
        assert np.ptp(text) > 120, "a caption is written"


def gap(sheet: Image, bottom: int, left: int) -> int:
    """Rows between the reference's caption and the next tile: the sheet's ground."""
    ground = (sheet[bottom + 1 :, left] == (30, 31, 34)).all(axis=1)
    return int(np.argmin(ground))


def test_the_sheet_goes_where_it_is_asked_to_and_never_over_something_of_value(
    rolled: CommandLine,
) -> None:
    before = rolled.files()
    assert ask(rolled, "-o", "here/sheet.png", "-k", "1")["sheet"] == "here/sheet.png"
    after = rolled.files()
    assert set(after) - set(before) == {"here/sheet.png"}
    rolled.fails("suggest", "ball.mp4", "-o", "sheet.jpg", code=2)
    rolled.fails("suggest", "ball.mp4", "-o", "workspace/ball/masks/0000003.png", code=2)
    assert "reference mask" in rolled.fails("suggest", "ball.mp4", "-o", "m.png", code=2).error
    assert rolled.files() == after
    ask(rolled, "-o", "here/sheet.png", "-k", "2")
    assert rolled.files()["here/sheet.png"] != after["here/sheet.png"]
    assert not list(rolled.folder.rglob("*.part"))


# ---------------------------------------------------------------- fewer frames


def test_only_frames_with_a_mask_are_candidates(
    cli: CommandLine, take: Callable[..., Path], rolling: Path
) -> None:
    take(rolling)
    paint(Path("m.png"), scene(30)[1])
    cli(
        "segment",
        "ball.mp4",
        "--first-mask",
        "m.png",
        "--start",
        "30",
        "--stop",
        "40",
        "--propagator",
        "fake",
    )
    ran = cli("suggest", "ball.mp4", "--json", "-k", "99")
    assert sorted(frames(json.loads(ran.stdout))) == list(range(31, 40))
    assert "10 of 48 frames have a mask; only those can be suggested" in ran.notes
    assert any(
        note.startswith("99 frames were asked for, 9 can be suggested") for note in ran.notes
    )
    Path("workspace/ball/masks/0000034.png").unlink()
    assert "0000034.png is missing" in cli.fails("suggest", "ball.mp4", code=2).error, (
        "a mask that is gone is an error"
    )


def test_an_unfinished_run_is_noticed(rolled: CommandLine) -> None:
    path = Path("workspace/ball/manifest.json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(facts | {"done": [[0, 12]]}), encoding="utf-8")
    ran = rolled("suggest", "ball.mp4", "--json")
    assert max(frames(json.loads(ran.stdout))) < 12
    assert any("--resume" in note for note in ran.notes)
    assert "12 of 48 frames have a mask; only those can be suggested" in ran.notes


def test_references_without_a_mask_are_left_out_and_none_at_all_is_an_error(
    rolled: CommandLine,
) -> None:
    path = Path("workspace/ball/manifest.json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    both = {"0": facts["references"]["0"], "40": facts["references"]["0"]}
    path.write_text(json.dumps(facts | {"references": both, "done": [[0, 30]]}), encoding="utf-8")
    ran = rolled("suggest", "ball.mp4", "--json")
    assert json.loads(ran.stdout)["references"] == [0]
    assert "reference frames without a mask here are not compared with: 40" in ran.notes
    path.write_text(json.dumps(facts | {"done": [[1, 30]]}), encoding="utf-8")
    assert "--resume" in rolled.fails("suggest", "ball.mp4", code=2).hint


def test_hardly_any_object_is_no_candidate(rolled: CommandLine) -> None:
    speck = np.zeros((HEIGHT, WIDTH), np.uint8)
    speck[:4, :8] = 1  # 0.21 %
    for index in OTHER_LOOK:
        put(index, speck)
    ran = rolled("suggest", "ball.mp4", "--json", "-k", "99")
    assert set(frames(json.loads(ran.stdout))) == set(range(1, FRAMES)) - set(OTHER_LOOK)
    assert any("6 masks cover less than 0.25 %" in note for note in ran.notes)
    assert set(OTHER_LOOK) <= set(frames(ask(rolled, "-k", "99", "--min-mask-percent", "0.2")))
    nothing = rolled("suggest", "ball.mp4", "--json", "--min-mask-percent", "100")
    assert frames(json.loads(nothing.stdout)) == []
    assert any("0 can be suggested" in note for note in nothing.notes)


def test_long_clips_are_compared_at_evenly_spaced_frames(rolled: CommandLine) -> None:
    ran = rolled("suggest", "ball.mp4", "--json", "--candidates", "6", "-k", "6")
    found = json.loads(ran.stdout)
    assert found["considered"] == 6
    chosen = sorted(frames(found))
    assert all(6 <= later - earlier <= 10 for earlier, later in itertools.pairwise(chosen))
    assert any(
        "compared 6 evenly spaced frames of 47; a larger --candidates compares more" in note
        for note in ran.notes
    )
    whole = rolled("suggest", "ball.mp4", "--json", "--candidates", "47")
    assert json.loads(whole.stdout)["considered"] == 47
    assert not any("evenly" in note for note in whole.notes)


def test_a_long_clip_is_decoded_once_and_jumps_where_that_saves_work(
    rolling: Path, make_clip: Callable[..., Path]
) -> None:
    def checked(path: Path, indices: list[int]) -> list[tuple[int, int]]:
        reader = open_clip(path, notify=print)
        spans: list[tuple[int, int]] = []
        noted = Noting(reader, spans)
        found = list(pictures_at(noted, indices))
        assert [index for index, _ in found] == indices
        for index, image in found:
            np.testing.assert_array_equal(image, reader.frame(index).image)
        return spans

    assert checked(rolling, [0, 7, 40]) == [(0, 41)], "one keyframe: one run through the clip"
    intra = make_clip(
        "intra.mp4", pts=tuple(range(0, 40 * 512, 512)), options={"g": "1", "preset": "ultrafast"}
    )
    assert checked(intra, [2, 3, 6, 30]) == [(2, 7), (30, 31)]


class Noting:
    """A reader that notes what is asked for."""

    def __init__(self, reader: ClipReader, spans: list[tuple[int, int]]) -> None:
        self._reader, self._spans = reader, spans
        self.info = reader.info

    def frames(self, start: int, stop: int) -> Any:  # noqa: ANN401  an iterator of frames
        self._spans.append((start, stop))
        return self._reader.frames(start, stop)


def test_every_frame_is_in_one_span() -> None:
    assert list(spans_of([], [0])) == []
    assert list(spans_of([5], [])) == [(5, 5)]
    assert list(spans_of([1, 2, 60, 200, 203], [0, 50, 100, 202])) == [(1, 2), (60, 60), (200, 203)]


# ---------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("-k", "0"), ("-k", "-3"), ("--alpha", "1.01"), ("--alpha", "-0.1"), ("--alpha", "nan"),
        ("--min-mask-percent", "-1"), ("--min-mask-percent", "100.5"), ("--min-mask-percent",
        "nan"),
        ("--candidates", "0"), ("--size", "0"), ("--propagator", "fake"), ("--propagator", "sam"),
    ],
)  # fmt: skip
def test_values_out_of_range_are_misuse(rolled: CommandLine, option: str, value: str) -> None:
    ran = rolled.fails("suggest", "ball.mp4", option, value, code=2)
    assert value in ran.error
    assert ran.hint
    assert not Path("workspace/ball/suggest.png").exists()


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is there")
def test_xmem_without_pytorch_says_what_to_install(rolled: CommandLine) -> None:
    ran = rolled.fails("suggest", "ball.mp4", "--propagator", "xmem", code=1)
    assert "torch" in ran.error
    assert "pip install -e '.[xmem]'" in ran.hint


def test_a_clip_without_masks_says_what_to_do(
    cli: CommandLine, take: Callable[..., Path], rolling: Path
) -> None:
    take(rolling)
    assert "segment" in cli.fails("suggest", "ball.mp4", code=2).hint
    assert not Path("workspace").exists()


def test_settings_come_from_config_ini_and_the_last_clip_is_taken(rolled: CommandLine) -> None:
    Path("config.ini").write_text(
        "[suggest]\ncount = 2\nalpha = 1\ncandidates = 10\n", encoding="utf-8"
    )
    found = json.loads(rolled("suggest", "--json").stdout)
    assert (len(found["suggestions"]), found["alpha"], found["considered"]) == (2, 1.0, 10)
    assert len(ask(rolled, "-k", "3")["suggestions"]) == 3
    Path("config.ini").write_text("[suggest]\nalpha = 7\n", encoding="utf-8")
    assert "alpha is 7" in rolled.fails("suggest", code=2).error
