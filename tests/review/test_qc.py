"""`qc` through the command line: masks that are right, and then damaged on known frames in known
ways.
"""

from __future__ import annotations

import csv
import html
import json
import math
import re
import shlex
from collections.abc import Callable
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from support.command_line import CommandLine, paint
from support.rolling import TICKS, film, put, segment_truly

from vfx_matte.masks import Image, Mask, Palette
from vfx_matte.media.readers.video import VideoReader
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.pipeline.confidence import doubts
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import save_mask

pytestmark = pytest.mark.slow

FRAMES = 60
HEIGHT, WIDTH = 144, 240


def scene(index: int) -> tuple[Image, Mask]:
    """A red ball that rolls to and fro over a soft pattern, now faster and now slower; its mask has
    id 1.
    """
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    mask = (columns - 120 + 60 * math.cos(index / 6)) ** 2 + (rows - 70) ** 2 < 30**2
    coarse = np.random.default_rng(0).integers(60, 180, (9, 15, 3)).astype(np.uint8)
    image: Image = np.asarray(
        cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8
    )
    image[mask] = (200, 50, 60)
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

    cli.once("the ball of qc", make)
    return cli


def check(cli: CommandLine, *arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("qc", "--json", *arguments).stdout)
    return found


def halved(index: int) -> Mask:
    mask = scene(index)[1]
    mask[:70] = 0
    return mask


def holed(index: int) -> Mask:
    mask = scene(index)[1]
    rows, columns = np.nonzero(mask)
    middle = int(columns.mean())
    mask[60:70, middle - 8 : middle + 8] = 0
    assert len(rows) > 2000
    return mask


def specked(index: int) -> Mask:
    mask = scene(index)[1]
    for at in range(0, 220, 36):
        mask[130:135, at : at + 5] = 1
    return mask


def shifted(index: int) -> Mask:
    return np.roll(scene(index)[1], -30, axis=0)


def empty(index: int) -> Mask:
    return np.zeros_like(scene(index)[1])


# ---------------------------------------------------------------- what is found


def test_right_masks_do_not_stand_out_although_the_ball_speeds_up_and_slows_down(
    rolled: CommandLine,
) -> None:
    found = check(rolled)
    assert found["problems"] == []
    assert found["flagged"] == []
    assert (found["frames"], found["fix_next"], found["sheet"]) == (FRAMES, None, None)
    assert "Nothing stands out" in Path("workspace/ball/qc/report.html").read_text(encoding="utf-8")
    assert not Path("workspace/ball/qc/worst.png").exists()
    rolled("qc", "--fail-over", "0")


@pytest.mark.parametrize(
    ("damage", "kind", "words", "what_to_do"),
    [
        (
            halved,
            "area",
            r"lost 4\d % of its area against the frames before",
            "paint a mask on frame 25",
        ),
        (
            holed,
            "holes",
            r"has 1 hole without an edge in the picture, 6\.0 % of its area \(usually 0\.0 %\)",
            r"--fill-holes 200, or paint",
        ),
        (
            specked,
            "specks",
            r"has 7 specks beside it, 5\.8 % of its area",
            r"--remove-specks 30 if the loose pieces are none of it, or paint",
        ),
        (
            shifted,
            "overlap",
            r"covers only \d\d % of where its motion should take it",
            "paint a mask on frame 25",
        ),
        (
            shifted,
            "edge_agreement",
            r"its edge does not lie on an edge of the picture",
            "paint a mask on frame 25",
        ),
        (halved, "flicker", r"flickers: \d\d % of its area", "paint a mask on frame 25"),
        (
            empty,
            "gone",
            r"is gone for 1 frame, 25 to 25, though it did not leave",
            "if it is there, paint a mask on frame 25",
        ),
    ],
)
def test_a_damaged_frame_is_named_with_what_is_wrong_and_what_to_do(
    rolled: CommandLine, damage: Callable[[int], Mask], kind: str, words: str, what_to_do: str
) -> None:
    put(25, damage(25))
    found = check(rolled)
    worst, *others = found["problems"]
    assert others == []
    assert kind in worst["kinds"]
    assert worst["frame"] == 25
    assert worst["time"] == "0:00.834"
    assert worst["start"] <= 25 < worst["stop"]
    assert set(found["flagged"]) <= set(range(24, 28))
    assert 25 in found["flagged"]
    assert worst["what"].startswith("object 1 ")
    assert re.search(words, worst["what"])
    assert re.search(what_to_do, worst["do"])


def test_the_worst_come_first_and_a_flicker_that_goes_on_weighs_more(rolled: CommandLine) -> None:
    put(10, holed(10))
    for index in range(40, 47, 2):
        put(index, halved(index))
    found = check(rolled)
    first, second = found["problems"]
    assert first["start"] <= 40
    assert first["stop"] > 46
    assert second["frame"] == 10
    assert [one["rank"] for one in found["problems"]] == [1, 2]
    assert found["fix_next"]["frame"] == first["frame"]


def test_low_confidence_is_named_from_the_manifest(rolled: CommandLine) -> None:
    path = Path("workspace/ball/manifest.json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["confidence"] = {"1": [100, 20, 60, 5, 50, 1, 60, 4, 100, FRAMES - 30]}
    path.write_text(json.dumps(facts), encoding="utf-8")
    found = check(rolled)
    (one,) = found["problems"]
    assert one["kinds"] == ["confidence"]
    assert one["frame"] == 25
    assert (one["start"], one["stop"]) >= (20, 30)
    assert "uncertain: 50 %" in one["what"]


def test_a_lost_piece_beside_a_speck_is_no_speck(rolled: CommandLine) -> None:
    """`--remove-specks` would leave the gap in the ball, which is open to the outside."""
    for index in range(25, 35):
        mask = scene(index)[1]
        middle = int(np.nonzero(mask)[1].mean())
        mask[75:, middle : middle + 16] = 0
        mask[130:138, 20:26] = 1
        put(index, mask)
    (one,) = check(rolled)["problems"]
    assert {"sides", "specks"} <= set(one["kinds"])
    assert one["do"] == f"paint a mask on frame {one['frame']}"
    # where nothing but the speck comes and goes, it is one
    for index in range(25, 35):
        mask = scene(index)[1]
        mask[130:138, 20:26] = 1
        put(index, mask)
    (one,) = check(rolled)["problems"]
    assert "--remove-specks 50 if the loose pieces are none of it, or paint a mask on" in one["do"]


def test_nobody_is_sent_to_a_frame_whose_mask_was_given(rolled: CommandLine) -> None:
    for index in (25, 26, 27):
        put(index, holed(index))
    path = Path("workspace/ball/manifest.json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    for index in (24, 25, 26, 27, 28):
        facts["references"][str(index)] = facts["references"]["0"]
    path.write_text(json.dumps(facts), encoding="utf-8")
    found = check(rolled)
    assert [one["frame"] for one in found["problems"]] in ([25], [26], [27])
    assert "is your own: give another one only if it is wrong" in found["problems"][0]["do"]
    assert found["fix_next"] is None


def test_a_mask_of_another_object_alone_is_none_of_this_one(rolled: CommandLine) -> None:
    """Neither is it said to be the user's own, nor is the ball sure beside it."""
    for index in (25, 26, 27):
        put(index, holed(index))
    path = Path("workspace/ball/manifest.json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    other = {**facts["references"]["0"], "objects": {"2": [0, 128, 0]}}
    for index in (24, 25, 26, 27, 28, 45):
        facts["references"][str(index)] = other
    facts["confidence"] = {"1": [100, 40, 20, 1, 100, FRAMES - 41]}
    path.write_text(json.dumps(facts), encoding="utf-8")
    hole, doubt = sorted(check(rolled)["problems"], key=lambda one: one["frame"])
    assert hole["frame"] in (25, 26, 27)
    assert "is your own" not in hole["do"]
    # a mask of the ball is what such a frame lacks
    put(40, halved(40))
    put(45, halved(45))
    worst = check(rolled)
    assert worst["fix_next"]["frame"] == worst["problems"][0]["frame"] == 45
    put(40, scene(40)[1])
    put(45, scene(45)[1])
    assert doubt["kinds"] == ["confidence"]
    # what is wrong there is carried on over frame 45
    assert (doubt["start"], doubt["stop"]) == (40, FRAMES)
    # of an empty one every object is told that it is not there
    for index in (24, 25, 26, 27, 28):
        facts["references"][str(index)] = {**other, "objects": {}}
    path.write_text(json.dumps(facts), encoding="utf-8")
    found = {one["frame"]: one["do"] for one in check(rolled)["problems"]}
    assert any("is your own" in do for do in found.values())


def test_a_place_where_the_object_leaves_is_not_the_one_to_paint(rolled: CommandLine) -> None:
    """What is left of a ball at the picture's border, and one that is whole and has a hole."""
    path = Path("workspace/ball/manifest.json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    values = [100] * 30 + [60] * 10 + [100] * 20
    facts["confidence"] = {"1": [item for value in values for item in (value, 1)]}
    # what is around it was given, so that only these frames are left to name
    for index in (28, 29, 40, 41):
        facts["references"][str(index)] = facts["references"]["0"]
    path.write_text(json.dumps(facts), encoding="utf-8")
    for index in range(30, 40):
        mask = np.zeros_like(scene(index)[1])
        mask[60 : 60 + index // 4, :6] = 1
        put(index, mask)
    found = check(rolled)
    left = [one for one in found["problems"] if one["frame"] in range(30, 40)]
    assert left
    assert found["fix_next"] is None
    assert not [one for one in found["problems"] if "confidence" in one["kinds"]]
    for one in left:
        assert one["do"].startswith("the object is entering or leaving the picture on frame 3")
        assert one["do"].endswith(" px of it in sight: a mask there teaches little")
    put(12, holed(12))
    assert check(rolled)["fix_next"]["frame"] not in range(30, 40)
    # a few pixels away from the border may be what is left of a ball that is there
    for index in range(30, 40):
        mask = np.zeros_like(scene(index)[1])
        mask[60:66, 100:106] = 1
        put(index, mask)
    lost = [one["do"] for one in check(rolled)["problems"] if one["frame"] in range(30, 40)]
    assert lost
    assert all("if more of it is in sight than these 36 px, paint a mask" in one for one in lost)


def test_segment_and_qc_rank_what_the_run_doubts_alike(rolled: CommandLine) -> None:
    """Another order, or another frame of the same place, would look like a contradiction."""
    path = Path("workspace/ball/manifest.json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    values = [100] * 4 + [70] * 9 + [100] * 12 + [60, 40, 40, 61] + [100] * (FRAMES - 29)
    facts["confidence"] = {"1": [item for value in values for item in (value, 1)]}
    # masks between them, as what is uncertain is carried on
    for index in (15, FRAMES - 1):
        facts["references"][str(index)] = facts["references"]["0"]
    path.write_text(json.dumps(facts), encoding="utf-8")
    found = check(rolled)["problems"]
    assert [one["kinds"] for one in found] == [["confidence"]] * 2
    lines = doubts({1: values}, {1: []}, {1: (0, 15, FRAMES - 1)}, first_frame=0)
    named = [int(frame) for line in lines for frame in re.findall(r"near frame (\d+)", line)]
    assert [one["frame"] for one in found] == named == [26, 4]


def test_what_leaves_the_picture_is_no_fault(cli: CommandLine) -> None:
    folder = cli.folder / "out"
    folder.mkdir()
    masks = []
    for index in range(40):
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        mask = ((columns - 100 - 6 * index) ** 2 + (rows - 70) ** 2 < 30**2).astype(np.uint8)
        image = (
            np.full((HEIGHT, WIDTH, 3), 90, np.uint8) + (rows // 3 % 40).astype(np.uint8)[..., None]
        )
        image[mask > 0] = (200, 50, 60)
        Pillow.fromarray(image).save(folder / f"{index:04d}.png")
        masks.append(mask)
    paint(Path("m.png"), masks[0])
    cli("segment", "out", "--first-mask", "m.png", "--propagator", "fake")
    for index, mask in enumerate(masks):
        save_mask(Path(f"workspace/out/masks/{index:07d}.png"), mask, Palette.davis())
    assert check(cli)["problems"] == []
    save_mask(Path("workspace/out/masks/0000012.png"), np.zeros_like(masks[0]), Palette.davis())
    assert [one["frame"] for one in check(cli)["problems"]] == [12]


def test_several_objects_are_judged_each_by_itself(rolled: CommandLine) -> None:
    ids = scene(0)[1]
    ids[5:30, 5:40] = 2
    paint(Path("two.png"), ids)
    rolled("segment", "ball.mp4", "--first-mask", "two.png", "--propagator", "fake", "--fresh")
    for index in range(FRAMES):
        mask = scene(index)[1]
        mask[5:30, 5:40] = 2
        if index == 33:
            mask[5:18, 5:40] = 0
        put(index, mask)
    (one,) = check(rolled)["problems"]
    assert (one["object_id"], one["frame"]) == (2, 33)


def test_soft_results_are_checked_too(rolled: CommandLine) -> None:
    rolled(
        "segment", "ball.mp4", "--first-mask", "m.png", "--propagator", "fake", "--soft", "--fresh"
    )
    for index in range(FRAMES):
        mask = scene(index)[1]
        put(index, mask)
        blurred = cv2.GaussianBlur(mask * 255, (0, 0), 9 if index == 30 else 1.5)
        Pillow.fromarray(np.asarray(blurred, np.uint8)).save(
            f"workspace/ball/masks/soft/1/{index:07d}.png"
        )
    (one,) = check(rolled)["problems"]
    assert one["kinds"] == ["edge_width"]
    assert one["frame"] == 30
    assert "Width of the soft edge" in Path("workspace/ball/qc/report.html").read_text(
        encoding="utf-8"
    )


# ---------------------------------------------------------------- cuts


def cut_film(index: int) -> Image:
    image = scene(0)[0] if index < 30 else np.ascontiguousarray(255 - scene(0)[0][::-1, :, ::-1])
    return np.asarray(image, np.uint8)


@pytest.fixture
def cut(cli: CommandLine) -> CommandLine:
    """ball.mp4 with a cut at frame 30."""
    starts = tuple(index * TICKS for index in range(FRAMES))

    def make() -> None:
        make_film(
            Path("ball.mp4"),
            map(cut_film, range(FRAMES)),
            Timeline(starts, (TICKS,) * FRAMES, Fraction(1, 30000)),
            np.zeros((1, 1024), np.float32),
        )
        paint(Path("m.png"), scene(0)[1])

    cli.once("a ball and a cut", make)
    return cli


def test_masks_that_ran_over_a_cut_are_named(cut: CommandLine) -> None:
    cut("segment", "ball.mp4", "--first-mask", "m.png", "--propagator", "fake", "--cuts", "ignore")
    found = check(cut)
    assert found["cuts"] == [30]
    (one,) = found["problems"]
    assert (one["kinds"], one["frame"], one["start"], one["stop"]) == (["crossing"], 30, 30, FRAMES)
    assert "runs over the shot cut at frame 30" in one["what"]
    assert "--cuts stop" in one["do"]
    words = shlex.split(found["fix_next"]["segment_command"])
    assert words[-3:] == ["--cuts", "stop", "--fresh"]
    paint(Path(found["fix_next"]["mask"]), scene(0)[1])
    cut(*words[1:])
    # the fake propagator's mask stays where it was, and the ball does not
    kinds = {kind for one in check(cut)["problems"] for kind in one["kinds"]}
    assert kinds <= {"sides"}


def test_a_shot_without_a_mask_is_no_fault_but_said(cut: CommandLine) -> None:
    cut("segment", "ball.mp4", "--first-mask", "m.png", "--propagator", "fake")
    found = check(cut)
    assert (found["problems"], found["cuts"], found["shots_without_mask"]) == (
        [],
        [30],
        [[30, FRAMES]],
    )
    assert "frames 30 to 59 are a shot without a painted mask" in cut("qc").stdout
    page = Path("workspace/ball/qc/report.html").read_text(encoding="utf-8")
    assert "30 to 59" in page


def test_a_jump_from_shot_to_shot_is_none(cut: CommandLine) -> None:
    small = np.zeros((HEIGHT, WIDTH), np.uint8)
    small[100:130, 20:50] = 1
    paint(Path("small.png"), small)
    cut(
        "segment", "ball.mp4", "--mask", "0=m.png", "--mask", "30=small.png", "--propagator", "fake"
    )
    assert check(cut)["problems"] == []


# ---------------------------------------------------------------- how it is told


def test_the_table_says_it_all_and_the_commands_run(rolled: CommandLine) -> None:
    put(25, halved(25))
    ran = rolled("qc", "ball.mp4")
    assert "1 of 60 frames stand out" in ran.stdout or re.search(
        r"[2-4] of 60 frames stand out", ran.stdout
    )
    assert re.search(r"25 +0:00\.834", ran.stdout)
    assert "paint a mask on frame 25" in ran.stdout
    frame, segment = (
        shlex.split(line)[1:] for line in ran.stdout.splitlines() if line.startswith("  vfx-matte ")
    )
    assert (
        "vfx-matte mask ball.mp4 --at 25 --from propagated -o ball.mask.0000025.png --fg X,Y\n"
        in ran.stdout
    )
    rolled(*frame)
    assert Path("ball.0000025.png").exists()
    assert segment[-1] == "--update"
    assert "0=m.png" in segment, "the mask that was given, so that it counts as unchanged"
    painted = next(word.partition("=")[2] for word in segment if word.startswith("25="))
    paint(Path(painted), scene(25)[1])
    rolled(*segment, "--propagator", "fake")
    np.testing.assert_array_equal(rolled.mask(25, clip="ball"), scene(25)[1])


def test_the_exit_code_for_scripts(rolled: CommandLine) -> None:
    put(25, holed(25))
    put(45, holed(45))
    flagged = len(check(rolled)["flagged"])
    assert flagged >= 2
    for allowed, code in (
        ("0", 1),
        (str(flagged - 1), 1),
        (str(flagged), 0),
        ("1%", 1),
        ("50%", 0),
    ):
        ran = rolled.run("qc", "--fail-over", allowed)
        assert ran.code == code, ran.stderr
        assert bool(ran.error) == bool(code)
        assert "frames stand out" in ran.stdout, "the table is printed all the same"
        assert ("report.html" in ran.hint) == bool(code)
    Path("config.ini").write_text("[qc]\nfail_over = 0\n", encoding="utf-8")
    assert rolled.run("qc").code == 1
    for wrong in ("many", "-1", "2.5", "%", "nan"):
        assert repr(wrong) in rolled.fails("qc", "--fail-over", wrong, code=2).error


def test_csv_holds_every_frame_and_the_areas_are_those_of_the_masks(rolled: CommandLine) -> None:
    put(25, holed(25))
    rolled("qc", "--csv", "numbers/frames.csv")
    with Path("numbers/frames.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES))
    for index, row in enumerate(rows):
        area = np.count_nonzero(rolled.mask(index, clip="ball"))
        assert float(row["area_px"]) == area
        assert float(row["area_percent"]) == pytest.approx(100 * area / (WIDTH * HEIGHT), rel=1e-3)
        assert float(row["seconds"]) == pytest.approx(index * TICKS / 30000, abs=1e-6)
        assert float(row["confidence_percent"]) == 100
    assert rows[0]["overlap"] == ""
    assert (rows[25]["holes"], rows[25]["holes_px"], rows[25]["stands_out"]) == ("1", "160", "1")
    assert float(rows[25]["severity"]) > 1
    assert rows[24]["holes"] == "0"


class Page(HTMLParser):
    """What a page refers to, and whether its tags are balanced."""

    VOID = ("meta", "img", "path", "rect", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID or (
            tag in ("path", "rect") and not self.get_starttag_text().endswith("/>")
        ):  # type: ignore[union-attr]
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_from_outside(
    rolled: CommandLine, take: Callable[..., Path], rolling: Path
) -> None:
    take(rolling, "<b>猫 & dog.mp4")
    rolled("segment", "<b>猫 & dog.mp4", "--first-mask", "m.png", "--propagator", "fake")
    masks = next(Path("workspace").glob("*dog")) / "masks"
    for index in range(FRAMES):
        save_mask(
            masks / f"{index:07d}.png",
            halved(index) if index in (20, 40) else scene(index)[1],
            Palette.davis(),
        )
    ran = rolled("qc", "<b>猫 & dog.mp4", "-k", "1")
    text = (masks.parent / "qc/report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert html.escape("<b>猫 & dog.mp4") in text
    assert "<b>猫" not in text
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in page.addresses)
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)
    assert page.tags.count("img") == 3, "-k 1: the frame, the one before and the one after"
    assert page.tags.count("svg") == 9, "the strip and eight curves"
    assert "and 1 more places" in ran.stdout


def test_the_sheet_shows_the_frame_between_its_neighbours(rolled: CommandLine) -> None:
    put(25, halved(25))
    found = check(rolled)
    with Pillow.open(found["sheet"]) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[1] > 3 * 320
    marked = np.abs(pixels - (240, 180, 41)).max(axis=2) < 8
    columns = np.flatnonzero(marked.sum(axis=0) > 8)
    assert 300 < columns.max() - columns.min() < 340, "one marked caption, below the middle picture"
    assert pixels.shape[1] / 3 < columns.mean() < pixels.shape[1] * 0.75


# ---------------------------------------------------------------- bounds and misuse


def test_the_clip_is_decoded_once_apart_from_the_pictures_of_the_worst(
    rolled: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(25, halved(25))
    seen: list[int] = []
    plain = VideoReader.frames

    def noting(self: VideoReader, start: int = 0, stop: int | None = None) -> Any:  # noqa: ANN401
        for frame in plain(self, start, stop):
            seen.append(frame.index)
            yield frame

    monkeypatch.setattr(VideoReader, "frames", noting)
    rolled("qc", "-k", "1")
    assert seen[:FRAMES] == list(range(FRAMES))
    assert set(seen[FRAMES:]) == {24, 25, 26}


def test_only_the_range_that_was_segmented_counts(
    cli: CommandLine, take: Callable[..., Path], rolling: Path
) -> None:
    take(rolling)
    paint(Path("m.png"), scene(10)[1])
    cli(
        "segment",
        "ball.mp4",
        "--mask",
        "10=m.png",
        "--start",
        "5",
        "--stop",
        "40",
        "--propagator",
        "fake",
    )
    for index in range(5, 40):
        put(index, halved(index) if index == 30 else scene(index)[1])
    found = check(cli)
    assert found["frames"] == 35
    assert [one["frame"] for one in found["problems"]] == [30]
    segment = shlex.split(found["fix_next"]["segment_command"])
    assert segment[segment.index("--start") + 1] == "5"
    assert segment[segment.index("--stop") + 1] == "40"


def test_a_reference_that_does_not_fit_points_beside_it(rolled: CommandLine) -> None:
    paint(Path("m30.png"), halved(30))
    rolled(
        "segment",
        "ball.mp4",
        "--mask",
        "0=m.png",
        "--mask",
        "30=m30.png",
        "--propagator",
        "fake",
        "--fresh",
    )
    for index in range(FRAMES):
        put(index, halved(index) if index == 30 else scene(index)[1])
    (jump,) = (one for one in check(rolled)["problems"] if "area" in one["kinds"])
    assert jump["frame"] in (29, 31)


def test_misuse(rolled: CommandLine) -> None:
    before = rolled.files()
    assert "0" in rolled.fails("qc", "-k", "0", code=2).error
    assert "masks" in rolled.fails("qc", "-o", "workspace/ball/masks", code=2).error
    assert "nothing.mp4" in rolled.fails("qc", "nothing.mp4", code=2).error
    Path("file").write_text("x")
    assert rolled.run("qc", "-o", "file").code == 1
    Path("file").unlink()
    assert rolled.files() == before
    rolled("qc", "-o", "elsewhere")
    assert [path.name for path in Path("elsewhere").iterdir()] == ["report.html"]


def test_a_clip_without_masks_says_what_to_do(
    cli: CommandLine, take: Callable[..., Path], rolling: Path
) -> None:
    take(rolling)
    ran = cli.fails("qc", "ball.mp4", code=2)
    assert "segment" in ran.hint
