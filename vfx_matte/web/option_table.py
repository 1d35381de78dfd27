"""The options of edges and renders, as a page shows and sets them."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, cast

from vfx_matte.settings.options import Options
from vfx_matte.web.spelling import NOT_ASKED


def option_facts(records: Mapping[str, Options]) -> list[dict[str, Any]]:
    """Every option that the page asks for: its group, name, type, default, range and words.

    Args:
        records: group, such as "edges" or "greenback" → its options, with the values that
            config.ini gives them.
    """
    facts = []
    for group, record in records.items():
        hints = typing.get_type_hints(type(record))
        for item in dataclasses.fields(cast("Any", record)):
            if item.name in NOT_ASKED:
                continue
            known = item.metadata
            texts = {key: known[key] for key in ("explanation", "short", "unit", "least", "most")}
            default = getattr(record, item.name)
            facts.append(
                {
                    "group": group,
                    "name": item.name,
                    "type": _type_name(hints[item.name]),
                    "default": default,
                    **texts,
                    "choices": known["choices"] or known["members"],
                }
            )
    return facts


def _type_name(hint: object) -> str:
    """The type beside None: "bool", "int", "float", "str", or "list" of whole numbers."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    (kind,) = (kind for kind in kinds if kind is not type(None))
    return "list" if typing.get_origin(kind) is tuple else cast("type", kind).__name__
