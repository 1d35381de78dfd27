"""What the rules of the house read in source text."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Source:
    """One module, read once: several rules look at all of them."""

    strings: tuple[tuple[int, str], ...]
    """(line, text) of every string that is no docstring."""
    imports: tuple[ast.Import | ast.ImportFrom, ...]
    """Every import, wherever it stands."""
    for_types: frozenset[ast.AST]
    """Those of them that stand below `if TYPE_CHECKING:`."""
    fields: tuple[tuple[str, ast.AnnAssign], ...]
    """(class, field) of every field that has a type."""


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
