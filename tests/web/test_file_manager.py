"""Outputs are shown in the file manager of the machine itself, and by nothing else."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from support.fake_studio import FakeStudio
from support.studio_server import make_server, serving

from vfx_matte.pipeline.studio import JobOutput
from vfx_matte.web import file_manager, server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="xdg-open is Linux'")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a file manager on a machine with a screen was started with."""
    told = tmp_path / "told.txt"
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nfor one in "$@"; do echo "$one"; done > "{told}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":0")
    return told


def said(told: Path) -> list[str]:
    deadline = time.monotonic() + 10
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return told.read_text().splitlines()


def test_the_folder_is_opened_whatever_its_name(tmp_path: Path, told: Path) -> None:
    folder = tmp_path / "-a $(touch b); 'c'"
    folder.mkdir()
    assert file_manager.can_show()
    file_manager.show(folder / "greenback.mp4")
    assert said(told) == [str(folder)]


def test_there_is_none_without_a_screen(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not file_manager.can_show()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert file_manager.can_show()
    monkeypatch.setenv("PATH", "/nowhere")
    assert not file_manager.can_show()


def test_an_output_is_shown_by_its_number(tmp_path: Path, told: Path) -> None:
    output = tmp_path / "greenback.mp4"
    studio = FakeStudio()
    with serving(studio) as page:
        assert page("GET", "/api/project").json["shows_files"] is True
        number = page("POST", "/api/jobs", {"kind": "render", "name": "greenback"}).json["id"]
        assert page("POST", "/api/outputs/2/show").status == 404
        # one that was moved away
        gone = page("POST", "/api/outputs/1/show")
        assert (gone.status, told.exists()) == (404, False)
        studio.output_path = lambda _: output  # type: ignore[method-assign]
        output.touch()
        assert page("POST", "/api/outputs/1/show").status == 200
        assert isinstance(studio.jobs()[number - 1].outputs[0], JobOutput)
    assert said(told) == [str(tmp_path)]


@pytest.mark.parametrize(("host", "is_shown"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_nobody_elsewhere_opens_windows_here(told: Path, host: str, is_shown: bool) -> None:
    made = make_server(FakeStudio(), host=host)
    made.close()
    assert made.service.shows_files is is_shown
    assert not told.exists()


def test_a_machine_without_one_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "can_show", lambda: False)
    with serving(FakeStudio()) as page:
        assert page("GET", "/api/project").json["shows_files"] is False
        page("POST", "/api/jobs", {"kind": "render", "name": "greenback"})
        answer = page("POST", "/api/outputs/1/show")
        assert answer.status == 403
        assert "/nowhere/greenback.mp4" in answer.json["hint"]
