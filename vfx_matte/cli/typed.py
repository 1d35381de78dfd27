"""How options and commands that messages name are typed at the command line."""

from __future__ import annotations

from vfx_matte.printable import shell_command
from vfx_matte.wording import Named, Value

_FLAGS = {
    "output": "-o",
    "target": "--for",
    "tint": "--alpha",
    "objects": "--object",
    "object_id": "--object",
    "begin": "--from",
}
"""Options whose flag is not their name."""


def as_typed(named: Named) -> str:
    """`--edges guided`, `--no-soft-edges`, or `vfx-matte segment clip.mp4 --resume`."""
    words = [word for name, value in named.options.items() for word in _words(name, value)]
    if named.command is None:
        return shell_command(words)
    return shell_command(["vfx-matte", *named.command.split(), *named.operands, *words])


def _words(name: str, value: Value | list[str]) -> list[str]:
    flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    if value is None or value is True:
        return [flag]
    if value is False:
        return [f"--no-{flag.removeprefix('--')}"]
    if isinstance(value, list):
        return [word for one in value for word in (flag, one)]
    return [flag, str(value)]
