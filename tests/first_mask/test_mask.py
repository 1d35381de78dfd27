"""`mask` through the command line.

Where it is about files and objects, a method stands in that paints what it is told.
"""

from __future__ import annotations

import itertools
import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from support.command_line import HEIGHT, WIDTH, CommandLine, Ran, paint, two_objects

from vfx_matte.first_mask import Answer, Marks
from vfx_matte.masks import Palette, overlap
from vfx_matte.media.writers.synthetic import make_clip
from vfx_matte.references.painting import read_note
from vfx_matte.scene import Scene
from vfx_matte.workspace import load_mask

Pixels = npt.NDArray[Any]
RADIUS = 6


class Painter:
    """A first mask method: discs where clicks are, lines where strokes are, all of a box; two
    subjects.
    """

    def __init__(self, image: Pixels) -> None:
        self.shape = image.shape[:2]

    def answer(self, marks: Marks, previous: Pixels | None = None) -> Answer:
        mask = np.zeros(self.shape, np.float32) if previous is None else previous.copy()
        if marks.box is not None and previous is None:
            x, y, width, height = marks.box
            mask[y : y + height, x : x + width] = 1
        for click in marks.clicks:
            cv2.circle(mask, (click.x, click.y), RADIUS, float(click.is_object), cv2.FILLED)
        for stroke in marks.strokes:
            cv2.polylines(
                mask,
                [np.array(stroke.points, np.int32)],
                isClosed=False,
                color=float(stroke.is_object),
                thickness=3,
            )
        unsure = not marks.clicks
        return Answer(
            mask, 0.4 if unsure else 0.9, "click on the subject (--fg x,y)" if unsure else ""
        )

    def subjects(self) -> list[Answer]:
        found = []
        for left, width in ((4, 40), (60, 20)):
            mask = np.zeros(self.shape, np.float32)
            mask[8:40, left : left + width] = 0.8
            found.append(Answer(mask, 0.4, "mark what is missing"))
        return [*found, Answer(np.ones(self.shape, np.float32), 0.02)]


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "vfx_matte.pipeline.first_mask.marking.open_first_mask", lambda image, **_: Painter(image)
    )
    monkeypatch.setattr(
        "vfx_matte.pipeline.first_mask.marking.salient_network", lambda *_a, **_k: None
    )


@pytest.fixture
def here(cli: CommandLine, take: Callable[..., Path], clip: Path, painter: None) -> CommandLine:
    """A working directory with clip.mp4."""
    take(clip)
    return cli


def disc(x: int, y: int) -> Pixels:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (x, y), RADIUS, 1, cv2.FILLED)
    return mask > 0


def raw(path: str | Path) -> Pixels:
    with Image.open(path) as picture:
        return np.array(picture)


# ---------------------------------------------------------------- what is marked


def test_clicks_need_no_box(here: CommandLine) -> None:
    ran = here(
        "mask",
        "clip.mp4",
        "--at",
        "3",
        "--fg",
        "30,20",
        "--fg=60,40",
        "--bg",
        "34,20",
        "-o",
        "m.png",
    )
    expected = (disc(30, 20) | disc(60, 40)) & ~disc(34, 20)
    np.testing.assert_array_equal(load_mask(Path("m.png")), expected)
    lines = ran.stdout.splitlines()
    assert lines == [
        "m.png",
        f"object 1: {expected.sum()} px, {expected.mean():.1%} of the picture, confidence 90%",
        "preview: m.preview.png",
        "next: vfx-matte segment clip.mp4 --mask 3=m.png",
    ]
    before = here.files()
    here(
        "mask",
        "clip.mp4",
        "--at",
        "3",
        "--fg",
        "30,20",
        "--fg=60,40",
        "--bg",
        "34,20",
        "-o",
        "m.png",
    )
    assert here.files() == before, "the same marks give the same bytes"


def test_strokes_boxes_and_an_unsure_answer(here: CommandLine) -> None:
    ran = here(
        "mask",
        "clip.mp4",
        "--fg-stroke",
        "10,10 50,10  50,30",
        "--bg-stroke",
        "20,10 30,10",
        "--no-preview",
    )
    mask = load_mask(Path("clip.mask.0000000.png"))
    assert (mask[10, 12], mask[25, 50], mask[10, 25], mask[40, 40]) == (1, 1, 0, 0)
    assert "unsure: click on the subject (--fg x,y)" in ran.stdout.splitlines()
    assert not list(Path().glob("*.preview.png"))
    assert here("mask", "clip.mp4", "--box", "10,10,20,20", "-q", "-o", "b.png").stdout == "b.png\n"
    assert (load_mask(Path("b.png")) == 1).sum() == 400


def test_what_stands_out_becomes_objects(here: CommandLine) -> None:
    ran = here("mask", "clip.mp4", "--auto", "-o", "m.png")
    mask = load_mask(Path("m.png"))
    assert ((mask == 1).sum(), (mask == 2).sum()) == (32 * 40, 32 * 20)
    assert [line[:8] for line in ran.stdout.splitlines() if line.startswith("object")] == [
        "object 1",
        "object 2",
    ]
    assert ran.stdout.count("unsure: mark what is missing\n") == 1
    here("mask", "clip.mp4", "--auto", "--object", "2", "--box", "50,0,46,64", "-o", "two.png")
    np.testing.assert_array_equal(load_mask(Path("two.png")) == 2, mask == 2)
    here("mask", "clip.mp4", "--auto", "--bg", "70,20", "--fg", "62,45", "-o", "three.png")
    three = load_mask(Path("three.png"))
    np.testing.assert_array_equal(three == 1, mask == 1)
    np.testing.assert_array_equal(three == 2, ((mask == 2) | disc(62, 45)) & ~disc(70, 20))
    here("mask", "clip.mp4", "--fg", "20,20", "-o", "four.png")
    here("mask", "clip.mp4", "--auto", "--from", "four.png", "-o", "four.png")
    four = load_mask(Path("four.png"))
    np.testing.assert_array_equal(four == 1, disc(20, 20))
    assert set(np.unique(four)) == {0, 1, 2, 3}


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_still_replaces_its_own_earlier_one_and_nobody_elses_picture(
    here: CommandLine, suffix: str
) -> None:
    here("frame", "clip.mp4", "-o", f"own.{suffix}")
    first = Path(f"own.{suffix}").read_bytes()
    here("frame", "clip.mp4", "--at", "5", "-o", f"own.{suffix}")
    assert Path(f"own.{suffix}").read_bytes() != first
    Image.new("RGB", (WIDTH, HEIGHT)).save(f"photo.{suffix}")
    photo = Path(f"photo.{suffix}").read_bytes()
    ran = here.fails("frame", "clip.mp4", "-o", f"photo.{suffix}", code=2)
    assert "was not made by vfx-matte frame" in ran.error
    assert "-o" in ran.hint
    assert Path(f"photo.{suffix}").read_bytes() == photo
    # a name that a script has reserved is nobody's picture
    Path(f"empty.{suffix}").touch()
    here("frame", "clip.mp4", "-o", f"empty.{suffix}")


def test_one_picture_has_no_name_of_many(here: CommandLine) -> None:
    ran = here.fails("frame", "clip.mp4", "-o", "s-%04d.png", code=2)
    assert "place for a number" in ran.error
    assert "s-0000.png" in ran.hint
    # a lone # is a part of a name
    here("frame", "clip.mp4", "-o", "take #2.png")
    assert Path("take #2.png").is_file()


def test_a_mask_of_another_aspect_is_named_with_its_frame(here: CommandLine) -> None:
    Path("masks").mkdir()
    paint(Path("masks/0.png"), two_objects())
    paint(Path("masks/5.png"), np.eye(64, dtype=np.uint8))
    for given in (("--masks", "masks"), ("--mask", "5=masks/5.png")):
        ran = here.fails("segment", "clip.mp4", *given, "--colors", code=2)
        assert "mask of frame 5: mask masks/5.png is 64×64" in ran.error.replace("\\", "/")


def test_the_preview_shows_the_mask_and_the_marks(here: CommandLine) -> None:
    marks = ("--box", "5,5,60,50", "--fg", "30,30", "--bg", "60,50", "--bg-stroke", "70,10 90,10")
    here("mask", "clip.mp4", *marks, "-o", "m.png")
    here("frame", "clip.mp4", "-o", "still.png")
    shown, still, mask = (
        raw("m.preview.png").astype(int),
        raw("still.png").astype(int),
        load_mask(Path("m.png")),
    )
    assert shown.shape == still.shape
    changed = (shown != still).any(axis=2)
    assert changed[(mask == 1)].mean() > 0.95
    assert (shown[32, 32].argmax(), shown[10, 80].argmax()) == (1, 0), (
        "green is the object, red is not"
    )
    assert not changed[57:, :4].any(), "the rest is the picture"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "nothing is marked"),
        (("--from", "mask.png"), "nothing to correct"),
        (("--fg", "3"), "'3' is not of the form --fg x,y"),
        (("--fg", "3,4 5,6"), "'3,4 5,6' is not of the form --fg x,y"),
        (("--bg", "3,4.5"), "'3,4.5'"),
        (("--fg-stroke", ""), "--fg-stroke"),
        (("--fg-stroke", "1,2 3"), "'3'"),
        (("--fg", "96,3"), "point 96,3 does not lie inside the picture, 96×64"),
        (("--fg", "-1,3"), "-1,3"),
        (("--bg-stroke", "1,2 1,64"), "stroke point 1,64"),
        (("--fg", "99999999999999999999,3"), "far outside"),
        (("--box", "1,2,3"), "'1,2,3'"),
        (("--box", "20,20,1,9"), "box 20,20,1,9 is smaller than 2×2 pixels"),
        (("--box", "20,20,9,0"), "box 20,20,9,0 is smaller than 2×2 pixels"),
        (("--box", "70,9,30,30"), "box 70,9,30,30 does not lie inside the picture, 96×64"),
        (("--box", "1,2,30,30", "--box", "40,2,30,30"), "2 boxes are given"),
        (("--box", "9,9,30,30", "--fg", "60,60"), "outside the box"),
        (("--object", "0", "--fg", "3,3"), "object 0"),
        (("--object", "256", "--auto"), "object 256"),
        (("--object", "one", "--auto"), "one"),
        (("--fg", "3,3", "--from", ""), "--from"),
        (("--fg", "3,3", "--from", "none.png"), "none.png"),
        (("--fg", "3,3", "--from", "clip.mp4"), "clip.mp4"),
        (("--fg", "3,3", "--from", "tall.png"), "not the aspect"),
        (
            ("--fg", "3,3", "--from", "square.png"),
            "mask square.png is 64×64, which is not the aspect",
        ),
        (("--fg", "3,3", "--from", "mask.png"), "mask.png shows objects 1, 2"),
        (("--fg", "3,3", "--from", "propagated"), "no masks yet"),
        (("--fg", "3,3", "--at", "12"), "frame 12"),
        (("--fg", "3,3", "-o", "m.jpg"), "m.jpg"),
        (("--fg", "3,3", "-o", "m"), "'m'"),
        (("--fg", "3,3", "-o", "."), "mask '.' is not a PNG"),
        (("--fg", "3,3", "-o", "x-%d.png"), "'x-%d.png' has a place for a number"),
        (("--fg", "3,3", "-o", "x.####.png"), "'x.####.png' has a place for a number"),
        (
            (
                "--bg",
                "20,32",
                "--fg",
                "20,32",
                "--object",
                "3",
                "--from",
                "mask.png",
                "--bg-stroke",
                "0,0 95,63",
            ),
            "marked both",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_misuse_writes_nothing(here: CommandLine, options: tuple[str, ...], says: str) -> None:
    paint(Path("mask.png"), two_objects())
    paint(Path("tall.png"), two_objects((64, 96)))
    paint(Path("square.png"), np.zeros((64, 64), np.uint8))
    before = here.files()
    ran = here.fails("mask", "clip.mp4", *options, code=2)
    assert says in ran.error
    if says == "nothing is marked":
        assert all(
            option in ran.hint for option in ("--fg", "--bg", "--box", "--fg-stroke", "--auto")
        )
    assert here.files() == before


@pytest.mark.parametrize(
    ("options", "example"),
    [
        (("--fg", "X,Y"), "--fg 640,360"),
        (("--bg", "x,y"), "--bg 640,360"),
        (("--fg-stroke", "x,y x,y …"), '--fg-stroke "640,360 700,380"'),
        (("--box", "x,y,w,h"), "--box 540,260,200,300"),
    ],
)
def test_a_place_to_be_filled_in_is_told_as_that(
    here: CommandLine, options: tuple[str, str], example: str
) -> None:
    """As it is pasted from a text that shows the form of an option."""
    ran = here.fails("mask", "clip.mp4", *options, code=2)
    assert "stands for pixels of the picture: type their numbers instead" in ran.error
    assert example in ran.hint
    assert "vfx-matte frame" in ran.hint
    # another slip is shown a right one, too
    assert example in here.fails("mask", "clip.mp4", options[0], "1,z", code=2).hint


def test_a_second_box_is_a_second_object(here: CommandLine) -> None:
    ran = here.fails("mask", "clip.mp4", "--box", "1,2,30,30", "--box", "40,2,30,30", code=2)
    assert "1,2,30,30 and 40,2,30,30" in ran.error
    assert "--object N" in ran.hint


# ---------------------------------------------------------------- correcting


def test_a_correction_is_one_click(here: CommandLine) -> None:
    here("mask", "clip.mp4", "--fg", "30,20", "-o", "m.png")
    here("mask", "clip.mp4", "--from", "m.png", "--fg", "40,30", "-o", "m.png")
    here("mask", "clip.mp4", "--from", "m.png", "--bg", "26,20", "-o", "n.png")
    np.testing.assert_array_equal(load_mask(Path("m.png")) == 1, disc(30, 20) | disc(40, 30))
    np.testing.assert_array_equal(
        load_mask(Path("n.png")) == 1, (disc(30, 20) | disc(40, 30)) & ~disc(26, 20)
    )
    here("mask", "clip.mp4", "--fg", "40,30", "-o", "m.png")
    (
        np.testing.assert_array_equal(load_mask(Path("m.png")) == 1, disc(40, 30)),
        "without --from it is another mask",
    )
    kept = Path("m.png").read_bytes()
    ran = here("mask", "clip.mp4", "--from", "m.png", "--fg", "40,30", "-o", "m.png")
    assert ran.notes == ["object 1 is as it was"]
    assert Path("m.png").read_bytes() == kept, "nothing to be made again by segment --update"
    assert (
        "nothing is left of object 1"
        in here.fails(
            "mask",
            "clip.mp4",
            "--from",
            "m.png",
            "--bg-stroke",
            "33,28 47,28 47,30 33,30 33,33 47,33",
            "--bg",
            "40,30",
            code=1,
        ).error
    )


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P"])
def test_an_empty_mask_is_a_beginning_too(here: CommandLine, mode: str) -> None:
    """The propagated mask of a frame on which the object was lost is such a one."""
    Image.new(mode, (96, 64)).save("none.png")
    here("mask", "clip.mp4", "--from", "none.png", "--fg", "20,20", "-o", "m.png")
    # painted as the file is, where its mode can hold an object
    with Image.open("m.png") as picture:
        shown = np.array(picture.convert("RGB")).any(axis=2)
    np.testing.assert_array_equal(shown, disc(20, 20))
    nothing = here.fails("mask", "clip.mp4", "--from", "none.png", "--bg", "9,9", code=1)
    assert "nothing" in nothing.error


def test_an_object_is_added_and_the_others_keep_their_bytes(here: CommandLine) -> None:
    """Into a file that a user painted in two colours: mode, colours and every other pixel stay."""
    paint(Path("m.png"), two_objects())
    before, ids = raw("m.png"), two_objects()
    ran = here("mask", "clip.mp4", "--object", "3", "--fg", "50,52", "--fg", "50,40", "-o", "m.png")
    new = (disc(50, 52) | disc(50, 40)) & (ids == 0)
    assert not ran.notes
    now = raw("m.png")
    np.testing.assert_array_equal(now[~new], before[~new])
    assert len(np.unique(now[new], axis=0)) == 1
    here("mask", "clip.mp4", "--object", "2", "--bg", "70,20", "-o", "m.png")
    gone = disc(70, 20) & (ids == 2)
    np.testing.assert_array_equal(raw("m.png")[~gone], now[~gone])
    assert not raw("m.png")[gone].any()
    here("segment", "clip.mp4", "--first-mask", "m.png", "--propagator", "fake")
    expected = np.where(gone, 0, np.where(new, 3, ids))
    np.testing.assert_array_equal(here.mask(5), expected)


def test_a_click_in_another_object_takes_it_and_says_so(here: CommandLine) -> None:
    paint(Path("mask.png"), two_objects())
    ids, at = two_objects(), (75, 22)
    assert ids[22, 75] == 2
    ran = here(
        "mask", "clip.mp4", "--from", "mask.png", "--object", "1", "--fg", "75,22", "-o", "m.png"
    )
    assert ran.notes == ["a mark lies in object 2: that piece of it is object 1 now"]
    start, now = raw("mask.png"), raw("m.png")
    changed = disc(*at) & (ids != 1)
    np.testing.assert_array_equal(now[~changed], start[~changed])
    assert (now[changed] == start[ids == 1][0]).all()


def test_a_mode_that_cannot_hold_it_is_said(here: CommandLine) -> None:
    paint(
        Path("bw.png"),
        (two_objects() == 1).astype(np.uint8),
        colors=((0, 0, 0), (255, 255, 255), (9, 9, 9)),
    )
    Image.open("bw.png").convert("L").save("bw.png")
    ran = here("mask", "clip.mp4", "--object", "2", "--fg", "75,22", "-o", "bw.png")
    assert len(ran.notes) == 1
    assert "palette" in ran.notes[0]
    with Image.open("bw.png") as picture:
        assert picture.mode == "P"
    np.testing.assert_array_equal(
        load_mask(Path("bw.png")), np.where(disc(75, 22), 2, two_objects() == 1)
    )


def test_the_mask_may_come_from_the_propagated_one(project: CommandLine, painter: None) -> None:
    masks = project.files("workspace")
    ids = project.mask(5)
    ran = project(
        "mask",
        "clip.mp4",
        "--at",
        "5",
        "--from",
        "propagated",
        "--object",
        "1",
        "--fg",
        "50,55",
        "-o",
        "m.png",
    )
    np.testing.assert_array_equal(load_mask(Path("m.png")), np.where(disc(50, 55), 1, ids))
    assert project.files("workspace") == masks
    with Image.open("m.png") as picture:
        assert (picture.mode, picture.getpalette()) == (
            "P",
            Palette.davis().colors.ravel().tolist(),
        )
    words = shlex.split(ran.stdout.splitlines()[-1].removeprefix("next: "))
    assert {"2=mask.png", "5=m.png", "--update"} <= set(words)
    assert "frames made again" in project(*words[1:], "--propagator", "fake").stderr
    np.testing.assert_array_equal(project.mask(7), load_mask(Path("m.png")))
    ids = project.mask(5)
    project("mask", "clip.mp4", "--at", "5", "--from", "propagated", "--bg", "75,22", "-o", "m.png")
    np.testing.assert_array_equal(
        load_mask(Path("m.png")), np.where(disc(75, 22) & (ids == 2), 0, ids)
    )
    ran = project.fails(
        "mask", "clip.mp4", "--at", "11", "--from", "propagated", "--fg", "50,55", code=2
    )
    assert "frame 11 has no propagated mask" in ran.error
    assert "2 to 9" in ran.hint
    ran = project.fails(
        "mask", "clip.mp4", "--at", "5", "--from", "propagated", "--fg", "50,55", code=2
    )
    assert "the propagated mask shows objects 1, 2" in ran.error


def test_a_correction_says_what_it_took(project: CommandLine, painter: None) -> None:
    before = project.mask(5) == 1
    call = ("mask", "clip.mp4", "--at", "5", "--from", "propagated", "--object", "1", "-o", "m.png")
    ran = project(*call, "--fg", "50,55")
    gained = int((disc(50, 55) & ~before).sum())
    assert f"(+{gained} px, -0 px)" in ran.stdout
    assert "lost" not in ran.stderr
    y, x = (int(values.mean()) for values in np.nonzero(before))
    ran = project(*call, "--bg", f"{x},{y}", "--bg", f"{x},{y + 8}")
    lost = int(((disc(x, y) | disc(x, y + 8)) & before).sum())
    assert f"(+0 px, -{lost} px)" in ran.stdout
    assert f"object 1 lost {lost / before.sum():.0%} of what it had" in ran.stderr
    # a mask from scratch is no correction
    assert "px, -" not in project("mask", "clip.mp4", "--fg", "50,55", "-o", "n.png").stdout


def test_a_correction_that_takes_much_names_the_earlier_mask_while_it_is_there(
    here: CommandLine,
) -> None:
    here("mask", "clip.mp4", "--fg", "30,20", "-o", "m.png")
    call = ("mask", "clip.mp4", "--from", "m.png", "--bg", "34,24")
    (note,) = here(*call, "-o", "n.png").notes
    assert "lost" in note
    assert note.endswith("or begin again from m.png with a line along the piece alone")
    # under its own name the mask that was right is gone
    for replaced in ((*call, "-o", "m.png"), ("mask", "clip.mp4", "--object", "1", "--bg", "26,20",
                                              "-o", "n.png")):  # fmt: skip
        (note,) = here(*replaced).notes
        assert "lost" in note
        assert "begin again" not in note


def test_a_correction_that_adds_much_says_that_earlier_marks_are_forgotten(
    here: CommandLine,
) -> None:
    here("mask", "clip.mp4", "--fg", "30,20", "--fg", "50,20", "-o", "a.png")
    here("mask", "clip.mp4", "--from", "a.png", "--bg", "52,20", "-o", "b.png")
    ran = here("mask", "clip.mp4", "--from", "b.png", "--fg", "50,20", "-o", "c.png")
    gained = int((load_mask(Path("c.png")) > load_mask(Path("b.png"))).sum())
    share = gained / (load_mask(Path("b.png")) > 0).sum()
    assert share > 0.1
    (note,) = ran.notes
    assert note.startswith(f"object 1 grew by {share:.0%}: ")
    assert "--fg and --bg together in one call" in note
    assert "no call knows the marks of earlier ones" in note
    # a little is what a mark is for, a box makes an object anew, and a new object had nothing
    for more in (
        ("--fg", "31,20"), ("--object", "1", "--box", "20,10,60,40"),
        ("--object", "2", "--fg", "80,50"),
    ):  # fmt: skip
        quiet = here("mask", "clip.mp4", "--from", "a.png", *more, "-o", "d.png")
        assert "grew" not in quiet.stderr


def test_a_background_click_that_takes_next_to_nothing_says_so(
    here: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(two_objects()).save("two.png")
    call = ("mask", "clip.mp4", "--from", "two.png", "--object", "1", "-o", "m.png")
    assert "no more" not in here(*call, "--bg", "22,32").stderr
    monkeypatch.setitem(globals(), "RADIUS", 1)
    ran = here(*call, "--bg", "22,32", "--bg", "90,60", "--fg", "24,30")
    taken = int((two_objects() == 1).sum() - (raw("m.png") == 1).sum())
    assert taken == disc(22, 32).sum()
    assert ran.notes == [
        f"the background click at 22,32 took {taken} px of object 1 and no more: if a whole piece"
        " is too much, draw a line along it (--bg-stroke)"
    ]


def test_the_next_command_names_every_mask_that_waits(here: CommandLine) -> None:
    """Those of this clip that were made since it was segmented, and nothing else in the folder."""

    def made(at: int, name: str, clip: str = "clip.mp4", *more: str) -> list[str]:
        call = ("mask", clip, "--at", str(at), "--fg", "50,30", "-o", name, *more)
        words = shlex.split(here(*call).stdout.splitlines()[-1].removeprefix("next: "))
        return [word for word in words[3:] if "png" in word]

    paint(Path("painted.png"), two_objects())
    Path("broken.png").write_bytes(b"no picture")
    shutil.copy("clip.mp4", "other.mp4")
    assert made(3, "a.png") == ["3=a.png"]
    assert made(0, "z.png") == ["0=z.png", "3=a.png"]
    # of one frame the one that was just made
    assert made(3, "b.png") == ["0=z.png", "3=b.png"]
    assert made(1, "o.png", "other.mp4") == ["1=o.png"]
    # a folder has its own
    assert made(5, "in/c.png") == ["5=in/c.png"]
    work = ("segment", "clip.mp4", "--propagator", "fake")
    here(*work, "--mask", "0=z.png", "--mask", "3=b.png")
    # what the run did without, although it was there, does not come back
    assert made(8, "d.png") == ["0=z.png", "3=b.png", "8=d.png"]
    assert made(10, "e.png") == ["0=z.png", "3=b.png", "8=d.png", "10=e.png"]
    fix = json.loads(here("suggest", "--json", "-k", "1").stdout)["segment_command"]
    assert "8=d.png" in shlex.split(fix)
    masks = [word for pair in ("0=z.png", "8=d.png", "10=e.png") for word in ("--mask", pair)]
    here(*work, *masks, "--update")
    assert made(8, "d.png", "clip.mp4", "--object", "1") == ["0=z.png", "8=d.png", "10=e.png"]
    # the masks that were given are gone: then those count that are later than the run
    for name in ("z.png", "d.png", "e.png"):
        Path(name).unlink()
    assert "6=f.png" in made(6, "f.png")
    assert not {"3=b.png", "3=a.png"} & set(made(6, "f.png"))


def named_masks(ran: Ran) -> list[str]:
    """The masks in the command to run next; none where there is no such command."""
    lines = [line for line in ran.stdout.splitlines() if line.startswith("next: ")]
    return [word for line in lines for word in shlex.split(line)[4:] if "png" in word]


def test_a_mask_of_nothing_is_not_handed_on(
    here: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the call that made it nor by a later one, and its note says why."""
    confidence = 0.9

    def answer(self: Painter, marks: Marks, previous: Pixels | None = None) -> Answer:
        return replace(painted(self, marks, previous), confidence=confidence)

    painted = Painter.answer
    monkeypatch.setattr(Painter, "answer", answer)
    reason = (
        "e.png of frame 5 is left out of the command to run next: confidence in object {} is {}%;"
        " mark more, or add --mask 5=e.png if the object is right"
    )
    confidence = 0.04
    ran = here("mask", "clip.mp4", "--at", "5", "--fg", "50,30", "-o", "e.png")
    assert ran.notes == [reason.format(1, 4)]
    assert "next:" not in ran.stdout
    assert json.loads(
        here("mask", "clip.mp4", "--at", "5", "--fg", "50,30", "-o", "e.png", "--json").stdout
    )["next_command"] == ""  # fmt: skip
    confidence = 0.9
    ran = here("mask", "clip.mp4", "--at", "3", "--fg", "50,30", "-o", "a.png")
    assert (named_masks(ran), ran.notes) == (["3=a.png"], [reason.format(1, 4)])
    # an object beside it makes it no better, a correction of it does
    ran = here("mask", "clip.mp4", "--at", "5", "--object", "2", "--fg", "20,30", "-o", "e.png")
    assert (named_masks(ran), ran.notes) == (["3=a.png"], [reason.format(1, 4)])
    ran = here("mask", "clip.mp4", "--at", "5", "--object", "1", "--fg", "51,30", "-o", "e.png")
    assert named_masks(ran) == ["3=a.png", "5=e.png"]
    assert "left out" not in ran.stderr
    # of a frame with a good mask and a bad one the good one
    confidence = 0.0
    ran = here("mask", "clip.mp4", "--at", "3", "--fg", "50,30", "-o", "b.png")
    assert named_masks(ran) == ["3=a.png", "5=e.png"]
    assert "b.png of frame 3 is left out" in ran.stderr
    # what suggest says to run next is the same
    here("segment", "clip.mp4", "--propagator", "fake", "--mask", "3=a.png")
    here("mask", "clip.mp4", "--at", "9", "--fg", "50,30", "-o", "c.png")
    ran = here("suggest", "-k", "1")
    assert "c.png of frame 9 is left out" in ran.stderr
    assert "9=c.png" not in ran.stdout


def test_a_mask_in_use_is_replaced_only_by_what_was_made_of_it_since(here: CommandLine) -> None:
    """Not by trials of its frame, whether from before the run or from elsewhere."""

    def mask_frame_3(name: str, *options: str) -> Ran:
        return here("mask", "clip.mp4", "--at", "3", "--fg", "50,30", "-o", name, *options)

    def mask_frame(at: int) -> Ran:
        return here("mask", "clip.mp4", "--at", str(at), "--fg", "50,30", "-o", f"f{at}.png")

    mask_frame_3("a.png")
    mask_frame_3("used.png", "--from", "a.png", "--fg", "60,30")
    mask_frame_3("trial.png", "--from", "used.png", "--fg", "70,30")
    run = ("segment", "clip.mp4", "--propagator", "fake")
    here(*run, "--mask", "3=used.png")
    shutil.copy("used.png", "copy.png")
    ran = mask_frame(8)
    assert (named_masks(ran), ran.notes) == (["3=used.png", "8=f8.png"], [])
    # what just was made is named by its own call, and left out by others with a note
    assert "3=new.png" in named_masks(mask_frame_3("new.png"))
    ran = mask_frame(9)
    assert "3=used.png" in named_masks(ran)
    assert ran.notes == [
        "new.png of frame 3 is left out of the command to run next: the clip was segmented with"
        " used.png there, which it was not made from; add --mask 3=new.png to have it instead"
    ]
    mask_frame_3("more.png", "--from", "trial.png")
    assert "3=more.png" in named_masks(mask_frame(9)), "trial.png was made from the one in use"
    # through files in between, and files that are written over
    mask_frame_3("more.png", "--from", "used.png", "--fg", "50,40")
    mask_frame_3("more.png", "--object", "1", "--fg", "50,50")
    assert "3=more.png" in named_masks(mask_frame(9))
    # the propagated mask of that frame is the one in use
    mask_frame_3("bare.png", "--from", "propagated", "--fg", "50,50")
    assert "3=bare.png" in named_masks(mask_frame(9))
    # … and after a run with another one it no longer is
    here(*run, "--mask", "3=new.png", "--update")
    assert "3=new.png" in named_masks(mask_frame(9))
    mask_frame_3("new.png", "--object", "1", "--fg", "50,50")
    ran = mask_frame(9)
    assert "3=new.png" in named_masks(ran), "the file itself was corrected"
    assert ran.notes == []


def test_other_objects_of_a_propagated_mask_are_named_or_left_out(
    project: CommandLine, painter: None
) -> None:
    """As a reference it would vouch for them."""
    ids = project.mask(5)
    call = (
        "mask", "clip.mp4", "--at", "5", "--from", "propagated", "--object", "1", "--fg", "50,55",
        "-o", "m.png",
    )  # fmt: skip
    assert "object 2 is on this frame as propagated" in project(*call).stderr
    ran = project(*call, "--alone")
    assert "as propagated" not in ran.stderr
    np.testing.assert_array_equal(
        load_mask(Path("m.png")), np.where(disc(50, 55), 1, np.where(ids == 1, 1, 0))
    )
    words = shlex.split(ran.stdout.splitlines()[-1].removeprefix("next: "))
    project(*words[1:], "--propagator", "fake")
    # there object 2 is predicted, and not gone
    assert (project.mask(5) == 2).any()


def test_a_mask_of_another_size_is_brought_to_the_clips(here: CommandLine) -> None:
    paint(Path("half.png"), two_objects((48, 32)))
    ran = here(
        "mask", "clip.mp4", "--from", "half.png", "--object", "1", "--fg", "50,55", "-o", "m.png"
    )
    assert any("48×32, brought to the clip's 96×64" in line for line in ran.notes)
    assert raw("m.png").shape == (64, 96)


# ---------------------------------------------------------------- places


def test_masks_of_other_frames_and_clips_are_not_replaced(
    here: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip, "other.mp4")
    here("mask", "clip.mp4", "--at", "3", "--fg", "30,20", "-o", "m.png")
    here("mask", "clip.mp4", "--at", "3", "--box", "5,5,20,20", "-o", "m.png")
    before = here.files()
    for arguments, says in (
        (("clip.mp4", "--at", "4"), "the mask of frame 3 of clip"),
        (("clip.mp4", "--at", "4", "--object", "2"), "the mask of frame 3 of clip"),
        (("other.mp4", "--at", "3"), "the mask of frame 3 of clip"),
    ):
        ran = here.fails("mask", *arguments, "--fg", "30,20", "-o", "m.png", code=2)
        assert f"would replace {says}" in ran.error
    assert here.files() == before
    # painted by hand, and named as suggest names it
    Image.fromarray(two_objects()).save("clip.mask.0000007.png")
    ran = here.fails(
        "mask", "clip.mp4", "--at", "6", "--fg", "30,20", "-o", "clip.mask.0000007.png", code=2
    )
    assert "frame 7, by its name" in ran.error
    ran = here("mask", "clip.mp4", "--at", "4", "--from", "m.png", "--fg", "30,20", "-o", "n.png")
    assert ran.notes[:1] == ["m.png is the mask of frame 3"]
    assert read_note(Path("n.png")) == {"clip": "clip", "frame": 4}


def test_a_picture_of_the_users_own_is_not_replaced_but_can_be_corrected(here: CommandLine) -> None:
    Image.fromarray(two_objects()).save("mine.png")
    before = here.files()
    ran = here.fails("mask", "clip.mp4", "--fg", "30,20", "-o", "mine.png", code=2)
    assert "was not made by" in ran.error
    assert "--from mine.png" in ran.hint
    assert here.files() == before
    here(
        "mask", "clip.mp4", "--from", "mine.png", "--object", "1", "--bg", "22,32", "-o", "mine.png"
    )
    assert raw("mine.png")[32, 22] == 0


def test_a_box_that_holds_what_is_there_says_only_that(here: CommandLine) -> None:
    Image.fromarray(two_objects()).save("two.png")
    box = ("--object", "1", "--box", "30,8,30,30", "-o", "m.png")
    here("mask", "clip.mp4", "--from", "two.png", *box)
    ran = here("mask", "clip.mp4", "--from", "m.png", *box)
    assert "object 1 is as it was" in ran.notes
    assert not any("replaced" in line for line in ran.notes)


def test_a_box_begins_an_object_anew_and_leaves_the_others(here: CommandLine) -> None:
    Image.fromarray(two_objects()).save("two.png")
    ran = here(
        "mask",
        "clip.mp4",
        "--from",
        "two.png",
        "--object",
        "1",
        "--box",
        "30,8,30,30",
        "-o",
        "m.png",
    )
    assert any("replaced by what the box holds" in line for line in ran.notes)
    found, before = raw("m.png"), two_objects()
    assert (found == 1).any()
    outside = np.ones(found.shape, bool)
    outside[8:38, 30:60] = False
    assert not (found[outside] == 1).any()
    np.testing.assert_array_equal(found == 2, before == 2)


def test_masks_of_a_workspace_and_the_clip_are_not_replaced(
    project: CommandLine, painter: None
) -> None:
    before = project.files()
    for place in (
        "workspace/clip/masks/0000005.png",
        "workspace/clip/masks/new.png",
        "workspace/clip/masks/soft/1/0.png",
    ):
        ran = project.fails("mask", "clip.mp4", "--at", "5", "--fg", "30,20", "-o", place, code=2)
        assert "the masks" in ran.error
    assert project.files() == before
    paint(Path("plates/0001.png"), two_objects())
    paint(Path("plates/0002.preview.png"), two_objects())
    before = project.files()
    for place in ("plates/0001.png", "plates/x.png"):
        project.fails("mask", "plates", "--fg", "30,20", "-o", place, code=2)
    assert project.files() == before


def test_a_preview_replaces_nothing_of_the_users(here: CommandLine) -> None:
    Image.fromarray(two_objects()).save("m.preview.png")
    kept = Path("m.preview.png").read_bytes()
    ran = here("mask", "clip.mp4", "--fg", "30,20", "-o", "m.png")
    assert len(ran.notes) == 1
    assert "m.preview.png is there" in ran.notes[0]
    assert Path("m.preview.png").read_bytes() == kept


def test_a_folder_of_masks_may_hold_previews(here: CommandLine) -> None:
    here("mask", "clip.mp4", "--fg", "30,20", "-o", "painted/0000.png")
    here("mask", "clip.mp4", "--at", "6", "--fg", "60,20", "-o", "painted/0006.png")
    assert len(list(Path("painted").iterdir())) == 4
    here("segment", "clip.mp4", "--masks", "painted", "--propagator", "fake")
    np.testing.assert_array_equal(here.mask(11) == 1, disc(60, 20))


def test_a_sequence_has_its_own_numbers(here: CommandLine) -> None:
    for number in range(1001, 1004):
        paint(Path(f"plates/p.{number}.png"), two_objects())
    ran = here("mask", "plates", "--at", "1002", "--fg", "30,20")
    assert ran.stdout.splitlines()[0] == "plates.mask.0001002.png"
    assert shlex.split(ran.stdout.splitlines()[-1])[-1] == "1002=plates.mask.0001002.png"
    here.fails("mask", "plates", "--at", "1", "--fg", "30,20", code=2)
    Image.fromarray(two_objects()).save("p.1003.png")
    assert (
        "by its name"
        in here.fails(
            "mask", "plates", "--at", "1002", "--fg", "30,20", "-o", "p.1003.png", code=2
        ).error
    )


def test_the_next_command_works(here: CommandLine) -> None:
    ran = here("mask", "clip.mp4", "--fg", "30,20", "-o", "a mask.png")
    words = shlex.split(ran.stdout.splitlines()[-1].removeprefix("next: "))
    assert words == ["vfx-matte", "segment", "clip.mp4", "--first-mask", "a mask.png"]
    here(*words[1:], "--propagator", "fake")


@pytest.mark.slow
def test_options_go_together_in_any_mix(here: CommandLine) -> None:
    """Each of these is one request; none of them ends in an error that is not meant."""
    paint(Path("mask.png"), two_objects())
    begins = ((), ("--from", "mask.png", "--object", "1"), ("--from", "mask.png", "--object", "3"))
    marks = (
        "--box=20,10,40,40",
        "--fg=30,30",
        "--bg=34,34",
        "--fg-stroke=25,25 30,40",
        "--bg-stroke=50,12 55,12",
        "--auto",
    )
    for begin, (one, two) in itertools.product(begins, itertools.combinations(marks, 2)):
        ran = here.run("mask", "clip.mp4", *begin, one, two, "--no-preview", "-o", "m.png")
        assert ran.code == 0 or "nothing" in ran.error or "belongs to" in ran.error, (
            begin,
            one,
            two,
            ran.stderr,
        )


def test_config_keeps_it_off_the_network(
    here: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        "vfx_matte.pipeline.first_mask.marking.salient_network",
        lambda folder, *, fetch, **_: asked.append((folder, fetch)),
    )
    here("mask", "clip.mp4", "--fg", "30,20", "--model", "nets")
    Path("config.ini").write_text("[network]\nfetch = never\n", encoding="utf-8")
    here("mask", "clip.mp4", "--fg", "30,20")
    assert asked == [(Path("nets"), True), (Path("model"), False)]
    Path("config.ini").write_text("[network]\nfetch = sometimes\n", encoding="utf-8")
    assert "sometimes" in here.fails("mask", "clip.mp4", "--fg", "30,20", code=2).error


# ---------------------------------------------------------------- the methods themselves

NETWORK = Path(__file__).parents[3] / "shared" / "weights" / "u2netp.onnx"


@pytest.fixture(scope="module")
def meadow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames of the demo's scene."""
    scene = Scene(width=320, height=180, frame_count=3)
    path = tmp_path_factory.mktemp("meadow") / "meadow.mp4"
    make_clip(path, (scene.frame(index)[0] for index in range(3)), scene.timeline, scene.sound())
    return path


def overlap_of(path: str) -> float:
    return overlap(
        load_mask(Path(path)) > 0, Scene(width=320, height=180, frame_count=3).truth_mask(0) > 0
    )


@pytest.mark.slow
@pytest.mark.skipif(not NETWORK.is_file(), reason="the network is not beside the project")
def test_the_network_finds_the_subject_of_a_clip(
    cli: CommandLine, take: Callable[..., Path], meadow: Path
) -> None:
    take(meadow)
    take(NETWORK, "model/u2netp.onnx")
    ran = cli("mask", "meadow.mp4", "--auto", "-o", "auto.png")
    assert not ran.notes
    assert "unsure" not in ran.stdout
    assert overlap_of("auto.png") > 0.9
    shutil.copy("auto.png", "two.png")
    cli("mask", "meadow.mp4", "--object", "2", "--fg", "97,112", "-o", "two.png")
    two, one = load_mask(Path("two.png")), load_mask(Path("auto.png"))
    assert two[112, 97] == 2
    (
        np.testing.assert_array_equal(two == 0, one == 0),
        "a click in an object makes a part of it another one",
    )


@pytest.mark.slow
def test_without_the_network_one_line_says_what_would_be_better(
    cli: CommandLine, take: Callable[..., Path], meadow: Path
) -> None:
    take(meadow)
    ran = cli("mask", "meadow.mp4", "--box", "52,78,95,84", "-o", "m.png")
    assert len(ran.notes) == 1
    assert "vfx-matte weights fetch u2netp" in ran.notes[0]
    assert "unsure: " in ran.stdout
    assert overlap_of("m.png") > 0.6
    ran = cli.fails("mask", "meadow.mp4", "--auto", "-o", "a.png", code=1)
    assert "weights fetch u2netp" in ran.hint
    cli("mask", "meadow.mp4", "--from", "m.png", "--bg", "97,112", "-o", "n.png")
    assert load_mask(Path("n.png"))[112, 97] == 0
    assert overlap_of("n.png") > 0.4, "a click changes its place, not all"
