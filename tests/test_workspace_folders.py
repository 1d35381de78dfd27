"""Folders that are whole or not there: what a killed run has left, and two runs at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfx_matte.errors import OutputError, WorkspaceError
from vfx_matte.workspace.folders import atomic_folder


def test_a_run_that_was_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    final = tmp_path / "p"
    (tmp_path / ".p.part").mkdir()
    (tmp_path / ".p.part" / "half").touch()
    (tmp_path / ".p.earlier").mkdir()  # killed between the two renames
    (tmp_path / ".p.earlier" / "old").touch()
    with (
        pytest.raises(OutputError, match="holds other files"),
        atomic_folder(final, stranger=lambda folder: next(folder.iterdir()).name),
    ):
        pass
    assert [path.name for path in final.iterdir()] == ["old"]
    with atomic_folder(final, stranger=lambda _: "") as part:
        assert [path.name for path in part.iterdir() if path.name != ".lock"] == []
        (part / "new").touch()
        assert [path.name for path in final.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["p"]
    assert [path.name for path in final.iterdir()] == ["new"]


def test_two_runs_do_not_make_one_folder(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "p", stranger=lambda _: "") as part:
        (part / "mine").touch()
        with (
            pytest.raises(WorkspaceError, match="being made by another run"),
            atomic_folder(tmp_path / "p", stranger=lambda _: ""),
        ):
            pass
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("error", "seen"), [(OSError(28, "No space left on device"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_a_failure_leaves_the_earlier_folder(tmp_path: Path, error: BaseException, seen: type[BaseException]) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "old").touch()

    def fail() -> None:
        with atomic_folder(tmp_path / "p", stranger=lambda _: "") as part:
            (part / "half").touch()
            raise error

    with pytest.raises(seen):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["p", "old"]


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("mine")
    with pytest.raises(OutputError, match="is a file"), atomic_folder(tmp_path / "p", stranger=lambda _: ""):
        pass
    assert (tmp_path / "p").read_text() == "mine"
