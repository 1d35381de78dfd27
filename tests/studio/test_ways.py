"""How masks are made in a studio: methods, propagators, and finding by text."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.command_line import CommandLine
from support.drifting_squares import draw
from support.scripted_detector import Script, register_text
from support.studios import open_studio

from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import UsageError, VfxMatteError, WeightsError
from vfx_matte.first_mask import Click, Marks
from vfx_matte.masks import Mask, overlap
from vfx_matte.pipeline.studio import Job, Studio
from vfx_matte.pipeline.studio import ways as ways_module
from vfx_matte.wording import spelled
from vfx_matte.workspace import load_mask

FRAMES = [draw(index) for index in range(30)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "clip"
    folder.mkdir()
    for index, (image, _) in enumerate(FRAMES):
        picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"clip.{index:04d}.png"), picture)
    return folder


@pytest.fixture
def script(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    made = Script.of_clip(FRAMES, {1: "dog", 2: "person"})
    register_text(made, tmp_path, monkeypatch)
    return made


@pytest.fixture
def studio(clip: Path, tmp_path: Path) -> Iterator[Studio]:
    made = open_studio(clip, tmp_path, propagator="auto")
    yield made
    made.close()


def finished(studio: Studio, job: Job) -> Job:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        (now,) = [one for one in studio.jobs() if one.id == job.id]
        if now.is_over:
            return now
        time.sleep(0.02)
    raise AssertionError(job)


def typed(studio: Studio) -> list[list[str]]:
    """The commands of the page, as words."""
    return [shlex.split(spelled(one, as_typed)) for one in studio.commands()]


def mask(studio: Studio, index: int) -> Mask:
    return studio.mask(index).mask


def test_what_the_registries_offer_is_offered_with_its_reason(studio: Studio) -> None:
    ways = studio.ways()
    assert [one.name for one in ways.methods] == ["auto", "sam2", "edgetam", "salient", "graph"]
    assert [one.name for one in ways.propagators] == ["auto", "builtin", "xmem", "sam2", "edgetam"]
    assert (ways.method, ways.propagator) == ("auto", "auto")
    by_name = {one.name: one for one in (*ways.methods, *ways.propagators)}
    assert by_name["auto"].lack == by_name["builtin"].lack == by_name["graph"].lack == ""
    # the model folder is empty, and nothing is fetched
    for name in ("salient", "xmem", "sam2", "edgetam"):
        assert by_name[name].lack, name
        assert by_name[name].hint, name
    assert "whose weights are not at" in ways.text.lack
    assert "facebook/sam3" in ways.text.hint


def test_a_network_that_may_be_fetched_lacks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VFX_MATTE_FETCH", raising=False)
    (salient,) = [one for one in ways_module.METHODS if one.name == "salient"]
    assert ways_module._method(salient, model=tmp_path, fetch=True).lack == ""
    assert ways_module._method(salient, model=tmp_path, fetch=False).lack != ""


def test_a_choice_is_kept(clip: Path, tmp_path: Path, studio: Studio) -> None:
    heard: list[str] = []
    studio.subscribe(lambda event: heard.append(event["type"]))
    studio.choose(method="graph")
    done = studio.choose(propagator="builtin")
    assert (done.method, done.propagator) == ("graph", "builtin")
    assert heard.count("ways") == 2
    studio.close()
    again = open_studio(clip, tmp_path, propagator="auto")
    try:
        assert (again.ways().method, again.ways().propagator) == ("graph", "builtin")
        assert again.view().propagator == "builtin"
    finally:
        again.close()
    # what is named at the command line counts
    named = open_studio(clip, tmp_path, propagator="fake")
    try:
        assert named.view().propagator == "fake"
    finally:
        named.close()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"method": "magic", "propagator": "auto", "text": "", "found": null}']
)
def test_a_choice_that_cannot_be_read_is_the_usual_one(tmp_path: Path, text: str) -> None:
    (tmp_path / ways_module.FILE).write_text(text)
    assert ways_module.Chosen.load(tmp_path) == ways_module.Chosen()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"propagator": "xmem"}, "XMem needs"),
        ({"method": "sam2"}, "SAM 2 needs"),
        ({"propagator": "magic"}, "unknown propagator 'magic'"),
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"propagator": "fake"}, "unknown propagator 'fake'"),
    ],
)
def test_what_cannot_be_used_is_refused(
    studio: Studio, choice: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        studio.choose(**choice)
    assert caught.value.hint
    assert (studio.ways().method, studio.ways().propagator) == ("auto", "auto")


def test_the_commands_carry_the_choices(
    studio: Studio, clip: Path, tmp_path: Path, cli: CommandLine
) -> None:
    studio.choose(method="graph", propagator="builtin")
    marks = Marks(None, (Click(14, 12, True), Click(45, 35, False)), ())
    studio.mark(0, marks, object_id=1)
    made, segment, _ = typed(studio)
    assert made[:2] == ["vfx-matte", "mask"]
    assert made[made.index("--method") + 1] == "graph"
    assert segment[segment.index("--propagator") + 1] == "builtin"
    # and they do the same
    cli(*made[1:], "-o", "first.png")
    np.testing.assert_array_equal(load_mask(cli.folder / "first.png"), mask(studio, 0))
    # marks that go on from a painted mask are no command
    painted = mask(studio, 0).copy()
    painted[:4] = 1
    studio.save_mask(0, painted)
    studio.mark(0, Marks(None, (Click(20, 15, True),), ()), object_id=1)
    assert [words[1] for words in typed(studio)] == ["segment", "greenback"]


def test_another_method_answers_the_next_click(studio: Studio) -> None:
    marks = Marks(None, (Click(14, 12, True),), ())
    studio.mark(0, marks, object_id=1, preview=True)
    before = studio._open.frame(0)
    studio.choose(method="graph")
    studio.mark(0, marks, object_id=1, preview=True)
    assert studio._open.frame(0) is not before


def test_what_a_text_says_becomes_an_object(
    studio: Studio, script: Script, cli: CommandLine
) -> None:
    script.doubt(1, frames=[0], score=0.4)
    heard: list[dict[str, object]] = []
    studio.subscribe(lambda event: heard.append(dict(event)))
    assert finished(studio, studio.find("  the   dog ")).state == "done"
    assert {"type": "found", "job": 1, "index": 24} in heard
    np.testing.assert_array_equal(mask(studio, 24) == 1, FRAMES[24][1] == 1)
    view = studio.view()
    assert [(one.id, one.name) for one in view.objects] == [(1, "the dog")]
    assert [one.index for one in view.references] == [24]
    # the command line finds the same by the same words
    finished(studio, studio.propagate("both", 24))
    masks = {index: mask(studio, index) for index in range(30)}
    segment, _ = typed(studio)
    assert segment[segment.index("--text") + 1] == "the dog"
    segment[segment.index("--workspace") + 1] = "other"
    cli(*segment[1:])
    for index, expected in masks.items():
        made = load_mask(cli.folder / f"other/clip/masks/{index:07d}.png")
        np.testing.assert_array_equal(made, expected)
    # one step back; after an edit the words alone would not do
    finished(studio, studio.find("person"))
    assert "--text" not in typed(studio)[0]
    studio.undo()
    assert "--text" in typed(studio)[0]


def test_it_joins_what_is_there(studio: Studio, script: Script) -> None:
    painted = np.zeros((48, 64), np.uint8)
    painted[:, :12] = 1
    studio.save_mask(0, painted)
    studio.add_object(name="Anna")
    script.flip(2, frames=[0], class_name="dog")
    assert finished(studio, studio.find("dog")).state == "done"
    names = {one.id: one.name for one in studio.view().objects}
    assert set(names.values()) == {"Object 1", "Anna", "dog 1", "dog 2"}
    shown = mask(studio, 0)
    np.testing.assert_array_equal(shown == 1, painted == 1)
    (person,) = [one for one, name in names.items() if name.startswith("dog") and one != 2
                 and overlap(shown == one, FRAMES[0][1] == 2) > 0.99]  # fmt: skip
    assert person > 2
    studio.undo()
    np.testing.assert_array_equal(mask(studio, 0), painted)
    assert {one.name for one in studio.view().objects} == {"Object 1", "Anna"}


def test_what_belongs_to_others_is_not_taken(studio: Studio, script: Script) -> None:
    studio.save_mask(0, np.ones((48, 64), np.uint8))
    before = studio.view().revision
    job = finished(studio, studio.find("dog"))
    assert (job.state, job.message) == (
        "failed",
        "what was found belongs to other objects already",
    )
    assert studio.view().revision == before


def test_nothing_is_found(studio: Studio, script: Script) -> None:
    job = finished(studio, studio.find("cat"))
    assert job.state == "failed"
    assert "'cat' was not found on the 2 frames" in job.message
    assert studio.view().references == ()


def test_without_its_network_it_is_refused_at_once(studio: Studio) -> None:
    with pytest.raises(WeightsError, match="finding a text needs SAM 3"):
        studio.find("dog")
    with pytest.raises(UsageError, match="text to find"):
        studio.find("x" * 101)
    assert studio.jobs() == []


def test_a_frame_that_cannot_be_prepared_is_told_with_the_click(
    studio: Studio, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died: list[object] = []
    monkeypatch.setattr("threading.excepthook", died.append)
    clip.rename(clip.with_name("elsewhere"))
    studio.prepare(20)
    for thread in threading.enumerate():
        if thread.name == "vfx-matte open frame":
            thread.join(20)
    assert died == []
    with pytest.raises(VfxMatteError):
        studio.mark(20, Marks(None, (Click(14, 12, True),), ()), object_id=1)
