"""Spells the options and commands that messages name as they are typed at the command line."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, cast

from vfx_matte.printable import shell_command
from vfx_matte.settings import options
from vfx_matte.wording import Named, Value

_FLAGS = {"output": "-o", "tint": "--alpha", "object_id": "--object", "begin": "--from"}
"""Flags of options that stand in no record."""


def flags_of(item: dataclasses.Field[Any], *, is_switch: bool) -> tuple[str, ...]:
    """The flags of an option: those of the table, or its name; of a switch both ways."""
    name = item.name.replace("_", "-")
    usual = f"{name}/no-{name}" if is_switch else name
    return tuple(_dashed(words) for words in item.metadata["flags"] or (usual,))


def _dashed(words: str) -> str:
    """The flags of one or two words: "k" → "-k", "sound/no-sound" → "--sound/--no-sound"."""
    return "/".join(f"-{word}" if len(word) == 1 else f"--{word}" for word in words.split("/"))


def as_typed(named: Named) -> str:
    """What a message names, as it is typed: `--edges guided`, `--no-soft-edges`, or
    `vfx-matte segment clip.mp4 --resume`.
    """
    # quoted for the shell, as people copy it: a clip's name may hold spaces
    options = [_words(name, value) for name, value in named.options.items()]
    if named.command is None:
        return " or ".join(map(shell_command, options))
    words = [word for option in options for word in option]
    return shell_command(["vfx-matte", *named.command.split(), *named.operands, *words])


def _words(name: str, value: Value | list[str]) -> list[str]:
    flag, off = _flags(name)
    # an option without a value is named alone: a switch, or one whose value the text explains
    if value is None or value is True:
        return [flag]
    if value is False:
        return [off]
    # options that take several values are repeated, not given a list
    if isinstance(value, list):
        return [word for item in value for word in (flag, item)]
    return [flag, str(value)]


def _flags(name: str) -> tuple[str, str]:
    """What switches an option on, or sets it, and what switches it off."""
    # a switch may name both of its flags: --premultiplied/--straight
    flag = _FLAGS.get(name) or _table().get(name) or f"--{name.replace('_', '-')}"
    on, _, off = flag.partition("/")
    return on, off or f"--no-{on.removeprefix('--')}"


@cache
def _table() -> dict[str, str]:
    """Name of an option → its long flag, where the table says that it is not its name."""
    # the last flag is the long one: -k, --count
    records = [record for record in vars(options).values() if isinstance(record, type)]
    return {
        item.name: _dashed(item.metadata["flags"][-1])
        for record in records
        if issubclass(record, options.Options) and record is not options.Options
        for item in dataclasses.fields(cast("Any", record))
        if item.metadata.get("flags")
    }
