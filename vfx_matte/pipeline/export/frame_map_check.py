"""Checks that a conformed file follows its frame map."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vfx_matte.errors import UsageError
from vfx_matte.files.inputs import read_small_file
from vfx_matte.media.open import open_clip
from vfx_matte.media.readers.conformed import ConformedReader
from vfx_matte.media.sketch import Sketches, sketch_of
from vfx_matte.media.verify import Check, VerifyReport, expectation_of, verify_output
from vfx_matte.media.verify_conformed import check_constant_rate, check_frames
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.printable import shortened
from vfx_matte.timeline import ConformMap, Timeline, constant_ticks, frames_on
from vfx_matte.wording import option

SHOWS_PICTURES = frozenset({"source", "alpha", "overlay"})
"""Outputs in which the source's pictures can be recognised without the masks."""

MOST_BYTES = 256 * 2**20
"""Of a frame map that is read: a million frames are 20 MB."""

_NUMBER = re.compile(r"-?[0-9]{1,30}(/[0-9]{1,30}|(\.[0-9]{1,30})?(e-?[0-9]{1,2})?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class SavedMap:
    """A frame map as it was read from its file."""

    frame_map: ConformMap

    files: dict[str, str]
    """Which output each file is, by its name."""

    made: frozenset[str]
    """Names of all files that `conform` has made beside the map, in earlier runs too."""


def verify_conformed(
    output: Path, source: Path, map_file: Path, *, reporter: Reporter
) -> VerifyReport:
    """Compare a conformed file with its source: times, rate, sound, colour, and that frame n shows
    source frame map[n].

    Pictures are compared where the file shows the source's (source, alpha, overlay); green screens
    and mask videos are compared by `conform` itself, which has the masks.

    Raises:
        UsageError: for a map that cannot be read, or that is another clip's.
        MediaError: for files that cannot be read.
    """
    saved = load_map(map_file)
    frame_map, notify = saved.frame_map, reporter.notify
    reader = open_clip(source, notify=notify)
    # Another clip's map would call every picture wrong, and hide what the user did.
    if frame_map.source_count != len(reader.info.timeline):
        raise UsageError(
            f"{map_file.name} is for a clip of {frame_map.source_count} frames, {source.name} has"
            f" {len(reader.info.timeline)}",
            hint=f"give the clip that was conformed with {option('source')}",
        )
    # What a conformed file has to be like: its times, sound and colour.
    conformed = ConformedReader(reader, frame_map, notify=lambda _: None)
    report = verify_output(output, expectation_of(conformed.info), notify=notify)
    # And what it has to show: the map itself follows the rule, and the pictures follow the map.
    checks = [check_constant_rate(output, frame_map), check_rule(reader.info.timeline, frame_map)]
    # A sketch of every source frame is enough to tell which one a picture is.
    if saved.files.get(output.name) in SHOWS_PICTURES:
        with Sketches() as pictures, reporter.progress("compare", frame_map.source_count) as step:
            for frame in reader.frames():
                pictures.put(frame.index, sketch_of(frame.picture, frame.alpha))
                step()
            checks.append(check_frames(output, frame_map, pictures, notify=notify))
    return replace(report, checks=(*report.checks, *checks))


def map_beside(output: Path) -> Path | None:
    """The frame map that stands beside a file and names it; None when there is none."""
    # A map of other files says nothing of this one, and a damaged one nothing at all.
    path = output.with_name("frame_map.json")
    try:
        return path if path.is_file() and output.name in load_map(path).files else None
    except UsageError:
        return None


def load_map(path: Path) -> SavedMap:
    """Read frame_map.json.

    Raises:
        UsageError: when it is something else.
    """
    # Every value has its type and range, since the file may come from anywhere.
    hint = "give the frame_map.json that stands beside the conformed files"
    try:
        facts = json.loads(read_small_file(path, what="frame map", most_bytes=MOST_BYTES))
        rate, start = _exact(facts["rate"]), _exact(facts["source_start_seconds"])
        indices = tuple(int(index) for index in facts["map"])
        errors = tuple(_exact(value) / 1000 for value in facts["error_ms"])
        lead, count = int(facts["lead"]), int(facts["source_frames"])
        first_number = int(facts.get("source_first_number", 0))
        files = {str(name): str(kind) for kind, name in facts["files"].items()}
        made = frozenset(map(str, facts.get("made", files)))
        scale, step = constant_ticks(rate)
        first = start * scale
    except UsageError:
        raise
    except (
        OSError,
        RecursionError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ArithmeticError,
    ) as error:
        raise UsageError(
            f"{str(path)!r} is not a frame map: {shortened(error)}", hint=hint
        ) from error
    # The parts agree with each other, and name frames that there are.
    fits = len(errors) == len(indices) and 0 <= lead <= len(indices)
    if (
        not fits
        or first.denominator != 1
        or rate <= 0
        or not indices
        or not 0 <= min(indices) <= max(indices) < count
    ):
        raise UsageError(
            f"{str(path)!r} is not a valid frame map: the frame counts disagree", hint=hint
        )
    # Times follow from the rate: the file holds no list of them that could disagree.
    pts = tuple(int(first) + number * step for number in range(len(indices)))
    grid = Timeline(pts, (step,) * len(pts), Fraction(1, scale))
    saved = ConformMap(rate, grid, indices, errors, lead, count, first_number)
    return SavedMap(saved, files, made)


def _exact(value: object) -> Fraction:
    """A number as the map writes it, exactly.

    Raises:
        ValueError: for others, such as 1e999999999, which would fill the memory.
    """
    text = str(value)
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return Fraction(text)


def check_rule(source: Timeline, frame_map: ConformMap) -> Check:
    """Whether every entry of a map is the frame that the rule of `timeline.conform` shows."""
    # The same function that `conform` asks, so a map that was edited by hand is found out.
    expected = frames_on(source, frame_map.timeline)
    for number, (index, right_index) in enumerate(zip(frame_map.indices, expected, strict=True)):
        if index != right_index:
            shown, right = source.number(index), source.number(right_index)
            return Check(
                "frame map",
                False,
                f"frame {number} shows source frame {shown}, by the rule it is {right}",
            )
    worst = float(frame_map.largest_error * 1000)
    return Check(
        "frame map",
        True,
        f"every picture is on screen at its time, or at most {worst:.3f} ms early",
    )
