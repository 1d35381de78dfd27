"""Frame numbers in file names: reads them, and the patterns that stand for many names.

One rule for everything: the last number before the suffix counts. A minus sign belongs to it at the
start of a name and after a "." or "_" (plate.-0005.png is −5); elsewhere it separates words
(take-0005.png is 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from vfx_matte.errors import UsageError

MOST_DIGITS = 18
"""No file is numbered with more digits than this."""
MOST_NUMBERS = 1_000_000
"""The longest range of numbers that counts as one sequence: eleven hours at 25 fps."""

# a minus only at the start of a name or after "." or "_"
_SIGNED = r"(?:(?<![^._])-)?[0-9]+"
_NUMBER = re.compile(_SIGNED)
_PRINTF = r"%0?[0-9]*d"
_PLACE = re.compile(
    rf"\[(?P<first>-?[0-9]+)-(?P<last>-?[0-9]+)\](?P<boxed>#+|@+|{_PRINTF})?"
    rf"|(?P<from>{_SIGNED})-(?P<to>-?[0-9]+)(?P<ranged>#+|@+|{_PRINTF})"
    rf"|(?P<plain>\[#+\]|\[@+\]|#+|@+|{_PRINTF}|\$F[0-9]*)"
)
_TRAILING_RANGE = re.compile(r"(?P<name>.*\S)\s+(?P<first>-?[0-9]+)-(?P<last>-?[0-9]+)")


@dataclass(frozen=True, slots=True)
class NumberedName:
    """A file name cut at its number."""

    head: str
    """What stands before the number."""

    digits: str
    """The number as written, sign included."""

    tail: str
    """What stands behind the number, the suffix included."""

    is_ambiguous: bool
    """Whether the name holds other numbers before this one."""

    @property
    def number(self) -> int:
        """The number itself."""
        return int(self.digits)

    @property
    def sequence(self) -> tuple[str, str]:
        """The same for all names of one sequence; upper and lower case of a suffix are one."""
        stem, dot, suffix = self.tail.rpartition(".")
        return self.head, f"{stem}{dot}{suffix.lower()}"


def split_name(name: str) -> NumberedName | None:
    """Cut a file name at its last number before the suffix; None when it has none."""
    stem = PurePath(name).stem
    found = list(_NUMBER.finditer(stem))
    if not found or len(found[-1][0]) > MOST_DIGITS:
        return None
    last = found[-1]
    return NumberedName(stem[: last.start()], last[0], name[last.end() :], len(found) > 1)


def padded(number: int, digits: int) -> str:
    """A number with at least so many digits: −5 with four is -0005."""
    return f"{'-' if number < 0 else ''}{abs(number):0{digits}d}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A name with a place for a number."""

    head: str
    """What stands before the number."""

    digits: int
    """How many digits are written at least; 0 = the number as it is."""

    tail: str
    """What stands behind the number, the suffix included."""

    span: range | None = None
    """The numbers that are meant; None = all that are there."""

    def number_of(self, name: str) -> int | None:
        """The number of a name that fits; None when it does not fit."""
        # the name has to begin and end as the pattern does, with nothing but a number between
        digits = name[len(self.head) : len(name) - len(self.tail)]
        fits = (
            len(name) > len(self.head) + len(self.tail)
            and name.startswith(self.head)
            and name.endswith(self.tail)
        )
        if not fits or len(digits) > MOST_DIGITS or not re.fullmatch(r"-?[0-9]+", digits):
            return None
        # in take-0005 the minus separates words, as in `split_name`
        if digits.startswith("-") and self.head and self.head[-1] not in "._":
            return None
        # a number may have more digits than asked for, but no needless zeros; the sign may count as
        # one
        bare = digits.removeprefix("-")
        if (
            self.digits
            and self.digits not in (len(bare), len(digits))
            and (len(bare) < self.digits or bare[0] == "0")
        ):
            return None
        number = int(digits)
        return number if self.span is None or number in self.span else None

    def name(self, number: int) -> str:
        """The name of one number."""
        return f"{self.head}{padded(number, max(1, self.digits))}{self.tail}"


def parse_pattern(name: str) -> Pattern | None:
    """Read a file name with a place for a number; None when it has none.

    Known are %04d as printf writes it, #### and @@@@ (one digit each; one alone = any),
    [1001-1024], 1001-1024# and 1001-1024@@@@ as RV and Resolve show ranges, "plate.####.exr
    1001-1024" as Nuke does, [####] of After Effects and $F4 of Houdini.

    Raises:
        UsageError: for two places, for more digits than a number can have, and for a range that is
            none.
    """
    # Nuke's range stands behind the name, after a space
    span = None
    if (ranged := _TRAILING_RANGE.fullmatch(name)) and _PLACE.search(ranged["name"]):
        name, span = ranged["name"], _span(name, ranged["first"], ranged["last"])
    # exactly one place for the number
    places = list(_PLACE.finditer(name))
    if not places:
        return None
    if len(places) > 1:
        raise UsageError(
            f"{name!r} has two places for a number", hint="write one, for example plate.%04d.png"
        )
    (place,) = places
    # the other programs' ranges are a part of the place; zeros before the first number are its
    # width
    first, last = place["first"] or place["from"], place["last"] or place["to"]
    digits = _digits(name, place["boxed"] or place["ranged"] or place["plain"] or "")
    if first is not None:
        span = _span(name, first, last)
        bare = first.removeprefix("-")
        digits = digits or (len(bare) if bare.startswith("0") else 0)
    head, tail = name[: place.start()], name[place.end() :]
    # only where printf reads the name a percent sign is written twice
    if "%" in place[0]:
        head, tail = head.replace("%%", "%"), tail.replace("%%", "%")
    return Pattern(head, digits, tail, span)


def _digits(name: str, place: str) -> int:
    """How many digits a place asks for; 0 = any number of them."""
    if place.startswith(("%", "$")):
        text = place.strip("%d$F").lstrip("0") or "0"
        count = int(text) if len(text) < MOST_DIGITS else MOST_DIGITS + 1
    else:
        count = len(place.strip("[]"))
    if count > MOST_DIGITS:
        shown = name if len(name) <= 60 else f"{name[:57]}..."
        raise UsageError(
            f"{shown!r} asks for a number of more than {MOST_DIGITS} digits",
            hint="write the digits, for example plate.%04d.png",
        )
    return count if count > 1 else 0


def _span(name: str, first: str, last: str) -> range:
    if max(len(first), len(last)) > MOST_DIGITS or not int(first) <= int(last):
        raise UsageError(
            f"{name!r}: {first} to {last} is not a range of numbers",
            hint="write the lower one first: [1001-1024]",
        )
    span = range(int(first), int(last) + 1)
    if len(span) > MOST_NUMBERS:
        raise UsageError(
            f"{name!r} names {len(span)} pictures", hint=f"a sequence has at most {MOST_NUMBERS}"
        )
    return span


def ranges_text(ranges: tuple[tuple[int, int], ...], *, most: int = 6) -> str:
    """Ranges of numbers for people: "4 to 6, 9".

    Args:
        ranges: half-open, ascending.
        most: further ones are only counted.
    """
    shown = [
        f"{start}" if stop == start + 1 else f"{start} to {stop - 1}"
        for start, stop in ranges[:most]
    ]
    more = f" and {len(ranges) - most} more ranges" if len(ranges) > most else ""
    return f"{', '.join(shown)}{more}"
