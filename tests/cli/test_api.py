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
from PIL import Image
from support.command_line import paint

import vfx_matte
from vfx_matte.detect.salient import NETWORK_FILE
from vfx_matte.errors import MaskError, UsageError, WorkspaceError
from vfx_matte.pipeline.progress import SilentReporter

NETWORK = Path(__file__).parents[3] / "shared/weights" / NETWORK_FILE


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


@pytest.mark.parametrize(
    "painted", [square(1, 8) > 0, square(255, 8), square(1, 8), np.dstack([square(200, 8)] * 3)]
)
def test_arrays_mean_what_such_pictures_mean(clip: Path, painted: np.ndarray) -> None:
    result = vfx_matte.segment(clip, references={2: painted}, propagator="fake")
    assert np.array_equal(result.mask(7) > 0, square(1, 8) > 0)


def test_a_range_in_time_and_the_same_array_again_resumes(clip: Path) -> None:
    reporter = SilentReporter()
    work = {
        "references": {0: square(1, 8)},
        "propagator": "fake",
        "start": "0s",
        "stop": "0.1s",
        "reporter": reporter,
    }
    assert vfx_matte.segment(clip, **work).stop == 3
    assert any("propagator" in line for line in reporter.lines)
    assert vfx_matte.segment(clip, **work, resume=True).computed == 0
    with pytest.raises(WorkspaceError, match="reference masks"):
        vfx_matte.segment(clip, **{**work, "references": {0: square(1, 9)}}, resume=True)


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ({0: np.zeros((64, 96))}, "float64"),
        ({0: None}, "frame 0"),
        ({9: square(1, 8)}, "does not exist"),
        ({}, "no mask"),
    ],
)
def test_wrong_references_are_mask_errors(clip: Path, references: dict, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        vfx_matte.segment(clip, references=references, propagator="fake")
    assert not Path("workspace").exists()


def test_wrong_options_are_refused(clip: Path) -> None:
    with pytest.raises(UsageError, match="unknown memory 'long'"):
        vfx_matte.segment(clip, references={0: square(1, 8)}, memory="long")
    with pytest.raises(TypeError, match="colour"):
        vfx_matte.segment(clip, references={0: square(1, 8)}, colour="red")


def picture(folder: str = "pictures") -> tuple[str, np.ndarray]:
    """A folder with one picture, a red disc on green, and the disc's true mask."""
    Path(folder).mkdir()
    y, x = np.mgrid[:64, :96]
    disc = np.hypot(x - 40, y - 30) < 16
    shades = np.random.default_rng(0).integers(0, 20, (64, 96, 1))
    Image.fromarray(
        (np.where(disc[..., None], (200, 40, 40), (40, 120, 50)) + shades).astype(np.uint8)
    ).save(f"{folder}/0.png")
    return folder, disc


def test_a_first_mask_from_marks_is_a_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, disc = picture()
    found = vfx_matte.mask(folder, box=(22, 12, 36, 36))
    assert isinstance(found, vfx_matte.FirstMaskResult)
    assert (found.frame, found.mask.dtype, found.mask.shape) == (0, np.uint8, (64, 96))
    assert ((found.mask == 1) & disc).sum() / ((found.mask == 1) | disc).sum() > 0.9
    (one,) = found.objects
    assert isinstance(one, vfx_matte.MaskedObject)
    assert (one.object_id, one.pixels) == (1, (found.mask == 1).sum())
    result = vfx_matte.segment(folder, references={0: found.mask}, propagator="fake")
    np.testing.assert_array_equal(result.mask(0), found.mask)


def test_marks_correct_a_mask_and_leave_other_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, disc = picture()
    before = np.where(disc, 1, 0).astype(np.uint8)
    before[50:60, 80:90] = 2
    paint(Path("start.png"), before)
    strokes = {"fg_strokes": [[(70, 30), (76, 34)]], "bg_strokes": [[(40, 15), (44, 15)]]}
    after = vfx_matte.mask(
        folder, start=before, object_id=1, fg=[(40, 30)], bg=[(28, 30)], **strokes
    ).mask
    assert (after[30, 70], after[34, 76], after[30, 40]) == (1, 1, 1)
    assert (after[15, 42], after[30, 28]) == (0, 0)
    np.testing.assert_array_equal(after == 2, before == 2)
    assert after.any()
    again = vfx_matte.mask(
        folder, start="start.png", at="0s", object_id=1, fg=[(40, 30)], bg=[(28, 30)], **strokes
    ).mask
    np.testing.assert_array_equal(again, after)


def test_a_correction_that_changes_much_says_so_in_python_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, disc = picture()
    half = np.where(disc, 1, 0).astype(np.uint8)
    half[:, 40:] = 0
    grown = vfx_matte.mask(
        folder, start=half, fg_strokes=[[(48, 20), (48, 40)], [(52, 28), (52, 32)]]
    )
    share = (grown.mask > half).sum() / half.sum()
    assert share > 0.1
    assert any(
        line.startswith(f"object 1 grew by {share:.0%}: ") and "give fg and bg together" in line
        for line in grown.notices
    )


@pytest.mark.parametrize(
    "given",
    [
        {"fg": (40, 30)},
        {"fg": [(40.5, 30)]},
        {"fg": [(40,)]},
        {"fg": [("a", "b")]},
        {"box": (1, 2, 3)},
        {"box": (0.5, 1, 20, 20)},
        {"fg_strokes": [(1, 2), (3, 4)]},
        {"fg": [(40, 30)], "object_id": "1"},
        {"fg": [(40, 30)], "at": True},
    ],
    ids=str,
)
def test_marks_that_are_no_marks_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, _ = picture()
    with pytest.raises(
        vfx_matte.VfxMatteError, match=next(reversed(given)) if "at" not in given else "True"
    ):
        vfx_matte.mask(folder, **given)


def test_points_may_be_an_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, _ = picture()
    points = np.array([[40, 30]])
    np.testing.assert_array_equal(
        vfx_matte.mask(folder, fg=points).mask, vfx_matte.mask(folder, fg=[(40, 30)]).mask
    )


def test_marks_that_cannot_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, _ = picture()
    with pytest.raises(UsageError, match="nothing is marked"):
        vfx_matte.mask(folder)
    with pytest.raises(UsageError, match="point 96,3 does not lie inside"):
        vfx_matte.mask(folder, fg=[(96, 3)])
    with pytest.raises(MaskError, match="the mask to start from is not a mask"):
        vfx_matte.mask(folder, fg=[(40, 30)], start=np.zeros((2, 2, 2, 2), np.uint8))
    with pytest.raises(MaskError, match="without U²-Netp"):
        vfx_matte.mask(folder, auto=True, network=None)


@pytest.mark.slow
@pytest.mark.skipif(not NETWORK.is_file(), reason="the network is not here")
def test_the_network_is_used_where_its_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, disc = picture()
    one, *_ = vfx_matte.mask(folder, auto=True, network=NETWORK).objects
    assert 0.5 * disc.sum() < one.pixels < 2 * disc.sum()


def test_a_folder_of_masks(clip: Path) -> None:
    Path("painted").mkdir()
    paint(Path("painted/frame-3.png"), square(1, 8))
    assert vfx_matte.segment(clip, references="painted", propagator="fake", stop=5).computed == 5


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, vfx_matte; dir(vfx_matte); print(sorted({'numpy', 'av', 'cv2', 'torch'} &"
        " set(sys.modules)))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vfx_matte.nothing


@pytest.mark.slow
def test_the_readme_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_clip: Callable[..., Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("source").mkdir()
    shutil.copy(
        make_clip("clip.mp4", pts=tuple(range(0, 40 * 512, 512)), time_base=Fraction(1, 15360)),
        "source/clip.mp4",
    )
    paint(Path("m33.png"), square(1, 8))
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (example,) = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    names: dict[str, Any] = {}
    assert "(700, 200)" in example  # a place in the README's clip; this one is smaller
    exec(example.replace("(700, 200)", "(20, 20)"), names)
    assert names["first"].mask[20, 20] == 1
    assert names["result"].computed == 40
    assert names["mask"].shape == (64, 96)


def test_results_name_commands_as_python_writes_them(clip: Path) -> None:
    vfx_matte.segment(clip, references={0: square(1, 8)}, propagator="fake")
    found = vfx_matte.suggest(clip, count=1, propagator="builtin")
    assert found.segment_command.startswith("vfx_matte.segment(")
    assert found.suggestions[0].frame_command.startswith("vfx_matte.frame(")
