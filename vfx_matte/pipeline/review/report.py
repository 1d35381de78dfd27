"""The page and the contact sheet of a check.

Takes what `qc` found, gives two files and tables as text; measures nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vfx_matte.drawing import page
from vfx_matte.drawing.sheet import captioned, close_up, contact_sheet, thumbnail, tinted
from vfx_matte.masks import Image, Mask
from vfx_matte.measure.judge import Kind
from vfx_matte.media.open import describe_rate
from vfx_matte.pipeline.clip import SegmentedClip, refuse_to_replace, require_table_place
from vfx_matte.pipeline.confidence import LOW_CONFIDENCE
from vfx_matte.pipeline.next_steps import (
    clock,
    correct_command,
    frame_at,
    since_start,
    tile_caption,
)
from vfx_matte.pipeline.prefetch import ahead
from vfx_matte.pipeline.progress import Reporter
from vfx_matte.pipeline.review import words
from vfx_matte.pipeline.review.findings import Problem, QcResult, known_number
from vfx_matte.pipeline.sampling import pictures_at
from vfx_matte.printable import json_text
from vfx_matte.timeline import Timeline
from vfx_matte.workspace import save_picture, write_text

THUMB_PX, SHEET_THUMB_PX = 480, 320
NAMED_PROBLEMS = 60
"""How many problems the page lists, at most; JSON has all."""

CSV_COLUMNS = (
    "frame", "seconds", "object", "area_px", "area_percent", "overlap", "holes", "holes_px",
    "specks", "specks_px",
    "flicker_px", "edge_agreement", "edge_width_px", "confidence_percent", "severity", "stands_out",
)  # fmt: skip

Views = Mapping[int, Sequence[tuple[int, Image]]]
"""By a problem's rank: (frame index, picture with its mask) of the frame before, the frame itself
and the one after.
"""


def save_report(clip: SegmentedClip, result: QcResult, *, count: int, reporter: Reporter) -> None:
    """Fetch the pictures of the `count` worst problems, and save the page and the sheet.

    Raises MediaError, OutputError.
    """
    views = _views(clip, result.problems[:count], result.cuts, reporter)
    if result.sheet is not None:
        save_picture(result.sheet, _sheet(clip, result, views))
    write_text(
        result.report, page.page(f"{clip.name}: quality of the masks", _parts(clip, result, views))
    )


def problem_rows(result: QcResult, count: int) -> list[tuple[object, ...]]:
    """The worst for people: frame, time, frames that it lasts, what is wrong, what to do."""
    return [
        (result.number(one.frame), one.time, _frames(result, one), one.what, one.do)
        for one in result.problems[:count]
    ]


def qc_json(result: QcResult) -> str:
    """Everything but the frames' single numbers, as JSON; frames are named as people call them."""
    number = result.number
    limits = {
        str(object_id): {
            kind: {
                "usual": known_number(one.usual),
                "low": known_number(one.low),
                "high": known_number(one.high),
            }
            for kind, one in kinds.items()
        }
        for object_id, kinds in result.judged.items()
    }
    found = {
        "clip": str(result.clip),
        "frames": result.frames,
        "flagged": [number(at) for at in result.flagged],
        "cuts": [number(at) for at in result.cuts],
        "shots_without_mask": [[number(shot.start), number(shot.stop)] for shot in result.unmasked],
        "references": [number(at) for at in result.references],
        "problems": [
            asdict(one)
            | {
                "frame": number(one.frame),
                "start": number(one.start),
                "stop": number(one.stop),
            }
            for one in result.problems
        ],
        "fix_next": None if result.fix_next is None else asdict(result.fix_next),
        "limits": limits,
        "report": str(result.report),
        "sheet": None if result.sheet is None else str(result.sheet),
    }
    return json_text(found, indent=2)


def qc_csv(clip: SegmentedClip, result: QcResult) -> str:
    """One line for each frame that has a mask and object, by CSV_COLUMNS; empty where a number is
    not known.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    timeline, pixels = clip.info.timeline, clip.info.width * clip.info.height
    flagged = set(result.flagged)
    for object_id, one in result.measures.items():
        worst = np.vstack([judged.severity for judged in result.judged[object_id].values()])
        for at in np.flatnonzero(np.isfinite(one.area_px)).tolist():
            area = float(one.area_px[at])
            here = worst[:, at][np.isfinite(worst[:, at])]
            numbers = [
                area, 100 * area / pixels, one.overlap[at], one.holes[at], one.holes_px[at],
                one.specks[at], one.specks_px[at],
                one.flicker_px[at], one.edge_agreement[at], one.edge_width_px[at],
                result.confidence[object_id][at],
                here.max() if len(here) else np.nan,
            ]  # fmt: skip
            shown = [
                "" if (known := known_number(value)) is None else f"{known:g}" for value in numbers
            ]
            seconds = f"{float(since_start(timeline, at)):.6f}"
            writer.writerow((timeline.number(at), seconds, object_id, *shown, int(at in flagged)))
    return text.getvalue()


def save_csv(path: Path, clip: SegmentedClip, result: QcResult) -> None:
    """Write `qc_csv` atomically.

    Raises OutputError; UsageError for a place that holds the clip or its masks.
    """
    refuse_to_replace(clip.info.path, path, "the clip")
    refuse_to_replace(clip.workspace.masks_folder, path, "the masks")
    require_table_place(path)
    write_text(path, qc_csv(clip, result))


def closing_lines(result: QcResult, count: int, *, workspace: Path) -> Iterator[str]:
    """What is said below the table."""
    if len(result.problems) > count:
        yield f"and {len(result.problems) - count} more places; -k {len(result.problems)} shows all"
    for shot in result.unmasked:
        span = f"{result.number(shot.start)} to {result.number(shot.stop - 1)}"
        yield (
            f"frames {span} are a shot without a painted mask: nothing of the subject is shown"
            " there"
        )
    if result.fix_next is not None:
        yield f"fix next: {result.fix_next.why}"
        yield f"  {result.fix_next.frame_command}"
        correct = correct_command(result.clip, result.fix_next.frame, workspace=workspace)
        yield f"or correct its mask with clicks (--bg beside the subject): {correct}"
        yield "then, with the mask that you made:"
        yield f"  {result.fix_next.segment_command}"
    if result.sheet is not None:
        yield f"picture: {result.sheet}"
    yield f"report: {result.report}"


def _views(
    clip: SegmentedClip, problems: Sequence[Problem], cuts: Sequence[int], reporter: Reporter
) -> Views:
    """The pictures of some problems, cut out around the object; a neighbour across a cut is left
    out.
    """
    count = len(clip.info.timeline)
    wanted: dict[int, list[int]] = {}
    for one in problems:
        before = (
            [one.frame - 1]
            if one.frame > 0 and (one.frame not in cuts or "crossing" in one.kinds)
            else []
        )
        after = [one.frame + 1] if one.frame + 1 < count and one.frame + 1 not in cuts else []
        wanted[one.rank] = [*before, one.frame, *after]
    indices = sorted({index for frames in wanted.values() for index in frames})
    objects = {one.rank: one.object_id for one in problems}
    parts = {rank: _part(clip, frames, objects[rank]) for rank, frames in wanted.items()}
    views: dict[int, list[tuple[int, Image]]] = {rank: [] for rank in wanted}
    pictures = ahead(pictures_at(clip.reader, indices), depth=1)
    with closing(pictures) as passing, reporter.progress("pictures", len(indices)) as step:
        for index, image in passing:
            mask = clip.mask(index)
            for rank, frames in wanted.items():
                if index in frames:
                    views[rank].append((index, _view(clip, image, mask, parts[rank])))
            step()
    return views


def _part(clip: SegmentedClip, frames: Sequence[int], object_id: int) -> tuple[slice, slice]:
    masks = [mask for mask in map(clip.mask, frames) if mask is not None]
    return close_up(
        [np.asarray(mask == object_id, np.uint8) for mask in masks]
        or [np.zeros(clip.info.shape, np.uint8)]
    )


def _view(clip: SegmentedClip, image: Image, mask: Mask | None, part: tuple[slice, slice]) -> Image:
    shown = thumbnail(np.ascontiguousarray(image[part]), width_px=THUMB_PX)
    if mask is None:
        return shown
    own = mask[part]
    rows, columns = (
        (2 * np.arange(now) + 1) * then // (2 * now)
        for now, then in zip(shown.shape, own.shape, strict=False)
    )
    return tinted(shown, own[np.ix_(rows, columns)], clip.palette)


def _sheet(clip: SegmentedClip, result: QcResult, views: Views) -> Image:
    rows = []
    for one in result.problems[: len(views)]:
        tiles = [
            captioned(image, tile_caption(clip.info.timeline, index), marked=index == one.frame)
            for index, image in views[one.rank]
        ]
        blank = np.zeros_like(tiles[0])
        if views[one.rank][0][0] == one.frame:
            tiles.insert(0, blank)
        rows.append((f"{one.rank}: {', '.join(words.TITLES[kind] for kind in one.kinds)}", tiles))
    columns = ("the frame before", "look here", "the frame after")
    return contact_sheet(
        rows,
        column_labels=columns,
        thumb_width_px=SHEET_THUMB_PX,
        title=f"{clip.name}: frames that stand out, the worst first",
    )


# ---------------------------------------------------------------- the page


def _parts(clip: SegmentedClip, result: QcResult, views: Views) -> Iterator[str]:
    timeline = clip.info.timeline
    yield _head(clip, result)
    yield from _next(result)
    marks = _clip_marks(timeline, result)
    yield "<h2>Where it stands out</h2>"
    yield page.strip(marks, _stretches(timeline, result))
    yield _KEY
    yield from (
        _card(clip, result, one, views[one.rank]) for one in result.problems if one.rank in views
    )
    yield from _others(result, [one for one in result.problems if one.rank not in views])
    yield from _shots(timeline, result)
    for object_id in result.measures:
        drawn = "".join(page.curve(one) for one in _curves(clip, result, object_id, marks))
        yield f'<h2>Object {object_id} over the clip</h2><div class="curves">{drawn}</div>'
    yield _METHOD


def _head(clip: SegmentedClip, result: QcResult) -> str:
    timeline, info = clip.info.timeline, clip.info
    length = clock(timeline.end - timeline.start)
    share = 100 * len(result.flagged) / max(1, result.frames)
    values = [value for one in result.confidence.values() for value in one if np.isfinite(value)]
    bad = "bad" if result.flagged else "good"
    return (
        f"<h1>{page.escaped(info.path.name)}</h1>"
        f'<p class="quiet">{info.width}×{info.height}, {len(timeline)} frames, {length},'
        f" {page.escaped(describe_rate(timeline))};"
        f" masks by {_PROPAGATORS.get(clip.store.manifest.propagator, 'another propagator')}</p>"
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
    one = result.fix_next
    if one is None:
        if not result.problems:
            yield '<div class="card"><p class="do">Nothing stands out.</p></div>'
        return
    yield (
        f'<div class="card next"><h3>Fix this next</h3><p>{page.escaped(one.why)}.</p><p>Save the'
        f" picture, paint the mask over it as {page.escaped(one.mask)}, and segment"
        f" again:</p>{page.command([one.frame_command, one.segment_command])}</div>"
    )


def _card(
    clip: SegmentedClip, result: QcResult, one: Problem, pictures: Sequence[tuple[int, Image]]
) -> str:
    timeline = clip.info.timeline
    shown = "".join(
        page.picture(image, frame_at(timeline, index), strong=index == one.frame)
        for index, image in pictures
    )
    what = "".join(
        f"<li>{page.escaped(part)}</li>"
        for part in one.what.removeprefix(f"object {one.object_id} ").split("; ")
    )
    return (
        f'<div class="card" id="p{one.rank}"><h3>{one.rank}.'
        f" {page.escaped(frame_at(timeline, one.frame))}, object {one.object_id}</h3><p"
        f' class="quiet">frames {_frames(result, one)}, severity'
        f' {one.severity:.1f}</p><ul>{what}</ul><p class="do">→ {page.escaped(one.do)}</p><div'
        f' class="pictures">{shown}</div></div>'
    )


def _others(result: QcResult, problems: Sequence[Problem]) -> Iterator[str]:
    """The problems without pictures, as a table."""
    rows = "".join(
        f'<tr id="p{one.rank}"><td>{result.number(one.frame)}</td><td>{one.time}</td>'
        f"<td>{page.escaped(one.what)}</td><td>{page.escaped(one.do)}</td></tr>"
        for one in problems[:NAMED_PROBLEMS]
    )
    if rows:
        head = "<tr><th>frame</th><th>time</th><th>what is wrong</th><th>what to do</th></tr>"
        yield f'<h3>Smaller ones</h3><div class="scroll"><table>{head}{rows}</table></div>'
    if len(problems) > NAMED_PROBLEMS:
        yield f'<p class="quiet">and {len(problems) - NAMED_PROBLEMS} more; qc --json lists all</p>'


def _shots(timeline: Timeline, result: QcResult) -> Iterator[str]:
    if not result.cuts:
        return
    cuts = ", ".join(
        f"{timeline.number(cut)} ({clock(since_start(timeline, cut))})" for cut in result.cuts
    )
    yield f"<h2>Shots</h2><p>A shot begins at frame {page.escaped(cuts)}.</p>"
    if result.unmasked:
        rows = "".join(
            f"<tr><td>{result.number(shot.start)} to {result.number(shot.stop - 1)}</td>"
            f"<td>{clock(since_start(timeline, shot.start))}</td></tr>"
            for shot in result.unmasked
        )
        yield (
            "<p>These shots have no painted mask, so nothing of the subject is shown. Where it is"
            " in sight, paint one:</p>"
            f'<div class="scroll"><table><tr><th>frames</th><th>from</th></tr>{rows}</table></div>'
        )


def _frames(result: QcResult, one: Problem) -> str:
    start, last = result.number(one.start), result.number(one.stop - 1)
    return f"{start}" if start == last else f"{start} to {last}"


def _place(timeline: Timeline, seconds: Fraction) -> float:
    """In [0, 1], from the clip's start to its end."""
    length = timeline.end - timeline.start
    return float((seconds - timeline.start) / length) if length else 0.0


def _places(timeline: Timeline) -> npt.NDArray[np.float64]:
    return np.array([_place(timeline, time.start) for time in timeline])


def _clip_marks(timeline: Timeline, result: QcResult) -> page.Marks:
    length = timeline.end - timeline.start
    ticks = [(part / 4, clock(length * part / 4)) for part in range(5)]
    empty = [
        (
            _place(timeline, timeline[shot.start].start),
            _place(timeline, timeline[shot.stop - 1].end),
        )
        for shot in result.unmasked
    ]
    return page.Marks(
        lines=[_place(timeline, timeline[cut].start) for cut in result.cuts],
        points=[_place(timeline, timeline[at].start) for at in result.references],
        gaps=empty,
        ticks=ticks,
    )


def _stretches(
    timeline: Timeline, result: QcResult
) -> Iterator[tuple[float, float, float, str, str]]:
    for one in reversed(result.problems):
        text = f"{frame_at(timeline, one.frame)}: {one.what}"
        start, stop = timeline[one.start].start, timeline[one.stop - 1].end
        yield (
            _place(timeline, start),
            _place(timeline, stop),
            min(1.0, one.severity / 5),
            text,
            f"p{one.rank}",
        )


@dataclass(frozen=True, slots=True)
class _Shown:
    """How a measure is drawn: its values, what they are judged as, and its words."""

    label: str
    explanation: str
    values: npt.NDArray[np.float64]
    kind: Kind
    limits: Sequence[float] = ()
    span: tuple[float, float] | None = None
    shown: str = "{:.1f} %"


def _curves(
    clip: SegmentedClip, result: QcResult, object_id: int, marks: page.Marks
) -> Iterator[page.Curve]:
    timeline = clip.info.timeline
    places, judged = _places(timeline), result.judged[object_id]
    reasons = {
        (kind, one.frame): one.what
        for one in result.problems
        if one.object_id == object_id
        for kind in one.kinds
    }
    for one in _shown(clip, result, object_id):
        if one.kind == "confidence":
            dots = [
                at
                for at, value in enumerate(one.values)
                if value < LOW_CONFIDENCE and at in result.flagged
            ]
        else:
            dots = np.flatnonzero(judged[one.kind].severity > 1).tolist()
        notes = [
            f"{frame_at(timeline, at)}:"
            f" {reasons.get((one.kind, at), one.shown.format(one.values[at]))}"
            for at in dots
        ]
        yield page.Curve(
            label=one.label, explanation=one.explanation, positions=places, values=one.values,
            limits=one.limits, dots=dots,
            notes=notes, span=one.span, shown=one.shown, marks=marks,
        )  # fmt: skip


def _shown(clip: SegmentedClip, result: QcResult, object_id: int) -> Iterator[_Shown]:
    one, judged = result.measures[object_id], result.judged[object_id]
    area = np.where(one.area_px > 0, one.area_px, np.nan).astype(np.float64)

    def limits(kind: Kind, factor: float = 100) -> tuple[float, float]:
        return judged[kind].low * factor, judged[kind].high * factor

    covered = 100 * one.area_px.astype(np.float64) / (clip.info.width * clip.info.height)
    yield _Shown(
        "Area", "part of the picture that the mask covers; dots where it jumps", covered, "area"
    )
    yield _Shown(
        "Overlap", "with the mask of the frame before, carried along by optical flow",
        100 * one.overlap.astype(np.float64), "overlap", limits("overlap"), (0, 100), "{:.0f} %",
    )  # fmt: skip
    confidence = np.array(result.confidence[object_id])
    yield _Shown(
        "Confidence",
        "how much of the mask is expected to be right; what went wrong on the way counts too",
        confidence, "confidence", (LOW_CONFIDENCE,), (0, 100), "{:.0f} %",
    )  # fmt: skip
    for kind, label, pixels, text in (
        ("holes", "Holes", one.holes_px, "area of enclosed background, as a part of the object's"),
        (
            "specks",
            "Specks",
            one.specks_px,
            "area of small loose pieces, as a part of the object's",
        ),
        (
            "flicker",
            "Flicker",
            one.flicker_px,
            "what changes on one frame alone, as a part of the object's area",
        ),
    ):
        yield _Shown(label, text, 100 * pixels.astype(np.float64) / area, kind, limits(kind))  # type: ignore[arg-type]
    yield _Shown(
        "Edge on the picture",
        "whether the mask's edge lies where the picture has one; 50 % = no more than beside it",
        100 * one.edge_agreement.astype(np.float64), "edge_agreement", limits("edge_agreement"), (0,
        100), "{:.0f} %",
    )  # fmt: skip
    if np.isfinite(one.edge_width_px).any():
        yield _Shown(
            "Width of the soft edge", "in pixels", one.edge_width_px.astype(np.float64),
            "edge_width",
            limits("edge_width", 1), None, "{:.0f} px",
        )  # fmt: skip


_PROPAGATORS = {"builtin": "the built-in propagator", "xmem": "XMem"}
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
