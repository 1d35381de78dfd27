"""XMem through the command line: a weights file in, masks for every frame out, and what happens
when it cannot run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.command_line import CommandLine, paint

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork  # noqa: E402
from vfx_matte.workspace import load_mask  # noqa: E402


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("weights") / "XMem.pth"
    torch.save(XMemNetwork(Dimensions(key=8, value=16, hidden=8)).state_dict(), path)
    return path


@pytest.fixture
def masked(
    cli: CommandLine, make_clip: Callable[..., Path], take: Callable[..., Path]
) -> tuple[CommandLine, Path]:
    clip = take(
        make_clip("clip.mp4", pts=tuple(range(0, 12 * 512, 512)), time_base=Fraction(1, 15360))
    )
    for name, column in (("one.png", 8), ("two.png", 40)):
        mask = np.zeros((64, 96), np.uint8)
        mask[16:48, column : column + 24] = 1 if name == "one.png" else 2
        paint(Path(name), mask)
    return cli, clip


def masks_of(cli: CommandLine) -> dict[int, np.ndarray]:
    return {
        int(path.stem): load_mask(path)
        for path in sorted((cli.folder / "workspace/clip/masks").glob("*.png"))
    }


def test_references_backward_and_a_new_object(
    masked: tuple[CommandLine, Path], weights: Path
) -> None:
    cli, clip = masked
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
    found = masks_of(cli)
    assert sorted(found) == list(range(12))
    assert (found[3][16:48, 8:32] == 1).all()
    assert np.count_nonzero(found[3]) == 32 * 24, "a reference comes out exactly as given"
    assert (found[8][16:48, 40:64] == 2).all()


def test_weights_in_the_model_folder_are_taken_unasked(
    masked: tuple[CommandLine, Path], weights: Path
) -> None:
    cli, clip = masked
    ran = cli("segment", clip, "--first-mask", "one.png", "--model", weights.parent, "--size", "32")
    assert "XMem propagator" in ran.stderr
    assert len(masks_of(cli)) == 12


def test_other_weights_are_other_work(masked: tuple[CommandLine, Path], weights: Path) -> None:
    cli, clip = masked
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
    masked: tuple[CommandLine, Path], weights: Path
) -> None:
    cli, clip = masked
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
    masked: tuple[CommandLine, Path], weights: Path, options: tuple[str, ...]
) -> None:
    cli, clip = masked
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
    found = masks_of(cli)
    assert sorted(found) == list(range(12))
    assert (found[3][16:48, 8:32] == 1).all()
    assert "setting" in cli.fails(*command, "--size", "-1", "--resume", code=2).error


def test_weights_that_do_not_fit_lose_nothing(masked: tuple[CommandLine, Path]) -> None:
    cli, clip = masked
    cli("segment", clip, "--first-mask", "one.png", "--propagator", "fake")
    before = masks_of(cli)
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
    after = masks_of(cli)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[index], after[index]) for index in before)


@pytest.mark.parametrize("memory", ["permanent", "xmem"])
def test_a_cut_ends_a_shot_whose_masks_go_no_farther(
    masked: tuple[CommandLine, Path], weights: Path, memory: str
) -> None:
    """Frames 5 to 8 are a shot without a mask; the references of the two others stay as painted."""
    cli, clip = masked
    masks = ("--mask", "3=one.png", "--mask", "10=two.png", "--cuts", "5,9", "--memory", memory)
    cli("segment", clip, *masks, "--propagator", "xmem", "--weights", weights, "--size", "-1")
    found = masks_of(cli)
    assert sorted(found) == list(range(12))
    assert not any(found[index].any() for index in range(5, 9))
    assert np.count_nonzero(found[3] == 1) == 32 * 24
    assert np.count_nonzero(found[10] == 2) == 32 * 24
