"""What the rules of the house read in source text."""

from __future__ import annotations

import ast
from functools import cache


@cache  # several rules read the same modules
def strings(source: str) -> tuple[tuple[int, str], ...]:
    """(line, text) of every string of a module that is no docstring."""
    nodes = list(ast.walk(ast.parse(source)))
    # a docstring is an expression by itself, also where it documents a field
    documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return tuple(
        (node.lineno, node.value)
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documentation
    )
