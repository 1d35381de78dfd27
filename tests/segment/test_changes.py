"""An update says which masks it changed although its new masks do not explain it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import CommandLine, Gray, paint

from vfx_matte.pipeline.segment import changes

FAKE = ("--propagator", "fake")
FULL = np.zeros((64, 96), np.uint8)
FULL[10:50, 10:60] = 1
CUT = FULL.copy()
CUT[10:50, 40:60] = 0
"""40 % of it are taken away."""


def worked(film: CommandLine, *masks: str, more: tuple[str, ...] = ()) -> dict[str, Any]:
    pairs = [word for mask in masks for word in ("--mask", mask)]
    ran = film("segment", "clip.mp4", *pairs, *FAKE, "--json", *more)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.fixture
def masks(film: CommandLine) -> CommandLine:
    paint(Path("full.png"), FULL)
    paint(Path("cut.png"), CUT)
    return film


def test_what_changed_more_than_the_new_mask_explains_is_named(masks: CommandLine) -> None:
    """Close to the mask that stays, all of the correction is there already, where a part of it is
    expected; behind the new mask as much is expected as was corrected.
    """
    assert worked(masks, "0=full.png")["changed"] == []
    found = worked(masks, "0=full.png", "8=cut.png", more=("--update",))
    (one,) = found["changed"]
    assert (one["object_id"], one["percent"]) == (1, 40.0)
    # frame 7 is expected to change by 7/8 of it, which is near enough
    assert (one["start"], one["stop"], one["worst"]) == (3, 7, 3)


def test_the_notice_says_where_to_look_and_what_to_do(masks: CommandLine) -> None:
    worked(masks, "0=full.png")
    words = ("--mask", "0=full.png", "--mask", "8=cut.png", *FAKE)
    ran = masks("segment", "clip.mp4", *words, "--update")
    (note,) = [line for line in ran.notes if "explain" in line]
    assert "object 1 changed by up to 40 % on frames 3 to 6, more than the new masks" in note
    assert "look at frame 3" in note
    assert "--mask 3=mask.png" in note
    assert "vfx-matte overlay --frame 3" in ran.stdout
    masks("overlay", "--frame", "3")


def test_a_correction_that_changes_what_lies_around_it_is_not_mentioned(
    masks: CommandLine,
) -> None:
    worked(masks, "0=full.png", "11=full.png")
    # everything behind a first mask that is another one changes as it does
    assert worked(masks, "0=cut.png", "11=cut.png", more=("--update",))["changed"] == []
    # and a mask that shows what was there changes nothing
    more = ("0=cut.png", "6=cut.png", "11=cut.png")
    assert worked(masks, *more, more=("--update",))["changed"] == []


def test_a_mask_that_is_taken_away_counts_like_one_that_comes(masks: CommandLine) -> None:
    worked(masks, "0=full.png", "8=cut.png")
    (one,) = worked(masks, "0=full.png", more=("--update",))["changed"]
    assert (one["start"], one["stop"]) == (3, 7)


def test_nothing_is_said_of_other_objects_nor_of_masks_that_were_taken_away(
    masks: CommandLine,
) -> None:
    paint(Path("two.png"), 2 * CUT)
    worked(masks, "0=full.png")
    assert worked(masks, "0=full.png", "8=two.png", more=("--update",))["changed"] == []
    # a mask that is new beyond the end of the range was not compared
    worked(masks, "0=full.png", more=("--fresh", "--stop", "6"))
    more = ("--update", "--stop", "6")
    assert worked(masks, "0=full.png", "8=cut.png", more=more)["changed"] == []


def test_of_many_frames_some_are_compared(
    masks: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_COMPARED", 4)
    read: list[str] = []
    load = changes.load_mask

    def counted(path: Path) -> Gray:
        read.append(path.name)
        return load(path)

    monkeypatch.setattr(changes, "load_mask", counted)
    worked(masks, "0=full.png")
    assert worked(masks, "0=full.png", "8=cut.png", more=("--update",))["changed"]
    # before and after, and the new mask's frame
    assert len(read) <= 2 * 5
    assert "0000008.png" in read


def test_nothing_is_carried_over_a_cut(masks: CommandLine) -> None:
    """A mask that stays in one shot says nothing of what is expected in the next one."""
    words = ("--cuts", "6")
    worked(masks, "5=full.png", "10=cut.png", more=words)
    more = (*words, "--update")
    assert worked(masks, "5=full.png", "10=full.png", more=more)["changed"] == []


def test_a_mask_that_was_lost_or_damaged_is_not_compared(masks: CommandLine) -> None:
    worked(masks, "0=full.png")
    Path("workspace/clip/masks/0000003.png").unlink()
    Path("workspace/clip/masks/0000004.png").write_bytes(b"no picture")
    (one,) = worked(masks, "0=full.png", "8=cut.png", more=("--update",))["changed"]
    assert (one["start"], one["stop"], one["worst"]) == (5, 7, 5)
