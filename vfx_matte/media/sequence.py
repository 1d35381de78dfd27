"""Finds the files of an image sequence by their numbers; says what is missing or doubtful.

Frame i of a sequence is the picture with the number first + i, so that a number that is missing
keeps its place in time.
"""

from __future__ import annotations

import bisect
import itertools
import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from vfx_matte.backend import Notify
from vfx_matte.choices import unknown_choice
from vfx_matte.errors import InputError, MediaError, UsageError
from vfx_matte.numbering import (
    MOST_NUMBERS,
    NumberedName,
    Pattern,
    parse_pattern,
    ranges_text,
    split_name,
)
from vfx_matte.wording import option

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".bmp", ".webp", ".dpx"})

GAPS = ("hold", "black", "error")
"""What stands for a missing number: the picture before it, a black one, or nothing: the sequence is
refused.
"""

MOST_MISSING = 100
"""More missing numbers than this for each picture are a stray number, not gaps."""

# of the sequences in a folder, in a message
_NAMED_ROWS = 4

# what tells an animation stands before the first picture, behind a colour profile at most
_HEAD_BYTES = 2**16
# the byte behind the RIFF header (12) and the head of the chunk VP8X (8)
_WEBP_FLAGS = 20


@dataclass(frozen=True, slots=True)
class SequenceFiles:
    """The pictures of one sequence."""

    numbers: tuple[int, ...]
    """Of the pictures that are there, ascending."""

    paths: tuple[Path, ...]
    """Of the same pictures."""

    first: int
    """The number of frame 0."""

    stop: int
    """One more than the number of the last frame."""

    digits: int
    """With how many a number is written at least."""

    missing: tuple[tuple[int, int], ...]
    """Half-open ranges of numbers without a picture."""

    gaps: str = "hold"
    """What stands for them, one of GAPS."""

    def __len__(self) -> int:
        return self.stop - self.first

    def path(self, index: int) -> Path | None:
        """The picture of frame `index`, 0-based; None when its number is missing."""
        position = bisect.bisect_left(self.numbers, self.first + index)
        there = position < len(self.numbers) and self.numbers[position] == self.first + index
        return self.paths[position] if there else None

    def path_or_earlier(self, index: int) -> Path:
        """The picture of frame `index`, or the one before it; before the first picture the first
        one.
        """
        return self.paths[max(0, bisect.bisect_right(self.numbers, self.first + index) - 1)]


def is_sequence(path: Path) -> bool:
    """True for a folder, for a still picture (a sequence of one) and for a name with a place for a
    number.

    An animated PNG is a video with a time of its own.
    """
    # by name, before anything is opened; an animated PNG is told by its content
    is_still = path.suffix.lower() in SUFFIXES and not is_animated(path, ".png")
    return path.is_dir() or is_still or _pattern(path) is not None


def is_animated(path: Path, suffix: str) -> bool:
    """Whether a PNG or WebP file says that it moves: by a chunk acTL before the picture, or by the
    flag in VP8X.

    Args:
        path: the file.
        suffix: which of the two is asked about: ".png" or ".webp".
    """
    if path.suffix.lower() != suffix or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:  # whoever opens it tells
        return False
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        return len(head) > _WEBP_FLAGS and bool(head[_WEBP_FLAGS] & 2)
    return head[:4] == b"\x89PNG" and b"acTL" in head.partition(b"IDAT")[0]


def has_pictures(path: Path) -> bool:
    """Whether a pattern stands for a picture that is there."""
    pattern = _pattern(path)
    names = _pictures(path.parent) if pattern is not None and path.parent.is_dir() else []
    return pattern is not None and any(pattern.number_of(name) is not None for name in names)


def find_sequence(path: Path, *, notify: Notify, gaps: str = "hold") -> SequenceFiles:
    """The pictures of a folder, of a pattern (see `parse_pattern`), or one picture.

    Args:
        path: of any of them.
        notify: told what a user may not expect.
        gaps: one of GAPS.

    Raises:
        MediaError: when there are none, or with gaps "error" when numbers are missing.
        UsageError: for several sequences in one folder, a number that two pictures have, and an
            unknown `gaps`.
    """
    if gaps not in GAPS:
        hint = f"give {option('gaps')} one of {', '.join(GAPS)}"
        raise unknown_choice("choice for gaps", gaps, GAPS, hint=hint)
    if path.is_dir():
        found = _of_folder(path, notify)
    elif (pattern := _pattern(path)) is not None:
        found = _of_pattern(path, pattern)
    else:
        found = _of_picture(path, notify)
    if found.missing:
        _about_missing(path, found, gaps, notify)
    return replace(found, gaps=gaps)


def sequence_files(path: Path) -> tuple[Path, ...]:
    """The pictures of a sequence that are there, in order. Raises as `find_sequence` does."""
    return find_sequence(path, notify=lambda _: None).paths


def _pattern(path: Path) -> Pattern | None:
    """A name that stands for many; a file that is really called so is a file."""
    # a number in a name is common; only a picture's suffix makes it a sequence
    name = path.name.lower()
    if not any(suffix in name for suffix in SUFFIXES):
        return None
    try:
        pattern = parse_pattern(path.name)
    except UsageError:
        if path.is_file():
            return None
        raise
    is_one = (
        pattern is not None
        and Path(f"x{pattern.tail}").suffix.lower() in SUFFIXES
        and not path.is_file()
    )
    return pattern if is_one else None


def _pictures(folder: Path) -> list[str]:
    """Names of picture files, ascending, without hidden ones (macOS writes ._NAME beside NAME)."""
    with os.scandir(folder) as entries:
        files = (one.name for one in entries if not one.name.startswith(".") and one.is_file())
        return sorted(name for name in files if PurePath(name).suffix.lower() in SUFFIXES)


def _of_folder(folder: Path, notify: Notify) -> SequenceFiles:
    names = _pictures(folder)
    if not names:
        raise MediaError(
            f"{str(folder)!r} holds no pictures", hint=f"known kinds: {', '.join(sorted(SUFFIXES))}"
        )
    # one sequence per head and tail of the names
    rows: dict[tuple[str, str], list[NumberedName]] = {}
    bare = []
    for name in names:
        cut = split_name(name)
        if cut is None:
            bare.append(name)
        else:
            rows.setdefault(cut.sequence, []).append(cut)
    # without any number the order of the names has to do
    if not rows:
        if len(bare) > 1:
            notify(
                f"{folder.name}: no picture has a number in its name; they are taken by name and"
                " numbered from 0"
            )
        return _unnumbered(folder, bare)
    if len(rows) > 1:
        raise _several(folder, rows)
    if bare:
        more = f" and {len(bare) - 1} more" if len(bare) > 1 else ""
        notify(f"{folder.name}: left out, as the name has no number: {bare[0]}{more}")
    (row,) = rows.values()
    _about_numbers(row[0], notify)
    return _sequence(folder, row)


def _of_pattern(path: Path, pattern: Pattern) -> SequenceFiles:
    names = _pictures(path.parent) if path.parent.is_dir() else []
    found = [(number, name) for name in names if (number := pattern.number_of(name)) is not None]
    if not found:
        raise InputError(f"{str(path)!r} holds no pictures", hint=_nearby(path, names))
    # cut the names where the pattern does, not at their last number
    start, end = len(pattern.head), len(pattern.tail)
    cut = [
        NumberedName(pattern.head, name[start : len(name) - end], pattern.tail, False)
        for _, name in found
    ]
    return _sequence(path.parent, cut, pattern.span)


def _of_picture(path: Path, notify: Notify) -> SequenceFiles:
    cut = split_name(path.name)
    # a name without a number, or one that is not there, which opening it tells
    if cut is None or not path.is_file():
        return _unnumbered(path.parent, [path.name])
    row = [
        other
        for name in _pictures(path.parent)
        if (other := split_name(name)) is not None and other.sequence == cut.sequence
    ]
    if len(row) > 1:
        whole = path.parent / _shown(row)
        notify(
            f"{path.name} is one picture of a sequence of {len(row)} and is taken alone; all of"
            f" them: {str(whole)!r}"
        )
    _about_numbers(cut, notify)
    return _sequence(path.parent, [cut])


def _unnumbered(folder: Path, names: list[str]) -> SequenceFiles:
    return SequenceFiles(
        tuple(range(len(names))), tuple(folder / name for name in names), 0, len(names), 7, ()
    )


def _sequence(folder: Path, row: list[NumberedName], span: range | None = None) -> SequenceFiles:
    files: dict[int, str] = {}
    # two files with one number, such as 7.png and 07.png, cannot both be frame 7
    for one in sorted(row, key=lambda cut: cut.number):
        name = f"{one.head}{one.digits}{one.tail}"
        if one.number in files:
            raise UsageError(
                f"number {one.number} has two pictures in {str(folder)!r}: {files[one.number]} and"
                f" {name}",
                hint="give one sequence as a pattern, for example plate.%04d.png",
            )
        files[one.number] = name
    # a pattern may name the range; else it reaches from the first to the last number
    numbers = tuple(files)
    first, stop = (numbers[0], numbers[-1] + 1) if span is None else (span.start, span.stop)
    if stop - first > MOST_NUMBERS:
        raise UsageError(
            f"{str(folder)!r}: the numbers {numbers[0]} to {numbers[-1]} of {len(numbers)} pictures"
            " are not a sequence",
            hint="number the files one after the other, for example plate.1001.png, plate.1002.png",
        )
    # between any two numbers that do not follow each other some are missing
    edges = [first - 1, *numbers, stop]
    missing = tuple((one + 1, two) for one, two in itertools.pairwise(edges) if two > one + 1)
    digits = min(len(one.digits.removeprefix("-")) for one in row)
    return SequenceFiles(
        numbers, tuple(folder / name for name in files.values()), first, stop, digits, missing
    )


def _about_numbers(one: NumberedName, notify: Notify) -> None:
    if one.is_ambiguous:
        notify(
            f"{one.head}{one.digits}{one.tail}: the last number in a name is the frame's,"
            f" {one.number}"
        )


def _about_missing(path: Path, found: SequenceFiles, gaps: str, notify: Notify) -> None:
    count = sum(stop - start for start, stop in found.missing)
    what = f"{count} pictures are missing" if count > 1 else "a picture is missing"
    line = (
        f"{path.name}: {what} ({ranges_text(found.missing)} of {found.first} to {found.stop - 1})"
    )
    # a wrong file among the pictures would otherwise make a clip of hours
    if count > MOST_MISSING * len(found.paths):
        raise MediaError(
            f"{path.name}: of the numbers {found.first} to {found.stop - 1} only {len(found.paths)}"
            " have a picture",
            hint=(
                "a picture with a number of another sequence? move it elsewhere, or give a pattern"
                " with a range of numbers"
            ),
        )
    if gaps == "error":
        raise MediaError(
            line,
            hint=(
                f"render them, or give {option('gaps', 'hold')} (the picture before) or"
                f" {option('gaps', 'black')}"
            ),
        )
    instead = "the picture before is held" if gaps == "hold" else "black stands in"
    notify(
        f"{line}; {instead}, so that the others keep their time ({option('gaps')}:"
        f" {', '.join(GAPS)})"
    )


def _several(folder: Path, rows: dict[tuple[str, str], list[NumberedName]]) -> UsageError:
    """The error for a folder of several sequences, which are named."""
    # the longest first: most often the one that is meant
    ordered = sorted(rows.values(), key=len, reverse=True)
    named = ", ".join(f"{_shown(row)} ({len(row)})" for row in ordered[:_NAMED_ROWS])
    more = f" and {len(ordered) - _NAMED_ROWS} more" if len(ordered) > _NAMED_ROWS else ""
    return UsageError(
        f"{str(folder)!r} holds {len(ordered)} sequences: {named}{more}",
        hint=(
            f"give one of them, for example {str(folder / _shown(ordered[0]))!r} (the last number"
            " in a name counts)"
        ),
    )


def _shown(row: list[NumberedName]) -> str:
    """A sequence as a pattern: with the shortest of its numbers, which fits all of them."""
    digits = min(len(one.digits.removeprefix("-")) for one in row)
    return f"{row[0].head}{'#' * digits}{row[0].tail}"


def _nearby(path: Path, names: list[str]) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {str(path.parent)!r}"
    return (
        f"the folder holds {names[0]}, for example"
        if names
        else f"known kinds: {', '.join(sorted(SUFFIXES))}"
    )
