"""Messages as the command line shows them, for tests that call functions directly."""

from __future__ import annotations

from vfx_matte.cli.typed import as_typed
from vfx_matte.wording import spelled


def typed(text: str) -> str:
    """A message or hint with every option and command as it is typed."""
    return spelled(text, as_typed)
