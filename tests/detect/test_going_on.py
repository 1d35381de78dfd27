"""A detection that was stopped goes on where it stopped, with the result of one that was not; and
one that is begun again keeps what it replaces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.command_line import CommandLine, Ran
from support.drifting_squares import draw
from support.scripted_detector import Script, register

from vfx_matte.masks import Palette
from vfx_matte.pipeline.detect.carrier import Carrier
from vfx_matte.workspace import load_mask, save_mask
from vfx_matte.workspace.run import SegmentRun

pytestmark = pytest.mark.slow

FRAMES = 12
LOOKS = [0, 4, 8, 11]
CLASSES = {1: "dog", 2: "person"}
Kill = Callable[[int], None]


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Kill:
    """Kills a search when it comes to the n-th frame after the one that it begins on."""
    step = Carrier.step

    def prepare(number: int) -> None:
        left = number

        def counted(self: Carrier, image: Any) -> None:  # noqa: ANN401
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            step(self, image)

        monkeypatch.setattr(Carrier, "step", counted if number else step)

    return prepare


@pytest.fixture
def script(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Script:
    """What is found in the clip `clip`: one object is missed, one is seen once too often."""
    folder = cli.folder / "clip"
    folder.mkdir()
    frames = [draw(index) for index in range(FRAMES)]
    for index, (image, _) in enumerate(frames):
        cv2.imwrite(str(folder / f"clip.{index:04d}.png"), image[..., ::-1])
    made = Script.of_clip(frames, CLASSES, score=np.float32(0.9).item())
    made.miss(2, frames=[4]).invent(frames=[8], score=0.7).grow(1, frames=[11], margin_px=2)
    register(made, cli.folder, monkeypatch)
    return made


@pytest.fixture
def detected(cli: CommandLine, script: Script) -> CommandLine:
    """After a detection, of which the detector knows no more."""
    cli.once("what test_going_on goes on from", lambda: cli(*words()))
    script.asked.clear()
    return cli


def words(*more: str) -> Sequence[str]:
    every = () if "--every" in more else ("--every", "4")
    return ("detect", "clip", "--detector", "scripted", *every, *more)


def result(workspace: Path) -> dict[str, bytes]:
    """Everything that a detection leaves, but for dates."""
    found = {
        path.relative_to(workspace).as_posix(): path.read_bytes()
        for path in workspace.rglob("*")
        if path.is_file() and path.name not in ("manifest.json", "latest.json", ".segment.lock")
    }
    manifest = json.loads((workspace / "clip/manifest.json").read_text())
    del manifest["segmented_at"]
    return {**found, "manifest": json.dumps(manifest).encode()}


def goes_on(ran: Ran) -> bool:
    return any("is taken up" in note for note in ran.notes)


@pytest.mark.parametrize("cuts", ["ignore", "6"])
def test_a_stopped_search_goes_on_to_the_same_result(
    cli: CommandLine, script: Script, killed_at: Kill, cuts: str
) -> None:
    cli(*words("--cuts", cuts, "--workspace", "whole"))
    looks = list(script.asked)
    for number in (1, 6, 10):
        place = f"stopped{number}"
        script.asked.clear()
        killed_at(number)
        with pytest.raises(Killed):
            cli(*words("--cuts", cuts, "--workspace", place))
        before = list(script.asked)
        killed_at(0)
        ran = cli(*words("--cuts", cuts, "--workspace", place, "--resume"))
        assert goes_on(ran)
        # no frame is shown twice, and none is left out
        assert before
        assert script.asked == looks
        assert result(cli.folder / place) == result(cli.folder / "whole")


def test_a_search_that_is_killed_again_and_again_ends(
    cli: CommandLine, script: Script, killed_at: Kill
) -> None:
    cli(*words("--workspace", "whole"))
    script.asked.clear()
    kills = 0
    while True:
        killed_at(5)
        try:
            cli(*words("--workspace", "again", "--resume"))
            break
        except Killed:
            kills += 1
    assert kills >= 2
    assert len(script.asked) == len(set(script.asked))
    assert result(cli.folder / "again") == result(cli.folder / "whole")


def test_what_was_seen_is_not_looked_for_again(detected: CommandLine, script: Script) -> None:
    cli = detected
    for more in (("--resume",), ("--fresh",), ("--fresh", "--classes", "dog")):
        ran = cli(*words(*more))
        assert goes_on(ran)
        assert script.asked == []
    # other settings, another network, another part of the clip: from the start
    for more in (("--threshold", "0.6"), ("--every", "3"), ("--stop", "9")):
        script.asked.clear()
        assert not goes_on(cli(*words("--fresh", *more)))
        assert script.asked[0] == 0
    script.miss(1, frames=[0])
    script.asked.clear()
    assert not goes_on(cli(*words("--fresh")))
    assert script.asked[0] == 0


def test_either_start_again_or_go_on(cli: CommandLine, script: Script) -> None:
    ran = cli.fails(*words("--fresh", "--resume"), code=2)
    assert "--fresh and --resume exclude each other" in ran.error
    assert not script.asked


def test_looks_that_are_damaged_are_made_again(detected: CommandLine, script: Script) -> None:
    cli = detected
    before = result(cli.folder / "workspace")
    files = sorted((cli.folder / "workspace/clip/.looks").glob("0*.state"))
    assert len(files) == len(LOOKS)
    for position in (2, 0):
        files[position].write_bytes(files[position].read_bytes()[:-1])
        script.asked.clear()
        cli(*words("--resume"))
        assert script.asked == LOOKS[position:]
        assert result(cli.folder / "workspace") == before


def test_a_fresh_run_that_is_begun_again_keeps_the_first_references(
    detected: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = detected
    clip = cli.folder / "workspace/clip"
    painted = clip / "references/0000004.png"
    mask = load_mask(painted)
    mask[:3, :3] = 1
    save_mask(painted, mask, Palette.davis())
    mine = cli.files("workspace/clip/references")

    def kept(folder: str) -> list[bytes]:
        return list(cli.files(f"workspace/clip/{folder}").values())

    # stopped among the masks, and begun again
    save = SegmentRun.save_mask

    def killed(*_: Any, **__: Any) -> None:  # noqa: ANN401
        raise Killed

    for _ in range(2):
        monkeypatch.setattr(SegmentRun, "save_mask", killed)
        with pytest.raises(Killed):
            cli(*words("--fresh"))
        assert kept("references.previous") == list(mine.values())
    # and with other objects, so that there are references of three runs
    monkeypatch.setattr(SegmentRun, "save_mask", save)
    second = kept("references")
    cli(*words("--fresh", "--classes", "dog"))
    assert kept("references.previous") == second
    assert kept("references.previous-2") == list(mine.values())
    third = kept("references")
    cli(*words("--fresh"))
    assert kept("references.previous") == third
    assert kept("references.previous-2") == list(mine.values())
    assert kept("references.previous-3") == second


def test_what_a_killed_run_left_half_written_is_swept(detected: CommandLine) -> None:
    cli = detected
    left = cli.folder / "workspace/clip/references/.vfx-matte-abcd1234.part"
    left.mkdir()
    cli(*words("--resume"))
    assert not left.exists()
    left.mkdir()
    cli(*words("--fresh"))
    assert not list((cli.folder / "workspace/clip").rglob(".vfx-matte-*"))


def test_a_damaged_or_lost_reference_is_made_again(detected: CommandLine) -> None:
    cli = detected
    before = result(cli.folder / "workspace")
    path = cli.folder / "workspace/clip/references/0000004.png"
    path.write_bytes(path.read_bytes()[:60])
    ran = cli.fails(*words("--resume"), code=2)
    assert "0000004.png" in ran.error
    assert "vfx-matte detect clip --resume" in ran.hint
    path.unlink()
    cli(*words("--resume"))
    assert result(cli.folder / "workspace") == before
    # a reference that was taken away, and masks made without it, are somebody's decision
    path.unlink()
    cli("segment", "clip", "--masks", "workspace/clip/references", "--update")
    kept = cli.files("workspace/clip/references")
    assert "other reference masks" in cli.fails(*words("--resume"), code=2).error
    assert cli.files("workspace/clip/references") == kept
