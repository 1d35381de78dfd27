"""The modules of the program as text, and what the rules of the house read in it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

PACKAGE = Path(__file__).parents[2] / "vfx_matte"
Found = TypeVar("Found")


@dataclass(frozen=True)
class Source:
    """One module, read once: several rules look at all of them."""

    strings: tuple[tuple[int, str], ...]
    """(line, text) of every string that is no docstring."""
    imports: tuple[ast.Import | ast.ImportFrom, ...]
    """Every import, wherever it stands."""
    calls: tuple[ast.Call, ...]
    """Every call of a name: `f(x)`, not `a.f(x)`."""
    for_types: frozenset[ast.AST]
    """Those of them that stand below `if TYPE_CHECKING:`."""
    fields: tuple[tuple[str, ast.AnnAssign], ...]
    """(class, field) of every field that has a type."""


@cache
def modules() -> dict[str, str]:
    """The text of every module of the program, by its path in the package: "media/probe.py"."""
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def offences(
    names: Iterable[str], finder: Callable[[str], Iterable[Found]]
) -> dict[str, list[Found]]:
    """What a finder finds in the text of some modules: those in which it finds something.

    A rule for every module is one test that names all who break it: hundreds of tests, each of a
    moment, would take most of their time to be begun and reported.
    """
    found = {name: list(finder(modules()[name])) for name in names}
    return {f"vfx_matte/{name}": those for name, those in found.items() if those}


@cache
def read(source: str) -> Source:
    """What a module holds, by its text."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    # a docstring is an expression by itself, also where it documents a field
    documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return Source(
        strings=tuple(
            (node.lineno, node.value)
            for node in nodes
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documentation
        ),
        imports=tuple(node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)),
        calls=tuple(
            node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ),
        for_types=frozenset(
            inner
            for node in tree.body
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
            if isinstance(inner, ast.Import | ast.ImportFrom)
        ),
        fields=tuple(
            (node.name, item)
            for node in nodes
            if isinstance(node, ast.ClassDef)
            for item in node.body
            if isinstance(item, ast.AnnAssign)
        ),
    )


def strings_among(names: Collection[str], source: str) -> list[str]:
    """The strings of a module that are one of some names."""
    return [text for _, text in read(source).strings if text in names]
