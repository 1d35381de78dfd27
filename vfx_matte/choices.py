"""Closed choices: the error for a word that is none of them, with the one most like it, and what a
chosen entry of a registry stands for.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Any

from vfx_matte.errors import UsageError


def implementation_of(where: str) -> Any:  # noqa: ANN401  whatever it is
    """The class or function that a registry names as "module:name".

    Its module is imported now, and no sooner: packages of networks take seconds.

    Raises:
        ModuleNotFoundError: it needs a package that is not installed.
    """
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)


def unknown_choice(what: str, given: str, choices: Iterable[str], *, hint: str = "") -> UsageError:
    """The error for a word that is none of a closed set.

    Args:
        what: what is chosen, such as "program".
        given: the word.
        choices: what it may be.
        hint: how to say it right; "" lists the choices.
    """
    known = list(choices)
    return UsageError(
        f"unknown {what} {given!r}",
        hint=did_you_mean(given, known) + (hint or f"choose one of {', '.join(known)}"),
    )


def did_you_mean(given: str, choices: Iterable[str]) -> str:
    """The beginning of a hint: "did you mean premiere? ", or "" when nothing is near."""
    typed = given.strip().lower()
    nearest = difflib.get_close_matches(typed, list(choices))
    # of equally near ones the one with the same letters: libx246 is libx264 rather than libx265
    best = max(
        nearest,
        key=lambda choice: (_likeness(typed, choice), sorted(typed) == sorted(choice)),
        default="",
    )
    return f"did you mean {best}? " if best else ""


def _likeness(typed: str, choice: str) -> float:
    # SequenceMatcher is not symmetric: this is the order in which difflib ranks close matches
    return difflib.SequenceMatcher(None, choice, typed).ratio()
