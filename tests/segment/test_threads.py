"""What a run does with threads."""

from __future__ import annotations

import cv2
import pytest
from support.command_line import CommandLine

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
