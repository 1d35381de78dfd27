"""The texts that parts of the program say to people, read from their source."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_SAYS = re.compile(r"Error$|^_?notify$|^progress$|^EditResult$|^error_response$")
_BLANK = "{}"


def said_by(path: Path) -> set[str]:
    """Messages and hints of errors, notices and stages; what is filled in is {}."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if _SAYS.search(name):
            hints = (keyword.value for keyword in node.keywords if keyword.arg == "hint")
            found |= {text for value in (*node.args, *hints) for text in _texts(value)}
    return {text for text in found if re.search(r"[a-z]{2}", text.replace(_BLANK, ""))}


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        parts = (_texts(one)[0] if isinstance(one, ast.Constant) else _BLANK for one in node.values)
        return ["".join(parts)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    return []
