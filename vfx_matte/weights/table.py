"""The table of known weights: the program's weights.toml, changed and extended by that of a model
folder.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from vfx_matte.errors import ConfigError
from vfx_matte.files.inputs import read_small_file
from vfx_matte.printable import shortened

TABLE_NAME = "weights.toml"
MOST_BYTES = 2**20
"""A larger file is no table."""

# two terabytes: a larger size is a slip
_MOST_MEGABYTES = 2_000_000
# .rejected and .part.json are put behind it
_LONGEST_NAME_BYTES = 200

_PLAIN_NAME = re.compile(r"\w[\w.+ -]*")
# of a file of a folder
_NAME_INSIDE = re.compile(rf"{_PLAIN_NAME.pattern}/{_PLAIN_NAME.pattern}")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEADER = (
    "# Checksums that were verified after a download. Everything else is in the"
    f" {TABLE_NAME} inside the program.\n"
)

_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("name", "url", "licence", "purpose", "sha256", "package"), (str,)),
    "about_megabytes": (int, float),
    "size_bytes": (int,),
    "files": (tuple, list),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One weights file, or a folder of files that belong together.

    Raises:
        ValueError: a value is impossible.
    """

    name: str
    """The file's name, such as "XMem.pth", or the folder's."""
    url: str
    """Where it can be downloaded; of a folder, what the names of its files are put behind."""
    about_megabytes: float
    """Its size in millions of bytes, rounded."""
    licence: str
    """For people."""
    purpose: str
    """For people."""
    size_bytes: int = 0
    """Its exact size, 0 = not known yet."""
    sha256: str = ""
    """64 hexadecimal digits, "" = not known yet."""
    package: str = ""
    """NAME==VERSION of a package whose wheel holds a file of this name, for machines that reach
    only a package index; "" = none.
    """

    files: tuple[str, ...] = ()
    """The names of a folder's files, the smallest first; empty for a single file."""

    form: ClassVar[re.Pattern[str]] = _PLAIN_NAME
    """What its name may be."""

    @property
    def most_bytes(self) -> int:
        """What a download of it may have: its size, or half as much again as the rounded one where
        that is not known yet.
        """
        return self.size_bytes or int(self.about_megabytes * 1.5e6)

    def __post_init__(self) -> None:
        # types first, as the table is written by people: 1.0 is not an int, and True neither
        for key, kinds in _KINDS.items():
            if type(getattr(self, key)) not in kinds:
                expected = "text" if str in kinds else "list" if list in kinds else "number"
                raise ValueError(f"{key} is {getattr(self, key)!r}, expected a {expected}")
        if not self.form.fullmatch(self.name) or len(self.name.encode()) > _LONGEST_NAME_BYTES:
            raise ValueError(
                f"name is {shortened(self.name)!r}, expected a file name such as XMem.pth"
            )
        if not self.url.startswith(("https://", "http://")):
            raise ValueError(f"url is {self.url!r}, expected https://…")
        if not 0 < self.about_megabytes <= _MOST_MEGABYTES:
            raise ValueError(
                f"about_megabytes is {shortened(self.about_megabytes)}, expected more than 0, at"
                f" most {_MOST_MEGABYTES}"
            )
        if not 0 <= self.size_bytes <= _MOST_MEGABYTES * 10**6:
            expected = f"expected 0 (not known) to {_MOST_MEGABYTES * 10**6}"
            raise ValueError(f"size_bytes is {shortened(self.size_bytes)}, {expected}")
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise ValueError(
                f"sha256 is {self.sha256!r}, expected 64 hexadecimal digits in lower case"
            )
        for file in self.files:
            if not isinstance(file, str) or not _PLAIN_NAME.fullmatch(file):
                raise ValueError(
                    f"files holds {shortened(file)!r}, expected file names such as config.json"
                )
        if self.files and (self.sha256 or self.size_bytes or self.package):
            raise ValueError(
                "a folder has no sha256, size_bytes or package of its own: give them to its files,"
                f" as entries named {self.name}/{self.files[0]}"
            )
        object.__setattr__(self, "files", tuple(self.files))
        # a package may hold another version of the file: only a checksum tells
        if self.package and not (_PACKAGE.fullmatch(self.package) and self.sha256):
            raise ValueError(
                f"package is {shortened(self.package)!r}, expected NAME==VERSION, and a sha256"
                " beside it"
            )


class FolderFile(Entry):
    """A file of a folder: its name is "FOLDER/FILE"."""

    __slots__ = ()
    form = _NAME_INSIDE


def files_of(entry: Entry, table: Mapping[str, Entry]) -> list[Entry]:
    """The entries of a folder's files, with the checksums that a table knows.

    Args:
        entry: of a folder.
        table: as `read_table` gives it.
    """
    found: list[Entry] = []
    for file in entry.files:
        known = table.get(f"{entry.name}/{file}")
        found.append(
            FolderFile(
                name=f"{entry.name}/{file}",
                url=known.url if known else f"{entry.url.rstrip('/')}/{file}",
                about_megabytes=entry.about_megabytes,
                licence=entry.licence,
                purpose=entry.purpose,
                size_bytes=known.size_bytes if known else 0,
                sha256=known.sha256 if known else "",
            )
        )
    return found


def read_table(folder: Path) -> dict[str, Entry]:
    """Every known entry by its name: those of the program, changed and extended by weights.toml in
    the folder, if it is there.

    Raises:
        ConfigError: a file cannot be read, a value is impossible, or a checksum contradicts the
            program's own.
    """
    # the program's own, then the folder's over it
    own = resources.files(__package__).joinpath(TABLE_NAME).read_text(encoding="utf-8")
    merged = _entries(own, TABLE_NAME)
    path = folder / TABLE_NAME
    for name, values in _entries(_text(path), str(path)).items():
        known = merged.get(name, {})
        for key in ("sha256", "size_bytes"):
            # a checksum that a file could replace would protect nobody
            if known.get(key) and values.get(key) and known[key] != values[key]:
                raise ConfigError(
                    f"{path} gives {name} the {key} {values[key]!r}, but the program itself knows"
                    f" it as {known[key]!r}",
                    hint=(
                        "if the file was trained by yourself, give it a name of its own; otherwise"
                        f" delete {key} there"
                    ),
                )
            # emptied by the user: learned anew
            if not values.get(key):
                values.pop(key, None)
        # a folder's file is described by the folder's entry, but for what is its own
        whole, _, file = name.partition("/")
        if file and file in merged.get(whole, {}).get("files", ()):
            base = {key: value for key, value in merged[whole].items() if key != "files"}
            known = {**base, "url": f"{base.get('url', '').rstrip('/')}/{file}", **known}
        merged[name] = {**known, **values}
    return {name: _entry(values, str(path), merged) for name, values in merged.items()}


def full_name(name: str, table: Iterable[str]) -> str:
    """The name in a table that a short name stands for: itself, or the one file that has this name
    without its suffix ("XMem" is XMem.pth).

    A name that stands for none, or several, is returned as it is.
    """
    known = list(table)
    fitting = [full for full in known if name == full] or [
        full for full in known if "/" not in full and full.rpartition(".")[0] == name
    ]
    return fitting[0] if len(fitting) == 1 else name


def with_checksum(folder: Path, name: str, *, size_bytes: int, sha256: str) -> str:
    """The text of weights.toml of the folder with this size and checksum; all else, comments too,
    stays as it is.

    Raises:
        ConfigError: the file that is there cannot be read.
    """
    import tomlkit

    text = _text(folder / TABLE_NAME) or _HEADER
    document: Any = tomlkit.parse(text)
    if "weights" not in document:
        document["weights"] = tomlkit.aot()
    entries = document["weights"]
    verified = {"size_bytes": size_bytes, "sha256": sha256}
    for entry in entries:
        if entry.get("name") == name:
            entry.update(verified)
            break
    else:
        # [[weights]], or a list of inline tables where the user wrote one
        entry = (
            tomlkit.table() if isinstance(entries, tomlkit.items.AoT) else tomlkit.inline_table()
        )
        entry.update({"name": name, **verified})
        entries.append(entry)
    return tomlkit.dumps(document)


def _text(path: Path) -> str:
    """The text of a table; "" when there is none."""
    try:
        # -sig: Windows' Notepad writes a byte order mark
        return read_small_file(path, what="table", most_bytes=MOST_BYTES, error=ConfigError).decode(
            "utf-8-sig"
        )
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            f"{path} cannot be read: {reason}", hint=f"repair it, or move it away: {_SPARE}"
        ) from error


_SPARE = "the program knows the usual weights without it"


def _entries(text: str, file: str) -> dict[str, dict[str, Any]]:
    """Name → values of every entry of a table; `file`: its name in messages.

    Raises ConfigError for anything but entries with known keys.
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # ValueError: not TOML, or a number of thousands of digits
        reason = (
            "it is nested too deeply"
            if isinstance(error, RecursionError)
            else shortened(error, 120)
        )
        raise ConfigError(
            f"{file} is not TOML: {reason}", hint=f"repair it, or move it away: {_SPARE}"
        ) from error
    # 1. entries and nothing else: a misspelled heading would be ignored
    entries = content.pop("weights", [])
    known = [item.name for item in dataclasses.fields(Entry)]
    if content or not isinstance(entries, list):
        found = next(iter(content), "weights")
        raise ConfigError(
            f"{file} has {found!r}, expected [[weights]] entries only",
            hint=f"their keys: {', '.join(known)}",
        )
    # 2. each with a name of its own, and known keys
    named: dict[str, dict[str, Any]] = {}
    for values in entries:
        name = values.get("name") if isinstance(values, dict) else None
        if not isinstance(name, str) or name in named:
            what = (
                "an entry without a name"
                if name is None
                else f"the name {name!r} twice or not as a text"
            )
            raise ConfigError(
                f"{file} has {what}",
                hint='every [[weights]] entry needs its own name = "FILE.pth"',
            )
        for key in values:
            if key not in known:
                raise ConfigError(
                    f"{file} gives {name} an unknown key {key!r}",
                    hint=f"known: {', '.join(known)}",
                )
        named[name] = values
    return named


def _entry(values: dict[str, Any], file: str, table: Mapping[str, dict[str, Any]]) -> Entry:
    """An entry from its values; `table`: of all. Raises ConfigError."""
    # complete only together: an entry of the folder may hold a checksum and nothing else
    needed = [
        item.name for item in dataclasses.fields(Entry) if item.default is dataclasses.MISSING
    ]
    lacking = [key for key in needed if key not in values]
    if lacking:
        raise ConfigError(
            f"{file} lacks the {lacking[0]} of {values['name']}",
            hint=f"needed: {', '.join(needed)}",
        )
    try:
        folder, _, name = str(values["name"]).partition("/")
        is_inside = name and name in table.get(folder, {}).get("files", ())
        return (FolderFile if is_inside else Entry)(**values)
    except ValueError as error:
        raise ConfigError(f"{file}, {values['name']!r}: {error}", hint=f"correct {file}") from error
