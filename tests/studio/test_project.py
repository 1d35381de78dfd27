"""A project on disk: every action can be undone, survives, and segment reads its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vfx_matte.errors import OutputError, UsageError, WorkspaceError
from vfx_matte.masks import Mask, Palette
from vfx_matte.pipeline.studio.project import ConflictError, Project
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import ClipWorkspace, SourceStamp, load_mask, save_mask

SHAPE, FRAMES = (6, 8), 20
TIMELINE = Timeline(tuple(range(FRAMES)), (1,) * FRAMES, Fraction(1, 25), first_number=100)


def opened(folder: Path) -> Project:
    return Project(ClipWorkspace(folder / "clip"), timeline=TIMELINE, shape=SHAPE)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = opened(tmp_path)
    yield made
    made.close()


def painted(**objects: int) -> Mask:
    """A mask in which column N shows object `cN`."""
    mask = np.zeros(SHAPE, np.uint8)
    for column, object_id in objects.items():
        mask[:, int(column[1:])] = object_id
    return mask


def files(project: Project) -> dict[str, Mask]:
    folder = project.workspace.references_folder
    return {path.name: load_mask(path) for path in sorted(folder.glob("*.png"))}


def same(one: dict[str, Mask], other: dict[str, Mask]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_a_saved_mask_is_a_reference_named_after_the_frames_number(project: Project) -> None:
    project.save_mask(3, painted(c1=1, c2=4), label="brush")
    assert same(files(project), {"0000103.png": painted(c1=1, c2=4)})
    assert project.mask(3).kind == "reference"
    assert project.mask(4).kind == "none"
    assert not project.mask(4).mask.any()
    assert [one.id for one in project.state.objects] == [1, 4]
    assert project.undo_label == "brush"


def test_disabled_and_removed_references_do_not_count(project: Project) -> None:
    project.save_mask(3, painted(c1=1), label="brush")
    project.set_reference(3, enabled=False)
    assert files(project) == {}
    assert project.mask(3).kind == "none"
    project.set_reference(3, enabled=True)
    assert list(files(project)) == ["0000103.png"]
    project.set_reference(3, enabled=None)
    assert files(project) == {}
    with pytest.raises(UsageError, match="frame 103"):
        project.set_reference(3, enabled=True)
    project.undo()
    assert list(files(project)) == ["0000103.png"]


def test_a_locked_object_cannot_be_changed_and_others_can(project: Project) -> None:
    project.save_mask(0, painted(c0=1, c5=2), label="brush")
    project.set_object(1, locked=True)
    for mask in (painted(c5=2), painted(c0=1, c1=1, c5=2), painted(c0=2, c5=2)):
        with pytest.raises(UsageError, match="locked"):
            project.save_mask(0, mask, label="brush")
    project.save_mask(0, painted(c0=1, c6=2), label="brush")
    with pytest.raises(UsageError, match="locked"):
        project.remove_object(1)


def test_removing_an_object_takes_it_out_of_every_reference(project: Project) -> None:
    project.save_mask(0, painted(c0=1, c5=2), label="brush")
    project.save_mask(9, painted(c5=2), label="brush")
    project.remove_object(2)
    assert same(files(project), {"0000100.png": painted(c0=1)})
    project.undo()
    assert list(files(project)) == ["0000100.png", "0000109.png"]
    assert np.array_equal(project.mask(0).mask, painted(c0=1, c5=2))


def test_who_did_not_see_the_latest_action_is_told_so(project: Project) -> None:
    seen = project.revision
    project.save_mask(0, painted(c0=1), label="brush", revision=seen)
    with pytest.raises(ConflictError):
        project.save_mask(0, painted(c1=1), label="brush", revision=seen)
    with pytest.raises(ConflictError):
        project.set_reference(0, enabled=False, revision=seen)
    assert np.array_equal(project.mask(0).mask, painted(c0=1))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda p: p.save_mask(20, painted(), label="x"), "no frame 20"),
        (lambda p: p.save_mask(-1, painted(), label="x"), "no frame -1"),
        (lambda p: p.save_mask(0, np.zeros((5, 8), np.uint8), label="x"), "frames"),
        (lambda p: p.save_mask(0, np.zeros(SHAPE, np.uint16), label="x"), "uint16"),
        (lambda p: p.set_object(9, name="x"), "no object 9"),
        (lambda p: p.set_object(1, color="red"), "colour"),
        (lambda p: p.set_object(1, name="x" * 81), "too long"),
        (lambda p: p.remove_object(1), "last object"),
        (lambda p: p.set_range(5, 4), "not a range"),
        (lambda p: p.set_range(0, 20), "no frame 20"),
        (lambda p: p.undo(), "nothing to undo"),
        (lambda p: p.redo(), "nothing to redo"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    project: Project, call: Callable[[Project], object], says: str
) -> None:
    before, revision = project.state, project.revision
    with pytest.raises(UsageError, match=says):
        call(project)
    assert (project.state, project.revision) == (before, revision)


def test_a_project_is_open_once(project: Project, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="another studio"):
        opened(tmp_path)
    project.close()
    opened(tmp_path).close()


def test_masks_that_somebody_put_into_the_folder_are_taken_up_and_other_files_stay(
    project: Project, tmp_path: Path
) -> None:
    project.save_mask(3, painted(c1=1), label="brush")
    project.close()
    folder = project.workspace.references_folder
    save_mask(folder / "0000107.png", painted(c2=2), Palette.davis())
    save_mask(folder / "0000103.png", painted(c4=1), Palette.davis())
    (folder / "notes.png").write_bytes(b"not a mask")
    (folder / "0000999.png").write_bytes(b"of no frame")
    again = opened(tmp_path)
    assert list(again.state.references) == [3, 7]
    assert np.array_equal(again.mask(3).mask, painted(c4=1))
    again.set_reference(7, enabled=None)
    assert {path.name for path in folder.iterdir()} == {
        "0000103.png", "0000999.png", "notes.png",
    }  # fmt: skip
    again.undo()
    again.undo()
    assert np.array_equal(again.mask(3).mask, painted(c1=1))
    again.close()


def test_a_damaged_archive_is_mended_by_the_folder(project: Project, tmp_path: Path) -> None:
    project.save_mask(3, painted(c1=1), label="brush")
    project.save_mask(5, painted(c2=1), label="brush")
    project.close()
    archive = sorted((project.workspace.studio_folder / "masks").glob("*.png"))
    archive[0].write_bytes(b"rubbish")
    archive[1].unlink()
    again = opened(tmp_path)
    assert np.array_equal(again.mask(3).mask, painted(c1=1))
    assert np.array_equal(again.mask(5).mask, painted(c2=1))
    again.close()


def test_a_reference_that_is_lost_everywhere_no_longer_counts(
    project: Project, tmp_path: Path
) -> None:
    project.save_mask(3, painted(c1=1), label="brush")
    project.save_mask(5, painted(c2=1), label="brush")
    project.close()
    (project.workspace.references_folder / "0000103.png").unlink()
    for path in (project.workspace.studio_folder / "masks").glob("*.png"):
        path.unlink()
    again = opened(tmp_path)
    assert list(again.state.references) == [5]
    again.close()


def test_an_action_that_could_not_be_written_has_not_happened(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.save_mask(3, painted(c1=1), label="brush")
    before, revision = project.state, project.revision

    def full(*_: object, **__: object) -> None:
        raise OutputError("the disk is full")

    for broken in ("AtomicFile", "History.add"):
        target = "vfx_matte.pipeline.studio.project." + broken
        with monkeypatch.context() as patched:
            patched.setattr(target, full)
            with pytest.raises(OutputError):
                project.save_mask(5, painted(c2=1), label="brush")
        assert (project.state, project.revision) == (before, revision)
        assert list(files(project)) == ["0000103.png"]
    project.save_mask(5, painted(c2=1), label="brush")
    assert list(files(project)) == ["0000103.png", "0000105.png"]


def test_a_project_is_of_one_clip(tmp_path: Path) -> None:
    workspace = ClipWorkspace(tmp_path / "clip")
    first, other = (SourceStamp(tmp_path / "clip.mp4", size, 0, "abc") for size in (7, 8))
    for stamp in (first, first):
        Project(workspace, timeline=TIMELINE, shape=SHAPE, stamp=stamp).close()
    with pytest.raises(WorkspaceError, match="another clip"):
        Project(workspace, timeline=TIMELINE, shape=SHAPE, stamp=other)
    Project(workspace, timeline=TIMELINE, shape=SHAPE, stamp=first).close()


ACTIONS = st.one_of(
    st.tuples(st.just("paint"), st.integers(0, 3), st.integers(0, 7), st.integers(0, 3)),
    st.tuples(st.just("use"), st.integers(0, 3), st.sampled_from([True, False, None])),
    st.tuples(st.just("object"), st.integers(0, 3)),
    st.tuples(st.just("drop"), st.integers(1, 4)),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(actions=st.lists(ACTIONS, max_size=20))
def test_undoing_everything_and_doing_it_again_passes_the_same_states(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[Any, ...]]
) -> None:
    """Opened anew after every action, as after a kill."""
    folder = tmp_path_factory.mktemp("project")
    seen = []
    for action in [None, *actions]:
        project = opened(folder)
        try:
            match action:
                case ("paint", index, column, object_id):
                    mask = project.mask(index).mask.copy()
                    mask[:, column] = object_id
                    project.save_mask(index, mask, label="brush")
                case ("use", index, enabled):
                    project.set_reference(index, enabled=enabled)
                case ("object", number):
                    project.add_object(name=f"thing {number}")
                case ("drop", object_id):
                    project.remove_object(object_id)
                case ("undo",):
                    project.undo()
                case ("redo",):
                    project.redo()
        except UsageError:
            pass
        seen.append((project.state, files(project)))
        project.close()
    project = opened(folder)
    assert project.state == seen[-1][0]
    assert same(files(project), seen[-1][1])
    back = [(project.state, files(project))]
    while project.undo_label is not None:
        project.undo()
        back.append((project.state, files(project)))
    for state, masks in reversed(back[:-1]):
        project.redo()
        assert project.state == state
        assert same(files(project), masks)
    project.close()
