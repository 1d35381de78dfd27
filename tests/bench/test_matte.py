"""bench/matte.py: masks are what they say, scores are right where they are known, tables have every
line.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from bench.scenes.edges import EdgeScene


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return importlib.import_module("bench.matte")


@pytest.fixture(scope="module")
def alpha() -> np.ndarray:
    """A disc with one thin line to the right, 1080 lines high in all that counts."""
    y, x = np.mgrid[:540, :540].astype(np.float32)
    disc = (150.5 - np.hypot(x - 260, y - 270)).clip(0, 1)
    disc[269:271, 400:500] = 1
    return disc


def test_masks_are_worse_in_the_way_they_say(bench: ModuleType, alpha: np.ndarray) -> None:
    made = {name: make(alpha, (1, 2)) for name, make in bench.MASKS.items()}
    cut = made["cut"]
    assert (cut == (alpha >= 0.5)).all()
    assert {mask.dtype for mask in made.values()} == {np.dtype(np.uint8)}
    assert {int(mask.max()) for mask in made.values()} == {1}
    # where the disc's side is upright
    row = {name: int(mask[250, :260].sum()) for name, mask in made.items()}
    assert row["eroded"] == row["cut"] - 2  # 3 px at 1080 lines are 1.5 here
    assert row["dilated"] == row["cut"] + 2
    assert (made["eroded"] <= cut).all()
    assert (made["dilated"] >= cut).all()
    assert 0 < np.count_nonzero(made["jittered"] != cut) < 0.05 * cut.sum()
    assert made["blocky"][:, 430:].sum() == 0  # the line is thinner than half a cell
    for name in ("jittered", "blocky"):
        assert (bench.MASKS[name](alpha, (1, 2)) == made[name]).all()
        assert (bench.MASKS[name](alpha, (1, 3)) != made[name]).any()


def test_a_perfect_method_has_no_error_and_a_perfect_alpha_only_that_of_colours(
    bench: ModuleType,
) -> None:
    scene, other = EdgeScene("defocus", 256, 144, 1), EdgeScene("defocus", 256, 144, 501)
    shots = list(
        bench.shots_of(
            [scene.frame(0), scene.frame(1)], [other.backdrop(0), other.backdrop(1)], "cut", 1
        )
    )

    def perfect(shot: object) -> tuple[object, object]:
        matte, _ = bench.edge_method("truth")(shot)
        return bench.Matte(np.full_like(matte.alpha, 65535)), bench.subsampled(shot.truth)  # type: ignore[attr-defined]

    exact = bench.scored(perfect, iter(shots))
    assert exact.color < 0.7  # rounding of one more conversion
    truth = bench.scored(bench.edge_method("truth"), iter(shots))
    assert (truth.sad, truth.flicker) == (pytest.approx(0, abs=1e-3), pytest.approx(0, abs=1e-2))
    raw = bench.scored(
        lambda shot: (bench.edge_method("truth")(shot)[0], shot.picture), iter(shots)
    )
    hard = bench.scored(bench.edge_method("median"), iter(shots))
    assert truth.color < raw.color < hard.color
    assert hard.sad > 0.1


@pytest.mark.slow
def test_edges_from_the_picture_beat_the_median(bench: ModuleType) -> None:
    """The claim of docs/matting.md, small: a blurred edge, a network-like mask, errors at least
    halved.
    """
    scene, other = EdgeScene("motion blur", 480, 270, 2), EdgeScene("motion blur", 480, 270, 502)
    shots = list(bench.shots_of([scene.frame(0)], [other.backdrop(0)], "blocky", 2))
    median, guided = (
        bench.scored(bench.edge_method(name), iter(shots)) for name in ("median", "guided")
    )
    assert guided.sad < 0.5 * median.sad
    assert guided.color < 0.5 * median.color
    assert guided.gradient < 0.5 * median.gradient


def test_the_table_has_a_line_for_every_scene_and_method_and_their_mean(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--size",
        "160x90",
        "--seeds",
        "3",
        "--frames",
        "2",
        "--masks",
        "cut,dilated",
        "--methods",
        "median,feather",
    ]
    monkeypatch.setattr(
        sys, "argv", ["bench_matte.py", *options, "--kind", "hard", "--kind", "glass"]
    )
    bench.main()
    header, *lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    names = [("hard", "median"), ("hard", "feather"), ("glass", "median"), ("glass", "feather")]
    assert [tuple(row[:2]) for row in cells] == [*names, ("mean", "median"), ("mean", "feather")]
    assert [cell.strip() for cell in header.strip("|").split("|")][2:6] == [
        "SAD",
        "×",
        "MSE ‰",
        "Grad",
    ]
    numbers = [[float(cell) for cell in row[2:]] for row in cells]
    assert numbers[4][0] == pytest.approx((numbers[0][0] + numbers[2][0]) / 2, abs=0.011)
    assert numbers[0][1] == numbers[4][1] == 1
    assert numbers[1][1] == pytest.approx(numbers[0][0] / numbers[1][0], rel=0.3)
    assert all(row[5] > 0 for row in numbers)  # flicker


def test_speed_is_printed_and_what_is_missing_is_named(
    bench: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(bench, "VITMATTE", tmp_path)
    monkeypatch.setattr(bench, "bench_speed", lambda options: iter([" ".join(options.methods)]))
    monkeypatch.setattr(sys, "argv", ["bench_matte.py", "--speed", "--methods", "median,vitmatte"])
    bench.main()
    said = capsys.readouterr().out
    assert re.search(r"vitmatte is left out: edges 'vitmatte' need", said)
    assert said.splitlines()[-1] == "median"


def test_harm_on_real_footage_is_what_is_wrong_away_from_the_edge(
    bench: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A disc of 40 px radius as a DAVIS folder: the right mask does no harm, a feather of 20 px
    does as much as its formula.
    """
    y, x = np.mgrid[:120, :160]
    to_edge = 40 - np.hypot(x - 80, y - 60)
    for kind, ending in (("JPEGImages", "jpg"), ("Annotations", "png")):
        folder = tmp_path / kind / "480p" / "disc"
        folder.mkdir(parents=True)
        for index in range(4):
            Image.fromarray((to_edge > 0).astype(np.uint8) * 255).save(
                folder / f"{index:05d}.{ending}"
            )
    feather = bench.MatteSettings
    monkeypatch.setattr(
        bench,
        "MatteSettings",
        lambda edges, **_: feather(edges=edges, feather=20 * (edges == "feather")),
    )
    monkeypatch.setattr(
        sys, "argv", ["bench_matte.py", "--davis", str(tmp_path), "--methods", "hard,feather"]
    )
    bench.main()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()
    ]
    told = {(mask, name): float(value) for mask, name, value in cells}
    assert told["cut", "hard"] == 0
    assert told["jittered", "hard"] <= told["jittered", "feather"]
    t = (0.5 + to_edge / 20).clip(0, 1)
    wrong = np.abs(3 * t**2 - 2 * t**3 - (to_edge > 0))
    assert told["cut", "feather"] == pytest.approx(wrong[np.abs(to_edge) > 2].sum() / 1000, rel=0.1)
