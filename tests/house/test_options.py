"""The option table is the only place of an option: doors, docs and records follow it."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from support.command_line import CommandLine

from bench import options_page
from vfx_matte.settings import options
from vfx_matte.settings.edge_methods import EDGE_METHODS
from vfx_matte.settings.options import MatteSettings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vfx_matte"
RECORDS = [one for _, one in options_page.sections()]


def test_the_page_of_options_is_what_the_table_says() -> None:
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == options_page.page()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_option_says_what_it_does(record: type[options.Options]) -> None:
    for item in dataclasses.fields(cast("Any", record)):
        facts = item.metadata
        assert facts["explanation"], item.name
        assert (facts["least"] is None) == (facts["most"] is None), item.name


def test_python_and_the_command_line_have_the_same_edges() -> None:
    """The usual method is resolved in the table; no door has another one."""
    assert MatteSettings().method is EDGE_METHODS["guided"]
    assert MatteSettings(feather=2.0).method is EDGE_METHODS["median"]


def strings(path: Path) -> list[str]:
    """The texts of a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


def test_names_of_edge_methods_stand_in_their_registry_alone() -> None:
    names = {name for name in EDGE_METHODS if name != "median"}  # the median is a filter, too
    found = [
        f"{path.relative_to(PACKAGE)}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] != "matting" and path.name != "edge_methods.py"
        for text in strings(path)
        if text in names
    ]
    assert found == []


NEW_METHOD = '''
from vfx_matte.backend import xp


class HalfAlpha:
    """Alpha that is half everywhere in the band."""

    margin_px = 0
    tile_px = 512
    in_threads = True

    def __call__(self, problem):
        return xp(problem.prior).full_like(problem.prior, 0.5)
'''


def test_a_new_edge_method_is_one_file_and_one_entry(project: CommandLine, tmp_path: Path) -> None:
    """It is in the help, in config.ini's text, in Python, and it renders."""
    (tmp_path / "half_alpha.py").write_text(NEW_METHOD)
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from vfx_matte.settings.edge_methods import EDGE_METHODS, EdgeMethod\n"
        "EDGE_METHODS['half'] = EdgeMethod(title='half', estimator='half_alpha:HalfAlpha')\n"
        "from vfx_matte.cli import main; main()\n"
    )

    def run(*words: str) -> str:
        command = [sys.executable, "-c", code, str(tmp_path), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "half" in run("greenback", "--help")
    assert "half = half" in run("config")
    run("alpha", "clip.mp4", "--edges", "half", "--frame", "3", "-o", "half.png")
    assert Path("half.png").exists()
