"""Prints docs/options.md, the tables of all options, from the option table. For developers.

python bench/options_page.py > docs/options.md
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script

from vfx_matte.cli.typed import as_typed, flags_of
from vfx_matte.settings.ini import Settings
from vfx_matte.settings.options import Options
from vfx_matte.wording import spelled

HEAD = """# Options

Every option of the program, as the command line, `config.ini` and Python know it. Printed by
`python bench/options_page.py` from `vfx_matte/settings/options.py`, where each is declared once.
"""


def sections() -> Iterator[tuple[str, type[Options]]]:
    """Section of config.ini and its record."""
    for item in dataclasses.fields(Settings):
        if item.name != "file":
            yield item.name, cast("type[Options]", item.default_factory)


def table(section: str, record: type[Options]) -> Iterator[str]:
    """One section as a markdown table."""
    hints = typing.get_type_hints(record)
    purpose = (record.__doc__ or "").split("\n\n", maxsplit=1)[0]
    yield f"\n## `[{section}]`\n\n{' '.join(purpose.split())}\n"
    yield "| config.ini | command line | Python | default | range | what it does |"
    yield "|---|---|---|---|---|---|"
    for item in dataclasses.fields(cast("Any", record)):
        facts = item.metadata
        flags = " ".join(flags_of(item, is_switch=hints[item.name] in (bool, bool | None)))
        cells = (
            f"`{facts['key'] or item.name}`" if facts["in_file"] else "–",
            "–" if record.__name__ in _FILE_ONLY else f"`{flags}`",
            f"`{item.name}`",
            _shown(item.default),
            _range(facts),
            spelled(facts["explanation"], as_typed),
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


_FILE_ONLY = {"NetworkSettings", "OldScripts"}


def _shown(value: object) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _range(facts: Any) -> str:  # noqa: ANN401  a field's metadata
    if words := facts["choices"] or facts["members"]:
        return ", ".join(words)
    unit = f" {facts['unit']}" if facts["unit"] else ""
    return "" if facts["least"] is None else f"{facts['least']:g} to {facts['most']:g}{unit}"


def page() -> str:
    """The whole page."""
    lines = [HEAD.rstrip("\n")]
    for section, record in sections():
        lines += table(section, record)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
