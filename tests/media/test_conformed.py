"""A clip read through a frame map, and the checks of a finished file, by clips whose frames say
their numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.clips import BT709, VFR_PTS, number_of
from support.notices import Notices

from vfx_matte.errors import UsageError
from vfx_matte.media.frames import Frame
from vfx_matte.media.open import open_clip
from vfx_matte.media.readers.conformed import ConformedReader
from vfx_matte.media.sketch import COLUMNS, ROWS, Sketches, sketch_of, sketch_of_alpha
from vfx_matte.media.verify_conformed import check_constant_rate, check_frames
from vfx_matte.picture import Picture, PixelLayout
from vfx_matte.timeline import conform

Make = Callable[..., Path]
RATE = Fraction(30)
X264 = {"preset": "ultrafast", "bf": "0"}


@pytest.fixture
def reader(make_clip: Make, notices: Notices) -> ConformedReader:
    source = open_clip(make_clip("clip.mp4", pts=VFR_PTS, options=X264), notify=notices)
    return ConformedReader(source, conform(source.info.timeline, RATE), notify=notices)


def shown(frame: Frame) -> int:
    return number_of(frame.picture.planes[0])


def test_every_way_of_reading_gives_the_mapped_frames(reader: ConformedReader) -> None:
    timeline = reader.info.timeline
    wanted = conform(open_clip(reader.info.path, notify=print).info.timeline, RATE).indices
    count = len(wanted)
    assert len(timeline) == count
    assert reader.info.origin == timeline.start
    forwards = list(reader.frames())
    assert [frame.index for frame in forwards] == list(range(count))
    assert [frame.time for frame in forwards] == list(timeline)
    assert tuple(map(shown, forwards)) == wanted
    backwards = list(reader.frames_reversed(3, 12))
    assert [(frame.index, shown(frame)) for frame in backwards] == [
        (index, wanted[index]) for index in range(11, 2, -1)
    ]
    assert [shown(frame) for frame in reader.frames(4, 7)] == list(wanted[4:7])
    assert list(reader.frames(5, 5)) == list(reader.frames_reversed(5, 5)) == []
    assert shown(reader.frame(10)) == wanted[10]
    for index in (-1, count):
        with pytest.raises(UsageError, match=f"frame {index} is not in the clip"):
            reader.frame(index)
    with pytest.raises(UsageError):
        list(reader.frames(0, count + 1))


def test_the_sketches_are_of_source_frames_the_dropped_ones_too(
    make_clip: Make, notices: Notices
) -> None:
    source = open_clip(make_clip("clip.mp4", pts=VFR_PTS, options=X264), notify=notices)
    frame_map = conform(source.info.timeline, RATE)
    assert frame_map.dropped
    with Sketches() as sketches:
        list(ConformedReader(source, frame_map, sketches=sketches, notify=notices).frames())
        for frame in source.frames():
            np.testing.assert_array_equal(sketches.get(frame.index), sketch_of(frame.picture))
        assert sketches.get(12) is None


def test_a_file_that_shows_another_frame_is_found(make_clip: Make, notices: Notices) -> None:
    steady = make_clip(
        "steady.mp4", pts=tuple(range(0, 12000, 1000)), last_duration=1000, options=X264
    )
    source = open_clip(steady, notify=notices)
    right = conform(source.info.timeline, RATE)
    late = conform(source.info.timeline.shifted(1000), RATE)
    assert late.indices == right.indices
    with Sketches() as sketches, Sketches() as moved:
        for frame in source.frames():
            sketches.put(frame.index, sketch_of(frame.picture))
            moved.put(frame.index + 1, sketch_of(frame.picture))
        found = check_frames(steady, right, sketches, notify=notices)
        assert (found.ok, found.detail) == (
            True,
            "12 of 12 frames told apart from their neighbours, each shows its source frame",
        )
        found = check_frames(steady, right, moved, notify=notices)
        assert (found.ok, found.detail) == (False, "frame 1 shows source frame 2, expected 1")
        with Sketches() as nowhere, Sketches() as left:
            half = np.zeros((ROWS, COLUMNS), np.uint8)
            half[:, : COLUMNS // 2] = 255
            for index in range(12):
                nowhere.put(index, np.zeros((ROWS, COLUMNS), np.uint8))
                left.put(index, half)
            assert check_frames(
                steady, right, moved, inside=nowhere, notify=notices
            ).detail.startswith("0 of 12")
            assert not check_frames(steady, right, moved, inside=left, notify=notices).ok
        with Sketches() as no_mask:
            assert check_frames(steady, right, moved, inside=no_mask, notify=notices).ok


def test_pictures_that_do_not_move_prove_nothing(make_clip: Make, notices: Notices) -> None:
    steady = make_clip(
        "steady.mp4", pts=tuple(range(0, 12000, 1000)), last_duration=1000, options=X264
    )
    source = open_clip(steady, notify=notices)
    with Sketches() as still:
        first = sketch_of(source.frame(0).picture)
        for index in range(12):
            still.put(index, first)
        found = check_frames(steady, conform(source.info.timeline, RATE), still, notify=notices)
        assert found.ok
        assert found.detail.startswith("0 of 12")


@pytest.mark.parametrize(
    ("pts", "last", "problem"),
    [
        (tuple(range(0, 12000, 1000)), 1000, ""),
        ((0, 1000, 2001, 3000, 4000), 1000, "frame 2 is at 0.066700 s, expected 0.066667 s"),
        ((0, 1000, 2000, 3000), 500, "frames last 2 different times"),
        (tuple(range(1000, 6000, 1000)), 1000, "frame 0 is at 0.033000 s, expected 0.000000 s"),
    ],
)
def test_a_rate_that_is_not_constant_is_found(
    make_clip: Make, notices: Notices, pts: tuple[int, ...], last: int, problem: str
) -> None:
    clip = make_clip("clip.mp4", pts=pts, last_duration=last, options=X264, codec="libx264")
    grid = conform(
        open_clip(
            make_clip("s.mp4", pts=tuple(range(0, 12000, 1000))), notify=notices
        ).info.timeline,
        RATE,
    )
    found = check_constant_rate(clip, grid)
    assert found.ok is not bool(problem)
    assert problem in found.detail
    if not problem:
        assert found.detail == "30 fps, every frame 1000 ticks of 1/30000 s"


def test_sketches_tell_levels_not_codes() -> None:
    """Limited and full range, 8 and 10 bits, YUV and RGB: white is white."""
    for layout, code, color in (
        (PixelLayout("yuv", 8, (0, 0)), 235, BT709),
        (PixelLayout("yuv", 10, (0, 0)), 940, BT709),
        (PixelLayout("gray", 16), 65535, None),
        (PixelLayout("rgb", 8), 255, None),
    ):
        plane = np.full((20, 40), code, np.uint8 if layout.bit_depth == 8 else np.uint16)
        tags = color or BT709.__class__("unspecified", "pc")
        picture = Picture((plane,) * layout.plane_count, layout, tags)
        assert (sketch_of(picture) == 255).all(), layout
    half = np.zeros((7, 1000), np.uint16)
    half[:, 500:] = 1000
    found = sketch_of_alpha(half, full=1000)
    assert found.shape == (ROWS, COLUMNS)
    assert (found[:, : COLUMNS // 2] == 0).all()
    assert (found[:, COLUMNS // 2 :] == 255).all()
