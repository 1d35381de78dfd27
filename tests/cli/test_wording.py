"""Messages name options and commands once; every door writes them in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfx_matte.cli.typed import as_typed
from vfx_matte.errors import UsageError
from vfx_matte.wording import as_python, command, option, spelled


@pytest.mark.parametrize(
    ("named", "typed", "python"),
    [
        (option("edges", "guided"), "--edges guided", 'edges="guided"'),
        (option("resume", True), "--resume", "resume=True"),
        (option("soft_edges", False), "--no-soft-edges", "soft_edges=False"),
        (option("output"), "-o", "output"),
        (option("target", "premiere"), "--for premiere", 'target="premiere"'),
        (option("fail_over", 12), "--fail-over 12", "fail_over=12"),
        (
            command("segment", Path("a b.mp4"), mask=["0=m.png", "9=n.png"], update=True),
            "vfx-matte segment 'a b.mp4' --mask 0=m.png --mask 9=n.png --update",
            'vfx_matte.segment("a b.mp4", mask=["0=m.png", "9=n.png"], update=True)',
        ),
        (command("weights fetch"), "vfx-matte weights fetch", "vfx_matte.weights_fetch()"),
        (
            command("frame", Path("-x.mp4"), at=3),
            "vfx-matte frame ./-x.mp4 --at 3",
            'vfx_matte.frame("./-x.mp4", at=3)',
        ),
    ],
)
def test_what_a_message_names_reads_as_each_door_writes_it(
    named: str, typed: str, python: str
) -> None:
    assert spelled(f"use {named}, or not", as_typed) == f"use {typed}, or not"
    assert spelled(f"use {named}, or not", as_python) == f"use {python}, or not"


@pytest.mark.slow
@given(st.text(), st.text())
def test_foreign_names_go_in_and_out_unchanged(name: str, around: str) -> None:
    """Whatever a file is called: brackets, line breaks, quotes."""
    around = around.replace("⟦", "").replace("⟧", "")
    text = spelled(f"{around}{command('x', name)}{around}", lambda found: found.operands[0])
    assert text == f"{around}{name}{around}"


def test_brackets_in_a_foreign_name_are_left_alone() -> None:
    for name in ("⟦⟧.mp4", "a⟦x⟧", "⟦[1]⟧", '⟦{"a": 1}⟧'):
        assert spelled(f"{name} is not there", as_typed) == f"{name} is not there"


def test_an_error_reads_as_python_until_a_door_spells_it() -> None:
    error = UsageError(f"{option('at', 3)} is too late", hint=f"try {option('at', 2)}")
    assert str(error) == "at=3 is too late"
    error.spell(as_typed)
    assert (error.message, error.hint) == ("--at 3 is too late", "try --at 2")
