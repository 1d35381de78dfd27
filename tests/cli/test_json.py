"""`--json`: every command prints its whole result as one line that programs can read, and the one
function that makes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from support.command_line import CommandLine
from support.tiny_onnx import tiny_network
from support.weights_server import Served, write_table

from vfx_matte.cli import program
from vfx_matte.cli.typed import as_typed
from vfx_matte.pipeline.records import INTERNAL, as_json, rounded, spelled_record
from vfx_matte.wording import command, option, spelled

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "segment": ("clip.mp4", "--first-mask", "mask.png", "--propagator", "fake", "--fresh"),
    "detect": (
        *("clip.mp4", "--detector", "salient", "--detector-weights", "salient.onnx"),
        *("--propagator", "fake", "--fresh"),
    ),
    "greenback": ("clip.mp4",),
    "maskvideo": ("clip.mp4",),
    "alpha": ("clip.mp4",),
    "overlay": ("clip.mp4",),
    "conform": ("clip.mp4", "--outputs", "source,overlay"),
    "package": ("clip.mp4", "--for", "capcut", "--outputs", "greenback"),
    "formats": (),
    "keytest": ("clip.mp4", "--frames", "2"),
    "suggest": ("clip.mp4",),
    "qc": ("clip.mp4",),
    "evaluate": ("workspace/clip", "workspace/clip/masks"),
    "export": ("clip.mp4", "--format", "cvat"),
    "import": ("clip.mp4", "workspace/clip/masks"),
    "mask": ("clip.mp4", "--from", "mask.png", "--object", "1", "--fg", "29,32"),
    "probe": ("clip.mp4",),
    "verify": ("workspace/clip/clip.mp4", "--source", "clip.mp4"),
    "frame": ("clip.mp4", "--at", "3"),
    "batch": ("clip.mp4", "--workspace", "w2", "--outputs", "maskvideo"),
    "doctor": ("--no-speed",),
    "config": (),
    "weights list": (),
    "weights fetch": (),
    "weights check": (),
}
"""What each command needs to succeed in `project`."""

LISTS = {"weights list"}
"""Whose JSON is a list, as it always was."""


SLOW = {"batch"}
"""Which start other commands."""

ELSEWHERE = {"studio", "serve", "demo"}
"""What goes on until it is stopped: tests/web/test_command.py reads its line. The demo makes a
whole project: tests/cli/test_inspect.py reads its record.
"""


def commands(group: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401  click is Typer's own
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, f"{path}{name} ")
        else:
            yield f"{path}{name}"


def test_the_table_has_every_command_of_the_program() -> None:
    assert set(commands(typer.main.get_command(program()))) == set(ARGUMENTS) | ELSEWHERE


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in ARGUMENTS]
)
@pytest.mark.usefixtures("without_torch")
def test_json_is_one_line_and_nothing_else_is_on_stdout(
    name: str, project: CommandLine, server: Served
) -> None:
    if name == "verify":
        (project.folder / "workspace/clip/clip.mp4").write_bytes(Path("clip.mp4").read_bytes())
    if name == "batch":
        (project.folder / "clip.png").write_bytes(Path("mask.png").read_bytes())
    if name == "detect":
        (project.folder / "salient.onnx").write_bytes(tiny_network())
    if name.startswith("weights"):
        write_table(project.folder / "model", server.url, about_megabytes=3)
    if name == "weights check":
        project("weights", "fetch")
    ran = project(*name.split(), *ARGUMENTS[name], "--json")
    assert isinstance(ran.record, list if name in LISTS else dict)


def test_quiet_makes_no_difference_to_json(project: CommandLine) -> None:
    loud, quiet = (project("probe", "clip.mp4", "--json", *more).stdout for more in ((), ("-q",)))
    assert loud == quiet


@dataclass(frozen=True)
class Inner:
    share: float = field(metadata=rounded(2))
    hint: str = ""


@dataclass(frozen=True)
class Outer:
    path: Path
    rate: Fraction
    inner: tuple[Inner, ...]
    by_id: dict[int, float]
    names: frozenset[str]
    pixels: np.ndarray[Any, Any] = field(metadata=INTERNAL)
    missing: float = float("nan")


class Own:
    def to_json(self) -> dict[str, object]:
        return {"inner": Inner(1 / 3), "rate": Fraction(1, 3)}


def test_a_record_is_walked_to_its_leaves() -> None:
    record = Outer(
        path=Path("a/b.mp4"),
        rate=Fraction(30000, 1001),
        inner=(Inner(2 / 3, f"use {option('edges', 'guided')}"), Inner(-1)),
        by_id={1: np.float32(0.5), 2: float("inf")},
        names=frozenset({"b", "a"}),
        pixels=np.zeros((2, 2)),
    )
    assert as_json(record, lambda text: spelled(text, as_typed)) == {
        "path": "a/b.mp4",
        "rate": "30000/1001",
        "inner": [{"share": 0.67, "hint": "use --edges guided"}, {"share": -1, "hint": ""}],
        "by_id": {"1": 0.5, "2": None},
        "names": ["a", "b"],
        "missing": None,
    }


def test_a_class_may_say_itself_what_programs_are_given() -> None:
    assert as_json([Own()], str) == [{"inner": {"share": 0.33, "hint": ""}, "rate": "1/3"}]


def test_arrays_and_numbers_of_numpy_are_plain_numbers() -> None:
    found = as_json({"a": np.arange(3), "b": np.int64(7), "c": np.bool_(True)}, str)
    assert found == {"a": [0, 1, 2], "b": 7, "c": True}
    assert json.dumps(found) == '{"a": [0, 1, 2], "b": 7, "c": true}'


def test_commands_are_spelled_wherever_they_stand() -> None:
    found = as_json(
        {"next": [command("qc", Path("a b.mp4"))]}, lambda text: spelled(text, as_typed)
    )
    assert found == {"next": ["vfx-matte qc 'a b.mp4'"]}


def test_what_no_record_should_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        as_json({"a": object()}, str)


def test_a_spelled_record_is_a_copy_only_where_a_text_changed() -> None:
    same = Outer(Path("a"), Fraction(1), (Inner(0.5, "plain"),), {}, frozenset(), np.zeros(2))
    assert spelled_record(same, lambda text: spelled(text, as_typed)) is same
    named = replace(same, inner=(Inner(0.5, f"use {option('resume', True)}"), Inner(1)))
    found = spelled_record(named, lambda text: spelled(text, as_typed))
    assert [one.hint for one in found.inner] == ["use --resume", ""]
    assert found.pixels is named.pixels
    assert spelled_record([{"a": command("qc")}], lambda text: spelled(text, as_typed)) == [
        {"a": "vfx-matte qc"}
    ]
