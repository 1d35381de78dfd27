"""How folders and files are cut: no folder with more files than one can see at once, no file names
that should be a folder.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "vfx_matte"
MOST_MODULES = 15
ROOMIER = {"matting": 18}
"""A file for each method, and what they share."""


def folders() -> list[Path]:
    return sorted({path.parent for path in PACKAGE.rglob("*.py")})


def names(folder: Path) -> list[str]:
    """The modules of a folder, without its face."""
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("__"))


@pytest.mark.parametrize("folder", folders(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_folder_holds_few_files(folder: Path) -> None:
    most = ROOMIER.get(str(folder.relative_to(PACKAGE)), MOST_MODULES)
    assert len(names(folder)) <= most, (
        f"{folder.relative_to(PACKAGE)} wants a folder for some of its files"
    )


@pytest.mark.parametrize("folder", folders(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_three_files_share_a_prefix(folder: Path) -> None:
    """`xmem_walk` and its like want a folder `xmem`."""
    prefixes = Counter(name.partition("_")[0] for name in names(folder) if "_" in name)
    assert [prefix for prefix, count in prefixes.items() if count > 2] == []
