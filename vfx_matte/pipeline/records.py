"""Results as JSON: one function for the records of every pipeline function.

A record is a frozen dataclass. Its fields become the keys, in their order; a field that programs
have no use for is declared with `metadata=INTERNAL`, a float that is rounded with `rounded(4)`. A
class whose JSON has other keys than its fields has a method `to_json()`, which returns a mapping of
what can stand in a record.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

T = TypeVar("T")

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

INTERNAL: Mapping[str, object] = MappingProxyType({"in_json": False})
"""Metadata of a field that is for this program's own functions, such as an array of pixels."""


def rounded(digits: int) -> Mapping[str, object]:
    """Metadata of a float field that JSON shows with this many digits after the point."""
    return {"digits": digits}


def as_json(value: object, spell: Callable[[str], str]) -> Json:  # noqa: PLR0911  one for each type
    """A result as `json.dumps` takes it.

    Args:
        value: a record, or what may stand in one: None, text, numbers (NumPy's too), fractions,
            paths, mappings, tuples and other collections of these.
        spell: how the door writes options and commands that texts name (`Reporter.spell`).

    Returns:
        The same in dicts, lists, text and numbers. Fractions and paths are text ("1001/30000"),
        and a number that is not finite is null, since JSON has none.

    Raises:
        TypeError: for a value of another type, which no record should hold.
    """
    # NumPy's scalars become Python's first, since only some of them are instances of int or float.
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return spell(value)
    if isinstance(value, Fraction | PurePath):
        return str(value)
    # A form of its own goes before the fields of a dataclass; what it holds is walked as well.
    if hasattr(value, "to_json"):
        return as_json(value.to_json(), spell)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: as_json(_field_value(value, field), spell)
            for field in dataclasses.fields(value)
            if field.metadata.get("in_json", True)
        }
    if isinstance(value, Mapping):
        return {str(key): as_json(item, spell) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        value = sorted(value)  # the order of a set differs from run to run
    # Arrays are collections too; those of pixels stand in INTERNAL fields.
    if isinstance(value, Collection):
        return [as_json(item, spell) for item in value]
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _field_value(record: Any, field: dataclasses.Field[Any]) -> object:  # noqa: ANN401  any dataclass
    value = getattr(record, field.name)
    digits = field.metadata.get("digits")
    # an integer may stand for "not known" where a float is usual, and stays as it is
    return value if digits is None or isinstance(value, int) else round(float(value), digits)


def spelled_record(value: T, spell: Callable[[str], str]) -> T:
    """A record with the options and commands that its texts name as the door writes them.

    Args:
        value: a record, or what may stand in one.
        spell: how the door writes them.

    Returns:
        A copy where a text changed, otherwise the value itself; arrays are not copied.
    """
    return cast("T", _spelled(value, spell))


def _spelled(value: Any, spell: Callable[[str], str]) -> Any:  # noqa: ANN401  whatever a record holds
    """See `spelled_record`; gives the very same object where nothing changed."""
    if isinstance(value, str):
        text = spell(value)
        return value if text == value else text
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [one.name for one in dataclasses.fields(value)]
        fields = {name: _spelled(getattr(value, name), spell) for name in names}
        changes = {name: new for name, new in fields.items() if new is not getattr(value, name)}
        return dataclasses.replace(value, **changes) if changes else value
    if isinstance(value, Mapping):
        items = {key: _spelled(item, spell) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in items) else value
    if isinstance(value, tuple | list):
        parts = [_spelled(part, spell) for part in value]
        is_changed = any(new is not old for new, old in zip(parts, value, strict=True))
        return type(value)(parts) if is_changed else value
    return value
