"""How tests are cut: by story, a fast lane in every folder, helpers in support/; and the commands
that pages tell people to run them with.
"""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from pathlib import Path

import pytest
from support.source import read

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("test_*.py"))
FOLDERS = sorted({path.parent for path in FILES})
PAGES = ("CONTRIBUTING.md", "README.md", ".ci/run")


def imports(path: Path) -> set[str]:
    """Every module that a file imports from."""
    found = set()
    for node in read(path.read_text(encoding="utf-8")).imports:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module:
            found.add(node.module)
    return found


def is_slow(path: Path) -> bool:
    """Whether the whole file is marked slow."""
    text = path.read_text(encoding="utf-8")
    return re.search(r"^pytestmark = .*mark\.slow", text, re.MULTILINE) is not None


def commands() -> list[tuple[str, list[str]]]:
    """Every call of pytest on a page: the page's name, and the arguments."""
    found = []
    for name in PAGES:
        # a command may go on in the next line
        text = re.sub(r"\\\n\s*", "", (ROOT / name).read_text(encoding="utf-8"))
        for line in text.splitlines():
            _, called, rest = line.partition("pytest ")
            if called and ("-n" in rest or "-m" in rest):
                words = re.split(r"`|  ", rest)[0]
                found.append((name, shlex.split(words, comments=True)))
    return found


def test_no_test_imports_another() -> None:
    """Only what looks as if it did is taken apart: all files would take more than a second."""
    assert len(FILES) > 200
    looks_so = re.compile(r"^\s*(from|import)\s.*\b(test_|conftest)", re.MULTILINE)
    assert not [
        f"{path.relative_to(TESTS)}: {name}"
        for path in FILES
        if looks_so.search(path.read_text(encoding="utf-8"))
        for name in imports(path)
        if re.search(r"(^|\.)(test_\w+|conftest)$", name)
    ]


def test_no_file_repeats_its_folder_and_the_fast_lane_enters_it() -> None:
    assert not [path for path in FILES if path.stem.startswith(f"test_{path.parent.name}_")]
    entered = {path.parent for path in FILES if not is_slow(path)}
    assert not [folder for folder in FOLDERS if folder not in entered]


def test_pages_tell_both_commands_and_name_marks_and_files_that_exist(
    pytestconfig: pytest.Config,
) -> None:
    marks = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    found = commands()
    told = [words for name, words in found if name == "CONTRIBUTING.md"]
    assert ["-n", "2"] in told
    assert ["-n", "2", "-m", "not slow"] in told
    for _, words in found:
        for option, value in itertools.pairwise(words):
            if option == "-m":
                assert set(value.split()) - {"not", "and", "or"} <= marks
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
