"""Which modules a part of the program can reach by its imports, lazy ones and those of registries
included.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import PurePosixPath

from support import source

# "module:Class", as registries name what they import when it is opened
_NAMED_LATER = re.compile(r"(vfx_matte(?:\.\w+)+):\w+")


@cache
def modules() -> dict[str, str]:
    """The text of every module by its name; a package has that of its `__init__`."""
    found = {}
    for path, text in source.modules().items():
        parts = PurePosixPath("vfx_matte", path).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = text
    return found


def reachable(*starts: str) -> set[str]:
    """The modules that some can reach; a package stands for all that is in it."""
    found: set[str] = set()
    left = [name for name in modules() for start in starts if f"{name}.".startswith(f"{start}.")]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += imported_by(name)
    return found


def imported_by(name: str) -> set[str]:
    """The modules that one imports; those for type checkers alone do not count."""
    tree = ast.parse(modules()[name])
    for_types = {
        inner
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
        elif isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= set(_NAMED_LATER.findall(node.value))
    return names & modules().keys()
