"""The history of a project: undo and redo without limit, on disk, whatever happens to the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfx_matte.errors import OutputError
from vfx_matte.workspace.history import FILE_NAME, History

BEGIN = {"n": 0}


def test_a_new_project_has_its_first_state_and_nothing_to_undo(tmp_path: Path) -> None:
    history = History(tmp_path, BEGIN)
    assert history.present == BEGIN
    assert (history.undo_label, history.redo_label) == (None, None)
    assert history.undo() is None
    assert not (tmp_path / FILE_NAME).exists()


@given(st.lists(st.one_of(st.integers(1, 9), st.just("undo"), st.just("redo")), max_size=25))
def test_it_is_a_list_with_a_present_also_after_it_is_opened_again(
    tmp_path_factory: pytest.TempPathFactory, actions: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    states, now = [0], 0
    history = History(folder, BEGIN)
    for action in actions:
        if action == "undo":
            now = max(now - 1, 0)
            history.undo()
        elif action == "redo":
            now = min(now + 1, len(states) - 1)
            history.redo()
        else:
            states = [*states[: now + 1], action]
            now += 1
            history.add(f"do {action}", {"n": action})
        for seen in (history, History(folder, BEGIN)):
            assert seen.present == {"n": states[now]}
            assert (seen.undo_label is None) == (now == 0)
            assert (seen.redo_label is None) == (now == len(states) - 1)


@pytest.mark.parametrize("lost", range(1, 40, 7))
def test_a_line_that_was_cut_off_costs_the_last_action_alone(tmp_path: Path, lost: int) -> None:
    history = History(tmp_path, BEGIN)
    for number in (1, 2, 3):
        history.add("count", {"n": number, "text": "ä" * 20})
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-lost])
    again = History(tmp_path, BEGIN)
    assert again.present["n"] == 2
    again.add("count", {"n": 4})
    assert History(tmp_path, BEGIN).present == {"n": 4}
    assert History(tmp_path, BEGIN).states()[1:3] == again.states()[1:3]


@pytest.mark.parametrize(
    "line",
    [b"\xff\xfe\n", b"{}\n", b'{"now": 99}\n', b'{"now": "x"}\n', b'{"do": 1, "state": 2}\n'],
)
def test_what_follows_a_damaged_line_counts_and_the_file_is_kept(
    tmp_path: Path, line: bytes
) -> None:
    history = History(tmp_path, BEGIN)
    history.add("count", {"n": 1})
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole + line + b'{"do": "count", "state": {"n": 2}}\n')
    again = History(tmp_path, BEGIN)
    assert again.present == {"n": 2}
    again.undo()
    assert History(tmp_path, BEGIN).present == {"n": 1}
    assert (tmp_path / "history.damaged.jsonl").read_bytes().startswith(whole + line)
    assert line not in path.read_bytes()


def test_what_cannot_be_written_has_not_happened(tmp_path: Path) -> None:
    history = History(tmp_path, BEGIN)
    history.add("count", {"n": 1})
    path = tmp_path / FILE_NAME
    path.unlink()
    path.mkdir()
    with pytest.raises(OutputError):
        history.add("count", {"n": 2})
    with pytest.raises(OutputError):
        history.undo()
    assert history.present == {"n": 1}
    assert history.undo_label == "count"
