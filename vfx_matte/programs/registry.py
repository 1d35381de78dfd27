"""The editing programs that vfx-matte knows: the one place that names all of them.

The programs themselves were not at hand: their records follow their makers' lists and what editors
report.
"""

from __future__ import annotations

from collections.abc import Mapping

from vfx_matte.choices import unknown_choice
from vfx_matte.programs.aftereffects import AFTEREFFECTS
from vfx_matte.programs.capcut import CAPCUT
from vfx_matte.programs.finalcut import FINALCUT
from vfx_matte.programs.premiere import PREMIERE
from vfx_matte.programs.record import Program
from vfx_matte.programs.resolve import RESOLVE
from vfx_matte.programs.web import WEB
from vfx_matte.wording import command

PROGRAMS: dict[str, Program] = {
    one.name: one for one in (PREMIERE, AFTEREFFECTS, RESOLVE, FINALCUT, CAPCUT, WEB)
}
"""By name, in the order in which people are told of them."""

ALL = "all"
"""What stands for every program where their names stand."""

COMMON: Mapping[str, str] = {
    # limited range is what these programs expect of Y'CbCr; full-range clips are converted
    "range": "tv",
    "colour_tags": "matrix, primaries and transfer are the source's, HLG and PQ too",
    "time_base": (
        "the source's own, every frame at its exact time; after conform 24000, 25000, 30000 … ticks"
        " per second, a whole number of them per frame"
    ),
    "size": "the source's, as displayed",
}
"""What holds for every program and output, for people."""


def program_named(name: str) -> Program:
    """One program.

    Raises:
        UsageError: for a program that has no record.
    """
    # names are typed by people: "Premiere " is premiere
    found = PROGRAMS.get(name.strip().lower())
    if found is None:
        known = f"known: {', '.join(PROGRAMS)}; see {command('formats')}"
        raise unknown_choice("program", name, PROGRAMS, hint=known)
    return found
