"""How folders and files are cut: no folder with more files than one can see at once, no file names
that should be a folder.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

from support.source import modules

MOST_MODULES = 15
ROOMIER = {"matting": 18}
"""A file for each method, and what they share."""


def folders() -> dict[str, list[str]]:
    """The modules of every folder, without its face."""
    found: dict[str, list[str]] = {}
    for path in map(PurePosixPath, modules()):
        names = found.setdefault(str(path.parent), [])
        if not path.stem.startswith("__"):
            names.append(path.stem)
    return found


def test_a_folder_holds_few_files() -> None:
    assert len(folders()) > 40
    crowded = {
        folder: len(names)
        for folder, names in folders().items()
        if len(names) > ROOMIER.get(folder, MOST_MODULES)
    }
    assert crowded == {}, "move some files of these folders into a folder of their own"


def test_no_three_files_share_a_prefix() -> None:
    """`xmem_walk` and its like want a folder `xmem`."""
    shared = {
        (folder, prefix): count
        for folder, names in folders().items()
        for prefix, count in Counter(n.partition("_")[0] for n in names if "_" in n).items()
        if count > 2
    }
    assert shared == {}
