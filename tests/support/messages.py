"""The texts that parts of the program say to people, read from their source."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Collection, Iterator

_SAYS = re.compile(
    r"Error$|^_?notify$|^progress$|^EditResult$|^error_response$|^Decision$|^extended$|^Way$"
)
_BLANK = "{}"


def said_by(source: str) -> set[str]:
    """Messages and hints of errors, notices and stages; what is filled in is {}.

    What Python's own exceptions say is left out: these are for programmers, and a page that meets
    one calls it a bug.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            found |= _of_call(node) | _kept(node)
        # what is said later, or by whoever called
        elif isinstance(node, ast.Assign) and any(map(_is_hint, node.targets)):
            found |= set(_texts(node.value))
        elif isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            found |= {text for text in _texts(node.value) if _is_sentence(text)}
    return _for_people(found)


def _of_call(node: ast.Call) -> set[str]:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if not _SAYS.search(name) or hasattr(builtins, name):
        return set()
    given = (keyword.value for keyword in node.keywords if keyword.arg in ("hint", "note"))
    return {text for value in (*node.args, *given) for text in _texts(value)}


def _kept(node: ast.Call) -> set[str]:
    """Sentences that are put into a list, which is told later."""
    if not (isinstance(node.func, ast.Attribute) and node.func.attr == "append"):
        return set()
    return {text for one in node.args for text in _texts(one) if _is_sentence(text)}


def _is_hint(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id in ("hint", "message")


def _is_sentence(text: str) -> bool:
    """Whether a text has at least four words of its own, and is neither markup nor a pattern."""
    words = re.findall(r"[A-Za-z]{2,}", text.replace(_BLANK, " "))
    return (
        len(words) >= 4
        and " " in text
        and not re.search(r"[<>\\^$;{}]\S|_\w", text.replace(_BLANK, ""))
    )


def sentences_of(source: str, names: Collection[str]) -> set[str]:
    """Every text within some functions, or in the values of some names, but for docstrings."""
    found: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            given = {node.name}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            given = {one.id for one in targets if isinstance(one, ast.Name)}
        else:
            continue
        if given & set(names):
            found |= {text for part in _parts(node) for text in _texts(part)}
    return {text for text in _for_people(found) if " " in text}


def _parts(node: ast.AST) -> Iterator[ast.expr]:
    """The outermost texts of a piece of code."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, ast.JoinedStr | ast.Constant):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        yield from _parts(child)


def _for_people(texts: set[str]) -> set[str]:
    return {text for text in texts if re.search(r"[a-z]{2}", text.replace(_BLANK, ""))}


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        parts = (_texts(one)[0] if isinstance(one, ast.Constant) else _BLANK for one in node.values)
        return ["".join(parts)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in _texts(value)]
    return []
