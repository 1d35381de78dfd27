"""What a run of `segment` decides before its first frame, without the command line."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from support.command_line import SIZE, paint, two_objects
from support.runs import plan_for

from vfx_matte.errors import UsageError
from vfx_matte.pipeline.clip import SourceClip, open_source
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.segment.plan import SegmentPlan, affected_frames, plan_segment
from vfx_matte.pipeline.segment.references import ReferenceFiles
from vfx_matte.pipeline.segment.request import SegmentRequest
from vfx_matte.workspace import Manifest, ReferenceRecord, Workspace

RED, GREEN = (255, 0, 0), (0, 255, 0)
BOTH = {1: RED, 2: GREEN}


@pytest.fixture
def opened(clip: Path, tmp_path: Path) -> SourceClip:
    paint(tmp_path / "mask.png", two_objects(SIZE))
    return open_source(clip, reporter=SilentReporter())


def planned(
    opened: SourceClip, folder: Path, *, reporter: SilentReporter | None = None, **asked: object
) -> SegmentPlan:
    """The plan of a request that says no more than this."""
    request = SegmentRequest(
        references=ReferenceFiles(first_mask=folder / "mask.png"),
        propagator=PropagatorOptions(name="fake"),
        **asked,  # type: ignore[arg-type]
    )
    workspace = Workspace(folder / "workspace").clip(opened.path)
    return plan_segment(opened, request, workspace=workspace, reporter=reporter or SilentReporter())


def test_a_first_mask_belongs_to_the_first_frame_of_the_range(
    opened: SourceClip, tmp_path: Path
) -> None:
    plan = planned(opened, tmp_path, start=3, stop=8)
    assert (plan.manifest.start, plan.manifest.stop) == (3, 8)
    assert list(plan.manifest.references) == [3]
    assert plan.manifest.objects == BOTH
    assert plan.manifest.timeline == opened.info.timeline


def test_a_time_is_the_frame_that_is_shown_then(opened: SourceClip, tmp_path: Path) -> None:
    timeline = opened.info.timeline
    seconds = (timeline.pts[4] - timeline.pts[0]) * timeline.time_base
    plan = planned(opened, tmp_path, start=seconds)
    assert (plan.manifest.start, plan.manifest.stop) == (4, len(timeline))


def test_planning_writes_nothing(opened: SourceClip, tmp_path: Path) -> None:
    planned(opened, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]


def test_an_empty_range_is_no_plan(opened: SourceClip, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a range of this clip"):
        planned(opened, tmp_path, start=5, stop=5)
    with pytest.raises(UsageError, match="not in the clip"):
        planned(opened, tmp_path, start=Fraction(900))


def test_soft_results_are_a_setting_of_the_run(opened: SourceClip, tmp_path: Path) -> None:
    plain, soft = planned(opened, tmp_path), planned(opened, tmp_path, soft=True)
    assert soft.manifest.is_soft
    assert not plain.manifest.is_soft
    assert soft.manifest == replace(plain.manifest, settings=soft.manifest.settings)


def test_another_number_of_objects_than_expected_is_told(
    opened: SourceClip, tmp_path: Path
) -> None:
    reporter = SilentReporter()
    planned(opened, tmp_path, expected_objects=2, reporter=reporter)
    assert not any("expects" in line for line in reporter.lines)
    planned(opened, tmp_path, expected_objects=3, reporter=reporter)
    assert "config.ini expects 3 objects, the masks show 2" in reporter.lines


@pytest.mark.parametrize("way", ["resume", "update"])
def test_resume_and_update_go_on_with_earlier_work(way: str) -> None:
    request = SegmentRequest(references=ReferenceFiles())
    assert not request.continues
    assert replace(request, **{way: True}).continues
    assert not replace(request, fresh=True).continues


# ---------------------------------------------------------------- what other masks change


def with_references(source: Path, **changes: object) -> Manifest:
    """20 frames, two objects, masks of both on frames 0, 10 and 19."""
    records = {at: ReferenceRecord(f"{at}.png", f"{at:02x}" * 32, dict(BOTH)) for at in (0, 10, 19)}
    return plan_for(source, **{"frames": 20, "references": records, "objects": BOTH, **changes})


def test_a_mask_that_was_only_moved_changes_no_frame(source: Path) -> None:
    plan = with_references(source)
    moved = {at: replace(record, file="elsewhere.png") for at, record in plan.references.items()}
    assert affected_frames(plan, replace(plan, references=moved)) == set()


def test_another_mask_changes_the_frames_up_to_its_neighbours(source: Path) -> None:
    plan = with_references(source)
    painted = {**plan.references, 10: ReferenceRecord("10.png", "ff" * 32, dict(BOTH))}
    assert affected_frames(plan, replace(plan, references=painted)) == set(range(1, 19))


def test_a_cut_keeps_what_a_mask_changes_inside_of_its_shot(source: Path) -> None:
    plan = with_references(source, cuts=(5, 15))
    painted = {**plan.references, 10: ReferenceRecord("10.png", "ff" * 32, dict(BOTH))}
    assert affected_frames(plan, replace(plan, references=painted)) == set(range(5, 15))


def test_a_mask_that_is_gone_changes_the_frames_that_it_reached(source: Path) -> None:
    plan = with_references(source)
    left = {at: record for at, record in plan.references.items() if at != 19}
    assert affected_frames(plan, replace(plan, references=left)) == set(range(11, 20))


def test_other_objects_change_every_frame(source: Path) -> None:
    plan = with_references(source)
    assert affected_frames(plan, replace(plan, objects={1: RED})) == set(range(20))
