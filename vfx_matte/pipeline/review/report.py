"""Writes the page, the contact sheet and the table of a check of masks."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vfx_matte.drawing import page
from vfx_matte.drawing.sheet import captioned, close_up, contact_sheet, thumbnail, tinted
from vfx_matte.masks import Image, Mask, resize_nearest
from vfx_matte.measure.registry import MEASURES
from vfx_matte.media.open import describe_rate
from vfx_matte.pipeline.clip import SegmentedClip, refuse_to_replace, require_table_place
from vfx_matte.pipeline.confidence import LOW_CONFIDENCE
from vfx_matte.pipeline.next_steps import clock, frame_at, since_start, tile_caption
from vfx_matte.pipeline.prefetch import prefetched
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.review.findings import Problem, QcResult
from vfx_matte.pipeline.sampling import pictures_at
from vfx_matte.propagate.registry import phrase
from vfx_matte.timeline import Timeline
from vfx_matte.wording import command, option
from vfx_matte.workspace import save_picture, write_text

THUMB_PX, SHEET_THUMB_PX = 480, 320
"""Widths of a picture on the page, and on the contact sheet."""

NAMED_PROBLEMS = 60
"""How many problems the page lists without a picture, at most; the record has all."""

CSV_COLUMNS = (
    "frame", "seconds", "object", "area_px", "area_percent", "overlap", "holes", "holes_px",
    "specks", "specks_px",
    "flicker_px", "edge_agreement", "edge_width_px", "confidence_percent", "severity", "stands_out",
)  # fmt: skip

Views = Mapping[int, Sequence[tuple[int, Image]]]
"""By a problem's rank: (frame index, picture with its mask) of the frame before, of the frame
itself and of the one after.
"""


def save_report(clip: SegmentedClip, result: QcResult, *, count: int, reporter: Reporter) -> None:
    """Fetch the pictures of the `count` worst problems, and save the page and the sheet.

    Raises:
        MediaError, OutputError: when the clip cannot be read, or a file not be written.
    """
    # Pictures first: the sheet and the page show the same ones.
    views = _views(clip, result.problems[:count], result.cuts, reporter)
    if result.sheet is not None:
        save_picture(result.sheet, _sheet(clip, result, views))
    # No door shows the page, so what its texts name is spelled here.
    spell, fix = reporter.spell, result.fix_next
    shown = replace(
        result,
        problems=tuple(replace(problem, do=spell(problem.do)) for problem in result.problems),
        fix_next=None
        if fix is None
        else replace(
            fix,
            frame_command=spell(fix.frame_command),
            segment_command=spell(fix.segment_command),
        ),
    )
    title = f"{clip.name}: quality of the masks"
    write_text(result.report, page.page(title, _parts(clip, shown, views, spell)))


def qc_csv(clip: SegmentedClip, result: QcResult) -> str:
    """One line for each frame that has a mask and each object, by CSV_COLUMNS; empty where a number
    is not known.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    timeline, pixels = clip.info.timeline, clip.info.width * clip.info.height
    flagged, measures = set(result.flagged), result.measures
    for object_id, measured in measures.objects.items():
        # how far the frame is beyond a limit, by whichever measure is worst
        worst = np.vstack([judged.severity for judged in measures.judged[object_id].values()])
        for index in np.flatnonzero(np.isfinite(measured.area_px)).tolist():
            area = float(measured.area_px[index])
            severity = worst[:, index][np.isfinite(worst[:, index])]
            numbers = [
                area, 100 * area / pixels, measured.overlap[index], measured.holes[index],
                measured.holes_px[index], measured.specks[index], measured.specks_px[index],
                measured.flicker_px[index], measured.edge_agreement[index],
                measured.edge_width_px[index],
                measures.confidence[object_id][index],
                severity.max() if len(severity) else np.nan,
            ]  # fmt: skip
            shown = ["" if np.isnan(value) else f"{round(float(value), 4):g}" for value in numbers]
            number, seconds = timeline.number(index), float(since_start(timeline, index))
            stands_out = int(number in flagged)
            writer.writerow((number, f"{seconds:.6f}", object_id, *shown, stands_out))
    return text.getvalue()


def save_csv(path: Path, clip: SegmentedClip, result: QcResult) -> None:
    """Write `qc_csv` atomically.

    Raises:
        OutputError: when it cannot be written.
        UsageError: for a path that holds the clip, its masks, or a file that is no table.
    """
    # a typed path may name anything, and what it names is gone afterwards
    refuse_to_replace(clip.info.path, path, "the clip")
    refuse_to_replace(clip.workspace.masks_folder, path, "the masks")
    require_table_place(path)
    write_text(path, qc_csv(clip, result))


def _views(
    clip: SegmentedClip, problems: Sequence[Problem], cuts: Sequence[int], reporter: Reporter
) -> Views:
    """The pictures of some problems, cropped around the object; a neighbour across a cut is left
    out.
    """
    timeline = clip.info.timeline
    wanted: dict[int, list[int]] = {}
    for problem in problems:
        index = timeline.index_of(problem.frame)
        # where a mask ran over the cut, the frame before it shows from where
        before = index > 0 and (problem.frame not in cuts or "crossing" in problem.kinds)
        after = index + 1 < len(timeline) and problem.frame + 1 not in cuts
        wanted[problem.rank] = list(range(index - before, index + after + 1))
    # A frame that several problems show is decoded once.
    indices = sorted({index for frames in wanted.values() for index in frames})
    objects = {problem.rank: problem.object_id for problem in problems}
    # The three pictures of a problem show the same part, so that they can be compared.
    parts = {rank: _around(clip, frames, objects[rank]) for rank, frames in wanted.items()}
    views: dict[int, list[tuple[int, Image]]] = {rank: [] for rank in wanted}
    pictures = prefetched(pictures_at(clip.reader, indices), depth=1)
    with closing(pictures) as passing, reporter.progress("pictures", len(indices)) as step:
        for index, image in passing:
            mask = clip.mask(index)
            for rank, frames in wanted.items():
                if index in frames:
                    views[rank].append((index, _view(clip, image, mask, parts[rank])))
            step()
    return views


def _around(clip: SegmentedClip, frames: Sequence[int], object_id: int) -> tuple[slice, slice]:
    """The part of the picture that shows an object on all of these frames; of an object that is on
    none of them, the whole picture.
    """
    # of all three frames together: a fast object is elsewhere on each of them
    masks = [mask for mask in map(clip.mask, frames) if mask is not None]
    return close_up(
        [np.asarray(mask == object_id, np.uint8) for mask in masks]
        or [np.zeros(clip.info.shape, np.uint8)]
    )


def _view(clip: SegmentedClip, image: Image, mask: Mask | None, part: tuple[slice, slice]) -> Image:
    """A part of a picture, THUMB_PX wide, tinted by its mask."""
    shown = thumbnail(np.ascontiguousarray(image[part]), width_px=THUMB_PX)
    if mask is None:
        return shown
    height, width, _ = shown.shape
    return tinted(shown, resize_nearest(mask[part], (height, width)), clip.palette)


def _sheet(clip: SegmentedClip, result: QcResult, views: Views) -> Image:
    """The worst problems below each other, with the frames before and after them."""
    rows, timeline = [], clip.info.timeline
    for problem in result.problems[: len(views)]:
        looked_at = timeline.index_of(problem.frame)
        tiles = [
            captioned(image, tile_caption(timeline, index), marked=index == looked_at)
            for index, image in views[problem.rank]
        ]
        if views[problem.rank][0][0] == looked_at:  # no frame before it: the column stays empty
            tiles.insert(0, np.zeros_like(tiles[0]))
        rows.append(
            (f"{problem.rank}: {', '.join(MEASURES[kind].title for kind in problem.kinds)}", tiles)
        )
    columns = ("the frame before", "look here", "the frame after")
    return contact_sheet(
        rows,
        column_labels=columns,
        thumb_width_px=SHEET_THUMB_PX,
        title=f"{clip.name}: frames that stand out, the worst first",
    )


# ---------------------------------------------------------------- the page


def _parts(
    clip: SegmentedClip, result: QcResult, views: Views, spell: Callable[[str], str]
) -> Iterator[str]:
    """The page's HTML, from top to bottom."""
    timeline = clip.info.timeline
    # What to do stands above what was found, and how it was judged at the very end.
    yield _head(clip, result)
    yield from _next(result)
    marks = _clip_marks(timeline, result)
    yield "<h2>Where it stands out</h2>"
    yield page.strip(marks, _stretches(timeline, result))
    yield _KEY
    yield from (
        _card(clip, problem, views[problem.rank])
        for problem in result.problems
        if problem.rank in views
    )
    yield from _others([problem for problem in result.problems if problem.rank not in views], spell)
    yield from _shots(timeline, result)
    for object_id in result.measures.objects:
        drawn = "".join(page.curve(curve) for curve in _curves(clip, result, object_id, marks))
        yield f'<h2>Object {object_id} over the clip</h2><div class="curves">{drawn}</div>'
    yield _METHOD


def _head(clip: SegmentedClip, result: QcResult) -> str:
    """What the clip is, and the check in numbers."""
    timeline, info = clip.info.timeline, clip.info
    length = clock(timeline.end - timeline.start)
    # of the frames that have a mask; a clip may have none yet
    share = 100 * len(result.flagged) / max(1, result.frames)
    confidence = result.measures.confidence.values()
    values = [value for series in confidence for value in series if np.isfinite(value)]
    bad = "bad" if result.flagged else "good"
    return (
        f"<h1>{page.escaped(info.path.name)}</h1>"
        f'<p class="quiet">{info.width}×{info.height}, {len(timeline)} frames, {length},'
        f" {page.escaped(describe_rate(timeline))};"
        f" masks by {phrase(clip.store.manifest.propagator)}</p>"
        + page.facts(
            [
                (
                    f"{len(result.flagged)}",
                    f"frames of {result.frames} stand out ({share:.1f} %)",
                    bad,
                ),
                (f"{len(result.problems)}", "places to look at", bad),
                (f"{np.mean(values):.0f} %" if values else "–", "confidence on average", ""),
                (f"{len(result.references)}", "painted masks", ""),
                (f"{len(result.cuts)}", "shot cuts", ""),
            ]
        )
    )


def _next(result: QcResult) -> Iterator[str]:
    """What to fix first; nothing where problems are left that no painted mask fixes."""
    fix = result.fix_next
    if fix is None:
        if not result.problems:
            yield '<div class="card"><p class="do">Nothing stands out.</p></div>'
        return
    yield (
        f'<div class="card next"><h3>Fix this next</h3><p>{page.escaped(fix.why)}.</p><p>Save the'
        f" picture, paint the mask over it as {page.escaped(fix.mask)}, and segment"
        f" again:</p>{page.command([fix.frame_command, fix.segment_command])}</div>"
    )


def _card(clip: SegmentedClip, problem: Problem, pictures: Sequence[tuple[int, Image]]) -> str:
    """One problem with its pictures."""
    timeline = clip.info.timeline
    looked_at = timeline.index_of(problem.frame)
    shown = "".join(
        page.picture(image, frame_at(timeline, index), strong=index == looked_at)
        for index, image in pictures
    )
    # The sentence of a problem joins its reasons; on the page each is a line of its own.
    what = "".join(
        f"<li>{page.escaped(part)}</li>"
        for part in problem.what.removeprefix(f"object {problem.object_id} ").split("; ")
    )
    return (
        f'<div class="card" id="p{problem.rank}"><h3>{problem.rank}.'
        f" {page.escaped(frame_at(timeline, looked_at))}, object {problem.object_id}</h3><p"
        f' class="quiet">frames {frames_text(problem)}, severity {problem.severity:.1f}</p>'
        f'<ul>{what}</ul><p class="do">→ {page.escaped(problem.do)}</p>'
        f'<div class="pictures">{shown}</div></div>'
    )


def _others(problems: Sequence[Problem], spell: Callable[[str], str]) -> Iterator[str]:
    """The problems without pictures, as a table."""
    rows = "".join(
        f'<tr id="p{problem.rank}"><td>{problem.frame}</td><td>{problem.time}</td>'
        f"<td>{page.escaped(problem.what)}</td><td>{page.escaped(problem.do)}</td></tr>"
        for problem in problems[:NAMED_PROBLEMS]
    )
    if rows:
        head = "<tr><th>frame</th><th>time</th><th>what is wrong</th><th>what to do</th></tr>"
        yield f'<h3>Smaller ones</h3><div class="scroll"><table>{head}{rows}</table></div>'
    if len(problems) > NAMED_PROBLEMS:
        named = page.escaped(spell(f"{command('qc')} with {option('json')} lists all"))
        yield f'<p class="quiet">and {len(problems) - NAMED_PROBLEMS} more; {named}</p>'


def _shots(timeline: Timeline, result: QcResult) -> Iterator[str]:
    """Where shots begin, and which of them have no painted mask."""
    if not result.cuts:
        return
    cuts = ", ".join(f"{cut} ({_clock_of(timeline, cut)})" for cut in result.cuts)
    yield f"<h2>Shots</h2><p>A shot begins at frame {page.escaped(cuts)}.</p>"
    if result.shots_without_mask:
        rows = "".join(
            f"<tr><td>{start} to {stop - 1}</td><td>{_clock_of(timeline, start)}</td></tr>"
            for start, stop in result.shots_without_mask
        )
        yield (
            "<p>These shots have no painted mask, so nothing of the subject is shown. Where it is"
            " in sight, paint one:</p>"
            f'<div class="scroll"><table><tr><th>frames</th><th>from</th></tr>{rows}</table></div>'
        )


def _clock_of(timeline: Timeline, number: int) -> str:
    """The time of the frame with this number."""
    return clock(since_start(timeline, timeline.index_of(number)))


def frames_text(problem: Problem) -> str:
    """The frames of a problem: "7", or "7 to 12"."""
    last = problem.stop - 1
    return f"{problem.start}" if problem.start == last else f"{problem.start} to {last}"


def _position(timeline: Timeline, seconds: Fraction) -> float:
    """A time in [0, 1], from the clip's start to its end."""
    # by time and not by number of frame: clips of variable rate are drawn as they play
    length = timeline.end - timeline.start
    return float((seconds - timeline.start) / length) if length else 0.0


def _begin(timeline: Timeline, number: int) -> float:
    """Where the frame with this number begins, in [0, 1]."""
    return _position(timeline, timeline[timeline.index_of(number)].start)


def _end(timeline: Timeline, number: int) -> float:
    """Where the frame before this number ends, in [0, 1]."""
    return _position(timeline, timeline[timeline.index_of(number) - 1].end)


def _clip_marks(timeline: Timeline, result: QcResult) -> page.Marks:
    """What the strip and every curve have in common: cuts, painted masks, shots without one, times
    of the quarters.
    """
    length = timeline.end - timeline.start
    return page.Marks(
        lines=[_begin(timeline, cut) for cut in result.cuts],
        points=[_begin(timeline, frame) for frame in result.references],
        gaps=[
            (_begin(timeline, start), _end(timeline, stop))
            for start, stop in result.shots_without_mask
        ],
        ticks=[(part / 4, clock(length * part / 4)) for part in range(5)],
    )


def _stretches(
    timeline: Timeline, result: QcResult
) -> Iterator[tuple[float, float, float, str, str]]:
    """The problems as `page.strip` draws them; the worst come last, so that they lie on top."""
    # what is drawn later lies on top
    for problem in reversed(result.problems):
        yield (
            _begin(timeline, problem.start),
            _end(timeline, problem.stop),
            min(1.0, problem.severity / 5),  # the colour is full at five times the limit
            f"{frame_at(timeline, timeline.index_of(problem.frame))}: {problem.what}",
            f"p{problem.rank}",
        )


def _curves(
    clip: SegmentedClip, result: QcResult, object_id: int, marks: page.Marks
) -> Iterator[page.Curve]:
    """What the page draws over the clip's length: one curve per measure, with dots where it stands
    out.
    """
    info, timeline = clip.info, clip.info.timeline
    measured = result.measures.objects[object_id]
    judged = result.measures.judged[object_id]
    positions = np.array([_position(timeline, time.start) for time in timeline])
    flagged = {timeline.index_of(number) for number in result.flagged}
    # A dot says what the finding says, or just its value where it is part of no finding.
    reasons = {
        (kind, timeline.index_of(problem.frame)): problem.what
        for problem in result.problems
        if problem.object_id == object_id
        for kind in problem.kinds
    }
    # In the registry's order, the same for every object and clip.
    for kind, measure in MEASURES.items():
        curve = measure.curve
        if curve is None:
            continue
        if curve.values is None:  # confidence is the run's own, and has one limit for every clip
            values = np.array(result.measures.confidence[object_id])
            limits: tuple[float, ...] = (LOW_CONFIDENCE,)
            # the border excuses some frames below it, which are then not flagged
            low = np.flatnonzero(values < LOW_CONFIDENCE).tolist()
            dots = [index for index in low if index in flagged]
        else:
            values = curve.values(measured, info.width * info.height)
            verdict, factor = judged[kind], 100 if curve.unit == "%" else 1
            limits = (verdict.low * factor, verdict.high * factor) if curve.has_limits else ()
            dots = np.flatnonzero(verdict.severity > 1).tolist()
        if not np.isfinite(values).any():  # such as widths of edges, without probabilities
            continue
        notes = [
            f"{frame_at(timeline, index)}:"
            f" {reasons.get((kind, index), curve.shown.format(values[index]))}"
            for index in dots
        ]
        yield page.Curve(
            label=curve.label, explanation=curve.explanation, positions=positions, values=values,
            limits=limits, dots=dots, notes=notes, span=curve.span, shown=curve.shown, marks=marks,
        )  # fmt: skip


_KEY = (
    '<p class="key"><span><i style="background:var(--bad)"></i>stands out</span>'
    '<span><i style="background:var(--mark)"></i>painted mask</span>'
    '<span><i class="cut-key"></i>shot cut</span>'
    '<span><i style="background:var(--gap)"></i>shot without a mask</span></p>'
)
_METHOD = (
    "<details><summary>How frames are judged</summary><p>Each measure is compared with the clip's"
    " own habit: with the median m and the spread s = 1.4826 · MAD of all frames of an object, a"
    " frame stands out beyond m ± max(6 s, a least difference), so a clip of fast motion is not"
    " red everywhere. Severity 1 is that limit, 2 twice as far. Frames near each other are one"
    " place; places are ordered by their worst severity times the square root of how many frames"
    f" stand out. Confidence comes from segment and has a fixed limit of {LOW_CONFIDENCE}"
    " %.</p></details>"
)
