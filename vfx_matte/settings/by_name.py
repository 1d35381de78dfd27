"""Sorts options that are given by name into records of the option table."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from vfx_matte.errors import UsageError
from vfx_matte.printable import shortened
from vfx_matte.settings.options import Options


def records_of(
    options: Mapping[str, object],
    *kinds: type[Options],
    bases: Mapping[type[Options], Options] = MappingProxyType({}),
) -> list[Any]:
    """Options by name, sorted into records of the option table.

    Args:
        options: name → value; None leaves an option at its default.
        kinds: the records that may have them; the first that knows a name gets it.
        bases: kind → a record with the defaults that count instead of the table's.

    Returns:
        One record per kind, in their order.

    Raises:
        TypeError: an option that none of the records has.
        UsageError: a value out of its range.
    """
    # a program that misspells an option gets Python's own error, as for any other argument
    given: dict[type[Options], dict[str, object]] = {kind: {} for kind in kinds}
    for name, value in options.items():
        owner = next((kind for kind in kinds if name in _names(kind)), None)
        if owner is None:
            known = sorted({known for kind in kinds for known in _names(kind)})
            raise TypeError(f"unknown option {name!r}; there are {', '.join(known)}")
        given[owner][name] = value
    # `overridden` and not the constructor: None is "not given" here, and values are checked for
    # having a meaning together
    return [bases.get(kind, kind()).overridden(**values) for kind, values in given.items()]


def records_of_json(
    options: Mapping[str, object],
    *kinds: type[Options],
    bases: Mapping[type[Options], Options] = MappingProxyType({}),
) -> list[Any]:
    """As `records_of`, of values that came as JSON: their types are checked, lists become tuples,
    and no option is a path, as a page has no files of this machine to name.

    Raises:
        UsageError: an unknown option, or a value of another type or out of its range.
    """
    values: dict[str, object] = {}
    for name, value in options.items():
        owner = next((kind for kind in kinds if name in _names(kind)), None)
        if owner is None:
            known = sorted({known for kind in kinds for known in _names(kind)})
            raise UsageError(
                f"there is no option {shortened(name)!r}", hint=f"there are {', '.join(known)}"
            )
        allowed = _json_types(owner)[name]
        if value is not None and not _fits(value, allowed):
            facts = next(
                one.metadata for one in dataclasses.fields(cast("Any", owner)) if one.name == name
            )
            raise UsageError(
                f"option {name} cannot be {shortened(repr(value))}", hint=facts["explanation"]
            )
        values[name] = tuple(value) if isinstance(value, list) else value
    return records_of(values, *kinds, bases=bases)


def _fits(value: object, allowed: tuple[type, ...]) -> bool:
    """Whether JSON's value is of one of the types; lists hold whole numbers."""
    if isinstance(value, list):
        return tuple in allowed and all(type(one) is int for one in value)
    # a bool is an int to Python, and none to people
    return isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))


def _names(kind: type[Options]) -> set[str]:
    return {item.name for item in dataclasses.fields(cast("Any", kind))}


def _json_types(kind: type[Options]) -> dict[str, tuple[type, ...]]:
    """Option → the types that JSON may give it."""
    found = {}
    for name, hint in typing.get_type_hints(kind).items():
        parts = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        plain = {typing.get_origin(part) or part for part in parts}
        allowed = plain & {bool, int, float, str, tuple}
        found[name] = tuple(allowed | ({int} if float in allowed else set()))
    return found
