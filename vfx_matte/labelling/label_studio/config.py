"""What a project's labelling configuration says: where masks and boxes go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from xml.parsers import expat

from vfx_matte.errors import MaskError
from vfx_matte.printable import shortened

MOST_CHARACTERS = 1_000_000
"""Of a configuration; those of a thousand labels have a hundred thousand."""

USUAL_RATE = Fraction(24)
"""Frames per second that Label Studio counts where its `Video` tag says none."""

_MOST_RATE = 1000


@dataclass(frozen=True, slots=True)
class Control:
    """One tag that regions belong to, with what they lie on."""

    name: str
    """In results: `from_name`."""

    to_name: str
    """The picture or video."""

    variable: str
    """The field of a task's data with its address."""

    labels: tuple[str, ...]
    """Those of its own; none where a `Labels` tag has them."""

    rate: str = ""
    """The `framerate` of a video, as it is written."""


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """The tags that are worked for."""

    brushes: Control | None
    """`BrushLabels` on an `Image`."""

    boxes: Control | None
    """`VideoRectangle` on a `Video`."""


def read_config(text: str) -> LabelConfig:
    """Read a labelling configuration.

    Args:
        text: the XML of the project.

    Raises:
        MaskError: it is damaged, or has neither of the tags.
    """
    if len(text) > MOST_CHARACTERS:
        raise MaskError(
            f"the labelling configuration has {len(text):,} characters",
            hint=f"the most is {MOST_CHARACTERS:,}; make it shorter",
        )
    tags: list[tuple[str, dict[str, str], list[str]]] = []
    within: list[int] = []

    def started(name: str, attributes: dict[str, str]) -> None:
        if name == "Label" and within and "value" in attributes:
            tags[within[-1]][2].append(attributes["value"])
        within.append(len(tags))
        # Label Studio, too, takes names of attributes in any case
        tags.append((name, {key.lower(): value for key, value in attributes.items()}, []))

    def ended(_: str) -> None:
        within.pop()

    def refused(*_: object) -> None:
        # entities that stand for entities grow without end
        raise MaskError("the labelling configuration has a document type", hint="leave it out")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = started, ended
    parser.StartDoctypeDeclHandler = refused
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise MaskError(
            f"the labelling configuration is no XML: {error}",
            hint="check it in the project: Settings, Labeling Interface",
        ) from error
    objects = {
        kind: {
            attributes.get("name", ""): attributes for name, attributes, _ in tags if name == kind
        }
        for kind in ("Image", "Video")
    }
    found = LabelConfig(
        _control(tags, "BrushLabels", objects["Image"]),
        _control(tags, "VideoRectangle", objects["Video"]),
    )
    if found.brushes is None and found.boxes is None:
        raise MaskError(
            "the labelling configuration has no tag that can be helped with",
            hint="it takes BrushLabels on an Image, or VideoRectangle on a Video",
        )
    return found


def _control(
    tags: list[tuple[str, dict[str, str], list[str]]],
    kind: str,
    objects: Mapping[str, Mapping[str, str]],
) -> Control | None:
    for name, attributes, labels in tags:
        target = objects.get(attributes.get("toname", ""))
        if name == kind and target is not None:
            return Control(
                attributes.get("name", ""),
                attributes["toname"],
                target.get("value", "").removeprefix("$"),
                tuple(labels),
                target.get("framerate", ""),
            )
    return None


def frame_rate(text: str, data: Mapping[str, object]) -> Fraction:
    """Frames per second, as Label Studio understands the `framerate` of a `Video`.

    Args:
        text: a number, seconds per frame below 1, or "$name" of a field of the task.
        data: the task's.
    """
    value = data.get(text[1:]) if text.startswith("$") else text
    try:
        seconds = float(str(value))
        rate = Fraction(str(value)) if math.isfinite(seconds) and seconds > 0 else USUAL_RATE
    except (ValueError, ZeroDivisionError):
        return USUAL_RATE
    rate = 1 / rate if rate < 1 else rate
    return rate if rate <= _MOST_RATE else USUAL_RATE


def label_of(control: Control, given: str) -> str:
    """The label that a region of a control gets.

    Args:
        control: the control.
        given: the label of what a person marked, "" where it has none.

    Raises:
        MaskError: the control has several labels, and not this one.
    """
    if given in control.labels or not control.labels:
        return given
    if len(control.labels) == 1:
        return control.labels[0]
    raise MaskError(
        f"{control.name!r} has no label {shortened(repr(given))}",
        hint=f"give it one in the labelling configuration; it has {', '.join(control.labels)}",
    )
