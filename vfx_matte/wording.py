"""How messages name options and commands, whatever door shows them.

A message says `f"use {option('edges', 'guided')}"`, never "--edges guided": at the command line
that is how it reads, and for a Python program it reads `edges="guided"`. A named command is
`command("segment", resume=True)`. Until a door spells them they stand in the text as ⟦…⟧, which
holds JSON: the command, where there is one, and its options.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

Value = str | int | float | bool | None
"""What an option is set to; None where a message names the option and no value."""

_NAMED = re.compile("⟦(.*?)⟧", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Named:
    """What a message names: a command, an option, several of which any will do, or a command with
    options.
    """

    command: str | None
    """The command's name, such as "segment"; None for an option by itself."""

    operands: tuple[str, ...]
    """What the command is given without an option: paths, as text."""

    options: Mapping[str, Value | list[str]]
    """Option (its name in the option table) → value; several values where it is repeated."""


Spelling = Callable[[Named], str]
"""How a door writes what a message names."""


def option(name: str, value: Value = None) -> str:
    """An option for a message, such as `option("edges", "guided")` or `option("resume", True)`.

    Args:
        name: the option's name, as in the option table and in Python: "soft_edges".
        value: what it is set to; False switches it off; None names the option alone.
    """
    return _marked(None, (), {name: value})


def either(*names: str) -> str:
    """Options for a message of which any will do: `either("output", "workspace")`. A door where
    only some of them can be given names these.

    Args:
        names: of the options.
    """
    return _marked(None, (), dict.fromkeys(names))


def command(name: str, /, *operands: str | PurePath, **options: Value | list[str]) -> str:
    """A command for a message, such as `command("segment", clip, first_mask="m.png")`.

    Args:
        name: the command's name.
        operands: what it is given without an option, such as a clip.
        options: option → value; a list where it is repeated.
    """
    return _marked(name, tuple(_operand(one) for one in operands), options)


def spelled(text: str, spelling: Spelling) -> str:
    """A message with everything that it names written as a door writes it."""

    def written(found: re.Match[str]) -> str:
        try:
            named = _read(found[1])
        except (ValueError, TypeError):  # a foreign name with such brackets
            return found[0]
        return spelling(named)

    return _NAMED.sub(written, text)


def as_python(named: Named) -> str:
    """How a Python program writes it: `edges="guided"`, `vfx_matte.segment(clip, resume=True)`."""
    options = [
        name if value is None else f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in named.options.items()
    ]
    options = [text.replace("=true", "=True").replace("=false", "=False") for text in options]
    if named.command is None:
        return " or ".join(options)
    operands = [json.dumps(one, ensure_ascii=False) for one in named.operands]
    return f"vfx_matte.{named.command.replace(' ', '_')}({', '.join([*operands, *options])})"


def _marked(
    command_name: str | None,
    operands: tuple[str, ...],
    options: Mapping[str, Value | list[str]],
) -> str:
    # as data and not as text, so that a door can spell it in its own way
    text = json.dumps([command_name, operands, options], ensure_ascii=False)
    # a foreign name may hold the brackets
    return "⟦" + text.replace("⟦", "\\u27e6").replace("⟧", "\\u27e7") + "⟧"


def _read(text: str) -> Named:
    command_name, operands, options = json.loads(text)
    return Named(command_name, tuple(operands), options)


def _operand(one: str | PurePath) -> str:
    """A path that begins with "-" gets "./" before it, so that it is no option."""
    text = str(one)
    return f"./{text}" if isinstance(one, PurePath) and text.startswith("-") else text
