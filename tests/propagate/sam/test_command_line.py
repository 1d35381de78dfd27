"""SAM 2 and EdgeTAM through the command line: a folder of weights in, masks for every frame out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.command_line import CommandLine
from support.tiny_sam import FAMILIES, NEEDS_SAM, save_tiny

from vfx_matte.propagate.registry import choose_propagator

pytestmark = NEEDS_SAM
FOLDERS = {"sam2": "sam2-small", "edgetam": "edgetam"}


@pytest.fixture(scope="module", params=FAMILIES)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a network under one of the names that are looked for."""
    name = request.param.name
    folder = tmp_path_factory.mktemp("model")
    save_tiny(name, folder / FOLDERS[name])
    return folder


def name_of(network: Path) -> str:
    return "edgetam" if (network / "edgetam").exists() else "sam2"


def segment(clip: Path, network: Path, *more: str) -> tuple[str | Path, ...]:
    common = ("--propagator", name_of(network), "--model", network, "--device", "cpu")
    return ("segment", clip, *common, *more)


@pytest.mark.slow
def test_references_backward_and_a_new_object_and_going_on_after_a_stop(
    two_references: tuple[CommandLine, Path], network: Path
) -> None:
    cli, clip = two_references
    both = ("--mask", "3=one.png", "--mask", "8=two.png")
    ran = cli(*segment(clip, network, *both))
    title = {"sam2": "SAM 2", "edgetam": "EdgeTAM"}[name_of(network)]
    assert f"{title} propagator (as asked)" in ran.stderr
    whole = cli.masks()
    assert sorted(whole) == list(range(12))
    assert (whole[3][16:48, 8:32] == 1).all()
    assert np.count_nonzero(whole[3] == 1) == 32 * 24, "a reference comes out exactly as given"
    assert (whole[8][16:48, 40:64] == 2).all()
    # frames that are lost are made again as they were, from the walks' beginnings
    for index in (1, 5, 6, 7, 10):
        for path in (cli.folder / "workspace/clip/masks").glob(f"*{index}.png"):
            if int(path.stem) == index:
                path.unlink()
    assert len(cli.masks()) == 7
    cli(*segment(clip, network, *both, "--resume"))
    again = cli.masks()
    assert all(np.array_equal(again[index], whole[index]) for index in range(12))


def test_another_size_is_other_work(
    two_references: tuple[CommandLine, Path], network: Path
) -> None:
    cli, clip = two_references
    first = ("--first-mask", "one.png", "--stop", "5")
    cli(*segment(clip, network, *first, "--size", "64"))
    assert len(cli.masks()) == 5
    refused = cli.fails(*segment(clip, network, *first, "--resume"), code=2)
    assert "size" in refused.stderr


def test_weights_that_are_not_there_are_named_with_what_gets_them(
    two_references: tuple[CommandLine, Path], network: Path
) -> None:
    cli, clip = two_references
    empty = cli.folder / "empty"
    empty.mkdir()
    before = cli.files()
    name = name_of(network)
    ran = cli.fails(
        "segment", clip, "--first-mask", "one.png", "--propagator", name, "--model", empty, code=2
    )
    assert "needs a network, but" in ran.error
    assert "vfx-matte weights fetch" in ran.stderr
    assert cli.files() == before


def test_auto_takes_them_only_where_a_gpu_is(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def options(entry: object) -> object:
        return entry.chosen({}, model=network)  # type: ignore[attr-defined]

    monkeypatch.setattr("vfx_matte.backend.driver_problem", lambda: "there is no NVIDIA driver")
    assert choose_propagator(None, options).entry.name == "builtin"
    monkeypatch.setattr("vfx_matte.backend.driver_problem", lambda: None)
    decision = choose_propagator(None, options)
    assert decision.entry.name == name_of(network)
    assert str(network / FOLDERS[name_of(network)]) in str(decision)
