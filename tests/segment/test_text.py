"""`segment --text`: the objects are found by what a text says, and propagated as painted ones."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.command_line import CommandLine, Ran, paint
from support.drifting_squares import SHAPE, draw
from support.scripted_detector import Script, register_text

import vfx_matte
from vfx_matte.detect import text as text_detectors
from vfx_matte.errors import NothingFoundError, UsageError
from vfx_matte.masks import overlap

FRAMES = [draw(index) for index in range(30)]
FAKE = ("--propagator", "fake")


@pytest.fixture
def script(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Script:
    """What is found in the clip `clip`, which is written."""
    folder = cli.folder / "clip"
    folder.mkdir()
    for index, (image, _) in enumerate(FRAMES):
        picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"clip.{index:04d}.png"), picture)
    made = Script.of_clip(FRAMES, {1: "dog", 2: "person"})
    register_text(made, cli.folder, monkeypatch)
    return made


def segment(cli: CommandLine, *arguments: str, text: str = "the dog") -> Ran:
    return cli("segment", "clip", "--text", text, *FAKE, *arguments)


def test_what_the_text_says_becomes_an_object(cli: CommandLine, script: Script) -> None:
    ran = cli("segment", "clip", "--text", " the  dog ")
    assert script.asked == [0]
    for index, (_, truth) in enumerate(FRAMES):
        assert overlap(cli.mask(index) == 1, truth == 1) > 0.8
        assert set(np.unique(cli.mask(index))) == {0, 1}
    facts = cli.manifest()
    assert facts["labels"] == {"1": {"name": "the dog", "class": "the dog", "score": 0.9}}
    assert set(facts["references"]) == {"0"}
    assert any("found on frame 0: 1 object" in line for line in ran.notes)
    # an ordinary workspace, whose objects have names
    cli("overlay", "clip", "--frame", "3", "--legend")


def test_frames_are_looked_at_until_it_is_seen_surely(cli: CommandLine, script: Script) -> None:
    script.doubt(1, frames=[0], score=0.49).doubt(1, frames=[24], score=0.5)
    segment(cli)
    assert script.asked == [0, 24]
    assert set(cli.manifest()["references"]) == {"24"}
    np.testing.assert_array_equal(cli.mask(24) == 1, FRAMES[24][1] == 1)


def test_looking_begins_at_the_start_of_the_range(cli: CommandLine, script: Script) -> None:
    segment(cli, "--start", "3", "--stop", "9")
    assert script.asked == [3]
    assert cli.mask_numbers() == list(range(3, 9))


def test_several_instances_are_objects_the_largest_first(cli: CommandLine, script: Script) -> None:
    script.flip(2, frames=[0], class_name="dog").grow(2, frames=[0], margin_px=2)
    # of what overlaps, the surer one has the pixels; of the third nothing is left
    over = np.zeros(SHAPE, bool)
    over[6:20, 8:12] = True
    wide = over.copy()
    wide[2:24, 2:10] = True
    script.invent(frames=[0], class_name="dog", score=0.7, mask=over)
    script.invent(frames=[0], class_name="dog", score=0.6, mask=wide)
    segment(cli, text="dog")
    labels = cli.manifest()["labels"]
    assert [(one["name"], one["score"]) for one in labels.values()] == [
        ("dog 1", 0.89), ("dog 2", 0.9), ("dog 3", 0.6),
    ]  # fmt: skip
    truth = FRAMES[0][1]
    expected = np.zeros(SHAPE, np.uint8)
    expected[wide] = 3
    grown = cv2.dilate((truth == 2).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    expected[grown] = 1
    expected[truth == 1] = 2
    np.testing.assert_array_equal(cli.mask(0), expected)


def test_all_ids_of_a_mask_can_be_objects(cli: CommandLine, script: Script) -> None:
    script.nothing(frames=[0]).crowd(300, frames=[0], class_name="cell")
    ran = segment(cli, "--start", "0", "--stop", "2", text="cell")
    assert len(np.unique(cli.mask(1))) == 256
    assert not any("void" in line for line in ran.notes)


def test_nothing_found_says_how_many_frames_were_looked_at(
    cli: CommandLine, script: Script
) -> None:
    script.doubt(1, frames=range(30), score=0.49)
    ran = cli.fails("segment", "clip", "--text", "the dog", *FAKE, code=1)
    assert script.asked == [0, 24]
    assert "'the dog' was not found on the 2 frames" in ran.error
    assert "vfx-matte mask" in ran.hint
    assert not (cli.folder / "workspace").exists()


def test_a_run_is_gone_on_with(cli: CommandLine, script: Script) -> None:
    segment(cli)
    before = {index: cli.mask(index) for index in range(30)}
    lost = cli.folder / "workspace/clip/masks/0000007.png"
    lost.unlink()
    script.asked.clear()
    ran = cli.fails("segment", "clip", "--text", "the dog", *FAKE, code=2)
    assert "--resume" in ran.hint
    assert script.asked == [], "refused before anything is looked for"
    done = json.loads(segment(cli, "--resume", "--json").stdout)
    assert done["computed"] == 1
    for index, mask in before.items():
        np.testing.assert_array_equal(cli.mask(index), mask)
    assert cli.manifest()["labels"]["1"]["name"] == "the dog"
    # another text is other work
    ran = cli.fails("segment", "clip", "--text", "person", "--resume", *FAKE, code=2)
    assert "reference masks" in ran.error
    segment(cli, "--fresh", text="person")
    np.testing.assert_array_equal(cli.mask(0) == 1, FRAMES[0][1] == 2)


def test_without_the_model_it_is_said_which_and_where(
    cli: CommandLine, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(text_detectors, "REGISTRY", text_detectors.REGISTRY[1:])
        ran = cli.fails("segment", "clip", "--text", "the dog", *FAKE, code=1)
        assert "SAM 3" in ran.error
        assert str(Path("model/sam3")) in ran.error
        for word in ("facebook/sam3 on Hugging Face", "licence", "--text-model"):
            assert word in ran.hint
        assert "vfx-matte detect" in ran.hint
        # the folder is there, and what runs it is not
        Path("mine").mkdir()
        patch.setattr(importlib.util, "find_spec", lambda _: None)
        named = ("--text", "the dog", "--text-model", "mine")
        ran = cli.fails("segment", "clip", *named, *FAKE, code=2)
        assert "torch and transformers" in ran.error
        assert "pip install" in ran.hint
    assert script.asked == []
    assert not (cli.folder / "workspace").exists()


def test_no_other_masks_beside_a_text(cli: CommandLine, script: Script) -> None:
    paint(Path("m.png"), FRAMES[0][1])
    for others in (
        ("--first-mask", "m.png"),
        ("--mask", "3=m.png"),
        ("--masks", "."),
        ("--map-color", "ffffff=1"),
        ("--colors",),
    ):
        ran = cli.fails("segment", "clip", "--text", "the dog", *others, *FAKE, code=2)
        assert "--text" in ran.error
    assert script.asked == []


@pytest.mark.parametrize("text", ["x" * 101, "dog\x1b[2J"])
def test_a_text_that_says_nothing_is_misuse(cli: CommandLine, script: Script, text: str) -> None:
    ran = cli.fails("segment", "clip", "--text", text, *FAKE, code=2)
    assert "the text to find is" in ran.error
    assert script.asked == []


@pytest.mark.usefixtures("script")
def test_a_model_without_a_text_is_misuse(cli: CommandLine) -> None:
    ran = cli.fails("segment", "clip", "--text-model", "sam3", *FAKE, code=2)
    assert "--text-model" in ran.error
    assert "--text" in ran.hint


def test_from_python(cli: CommandLine, script: Script) -> None:
    result = vfx_matte.segment("clip", text="the dog", propagator="fake", stop=4)
    np.testing.assert_array_equal(result.mask(0) == 1, FRAMES[0][1] == 1)
    assert cli.manifest()["labels"]["1"]["class"] == "the dog"
    with pytest.raises(UsageError, match="text finds") as caught:
        vfx_matte.segment("clip", text="the dog", references={0: FRAMES[0][1]}, propagator="fake")
    assert "leave out text" in caught.value.hint
    with pytest.raises(UsageError, match="the text to find is ''"):
        vfx_matte.segment("clip", text=" ", fresh=True, propagator="fake")
    script.nothing(frames=range(30))
    with pytest.raises(NothingFoundError, match="2 frames"):
        vfx_matte.segment("clip", text="the dog", fresh=True, propagator="fake")
    with pytest.raises(UsageError, match="no mask was given"):
        vfx_matte.segment("clip", propagator="fake", workspace="other")
