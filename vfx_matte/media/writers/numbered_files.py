"""Names outputs that are one file per frame.

They are numbered as the source's pictures are, or from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vfx_matte.errors import UsageError
from vfx_matte.media.probe import ClipInfo
from vfx_matte.numbering import MOST_DIGITS, Pattern, padded, parse_pattern, split_name

PNG, EXR = ".png", ".exr"
# four days at 25 frames per second sort by name
USUAL_DIGITS = 7


@dataclass(frozen=True, slots=True)
class NumberedFiles:
    """Names of files in one folder."""

    head: str = ""
    """What stands before the number."""

    digits: int = USUAL_DIGITS
    """With how many the number is written at least."""

    tail: str = PNG
    """What stands behind the number, the suffix included."""

    first: int = 0
    """The number of frame 0."""

    def name(self, index: int) -> str:
        """The file of frame `index`, 0-based."""
        return f"{self.head}{padded(self.first + index, self.digits)}{self.tail}"

    def index_of(self, name: str) -> int | None:
        """The frame that a file is of; None if it is not called as these are."""
        # a number with other leading zeros is another file
        number = Pattern(self.head, 0, self.tail).number_of(name)
        return (
            number - self.first
            if number is not None and self.name(number - self.first) == name
            else None
        )


USUAL_NAMES = NumberedFiles()
"""0000000.png and so on."""


def is_numbered(path: Path) -> bool:
    """Whether an output is a file for each frame: FOLDER/%07d.png or FOLDER/plate.####.exr."""
    return (
        path.suffix.lower() in (PNG, EXR)
        and not path.is_dir()
        and parse_pattern(path.name) is not None
    )


def is_folder(path: Path) -> bool:
    """Whether an output is a folder of PNG files."""
    return path.suffix == "" or path.is_dir()


def numbered_files(
    path: Path, info: ClipInfo, start_number: int | None = None
) -> tuple[Path, NumberedFiles]:
    """The folder of an output of numbered files, and their names: numbers and digits as the
    source's pictures have them.

    Args:
        path: a folder, or a name with a place for the number (see `parse_pattern`).
        info: the source.
        start_number: instead of the source's.

    Raises:
        UsageError: for a pattern without a folder, and for a number that is too long.
    """
    if start_number is not None and len(str(abs(start_number))) > MOST_DIGITS:
        raise UsageError(
            f"start number {start_number} is too long",
            hint=f"a number has at most {MOST_DIGITS} digits",
        )
    # as many digits as the source has, so that both sort alike
    usual = USUAL_DIGITS if info.files is None else info.files.digits
    first = info.timeline.first_number if start_number is None else start_number
    pattern = parse_pattern(path.name) if is_numbered(path) else None
    if pattern is None:
        return path, NumberedFiles("", usual, PNG, first)
    if not path.parent.name:
        raise UsageError(
            f"{str(path)!r} names no folder", hint=f"write FOLDER/{path.name}, for example"
        )
    # a range in the pattern says where to begin; %d asks for no zeros
    if start_number is None and pattern.span is not None:
        first = pattern.span.start
    digits = pattern.digits or (1 if "%" in path.name else usual)
    return path.parent, NumberedFiles(pattern.head, digits, pattern.tail, first)


def names_in(folder: Path, suffix: str = PNG) -> NumberedFiles | None:
    """How the files of a folder with this suffix are named and numbered; None when there is none
    with a number.
    """
    cut = [
        one
        for path in folder.iterdir()
        if path.suffix.lower() == suffix and (one := split_name(path.name)) is not None
    ]
    if not cut:
        return None
    # the first file stands for all; others may have more digits
    first = min(cut, key=lambda one: one.number)
    digits = min(len(one.digits.removeprefix("-")) for one in cut)
    return NumberedFiles(first.head, digits, first.tail, first.number)
