"""Makes the options of a command from the option table.

A parameter of a command that is a record of `settings.options` stands for its options: they are
added to the command's, and it gets the record that config.ini and the command line add up to.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, cast

import typer

from vfx_matte.cli.typed import as_typed, flags_of
from vfx_matte.settings import ini
from vfx_matte.settings.options import Options
from vfx_matte.wording import spelled


@dataclass(frozen=True, slots=True)
class Only:
    """Says which options of a record a command has: `Annotated[SegmentSettings, Only("size")]`."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


def record_of(annotation: object) -> tuple[type[Options], Only | None] | None:
    """The record that an annotation names, and which of its options; None when it names none."""
    kind, *extras = (
        typing.get_args(annotation) if typing.get_origin(annotation) is Annotated else [annotation]
    )
    if not (isinstance(kind, type) and issubclass(kind, Options)):
        return None
    return ini.completed(kind), next((extra for extra in extras if isinstance(extra, Only)), None)


def option_names(record: type[Options], only: Only | None) -> list[str]:
    """Which options of a record a command has."""
    return [
        item.name
        for item in dataclasses.fields(cast("Any", record))
        if only is None or item.name in only.names
    ]


def parameters(record: type[Options], only: Only | None) -> dict[str, inspect.Parameter]:
    """The parameters of a Typer command for the options of a record, none of them required."""
    # None stands for "not given", so that config.ini's value, or the table's, is taken
    hints = typing.get_type_hints(record)
    fields = {item.name: item for item in dataclasses.fields(cast("Any", record))}
    return {
        name: inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=_annotation(record, fields[name], hints[name]),
        )
        for name in option_names(record, only)
    }


def _annotation(record: type[Options], item: dataclasses.Field[Any], hint: object) -> object:
    """The type of an option and its Typer declaration, as the option table has them."""
    facts = item.metadata
    # the type within "| None"; a tuple is a list of repeated options to Typer
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    (kind,) = (kind for kind in kinds if kind is not type(None))
    if typing.get_origin(kind) is tuple:
        kind = types.GenericAlias(list, typing.get_args(kind)[:1])
    # Typer calls its first panel "Options" by itself; naming it would make a second one
    panel = facts["panel"] or record.PANEL
    option = typer.Option(
        *flags_of(item, is_switch=kind is bool),
        help=spelled(facts["short"] or facts["explanation"], as_typed),
        metavar=facts["metavar"] or facts["unit"].upper() or None,
        rich_help_panel=None if panel in ("", "Options") else panel,
    )
    return Annotated[kind | None, option]


def chosen(record: type[Options], settings: ini.Settings, values: dict[str, object]) -> Options:
    """A record as config.ini and the command line add up: the command line wins.

    Args:
        record: its type.
        settings: what config.ini says.
        values: option → value; None where the command line does not have it.

    Raises:
        UsageError: a value is out of its range.
    """
    # found by type, as a section's name need not be the command's; a record without a section has
    # the table's defaults
    base = next(
        (
            getattr(settings, item.name)
            for item in dataclasses.fields(settings)
            if type(getattr(settings, item.name)) is record
        ),
        None,
    )
    # Typer collects repeated options in lists; records are frozen and hold tuples
    given = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return cast("Options", base if base is not None else record()).overridden(**given)
