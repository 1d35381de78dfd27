"""The Python interface: what a program gives and gets, and that importing it costs nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import paint
from PIL import Image

import vfx_matte
from vfx_matte.errors import MaskError, UsageError, WorkspaceError
from vfx_matte.pipeline.report import SilentReporter


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_clip: Callable[..., Path]) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_clip("clip.mp4", pts=tuple(range(0, 8 * 512, 512)), time_base=Fraction(1, 15360))


def square(object_id: int, column: int) -> np.ndarray:
    mask = np.zeros((64, 96), np.uint8)
    mask[16:48, column : column + 24] = object_id
    return mask


def test_files_and_arrays_are_references(clip: Path) -> None:
    paint(Path("one.png"), square(1, 8))
    result = vfx_matte.segment(clip, references={0: "one.png", 5: square(2, 60)}, propagator="fake")
    assert isinstance(result, vfx_matte.SegmentResult)
    assert result.masks == Path("workspace/clip/masks")
    assert (result.start, result.stop, result.computed, list(result.objects)) == (0, 8, 8, [1, 2])
    assert np.array_equal(result.mask(0), square(1, 8))
    last = np.asarray(Image.open("workspace/clip/masks/0000007.png"))
    assert np.array_equal(last, np.maximum(square(1, 8), square(2, 60)))


@pytest.mark.parametrize("painted", [square(1, 8) > 0, square(255, 8), square(1, 8), np.dstack([square(200, 8)] * 3)])
def test_arrays_mean_what_such_pictures_mean(clip: Path, painted: np.ndarray) -> None:
    result = vfx_matte.segment(clip, references={2: painted}, propagator="fake")
    assert np.array_equal(result.mask(7) > 0, square(1, 8) > 0)


def test_a_range_in_time_and_the_same_array_again_resumes(clip: Path) -> None:
    reporter = SilentReporter()
    work = {"references": {0: square(1, 8)}, "propagator": "fake", "start": "0s", "stop": "0.1s", "reporter": reporter}
    assert vfx_matte.segment(clip, **work).stop == 3
    assert any("propagator" in line for line in reporter.lines)
    assert vfx_matte.segment(clip, **work, resume=True).computed == 0
    with pytest.raises(WorkspaceError, match="reference masks"):
        vfx_matte.segment(clip, **{**work, "references": {0: square(1, 9)}}, resume=True)


@pytest.mark.parametrize(
    ("references", "message"),
    [({0: np.zeros((64, 96))}, "float64"), ({0: None}, "frame 0"), ({9: square(1, 8)}, "does not exist"), ({}, "no mask")],
)
def test_wrong_references_are_mask_errors(clip: Path, references: dict, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        vfx_matte.segment(clip, references=references, propagator="fake")
    assert not Path("workspace").exists()


def test_wrong_options_are_refused(clip: Path) -> None:
    with pytest.raises(UsageError, match="memory 'long' is unknown"):
        vfx_matte.segment(clip, references={0: square(1, 8)}, memory="long")
    with pytest.raises(TypeError, match="colour"):
        vfx_matte.segment(clip, references={0: square(1, 8)}, colour="red")


def test_a_folder_of_masks(clip: Path) -> None:
    Path("painted").mkdir()
    paint(Path("painted/frame-3.png"), square(1, 8))
    assert vfx_matte.segment(clip, references="painted", propagator="fake", stop=5).computed == 5


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, vfx_matte; dir(vfx_matte); print(sorted({'numpy', 'av', 'cv2', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vfx_matte.nothing


def test_the_readme_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_clip: Callable[..., Path]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("source").mkdir()
    shutil.copy(make_clip("clip.mp4", pts=tuple(range(0, 40 * 512, 512)), time_base=Fraction(1, 15360)), "source/clip.mp4")
    for name in ("m.png", "m33.png"):
        paint(Path(name), square(1, 8))
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (example,) = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["result"].computed == 40
    assert names["mask"].shape == (64, 96)
