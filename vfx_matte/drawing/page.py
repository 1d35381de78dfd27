"""Makes pages for a browser: self-contained HTML from texts, numbers and pictures.

A page needs nothing from outside: pictures and curves are inside of it, its style follows the
reader's light or dark setting, it fits a phone, and it runs no script. Every text is escaped.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from vfx_matte.masks import Image
from vfx_matte.printable import printable

_WIDTH, _HEIGHT = 1000, 100
"""Units of a curve's drawing, stretched to the page's width."""
_MOST_DOTS = 300
"""More dots on one curve hide each other and make the page slow."""

_JPEG_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Marks:
    """What is drawn on every curve. All positions are in [0, 1] from left to right."""

    lines: Sequence[float] = ()
    """Drawn dashed: cuts."""

    points: Sequence[float] = ()
    """Small triangles on the upper border: references."""

    gaps: Sequence[tuple[float, float]] = ()
    """Grey stretches (start, stop)."""

    ticks: Sequence[tuple[float, str]] = ()
    """Texts below, with their positions."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One number over time."""

    label: str
    """What it is."""

    explanation: str
    """How to read it, in a sentence."""

    positions: npt.NDArray[np.float64]
    """float (n,), in [0, 1], ascending."""

    values: npt.NDArray[np.float64]
    """float (n,), NaN = none."""

    limits: Sequence[float] = ()
    """Levels drawn dashed."""

    dots: Sequence[int] = ()
    """Indices of values that stand out."""

    notes: Sequence[str] = ()
    """Their texts, shown by the browser when the pointer rests there."""

    span: tuple[float, float] | None = None
    """Lowest and highest value; None = of the values and limits."""

    shown: str = "{:.3g}"
    """How a value reads, such as "{:.0f} %"."""

    marks: Marks = field(default_factory=Marks)
    """What else is drawn on it."""


def escaped(text: object) -> str:
    """Text that HTML takes as it is meant."""
    return html.escape(printable(text), quote=True)


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page.

    Args:
        title: of the browser's tab.
        parts: HTML, from top to bottom.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{_style()}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def picture(image: Image, caption: str, *, strong: bool = False) -> str:
    """A picture with a caption.

    Args:
        image: uint8 (H, W, 3) R'G'B'.
        caption: below it, and for those who cannot see it.
        strong: whether it is the one to look at.
    """
    data = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(image)).save(data, "JPEG", quality=_JPEG_QUALITY)
    # inside of the page as text: a third larger than the file, but the page is one file
    source = base64.b64encode(data.getvalue()).decode()
    height, width = image.shape[:2]
    return (
        f'<figure{" class=strong" if strong else ""}><img loading="lazy" width="{width}"'
        f' height="{height}"'
        f' alt="{escaped(caption)}"'
        f' src="data:image/jpeg;base64,{source}">'
        f"<figcaption>{escaped(caption)}</figcaption></figure>"
    )


def facts(rows: Iterable[tuple[str, str, str]]) -> str:
    """Big numbers side by side.

    Args:
        rows: (number, what it is, "bad", "good" or "").
    """
    cells = (
        f'<div class="fact {kind}"><b>{escaped(number)}</b><span>{escaped(what)}</span></div>'
        for number, what, kind in rows
    )
    return f'<div class="facts">{"".join(cells)}</div>'


def command(lines: Sequence[str]) -> str:
    """Commands to copy."""
    return "<pre>" + "\n".join(map(escaped, lines)) + "</pre>"


def strip(marks: Marks, stretches: Iterable[tuple[float, float, float, str, str]]) -> str:
    """The clip as one bar.

    Args:
        marks: cuts, references, gaps and ticks.
        stretches: (start, stop, strength in [0, 1], text, address on the page).
    """
    drawn = [_gaps(marks)]
    for start, stop, strength, text, address in stretches:
        # a single frame of a long clip stays wide enough to be hit with a finger
        wide = max(stop - start, 0.004) * _WIDTH
        left = min(start * _WIDTH, _WIDTH - wide)
        drawn.append(
            f'<a href="#{escaped(address)}"><rect class="stretch" x="{left:.1f}" y="0"'
            f' width="{wide:.1f}" height="{_HEIGHT}"'
            f' opacity="{0.45 + 0.55 * strength:.2f}"><title>{escaped(text)}</title></rect></a>'
        )
    drawn.append(_marks(marks))
    return (
        '<div class="strip">'
        f"{_drawing(''.join(drawn), 'the clip from start to end')}{_ticks(marks)}</div>"
    )


def curve(data: Curve) -> str:
    """A curve with its label, limits, dots and marks."""
    known = data.values[np.isfinite(data.values)]
    head = f"<h3>{escaped(data.label)}</h3><p>{escaped(data.explanation)}</p>"
    if not len(known):
        return (
            f'<section class="curve">{head}<p class="quiet">not known for this clip</p></section>'
        )
    levels = [float(limit) for limit in data.limits if np.isfinite(limit)]
    # the span as given, or from zero (or below) to the highest value or limit
    low, high = data.span or (
        min([0.0, float(known.min()), *levels]),
        max([float(known.max()), *levels]),
    )
    # a curve that never changes is drawn along the bottom
    high = high if high > low else low + 1

    def y(value: float) -> float:
        # 4 % of the height stay free above and below, so that no line is cut
        return _HEIGHT * (1 - min(max((value - low) / (high - low), 0.0), 1.0) * 0.92 - 0.04)

    # what is drawn later lies on top: gaps, marks, limits, the line, its dots
    drawn = [_gaps(data.marks), _marks(data.marks)]
    drawn += [
        f'<path class="limit" d="M0 {y(level):.1f}H{_WIDTH}"/>'
        for level in levels
        if low <= level <= high
    ]
    heights = np.array([y(float(value)) for value in data.values])
    drawn.append(f'<path class="line" d="{_line(data.positions, heights)}"/>')
    for at, note in list(zip(data.dots, data.notes, strict=True))[:_MOST_DOTS]:
        if np.isfinite(data.values[at]):
            path = f"M{data.positions[at] * _WIDTH:.1f} {y(float(data.values[at])):.1f}h0"
            drawn.append(f'<path class="dot" d="{path}"><title>{escaped(note)}</title></path>')
    scale = (
        f'<span class="high">{escaped(data.shown.format(high))}</span><span'
        f' class="low">{escaped(data.shown.format(low))}</span>'
    )
    return (
        f'<section class="curve">{head}<div'
        f' class="plot">{_drawing("".join(drawn), data.label)}{scale}</div>'
        f"{_ticks(data.marks)}</section>"
    )


def _line(positions: npt.NDArray[np.float64], heights: npt.NDArray[np.float64]) -> str:
    """A path through all values; of many in one column, their lowest and highest.

    It breaks where a value is missing.
    """
    # a clip has more frames than a page has columns
    columns = np.minimum((positions * _WIDTH).astype(int), _WIDTH - 1)
    words, pen = list[str](), False
    for begin, end in _runs(columns):
        inside = heights[begin:end]
        inside = inside[np.isfinite(inside)]
        # lift the pen where a whole column is missing
        if not len(inside):
            pen = False
            continue
        x = positions[begin] * _WIDTH
        # the lowest and the highest value keep every peak visible
        ends = (
            (float(inside[0]),) if len(inside) == 1 else (float(inside.min()), float(inside.max()))
        )
        for height in ends:
            words.append(f"{'L' if pen else 'M'}{x:.1f} {height:.1f}")
            pen = True
        # and behind a column in which some are missing
        if len(inside) < end - begin:
            pen = False
    return "".join(words)


def _runs(columns: npt.NDArray[np.int_]) -> list[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(np.diff(columns)) + 1).tolist(), len(columns)]
    return list(itertools.pairwise(edges))


def _gaps(marks: Marks) -> str:
    return "".join(
        f'<rect class="gap" x="{start * _WIDTH:.1f}" y="0" width="{(stop - start) * _WIDTH:.1f}"'
        f' height="{_HEIGHT}"/>'
        for start, stop in marks.gaps
    )


def _marks(marks: Marks) -> str:
    cuts = "".join(f'<path class="cut" d="M{at * _WIDTH:.1f} 0V{_HEIGHT}"/>' for at in marks.lines)
    points = "".join(
        f'<path class="point" d="M{min(max(at * _WIDTH, 2), _WIDTH - 2):.1f} 0V18"/>'
        for at in marks.points
    )
    return cuts + points


def _ticks(marks: Marks) -> str:
    if not marks.ticks:
        return ""
    texts = "".join(
        f'<span style="left:{100 * at:.2f}%">{escaped(text)}</span>' for at, text in marks.ticks
    )
    return f'<div class="ticks">{texts}</div>'


def _drawing(inside: str, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escaped(label)}">{inside}</svg>'
    )


# read once: every part of every page is drawn with it
@cache
def _style() -> str:
    """The pages' style sheet, on one line."""
    text = resources.files("vfx_matte.drawing").joinpath("page.css").read_text(encoding="utf-8")
    return "".join(line.strip() for line in text.splitlines())
