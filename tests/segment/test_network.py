"""`segment` with U²-Netp in the model folder and without: what is used, what is said, and that no
run is half of each.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import CommandLine
from support.tiny_onnx import tiny_network

from vfx_matte.api import masks as api
from vfx_matte.errors import UsageError
from vfx_matte.masks import Image, Palette
from vfx_matte.media.writers.synthetic import make_clip as make_film
from vfx_matte.scene import Scene
from vfx_matte.workspace import save_mask

pytestmark = pytest.mark.slow

FRAMES = 6
NETWORK = tiny_network()
SEGMENT = ("segment", "scene.mp4", "--first-mask", "first.png", "--propagator", "builtin")
MODEL = Path("model/u2netp.onnx")


def picture(index: int) -> Image:
    """A red square before darkness, out of which a bright leg comes: the tiny network takes
    brightness for an object.
    """
    image = np.random.default_rng(1).integers(10, 30, (72, 128, 3)).astype(np.uint8)
    left = 40 + 3 * index
    image[20:45, left : left + 25] = (220, 120, 120)
    image[45 : 45 + 4 * index, left + 5 : left + 12] = (130, 140, 255)
    return image


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene, folder = Scene(width=128, height=72, frame_count=FRAMES), tmp_path_factory.mktemp("film")
    make_film(folder / "scene.mp4", map(picture, range(FRAMES)), scene.timeline, scene.sound())
    save_mask(folder / "first.png", np.asarray(picture(0)[..., 0] > 150, np.uint8), Palette.davis())
    return folder


@pytest.fixture
def place(
    film: Path,
    cli: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> CommandLine:
    """The clip and its mask, and a program that knows a tiny network by the name of U²-Netp; it is
    not in the model folder.
    """
    own = tmp_path_factory.mktemp("own")
    table = {"name": "u2netp.onnx", "url": "http://127.0.0.1:1/x",
    "sha256": hashlib.sha256(NETWORK).hexdigest(),
             "licence": "MIT", "purpose": "p"}  # fmt: skip
    lines = [f'{key} = "{value}"' for key, value in table.items()]
    lines += ["about_megabytes = 1", f"size_bytes = {len(NETWORK)}"]
    (own / "weights.toml").write_text("\n".join(["[[weights]]", *lines]) + "\n", encoding="utf-8")
    monkeypatch.setattr("vfx_matte.weights.table.resources.files", lambda _package: own)
    for name in ("scene.mp4", "first.png"):
        shutil.copy(film / name, name)
    MODEL.parent.mkdir()
    return cli


def settings() -> dict[str, object]:
    found: dict[str, object] = json.loads(Path("workspace/scene/manifest.json").read_text())[
        "settings"
    ]
    return found


def masks() -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path("workspace/scene/masks").glob("*.png"))]


def test_it_helps_where_it_is_and_the_run_says_so(place: CommandLine) -> None:
    ran = place(*SEGMENT)
    assert any(
        "vfx-matte weights fetch u2netp gets a network that makes its masks better" in note
        for note in ran.notes
    )
    assert "network" not in settings()
    without = masks()
    MODEL.write_bytes(NETWORK)
    ran = place(*SEGMENT, "--fresh")
    assert any(
        "built-in propagator" in note and "with U²-Netp (--no-network does without)" in note
        for note in ran.notes
    )
    assert settings()["network"] == "u2netp.onnx"
    assert masks() != without
    ran = place(*SEGMENT, "--fresh", "--no-network")
    assert not any("U²-Netp" in note or "u2netp" in note for note in ran.notes)
    assert "network" not in settings()
    assert masks() == without


def test_config_ini_and_the_library_switch_it_off_too(place: CommandLine) -> None:
    MODEL.write_bytes(NETWORK)
    Path("config.ini").write_text("[segment]\nnetwork = no\n")
    place(*SEGMENT)
    assert "network" not in settings()
    again: dict[str, Any] = {
        "references": {0: "first.png"},
        "propagator": "builtin",
        "fresh": True,
    }
    api.segment("scene.mp4", **again, network=None)
    assert "network" not in settings()
    with pytest.raises(UsageError, match="there is no file of U²-Netp"):
        api.segment("scene.mp4", **again, network="elsewhere/u2netp.onnx")
    assert "network" not in settings()
    api.segment("scene.mp4", **again)
    assert settings()["network"] == "u2netp.onnx"


@pytest.mark.parametrize(
    "content", [b"<html>", NETWORK[:-9], NETWORK[:-1] + b"x"], ids=["a page", "cut off", "changed"]
)
def test_a_damaged_one_is_a_line_and_the_masks_are_those_without(
    place: CommandLine, content: bytes
) -> None:
    place(*SEGMENT)
    without = masks()
    MODEL.write_bytes(content)
    ran = place(*SEGMENT, "--fresh")
    told = [note for note in ran.notes if "U²-Netp" in note]
    assert len(told) == 1
    assert told[0].startswith("without U²-Netp: ")
    assert "vfx-matte weights fetch u2netp --force" in told[0]
    assert "network" not in settings()
    assert masks() == without


def stopped(place: CommandLine, *more: str) -> list[bytes]:
    """A run of which half the masks are lost; returns all of them."""
    place(*SEGMENT, "--fresh", *more)
    whole = masks()
    for index in range(FRAMES // 2, FRAMES):
        Path(f"workspace/scene/masks/{index:07d}.png").unlink()
    return whole


def test_a_run_goes_on_in_the_way_that_it_was_begun(place: CommandLine) -> None:
    whole = stopped(place)
    MODEL.write_bytes(NETWORK)
    ran = place(*SEGMENT, "--resume")
    assert any("without U²-Netp, as this work was begun" in note for note in ran.notes)
    assert masks() == whole
    ran = place.run(*SEGMENT)
    assert ran.code == 2
    assert "setting network" in ran.error
    whole = stopped(place)
    for more, hint in (
        (("--no-network",), "leave out --no-network"),
        ((), "vfx-matte weights fetch u2netp gets it"),
    ):
        if not more:
            MODEL.unlink()
        ran = place.run(*SEGMENT, "--resume", *more)
        assert ran.code == 2
        assert "begun with U²-Netp" in ran.error
        assert hint in ran.hint
        assert "--fresh" in ran.hint
    MODEL.write_bytes(b"damaged")
    ran = place.run(*SEGMENT, "--resume")
    assert ran.code == 2
    MODEL.write_bytes(NETWORK)
    place(*SEGMENT, "--resume")
    assert masks() == whole
