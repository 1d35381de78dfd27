"""The floors of the house and the table "room | may touch | must never know", checked on every
import in vfx_matte.

A new room is one line in ROOMS; a new dependency is one word there.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache

import pytest
from support.source import modules, read

NOUNS = "wording errors printable choices timeline timecode numbering backend masks picture"


@dataclass(frozen=True)
class Room:
    """One line of the table.

    below: rooms (or single names of them, as in "masks.Image") that may be imported; "*" is every
    room on a lower floor.
    foreign: packages from outside that may be imported; the standard library always may.
    """

    floor: int
    below: str = ""
    foreign: str = ""


# The first pattern that fits a module is its room. Nouns (floor 1) may import nouns that stand
# before them here.
ROOMS = {
    "_version": Room(0),
    "wording": Room(0),
    "errors": Room(0, "wording"),
    "printable": Room(0),
    "files": Room(1, "wording errors"),
    "choices": Room(1, "errors"),
    "blas_threads": Room(1, "", "numpy"),
    "timeline": Room(1, "errors printable"),
    "numbering": Room(1, "errors"),
    "timecode": Room(1, "errors"),
    "settings.ini": Room(  # doors alone read it
        4,
        "wording errors printable files choices detect.registry propagate.entry propagate.registry",
    ),
    "settings": Room(1, "wording errors printable choices"),
    "backend": Room(1, "wording errors choices", "numpy cv2 cupy cupyx"),
    # the one place that knows the compiler; what it compiles is imported where it is called
    "compiling.jit": Room(1, "errors", "numba"),
    "compiling.kept": Room(1, "", "numba"),
    "compiling": Room(1, "backend", "numpy"),
    "masks": Room(1, "errors backend", "numpy cv2"),
    "picture": Room(1, "errors backend", "numpy"),
    "pretrained": Room(1, "wording errors files", "numpy torch transformers"),
    # each detector in a file of its own; only these know the packages that run networks
    "detect.networks": Room(1, "wording errors masks pretrained", "numpy torch"),
    "detect.videomt": Room(1, "masks", ""),
    "detect.rf_detr": Room(1, "masks", "numpy cv2 torch"),
    "detect.mask_former": Room(1, "masks pretrained", "numpy torch"),
    "detect.sam3": Room(1, "wording errors masks pretrained", "numpy torch"),
    "detect.mask_rcnn": Room(
        1, "wording errors masks pretrained", "numpy torch torchvision safetensors"
    ),
    "segment_anything": Room(1, "wording errors pretrained", "numpy torch"),
    "detect": Room(1, "wording errors choices masks", "numpy cv2 scipy"),
    "media": Room(
        2,
        "wording errors printable choices files timeline timecode numbering backend picture"
        " masks.Image masks.RGB",
        "numpy av ffmpeg OpenEXR",
    ),
    "references": Room(
        2, "wording errors printable files numbering backend masks", "numpy cv2 PIL"
    ),
    "first_mask.sam": Room(
        2, "wording errors backend masks pretrained segment_anything detect", "numpy cv2 torch"
    ),
    "first_mask": Room(
        2, "wording errors choices backend masks segment_anything detect", "numpy cv2"
    ),
    "propagate.sam": Room(
        2, "wording errors masks pretrained segment_anything settings", "numpy torch transformers"
    ),
    "propagate.xmem": Room(2, "wording errors backend masks settings", "numpy cv2 torch"),
    "propagate": Room(
        2,
        "wording errors choices backend compiling masks detect segment_anything settings",
        "numpy cv2",
    ),
    "matting.closed_form": Room(2, "errors backend masks picture settings", "numpy pymatting"),
    "matting.vitmatte": Room(
        2, "wording errors printable backend masks pretrained settings", "numpy torch"
    ),
    "matting.compiled": Room(2, "backend compiling", "numpy cv2"),
    "matting": Room(2, "errors choices backend compiling masks picture settings", "numpy cv2"),
    "composite": Room(2, "wording errors choices backend masks picture", "numpy cv2"),
    "workspace": Room(
        2, "_version wording errors printable files timeline numbering backend masks", "numpy PIL"
    ),
    "measure": Room(2, "wording errors backend masks", "numpy cv2"),
    "drawing": Room(2, "errors printable backend masks", "numpy PIL cv2"),
    "annotations": Room(
        2, "wording errors printable files numbering masks", "numpy cv2 PIL pycocotools"
    ),
    "shots": Room(2, "errors masks", "numpy cv2 scenedetect"),
    "scene": Room(2, "errors timeline masks", "numpy cv2"),
    "weights": Room(2, "_version wording errors files printable", "httpx tomlkit"),
    "programs.record": Room(3, "media.formats"),
    "programs.registry": Room(3, "choices wording"),
    "programs": Room(3, "wording errors printable choices timecode picture", "opentimelineio"),
    "pipeline.batch.cluster": Room(4, "wording errors", "distributed"),
    "pipeline": Room(4, "*", "numpy"),
    "labelling.label_studio": Room(
        5,
        f"_version {NOUNS} annotations pipeline settings.options",
        "numpy httpx fastapi starlette",
    ),
    "labelling.cvat": Room(
        5, f"{NOUNS} pipeline settings.options settings.by_name", "numpy PIL cvat_sdk"
    ),
    "labelling.supervisely": Room(5, f"{NOUNS} pipeline settings.options", "numpy supervisely"),
    "labelling": Room(5, f"{NOUNS} annotations pipeline settings.options", "numpy"),
    "web": Room(
        5,
        "wording errors printable choices pipeline settings.options",
        "numpy fastapi starlette pydantic uvicorn python_multipart",
    ),
    "cli": Room(6, f"_version {NOUNS} pipeline settings labelling web", "typer rich click"),
    "api": Room(
        5,
        f"{NOUNS} references.reading settings.options settings.by_name media.probe media.verify"
        " pipeline",
        "numpy",
    ),
    "__main__": Room(7, "cli"),
    "__init__": Room(7, "*"),  # exports what doors and rooms define
}
FLOORS = {pattern.split(".")[0]: room.floor for pattern, room in ROOMS.items()}


def room_of(module: str) -> Room | None:
    """The room of a module such as "media.probe", or None."""
    return next(
        (
            room
            for pattern, room in ROOMS.items()
            if fnmatch(module, pattern) or fnmatch(module, f"{pattern}.*")
        ),
        None,
    )


def floor_of(name: str) -> int:
    """The floor of what is imported, "media.probe.ClipInfo"; above all floors when it is in no
    room.
    """
    room = room_of(name)
    return room.floor if room else 99


def imports(nodes: Iterable[ast.Import | ast.ImportFrom], module: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of each import; relative ones resolved, `from a import b` as a.b."""
    # "media.__init__" and "media.probe" both live in vfx_matte.media
    package = ["vfx_matte", *module.split(".")][:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        else:
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (
                (node.lineno, ".".join([*base, *filter(None, [node.module]), alias.name]))
                for alias in node.names
            )


def violations(source: str, module: str) -> list[str]:
    """One line for each forbidden import in the source of a module such as "media.probe" or
    "media.__init__".
    """
    file = f"vfx_matte/{module.replace('.', '/')}.py"
    room = room_of(module)
    if room is None:
        return [f"{file}:1: is in no room; give it a line in ROOMS"]
    home, found = module.partition(".")[0], []
    for line, name in imports(read(source).imports, module):
        top, _, inside = name.partition(".")
        target = inside.split(".")[0]
        if top != "vfx_matte":
            allowed = top in sys.stdlib_module_names or top in room.foreign.split()
        elif target == home:
            allowed = True
        elif room.below == "*":
            allowed = floor_of(inside) < room.floor
        else:
            allowed = any(
                inside == entry or inside.startswith(f"{entry}.") for entry in room.below.split()
            )
        if not allowed:
            found.append(f"{file}:{line}: must not import {name}")
    return found


def texts() -> dict[str, str]:
    """The text of every module, by a name such as "media.probe" or "media.__init__"."""
    return {name.removesuffix(".py").replace("/", "."): text for name, text in modules().items()}


def test_imports_go_down_and_stay_in_their_room() -> None:
    assert len(texts()) > 400
    assert [line for module, text in texts().items() for line in violations(text, module)] == []


def test_the_table_itself_goes_down_and_has_no_circle() -> None:
    order = list(FLOORS)
    for pattern, room in ROOMS.items():
        name = pattern.split(".")[0]
        for entry in room.below.replace("*", "").split():
            target = entry.split(".")[0]
            noun_before = room.floor == FLOORS[target] <= 1 and order.index(target) < order.index(
                name
            )
            assert FLOORS[target] < room.floor or noun_before, (
                f"{pattern} may not be allowed {entry}"
            )


@pytest.mark.parametrize(
    ("module", "source", "forbidden"),
    [
        ("timeline", "from vfx_matte import masks", "vfx_matte.masks"),  # a noun below another
        (
            "composite",
            "from vfx_matte.matting import grow",
            "vfx_matte.matting.grow",
        ),  # strangers on one floor
        (
            "media.probe",
            "from ..propagate import Propagator",
            "vfx_matte.propagate.Propagator",
        ),  # relative
        ("media.__init__", "from ..workspace import Workspace", "vfx_matte.workspace.Workspace"),
        ("media.read", "from vfx_matte.masks import Matte", "vfx_matte.masks.Matte"),  # only Image
        ("matting", "def f() -> None:\n    import cupy", "cupy"),  # lazy imports count
        ("propagate.builtin.walk", "import torch.nn", "torch.nn"),
        ("pipeline.render.key", "import vfx_matte.settings.ini", "vfx_matte.settings.ini"),
        ("pipeline.render", "from vfx_matte.cli import main", "vfx_matte.cli.main"),
        ("settings.ini", "from vfx_matte.pipeline import segment", "vfx_matte.pipeline.segment"),
        (
            "cli.render",
            "from vfx_matte.media.readers.video import Reader",
            "vfx_matte.media.readers.video.Reader",
        ),
        ("cli.render", "import numpy as np", "numpy"),
        ("web.app", "from vfx_matte.workspace import Workspace", "vfx_matte.workspace.Workspace"),
        ("pipeline.probe", "from vfx_matte.web import server", "vfx_matte.web.server"),
        ("masks", "if True:\n    from PIL import Image", "PIL.Image"),
    ],
)
def test_the_checker_catches(module: str, source: str, forbidden: str) -> None:
    line = source.count("\n") + 1
    assert violations(source, module) == [
        f"vfx_matte/{module.replace('.', '/')}.py:{line}: must not import {forbidden}"
    ]


def test_the_checker_lets_good_imports_pass() -> None:
    assert (
        violations(
            "import torch\nfrom vfx_matte.masks import Mask\nfrom . import builtin",
            "propagate.xmem.network",
        )
        == []
    )
    assert (
        violations(
            "from vfx_matte._version import __version__\nimport json\nimport vfx_matte.pipeline",
            "cli.main",
        )
        == []
    )
    assert violations("", "helpers") == [
        "vfx_matte/helpers.py:1: is in no room; give it a line in ROOMS"
    ]


@cache
def dependencies() -> dict[str, set[str]]:
    """Module → modules of vfx_matte that it imports, lazily too; imports for type checkers alone do
    not count.
    """
    known = texts()
    found: dict[str, set[str]] = {}
    for module, text in known.items():
        source = read(text)
        found[module] = set()
        counted = [node for node in source.imports if node not in source.for_types]
        for _, name in imports(counted, module):
            inside = name.partition(".")[2]
            candidates = (
                inside,
                f"{inside}.__init__",
                inside.rpartition(".")[0],
                f"{inside.rpartition('.')[0]}.__init__",
            )
            target = next((one for one in candidates if one in known), None)
            if name.startswith("vfx_matte.") and target not in (None, module):
                found[module].add(str(target))
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a ring, the first one again at the end; empty where there
    is none.
    """
    finished: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in finished:
            return []
        ring = next(
            filter(None, (walk(other, [*way, module]) for other in sorted(graph[module]))), []
        )
        finished.add(module)
        return ring

    return next(filter(None, (walk(module, []) for module in sorted(graph))), [])


def test_no_files_import_each_other_in_a_ring() -> None:
    assert circle(dependencies()) == []


def test_the_ring_finder_finds_rings() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    assert (
        "pipeline.render.renders"
        in dependencies()["pipeline.demo"] | dependencies()["cli.commands.render"]
    )
