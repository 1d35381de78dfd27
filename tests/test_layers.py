"""The floors of the house and the table "room | may touch | must never know", checked on every import in vfx_matte.

A new room is one line in ROOMS; a new dependency is one word there.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vfx_matte"
NOUNS = "errors printable inputs choices timeline timecode numbering backend masks picture keycolor"


@dataclass(frozen=True)
class Room:
    """One line of the table.

    below: rooms (or single names of them, as in "masks.Image") that may be imported; "*" is every room on a lower floor.
    foreign: packages from outside that may be imported; the standard library always may.
    """

    floor: int
    below: str = ""
    foreign: str = ""


# The first pattern that fits a module is its room. Nouns (floor 1) may import nouns that stand before them here.
ROOMS = {
    "errors": Room(0),
    "atomic": Room(1, "errors"),
    "printable": Room(0),
    "inputs": Room(1, "errors"),
    "choices": Room(1, "errors"),
    "fingerprint": Room(1),
    "blas_threads": Room(1, "", "numpy"),
    "timeline": Room(1, "errors"),
    "numbering": Room(1, "errors"),
    "timecode": Room(1, "errors"),
    "backend": Room(1, "errors choices", "numpy cv2 cupy cupyx"),
    "flat_colors": Room(1, "errors", "numpy cv2"),
    "masks": Room(1, "errors backend flat_colors", "numpy cv2"),
    "mask_reading": Room(1, "errors backend flat_colors masks", "numpy cv2"),
    "salient": Room(1, "errors masks", "numpy cv2"),
    "picture": Room(1, "errors backend", "numpy"),
    "still_header": Room(1, "errors"),
    "keycolor": Room(1, "errors choices backend masks picture", "numpy"),
    "media": Room(
        2,
        "errors printable choices inputs atomic fingerprint timeline timecode numbering backend picture still_header "
        "masks.Image masks.RGB",
        "numpy av ffmpeg OpenEXR",
    ),
    "interchange": Room(2, "errors printable choices timecode picture", "opentimelineio"),
    "first_mask": Room(2, "errors choices backend masks salient", "numpy cv2"),
    "propagate.xmem*": Room(2, "errors backend masks", "numpy cv2 torch torchvision"),
    "propagate": Room(2, "errors choices backend masks salient", "numpy cv2"),
    "refine.closed_form": Room(2, "errors backend masks picture", "numpy pymatting"),
    "refine.vitmatte": Room(2, "errors printable backend masks", "numpy torch transformers"),
    "refine": Room(2, "errors backend masks picture", "numpy cv2"),
    "composite": Room(2, "errors backend masks picture", "numpy cv2"),
    "keyer": Room(2, "errors backend masks picture", "numpy"),
    "workspace": Room(
        2, "errors printable inputs atomic fingerprint timeline numbering backend masks mask_reading still_header", "numpy PIL"
    ),
    "evaluate": Room(2, "errors backend masks", "numpy cv2"),
    "quality": Room(2, "errors backend masks", "numpy cv2"),
    "webpage": Room(2, "errors printable masks", "numpy PIL"),
    "shots": Room(2, "errors masks", "numpy cv2 scenedetect"),
    "scene": Room(2, "errors timeline masks", "numpy cv2"),
    "weights": Room(2, "errors inputs printable", "httpx tomlkit"),
    "sheet": Room(2, "errors printable backend masks", "numpy PIL"),
    "pipeline": Room(3, "*", "numpy"),
    "config": Room(3, "errors printable inputs choices"),
    "cli": Room(4, f"{NOUNS} pipeline config", "typer rich click"),
    "api": Room(4, f"{NOUNS} mask_reading pipeline", "numpy"),
    "__main__": Room(5, "cli"),
    "__init__": Room(5, "api"),
}
FLOORS = {pattern.split(".")[0]: room.floor for pattern, room in ROOMS.items()}


def room_of(module: str) -> Room | None:
    """The room of a module such as "media.probe", or None."""
    return next((room for pattern, room in ROOMS.items() if fnmatch(module, pattern) or fnmatch(module, f"{pattern}.*")), None)


def imports(source: str, module: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, wherever it stands; relative ones resolved, `from a import b` as a.b."""
    package = ["vfx_matte", *module.split(".")][:-1]  # "media.__init__" and "media.probe" both live in vfx_matte.media
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from ((node.lineno, ".".join([*base, *filter(None, [node.module]), alias.name])) for alias in node.names)


def violations(source: str, module: str) -> list[str]:
    """One line for each forbidden import in the source of a module such as "media.probe" or "media.__init__"."""
    file = f"vfx_matte/{module.replace('.', '/')}.py"
    room = room_of(module)
    if room is None:
        return [f"{file}:1: is in no room; give it a line in ROOMS"]
    home, found = module.partition(".")[0], []
    for line, name in imports(source, module):
        top, _, inside = name.partition(".")
        target = inside.split(".")[0]
        if top != "vfx_matte":
            allowed = top in sys.stdlib_module_names or top in room.foreign.split()
        elif inside == "__version__" or target == home:
            allowed = True
        elif room.below == "*":
            allowed = FLOORS.get(target, room.floor) < room.floor
        else:
            allowed = any(inside == entry or inside.startswith(f"{entry}.") for entry in room.below.split())
        if not allowed:
            found.append(f"{file}:{line}: must not import {name}")
    return found


def modules() -> list[str]:
    return sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", modules())
def test_imports_go_down_and_stay_in_their_room(module: str) -> None:
    path = PACKAGE / f"{module.replace('.', '/')}.py"
    assert violations(path.read_text(encoding="utf-8"), module) == []


def test_the_table_itself_goes_down_and_has_no_circle() -> None:
    order = list(FLOORS)
    for pattern, room in ROOMS.items():
        name = pattern.split(".")[0]
        for entry in room.below.replace("*", "").split():
            target = entry.split(".")[0]
            noun_before = room.floor == FLOORS[target] == 1 and order.index(target) < order.index(name)
            assert FLOORS[target] < room.floor or noun_before, f"{pattern} may not be allowed {entry}"


@pytest.mark.parametrize(
    ("module", "source", "forbidden"),
    [
        ("timeline", "from vfx_matte import masks", "vfx_matte.masks"),  # a noun below another
        ("composite", "from vfx_matte.refine import grow", "vfx_matte.refine.grow"),  # strangers on one floor
        ("media.probe", "from ..propagate import Propagator", "vfx_matte.propagate.Propagator"),  # relative
        ("media.__init__", "from ..workspace import Workspace", "vfx_matte.workspace.Workspace"),
        ("media.read", "from vfx_matte.masks import Matte", "vfx_matte.masks.Matte"),  # only Image
        ("refine", "def f() -> None:\n    import cupy", "cupy"),  # lazy imports count
        ("propagate.builtin", "import torch.nn", "torch.nn"),
        ("pipeline.render", "import vfx_matte.config", "vfx_matte.config"),
        ("pipeline.render", "from vfx_matte.cli import main", "vfx_matte.cli.main"),
        ("config", "from vfx_matte.pipeline import segment", "vfx_matte.pipeline.segment"),
        ("cli.render", "from vfx_matte.media.read import Reader", "vfx_matte.media.read.Reader"),
        ("cli.render", "import numpy as np", "numpy"),
        ("masks", "if True:\n    from PIL import Image", "PIL.Image"),
    ],
)
def test_the_checker_catches(module: str, source: str, forbidden: str) -> None:
    line = source.count("\n") + 1
    assert violations(source, module) == [f"vfx_matte/{module.replace('.', '/')}.py:{line}: must not import {forbidden}"]


def test_the_checker_lets_good_imports_pass() -> None:
    assert violations("import torch\nfrom vfx_matte.masks import Mask\nfrom . import builtin", "propagate.xmem_network") == []
    assert violations("from vfx_matte import __version__\nimport json\nimport vfx_matte.pipeline", "cli.main") == []
    assert violations("", "helpers") == ["vfx_matte/helpers.py:1: is in no room; give it a line in ROOMS"]
