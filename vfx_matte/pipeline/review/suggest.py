"""Suggests the frames of a segmented clip that are worth annotating next.

Memory does not grow with the clip: of at most N candidate frames (and as many references) a
description and a thumbnail are kept, everything else is dropped as it comes, and the clip is
decoded once, skipping what is not needed. With built-in features N frames take N · (5.8 kB +
173 kB), with XMem N · (P · (2 · CK + 2) · 4 bytes + 173 kB), where P = (h / 16) · (w / 16) at the
size that frames are compared at: 200 frames of a 16:9 clip at 240 pixels take 77 MB, at 480 pixels
203 MB. Decoded pictures come on top, at most four at a time. Distances cost N · (references + k)
times P².
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vfx_matte.drawing.sheet import captioned, contact_sheet, outlined, thumbnail
from vfx_matte.errors import WorkspaceError
from vfx_matte.masks import Image
from vfx_matte.pipeline.clip import SegmentedClip, sheet_path
from vfx_matte.pipeline.next_steps import (
    clock,
    correct_command,
    frame_command,
    mask_name,
    segment_command,
    since_start,
    tile_caption,
    waiting_masks,
)
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.propagator import PropagatorOptions
from vfx_matte.pipeline.records import INTERNAL
from vfx_matte.pipeline.sampling import evenly, pictures_at
from vfx_matte.pipeline.segment.cuts import empty_shots, shots_without_mask
from vfx_matte.propagate.registry import (
    FALLBACK,
    REGISTRY,
    missing,
    offered_names,
    phrase,
    registered,
)
from vfx_matte.propagate.suggest import (
    Choice,
    Describer,
    choose_next,
    count_distances,
    open_describer,
)
from vfx_matte.settings.options import SuggestSettings
from vfx_matte.wording import command, option
from vfx_matte.workspace import Manifest, save_picture

MASKS_PER_CANDIDATE = 4
"""How many masks are read, at most, for each frame that will be compared: reading all of a long
clip would take minutes.
"""

THUMB_AREA_PX = 320 * 180
"""Area of a picture on the contact sheet, whatever the clip's shape."""

SHEET_COLUMNS = 5

MOST_REFERENCES_SHOWN = 20
"""Four rows of the contact sheet."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A frame to annotate."""

    rank: int
    """1 is the most useful."""

    frame: int
    """Its number, as people call it."""

    time: str
    """Since the clip's start, as m:ss.mmm."""

    seconds: float
    """The same."""

    coverage_percent: float
    """Share of the picture that the present mask covers."""

    distance: float
    """To the most alike reference or better-ranked suggestion, without unit."""

    frame_command: str
    """Saves the picture to paint on."""

    mask: str
    """The file name that `SuggestResult.segment_command` expects for the mask."""

    correct_command: str = field(metadata=INTERNAL)
    """Corrects the present mask with clicks instead."""


@dataclass(frozen=True, slots=True)
class SuggestResult:
    """The frames to annotate next, the most useful first."""

    clip: Path
    propagator: str
    alpha: float
    min_mask_percent: float

    references: tuple[int, ...]
    """Numbers of the frames compared with, which have a mask of the user."""

    considered: int
    """How many frames were compared and could have been suggested."""

    suggestions: tuple[Suggestion, ...]

    segment_command: str
    """Continues with all references and all suggestions."""

    sheet: Path
    """The contact sheet."""


@dataclass(frozen=True, slots=True)
class _Described:
    """What is kept of a frame."""

    description: Any

    thumb: Image
    """uint8 (h, w, 3) of about THUMB_AREA_PX pixels."""


def suggest_frames(
    clip: SegmentedClip,
    settings: SuggestSettings,
    *,
    propagator: PropagatorOptions,
    output: Path | None = None,
    reporter: Reporter,
) -> SuggestResult:
    """Rank the frames to annotate next by XMem++'s rule, and save a contact sheet of them and of
    the references.

    When fewer frames can be suggested than asked for, a notice says so.

    Args:
        clip: with its finished masks.
        settings: how many frames, and how they are compared.
        propagator: whose describer compares frames, and its options; "auto" is the one that made
            the masks, where it can run.
        output: a PNG; None is suggest.png in the clip's folder of results.
        reporter: receives notices and progress.

    Raises:
        UsageError: for a sheet that would replace something, and options out of range.
        WorkspaceError: when no reference has a mask.
        MediaError: when the clip cannot be decoded.
    """
    # What is out of range is said, also where it would not be used.
    for entry in REGISTRY:
        propagator.of(entry, describer=True)
    # Who compares, and which frames.
    sheet = sheet_path(clip, output, usual="suggest.png", option_name="output")
    manifest = clip.store.manifest
    name = _propagator(propagator, manifest, reporter)
    described_by = propagator.of(registered(name), describer=True)
    describer = open_describer(name, **asdict(described_by))
    # The describer knows how many frames suit it: more where a GPU compares them.
    limit = settings.candidates or describer.usual_candidates
    references = _references(clip, limit, reporter)
    coverage = _candidates(clip, limit, settings.min_mask_percent, reporter)
    # The clip is decoded here, once.
    described = _describe(clip, describer, sorted({*references, *coverage}), reporter)
    # Each choice is the frame farthest from all references and all choices before it.
    with reporter.progress(
        "compare", count_distances(len(coverage), len(references), settings.count)
    ) as step:

        def distance(index: int, other: int) -> float:
            step()
            return describer.distance(
                described[index].description, described[other].description, alpha=settings.alpha
            )

        choices = choose_next(coverage, known=references, count=settings.count, distance=distance)
    if len(choices) < settings.count:
        wanted = f"{settings.count} frames were asked for, {len(choices)} can be suggested"
        reporter.notify(
            f"{wanted}: the others have a reference, or less than"
            f" {settings.min_mask_percent:g} % of mask"
        )
    save_picture(sheet, _sheet(clip, references, choices, described))
    rows = tuple(
        _suggestion(clip, rank, choice, coverage[choice.index])
        for rank, choice in enumerate(choices, start=1)
    )
    masks = {row.frame: row.mask for row in rows}
    return SuggestResult(
        clip=clip.info.path,
        propagator=name,
        alpha=settings.alpha,
        min_mask_percent=settings.min_mask_percent,
        references=tuple(map(clip.info.timeline.number, references)),
        considered=len(coverage),
        suggestions=rows,
        segment_command=segment_command(
            clip,
            waiting_masks(clip, Path(), besides=masks, reporter=reporter) | masks,
            propagator=propagator,
            update=True,
        ),
        sheet=sheet,
    )


def _propagator(options: PropagatorOptions, manifest: Manifest, reporter: Reporter) -> str:
    """The propagator whose describer compares frames: the one asked for, or the one that made the
    masks if it can run.
    """
    if options.name != "auto":
        return options.name
    # Features of the fallback are there everywhere, and serve for masks of any other origin.
    if manifest.propagator not in offered_names():
        return FALLBACK.name
    entry = registered(manifest.propagator)
    if not entry.describer or entry is FALLBACK:
        return FALLBACK.name
    lack = missing(entry, options.of(entry, describer=True))
    reporter.notify(
        f"the masks are those of {phrase(entry.name)}; frames are compared with"
        f" {phrase(FALLBACK.name)}: {lack}"
        if lack
        else f"frames are compared with {phrase(entry.name)}, as the masks were made"
    )
    return FALLBACK.name if lack else entry.name


def _references(clip: SegmentedClip, limit: int, reporter: Reporter) -> list[int]:
    """The reference frames that have a mask in the workspace, ascending; at most `limit`, evenly
    spaced. Those that lack an object, which can be suggested, do not count beside others.
    """
    manifest = clip.store.manifest
    known = sorted(manifest.references_of_all() or manifest.references)
    here = [index for index in known if clip.mask(index) is not None]
    lost = [str(clip.info.timeline.number(index)) for index in known if index not in here]
    # Without one there is nothing to differ from; with some missing the rest still serves.
    if not here:
        raise WorkspaceError(
            f"no reference frame ({', '.join(lost)}) has a mask here to compare with",
            hint=(
                f"run {command('segment', resume=True)} to the end, over a range that holds a"
                " reference"
            ),
        )
    if lost:
        reporter.notify(
            f"reference frames without a mask here are not compared with: {', '.join(lost)}"
        )
    if len(here) > limit:
        reporter.notify(
            f"compared with {limit} evenly spaced references of {len(here)};"
            f" a larger {option('candidates')} takes more"
        )
    return evenly(here, limit)


def _candidates(
    clip: SegmentedClip, limit: int, min_mask_percent: float, reporter: Reporter
) -> dict[int, float]:
    """Frames that may be suggested, with the percentage that their mask covers.

    At most `limit`, evenly spaced, of those with enough mask. All masks are read when there are no
    more than MASKS_PER_CANDIDATE times the limit, otherwise so many, evenly spaced.
    """
    # Only masks can say where the subject is, and how much of the picture it covers.
    manifest = clip.store.manifest
    done, total = manifest.done_frames(), len(manifest.timeline)
    if len(done) < total:
        reporter.notify(f"{len(done)} of {total} frames have a mask; only those can be suggested")
    span = range(manifest.start, manifest.stop)
    for line in empty_shots(
        clip.info.path,
        clip.info.timeline,
        shots_without_mask(manifest.cuts or (), span, manifest.references),
    ):
        reporter.notify(line)
    # Reading a mask is cheap beside describing a frame, but not free: of a long clip some are read.
    pool = sorted(done.difference(manifest.references_of_all()))
    read = evenly(pool, MASKS_PER_CANDIDATE * limit)
    enough: dict[int, float] = {}
    with reporter.progress("read masks", len(read)) as step:
        for index in read:
            mask = clip.mask(index)
            if mask is not None:  # another run may have taken it away meanwhile
                percent = 100.0 * np.count_nonzero(mask) / mask.size
                if percent >= min_mask_percent:
                    enough[index] = percent
            step()
    if len(enough) < len(read):
        reporter.notify(
            f"{len(read) - len(enough)} masks cover less than {min_mask_percent:g} % of the"
            f" picture; those frames are not suggested ({option('min_mask_percent')})"
        )
    # Evenly spaced, since neighbours look alike.
    kept = evenly(sorted(enough), limit)
    if len(kept) < len(enough) or len(read) < len(pool):
        reporter.notify(
            f"compared {len(kept)} evenly spaced frames of {len(pool)};"
            f" a larger {option('candidates')} compares more"
        )
    return {index: enough[index] for index in kept}


def _describe(
    clip: SegmentedClip, describer: Describer[Any], indices: Sequence[int], reporter: Reporter
) -> dict[int, _Described]:
    """Describe frames (ascending indices) while the next ones are decoded in a thread; pictures are
    dropped at once.
    """
    height, width = clip.info.shape
    # All thumbnails have one area, so that a tall clip takes no more memory than a wide one.
    thumb_px = max(64, round(math.sqrt(THUMB_AREA_PX * width / height)))
    described: dict[int, _Described] = {}
    with (
        closing(prefetched(pictures_at(clip.reader, indices), depth=1)) as pictures,
        reporter.progress("look", len(indices)) as step,
    ):
        for index, image in pictures:
            mask = clip.mask(index)
            if mask is None:  # it was there when candidates were chosen
                raise WorkspaceError(
                    f"the mask of frame {clip.info.timeline.number(index)} has been removed by"
                    " another run",
                    hint="wait for the other run, then try again",
                )
            described[index] = _Described(
                describer.describe(image, mask), thumbnail(image, width_px=thumb_px)
            )
            step()
    return described


def _sheet(
    clip: SegmentedClip,
    references: list[int],
    choices: list[Choice],
    described: Mapping[int, _Described],
) -> Image:
    """References, marked, above the suggestions; each with its mask's outline, frame number and
    time.
    """
    # Of very many references some are shown; every suggestion is.
    shown = evenly(references, MOST_REFERENCES_SHOWN)
    label = (
        "references"
        if len(shown) == len(references)
        else f"{len(shown)} of {len(references)} references"
    )
    known = [_tile(clip, described[index].thumb, index, "", marked=True) for index in shown]
    next_ones = [
        _tile(clip, described[choice.index].thumb, choice.index, f"{rank}: ")
        for rank, choice in enumerate(choices, start=1)
    ]
    rows = [*_rows(label, known), *_rows("annotate next", next_ones)]
    title = f"{clip.name}: frames to annotate next"
    return contact_sheet(rows, thumb_width_px=known[0].shape[1], title=title)


def _rows(label: str, tiles: Sequence[Image]) -> Iterator[tuple[str, Sequence[Image]]]:
    """Tiles as rows of the sheet; the first row has the label."""
    for start in range(0, len(tiles), SHEET_COLUMNS):
        yield ("" if start else label), tiles[start : start + SHEET_COLUMNS]


def _tile(
    clip: SegmentedClip, thumb: Image, index: int, what: str, *, marked: bool = False
) -> Image:
    mask = clip.mask(index)
    picture = thumb if mask is None else outlined(thumb, mask, clip.palette)
    return captioned(picture, f"{what}{tile_caption(clip.info.timeline, index)}", marked=marked)


def _suggestion(
    clip: SegmentedClip, rank: int, choice: Choice, coverage_percent: float
) -> Suggestion:
    path, timeline = clip.info.path, clip.info.timeline
    number, seconds = timeline.number(choice.index), since_start(timeline, choice.index)
    return Suggestion(
        rank=rank,
        frame=number,
        time=clock(seconds),
        seconds=float(seconds),
        coverage_percent=coverage_percent,
        distance=choice.distance,
        frame_command=frame_command(path, number),
        mask=mask_name(path, number),
        correct_command=correct_command(path, number, workspace=clip.folder.parent),
    )
