"""Messages name options and commands (`vfx_matte.wording`); only the command line spells them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest
import typer
from support.source import modules, offences, read

from vfx_matte.cli import program

SPELLED = r"(?<![\w-])(?<!var\()--[a-z][\w-]*|vfx-matte (?:{})\b"
OWN_WORDS = {
    "weights/package_file.py",  # arguments of pip
}
"""Files that hold flags for another reason than to show them."""
FOREIGN = ("--local-dir", "vfx-matte package")
"""A flag of another program, and the kind of a package's manifest."""


@cache
def spelled() -> re.Pattern[str]:
    """A flag, or a command of the program."""
    group = typer.main.get_command(program())
    return re.compile(SPELLED.format("|".join(group.commands)))  # type: ignore[attr-defined]


def spelled_in(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every string that holds a flag or a command as it is typed; docstrings do
    not count.
    """
    for line, text in read(source).strings:
        if spelled().search(text) and text not in FOREIGN:
            yield line, text


def test_no_string_outside_of_the_command_line_is_typed_there() -> None:
    names = [name for name in modules() if not name.startswith("cli/") and name not in OWN_WORDS]
    assert len(names) > 400
    assert offences(names, spelled_in) == {}, "name it with wording.option or wording.command"


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('hint = "use --edges guided"', 1),
        ('hint = f"{x}: vfx-matte segment CLIP"', 1),
        ('"""Explains --edges."""', 0),
        ('hint = "in the vfx-matte folder"', 0),
        ('style = "background:var(--bad)"', 0),
        ("hint = f\"use {option('edges')}\"", 0),
    ],
)
def test_the_finder_finds_what_is_typed(source: str, count: int) -> None:
    assert len(list(spelled_in(source))) == count
