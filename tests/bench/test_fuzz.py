"""The fuzz tool notices what it looks for; its inputs follow from the seed."""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it forks and limits")


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    return importlib.import_module("bench.fuzz")


@pytest.mark.parametrize(
    ("code", "text", "after", "fault"),
    [
        (1, "error: unexpected KeyError: 3\n", {}, "traceback"),
        (-11, "", {}, "crash"),
        (None, "", {}, "hang"),
        (3, "error: x\n", {}, "exit code"),
        (1, "", {}, "exit code"),
        (2, "error: x\n", {"workspace/clip/greenback.mp4": "1"}, "half file"),
        (0, "", {".vfx-matte-abcdefgh.part/new/a.mp4": "1"}, "left over"),
        (1, "error: x\n", {"clip.mp4": "another"}, "changed"),
        (1, "error: x\n", {"clip.mp4": None}, "changed"),
        (0, "", {"workspace/clip/greenback.mp4": "1"}, None),
        (2, "error: x\n", {}, None),
    ],
)
def test_every_fault_is_noticed(
    fuzz: ModuleType, code: int | None, text: str, after: dict[str, str | None], fault: str | None
) -> None:
    before = {"clip.mp4": "one", "workspace/clip/masks/0000000.png": "two"}
    now = {name: value for name, value in {**before, **after}.items() if value is not None}
    found = fuzz.judge(fuzz.Ran(["greenback"], code, text, 2**20), before, now)
    assert [one.partition(":")[0] for one in found] == ([fault] if fault else [])


def test_memory_is_bounded(fuzz: ModuleType) -> None:
    assert fuzz.judge(fuzz.Ran(["greenback"], 0, "", 2**32), {}, {})[0].startswith("memory")


def test_the_same_seed_gives_the_same_damage(fuzz: ModuleType) -> None:
    data = bytes(range(256)) * 8
    one, two, other = (
        fuzz.damage(data, random.Random(seed)) for seed in ("1 clip 7", "1 clip 7", "1 clip 8")
    )
    assert one == two != other
    assert other != data


def test_a_command_runs_apart(fuzz: ModuleType, tmp_path: Path) -> None:
    """Its output, exit code and death are seen; the process that asked lives on."""
    ran = fuzz.run(tmp_path, ["probe", "nothing.mp4"])
    assert (ran.code, "error: " in ran.text) == (2, True)
    slow = fuzz.run(
        tmp_path, ["probe", "nothing.mp4"], seconds=0.2, before=lambda: fuzz.time.sleep(20)
    )
    assert slow.code is None
