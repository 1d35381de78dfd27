"""A segmented clip to the frames worth annotating next.

Takes an opened clip, gives a ranking and a contact sheet.

Bounded whatever the clip's length: of at most N candidate frames (and as many references) a
description and a thumbnail are kept, everything else is dropped as it comes, and the clip is
decoded once, passing over what is not needed. With built-in features N frames take N · (5.8 kB +
173 kB), with XMem N · (P · (2 · CK + 2) · 4 bytes + 173 kB), where P = (h / 16) · (w / 16) at the
size that frames are compared at: 200 frames of a 16:9 clip at 240 pixels take 77 MB, at 480 pixels
203 MB. Decoded pictures come on top, at most four at a time. Distances cost N · (references + k)
times P².
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vfx_matte.drawing.sheet import captioned, contact_sheet, outlined, thumbnail
from vfx_matte.errors import UsageError, WorkspaceError
from vfx_matte.masks import Image
from vfx_matte.pipeline.clip import SegmentedClip, sheet_path
from vfx_matte.pipeline.next_steps import (
    clock,
    frame_command,
    mask_name,
    segment_command,
    since_start,
    tile_caption,
)
from vfx_matte.pipeline.prefetch import ahead
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.sampling import evenly, pictures_at
from vfx_matte.pipeline.segment.cuts import empty_shots, shots_without_mask
from vfx_matte.printable import json_text
from vfx_matte.propagate import choose_propagator
from vfx_matte.propagate.suggest import (
    Choice,
    Describer,
    choose_next,
    count_distances,
    open_describer,
)
from vfx_matte.workspace import Manifest, save_picture

MASKS_PER_CANDIDATE = 4
"""How many masks are read, at most, for each frame that will be compared: reading all of a long
clip would take minutes.
"""

THUMB_AREA_PX = 320 * 180
SHEET_COLUMNS = 5
MOST_REFERENCES_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestOptions:
    """What a user can choose.

    count: how many frames. propagator: "auto" (the one that made the masks, where it can run),
    "builtin" or "xmem".
    weights, size, device: of xmem: its weights file, the short side in pixels that frames are
    compared at (-1 = the clip's own; cost grows with its fourth power) and "auto", "cpu" or "cuda".
    alpha: 0 compares whole pictures, 1 only objects.
    min_mask_percent: frames whose mask covers less are left out. candidates: most frames to
    compare, evenly spaced; None is the describer's usual number. A clip with no more frames is
    compared in full. Raises UsageError for values out of range.
    """

    count: int = 5
    propagator: str = "auto"
    weights: Path = Path("model/XMem.pth")
    size: int = 240
    device: str = "auto"
    alpha: float = 0.5
    min_mask_percent: float = 0.25
    candidates: int | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(
                f"count is {self.count}, expected at least 1", hint="-k 5 suggests five frames"
            )
        if not 0 <= self.alpha <= 1:
            raise UsageError(
                f"alpha is {self.alpha}, expected 0 to 1",
                hint="--alpha 0.5 looks at objects and surroundings",
            )
        if not 0 <= self.min_mask_percent <= 100:
            hint = "--min-mask-percent 0.25 leaves out frames with hardly any object"
            raise UsageError(
                f"min-mask-percent is {self.min_mask_percent}, expected 0 to 100", hint=hint
            )
        if self.candidates is not None and self.candidates < 1:
            raise UsageError(
                f"candidates is {self.candidates}, expected at least 1",
                hint="--candidates 200 suits most clips",
            )
        if self.size != -1 and self.size < 16:
            raise UsageError(
                f"size is {self.size}, expected -1 or at least 16",
                hint="--size 240 suits most clips",
            )


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A frame to annotate.

    rank: 1 is the most useful. frame: its number, as people call it. seconds: since the clip's
    start; time: the same as m:ss.mmm. coverage_percent: share of the
    picture that the present mask covers. distance: to the most alike reference or better-ranked
    suggestion, without unit.
    frame_command: saves the picture to paint on. mask: the name that
    `SuggestResult.segment_command` expects.
    """

    rank: int
    frame: int
    time: str
    seconds: float
    coverage_percent: float
    distance: float
    frame_command: str
    mask: str


@dataclass(frozen=True, slots=True)
class SuggestResult:
    """What was found.

    references: numbers of the frames compared with, which have a mask of the user. considered:
    frames that could have been suggested and were compared. segment_command: goes on with all
    references and all suggestions. sheet: the contact sheet.
    """

    clip: Path
    propagator: str
    alpha: float
    min_mask_percent: float
    references: tuple[int, ...]
    considered: int
    suggestions: tuple[Suggestion, ...]
    segment_command: str
    sheet: Path


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a frame. thumb: uint8 (h, w, 3) of about THUMB_AREA_PX pixels."""

    description: Any
    thumb: Image


def suggest_frames(
    clip: SegmentedClip, options: SuggestOptions, *, output: Path | None = None, reporter: Reporter
) -> SuggestResult:
    """Rank the frames to annotate next by XMem++'s rule, and save a contact sheet of them and of
    the references.

    output: a PNG; None is suggest.png in the clip's workspace folder. When fewer frames can be
    suggested than asked for, a notice says so. Raises UsageError, WorkspaceError when no reference
    has a mask, and what opening xmem and decoding raise.
    """
    sheet = sheet_path(clip, output, usual="suggest.png", option="-o")
    manifest = clip.store.manifest
    name = _propagator(options, manifest, reporter)
    own = (
        {"weights": options.weights, "size": options.size, "device": options.device}
        if name == "xmem"
        else {}
    )
    describer = open_describer(name, **own)
    limit = options.candidates or describer.usual_candidates
    references = _references(clip, limit, reporter)
    coverage = _candidates(clip, limit, options.min_mask_percent, reporter)
    seen = _look(clip, describer, sorted({*references, *coverage}), reporter)
    with reporter.progress(
        "compare", count_distances(len(coverage), len(references), options.count)
    ) as step:

        def distance(index: int, other: int) -> float:
            step()
            return describer.distance(
                seen[index].description, seen[other].description, alpha=options.alpha
            )

        choices = choose_next(coverage, known=references, count=options.count, distance=distance)
    if len(choices) < options.count:
        wanted = f"{options.count} frames were asked for, {len(choices)} can be suggested"
        reporter.notify(
            f"{wanted}: the others have a reference, or less than {options.min_mask_percent:g} % of"
            " mask"
        )
    save_picture(sheet, _sheet(clip, references, choices, seen))
    rows = tuple(
        _suggestion(clip, rank, one, coverage[one.index])
        for rank, one in enumerate(choices, start=1)
    )
    return SuggestResult(
        clip=clip.info.path,
        propagator=name,
        alpha=options.alpha,
        min_mask_percent=options.min_mask_percent,
        references=tuple(map(clip.info.timeline.number, references)),
        considered=len(coverage),
        suggestions=rows,
        segment_command=segment_command(
            clip, {one.frame: one.mask for one in rows}, weights=options.weights, how="--update"
        ),
        sheet=sheet,
    )


def suggestion_rows(result: SuggestResult) -> list[tuple[int, int, str, str, str]]:
    """The ranking for people: rank, frame, time, coverage and distance."""
    return [
        (one.rank, one.frame, one.time, f"{one.coverage_percent:.2f} %", f"{one.distance:.4g}")
        for one in result.suggestions
    ]


def suggestions_json(result: SuggestResult) -> str:
    """Everything as JSON, by the names of `SuggestResult` and `Suggestion`."""
    return json_text(asdict(result), default=str, indent=2)


def _propagator(options: SuggestOptions, manifest: Manifest, reporter: Reporter) -> str:
    """The one whose eyes frames are compared with: the one asked for, or the one that made the
    masks if it can run.
    """
    if options.propagator != "auto":
        return options.propagator
    if manifest.propagator != "xmem":
        return "builtin"
    name, reason = choose_propagator(None, weights=options.weights)
    reporter.notify(
        f"the masks are XMem's; frames are compared with the {reason}" if name != "xmem" else reason
    )
    return name


def _references(clip: SegmentedClip, limit: int, reporter: Reporter) -> list[int]:
    """The reference frames that have a mask in the workspace, ascending; at most `limit`, evenly
    spaced.
    """
    known = sorted(clip.store.manifest.references)
    here = [index for index in known if clip.mask(index) is not None]
    lost = [str(clip.info.timeline.number(index)) for index in known if index not in here]
    if not here:
        raise WorkspaceError(
            f"no reference frame ({', '.join(lost)}) has a mask here to compare with",
            hint="run segment with --resume to the end, over a range that holds a reference",
        )
    if lost:
        reporter.notify(
            f"reference frames without a mask here are not compared with: {', '.join(lost)}"
        )
    if len(here) > limit:
        reporter.notify(
            f"compared with {limit} evenly spaced references of {len(here)}; --candidates N takes"
            " more"
        )
    return evenly(here, limit)


def _candidates(
    clip: SegmentedClip, limit: int, min_mask_percent: float, reporter: Reporter
) -> dict[int, float]:
    """Frames that may be suggested, with the percentage that their mask covers: at most `limit`,
    evenly spaced.

    All masks are read when there are no more than MASKS_PER_CANDIDATE times the limit, else as
    many, evenly spaced.
    """
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
    pool = sorted(done.difference(manifest.references))
    read = evenly(pool, MASKS_PER_CANDIDATE * limit)
    enough: dict[int, float] = {}
    with reporter.progress("read masks", len(read)) as step:
        for index in read:
            mask = clip.mask(index)
            if mask is not None:
                percent = 100.0 * np.count_nonzero(mask) / mask.size
                if percent >= min_mask_percent:
                    enough[index] = percent
            step()
    if len(enough) < len(read):
        few = (
            f"{len(read) - len(enough)} masks cover less than {min_mask_percent:g} % of the picture"
        )
        reporter.notify(f"{few}; those frames are not suggested (--min-mask-percent)")
    kept = evenly(sorted(enough), limit)
    if len(kept) < len(enough) or len(read) < len(pool):
        reporter.notify(
            f"compared {len(kept)} evenly spaced frames of {len(pool)}; --candidates N compares"
            " more"
        )
    return {index: enough[index] for index in kept}


def _look(
    clip: SegmentedClip, describer: Describer[Any], indices: Sequence[int], reporter: Reporter
) -> dict[int, _Seen]:
    """Describe frames (ascending indices) while the next ones are decoded in a thread; pictures are
    dropped at once.
    """
    height, width = clip.info.shape
    thumb_px = max(64, round(math.sqrt(THUMB_AREA_PX * width / height)))
    seen: dict[int, _Seen] = {}
    with (
        closing(ahead(pictures_at(clip.reader, indices), depth=1)) as pictures,
        reporter.progress("look", len(indices)) as step,
    ):
        for index, image in pictures:
            mask = clip.mask(index)
            if mask is None:
                raise WorkspaceError(
                    f"the mask of frame {clip.info.timeline.number(index)} went away",
                    hint="wait for the other run, then try again",
                )
            seen[index] = _Seen(
                describer.describe(image, mask), thumbnail(image, width_px=thumb_px)
            )
            step()
    return seen


def _sheet(
    clip: SegmentedClip, references: list[int], choices: list[Choice], seen: Mapping[int, _Seen]
) -> Image:
    """References, marked, above the suggestions; each with its mask's outline, frame number and
    time.
    """
    shown = evenly(references, MOST_REFERENCES_SHOWN)
    label = (
        "references"
        if len(shown) == len(references)
        else f"{len(shown)} of {len(references)} references"
    )
    known = [_tile(clip, seen[index], index, "", marked=True) for index in shown]
    next_ones = [
        _tile(clip, seen[one.index], one.index, f"{rank}: ")
        for rank, one in enumerate(choices, start=1)
    ]
    rows = [*_rows(label, known), *_rows("annotate next", next_ones)]
    title = f"{clip.name}: frames to annotate next"
    return contact_sheet(rows, thumb_width_px=known[0].shape[1], title=title)


def _rows(label: str, tiles: Sequence[Image]) -> Iterator[tuple[str, Sequence[Image]]]:
    for start in range(0, len(tiles), SHEET_COLUMNS):
        yield ("" if start else label), tiles[start : start + SHEET_COLUMNS]


def _tile(
    clip: SegmentedClip, seen: _Seen, index: int, what: str, *, marked: bool = False
) -> Image:
    mask = clip.mask(index)
    picture = seen.thumb if mask is None else outlined(seen.thumb, mask, clip.palette)
    return captioned(picture, f"{what}{tile_caption(clip.info.timeline, index)}", marked=marked)


def _suggestion(
    clip: SegmentedClip, rank: int, choice: Choice, coverage_percent: float
) -> Suggestion:
    number, seconds = (
        clip.info.timeline.number(choice.index),
        since_start(clip.info.timeline, choice.index),
    )
    return Suggestion(
        rank=rank,
        frame=number,
        time=clock(seconds),
        seconds=float(seconds),
        coverage_percent=coverage_percent,
        distance=choice.distance,
        frame_command=frame_command(clip.info.path, number),
        mask=mask_name(clip.info.path, number),
    )
