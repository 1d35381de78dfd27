"""What `tools/try_x_anylabeling.py` takes for one object."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def tool() -> Any:  # noqa: ANN401  a script
    path = Path(__file__).parents[2] / "tools/try_x_anylabeling.py"
    spec = importlib.util.spec_from_file_location("try_x_anylabeling", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QT_QPA_PLATFORM", "offscreen")
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("shapes", "once"),
    [
        ([("object", None)], True),
        ([("object", 3), ("object", 3)], True),
        ([("object", 3), ("object", 4)], False),
        ([("object", None), ("object", None)], False),
        ([("object", 3), ("other", None)], True),
        ([("AUTOLABEL_OBJECT", None)], False),
        ([], False),
    ],
)
def test_an_object_of_several_parts_is_one(
    tool: Any,  # noqa: ANN401
    shapes: list[tuple[str, int | None]],
    once: bool,
) -> None:
    assert tool.is_once(shapes) is once
