"""XMem through the command line: a weights file in, masks for every frame out, and what happens
when it cannot run.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from support.command_line import CommandLine

torch = pytest.importorskip("torch")

from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork  # noqa: E402


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("weights") / "XMem.pth"
    torch.save(XMemNetwork(Dimensions(key=8, value=16, hidden=8)).state_dict(), path)
    return path


def test_references_backward_and_a_new_object(
    two_references: tuple[CommandLine, Path], weights: Path
) -> None:
    cli, clip = two_references
    cli(
        "segment",
        clip,
        "--mask",
        "3=one.png",
        "--mask",
        "8=two.png",
        "--propagator",
        "xmem",
        "--weights",
        weights,
        "--size",
        "-1",
    )
    found = cli.masks()
    assert sorted(found) == list(range(12))
    assert (found[3][16:48, 8:32] == 1).all()
    assert np.count_nonzero(found[3]) == 32 * 24, "a reference comes out exactly as given"
    assert (found[8][16:48, 40:64] == 2).all()


def test_weights_in_the_model_folder_are_taken_unasked(
    two_references: tuple[CommandLine, Path], weights: Path
) -> None:
    cli, clip = two_references
    ran = cli("segment", clip, "--first-mask", "one.png", "--model", weights.parent, "--size", "32")
    assert "XMem propagator" in ran.stderr
    assert len(cli.masks()) == 12


def test_other_weights_are_other_work(
    two_references: tuple[CommandLine, Path], weights: Path
) -> None:
    cli, clip = two_references
    cli(
        "segment",
        clip,
        "--first-mask",
        "one.png",
        "--propagator",
        "xmem",
        "--weights",
        weights,
        "--stop",
        "4",
    )
    again = cli.fails(
        "segment",
        clip,
        "--first-mask",
        "one.png",
        "--propagator",
        "builtin",
        "--stop",
        "4",
        "--resume",
        code=2,
    )
    assert "propagator" in again.stderr


def test_weights_are_compared_with_the_checksum_that_is_known(
    two_references: tuple[CommandLine, Path], weights: Path
) -> None:
    cli, clip = two_references
    command = (
        "segment",
        clip,
        "--first-mask",
        "one.png",
        "--propagator",
        "xmem",
        "--weights",
        "own/XMem.pth",
        "--stop",
        "2",
    )
    Path("own").mkdir()
    Path("own/XMem.pth").write_bytes(weights.read_bytes())
    table = Path("own/weights.toml")
    table.write_text(
        f'[[weights]]\nname = "XMem.pth"\nsize_bytes = 9\nsha256 = "{"0" * 64}"\n', encoding="utf-8"
    )
    assert "own/XMem.pth differs" in cli.fails(*command, code=1).error
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    table.write_text(f'[[weights]]\nname = "XMem.pth"\nsha256 = "{sha256}"\n', encoding="utf-8")
    cli(*command)


@pytest.mark.parametrize(
    "options",
    [("--memory", "xmem"), ("--no-long-term",), ("--mem-every", "1"), ("--flip",), ("--soft",)],
)
def test_memory_options(
    two_references: tuple[CommandLine, Path], weights: Path, options: tuple[str, ...]
) -> None:
    cli, clip = two_references
    command = (
        "segment",
        clip,
        "--mask",
        "3=one.png",
        "--mask",
        "8=two.png",
        "--propagator",
        "xmem",
        "--weights",
        weights,
    )
    cli(*command, "--size", "-1", *options)
    found = cli.masks()
    assert sorted(found) == list(range(12))
    assert (found[3][16:48, 8:32] == 1).all()
    assert "setting" in cli.fails(*command, "--size", "-1", "--resume", code=2).error


def test_weights_that_do_not_fit_lose_nothing(two_references: tuple[CommandLine, Path]) -> None:
    cli, clip = two_references
    cli("segment", clip, "--first-mask", "one.png", "--propagator", "fake")
    before = cli.masks()
    Path("bad.pth").write_bytes(b"no weights")
    for name in ("bad.pth", "none.pth"):
        ran = cli.fails(
            "segment",
            clip,
            "--first-mask",
            "one.png",
            "--propagator",
            "xmem",
            "--weights",
            name,
            "--fresh",
            code=1,
        )
        assert "hint:" in ran.stderr
    after = cli.masks()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[index], after[index]) for index in before)


@pytest.mark.parametrize("memory", ["permanent", "xmem"])
def test_a_cut_ends_a_shot_whose_masks_go_no_farther(
    two_references: tuple[CommandLine, Path], weights: Path, memory: str
) -> None:
    """Frames 5 to 8 are a shot without a mask; the references of the two others stay as painted."""
    cli, clip = two_references
    masks = ("--mask", "3=one.png", "--mask", "10=two.png", "--cuts", "5,9", "--memory", memory)
    cli("segment", clip, *masks, "--propagator", "xmem", "--weights", weights, "--size", "-1")
    found = cli.masks()
    assert sorted(found) == list(range(12))
    assert not any(found[index].any() for index in range(5, 9))
    assert np.count_nonzero(found[3] == 1) == 32 * 24
    assert np.count_nonzero(found[10] == 2) == 32 * 24
