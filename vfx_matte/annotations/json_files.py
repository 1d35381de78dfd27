"""Reads JSON files that anybody may have written: what is not as expected is named by its path in
the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vfx_matte.errors import MaskError
from vfx_matte.files.atomic import atomic_path
from vfx_matte.files.inputs import read_small_file
from vfx_matte.printable import json_text, shortened

MOST_BYTES = 2**29
"""512 MiB: run lengths of some hundred thousand masks, polygons of tens of thousands. What JSON
holds is in memory at once, and numbers take about four times the room of their text.
"""

_WRITTEN = "correct it, or have the program that wrote it write it again"


def read_json(path: Path) -> Any:  # noqa: ANN401  what the file holds
    """What a JSON file holds.

    Raises:
        MaskError: it cannot be read, is too large, or is no JSON.
    """
    hint = "give a JSON file of COCO, YouTube-VIS or Label Studio"
    try:
        require_size(path.stat().st_size, path)
        text = read_small_file(path, what="annotations", most_bytes=MOST_BYTES, error=MaskError)
        return json.loads(text)
    except FileNotFoundError as error:
        raise MaskError(f"there is no file {str(path)!r}", hint="check the path") from error
    except OSError as error:
        raise MaskError(f"{str(path)!r} cannot be read: {error.strerror}", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise MaskError(f"{str(path)!r} is no JSON: {error}", hint=hint) from error


def require_size(size: int, path: Path) -> None:
    """Raise MaskError where a JSON file has too many bytes to be read."""
    if size > MOST_BYTES:
        raise MaskError(
            f"{str(path)!r} has {size / 2**20:.0f} MiB of JSON, more than the"
            f" {MOST_BYTES / 2**20:.0f} that are read at once",
            hint="export it in several parts, each of some of the frames, or as PNG masks",
        )


def write_json(path: Path, parts: Iterable[str]) -> None:
    """Write a JSON text in parts, atomically.

    Raises:
        OutputError: it cannot be written.
    """
    with (
        atomic_path(path, durable=True) as part,
        part.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.writelines(parts)


def json_list(entries: Iterable[object]) -> Iterator[str]:
    """A JSON list in parts, one line per entry, so that never all of it is text at once."""
    before = "[\n"
    for entry in entries:
        yield before + json_text(entry)
        before = ",\n"
    yield "[]" if before == "[\n" else "\n]"


@dataclass(frozen=True, slots=True)
class Entry:
    """An object of a JSON file, with where it stands."""

    data: Mapping[str, Any]
    where: str
    """Such as "result.json: annotations[3]"."""

    @classmethod
    def of(cls, data: object, where: str) -> Entry:
        """Raises MaskError where `data` is no object of JSON."""
        if not isinstance(data, dict):
            raise MaskError(
                f"{where} is {shortened(repr(data))}, expected an object with fields", hint=_WRITTEN
            )
        return cls(data, where)

    @classmethod
    def list_of(cls, data: object, where: str) -> list[Entry]:
        """Raises MaskError where `data` is no list of objects of JSON."""
        if not isinstance(data, list):
            raise MaskError(f"{where} is {shortened(repr(data))}, expected a list", hint=_WRITTEN)
        return [cls.of(one, f"{where}[{place}]") for place, one in enumerate(data)]

    def has(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self.data.get(name) is not None

    def whole(self, name: str) -> int:
        """A whole number; one that was written as 3.0 too. Raises MaskError."""
        value = self.data.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, "a whole number")
        return value

    def number(self, name: str) -> float:
        """A finite number. Raises MaskError."""
        value = self.data.get(name)
        # a whole number of JSON may be larger than any float
        try:
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            number = float(value or 0) if is_number else math.nan
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self._wrong(name, "a number")
        return number

    def text(self, name: str) -> str:
        """A text; "" where the field is missing. Raises MaskError."""
        value = self.data.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(name, "text")
        return value

    def items(self, name: str) -> list[Any]:
        """A list. Raises MaskError."""
        value = self.data.get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        return value

    def entries(self, name: str) -> list[Entry]:
        """A list of objects. Raises MaskError."""
        return Entry.list_of(self.data.get(name), f"{self.where}.{name}")

    def entry(self, name: str) -> Entry:
        """An object. Raises MaskError."""
        return Entry.of(self.data.get(name), f"{self.where}.{name}")

    def _wrong(self, name: str, expected: str) -> MaskError:
        value = shortened(repr(self.data[name])) if name in self.data else "missing"
        return MaskError(f"{self.where}.{name} is {value}, expected {expected}", hint=_WRITTEN)
