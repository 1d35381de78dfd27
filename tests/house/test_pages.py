"""The pages for people: README, CHANGELOG and docs."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of_prose_fit_in_100_columns(page: Path) -> None:
    """Tables, pictures, and commands with what they print are as long as they are."""
    long, is_fenced = [], False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1):
        is_fenced ^= line.lstrip().startswith("```")
        is_prose = not is_fenced and not line.startswith(("|", "![", "    "))
        if is_prose and len(line) > 100:
            long.append(number)
    assert not long, f"break these lines of {page.name}"
