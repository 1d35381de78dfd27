"""A run that was stopped, at whatever moment and however often, ends with the bytes of a run that
nobody disturbed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.command_line import CommandLine
from support.whole_runs import manifest_without_time, mask_files

from vfx_matte.masks import Palette
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.pipeline.segment import driver_inputs
from vfx_matte.scene import Scene
from vfx_matte.workspace import SegmentRun, save_mask

pytestmark = pytest.mark.slow

FRAMES = 14
SCENE = Scene(width=96, height=64, frame_count=FRAMES)


class Killed(BaseException):
    """Stands for a process that ends without a word."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "scene.mp4"
    make_film(
        path, (SCENE.frame(index)[0] for index in range(FRAMES)), SCENE.timeline, SCENE.sound()
    )
    return path


def painted(index: int, ids: tuple[int, ...] = (1, 2)) -> np.ndarray:
    """Two objects, of which one has a thin rod."""
    truth = SCENE.truth_mask(index) > 0
    mask = np.zeros(truth.shape, np.uint8)
    mask[truth] = 1
    mask[10 + index : 24 + index, 66:84] = 2
    mask[8, 16:66] = 1
    return np.where(np.isin(mask, ids), mask, np.uint8(0))


PLANS: dict[str, tuple[dict[int, tuple[int, ...]], tuple[str, ...]]] = {
    "one mask, forward": ({0: (1, 2)}, ()),
    "one mask, both ways, soft": ({9: (1, 2)}, ("--soft",)),
    "two masks that meet": ({2: (1, 2), 12: (1, 2)}, ("--soft",)),
    "a later object, a part of the clip": (
        {0: (1,), 7: (2,), 11: (1, 2)},
        ("--start", "3", "--stop", "13"),
    ),
    "cuts": ({1: (1, 2), 12: (1, 2)}, ("--cuts", "8")),
    "one walk": ({3: (1, 2), 10: (1,)}, ("--memory", "xmem")),
}


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the process end when so many files were saved; 0: never."""
    real_mask, real_state = SegmentRun.save_mask, SegmentRun.save_state

    def arrange(count: int) -> None:
        left = [count]

        def counted(real: Callable[..., None]) -> Callable[..., None]:
            def save(self: SegmentRun, *values: object) -> None:
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
                real(self, *values)

            return save

        monkeypatch.setattr(SegmentRun, "save_mask", counted(real_mask))
        monkeypatch.setattr(SegmentRun, "save_state", counted(real_state))

    return arrange


@pytest.mark.parametrize("plan", PLANS)
def test_stopped_again_and_again(
    cli: CommandLine,
    film: Path,
    plan: str,
    killed_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    masks, options = PLANS[plan]
    for index, ids in masks.items():
        save_mask(Path(f"m{index}.png"), painted(index, ids), Palette.davis())
    given = [word for index in masks for word in ("--mask", f"{index}=m{index}.png")]
    command = ("segment", film, "--propagator", "builtin", *given, *options)
    cli(*command, "--workspace", "whole")
    monkeypatch.setattr(driver_inputs, "STATE_SECONDS", 0.0)
    for seed in range(1):
        random, stops = np.random.default_rng(seed), 0
        place = Path(f"again{seed}")
        while stops < 4:
            # a killed run does not even save its manifest on the way out
            monkeypatch.setattr(SegmentRun, "close", lambda run: run._resources.close())
            killed_at(int(random.integers(1, 14)))
            way = () if not (place / "scene/manifest.json").exists() else ("--resume",)
            try:
                cli(*command, *way, "--workspace", place)
            except Killed:
                stops += 1
                continue
            break
        assert stops, "it was never stopped"
        monkeypatch.undo()
        monkeypatch.chdir(cli.folder)
        cli(*command, "--resume", "--workspace", place)
        monkeypatch.setattr(driver_inputs, "STATE_SECONDS", 0.0)
        assert mask_files(place / "scene") == mask_files(Path("whole/scene"))
        assert manifest_without_time(place / "scene") == manifest_without_time(Path("whole/scene"))
