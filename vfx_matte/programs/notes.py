"""Writes the note that comes with a package: what its files are, and what to do with them."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import quote_from_bytes

from vfx_matte.printable import printable
from vfx_matte.programs.edit import Edit
from vfx_matte.programs.record import Program, Step
from vfx_matte.wording import option

WIDTH = 76
"""Columns of a line, for windows of every size."""

_NO_BREAK = "\u00a0"
"""Keeps a name with spaces on one line; `_wrapped` turns it back into a space."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of the package, or its source, as the note lists it."""

    kind: str
    """"source", or the kind of output."""

    path: str
    """From the package's folder, or in full."""

    what: str
    """What it is, in words."""


def import_note(
    program: Program,
    *,
    name: str,
    edit: Edit | None,
    files: Sequence[ListedFile],
    timelines: Mapping[str, str],
    alpha: str,
    sound: bool,
    remarks: Sequence[str],
    spell: Callable[[str], str],
) -> str:
    """README.txt of a package.

    Args:
        program: what the package is for.
        name: the clip's.
        edit: None when the package has no constant rate.
        files: the source and the outputs.
        timelines: file names by key.
        alpha: "straight" or "premultiplied".
        sound: whether any is heard with the picture.
        remarks: what else the user should know, in sentences.
        spell: how the door writes the options that sentences name.
    """
    name = printable(name)
    # What was made. Names of clips and files come from anywhere, and are shown as they may be.
    lines = [f"{name} for {program.title}", "=" * WIDTH]
    if edit is not None:
        length = f"{edit.duration} frames, {float(edit.rate.seconds(edit.duration)):.3f} seconds"
        lines += [
            f"{edit.width} × {edit.height}, {edit.rate} frames per second ({edit.rate.fps}),"
            f" {length}."
        ]
        lines += ["Frame n of every file is frame n of the source named here."]
    for listed in files:
        lines += ["", printable(listed.path), *_wrapped(listed.what, "    ")]
    # What to do in the program.
    kinds = Counter(listed.kind for listed in files)
    first = next((listed.path for listed in files if listed.kind == "alpha"), "")
    # The first cut-out stands in a line of HTML, where its path is an address.
    names = dict(timelines) | {"name": name, "first": quote_from_bytes(os.fsencode(first))}
    words = {
        "alpha": alpha,
        "convert": spell(option("media", "convert")),
        "rate": str(edit.rate) if edit else "",
        "top": str(1 + kinds["alpha"]),
        "with_sound": " with its sound" if sound else "",
        "and_sound": " and its own sound" if sound else "",
    }
    # Steps need kinds of files, timelines, or sound: all are counted alike.
    there = kinds + Counter([*timelines, *(["sound"] if sound else [])])
    lines += ["", "-" * WIDTH, *_steps(program.steps, there, names, words)]
    # What happens when files are moved.
    if edit is not None and any(
        listed.kind == "source" and PurePath(listed.path).is_absolute() for listed in files
    ):
        # an absolute path is that of a source that is referred to: everything else lies in the
        # folder
        copy = spell(option("media", "copy"))
        lines += ["", *_wrapped(
            f"The source stays where it is. To take it along, make the package with {copy}."
        )]  # fmt: skip
    # a timeline that could not be written (its library is missing) needs no advice
    written = [timeline for timeline in program.timelines if timeline.key in timelines]
    if not all(timeline.finds_moved_files for timeline in written):
        lines += ["", *_wrapped(
            "The timeline names the files by their full path. When the folder is moved, or taken"
            " to another machine, the program asks for the first file: show it that one, and it"
            " finds the others."
        )]  # fmt: skip
    if remarks:
        lines += ["", "-" * WIDTH]
        lines += [line for remark in remarks for line in _wrapped(spell(remark), "- ")]
    lines += [
        "",
        "manifest.json has the details: checksums, rate, timestamps, colour. Made with vfx-matte.",
        "",
    ]
    return "\n".join(lines)


def _steps(
    steps: Sequence[Step], there: Counter[str], names: Mapping[str, str], words: Mapping[str, str]
) -> list[str]:
    """The lines of the steps that hold for what is there, which is counted by kind."""
    # Names are foreign and may have spaces; words are ours, and wrap like the text around them.
    facts = {key: printable(value).replace(" ", _NO_BREAK) for key, value in names.items()} | dict(
        words
    )
    # A step about a matte is no use without one, and one about cut-outs differs with their number.
    wanted = [
        step
        for step in steps
        if all(there[kind] for kind in step.needs) and not any(map(there.get, step.without))
    ]
    texts = [
        step.several if step.several and there[step.needs[0]] > 1 else step.text for step in wanted
    ]
    return [
        line
        for number, text in enumerate(texts, start=1)
        for line in _wrapped(text.format_map(facts), f"{number}. ")
    ]


def _wrapped(text: str, lead: str = "") -> list[str]:
    """Lines of at most WIDTH characters, the first with `lead` in front; file names stay whole."""
    # A path longer than a line stays whole: broken, it could not be copied.
    text = printable(text)
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_NO_BREAK, " ") for line in lines]
