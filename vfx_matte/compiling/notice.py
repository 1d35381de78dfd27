"""Tells whoever waits that functions are compiled."""

from __future__ import annotations

from vfx_matte.backend import Notify


class _Hearer:
    """Who is told, and whether anybody was."""

    notify: Notify | None = None
    is_told = False


def tell_when_compiling(notify: Notify) -> None:
    """Have one line told when functions are compiled, once in a process; the latest caller hears
    it.
    """
    _Hearer.notify = notify


def compiling(*, is_kept: bool) -> None:
    """Say that functions are compiled just now.

    Args:
        is_kept: whether there is a place to keep them for the next run.
    """
    if _Hearer.is_told or _Hearer.notify is None:
        return
    _Hearer.is_told = True
    how_often = (
        "once on a machine for each kind of work and clip"
        if is_kept
        else "in every run, as there is no place to keep them (NUMBA_CACHE_DIR names one)"
    )
    _Hearer.notify(
        f"what takes most of the time is compiled, {how_often}: up to a minute before the first"
        " frame"
    )
