"""Reads a clip as if it had been filmed at a constant rate: the frames that a map names.

Frame n is source frame map[n] at the time of grid frame n; the sound that an output copies keeps
its place against both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from vfx_matte.backend import Notify
from vfx_matte.media.frames import ClipReader, Frame, check_frame, check_range
from vfx_matte.media.probe import ClipInfo
from vfx_matte.media.sketch import Sketches, sketch_of, sketch_of_alpha
from vfx_matte.timeline import ConformMap, Repairs


class ConformedReader:
    """Reads a clip through a frame map.

    The source is decoded in order, each frame once per iteration.
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
        """Lay a frame map over a reader.

        Args:
            reader: of the source.
            frame_map: made for that source.
            sketches: gets one of every source frame that is decoded.
            alphas: gets one of the alpha of every such frame that has some.
            notify: is told of a timecode that is left out.
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
            timecode=_grid_timecode(source, frame_map, notify),
            keyframes=_grid_keyframes(source.keyframes, frame_map.indices),
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
        # a source frame that no grid frame shows is decoded and passed over; one that several show
        # is given again
        number = start
        for frame in self._reader.frames(wanted[start], wanted[stop - 1] + 1):
            # once for each source frame, in passing: verifying decodes only the output then
            if self._sketches is not None and frame.index not in self._sketches:
                self._sketches.put(frame.index, sketch_of(frame.picture, frame.alpha))
                if self._alphas is not None and frame.alpha is not None:
                    self._alphas.put(
                        frame.index,
                        sketch_of_alpha(frame.alpha, full=int(np.iinfo(frame.alpha.dtype).max)),
                    )
            while number < stop and wanted[number] == frame.index:
                yield self._grid_frame(frame, number)
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
                yield self._grid_frame(frame, number)
                number -= 1

    def frame(self, index: int) -> Frame:
        """One grid frame.

        Raises:
            UsageError: when there is none.
        """
        check_frame(index, self._info.timeline)
        return self._grid_frame(self._reader.frame(self._map.indices[index]), index)

    def check_unchanged(self) -> None:
        """Raise MediaError when the source's files hold other bytes than when it was opened."""
        self._reader.check_unchanged()

    def _grid_frame(self, frame: Frame, number: int) -> Frame:
        return replace(frame, index=number, time=self._map.timeline[number])


def _grid_keyframes(keyframes: tuple[int, ...], indices: tuple[int, ...]) -> tuple[int, ...]:
    """Grid frames from which decoding can start: those that are the first to show a keyframe of the
    source.
    """
    # of several grid frames that show a keyframe the first one
    keys = set(keyframes)
    shown = (
        number
        for number, index in enumerate(indices)
        if index in keys and (not number or indices[number - 1] != index)
    )
    return tuple(shown) or (0,)


def _grid_timecode(source: ClipInfo, frame_map: ConformMap, notify: Notify) -> str | None:
    """The timecode counts frames, so it stays only where frames stay the same."""
    # every frame once and in order
    same = frame_map.indices == tuple(range(frame_map.source_count))
    if source.timecode and not same:
        notify(
            f"{source.path.name}: its timecode {source.timecode} counts other frames and is"
            " left out"
        )
    return source.timecode if same else None
