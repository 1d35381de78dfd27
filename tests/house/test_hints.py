"""Errors that people read far from a terminal say what to do: hints are all the help there is."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import pytest
from support.source import modules, offences, read

from vfx_matte import errors

ROOMS = (
    "web/", "labelling/", "annotations/", "pipeline/studio/", "pipeline/tracking/",
    "pipeline/exchange/",
)  # fmt: skip
OURS = {name for name, _ in inspect.getmembers(errors, inspect.isclass)} - {"StoppedError"} | {
    "SupersededError", "ConflictError", "GoneError", "MissingError", "BusyError",
}  # fmt: skip
OF_REQUESTS = {"RequestError", "_RefusedError"}
"""Their messages and hints stand after a status."""


def without_hint(source: str) -> Iterator[int]:
    """Lines that make an error without a hint."""
    for node in read(source).calls:
        name = ast.unparse(node.func)
        hints = [one.value for one in node.keywords if one.arg == "hint"]
        if name in OF_REQUESTS:
            hints += node.args[2:]
        elif name not in OURS or "told(" in ast.unparse(node):  # has it in its text
            continue
        if not hints or (isinstance(hints[0], ast.Constant) and not hints[0].value):
            yield node.lineno


def test_errors_have_hints() -> None:
    names = [name for name in modules() if name.startswith(ROOMS)]
    assert len(names) > 90
    assert offences(names, without_hint) == {}, "say what to do in these lines"


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('raise MaskError("it is flat")', 1),
        ('raise MaskError("it is flat", hint="")', 1),
        ('raise MaskError("it is flat", hint="paint it")', 0),
        ('raise RequestError(404, "there is none")', 1),
        ('raise RequestError(404, "there is none", "choose another")', 0),
        ('raise ValueError("flat")', 0),
    ],
)
def test_the_finder_finds_errors_without_hints(source: str, count: int) -> None:
    assert len(list(without_hint(source))) == count
