"""What a run does with threads."""

from __future__ import annotations

import threading

import cv2
import pytest
from support.command_line import CommandLine

from vfx_matte.errors import UsageError
from vfx_matte.pipeline.segment import plan
from vfx_matte.workspace import SegmentRun

CLIP = ("segment", "clip.mp4", "--first-mask", "mask.png", "--start", "2", "--stop", "4", "--fresh")


@pytest.mark.parametrize(("name", "is_builtin"), [("builtin", True), ("fake", False)])
def test_the_built_in_propagator_has_opencv_and_the_compiler_for_itself(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str, is_builtin: bool
) -> None:
    """Its threads keep the cores busy, and OpenCV's wait busily; Numba is loaded beside the search
    for cuts.
    """
    seen: list[int] = []
    loaded: list[None] = []
    monkeypatch.setattr(SegmentRun, "note_confidence", lambda *_: seen.append(cv2.getNumThreads()))
    monkeypatch.setattr(plan, "load_compiler", lambda: loaded.append(None))
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        project(*CLIP, "--propagator", name, "--no-network")
        assert seen == [1 if is_builtin else 3] * 2
        assert cv2.getNumThreads() == 3
        assert len(loaded) == is_builtin
    finally:
        cv2.setNumThreads(before)


def test_a_compiler_that_cannot_be_loaded_is_told_of_where_it_is_needed(
    project: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not by the thread that loads it ahead, as a traceback."""

    def fail() -> None:
        raise UsageError("Numba does not take its settings", hint="look")

    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    monkeypatch.setattr(plan, "load_compiler", fail)
    project(*CLIP, "--no-network")
    assert not told
