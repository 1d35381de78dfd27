"""A new editing program is one record: everything that takes `--for` knows it then.

The record below, and the one function that writes its timeline, is all that a program needs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_line import CommandLine

from vfx_matte.programs.record import (
    TO_LOOK_AT,
    Program,
    Step,
    TimelineFacts,
    TimelineFile,
    h264,
    h264_or_h265,
    prores_4444,
    rates,
    sound_codecs,
)
from vfx_matte.programs.registry import PROGRAMS


def cut_list(facts: TimelineFacts) -> bytes:
    """One line per clip: track, file, frames."""
    lines = [
        f"{number} {clip.media.path.name} {clip.duration}"
        for number, track in enumerate(facts.edit.tracks, start=1)
        for clip in track
    ]
    return "\n".join([f"rate {facts.edit.rate}", *lines, ""]).encode()


CUT_LIST = TimelineFile(key="cutlist", suffix=".cuts", write=cut_list)
TESTCUT = Program(
    name="testcut",
    title="Test Cut",
    sources=("this test",),
    encodings={
        "source": h264_or_h265(why="small"),
        "greenback": h264(why="small"),
        "alpha": prores_4444(why="has alpha"),
        "maskvideo": h264(why="small"),
        "overlay": TO_LOOK_AT,
    },
    constant_rate=True,
    sound_copies=sound_codecs("aac"),
    sound_encoders={".mov": "pcm_s24le", ".mp4": "aac"},
    outputs=("alpha", "maskvideo"),
    rates=rates("25 30"),
    suffixes=(".mp4", ".mov"),
    timelines=(CUT_LIST,),
    steps=(
        Step("Open {cutlist}."),
        Step("Track 2 is the cut-out.", ("alpha",), "Tracks 2 to {top} are the cut-outs."),
        Step("This is never said.", ("greenback",)),
    ),
)


@pytest.fixture
def known(project: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setitem(PROGRAMS, TESTCUT.name, TESTCUT)
    return project


@pytest.mark.parametrize(
    ("options", "top"), [((), 2), pytest.param(("--each-object",), 3, marks=pytest.mark.slow)]
)
def test_a_package_for_a_new_program(
    known: CommandLine, options: tuple[str, ...], top: int
) -> None:
    ran = known("package", "--for", "testcut", *options)
    folder = Path("workspace/clip/package-testcut")
    assert f"open first: {folder.resolve() / 'clip.cuts'}" in ran.stdout
    first, *clips = (folder / "clip.cuts").read_text(encoding="utf-8").splitlines()
    facts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    count = facts["frame_count"]
    assert first in ("rate 25", "rate 30")
    assert [line.split()[0] for line in clips] == [str(number + 1) for number in range(top)]
    assert {line.split()[2] for line in clips} == {str(count)}
    note = (folder / "README.txt").read_text(encoding="utf-8")
    assert note.startswith("clip for Test Cut\n")
    assert "1. Open clip.cuts." in note
    assert ("2. Track 2 is the cut-out." in note) == (top == 2)
    assert ("2. Tracks 2 to 3 are the cut-outs." in note) == (top == 3)
    assert "never said" not in note
    assert "names the files by their full path" in note
    kinds = {one["kind"] for one in facts["files"]}
    assert kinds == {"source", "alpha", "maskvideo"}


def test_everything_else_knows_the_new_program_too(known: CommandLine) -> None:
    assert (
        json.loads(known("formats", "testcut", "--json").stdout)["testcut"]["title"] == "Test Cut"
    )
    known("greenback", "--for", "testcut")
    assert Path("workspace/clip/testcut/greenback.mp4").is_file()
    known("conform", "--for", "testcut", "--outputs", "source")
    assert Path("workspace/clip/testcut/conform/clip-conformed.mp4").is_file()
    assert "testcut" in known.fails("formats", "nuke", code=2).hint
