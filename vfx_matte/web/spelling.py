"""How the page, and answers to programs, write the options and commands that messages name."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import fields
from functools import cache

from vfx_matte.settings.options import (
    AlphaSettings,
    ClipSettings,
    GreenbackSettings,
    MaskvideoSettings,
    MatteSettings,
    OverlaySettings,
    PackageSettings,
    PathsSettings,
    RenderSettings,
)
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
# what does in the page what an option does at the command line, and takes no value there
_TOOLS = {
    "fresh": "“Clear memory”",
    "clear_memory": "“Clear memory”",
    "resume": "“Both”",
    "update": "“Both”",
    "fg": "“Click”",
    "bg": "“Click”",
    "fg_stroke": "“Stroke”",
    "bg_stroke": "“Stroke”",
    "box": "“Box”",
    "mask": "“Click”",
    "masks": "“Click”",
    "first_mask": "“Click”",
    "object_id": "“Objects”",
    "start": "“In”",
    "stop": "“Out”",
}
# fields of the page beside those of exports
_FIELDS = {"method": "First mask", "propagator": "Propagator", "text": "Find by text"}
_EXPORTS = (
    MatteSettings,
    RenderSettings,
    GreenbackSettings,
    MaskvideoSettings,
    AlphaSettings,
    OverlaySettings,
    PackageSettings,
)
NOT_ASKED = frozenset({"device", "target", "objects", "outputs", "start_number"})
"""Options of exports that the page has no field for: the machine decides, or the choice of what is
made does, or they are for files that the page does not make.
"""


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
            fresh = _TOOLS["fresh"]
            return f"{fresh}, then {action}" if named.options.get("fresh") else action
        # of several that do as well, those that are nearest to somebody at the page
        options = named.options
        if shown := [text for name, value in options.items() if (text := _label(name, value))]:
            return " or ".join(shown)
        given = {name: value for name, value in options.items() if name in at_start()}
        where = "at the studio's start" if given else "at the command line"
        return f"{self._typed(Named(None, (), given or options))} {where}"

    def typed(self, text: str) -> str:
        """A text with options as they are typed, too."""
        return spelled(text, self._typed)


def _label(name: str, value: Value | list[str]) -> str:
    """An option as a person reads it in the page: “soft edges” off, “edges” = guided; "" where the
    page has nothing for it.
    """
    # a mask of a frame is made in the page, and no file of it is named
    if name == "mask" and isinstance(value, str):
        return f"“Click” at frame {value.partition('=')[0]}"
    if name in _TOOLS:
        return _TOOLS[name]
    if name in _FIELDS:
        label = f"“{_FIELDS[name]}”"
    elif name in _asked():
        label = f"“{name.replace('_', ' ')}”"
    else:
        return ""
    if value is None:
        return label
    if isinstance(value, bool):
        return f"{label} {'on' if value else 'off'}"
    return f"{label} = {', '.join(value) if isinstance(value, list) else value}"


@cache
def at_start() -> frozenset[str]:
    """The options that whoever starts the studio gives."""
    # the command line asks for its words before the pipeline is loaded
    from vfx_matte.pipeline.propagator import propagator_option_names

    shared = {item.name for record in (PathsSettings, ClipSettings) for item in fields(record)}
    return frozenset({*shared, "fps", "gaps", "memory", *propagator_option_names()})


@cache
def _asked() -> frozenset[str]:
    """The options of exports that the page asks for."""
    return frozenset({item.name for record in _EXPORTS for item in fields(record)} - NOT_ASKED)


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
