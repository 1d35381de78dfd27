"""`detect` from end to end: a clip in, masks of what is in it out, with nothing given."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from pycocotools import mask as coco_mask
from support.command_line import CommandLine, Ran
from support.drifting_squares import SHAPE, draw
from support.scripted_detector import Script, register

from vfx_matte.detect.tracks import Track
from vfx_matte.errors import UsageError
from vfx_matte.masks import Image, Mask, ObjectLabel, Palette, overlap
from vfx_matte.pipeline.detect import run as detect_run
from vfx_matte.pipeline.detect.objects import ChosenObject, merged
from vfx_matte.workspace import load_mask, save_mask
from vfx_matte.workspace.lock import WriterLock

FRAMES = 16
CLASSES = {1: "dog", 2: "person"}

Frame = tuple[Image, Mask]
Detect = Callable[..., Ran]


@pytest.fixture
def detect(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Script, Sequence[Frame]], Detect]:
    """Writes a clip and registers what a detector finds in it; gives the command on it.

    Masks are carried by the propagator that repeats them, where it is not how they are carried that
    a test looks at: squares drift by a pixel a frame.
    """

    def prepared(script: Script, frames: Sequence[Frame], *, propagator: str = "fake") -> Detect:
        (cli.folder / "config.ini").write_text(f"[segment]\npropagator = {propagator}\n")
        folder = cli.folder / "clip"
        folder.mkdir()
        for index, (image, _) in enumerate(frames):
            picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(folder / f"clip.{index:04d}.png"), picture)
        register(script, cli.folder, monkeypatch)

        def run(*arguments: str, code: int = 0) -> Ran:
            command = ("detect", "clip", "--detector", "scripted", "--every", "4", *arguments)
            return cli(*command) if code == 0 else cli.fails(*command, code=code)

        return run

    return prepared


def squares(length: int = FRAMES) -> list[Frame]:
    return [draw(index) for index in range(length)]


def masks(cli: CommandLine) -> list[Mask]:
    return [load_mask(path) for path in sorted((cli.folder / "workspace/clip/masks").glob("*.png"))]


@pytest.mark.slow
def test_a_clip_becomes_masks_without_anything_given(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares()
    script = Script.of_clip(frames, CLASSES)
    ran = detect(script, frames, propagator="auto")("--json")
    found = json.loads(ran.stdout)
    assert [(one["id"], one["name"], one["class_name"]) for one in found["objects"]] == [
        (1, "dog", "dog"),
        (2, "person", "person"),
    ]
    assert script.asked == [0, 4, 8, 12, 15]
    assert found["frames"] == 5
    # which propagator it is is decided, and said, once
    assert len([note for note in ran.notes if "propagator" in note]) == 1
    made = masks(cli)
    assert len(made) == FRAMES
    for mask, (_, truth) in zip(made, frames, strict=True):
        for object_id in (1, 2):
            assert overlap(mask == object_id, truth == object_id) > 0.8
    # an ordinary workspace: the other commands work on it, and know what the objects are
    assert cli.manifest()["labels"]["1"] == {"name": "dog", "class": "dog", "score": 0.9}
    cli("qc", "clip")
    cli("greenback", "clip", "--frame", "3")
    cli("segment", "clip", "--masks", "workspace/clip/references", "--update")
    assert cli.manifest()["labels"]["2"]["name"] == "person"


@pytest.mark.slow
# pycocotools 2.0.11 asks NumPy 2 for an array in the old way
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_result_json_is_what_pycocotools_reads(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares()
    detect(Script.of_clip(frames, CLASSES), frames)("-o", "out")
    result = json.loads((cli.folder / "out/result.json").read_text())
    assert [entry["score"] for entry in result] == pytest.approx([0.9, 0.89])
    for object_id, entry in enumerate(result, start=1):
        assert len(entry["segmentations"]) == FRAMES
        for region, mask in zip(entry["segmentations"], masks(cli), strict=True):
            decoded = coco_mask.decode(region) if region else np.zeros(SHAPE, np.uint8)
            np.testing.assert_array_equal(decoded > 0, mask == object_id)
    assert len(list((cli.folder / "out/masks").glob("*.png"))) == FRAMES


@pytest.mark.slow
def test_pictures_of_masks_are_coloured_by_class_or_white(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares(8)
    script = Script.of_clip(frames, {1: "dog", 2: "dog"}, also_known=["cat"])
    run = detect(script, frames)
    run("-o", "colors")
    run("-o", "white", "--white", "--instances", "--fresh")
    colors, white = (
        cv2.imread(str(cli.folder / name / "masks/00003.png"), cv2.IMREAD_COLOR)
        for name in ("colors", "white")
    )
    assert colors is not None
    assert white is not None
    mask = masks(cli)[3]
    assert len(np.unique(colors[mask > 0], axis=0)) == 1, "one class has one colour"
    assert set(np.unique(white)) == {0, 255}
    assert sorted(path.name for path in (cli.folder / "white/instances").iterdir()) == [
        "001 dog 1",
        "002 dog 2",
    ]


@pytest.mark.slow
def test_a_legend_has_the_colours_of_the_pictures_of_masks(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares(8)
    script = Script.of_clip(frames, CLASSES)
    run = detect(script, frames)

    def seen(name: str) -> tuple[set[tuple[int, ...]], set[tuple[int, ...]]]:
        """The colours of the two objects, and all that fill a field of the legend."""
        picture, drawn = (
            cv2.imread(str(cli.folder / name / file), cv2.IMREAD_COLOR)
            for file in ("masks/00003.png", "legend.png")
        )
        assert picture is not None
        assert drawn is not None
        colors, counts = np.unique(drawn.reshape(-1, 3), axis=0, return_counts=True)
        wide = {tuple(map(int, color)) for color in colors[counts > 200]}
        return {tuple(map(int, picture[masks(cli)[3] == one][0])) for one in (1, 2)}, wide

    ran = run("-o", "colors", "--json")
    assert "colors/legend.png" in json.loads(ran.stdout)["files"]
    painted, drawn = seen("colors")
    assert len(painted) == 2
    assert painted < drawn
    run("-o", "white", "--white", "--fresh")
    painted, drawn = seen("white")
    assert painted == {(255, 255, 255)}
    assert painted < drawn
    # where nothing is found nothing of an earlier result is left
    script.nothing(frames=range(8))
    run("-o", "white", "--fresh")
    drawn = cv2.imread(str(cli.folder / "white/legend.png"), cv2.IMREAD_COLOR)
    assert drawn is not None
    assert not (drawn == 255).all(axis=2).any()
    picture = cv2.imread(str(cli.folder / "white/masks/00003.png"), cv2.IMREAD_COLOR)
    assert picture is not None
    assert not picture.any()


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--white", "--instances")])
def test_results_are_written_anew_after_a_correction(
    cli: CommandLine, detect: Callable[..., Detect], more: Sequence[str]
) -> None:
    frames = squares(8)
    detect(Script.of_clip(frames, CLASSES), frames, propagator="auto")(*more)
    written = cli.files("workspace/clip/detected")
    # unchanged masks give the same files, in the form of before
    cli("export", "--format", "detected")
    assert cli.files("workspace/clip/detected") == written
    reference = cli.folder / "workspace/clip/references/0000004.png"
    mask = load_mask(reference)
    mask[:4, :4] = 2
    save_mask(reference, mask, Palette.davis())
    ran = cli("segment", "clip", "--masks", "workspace/clip/references", "--update")
    (line,) = [note for note in ran.notes if "writes it anew" in note]
    words = shlex.split(line[line.index("vfx-matte") : line.index(" writes it anew")])
    cli(*words[1:])
    anew = cli.files("workspace/clip/detected")
    assert anew.keys() == written.keys()
    shown = load_mask(cli.folder / "workspace/clip/detected/masks/00004.png")
    np.testing.assert_array_equal(shown, masks(cli)[4])
    assert (
        written["workspace/clip/detected/result.json"]
        != (anew["workspace/clip/detected/result.json"])
    )
    # a folder of somebody else is left alone
    cli.fails("export", "--format", "detected", "-o", "clip", code=2)


@pytest.mark.slow
def test_what_is_invented_once_is_no_object(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares()
    script = Script.of_clip(frames, CLASSES).invent(frames=[8], class_name="dog", score=0.99)
    ran = detect(script, frames, propagator="auto")("--json")
    assert len(json.loads(ran.stdout)["objects"]) == 2


@pytest.mark.slow
def test_a_missed_or_doubtful_look_changes_no_object(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares()
    script = Script.of_clip(frames, CLASSES).miss(2, frames=[4, 8]).double(1, frames=[0, 12])
    script.flip(1, frames=[4], class_name="cat").doubt(2, frames=[12], score=0.1)
    found = json.loads(detect(script, frames, propagator="auto")("--json").stdout)
    assert [(one["class_name"], one["references"]) for one in found["objects"]] == [
        ("dog", [0, 4, 8, 12, 15]),
        ("person", [0, 15]),
    ]


@pytest.mark.slow
def test_only_the_classes_that_are_wanted(cli: CommandLine, detect: Callable[..., Detect]) -> None:
    frames = squares(8)
    run = detect(Script.of_clip(frames, CLASSES, also_known=["horse"]), frames)
    found = json.loads(run("--json", "--classes", "Person").stdout)
    assert [one["class_name"] for one in found["objects"]] == ["person"]
    ran = run("--classes", "persn", "--fresh", code=2)
    assert "persn" in ran.error
    assert "did you mean person?" in ran.hint
    ran = run("--classes", "persn, cow,dgo", "--fresh", code=2)
    assert all(name in ran.error for name in ("persn", "cow", "dgo"))
    assert "'persn': did you mean person?" in ran.hint
    assert "'dgo': did you mean dog?" in ran.hint
    assert "names no class" in run("--classes", " ,", "--fresh", code=2).error


def test_nothing_found_is_an_answer(cli: CommandLine, detect: Callable[..., Detect]) -> None:
    frames = squares(8)
    run = detect(Script.of_clip(frames, CLASSES).nothing(frames=range(8)), frames)
    ran = run()
    assert "no objects were found" in ran.stdout
    assert json.loads((cli.folder / "workspace/clip/detected/result.json").read_text()) == []
    assert not (cli.folder / "workspace/clip/masks").exists()
    # and it can simply be asked again
    assert json.loads(run("--json").stdout)["objects"] == []
    # what might find more is what was asked for
    assert any("--threshold finds more" in note for note in ran.notes)
    ran = run("--threshold", "0", "--classes", "dog")
    assert any("nothing was found; leaving --classes out finds" in note for note in ran.notes)


@pytest.mark.slow
def test_nothing_found_takes_no_earlier_work_away(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares(8)
    script = Script.of_clip(frames, CLASSES)
    run = detect(script, frames)
    run()

    def kept() -> dict[str, dict[str, bytes]]:
        return {part: cli.files(f"workspace/clip/{part}") for part in ("masks", "detected")}

    before = kept()
    script.nothing(frames=range(8))
    ran = run("--fresh")
    assert any("left as they are" in note for note in ran.notes)
    assert kept() == before
    assert not list((cli.folder / "workspace/clip").glob("*.previous*"))
    # a folder of one's own gets the empty answer
    run("--fresh", "-o", "out")
    assert json.loads((cli.folder / "out/result.json").read_text()) == []


@pytest.mark.slow
def test_more_objects_than_a_mask_holds(cli: CommandLine, detect: Callable[..., Detect]) -> None:
    frames = [(cv2.resize(image, (128, 96)), mask) for image, mask in squares(5)]
    script = Script.of_clip(frames, {}).nothing(frames=range(5)).crowd(300, frames=range(5))
    run = detect(script, frames)
    ran = run("--max-objects", "0", "--json")
    found = json.loads(ran.stdout)
    assert len(found["objects"]) == 255
    assert any("45 objects more" in note for note in ran.notes)
    few = json.loads(run("--json", "--fresh").stdout)
    assert len(few["objects"]) == 10


@pytest.mark.slow
def test_objects_end_at_a_cut_and_may_be_joined_across_it(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    first = squares(8)
    # the same squares elsewhere, on another ground
    second = [(np.ascontiguousarray(image[::-1, ::-1]), mask[::-1, ::-1]) for image, mask in first]
    frames = [*first, *second]
    run = detect(Script.of_clip(frames, CLASSES), frames, propagator="auto")
    ran = run("--cuts", "8", "--json")
    found = json.loads(ran.stdout)
    assert [(one["name"], one["first"], one["last"]) for one in found["objects"]] == [
        ("dog 1", 0, 7),
        ("person 1", 0, 7),
        ("dog 2", 8, 15),
        ("person 2", 8, 15),
    ]
    assert found["alike"] == [[3, 1], [4, 2]]
    assert any("--same 3=1" in note for note in ran.notes)
    made = masks(cli)
    assert set(np.unique(made[7])) == {0, 1, 2}
    assert set(np.unique(made[8])) == {0, 3, 4}
    run("--cuts", "8", "--fresh", "--same", "3=1", "--same", "4=2")
    assert set(np.unique(masks(cli)[8])) == {0, 1, 2}
    for text, problem in (("1=2", "one shot"), ("7=1", "no two objects"), ("x", "does not say")):
        assert problem in run("--cuts", "8", "--fresh", "--same", text, code=2).error
    # refused before anything was replaced
    assert set(np.unique(masks(cli)[8])) == {0, 1, 2}


def test_a_clip_that_is_all_cuts(cli: CommandLine, detect: Callable[..., Detect]) -> None:
    frames = squares(5)
    ran = detect(Script.of_clip(frames, CLASSES), frames)("--cuts", "1,2,3,4", "--json")
    found = json.loads(ran.stdout)
    assert [(one["first"], one["last"]) for one in found["objects"]] == [
        (at, at) for at in range(5) for _ in (1, 2)
    ]


def test_a_clip_of_one_frame(cli: CommandLine, detect: Callable[..., Detect]) -> None:
    frames = squares(1)
    found = json.loads(detect(Script.of_clip(frames, CLASSES), frames)("--json").stdout)
    assert len(found["objects"]) == 2
    np.testing.assert_array_equal(masks(cli)[0], frames[0][1])


@pytest.mark.slow
def test_work_that_is_there_is_neither_lost_nor_mixed(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares(8)
    script = Script.of_clip(frames, CLASSES)
    run = detect(script, frames, propagator="auto")
    run()
    before = cli.files("workspace")
    assert "holds masks already" in run(code=2).error
    assert cli.files("workspace") == before
    # the same again goes on, and finds that all is done
    run("--resume")
    assert cli.mask_numbers() == list(range(8))
    # another detection is not mixed with these masks
    script.miss(2, frames=range(8))
    assert "other reference masks" in run("--resume", code=2).error
    run("--fresh")
    assert cli.mask_numbers(folder="masks.previous") == list(range(8))
    assert cli.mask_numbers(folder="references.previous") == [0, 4, 7]


@pytest.mark.slow
def test_clean_drops_what_is_soon_gone_and_fills_holes(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares()
    for _, mask in frames:
        top, left = (int(axis.min()) for axis in np.nonzero(mask == 1))
        mask[top + 6, left + 6] = 0
    script = Script.of_clip(frames, CLASSES).miss(2, frames=range(6, FRAMES))
    run = detect(script, frames, propagator="auto")
    assert len(json.loads(run("--json").stdout)["objects"]) == 2
    found = json.loads(run("--json", "--clean", "--fresh").stdout)
    assert [one["class_name"] for one in found["objects"]] == ["dog"]
    reference = load_mask(cli.folder / "workspace/clip/references/0000000.png")
    assert np.count_nonzero(reference) == 14 * 14


def test_bad_requests_say_what_is_wrong(cli: CommandLine, detect: Callable[..., Detect]) -> None:
    frames = squares(3)
    run = detect(Script.of_clip(frames, CLASSES), frames)
    assert "--threshold" in run("--threshold", "1.5", code=2).error
    assert "one network only" in run("--backbone", "large", code=2).hint
    ran = cli.fails("detect", "clip", "--detector", "scriptd", code=2)
    assert "unknown detector" in ran.error
    ran = cli.fails("detect", "clip", "--detector-weights", "x.pth", code=2)
    assert "--detector" in ran.hint
    assert "x.pth does not exist" in run("--detector-weights", "x.pth", code=1).error
    # a size leaves the detectors that have it, of all that there are
    ran = cli.fails("detect", "clip", "--backbone", "lrge", code=2)
    assert "did you mean large?" in ran.hint
    assert all(size in ran.hint for size in ("xxlarge", "large-2021", "tiny"))
    ran = cli.fails("detect", "clip", "--backbone", "tiny", code=1)
    assert "Mask2Former needs" in ran.error
    # a fresh machine without a network
    ran = cli.fails("detect", "clip", code=1)
    assert "weights fetch u2netp" in ran.hint
    assert not Path("workspace").exists()


def test_results_never_take_the_place_of_something_else(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares(4)
    script = Script.of_clip(frames, CLASSES)
    run = detect(script, frames)
    # the clip and folders like it: plates are named as pictures of masks are
    for folder in ("plates/masks", "takes/instances/001 take"):
        (cli.folder / folder).mkdir(parents=True)
        cv2.imwrite(str(cli.folder / folder / "00001.png"), frames[1][0])
    for folder, name in (("data", "coco.json"), ("old", "result.json"), ("art", "legend.png")):
        (cli.folder / folder).mkdir()
        (cli.folder / folder / name).write_text("[]")
    (cli.folder / "file").write_text("mine")
    before = cli.files()
    for folder in ("plates", "takes", "data", "old", "art", "file"):
        assert folder in run("-o", folder, code=1).error
    assert "would replace the masks" in run("-o", "workspace/clip", code=2).error
    for folder in (
        "workspace/clip/masks", "workspace/clip/references/new", "workspace/clip/imported",
        "workspace/clip/masks.previous", "workspace/clip/references.previous-2",
    ):  # fmt: skip
        assert "is for masks" in run("-o", folder, code=2).error
    # found out before anything was looked at
    assert script.asked == []
    assert cli.files() == before
    # an earlier result gives way
    for _ in range(2):
        run("-o", "out", "--instances", "--fresh")


def test_a_clip_is_not_replaced_by_its_result(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares(4)
    run = detect(Script.of_clip(frames, CLASSES), frames)
    run("-o", "out")
    # even one of pictures that this program has made
    before = cli.files("out/masks")
    ran = cli.fails("detect", "out/masks", "--detector", "scripted", "-o", "out", code=2)
    assert "would replace the clip" in ran.error
    assert cli.files("out/masks") == before


@pytest.mark.slow
def test_references_of_somebody_else_are_not_mixed_by_resuming(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares(8)
    run = detect(Script.of_clip(frames, CLASSES), frames, propagator="auto")
    run()
    references = cli.folder / "workspace/clip/references"
    # stopped while they were written: those that are there are the ones that would be made
    for path in (cli.folder / "workspace/clip").iterdir():
        if path != references:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    kept = references / "0000004.png"
    kept.unlink()
    run("--resume")
    # made by hand, on frames that a detection also takes, or on others
    shutil.rmtree(cli.folder / "workspace/clip/masks")
    (cli.folder / "workspace/clip/manifest.json").unlink()
    for name in ("0000004.png", "0000005.png"):
        painted = references / name
        detected = painted.read_bytes() if painted.exists() else None
        Pillow.fromarray(np.full(SHAPE, 3, np.uint8)).save(painted)
        before = cli.files("workspace")
        assert "other reference masks" in run("--resume", code=2).error
        assert cli.files("workspace") == before
        painted.unlink()
        if detected is not None:
            painted.write_bytes(detected)


def test_another_run_on_the_clip_is_left_alone(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares(4)
    script = Script.of_clip(frames, CLASSES)
    run = detect(script, frames)
    run()
    before, asked = cli.files("workspace"), list(script.asked)
    with WriterLock(cli.folder / "workspace/clip/.segment.lock"):
        assert "another run" in run("--fresh", code=2).error
    # before it looked at anything
    assert script.asked == asked
    assert cli.files("workspace") == before


def test_a_run_that_begins_while_it_looks_keeps_its_references(
    cli: CommandLine, detect: Callable[..., Detect], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = squares(4)
    run = detect(Script.of_clip(frames, CLASSES), frames)
    run()
    before = cli.files("workspace")
    held: list[WriterLock] = []
    search = detect_run.search

    def meanwhile(*given: Any, **named: Any) -> Any:  # noqa: ANN401
        held.append(WriterLock(cli.folder / "workspace/clip/.segment.lock"))
        return search(*given, **named)

    monkeypatch.setattr(detect_run, "search", meanwhile)
    assert "another run" in run("--fresh", code=2).error
    held[0].release()
    assert cli.files("workspace") == before


def test_a_folder_that_cannot_be_written_is_found_out_first(
    cli: CommandLine, detect: Callable[..., Detect], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = squares(4)
    script = Script.of_clip(frames, CLASSES)
    run = detect(script, frames)
    monkeypatch.setattr(detect_run.os, "access", lambda *_: False)
    assert "workspace" in run(code=1).error
    assert script.asked == []


def test_objects_are_joined_in_any_order() -> None:
    def objects() -> list[ChosenObject]:
        return [
            ChosenObject(number, ObjectLabel(f"{number}"), Track(number), [], {number})
            for number in (1, 2, 3)
        ]

    for same in (["3=1", "1=2"], ["1=2", "3=1"], ["3=2", "1=3", "1=2", "1=3"]):
        assert [(one.id, one.shots) for one in merged(objects(), same)] == [(2, {1, 2, 3})]
    with pytest.raises(UsageError, match="names no two"):
        merged(objects(), ["4=1"])
    with pytest.raises(UsageError, match="does not say"):
        merged(objects(), ["1=1"])


def test_a_detector_without_classes_says_so(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares(3)
    run = detect(Script.of_clip(frames, {}), frames)
    ran = run("--classes", "dog", code=2)
    assert "knows no classes" in ran.error
    assert "--detector rf-detr" in ran.hint


@pytest.mark.slow
def test_the_command_that_corrects_a_frame_runs_as_it_is_printed(
    cli: CommandLine, detect: Callable[..., Detect]
) -> None:
    frames = squares(8)
    # one object is not seen on a look: its reference shows the other one alone
    detect(Script.of_clip(frames, CLASSES).miss(2, frames=[4]), frames, propagator="auto")()
    ran = cli("mask", "clip", "--at", "2", "--from", "propagated", "--object", "1", "--fg", "14,10")
    (line,) = [line for line in (ran.stdout + ran.stderr).splitlines() if "segment" in line]
    words = shlex.split(line[line.index("vfx-matte") :])
    cli(*words[1:])
    assert "workspace/clip/references/0000004.png" in line
