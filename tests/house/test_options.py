"""The option table is the only place of an option: doors, docs and records follow it."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from support.command_line import CommandLine
from support.source import modules, offences, read, strings_among

from bench import options_page
from vfx_matte.settings import options
from vfx_matte.settings.edge_methods import EDGE_METHODS
from vfx_matte.settings.options import MatteSettings

ROOT = Path(__file__).parents[2]
RECORDS = [one for _, one in options_page.sections()]


def test_the_page_of_options_is_what_the_table_says() -> None:
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == options_page.page()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_option_says_what_it_does(record: type[options.Options]) -> None:
    for item in dataclasses.fields(cast("Any", record)):
        facts = item.metadata
        assert facts["explanation"], item.name
        assert (facts["least"] is None) == (facts["most"] is None), item.name


NO_OPTIONS = {
    "media/sequence.py SequenceFiles.gaps",  # media lies below the table
    "programs/record.py ProgramEncoding.quality",  # what a program takes best
    "programs/record.py ProgramEncoding.style",
}
"""Fields that are called like an option of the same type, and why they have their own default."""


@cache
def fields_of_the_table() -> set[tuple[str, str]]:
    """(name, type) of every option."""
    return {
        (item.name, str(item.type))
        for record in vars(options).values()
        if isinstance(record, type) and issubclass(record, options.Options)
        if record is not options.Options
        for item in dataclasses.fields(cast("Any", record))
    }


def is_written_out(default: ast.expr) -> bool:
    """Whether a default is a literal, or a path of one; anything else refers to the table."""
    literals = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.UnaryOp)
    is_path = isinstance(default, ast.Call) and ast.unparse(default.func) == "Path"
    return is_path or isinstance(default, literals)


def repeated_defaults(source: str) -> list[str]:
    """CLASS.FIELD of every field that gives an option of the table a default of its own."""
    table = fields_of_the_table()
    return [
        f"{record}.{ast.unparse(item.target)}"
        for record, item in read(source).fields
        if item.value is not None
        if (ast.unparse(item.target), ast.unparse(item.annotation)) in table
        if is_written_out(item.value)
    ]


def test_no_record_repeats_the_default_of_an_option() -> None:
    found = {
        f"{module} {name}"
        for module, text in modules().items()
        if not module.startswith("settings/")
        for name in repeated_defaults(text)
    }
    assert found == NO_OPTIONS, "hold the table's record, or take the default from it"


@pytest.mark.parametrize(
    ("field", "count"),
    [
        ("key: str = 'green'", 1),
        ("quality: int | None = None", 1),
        ("model: Path = Path('model')", 1),
        ("model: Path = PathsSettings().model", 0),
        ("key: int = 64", 0),
        ("key: str", 0),
    ],
)
def test_the_finder_finds_a_repeated_default(field: str, count: int) -> None:
    assert len(repeated_defaults(f"class Record:\n    {field}\n")) == count


def test_python_and_the_command_line_have_the_same_edges() -> None:
    """The usual method is resolved in the table; no door has another one."""
    assert MatteSettings().method is EDGE_METHODS["guided"]
    assert MatteSettings(feather=2.0).method is EDGE_METHODS["median"]


def test_names_of_edge_methods_stand_in_their_registry_alone() -> None:
    names = {name for name in EDGE_METHODS if name != "median"}  # the median is a filter, too
    others = [
        module
        for module in modules()
        if not module.startswith("matting/") and not module.endswith("/edge_methods.py")
    ]
    assert offences(others, lambda source: strings_among(names, source)) == {}


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


@pytest.mark.slow
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
