"""bench/davis.py on small folders laid out like DAVIS, its numbers computed once more by sets of
pixels.
"""

from __future__ import annotations

import csv
import importlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.command_line import CommandLine

from vfx_matte.errors import UsageError
from vfx_matte.masks import Palette
from vfx_matte.workspace import load_mask, save_mask

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "bench" / "davis.py"
LENGTH = {"bear": 9, "cows": 7}
HEADER = ["sequence", "mean", "recall", "decay", "mean", "recall", "decay", "J&F", "ms/frame"]

Gray = npt.NDArray[np.uint8]
Refused = Callable[..., str]


def drawn(name: str, index: int) -> tuple[Gray, Gray]:
    """Image (48, 64, 3) and ids (48, 64) of a frame: two textured squares that move, object 2 only
    in cows.
    """
    random = np.random.default_rng(3)
    image = random.integers(60, 110, (48, 64, 3)).astype(np.uint8)
    ids = np.zeros((48, 64), np.uint8)
    squares = [(1, 4, 6 + 2 * index, (210, 60, 50)), (2, 28, 40 - 3 * index, (60, 70, 220))]
    for object_id, top, left, color in squares[: 1 + (name == "cows")]:
        image[top : top + 16, left : left + 16] = np.array(color) + random.integers(
            -20, 20, (16, 16, 3)
        )
        ids[top : top + 16, left : left + 16] = object_id
    return image, ids


def void_of(index: int) -> npt.NDArray[np.bool_]:
    """Three columns that move, so that what was carried from a reference gets into them."""
    columns = np.arange(64) - 8 - 3 * index
    return np.broadcast_to((columns >= 0) & (columns < 3), (48, 64))


def lay_out(root: Path, *, multi: bool) -> Path:
    """A data set of bear and cows; in the one for several objects some pixels are void and a list
    names cows alone.
    """
    for name, length in LENGTH.items():
        for index in range(length):
            image, ids = drawn(name, index)
            picture = root / "JPEGImages" / "480p" / name / f"{index:05d}.jpg"
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(picture, quality=95)
            truth = root / "Annotations" / "480p" / name / f"{index:05d}.png"
            if multi:
                ids[void_of(index)] = 255
                save_mask(truth, ids, Palette.davis())
            else:
                truth.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.where(ids > 0, 255, 0).astype(np.uint8)).save(truth)
    if multi:
        (root / "ImageSets" / "2017").mkdir(parents=True)
        (root / "ImageSets" / "2017" / "val.txt").write_text("cows\n")
    return root


def bench(folder: Path, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, SCRIPT, folder, *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    return ran


def rows_of(ran: subprocess.CompletedProcess[str]) -> dict[str, list[float]]:
    """The table's rows by name."""
    lines = ran.stdout.splitlines()
    assert lines[1].split() == HEADER
    return {
        line[:22].strip(): [float(cell) for cell in line[22:].split()]
        for line in lines[2:]
        if not line.startswith("note")
    }


def frames_of(path: Path) -> dict[tuple[str, int, int], float]:
    """J by sequence, frame and object."""
    with path.open(newline="") as file:
        return {
            (row["sequence"], int(row["frame"]), int(row["object"])): float(row["j"])
            for row in csv.DictReader(file)
        }


def j_by_sets(guess: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    mine, true = ({tuple(place) for place in np.argwhere(mask).tolist()} for mask in (guess, truth))
    return len(mine & true) / len(mine | true) if mine | true else 1.0


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return importlib.import_module("bench.davis")


@pytest.fixture
def refused(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """What the bench says when it ends with a code: in this process, as a process of its own for
    each would take the most part of its time to begin.
    """

    def run(folder: Path, *arguments: str, code: int) -> str:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(folder), *arguments])
        try:
            ended = tool.main()
        except SystemExit as exit_:
            ended = exit_.code
        told = capsys.readouterr().err
        assert ended == code, told
        return told

    return run


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("davis16"), multi=False)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("davis17"), multi=True)


@given(
    st.integers(1, 300).flatmap(lambda length: st.tuples(st.just(length), st.integers(1, length)))
)
def test_references_are_evenly_spaced(tool: ModuleType, numbers: tuple[int, int]) -> None:
    length, count = numbers
    chosen = tool.spaced(length, count)
    assert len(chosen) == count
    assert chosen[0] == 0
    gaps = [later - earlier for earlier, later in itertools.pairwise((*chosen, length))]
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1
    assert count == length or chosen[-1] < length - 1, "never the last frame while there is another"


def test_references_have_to_fit(tool: ModuleType) -> None:
    assert tool.spaced(50, 5) == (0, 10, 20, 30, 40)
    for count in (0, 8):
        with pytest.raises(UsageError, match=f"{count} references"):
            tool.spaced(7, count)


def test_the_papers_table_of_one_object(single: Path, tmp_path: Path) -> None:
    """The propagator that repeats the first mask, scored by hand."""
    ran = bench(single, "--propagator", "fake", "--csv", tmp_path / "frames.csv")
    table = rows_of(ran)
    assert list(table) == ["bear", "cows", "mean of 2", "spread"]
    found = frames_of(tmp_path / "frames.csv")
    for name, length in LENGTH.items():
        first, truths = (
            drawn(name, 0)[1] > 0,
            [drawn(name, index)[1] > 0 for index in range(length)],
        )
        expected = [j_by_sets(first, truth) for truth in truths]
        assert [found[name, index, 1] for index in range(length)] == pytest.approx(
            [-1, *expected[1:-1], -1], abs=1e-6
        )
        scored = np.array(expected[1:-1])
        edges = [int(edge + 0.5) for edge in np.linspace(1, len(scored), 5)]
        decay = scored[: edges[1]].mean() - scored[edges[3] - 1 :].mean()
        assert table[name][:3] == pytest.approx(
            [100 * scored.mean(), 100 * (scored > 0.5).mean(), 100 * decay], abs=0.051
        )
        assert table[name][6] == pytest.approx((table[name][0] + table[name][3]) / 2, abs=0.11)
        assert table[name][7] >= 0
    for column in range(7):
        pair = [table[name][column] for name in LENGTH]
        assert table["mean of 2"][column] == pytest.approx(np.mean(pair), abs=0.11)
        assert table["spread"][column] == pytest.approx(np.std(pair, ddof=1), abs=0.15)


def test_several_references_of_several_objects(
    several: Path, tmp_path: Path, cli: CommandLine
) -> None:
    """Three references of seven frames are 0, 2 and 4; the masks that were saved are scored again,
    here and by `evaluate`.
    """
    save, frames = tmp_path / "masks", tmp_path / "frames.csv"
    ran = bench(
        several,
        "--objects",
        "multi",
        "--propagator",
        "fake",
        "--references",
        "3",
        "--csv",
        frames,
        "--save",
        save,
    )
    table = rows_of(ran)
    assert list(table) == ["cows", "mean of 2"], (
        "the list of 2017 names cows, which has two objects"
    )
    assert sorted(path.name for path in (save / "cows").iterdir()) == [
        f"{index:05d}.png" for index in range(7)
    ]
    found = frames_of(frames)
    assert {index for (_, index, _), value in found.items() if value == -1} == {0, 2, 4, 6}
    for index, one in itertools.product((1, 3, 5), (1, 2)):
        saved, truth = load_mask(save / "cows" / f"{index:05d}.png"), drawn("cows", index)[1]
        inside = ~void_of(index)
        assert found["cows", index, one] == pytest.approx(
            j_by_sets((saved == one) & inside, (truth == one) & inside), abs=1e-6
        )
    scores = [value for value in found.values() if value != -1]
    assert 0 < min(scores) < max(scores) < 1
    assert table["cows"][0] == pytest.approx(100 * np.mean(scores), abs=0.051)
    with Image.open(save / "cows" / "00003.png") as picture:
        assert picture.mode == "P"
    truth = several / "Annotations" / "480p"
    references = [part for index in (0, 2, 4) for part in ("--reference", str(index))]
    cli(
        "evaluate",
        save,
        truth,
        "--sequence",
        "cows",
        "--void",
        "255",
        "--protocol",
        "davis",
        *references,
        "--csv",
        "again.csv",
    )
    assert Path("again.csv").read_text() == frames.read_text()


def test_workers_find_the_same(single: Path) -> None:
    alone = bench(single, "--propagator", "fake", "--references", "2")
    both = bench(single, "--propagator", "fake", "--references", "2", "--workers", "2")
    assert "note" not in alone.stdout
    assert "note: 2 sequences ran side by side" in both.stdout
    assert {name: row[:7] for name, row in rows_of(alone).items()} == {
        name: row[:7] for name, row in rows_of(both).items()
    }


def test_how_well_confidence_tells_bad_frames(
    tool: ModuleType, single: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool.print_sureness([(95, 0.9), (90, 0.8), (70, 0.5), (60, 0.65), (50, 0.75)])
    # ranks 5 4 3 2 1 and 5 4 1 2 3: 1 - 6·8 / (5·24)
    assert capsys.readouterr().out.splitlines() == [
        "confidence: rank correlation with J 0.60; below 78 % are 3 of 5 frames (60%)",
        "  of 1 frames with J < 0.6: 1",
        "  of 2 frames with J < 0.7: 2",
        "  of those below, J < 0.7 in 67%",
    ]
    # without an order there is no correlation
    for pairs, words in {
        ((95, 0.9), (70, 0.9)): "no rank correlation, as J is the same everywhere; below 78 % are"
        " 1 of 2 frames (50%)",
        ((95, 0.9), (95, 0.8)): "no rank correlation, as it is the same everywhere; below 78 % are"
        " 0 of 2 frames (0%)",
        (): "no frame is scored",
    }.items():
        tool.print_sureness(pairs)
        assert capsys.readouterr().out.splitlines()[0] == f"confidence: {words}"
    # the frames that count, of both sequences: neither the first nor the last
    said = bench(single, "--confidence").stdout
    assert f"of {sum(LENGTH.values()) - 2 * len(LENGTH)} frames" in said


def test_the_builtin_propagator_by_default(single: Path) -> None:
    table = rows_of(bench(single, "--sequences", "bear"))
    assert list(table) == ["bear", "mean of 1"]
    assert table["bear"][0] > 80
    assert table["bear"][7] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("--sequences", "wolf"), 2, "wolf"),
        (
            ("--references", "10", "--propagator", "fake"),
            2,
            "10 references do not fit into 9 frames",
        ),
        (("--references", "0", "--propagator", "fake"), 2, "0 references"),
        (("--propagator", "nothing"), 2, "unknown propagator 'nothing'"),
        (("--workers", "0"), 2, "--workers is 0"),
        (("--objects", "some"), 2, "some"),
        (("--propagator", "xmem", "--weights", "nowhere.pth"), 1, "error: "),
    ],
)
def test_what_cannot_be_measured(
    single: Path, refused: Refused, arguments: tuple[str, ...], code: int, named: str
) -> None:
    assert named in refused(single, *arguments, code=code)


def test_what_workers_cannot_measure_is_told_by_the_process(single: Path) -> None:
    ran = bench(single, "--propagator", "nothing", "--workers", "2", code=2)
    assert "unknown propagator 'nothing'" in ran.stderr


def test_a_folder_that_is_no_davis(tmp_path: Path, refused: Refused) -> None:
    assert "JPEGImages" in refused(tmp_path, code=2)


def test_an_annotation_that_is_missing(tmp_path: Path, refused: Refused) -> None:
    root = lay_out(tmp_path, multi=False)
    (root / "Annotations" / "480p" / "bear" / "00003.png").unlink()
    assert "00003.png" in refused(root, "--propagator", "fake", code=2)


def test_xmem_with_its_options(single: Path, tmp_path: Path) -> None:
    """A small network that was never trained: what is shown is that its options arrive and that its
    masks are scored.
    """
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork

    torch.manual_seed(2)
    torch.save(
        XMemNetwork(Dimensions(key=8, value=16, hidden=8)).state_dict(), tmp_path / "small.pth"
    )
    options = (
        "--propagator",
        "xmem",
        "--weights",
        tmp_path / "small.pth",
        "--device",
        "cpu",
        "--references",
        "2",
    )
    for number, more in enumerate(
        (("--size", "48"), ("--size", "32"), ("--size", "48", "--memory", "xmem"))
    ):
        table = rows_of(
            bench(single, "--sequences", "bear", *options, *more, "--save", tmp_path / str(number))
        )
        assert table["bear"][7] > 0
    masks = [
        [load_mask(path) for path in sorted((tmp_path / str(number) / "bear").iterdir())]
        for number in range(3)
    ]
    for other in masks[1:]:
        assert any(
            not np.array_equal(mine, theirs) for mine, theirs in zip(masks[0], other, strict=True)
        )
