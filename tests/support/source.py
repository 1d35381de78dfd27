"""What the rules of the house read in source text."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def strings(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every string of a module that is no docstring."""
    tree = ast.parse(source)
    # a docstring is an expression by itself, also where it documents a field
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documentation
        ):
            yield node.lineno, node.value
