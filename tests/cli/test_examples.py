"""Every function of the public Python API shows itself in an example, which runs here."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.command_line import CommandLine, paint
from support.tiny_onnx import tiny_network

import vfx_matte

FUNCTIONS = [name for name in vfx_matte.__all__ if inspect.isfunction(getattr(vfx_matte, name))]


def test_there_are_functions() -> None:
    assert {"mask", "segment", "render_greenback", "qc", "package"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_a_function_runs(
    name: str, cli: CommandLine, take: Callable[..., Path], clip: Path
) -> None:
    take(clip)
    mask = np.zeros((64, 96), np.uint8)
    mask[16:48, 24:56] = 1
    paint(Path("mask.png"), mask)
    if (
        name == "detect_objects"
    ):  # the example's file of weights, and a bright square that stands out
        Path("salient.onnx").write_bytes(tiny_network())
    if name not in ("mask", "segment", "probe", "detect_objects"):
        vfx_matte.segment("clip.mp4", references={0: "mask.png"}, propagator="fake")
    if name == "verify":
        vfx_matte.render_overlay("clip.mp4", output="overlay.mp4")
    function = getattr(vfx_matte, name)
    found = doctest.DocTestFinder(recurse=False).find(inspect.unwrap(function), name)
    assert found[0].examples, f"{name} shows no example"
    shown: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found[0], out=shown.append)
    assert not failed, "".join(shown)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_it_takes_gives_and_raises(name: str) -> None:
    text = inspect.getdoc(getattr(vfx_matte, name)) or ""
    assert "Arguments" in text or ("Args:" in text and "Returns:" in text and "Raises:" in text)
