"""Chooses some frames of a clip, and decodes only as much as they need."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Generator, Iterator, Sequence

from vfx_matte.masks import Image
from vfx_matte.media.frames import ClipReader, Frame
from vfx_matte.media.probe import ClipInfo

_WORTH_SEEKING_FRAMES = 4
"""Opening the file again costs about as much as decoding so many frames."""


def evenly(items: Sequence[int], count: int) -> list[int]:
    """At most `count` items, in order, each from the middle of one of as many equal parts."""
    # The middles of the parts: neither the first nor the last frame, which are often black.
    if len(items) <= count:
        return list(items)
    return [items[(2 * part + 1) * len(items) // (2 * count)] for part in range(count)]


def frames_at(reader: ClipReader, indices: Sequence[int]) -> Generator[Frame, None, None]:
    """The frames at `indices`, ascending.

    Those between are decoded, not converted, where seeking would cost more.
    """
    # frames between two wanted ones are decoded by the reader, but their pictures are never made
    wanted = set(indices)
    for first, last in spans(indices, seekable(reader.info)):
        for frame in reader.frames(first, last + 1):
            if frame.index in wanted:
                yield frame


def pictures_at(
    reader: ClipReader, indices: Sequence[int]
) -> Generator[tuple[int, Image], None, None]:
    """(index, R'G'B' uint8 (H, W, 3)) of the frames at `indices`, ascending; see `frames_at`."""
    for frame in frames_at(reader, indices):
        yield frame.index, frame.image


def seekable(info: ClipInfo) -> Sequence[int]:
    """The frames where decoding can start; none when timestamps cannot be relied on."""
    return info.keyframes if info.reliable else ()


def spans(indices: Sequence[int], keyframes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Split ascending indices into (first, last) where seeking to a keyframe saves decoding some
    frames.
    """
    if not indices:
        return
    first = before = indices[0]
    for index in indices[1:]:
        # the last keyframe up to the index: decoding could start there instead of going on
        key = bisect.bisect_right(keyframes, index) - 1
        if key >= 0 and keyframes[key] - before > _WORTH_SEEKING_FRAMES:
            yield first, before
            first = index
        before = index
    yield first, before


def snapped(indices: Sequence[int], keyframes: Sequence[int]) -> list[int]:
    """Ascending indices, each moved to a keyframe when one lies nearer to it than half the distance
    to its neighbour; none twice.
    """
    if not keyframes or len(indices) < 2:
        return list(indices)
    # moved by less than half the least distance, they stay in order and apart
    reach = min(after - before for before, after in itertools.pairwise(indices)) / 2
    found = set()
    for index in indices:
        key = bisect.bisect_right(keyframes, index)
        nearest = min(keyframes[max(0, key - 1) : key + 1], key=lambda one: abs(one - index))
        found.add(nearest if abs(nearest - index) < reach else index)
    return sorted(found)
