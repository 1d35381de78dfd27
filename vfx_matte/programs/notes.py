"""The note that comes with a package.

Takes the facts of an edit, gives plain text for people; promises nothing it has not.
"""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import quote_from_bytes

from vfx_matte.printable import printable
from vfx_matte.programs.edit import Edit
from vfx_matte.programs.table import TimelineKind

WIDTH = 76

_NO_BREAK = "\u00a0"


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A line of the note.

    kind: "source" or an output's; where: from the package's folder, or in full. what: in words.
    """

    kind: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class _Step:
    """A sentence or two of advice.

    needs: kinds of files or timelines without which it is left out; without: kinds with which it
    is. several: what is said instead where there is more than one file of the first kind that it
    needs, such as a cut-out of every object.
    """

    text: str
    needs: tuple[str, ...] = ()
    several: str = ""
    without: tuple[str, ...] = ()


_BETWEEN = "Put titles or a new background between the two."
_BETWEEN_ALL = "Put titles or a new background between the source and these."

_STEPS: Mapping[str, Sequence[_Step]] = {
    "premiere": (
        _Step("File > Import, choose {xmeml}, and open the sequence “{name}”."),
        _Step("Premiere 2025 and later can open {otio} instead.", ("otio",)),
        _Step(
            "Track V1 is the source{with_sound}, track V2 the cut-out. " + _BETWEEN,
            ("alpha",),
            "Track V1 is the source{with_sound}; tracks V2 to V{top} are the cut-outs, one for each"
            " object. " + _BETWEEN_ALL,
        ),
        _Step(
            "Should the cut-out have a dark or bright edge: right-click it in the project panel,"
            " Modify > Interpret Footage, and make its alpha {alpha}.",
            ("alpha",),
            "Should a cut-out have a dark or bright edge: right-click it in the project panel,"
            " Modify > Interpret Footage, and make its alpha {alpha}.",
        ),
        _Step(
            "The matte in the bin is for the effect Track Matte Key, Composite Using: Matte Luma.",
            ("maskvideo",),
            "The mattes in the bin, one for each object, are for the effect Track Matte Key,"
            " Composite Using: Matte Luma.",
        ),
        _Step("The green screen in the bin is for the effect Ultra Key.", ("greenback",)),
    ),
    "aftereffects": (
        _Step(
            "File > Scripts > Run Script File, choose {aftereffects}. It makes the composition"
            " “{name}”."
        ),
        _Step(
            "At the bottom lies the source{with_sound}, above it the source again, cut out by its"
            " matte (the matte's own layer is switched off, as it has to be). " + _BETWEEN,
            ("maskvideo",),
            "At the bottom lies the source{with_sound}, above it the source again for each object,"
            " cut out by that object's matte (the mattes' own layers are switched off, as they have"
            " to be). " + _BETWEEN_ALL,
        ),
        _Step(
            "At the bottom lies the source{with_sound}, above it the cut-out. " + _BETWEEN,
            ("alpha",),
            "At the bottom lies the source{with_sound}, above it the cut-outs, one for each"
            " object. " + _BETWEEN_ALL,
            without=("maskvideo",),
        ),
        _Step(
            "The cut-out in the project panel has an alpha channel of its own and colours without"
            " the old background's fringe; its alpha is {alpha}.",
            ("alpha",),
            "The cut-outs in the project panel, one for each object, have alpha channels of their"
            " own and colours without the old background's fringe; their alpha is {alpha}.",
        ),
        _Step("The green screen in the project panel is for the effect Keylight.", ("greenback",)),
        _Step("The script looks for the files beside itself first, so the folder may be moved."),
    ),
    "resolve": (
        _Step(
            "Set the project's timeline frame rate to {rate} while it is still empty; Resolve"
            " cannot change it later. Then File > Import > Timeline, choose {fcpxml}. Should it not"
            " find a clip, show it the clip's folder, or use the script."
        ),
        _Step("Resolve 18.5 and later can open {otio} instead.", ("otio",)),
        _Step(
            "Track 1 is the source{with_sound}, track 2 the cut-out. " + _BETWEEN,
            ("alpha",),
            "Track 1 is the source{with_sound}; tracks 2 to {top} are the cut-outs, one for each"
            " object. " + _BETWEEN_ALL,
        ),
        _Step(
            "Should the cut-out have a dark or bright edge: Clip Attributes, Alpha mode: {alpha}.",
            ("alpha",),
            "Should a cut-out have a dark or bright edge: Clip Attributes, Alpha mode: {alpha}.",
        ),
        _Step(
            "For the External Matte node: select the source in the Media Pool, right-click the"
            " matte's file in Media Storage, Add As Matte; on the Color page right-click among the"
            " nodes, Add Matte.",
            ("maskvideo",),
            "For External Matte nodes: select the source in the Media Pool, right-click the mattes'"
            " files, one an object, in Media Storage, Add As Matte; on the Color page right-click"
            " among the nodes, Add Matte.",
        ),
        _Step(
            "The script {resolve} does all of this by itself: copy it to Fusion/Scripts/Utility in"
            " Resolve's folder and choose it in Workspace > Scripts. It adds a bin and a timeline"
            " to the open project and changes nothing else."
        ),
        _Step(
            "The free Resolve for Linux reads neither H.264 nor AAC: there make the package with"
            " --media convert."
        ),
    ),
    "finalcut": (
        _Step("File > Import > XML, choose {fcpxml}, and open the project “{name}”."),
        _Step(
            "The storyline is the source{with_sound}; the cut-out is connected above it. "
            + _BETWEEN,
            ("alpha",),
            "The storyline is the source{with_sound}; the cut-outs, one for each object, are"
            " connected above it. " + _BETWEEN_ALL,
        ),
        _Step(
            "Should the cut-out have a dark or bright edge: Info inspector, Settings, Alpha"
            " Handling: {alpha}.",
            ("alpha",),
            "Should a cut-out have a dark or bright edge: Info inspector, Settings, Alpha Handling:"
            " {alpha}.",
        ),
        _Step(
            "The matte in the event is for the blend mode Stencil Luma in a compound clip.",
            ("maskvideo",),
            "The mattes in the event, one for each object, are for the blend mode Stencil Luma in a"
            " compound clip.",
        ),
        _Step("The green screen in the event is for the effect Keyer.", ("greenback",)),
    ),
    "capcut": (
        _Step(
            "CapCut is given no timeline: the files are put together by hand. Import the source and"
            " the folder media."
        ),
        _Step(
            "Drag the source on the main track. It has the sound; the other files are silent.",
            ("sound",),
        ),
        _Step("Drag the source on the main track.", without=("sound",)),
        _Step(
            "On a computer, drag the cut-out on the track above, both from 00:00 on: they have the"
            " same frames.",
            ("alpha",),
            "On a computer, drag the cut-outs, one for each object, each on a track of its own"
            " above, all from 00:00 on: they have the same frames.",
        ),
        _Step(
            "On a phone, take the green screen for that, as an overlay, with Cutout > Chroma key.",
            ("greenback",),
        ),
    ),
    "web": (
        _Step(
            "The video has an alpha channel{and_sound}. On a page it lies over what is behind it,"
            ' with the line <video\u00a0src="{first}"\u00a0controls\u00a0playsinline></video>',
            ("alpha",),
            "The videos, one for each object, have alpha channels. On a page the first lies over"
            " what is behind it, with the line"
            ' <video\u00a0src="{first}"\u00a0controls\u00a0playsinline></video> and the others in'
            " the same way.",
        ),
        _Step("Chrome, Edge and Firefox show transparency, Safari does not.", ("alpha",)),
    ),
}


def import_note(
    program: str,
    title: str,
    *,
    name: str,
    edit: Edit | None,
    files: Sequence[ListedFile],
    timelines: Mapping[TimelineKind, str],
    alpha: str,
    sound: bool,
    remarks: Sequence[str],
) -> str:
    """README.txt of a package.

    program: as in PROGRAMS; title: its name for people. name: the clip's. edit: None when the
    package has no constant rate.
    timelines: their file names. alpha: "straight" or "premultiplied". sound: whether any is heard
    with the picture.
    remarks: what else the user should know, in sentences.
    """
    name = printable(name)
    lines = [f"{name} for {title}", "=" * WIDTH]
    if edit is not None:
        length = f"{edit.duration} frames, {float(edit.rate.seconds(edit.duration)):.3f} seconds"
        lines += [
            f"{edit.width} × {edit.height}, {edit.rate} frames a second ({edit.rate.fps}),"
            f" {length}."
        ]
        lines += ["Frame n of every file is frame n of the source named here."]
    for one in files:
        lines += ["", printable(one.where), *_wrapped(one.what, "    ")]
    kinds = Counter(one.kind for one in files)
    names = dict(timelines) | {
        "name": name,
        "first": quote_from_bytes(
            os.fsencode(next((one.where for one in files if one.kind == "alpha"), ""))
        ),
    }
    words = {
        "alpha": alpha,
        "rate": str(edit.rate) if edit else "",
        "top": str(1 + kinds["alpha"]),
        "with_sound": " with its sound" if sound else "",
        "and_sound": " and its own sound" if sound else "",
    }
    there = kinds + Counter([*timelines, *(["sound"] if sound else [])])
    lines += ["", "-" * WIDTH, *_steps(program, there, names, words)]
    if edit is not None and any(
        one.kind == "source" and PurePath(one.where).is_absolute() for one in files
    ):
        lines += [
            "",
            *_wrapped(
                "The source stays where it is. To take it along, make the package with --media"
                " copy."
            ),
        ]
    if set(timelines) - {"aftereffects"}:  # that script finds the files by itself
        lines += ["", *_wrapped(
            "The timeline names the files by their full path. When the folder is moved, or taken"
            " to another machine, the program asks for the first file: show it that one, and it"
            " finds the others."
        )]  # fmt: skip
    if remarks:
        lines += ["", "-" * WIDTH, *(line for remark in remarks for line in _wrapped(remark, "- "))]
    lines += [
        "",
        "manifest.json has the details: checksums, rate, timestamps, colour. Made with vfx-matte.",
        "",
    ]
    return "\n".join(lines)


def _steps(
    program: str, there: Counter[str], names: Mapping[str, str], words: Mapping[str, str]
) -> list[str]:
    """The steps that hold for what is there, which is counted by kind."""
    # A no-break space keeps a name with spaces on one line; `_wrapped` turns it back.
    facts = {key: printable(value).replace(" ", _NO_BREAK) for key, value in names.items()} | dict(
        words
    )
    wanted = [
        step
        for step in _STEPS[program]
        if all(there[one] for one in step.needs) and not any(map(there.get, step.without))
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
