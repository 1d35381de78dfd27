"""Closed choices: the error for a word that is none of them, with the one that was probably
meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from vfx_matte.errors import UsageError


def unknown_choice(what: str, given: str, choices: Iterable[str], *, hint: str = "") -> UsageError:
    """The error for `given`.

    what: e.g. "program". hint: how to say it right; "" lists the choices.
    """
    known = list(choices)
    return UsageError(
        f"{what} {given!r} is unknown",
        hint=meant(given, known) + (hint or f"choose one of {', '.join(known)}"),
    )


def meant(given: str, choices: Iterable[str]) -> str:
    """The beginning of a hint: "did you mean premiere? ", or "" when nothing is near."""
    typed = given.strip().lower()
    nearest = difflib.get_close_matches(typed, list(choices))
    # of equally near ones the one with the same letters: libx246 is libx264 rather than libx265
    best = max(
        nearest, key=lambda one: (_likeness(typed, one), sorted(typed) == sorted(one)), default=""
    )
    return f"did you mean {best}? " if best else ""


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, other, one).ratio()
