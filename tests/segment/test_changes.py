"""An update says which masks it changed although its new masks do not explain it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import CommandLine, Gray, paint

from vfx_matte.masks import Palette
from vfx_matte.pipeline.segment import changes
from vfx_matte.workspace import Workspace, load_mask, save_mask

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
    assert (one["object_id"], one["percent"]) == (1, 39.8)
    assert not one["gained"]
    # frame 7 is expected to change by 7/8 of it, which is near enough
    assert (one["start"], one["stop"], one["worst"]) == (3, 7, 3)


def test_the_notice_says_where_to_look_and_what_to_do(masks: CommandLine) -> None:
    worked(masks, "0=full.png")
    words = ("--mask", "0=full.png", "--mask", "8=cut.png", *FAKE)
    ran = masks("segment", "clip.mp4", *words, "--update")
    (note,) = [line for line in ran.notes if "explain" in line]
    assert "object 1 lost a piece of up to 40 % of it on frames 3 to 6, more than the new" in note
    assert "look at frame 3" in note
    # what it says to give is the mask that was there
    said = note.split("--mask 3=")[1]
    assert np.array_equal(load_mask(Path(said)), FULL)
    assert "vfx-matte overlay --frame 3" in ran.stdout
    masks("overlay", "--frame", "3")


def replaced(index: int, mask: Gray, folder: str = "masks") -> None:
    save_mask(Path(f"workspace/clip/{folder}/{index:07d}.png"), mask, Palette.davis())


def compared(masks: CommandLine, before: Gray, after: Gray) -> list[tuple[int, float, bool]]:
    """What is named where the masks of frames 3 and 4 were `before`, and came to be `after`."""
    worked(masks, "0=full.png", more=("--fresh",))
    earlier = Workspace(Path("workspace")).clip(Path("clip.mp4")).manifest()
    worked(masks, "0=full.png", "8=full.png", more=("--update",))
    workspace = Workspace(Path("workspace")).clip(Path("clip.mp4"))
    made = workspace.manifest()
    assert earlier is not None
    assert made is not None
    for index in (3, 4):
        replaced(index, before, "masks.previous")
        replaced(index, after)
    found = changes.unexplained_changes(earlier, made, workspace)
    return [(one.worst, round(one.percent, 1), one.gained) for one in found]


def test_a_corner_of_a_large_object_is_seen_and_trembling_edges_are_not(
    masks: CommandLine,
) -> None:
    large = np.ones((64, 96), np.uint8)
    corner, thin = large.copy(), large.copy()
    corner[58:, 88:] = 0
    assert compared(masks, large, corner) == [(3, 0.7, False)]
    assert compared(masks, corner, large) == [(3, 0.7, True)]
    # three times as much, along its whole edge
    thin[:1] = thin[:, :1] = thin[-1:] = 0
    assert compared(masks, large, thin) == []


def test_of_frames_without_the_object_nothing_is_said(masks: CommandLine) -> None:
    empty = np.zeros_like(FULL)
    few = empty.copy()
    few[:4, :4] = 1
    assert compared(masks, empty, FULL) == []
    assert compared(masks, few, empty) == []
    assert compared(masks, FULL, empty) == []
    assert compared(masks, empty, empty) == []
    # nor of those that had next to nothing of it, nor of what is next to nothing in the picture
    assert compared(masks, few, FULL) == []
    for side, is_named in ((24, True), (12, False)):
        speck = np.zeros((640, 960), np.uint8)
        speck[:side, :side] = 1
        half = speck * (np.arange(960) < side // 2).astype(np.uint8)
        assert bool(compared(masks, speck, half)) == is_named


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


def test_a_mask_of_other_objects_that_stays_says_nothing_of_this_one(masks: CommandLine) -> None:
    """Where the mask that stays shows another object alone, this one may change, too."""
    two, other = FULL.copy(), np.zeros_like(FULL)
    two[54:62, 70:90] = other[54:62, 70:90] = 2
    cut = np.where(FULL > CUT, 0, two).astype(np.uint8)
    for name, mask in {"two": two, "other": other, "less": cut}.items():
        paint(Path(f"{name}.png"), mask)
    worked(masks, "0=two.png", "4=other.png")
    found = worked(masks, "0=two.png", "4=other.png", "8=less.png", more=("--update",))
    # frame 7 may change by 7/8 of the correction, not by 3/4
    assert [(one["start"], one["stop"], one["worst"]) for one in found["changed"]] == [(6, 7, 6)]


def test_a_new_mask_of_other_objects_alone_explains_nothing_of_this_one(
    masks: CommandLine,
) -> None:
    """The fake propagator forgets what the nearest mask lacks; so frames are given by hand."""
    two, less, other = FULL.copy(), CUT.copy(), np.zeros_like(FULL)
    two[54:62, 70:90] = less[54:62, 70:90] = other[54:62, 70:90] = 2
    paint(Path("two.png"), two)
    paint(Path("other.png"), other)

    def named(*new: str, made: Gray) -> list[tuple[int, int]]:
        worked(masks, "0=two.png", more=("--fresh",))
        earlier = Workspace(Path("workspace")).clip(Path("clip.mp4")).manifest()
        worked(masks, "0=two.png", *new, more=("--update",))
        workspace = Workspace(Path("workspace")).clip(Path("clip.mp4"))
        after = workspace.manifest()
        assert earlier is not None
        assert after is not None
        for index in range(1, 12):
            replaced(index, two, "masks.previous")
            replaced(index, made)
        found = changes.unexplained_changes(earlier, after, workspace)
        return [(one.object_id, one.worst) for one in found]

    assert [one for one, _ in named("8=other.png", made=less)] == [1]
    # one that shows it, or has nothing at all, does
    paint(Path("less.png"), less)
    assert (1, 8) not in named("8=less.png", made=less)
    # and what the other one took from it is the other one's
    taken = np.where(FULL > CUT, 2, less).astype(np.uint8)
    assert [one for one, _ in named("8=other.png", made=taken) if one == 1] == []
