"""Decides where masks stop because the shot ends.

One pass over the frames between the first and the last that matter, before any mask is made: so
that people hear at once which shots have no mask yet, and can be asked. Its memory does not grow
with the clip.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vfx_matte.choices import unknown_choice
from vfx_matte.errors import MediaError
from vfx_matte.pipeline.clip import SourceClip
from vfx_matte.pipeline.next_steps import clock, frame_at, frame_command, mask_name, since_start
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.propagate.driver import left_empty
from vfx_matte.shots import ShotDetector
from vfx_matte.timeline import Timeline, parse_position
from vfx_matte.wording import command, option
from vfx_matte.workspace import Manifest

MODES = ("stop", "ask", "ignore")
NAMED_SHOTS = 5
"""How many cuts, and shots without a mask, are named at most, so that notices fit a terminal."""

Confirm = Callable[[str], bool]
"""Asks a person a question; True is yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOptions:
    """What happens where the shot changes.

    Raises:
        UsageError: the mode is unknown.
    """

    mode: str = "stop"
    """"stop": masks end at every cut that is found; "ask": at every one that `confirm` says yes to;
    "ignore": masks go on, and no cut is looked for.
    """

    at: tuple[int | Fraction, ...] = ()
    """The cuts, as frames or seconds from the clip's start, instead of looking for them."""

    found: tuple[int, ...] | None = None
    """The cuts, as frame indices, where the caller has looked for them already (`find_cuts`)."""

    confirm: Confirm | None = None
    """Who is asked; None: nobody is there, and masks end at all of them."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise unknown_choice(
                "cuts",
                self.mode,
                MODES,
                hint=f"use {', '.join(MODES)}, or frames: {option('cuts', '120,300')}",
            )

    @classmethod
    def parse(cls, text: str, *, confirm: Confirm | None = None) -> CutOptions:
        """Read what a user typed.

        Args:
            text: a mode, or frames and times with commas between them.
            confirm: as the field.

        Raises:
            UsageError: it is neither.
        """
        word = text.strip().lower()
        # a word that is no number is taken for a mode, so that the error lists the modes
        if word in MODES or not word.removeprefix("-")[:1].isdigit():
            return cls(mode=word, confirm=confirm)
        return cls(at=tuple(parse_position(part) for part in word.split(",")))


def decide_cuts(
    clip: SourceClip,
    options: CutOptions,
    *,
    span: range,
    references: Collection[int],
    earlier: Manifest | None,
    reporter: Reporter,
) -> tuple[int, ...] | None:
    """The cuts at which masks end, ascending; None where masks go on over cuts.

    Says which shots will stay empty.

    Args:
        clip: the clip.
        options: what the user wants.
        span: the frames that get masks.
        references: frames with a reference mask.
        earlier: what is known about earlier masks of this clip, whose cuts are taken over, so that
            the clip is not read and nobody is asked a second time.
        reporter: receives notices and progress.

    Raises:
        UsageError: a cut that was given is not in the clip.
    """
    # references outside of the range count, too: walks begin on them
    reach = range(min((span.start, *references)), max((span.stop, *(at + 1 for at in references))))
    cuts = known_cuts(clip, options, span=reach, earlier=earlier, reporter=reporter)
    if cuts is not None:
        for line in _notices(clip.path, clip.info.timeline, cuts, span, references):
            reporter.notify(line)
    return cuts


def known_cuts(
    clip: SourceClip,
    options: CutOptions,
    *,
    span: range,
    earlier: Manifest | None,
    reporter: Reporter,
) -> tuple[int, ...] | None:
    """The cuts of a range, as `decide_cuts`, without a word about masks."""
    if options.mode == "ignore":
        return None
    # three sources, the surest first: what the user says, what an earlier run of this work was
    # told, what is found; frame 0 begins a shot anyway and is no cut
    if options.at:
        return tuple(sorted({clip.frame_index(position) for position in options.at} - {0}))
    if earlier is not None and earlier.cuts is not None:
        return earlier.cuts
    if options.found is not None:
        return options.found
    found = find_cuts(clip, span.start, span.stop, reporter)
    return _confirmed(found, options, clip.info.timeline, reporter)


def shots(cuts: Collection[int], span: range) -> Iterator[range]:
    """The frames of a range, shot by shot; a shot that reaches over its ends is cut off there."""
    inside = [cut for cut in cuts if span.start < cut < span.stop]
    for start, stop in itertools.pairwise([span.start, *inside, span.stop]):
        yield range(start, stop)


def shots_without_mask(
    cuts: Collection[int], span: range, references: Collection[int]
) -> list[range]:
    """The shots of a range in which no reference mask lies; a reference outside of the range counts
    for its shot too.
    """
    # a shot is known by how many cuts lie at or before its frames
    ordered = sorted(cuts)
    covered = {bisect.bisect_right(ordered, at) for at in references}
    return [
        shot
        for shot in shots(ordered, span)
        if bisect.bisect_right(ordered, shot.start) not in covered
    ]


def frames_left_empty(manifest: Manifest) -> set[int]:
    """The frames of a run that show no object by its references: those of shots without one, and
    those that an empty reference stands for.
    """
    shows = {at: bool(record.objects) for at, record in manifest.references.items()}
    return left_empty(
        [at for at, something in shows.items() if something],
        [at for at, something in shows.items() if not something],
        start=manifest.start,
        stop=manifest.stop,
        cuts=manifest.cuts or (),
    )


def find_cuts(clip: SourceClip, first: int, stop: int, reporter: Reporter) -> list[int]:
    """Look for cuts in one pass over the frames [first, stop); frame indices, ascending."""
    # the detector counts from 0 wherever the range begins; the index of the first frame is added at
    # the end
    detector, cuts = ShotDetector(), list[int]()
    frames = prefetched((frame.image for frame in clip.reader.frames(first, stop)), depth=2)
    seen = first
    try:
        with closing(frames) as images, reporter.progress("look for cuts", stop - first) as step:
            for image in images:
                cuts += detector.add(image)
                seen += 1
                step()
    except (MediaError, OSError):
        # what can be read is worth having; segment itself will say what is wrong
        reporter.notify(
            f"the clip cannot be read from frame {clip.info.timeline.number(seen)} on; shot cuts"
            " are known up to there"
        )
    return [first + cut for cut in (*cuts, *detector.finish())]


def _confirmed(
    cuts: list[int], options: CutOptions, timeline: Timeline, reporter: Reporter
) -> tuple[int, ...]:
    if options.mode != "ask" or not cuts:
        return tuple(cuts)
    # a script has nobody to ask: stopping loses nothing that a later reference could not give,
    # while a mask that crosses a cut is wrong without notice
    if options.confirm is None:
        reporter.notify(
            f"{option('cuts', 'ask')}: there is no terminal to ask on, so masks stop at every cut"
        )
        return tuple(cuts)
    return tuple(
        cut
        for cut in cuts
        if options.confirm(f"cut at {frame_at(timeline, cut)}: should masks stop there?")
    )


def _notices(
    path: Path, timeline: Timeline, cuts: Collection[int], span: range, references: Collection[int]
) -> Iterator[str]:
    inside = [cut for cut in cuts if span.start < cut < span.stop]
    if not inside:
        return
    # cuts outside of the range count for the walks that begin there, and are no news to the user
    named = ", ".join(
        f"{timeline.number(cut)} ({clock(since_start(timeline, cut))})"
        for cut in inside[:NAMED_SHOTS]
    )
    more = f" and {len(inside) - NAMED_SHOTS} more" if len(inside) > NAMED_SHOTS else ""
    yield (
        f"masks stop at the shot cuts, frame {named}{more};"
        f" {option('cuts', 'ignore')} carries them across"
    )
    yield from empty_shots(path, timeline, shots_without_mask(cuts, span, references))


def empty_shots(path: Path, timeline: Timeline, empty: Sequence[range]) -> Iterator[str]:
    """One line for each shot without a mask, NAMED_SHOTS at most, with what to do.

    Args:
        path: the clip.
        timeline: its frames.
        empty: the shots, as frame indices.
    """
    for shot in empty[:NAMED_SHOTS]:
        first, last = timeline.number(shot.start), timeline.number(shot.stop - 1)
        yield (
            f"the shot of frames {first} to {last}, from"
            f" {clock(since_start(timeline, shot.start))}, has no mask and stays empty; paint one:"
            f" {frame_command(path, first)} and add"
            f" {option('mask', f'{first}={mask_name(path, first)}')}"
        )
    if len(empty) > NAMED_SHOTS:
        yield f"{len(empty) - NAMED_SHOTS} more shots have no mask; {command('qc')} lists them"
