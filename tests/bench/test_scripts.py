"""Every script of bench/ runs as its documentation says: `python bench/NAME.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
USING = [path for path in sorted(BENCH.rglob("*.py")) if "\nfrom bench" in path.read_text("utf-8")]


@pytest.mark.parametrize("path", USING, ids=lambda path: path.stem)
def test_what_uses_another_script_finds_it(path: Path) -> None:
    """As a script it has only its own folder on the path; scenes are no scripts."""
    source = path.read_text("utf-8")
    if '__name__ == "__main__"' in source:
        assert source.index("sys.path.insert(0") < source.index("\nfrom bench")
