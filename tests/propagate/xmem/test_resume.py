"""XMem's walks are saved and gone on with, bit for bit; so is a run of segment that was killed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.command_line import CommandLine, paint

torch = pytest.importorskip("torch")

from vfx_matte.pipeline.segment import driver_inputs  # noqa: E402
from vfx_matte.propagate.xmem import propagator as xmem  # noqa: E402
from vfx_matte.propagate.xmem.network import Dimensions, XMemNetwork  # noqa: E402
from vfx_matte.propagate.xmem.propagator import XMemMemory, XMemPropagator  # noqa: E402
from vfx_matte.workspace import SegmentRun  # noqa: E402
from vfx_matte.workspace.walk_states import WalkStateFolder  # noqa: E402

SHAPE = (48, 64)
MEMORY = {
    "mem_every": 2,
    "top_k": 6,
    "num_prototypes": 5,
    "min_mid_term_frames": 2,
    "max_mid_term_frames": 4,
    "max_long_term_elements": 14,
}


@pytest.fixture(scope="module")
def network() -> dict[str, torch.Tensor]:
    torch.manual_seed(2)
    return XMemNetwork(Dimensions(key=8, value=16, hidden=8)).state_dict()


def picture(index: int) -> NDArray[np.uint8]:
    image = np.random.default_rng(1).integers(0, 255, (*SHAPE, 3)).astype(np.uint8)
    image[10:30, 5 + index : 25 + index] = (220, 40, 90)
    return image


def mask(index: int, *ids: int) -> NDArray[np.uint8]:
    shown = np.zeros(SHAPE, np.uint8)
    shown[10:30, 5 + index : 25 + index] = 1
    shown[32:44, 30:60] = 2
    return shown * np.isin(shown, ids)


@pytest.mark.parametrize(
    ("remembered", "options", "flip"),
    [
        (False, MEMORY, False),
        (True, MEMORY, False),
        (True, {"mem_every": 3, "deep_update_every": 2, "long_term": False}, True),
    ],
)
def test_a_walk_goes_on_from_any_frame(
    tmp_path: Path,
    network: dict[str, torch.Tensor],
    remembered: bool,
    options: dict[str, int],
    flip: bool,
) -> None:
    def opened() -> XMemPropagator:
        propagator = XMemPropagator(
            num_objects=2, weights=network, size=32, memory=XMemMemory(**options), flip=flip
        )
        if remembered:
            propagator.remember(picture(0), mask(0, 1))
            propagator.remember(picture(11), np.zeros(SHAPE, np.uint8))
        return propagator

    length, given = 12, {0: mask(0, 1), 5: mask(5, 2)}
    store, whole, expected = WalkStateFolder(tmp_path / "states", "work"), opened(), []
    for index in range(length):
        expected.append(whole.step(picture(index), given.get(index)))
        state = whole.walk_state()
        assert state is not None
        store.save(f"f{index}", index, state)
    for index in (0, 5, 8):
        saved = store.load(f"f{index}")
        assert saved is not None
        another = opened()
        another.restore_walk(saved[1])
        for later in range(index + 1, length):
            assert np.array_equal(
                another.step(picture(later), given.get(later)), expected[later]
            ), (index, later)


def test_a_state_of_another_size_or_way_is_refused(network: dict[str, torch.Tensor]) -> None:
    propagator = XMemPropagator(num_objects=1, weights=network, size=32)
    propagator.step(picture(0), mask(0, 1))
    state = propagator.walk_state()
    assert state is not None
    other = XMemPropagator(num_objects=1, weights=network, size=48)
    other.remember(picture(0), mask(0, 1))
    with pytest.raises(ValueError, match="size 32"):
        other.restore_walk(state)
    with pytest.raises(ValueError, match="another way"):
        XMemPropagator(num_objects=1, weights=network, size=32, flip=True).restore_walk(state)


class Killed(BaseException):
    """Stands for a process that ends without a word."""


@pytest.mark.parametrize("memory", ["permanent", "xmem"])
def test_a_run_that_was_killed(
    cli: CommandLine,
    make_clip: Callable[..., Path],
    network: dict[str, torch.Tensor],
    memory: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip = make_clip("clip.mp4", pts=tuple(range(0, 10 * 512, 512)), time_base=Fraction(1, 15360))
    torch.save(network, "XMem.pth")
    for name, column, object_id in (("one.png", 8, 1), ("two.png", 40, 2)):
        shown = np.zeros((64, 96), np.uint8)
        shown[16:48, column : column + 24] = object_id
        paint(Path(name), shown)
    references = ("--mask", "3=one.png", "--mask", "7=two.png")
    command = (
        "segment",
        clip,
        *references,
        "--propagator",
        "xmem",
        "--weights",
        "XMem.pth",
        "--mem-every",
        "2",
        "--soft",
        "--size",
        "48",
    )
    command = (*command, "--memory", memory)
    cli(*command, "--workspace", "whole")
    monkeypatch.setattr(driver_inputs, "STATE_SECONDS", 0.0)
    real, left = SegmentRun.save_mask, [0]

    def save(self: SegmentRun, *values: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        real(self, *values)  # type: ignore[arg-type]

    monkeypatch.setattr(SegmentRun, "save_mask", save)
    monkeypatch.setattr(SegmentRun, "close", lambda run: run._resources.close())
    for count in (3, 4, 100):
        left[0] = count
        way = ("--resume",) if Path("again/clip/manifest.json").exists() else ()
        if count == 100:
            cli(*command, *way, "--workspace", "again")
        else:
            with pytest.raises(Killed):
                cli(*command, *way, "--workspace", "again")
    masks = {
        path.relative_to("whole"): path.read_bytes()
        for path in sorted(Path("whole/clip/masks").rglob("*.png"))
    }
    assert masks == {
        path.relative_to("again"): path.read_bytes()
        for path in sorted(Path("again/clip/masks").rglob("*.png"))
    }


def test_a_size_that_was_chosen_by_free_memory_is_taken_again(
    cli: CommandLine,
    make_clip: Callable[..., Path],
    network: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip = make_clip("clip.mp4", pts=tuple(range(0, 4 * 512, 512)), time_base=Fraction(1, 15360))
    torch.save(network, "XMem.pth")
    shown = np.zeros((64, 96), np.uint8)
    shown[16:48, 8:32] = 1
    paint(Path("m.png"), shown)
    sizes = iter((32, 48))
    monkeypatch.setattr(xmem, "choose_size", lambda *_, **__: (next(sizes), "chosen"))
    command = (
        "segment",
        clip,
        "--first-mask",
        "m.png",
        "--propagator",
        "xmem",
        "--weights",
        "XMem.pth",
    )
    cli(*command)
    first = Path("workspace/clip/masks/0000003.png").read_bytes()
    assert '"working_size":32' in Path("workspace/clip/manifest.json").read_text()
    Path("workspace/clip/masks/0000003.png").unlink()
    cli(*command, "--resume")
    assert Path("workspace/clip/masks/0000003.png").read_bytes() == first
    assert next(sizes) == 48, "nobody chose again"
