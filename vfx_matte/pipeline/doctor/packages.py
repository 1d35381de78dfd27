"""Which packages of this program's are installed, from its own metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

_DISTRIBUTION = "vfx-matte"
# for whoever works on the program, not with it
_NOT_FOR_USERS = ("test", "all")
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:[^;]*;.*extra == \"(?P<extra>[^\"]+)\")?"
)


@dataclass(frozen=True, slots=True)
class Package:
    """A package that the program uses."""

    name: str
    """As it is installed."""

    extras: tuple[str, ...]
    """The extras that install it; none for what comes with the program."""

    version: str | None
    """None where it is not installed."""


def used_packages() -> list[Package]:
    """Every package, those that come with the program first; none where the program is not
    installed but run from its folder.
    """
    try:
        lines = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    return [Package(name, extras, _version(name)) for name, extras in named(lines).items()]


def named(requirements: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Package → its extras, of requirements as metadata has them; no extra = always.

    Args:
        requirements: such as 'torch>=2.4; extra == "xmem"'.
    """
    found: dict[str, tuple[str, ...]] = {}
    for line in requirements:
        match = _REQUIREMENT.match(line)
        assert match is not None, line
        name, extra = match["name"], match["extra"] or ""
        # an extra may name another one of this program
        if extra not in _NOT_FOR_USERS and name != _DISTRIBUTION:
            found[name] = (*found.get(name, ()), *([extra] if extra else []))
    return dict(sorted(found.items(), key=lambda pair: len(pair[1]) > 0))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
