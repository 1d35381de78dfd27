"""Closed choices: the error for a word that is none of them, with the one that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from vfx_matte.errors import UsageError


def unknown_choice(what: str, given: str, choices: Iterable[str], *, hint: str = "") -> UsageError:
    """The error for `given`. what: e.g. "program". hint: how to say it right; "" lists the choices."""
    known = list(choices)
    told = hint or f"choose one of {', '.join(known)}"
    nearest = difflib.get_close_matches(given.strip().lower(), known, n=1)
    return UsageError(f"{what} {given!r} is unknown", hint=f"did you mean {nearest[0]}? {told}" if nearest else told)
