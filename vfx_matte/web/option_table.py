"""The options of edges and renders as a page shows and sets them."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import UsageError
from vfx_matte.printable import shortened
from vfx_matte.settings.options import Options, raise_on_bad_value
from vfx_matte.wording import option

Scalar = bool | int | float | str | None

LONGEST_TEXT = 200
"""Characters of an option's text; codecs, keys and rates have few."""

PREVIEW = "greenback"
"""The render whose options a preview has."""

PACKAGE = "package"
_SHARED = ("edges", "render")
_COLOR = re.compile("#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class OptionTable:
    """Records of options by their group, such as "edges" and "greenback"."""

    records: Mapping[str, Options]
    """With the values that config.ini gives them."""

    def facts(self) -> list[dict[str, Any]]:
        """Every option, as a page shows it."""
        return [
            {
                "group": group,
                "name": item.name,
                "type": _type_name(hints[item.name]),
                "default": _plain(getattr(record, item.name)),
                **{
                    key: item.metadata[key]
                    for key in ("explanation", "short", "unit", "least", "most")
                },
                "choices": item.metadata["choices"] or item.metadata["members"],
            }
            for group, record in self.records.items()
            for hints in [typing.get_type_hints(type(record))]
            for item in dataclasses.fields(cast("Any", record))
        ]

    def renders(self) -> list[str]:
        """Names of renders that have options of their own."""
        return [group for group in self.records if group not in (*_SHARED, PACKAGE)]

    def check(self, render: str, given: Mapping[str, object]) -> None:
        """Check the options that a page sends: each one is of this render, and has its type and
        range.

        Args:
            render: "greenback" and the like, or "package:" with a program.
            given: option → value; None is its usual value.

        Raises:
            UsageError: one of them is not of this render, has a wrong type, or is out of its range.
        """
        groups = (*_SHARED, render.partition(":")[0])
        fields = {
            item.name: (item, hint)
            for group in groups
            if group in self.records
            for record in [self.records[group]]
            for hints in [typing.get_type_hints(type(record))]
            for item in dataclasses.fields(cast("Any", record))
            for hint in [hints[item.name]]
        }
        for name, value in given.items():
            if name not in fields:
                raise unknown_choice("option", shortened(name), fields)
            item, hint = fields[name]
            if value is None:
                continue
            if not _has_type(value, hint):
                raise UsageError(
                    f"{option(name)} is {shortened(value)!r}, expected {_expected(hint)}"
                )
            # a file's path comes from the command line only: whoever has the page's token may not
            # read any file with it
            if name == "background" and not (value == "" or _COLOR.fullmatch(str(value))):
                raise UsageError(
                    f"{option(name)} is {shortened(value)!r}, expected a colour such as #203040"
                )
            raise_on_bad_value(item, value, option(name))


def _kinds(hint: object) -> tuple[object, ...]:
    """The types that a value may have besides None."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return tuple(kind for kind in kinds if kind is not type(None))


def _type_name(hint: object) -> str:
    (kind,) = _kinds(hint)
    return "list" if typing.get_origin(kind) is tuple else cast("type", kind).__name__


def _expected(hint: object) -> str:
    names = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}
    return names.get(_type_name(hint), "a list of whole numbers")


def _has_type(value: object, hint: object) -> bool:
    """Whether a value of JSON has an option's type; true and false are no numbers."""
    name = _type_name(hint)
    if name == "bool":
        return isinstance(value, bool)
    if name == "str":
        return isinstance(value, str) and len(value) <= LONGEST_TEXT and value.isprintable()
    if name == "list":
        return isinstance(value, list) and all(
            isinstance(part, int) and not isinstance(part, bool) and 0 < part < 256
            for part in value
        )
    if isinstance(value, bool):
        return False
    if name == "int":
        return isinstance(value, int) and abs(value) < 10**9
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) < 10**9


def _plain(value: object) -> object:
    """A default as JSON has it."""
    return list(value) if isinstance(value, tuple) else value
