"""A clip as if it had been filmed at a constant rate.

Takes a reader and a frame map, gives a reader of the mapped frames, and says of a finished file
whether it keeps the rate and shows on each frame the source frame that it should.

Frame n is source frame map[n] at the time of grid frame n; the sound that an output copies keeps
its place against both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vfx_matte.backend import Array, Notify
from vfx_matte.media.formats import CONTAINERS
from vfx_matte.media.frames import ClipReader, Frame, check_frame, check_range
from vfx_matte.media.probe import ClipInfo, video_stream_of
from vfx_matte.media.readers.demuxers import open_input
from vfx_matte.media.readers.video import VideoReader
from vfx_matte.media.sketch import Sketch, Sketches, sketch_of, sketch_of_alpha
from vfx_matte.media.verify import Check
from vfx_matte.timeline import ConformMap, Repairs

NEIGHBOURS = 2
"""Source frames before and after the right one that a frame of an output is compared with."""

_MOVES = 4
"""Levels of 255 by which a cell of a sketch has to change among these for it to be compared."""

_LEAST_CELLS = 16
"""How many such cells a judgement needs; a single one may be the encoder's doing."""

_NEARER = 2
"""A frame is told apart when it is this many times nearer to its own source frame than to any
other, …
"""

_CLEARLY = 4
"""… and taken for another when it is this many times nearer to that; coarse encoding holds still
what hardly moves. In both cases the further one has to be further than …
"""

_VISIBLE = 2.0
"""… this many levels of 255, on average over those cells."""


class ConformedReader:
    """Reads a clip through a frame map.

    The source is decoded in order, each frame once an iteration.
    """

    def __init__(
        self,
        reader: ClipReader,
        frame_map: ConformMap,
        *,
        sketches: Sketches | None = None,
        alphas: Sketches | None = None,
        notify: Notify,
    ) -> None:
        """reader: of the source that `frame_map` was made for.

        sketches: gets one of every source frame that is decoded.

        alphas: gets one of the alpha of every such frame that has some.
        """
        self._reader = reader
        self._map = frame_map
        self._sketches = sketches
        self._alphas = alphas
        source = reader.info
        self._info = replace(
            source,
            timeline=frame_map.timeline,
            origin=frame_map.timeline.start,
            timecode=_kept_timecode(source, frame_map, notify),
            keyframes=_first_shown(source.keyframes, frame_map.indices),
            repairs=Repairs(),
        )

    @property
    def info(self) -> ClipInfo:
        """Facts about the source, with the constant timeline; its origin is the first grid
        frame.
        """
        return self._info

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Grid frames [start, stop) in order."""
        start, stop = check_range(start, stop, self._info.timeline)
        if start == stop:
            return
        wanted = self._map.indices
        number = start
        for frame in self._reader.frames(wanted[start], wanted[stop - 1] + 1):
            if self._sketches is not None and frame.index not in self._sketches:
                self._sketches.put(frame.index, sketch_of(frame.picture, frame.alpha))
                if self._alphas is not None and frame.alpha is not None:
                    self._alphas.put(
                        frame.index,
                        sketch_of_alpha(frame.alpha, full=int(np.iinfo(frame.alpha.dtype).max)),
                    )
            while number < stop and wanted[number] == frame.index:
                yield self._placed(frame, number)
                number += 1

    def frames_reversed(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Grid frames stop − 1 down to start."""
        start, stop = check_range(start, stop, self._info.timeline)
        if start == stop:
            return
        wanted = self._map.indices
        number = stop - 1
        for frame in self._reader.frames_reversed(wanted[start], wanted[stop - 1] + 1):
            while number >= start and wanted[number] == frame.index:
                yield self._placed(frame, number)
                number -= 1

    def frame(self, index: int) -> Frame:
        """One grid frame. Raises UsageError when there is none."""
        check_frame(index, self._info.timeline)
        return self._placed(self._reader.frame(self._map.indices[index]), index)

    def check_unchanged(self) -> None:
        """Raise MediaError when the source's files hold other bytes than when it was opened."""
        self._reader.check_unchanged()

    def _placed(self, frame: Frame, number: int) -> Frame:
        return replace(frame, index=number, time=self._map.timeline[number])


def check_constant_rate(output: Path, frame_map: ConformMap) -> Check:
    """Whether every frame of a file lasts equally long, in whole ticks, from time zero; to the
    millisecond in Matroska.
    """
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
    times = sorted(pts * base for pts, _ in shown if pts is not None)
    lasting = {(duration or 0) * base for pts, duration in shown if pts is not None}
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

    source: sketches of what each source frame should look like. inside: compare only the cells that
    are white in these, and no frame that has none. alphas: of source frames with alpha of their
    own; their cells count where that is opaque. Frames that look like their neighbours prove
    nothing; how many did is in the report.
    """
    proven = count = 0
    for frame in VideoReader(output, notify=notify, ignore_alpha=True).frames():
        index, count = frame_map.indices[frame.index], count + 1
        subject = None if inside is None else inside.get(index)
        if inside is not None and subject is None:  # nothing of the source is shown here
            continue
        cells = None if subject is None else subject == 255
        alpha = None if alphas is None else alphas.get(index)
        if alpha is not None:
            cells = (alpha == 255) if cells is None else cells & (alpha == 255)
        distances = _distances(sketch_of(frame.picture), index, source, cells)
        own = distances.pop(index, None)
        if own is None or not distances:
            continue
        other = min(distances, key=lambda candidate: distances[candidate])
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
    nearby = {
        other: source.get(other)
        for other in range(max(0, index - NEIGHBOURS), index + NEIGHBOURS + 1)
    }
    known = {other: seen.astype(np.int16) for other, seen in nearby.items() if seen is not None}
    if not known:
        return {}
    moving = np.ptp(np.stack(list(known.values())), axis=0) >= _MOVES
    where = moving if cells is None else moving & cells
    if where.sum() < _LEAST_CELLS:
        return {}
    return {
        other: float(np.abs(sketch.astype(np.int16) - seen)[where].mean())
        for other, seen in known.items()
    }


def _first_shown(keyframes: tuple[int, ...], indices: tuple[int, ...]) -> tuple[int, ...]:
    """Grid frames from which decoding can start: those that are the first to show a keyframe of the
    source.
    """
    keys = set(keyframes)
    shown = (
        number
        for number, index in enumerate(indices)
        if index in keys and (not number or indices[number - 1] != index)
    )
    return tuple(shown) or (0,)


def _kept_timecode(source: ClipInfo, frame_map: ConformMap, notify: Notify) -> str | None:
    """The timecode counts frames, so it stays only where frames stay the same."""
    same = frame_map.indices == tuple(range(frame_map.source_count))
    if source.timecode and not same:
        notify(
            f"{source.path.name}: its timecode {source.timecode} counts other frames and is"
            " left out"
        )
    return source.timecode if same else None
