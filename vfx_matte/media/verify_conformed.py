"""Verifies conformed files: whether one keeps its rate and shows the right frames of its source."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from vfx_matte.backend import Array, Notify
from vfx_matte.media.formats import CONTAINERS
from vfx_matte.media.probe import video_stream_of
from vfx_matte.media.readers.demuxers import open_input
from vfx_matte.media.readers.video import VideoReader
from vfx_matte.media.sketch import Sketch, Sketches, sketch_of
from vfx_matte.media.verify import Check
from vfx_matte.timeline import ConformMap

NEIGHBOURS = 2
"""Source frames before and after the right one that a frame of an output is compared with."""

_MOVES = 4
"""A cell of a sketch is compared where it changes by so many levels of 255 among these frames."""

_LEAST_CELLS = 16
"""How many such cells a judgement needs; a single one may be the encoder's doing."""

_NEARER = 2
"""A frame is told apart when it is so many times nearer to its own source frame than to any other,
…
"""

_CLEARLY = 4
"""… and taken for another when it is so many times nearer to that; coarse encoding holds still what
hardly moves. In both cases the further one has to be further than …
"""

_VISIBLE = 2.0
"""… so many levels of 255, on average over those cells."""


def check_constant_rate(output: Path, frame_map: ConformMap) -> Check:
    """Whether every frame of a file lasts equally long, in whole ticks, from time zero; to the
    millisecond in Matroska.

    Args:
        output: the file.
        frame_map: what it was made by.
    """
    # when every frame should begin, and by how much it may be off
    step = frame_map.timeline.durations[0] * frame_map.timeline.time_base
    container = CONTAINERS.get(output.suffix.lower())
    slack = Fraction(0) if container is not None and container.exact_time else Fraction(1, 1000)
    with open_input(output) as opened:
        stream = video_stream_of(opened, output)
        base, stated = stream.time_base or Fraction(0), stream.average_rate or Fraction(0)
        shown = [
            (packet.pts, packet.duration)
            for packet in opened.demux(stream)
            if not packet.is_discard
        ]
    # when frames begin, how long they last, and the rate that the file states
    times = sorted(pts * base for pts, _ in shown if pts is not None)
    lasting = {(duration or 0) * base for pts, duration in shown if pts is not None}
    # the first thing that is not as it should be
    wrong = next(
        (index for index, time in enumerate(times) if abs(time - index * step) > slack), None
    )
    if wrong is not None:
        return Check(
            "constant rate",
            False,
            f"frame {wrong} is at {float(times[wrong]):.6f} s, expected"
            f" {float(wrong * step):.6f} s",
        )
    if any(abs(duration - step) > slack for duration in lasting):
        return Check(
            "constant rate",
            False,
            f"frames last {len(lasting)} different times, expected {float(step):.6f} s each",
        )
    if abs(stated / frame_map.rate - 1) > Fraction(1, 1000):
        return Check(
            "constant rate", False, f"the file says {stated} fps, expected {frame_map.rate}"
        )
    ticks = f"{step / base} ticks of {base} s" if not slack else "to the millisecond"
    return Check("constant rate", True, f"{frame_map.rate} fps, every frame {ticks}")


def check_frames(
    output: Path,
    frame_map: ConformMap,
    source: Sketches,
    *,
    inside: Sketches | None = None,
    alphas: Sketches | None = None,
    notify: Notify,
) -> Check:
    """Whether frame n of a file shows source frame map[n], and not one of its neighbours.

    Frames that look like their neighbours prove nothing; how many did is in the report.

    Args:
        output: the file.
        frame_map: what it was made by.
        source: sketches of what each source frame should look like.
        inside: compare only the cells that are white in these, and no frame that has none.
        alphas: of source frames with alpha of their own; their cells count where that is opaque.
        notify: is told what reading the file tells.
    """
    proven = count = 0
    for frame in VideoReader(output, notify=notify, ignore_alpha=True).frames():
        # which cells show the source at all
        index, count = frame_map.indices[frame.index], count + 1
        subject = None if inside is None else inside.get(index)
        if inside is not None and subject is None:  # nothing of the source is shown here
            continue
        cells = None if subject is None else subject == 255
        alpha = None if alphas is None else alphas.get(index)
        if alpha is not None:
            cells = (alpha == 255) if cells is None else cells & (alpha == 255)
        # how far it is from the right source frame and from those around it
        distances = _distances(sketch_of(frame.picture), index, source, cells)
        own = distances.pop(index, None)
        if own is None or not distances:
            continue
        other = min(distances, key=lambda candidate: distances[candidate])
        # clearly another frame; else it may prove that it is the right one
        if own > _VISIBLE and own > _CLEARLY * distances[other]:
            shown, right = frame_map.source_number(other), frame_map.source_number(index)
            return Check(
                "pictures",
                False,
                f"frame {frame.index} shows source frame {shown}, expected {right}",
            )
        proven += distances[other] > _VISIBLE and distances[other] > _NEARER * own
    detail = (
        f"{proven} of {count} frames told apart from their neighbours, each shows its source frame"
    )
    return Check("pictures", True, detail)


def _distances(
    sketch: Sketch, index: int, source: Sketches, cells: Array | None
) -> dict[int, float]:
    """Mean difference in levels from the source frames around `index`, by their index, where these
    differ among themselves.
    """
    # not every neighbour was decoded, as no grid frame shows it
    nearby = {
        other: source.get(other)
        for other in range(max(0, index - NEIGHBOURS), index + NEIGHBOURS + 1)
    }
    known = {other: seen.astype(np.int16) for other, seen in nearby.items() if seen is not None}
    if not known:
        return {}
    # cells in which these frames do not differ cannot tell them apart
    moving = np.ptp(np.stack(list(known.values())), axis=0) >= _MOVES
    where = moving if cells is None else moving & cells
    if where.sum() < _LEAST_CELLS:
        return {}
    return {
        other: float(np.abs(sketch.astype(np.int16) - seen)[where].mean())
        for other, seen in known.items()
    }
