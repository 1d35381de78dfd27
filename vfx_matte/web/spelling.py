"""How the page, and answers to programs, write the options and commands that messages name."""

from __future__ import annotations

import json
from collections.abc import Collection

from vfx_matte.wording import Named, Spelling, Value, spelled

# whoever works in the page presses a button where others type a command
_ACTIONS = {
    "segment": "“Both”",
    "mask": "“Click”",
    "greenback": "“Export”",
    "alpha": "“Export”",
    "maskvideo": "“Export”",
    "overlay": "“Export”",
    "package": "“Export”",
    "qc": "“Problems”",
    "suggest": "“Suggested”",
}
_FRESH = "“Clear memory”"


class Speller:
    """Writes what texts name as the page shows it: an option as its label, a command as the button
    that does it, or as it is typed where there is none.
    """

    def __init__(self, typed: Spelling) -> None:
        """Keep how a command is typed.

        Args:
            typed: how the command line writes a command.
        """
        self._typed = typed

    def __call__(self, text: str) -> str:
        """A text as the page shows it."""
        return spelled(text, self._shown)

    def _shown(self, named: Named) -> str:
        if named.command is not None:
            action = _ACTIONS.get(named.command)
            if action is None:
                return self._typed(named)
            # masks that were made in another way give way first
            return f"{_FRESH}, then {action}" if named.options.get("fresh") else action
        return ", ".join(_label(name, value) for name, value in named.options.items())

    def typed(self, text: str) -> str:
        """A text with options as they are typed, too."""
        return spelled(text, self._typed)


def _label(name: str, value: Value | list[str]) -> str:
    """An option as a person reads it in the page: “soft edges” off, “edges” = guided."""
    if name == "fresh":
        return _FRESH
    # a mask of a frame is made in the page, and no file of it is named
    if name == "mask" and isinstance(value, str):
        return f"“Click” at frame {value.partition('=')[0]}"
    label = f"“{name.replace('_', ' ')}”"
    if value is None:
        return label
    if isinstance(value, bool):
        return f"{label} {'on' if value else 'off'}"
    return f"{label} = {', '.join(value) if isinstance(value, list) else value}"


class FieldSpeller(Speller):
    """Writes an option that a request may have as it stands there, and anything else as it is typed
    by whoever started the server.
    """

    def __init__(self, typed: Spelling, fields: Collection[str]) -> None:
        """Keep how a command is typed.

        Args:
            typed: how the command line writes a command or an option.
            fields: the options that are fields of requests.
        """
        super().__init__(typed)
        self._fields = frozenset(fields)

    def _shown(self, named: Named) -> str:
        if named.command is not None or not named.options.keys() <= self._fields:
            return self._typed(named)
        return ", ".join(
            f'"{name}": {json.dumps(value, ensure_ascii=False)}'
            for name, value in named.options.items()
        )
